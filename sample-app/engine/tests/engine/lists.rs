//! Lists by hand: what the commands promise beyond single replies.

use kv_engine::{UnixMs, tables};

use crate::server::Local;
use crate::value::Value;

fn local() -> Local {
    Local::new(tables::v3())
}

fn elements(local: &mut Local, key: &str) -> Vec<String> {
    match local.line(&format!("LRANGE {key} 0 -1")) {
        Value::Array(items) => items.iter().map(Value::text).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lpush_puts_each_element_before_the_last_and_rpush_behind_it() {
    let mut local = local();
    assert_eq!(local.line("LPUSH l a b c"), Value::Integer(3));
    assert_eq!(local.line("RPUSH l d e"), Value::Integer(5));
    assert_eq!(elements(&mut local, "l"), ["c", "b", "a", "d", "e"]);
}

#[test]
fn lpop_and_rpop_with_a_count_go_from_their_end_inwards() {
    let mut local = local();
    local.line("RPUSH l a b c d e");
    let texts = |reply| match reply {
        Value::Array(items) => items.iter().map(Value::text).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(texts(local.line("LPOP l 2")), ["a", "b"]);
    assert_eq!(texts(local.line("RPOP l 2")), ["e", "d"]);
    assert_eq!(local.line("LPOP l").text(), "c");
    assert_eq!(local.line("EXISTS l"), Value::Integer(0));
}

#[test]
fn whatever_takes_the_last_element_takes_the_key_and_its_deadline() {
    for line in [
        "LPOP l",
        "RPOP l 5",
        "LREM l 0 a",
        "LTRIM l 1 0",
        "LMOVE l m LEFT LEFT",
        "RPOPLPUSH l m",
    ] {
        let mut local = local();
        local.line("RPUSH l a");
        local.line("EXPIRE l 100");
        local.line(line);
        assert_eq!(local.line("EXISTS l"), Value::Integer(0), "{line}");
        assert_eq!(local.line("TYPE l").text(), "none", "{line}");
        local.line("RPUSH l b");
        assert_eq!(local.line("TTL l"), Value::Integer(-1), "{line}");
    }
}

#[test]
fn lmove_within_one_list_turns_it() {
    let mut local = local();
    local.line("RPUSH l a b c");
    assert_eq!(local.line("LMOVE l l LEFT RIGHT").text(), "a");
    assert_eq!(elements(&mut local, "l"), ["b", "c", "a"]);
    assert_eq!(local.line("RPOPLPUSH l l").text(), "a");
    assert_eq!(elements(&mut local, "l"), ["a", "b", "c"]);
}

#[test]
fn a_list_whose_time_is_up_is_gone_for_every_command() {
    let mut local = local();
    for (line, reply) in [
        ("LLEN l", Value::Integer(0)),
        ("LPUSHX l x", Value::Integer(0)),
        ("LPOP l", Value::Null),
        ("LINDEX l 0", Value::Null),
        ("COPY l m", Value::Integer(0)),
        ("OBJECT ENCODING l", Value::Null),
        ("RPUSH l x", Value::Integer(1)),
    ] {
        local.server.clock = Some(UnixMs(1_000));
        local.line("DEL l");
        local.line("RPUSH l a b");
        local.line("PEXPIRE l 10");
        local.server.clock = Some(UnixMs(1_011));
        assert_eq!(local.line(line), reply, "{line}");
    }
}

#[test]
fn only_lookups_by_reading_commands_are_counted() {
    let mut local = local();
    for line in [
        "RPUSH l a",
        "LLEN l",
        "LRANGE l 0 0",
        "LINDEX nope 0",
        "LPOP l",
    ] {
        local.line(line);
    }
    let counted = local.server.counted;
    assert_eq!((counted.hits, counted.misses), (2, 1));
}
