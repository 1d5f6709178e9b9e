//! A command that runs out of memory half-way: what it had done is undone, and no key is left that it made.

use kv_engine::tables;

use crate::server::Local;
use crate::value::Value;

fn local() -> Local {
    Local::new(tables::v3())
}

fn full() -> Value {
    Value::Error("OOM command not allowed when used memory > 'maxmemory'.".into())
}

/// Runs `line` with room for every number of bytes below `enough`: it is refused and changes nothing that
/// `look` shows; and with `enough` it goes through.
fn refused_until(mut local: Local, enough: usize, line: &str, look: &[&str]) {
    let before: Vec<Value> = look.iter().map(|look| local.line(look)).collect();
    for bytes in 0..enough {
        local.memory.room.leave(bytes);
        assert_eq!(local.line(line), full(), "{line} with {bytes} bytes");
        let after: Vec<Value> = look.iter().map(|look| local.line(look)).collect();
        assert_eq!(after, before, "{line} with {bytes} bytes");
    }
    local.memory.room.leave(enough);
    let reply = local.line(line);
    assert!(!matches!(reply, Value::Error(_)), "{line}: {reply:?}");
}

#[test]
fn a_push_of_several_elements_is_done_whole_or_not_at_all() {
    // Each element takes its bytes and one more.
    refused_until(local(), 9, "RPUSH new aa bb cc", &["EXISTS new"]);
    refused_until(local(), 9, "LPUSH new aa bb cc", &["TYPE new"]);
    for line in ["LPUSH l aa bb cc", "RPUSHX l aa bb cc"] {
        let mut local = local();
        local.line("RPUSH l a b c");
        local.line("PEXPIREAT l 9000000000000");
        refused_until(local, 9, line, &["LRANGE l 0 -1", "PEXPIRETIME l"]);
    }
}

#[test]
fn an_element_that_has_no_place_at_its_target_stays_where_it_was() {
    let mut first = local();
    first.line("RPUSH l one two");
    let look = ["LRANGE l 0 -1", "EXISTS m", "LRANGE m 0 -1"];
    refused_until(first, 4, "LMOVE l m RIGHT LEFT", &look);
    let mut second = local();
    second.line("RPUSH l one two");
    second.line("RPUSH m three");
    refused_until(second, 4, "RPOPLPUSH l m", &look);
}

#[test]
fn changes_within_a_list_are_made_or_not() {
    for (line, enough) in [
        ("LSET l 1 longer", 5),
        ("LINSERT l AFTER b new", 4),
        ("LREM l 1 b", 1),
    ] {
        let mut local = local();
        local.line("RPUSH l a b c");
        refused_until(local, enough, line, &["LRANGE l 0 -1"]);
    }
}

#[test]
fn a_list_is_trimmed_at_both_ends_even_if_there_is_no_memory() {
    let mut local = local();
    local.line("RPUSH l a b c d e");
    local.memory.room.leave(0);
    assert_eq!(local.line("LTRIM l 1 -2").text(), "OK");
    local.memory.room.lift();
    local.line("RPUSH wanted b c d");
    assert_eq!(
        local.line("LRANGE l 0 -1"),
        local.line("LRANGE wanted 0 -1")
    );
}

#[test]
fn all_fields_of_a_command_are_set_or_none() {
    refused_until(local(), 9, "HSET new a 1 b 2 c 3", &["EXISTS new"]);
    refused_until(local(), 3, "HSETNX new a 1", &["EXISTS new"]);
    let mut local = local();
    local.line("HSET h a x b y");
    local.line("PEXPIREAT h 9000000000000");
    // The second change of a undoes to the first, and the first to what there was.
    let line = "HMSET h a longer new 1 a longest b - c 3";
    refused_until(local, 14, line, &["HGETALL h", "PEXPIRETIME h"]);
}

#[test]
fn a_sum_that_has_no_place_leaves_the_field_as_it_was() {
    for line in ["HINCRBY h n 90", "HINCRBYFLOAT h n 90"] {
        let mut local = local();
        local.line("HSET h n 10");
        refused_until(local, 1, line, &["HGETALL h"]);
    }
    refused_until(local(), 3, "HINCRBY new n 1", &["EXISTS new"]);
    refused_until(local(), 5, "HINCRBYFLOAT new n 1.5", &["EXISTS new"]);
}

#[test]
fn a_copy_that_has_no_place_leaves_the_target_as_it_was() {
    for create in ["RPUSH s a b c", "HSET s a b c d", "SET s abcdef"] {
        // Six bytes and one of the key; those of the old entry are given back.
        let mut fresh = local();
        fresh.line(create);
        refused_until(fresh, 7, "COPY s t", &["EXISTS t"]);
        let mut over = local();
        over.line(create);
        over.line("SET t x");
        refused_until(over, 5, "COPY s t REPLACE", &["GET t"]);
    }
}
