//! What clients hear when the store cannot: a full heap, foreign values, locks that cannot
//! be had. And keys whose time is up.

use kv_engine::{ExpiryCycle, UnixMs, tables};

use crate::memory::InMemory;
use crate::server::Local;
use crate::value::Value;

fn local() -> Local {
    let mut local = Local::new(tables::v2());
    local.server.clock = Some(UnixMs(1_000_000));
    local
}

#[test]
fn a_full_heap_refuses_writes_and_goes_on_with_reads_and_removals() {
    let mut local = local();
    local.line("MSET a 9 b text");
    local.memory.room.leave(0);
    let full = Value::Error("OOM command not allowed when used memory > 'maxmemory'.".into());
    for line in [
        "SET a 2",
        "SET c 1 GET",
        "GETSET a 3",
        "MSET c 1 d 2",
        "INCR a",
        "INCR c",
        "APPEND b x",
        "SETRANGE c 5 x",
        "SETEX c 5 x",
        "RENAME a c",
        "INCRBYFLOAT b2 1",
    ] {
        assert_eq!(local.line(line), full, "{line}");
    }
    assert_eq!(local.line("MGET a b c d"), local.line("MGET a b nope nope"));
    assert_eq!(local.line("GET a").text(), "9");
    assert_eq!(local.line("EXPIRE a 100"), Value::Integer(1));
    assert_eq!(local.line("DEL a b"), Value::Integer(2));
    assert_eq!(local.line("DBSIZE"), Value::Integer(0));
}

#[test]
fn foreign_values_can_be_moved_and_removed_but_not_read() {
    // R11
    let mut local = local();
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    let wrong = Value::Error(wrong.into());
    local.memory.put_foreign(b"l");
    for line in [
        "GET l",
        "GETSET l 1",
        "GETDEL l",
        "APPEND l x",
        "STRLEN l",
        "GETRANGE l 0 1",
        "SETRANGE l 0 x",
        "INCR l",
        "INCRBYFLOAT l 1",
        "SET l v GET",
        "GETEX l",
    ] {
        assert_eq!(local.line(line), wrong, "{line}");
    }
    assert_eq!(local.line("MGET l"), Value::Array(vec![Value::Null]));
    assert_eq!(local.line("TYPE l").text(), "list");
    assert_eq!(local.line("EXISTS l"), Value::Integer(1));
    assert_eq!(local.line("PEXPIREAT l 2000000"), Value::Integer(1));
    assert_eq!(local.line("RENAME l m").text(), "OK");
    assert_eq!(local.line("PEXPIRETIME m"), Value::Integer(2_000_000));
    assert_eq!(
        local.line("KEYS *"),
        Value::Array(vec![Value::Bulk(b"m".to_vec())])
    );
    assert_eq!(
        local.line("SCAN 0 TYPE string COUNT 100"),
        local.line("SCAN 0 TYPE nope COUNT 100")
    );
    assert_eq!(local.line("SET m v").text(), "OK");
    assert_eq!(local.line("GET m").text(), "v");
}

#[test]
fn a_lock_that_cannot_be_had_is_an_error_of_that_command_alone() {
    let mut local = local();
    local.memory.unavailable = true;
    let poisoned = Value::Error("ERR guard SHARDS is poisoned".into());
    for line in ["GET a", "MSET a 1 b 2", "SCAN 0", "KEYS *", "FLUSHALL"] {
        assert_eq!(local.line(line), poisoned, "{line}");
    }
    assert_eq!(local.line("PING").text(), "PONG");
    assert!(local.line("INFO").text().contains("redis_version"));
    local.memory.unavailable = false;
    assert_eq!(local.line("GET a"), Value::Null);
}

#[test]
fn a_key_lives_up_to_its_deadline_and_not_past_it() {
    let mut local = local();
    local.line("SET k v PX 500");
    local.server.clock = Some(UnixMs(1_000_500));
    assert_eq!(local.line("GET k").text(), "v");
    assert_eq!(local.line("PTTL k"), Value::Integer(0));
    local.server.clock = Some(UnixMs(1_000_501));
    for line in ["TTL k", "PTTL k", "EXPIRETIME k"] {
        assert_eq!(local.line(line), Value::Integer(-2), "{line}");
    }
    assert_eq!(local.line("SET k w XX"), Value::Null);
    assert_eq!(local.line("SET k w NX").text(), "OK");
    assert_eq!(local.line("TTL k"), Value::Integer(-1));
}

#[test]
fn active_expiry_finds_every_key_whose_time_is_up() {
    let mut local = local();
    for n in 0..2_000 {
        local.line(&format!("SET short:{n} v PX 10"));
        local.line(&format!("SET long:{n} v PX 100000"));
        local.line(&format!("SET ever:{n} v"));
    }
    let later = UnixMs(1_000_100);
    let mut cycle = ExpiryCycle::default();
    let mut removed = 0;
    let mut rounds = 0;
    while removed < 2_000 {
        let progress = cycle.run::<InMemory>(&mut local.memory, later, 8);
        let progress = progress.expect("nothing is locked here");
        assert!(progress.removed == 0 || progress.is_busy());
        removed += progress.removed;
        rounds += 1;
        assert!(rounds < 1_000, "every shard has its turn");
    }
    assert_eq!(removed, 2_000);
    assert_eq!(local.line("DBSIZE"), Value::Integer(4_000));
    local.memory.unavailable = true;
    assert!(cycle.run::<InMemory>(&mut local.memory, later, 1).is_err());
}
