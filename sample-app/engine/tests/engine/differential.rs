//! Random commands to this engine and to a real Redis: the replies are equal.

use kv_engine::tables;

use crate::agreement::{agree, knows, length, questions, seed, show, walk};
use crate::generator::{Comparison, Dice, Generator, Request, Version};
use crate::redis::Redis;
use crate::server::Local;
use crate::value::{Value, encode};

const PIPELINE: usize = 40;
/// Chances, unless others are asked for.
const SEED: u64 = 20_240_229;

#[test]
fn version_1_answers_random_commands_as_redis_does() {
    compare(Version::One);
}

#[test]
fn version_2_answers_random_commands_as_redis_does() {
    compare(Version::Two);
}

#[test]
fn version_3_answers_random_commands_as_redis_does() {
    compare(Version::Three);
}

#[test]
fn sums_of_floats_have_the_digits_that_redis_gives_them() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let mut local = Local::new(tables::v1());
    let mut dice = Dice(seed(SEED));
    for _ in 0..length() / 400 {
        let pairs: Vec<[String; 2]> = (0..100)
            .map(|_| [float(&mut dice), float(&mut dice)])
            .collect();
        let bytes: Vec<u8> = pairs
            .iter()
            .flat_map(|[a, b]| {
                [encode(&["SET", "f", a]), encode(&["INCRBYFLOAT", "f", b])].concat()
            })
            .collect();
        redis.send(&bytes);
        let ours = Value::parse_all(&local.exchange(&bytes));
        for (pair, ours) in pairs.iter().zip(ours.chunks(2)) {
            assert_eq!(redis.receive(), ours[0]);
            assert_eq!(ours[1], redis.receive(), "{pair:?}");
        }
    }
}

/// Floats of any size, in the spellings that C knows.
fn float(dice: &mut Dice) -> String {
    let sign = dice.pick(&["", "-", "+"]);
    let digits = |dice: &mut Dice, most: usize, alphabet: &str| -> String {
        let letters = alphabet.as_bytes();
        let count = dice.below(most);
        (0..count).map(|_| dice.pick(letters) as char).collect()
    };
    if dice.below(4) == 0 {
        let whole = digits(dice, 22, "0123456789abcdefABCDEF");
        let fraction = digits(dice, 22, "0123456789abcdef");
        let exponent = match dice.below(3) {
            0 => String::new(),
            1 => format!("p{}", dice.below(200) as i64 - 100),
            _ => format!("P{}", dice.below(34_000) as i64 - 17_000),
        };
        return format!("{sign}0x{whole}.{fraction}{exponent}");
    }
    let most = dice.pick(&[3, 20, 45]);
    let (whole, fraction) = (
        digits(dice, most, "0123456789"),
        digits(dice, most, "01234567890000"),
    );
    let exponent = match dice.below(4) {
        0 | 1 => String::new(),
        2 => format!("e{}", dice.below(60) as i64 - 30),
        _ => format!("E{}", dice.below(10_100) as i64 - 5_050),
    };
    format!("{sign}{whole}.{fraction}{exponent}")
}

fn compare(version: Version) {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let mut local = Local::new(match version {
        Version::One => tables::v1(),
        Version::Two => tables::v2(),
        Version::Three => tables::v3(),
    });
    let mut generator = Generator::new(seed(SEED), version);
    let mut run = 0;
    while run < length() {
        let batch: Vec<(Request, Comparison)> = (0..PIPELINE)
            .map(|_| generator.next())
            .filter(|(request, _)| knows(version, request))
            .collect();
        run += batch.len();
        let bytes: Vec<u8> = batch.iter().flat_map(|(args, _)| encode(args)).collect();
        redis.send(&bytes);
        let ours = Value::parse_all(&local.exchange(&bytes));
        assert_eq!(ours.len(), batch.len(), "one reply each");
        let mut history = Vec::new();
        for ((request, comparison), ours) in batch.iter().zip(ours) {
            let theirs = redis.receive();
            let shown = show(request);
            history.push(format!("{shown}\n    redis {theirs:?}\n    here  {ours:?}"));
            assert!(
                agree(*comparison, &ours, &theirs),
                "after {run} commands:\n{}",
                history.join("\n")
            );
        }
        if run % (PIPELINE * 25) < PIPELINE {
            same_contents(&mut local, &mut redis, version);
        }
    }
}

/// Every key, what it holds, and how long it lives; and SCAN and HSCAN find each thing once.
fn same_contents(local: &mut Local, redis: &mut Redis, version: Version) {
    let mut ask = |local: &mut Local, request: &[Vec<u8>]| {
        let args: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        redis.send(&encode(&args));
        (local.run(&args), redis.receive())
    };
    let (ours, theirs) = ask(local, &[b"KEYS".to_vec(), b"*".to_vec()]);
    let ours = ours.sorted();
    assert_eq!(ours, theirs.sorted(), "the same keys");
    let Value::Array(keys) = ours else {
        panic!("KEYS answers an array");
    };
    let mut scanned = walk(|args| local.run(args), &[b"SCAN"]);
    scanned.sort();
    assert_eq!(scanned, keys, "SCAN of a store at rest finds each key once");
    for key in keys {
        let Value::Bulk(key) = key else {
            panic!("a key is a string");
        };
        let (kind, theirs) = ask(local, &[b"TYPE".to_vec(), key.clone()]);
        assert_eq!(kind, theirs);
        let kind = kind.text();
        for (request, comparison) in questions(version, &kind, &key) {
            let (ours, theirs) = ask(local, &request);
            let agreed = agree(comparison, &ours, &theirs);
            assert!(agreed, "{}: {ours:?} {theirs:?}", show(&request));
        }
        if kind == "hash" {
            let walked = Value::Array(walk(|args| local.run(args), &[b"HSCAN", &key]));
            let whole = local.run(&[b"HGETALL", &key]);
            assert_eq!(walked.pairs(), whole.pairs(), "each field once");
        }
    }
}
