//! CLIENT REPLY on two connections at once, within transactions and outside: what is answered, what is
//! not, and in which order.

use crate::agreement::{length, seed, show};
use crate::generator::{Comparison, Dice, Generator, Request, Version, encode_somehow};
use crate::two_connections::Pair;
use crate::value::encode;

const MODES: &[&str] = &[
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY SKIP",
    "client reply on",
    "CLIENT REPLY nope",
    "CLIENT REPLY",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH a",
    "RESET",
    "PING",
    "NOPE",
];

fn words(line: &str) -> Request {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn request(generator: &mut Generator) -> Request {
    if generator.dice.below(5) < 3 {
        return words(generator.dice.pick(MODES));
    }
    loop {
        // What is not answered cannot be told apart: all answers have to be equal to the byte.
        let (request, comparison) = generator.next();
        let name = request[0].to_ascii_uppercase();
        let is_of_connections =
            matches!(name.as_slice(), b"HELLO" | b"COMMAND" | b"QUIT" | b"CONFIG");
        if comparison == Comparison::Exact && !is_of_connections {
            return request;
        }
    }
}

#[test]
fn what_is_not_to_be_answered_is_not() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let mut generator = Generator::new(seed(20_240_302), Version::Two);
    let mut run = 0;
    while run < length() {
        let who = generator.dice.below(2);
        let requests: Vec<Request> = (0..=generator.dice.below(10))
            .map(|_| request(&mut generator))
            .collect();
        run += requests.len();
        let mut bytes = Vec::new();
        for request in &requests {
            bytes.extend(encode_somehow(request, &mut generator.dice));
        }
        // Transactions stay open from one batch to the next, now and then.
        let last = format!("end of {run}");
        bytes.extend(ending(&mut generator.dice, &last));
        let ours = pair.send(who, &bytes);
        // An array whose elements are not answered is no value: so bytes are compared, not replies.
        let theirs = pair.redis_until(who, format!("${}\r\n{last}\r\n", last.len()).as_bytes());
        let shown: Vec<String> = requests.iter().map(show).collect();
        assert_eq!(
            ours.escape_ascii().to_string(),
            theirs.escape_ascii().to_string(),
            "{who}: {}",
            shown.join("\n")
        );
    }
}

/// Replies are on again, and the last one is known.
fn ending(dice: &mut Dice, last: &str) -> Vec<u8> {
    let end = if dice.below(2) == 0 { "EXEC" } else { "RESET" };
    let mut bytes = encode(&[end]);
    bytes.extend(encode(&["CLIENT", "REPLY", "ON"]));
    bytes.extend(encode(&["ECHO", last]));
    bytes
}
