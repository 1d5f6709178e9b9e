//! When a reply is the one that Redis gives, and how many commands are tried.

use crate::generator::{Comparison, Request, Version, is_typed};
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

/// Whether the version knows the command; that one says so in Redis's words if it does not is tested in
/// `errors`.
pub fn knows(version: Version, request: &Request) -> bool {
    since(request) <= version
}

fn since(request: &Request) -> Version {
    let name = request[0].to_ascii_uppercase();
    let expiring: [&[u8]; 12] = [
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
    if expiring.contains(&name.as_slice()) {
        Version::Two
    } else if is_typed(&name) {
        Version::Three
    } else {
        Version::One
    }
}

/// What tells all that a key of this type holds and how long it lives, and how that is compared.
pub fn questions(version: Version, kind: &str, key: &[u8]) -> Vec<(Request, Comparison)> {
    let mut lines = match kind {
        "list" => vec![
            ("LRANGE 0 -1", Comparison::Exact),
            ("LINDEX -1", Comparison::Exact),
            ("LLEN", Comparison::Exact),
        ],
        "hash" => vec![
            ("HGETALL", Comparison::Pairs),
            ("HLEN", Comparison::Exact),
            ("HRANDFIELD 1000000 WITHVALUES", Comparison::Pairs),
        ],
        _ => vec![("GET", Comparison::Exact)],
    };
    if version >= Version::Two {
        lines.push(("PEXPIRETIME", Comparison::Time));
    }
    let request = |line: &str| {
        let mut words = line.split(' ').map(|word| word.as_bytes().to_vec());
        let name = words.next();
        name.into_iter()
            .chain([key.to_vec()])
            .chain(words)
            .collect()
    };
    let asked = lines
        .into_iter()
        .map(|(line, comparison)| (request(line), comparison));
    let mut asked: Vec<(Request, Comparison)> = asked.collect();
    if version >= Version::Three {
        let encoding = vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.to_vec()];
        asked.push((encoding, Comparison::Exact));
    }
    asked
}

/// All that SCAN finds, or HSCAN in a key, by `run`, a little at a time.
pub fn walk(mut run: impl FnMut(&[&[u8]]) -> Value, command: &[&[u8]]) -> Vec<Value> {
    let mut elements = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = run(&[command, &[&cursor, b"COUNT", b"3"]].concat());
        let Value::Array(reply) = &reply else {
            panic!("a walk answers {reply:?}");
        };
        let [Value::Bulk(next), Value::Array(found)] = reply.as_slice() else {
            panic!("a walk answers {reply:?}");
        };
        elements.extend_from_slice(found);
        cursor = next.clone();
        if cursor == b"0" {
            return elements;
        }
    }
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
        (Comparison::Pairs, ..) => ours.clone().pairs() == theirs.clone().pairs(),
        (Comparison::Walk, Value::Array(ours), Value::Array(theirs)) => agree_on_walk(ours, theirs),
        (Comparison::Length, Value::Array(ours), Value::Array(theirs)) => {
            agree_on_length(ours, theirs)
        }
        (Comparison::Shape | Comparison::Walk | Comparison::Length, ..) => same_type(ours, theirs),
        (Comparison::Time, Value::Integer(ours), Value::Integer(theirs)) => {
            ours == theirs || (*ours >= 0 && *theirs >= 0 && (ours - theirs).abs() < TOLERANCE)
        }
        (Comparison::Time, ..) => ours == theirs,
    }
}

fn same_type(ours: &Value, theirs: &Value) -> bool {
    std::mem::discriminant(ours) == std::mem::discriminant(theirs)
}

/// Both end at once and have found the same, or one of them goes on.
fn agree_on_walk(ours: &[Value], theirs: &[Value]) -> bool {
    let end = Value::Bulk(b"0".to_vec());
    match (ours, theirs) {
        ([our_next, ours], [their_next, theirs]) if *our_next == end && *their_next == end => {
            ours.clone().pairs() == theirs.clone().pairs()
        }
        ([_, Value::Array(_)], [_, Value::Array(_)]) => true,
        _ => false,
    }
}

fn agree_on_length(ours: &[Value], theirs: &[Value]) -> bool {
    let alike = |(ours, theirs): (&Value, &Value)| match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => ours.len() == theirs.len(),
        _ => same_type(ours, theirs),
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(alike)
}
