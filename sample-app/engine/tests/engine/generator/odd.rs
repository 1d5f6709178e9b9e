//! What clients should not send, and may: wrong numbers of arguments, numbers at the edges, letters in
//! any case, and requests typed by hand.

use super::{Dice, Request};
use crate::value::encode;

/// Numbers as C, Rust and people would not agree on them. None is a size that is both allowed and
/// large, nor a time that is soon.
const NUMBERS: &[&[u8]] = &[
    b"",
    b"-",
    b"+",
    b"00",
    b"-0",
    b"+0",
    b"0x1",
    b"1e1",
    b"1.",
    b"1 ",
    b"\t1",
    b"1\x00",
    b"\xd9\xa1",
    b"2147483647",
    b"2147483648",
    b"-2147483648",
    b"-2147483649",
    b"4294967295",
    b"4294967296",
    b"9223372036854775806",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775807",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999",
    b"-99999999999999999999999999999999",
    b"000000000000000000000000000000001",
    b"inf",
    b"-nan",
];

/// Spoils a request a little, or not at all.
pub fn spoil(request: &mut Request, dice: &mut Dice) {
    if dice.below(16) == 0 {
        for _ in 0..=dice.below(3) {
            if dice.below(2) == 0 && request.len() > 1 {
                let at = 1 + dice.below(request.len() - 1);
                request.remove(at);
            } else {
                let at = 1 + dice.below(request.len());
                request.insert(at, dice.pick(NUMBERS).to_vec());
            }
        }
    }
    if dice.below(12) == 0 && request.len() > 1 {
        let at = 1 + dice.below(request.len() - 1);
        request[at] = dice.pick(NUMBERS).to_vec();
    }
    if dice.below(4) == 0 {
        let arguments = if dice.below(4) == 0 { request.len() } else { 1 };
        for byte in request[..arguments].iter_mut().flatten() {
            if dice.below(2) == 0 {
                *byte = byte.to_ascii_lowercase();
            }
        }
    }
}

/// The request as a client library sends it, or as a person types it.
pub fn encode_somehow(request: &Request, dice: &mut Dice) -> Vec<u8> {
    let is_long = request.iter().map(Vec::len).sum::<usize>() > 4_000;
    if is_long || dice.below(6) > 0 {
        return encode(request);
    }
    let mut line = Vec::new();
    for (index, word) in request.iter().enumerate() {
        let spaces = usize::from(index > 0) + dice.below(8) / 6;
        line.extend((0..spaces).map(|_| dice.pick(b" \t")));
        // Where a line begins with `*` it is no line of words.
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:+?[]^#$".contains(byte);
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte) || *byte >= 0x80;
        match dice.below(3) {
            0 | 1 if !word.is_empty() && word.iter().all(is_plain) => line.extend_from_slice(word),
            1 if word.iter().all(is_printable) && !word.contains(&b'\\') => {
                line.push(b'\'');
                for &byte in word {
                    line.extend((byte == b'\'').then_some(b'\\'));
                    line.push(byte);
                }
                line.push(b'\'');
            }
            _ => double_quoted(word, &mut line, dice),
        }
    }
    line.extend_from_slice(dice.pick(&[&b"\r\n"[..], b"\n", b" \r\n"]));
    line
}

fn double_quoted(word: &[u8], line: &mut Vec<u8>, dice: &mut Dice) {
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x07 => line.extend_from_slice(b"\\a"),
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' if dice.below(8) > 0 => line.push(byte),
            _ if dice.below(2) == 0 => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            _ => line.extend_from_slice(format!("\\x{byte:02X}").as_bytes()),
        }
    }
    line.push(b'"');
}

/// Whether an odd number in the request would be a short time, ask for very much, or be a cursor, which
/// means something else to each server.
pub fn is_delicate(request: &Request) -> bool {
    let name = request[0].to_ascii_uppercase();
    let options = request.iter().any(|arg| {
        let names: [&[u8]; 4] = [b"EX", b"PX", b"EXAT", b"PXAT"];
        names.iter().any(|name| arg.eq_ignore_ascii_case(name))
    });
    let is_of_times = name.ends_with(b"EX") || name.windows(6).any(|part| part == b"EXPIRE");
    options || is_of_times || name == b"HRANDFIELD" || name == b"HSCAN"
}
