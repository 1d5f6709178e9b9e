//! When a reply is the one that Redis gives, and how many commands are tried.

use crate::generator::{Comparison, Request};
use crate::value::Value;

/// Times may differ by this much, in whatever unit they are told.
const TOLERANCE: i64 = 120_000;

/// Commands for each version; `KV_DIFFERENTIAL_COMMANDS` asks for more.
pub fn length() -> usize {
    number("KV_DIFFERENTIAL_COMMANDS").unwrap_or(20_000) as usize
}

/// `KV_DIFFERENTIAL_SEED` asks for other chances.
pub fn seed(usual: u64) -> u64 {
    number("KV_DIFFERENTIAL_SEED").unwrap_or(usual)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Version 1 does not know these; that it says so in Redis's words is tested in `errors`.
pub fn only_in_2(request: &Request) -> bool {
    let name = request[0].to_ascii_uppercase();
    let names: [&[u8]; 12] = [
        b"SETEX",
        b"PSETEX",
        b"GETEX",
        b"EXPIRE",
        b"PEXPIRE",
        b"EXPIREAT",
        b"PEXPIREAT",
        b"TTL",
        b"PTTL",
        b"EXPIRETIME",
        b"PEXPIRETIME",
        b"PERSIST",
    ];
    names.contains(&name.as_slice())
}

/// A request as one would type it.
pub fn show(request: &Request) -> String {
    let words = request
        .iter()
        .map(|arg| format!("\"{}\"", arg.escape_ascii()));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether our reply is as good as theirs.
pub fn agree(comparison: Comparison, ours: &Value, theirs: &Value) -> bool {
    match (comparison, ours, theirs) {
        (_, Value::Error(_), _) | (_, _, Value::Error(_)) => ours == theirs,
        (Comparison::Exact, ..) => ours.clone().sorted_sets() == theirs.clone().sorted_sets(),
        (Comparison::Sorted, ..) => ours.clone().sorted() == theirs.clone().sorted(),
        (Comparison::Shape, ..) => std::mem::discriminant(ours) == std::mem::discriminant(theirs),
        (Comparison::Time, Value::Integer(ours), Value::Integer(theirs)) => {
            ours == theirs || (*ours >= 0 && *theirs >= 0 && (ours - theirs).abs() < TOLERANCE)
        }
        (Comparison::Time, ..) => ours == theirs,
    }
}
