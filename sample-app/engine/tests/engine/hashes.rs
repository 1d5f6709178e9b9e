//! Hashes by hand: what chance and cursors decide, and what the commands promise beyond single replies.

use std::collections::{HashMap, HashSet};

use kv_engine::tables;

use crate::agreement::walk;
use crate::server::Local;
use crate::value::Value;

/// More than Redis keeps packed.
const FIELDS: usize = 1_500;

/// Field n holds the value v and n.
fn with_fields(count: usize) -> Local {
    let mut local = Local::new(tables::v3());
    for n in 0..count {
        local.line(&format!("HSET h {n} v{n}"));
    }
    local
}

fn texts(reply: Value) -> Vec<String> {
    match reply {
        Value::Array(items) => items.iter().map(Value::text).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hrandfield_with_a_positive_count_repeats_nothing() {
    for fields in [1, 10, 100] {
        let mut local = with_fields(fields);
        for count in [1, 2, 9, 30, 33, 34, 50, 99, 100, 1_000] {
            let found = texts(local.line(&format!("HRANDFIELD h {count} WITHVALUES")));
            let pairs: HashSet<&[String]> = found.chunks(2).collect();
            assert_eq!(pairs.len(), fields.min(count), "{count} of {fields}");
            for pair in found.chunks(2) {
                assert_eq!(pair[1], format!("v{}", pair[0]));
            }
        }
    }
}

#[test]
fn hrandfield_with_a_negative_count_gives_as_many_as_were_asked_for() {
    let mut local = with_fields(3);
    let found = texts(local.line("HRANDFIELD h -1000"));
    assert_eq!(found.len(), 1_000);
    let different: HashSet<&String> = found.iter().collect();
    assert_eq!(different.len(), 3);
}

/// Every field has the same chance, whichever way is taken to choose it; the bounds are many times what
/// chance would leave them.
#[test]
fn hrandfield_prefers_no_field() {
    const ROUNDS: usize = 4_000;
    for (count, line) in [
        (1, "HRANDFIELD h"),
        (2, "HRANDFIELD h 2"),
        (8, "HRANDFIELD h 8"),
        (5, "HRANDFIELD h -5"),
    ] {
        let mut local = with_fields(10);
        let mut seen: HashMap<String, usize> = HashMap::new();
        for _ in 0..ROUNDS {
            let fields = match local.line(line) {
                Value::Bulk(field) => vec![String::from_utf8(field).expect("a number")],
                other => texts(other),
            };
            assert_eq!(fields.len(), count);
            for field in fields {
                *seen.entry(field).or_default() += 1;
            }
        }
        let expected = ROUNDS * count / 10;
        for (field, times) in seen {
            let fair = expected / 2 < times && times < expected * 2;
            assert!(fair, "{line}: {field} {times} times, not {expected}");
        }
    }
}

#[test]
fn hrandfield_gives_no_more_than_one_reply_may_hold() {
    let mut local = with_fields(1);
    local.run(&[b"HSET", b"h", b"0", &vec![b'x'; 1 << 20]]);
    let reply = local.line("HRANDFIELD h -4611686018427387903 WITHVALUES");
    assert_eq!(reply, Value::Error("ERR value is out of range".into()));
    assert_eq!(local.line("PING").text(), "PONG");
}

#[test]
fn hscan_finds_every_field_that_stays_while_others_come_and_go() {
    let mut local = with_fields(FIELDS);
    let mut round = 0;
    let found = walk(
        |args| {
            // Between two steps fields behind and before the cursor come and go.
            round += 1;
            local.line(&format!("HSET h new{round} x"));
            local.line(&format!("HDEL h {} new{}", FIELDS + round, round / 2));
            local.run(args)
        },
        &[b"HSCAN", b"h"],
    );
    let found: HashSet<String> = found.chunks(2).map(|pair| pair[0].text()).collect();
    for n in 0..FIELDS {
        assert!(found.contains(&n.to_string()), "{n}");
    }
}

#[test]
fn a_packed_hash_is_scanned_at_once() {
    let mut local = with_fields(100);
    let Value::Array(reply) = local.line("HSCAN h 0 COUNT 5") else {
        panic!("an array");
    };
    assert_eq!(reply[0].text(), "0");
    assert_eq!(texts(reply[1].clone()).len(), 200);
    let Value::Array(reply) = local.line("HSCAN h 0 MATCH 9? COUNT 5") else {
        panic!("an array");
    };
    assert_eq!(texts(reply[1].clone()).len(), 20);
}

#[test]
fn hgetall_and_hrandfield_have_types_of_their_own_in_resp3() {
    let mut local = with_fields(1);
    local.line("HELLO 3");
    let pair = || (Value::Bulk(b"0".to_vec()), Value::Bulk(b"v0".to_vec()));
    assert_eq!(local.line("HGETALL h"), Value::Map(vec![pair()]));
    let nested = Value::Array(vec![pair().0, pair().1]);
    let reply = local.line("HRANDFIELD h -2 WITHVALUES");
    assert_eq!(reply, Value::Array(vec![nested.clone(), nested]));
    assert_eq!(local.line("HGETALL nope"), Value::Map(Vec::new()));
}

#[test]
fn whatever_takes_the_last_field_takes_the_key_and_its_deadline() {
    let mut local = with_fields(2);
    local.line("EXPIRE h 100");
    assert_eq!(local.line("HDEL h 0 nope 1 0"), Value::Integer(2));
    assert_eq!(local.line("EXISTS h"), Value::Integer(0));
    local.line("HSET h f 1");
    assert_eq!(local.line("TTL h"), Value::Integer(-1));
}
