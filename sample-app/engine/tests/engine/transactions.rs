//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: beside a real Redis, and where there is nothing to compare with:
//! failures of the store, versions without transactions, and crossings.

use kv_engine::{Progress, UnixMs, tables};

use crate::errors::converse;
use crate::redis::Redis;
use crate::server::Local;
use crate::two_connections::{local, table};
use crate::value::{Value, encode};

/// Bytes as they are, one conversation each. QUIT ends each.
const CONVERSATIONS: &[&[u8]] = &[
    b"multi\r\nmulti\r\nping\r\nexec\r\nquit\r\n",
    b"multi\r\nwatch a\r\nping\r\nexec\r\nexec\r\nquit\r\n",
    b"exec\r\ndiscard\r\nunwatch\r\nunwatch x\r\nwatch\r\nmulti x\r\nquit\r\n",
    b"exec x\r\nmulti\r\nexec x\r\nping\r\nexec\r\nquit\r\n",
    b"multi\r\nEXEC x\r\nset a 1\r\nquit\r\n",
    b"multi\r\ndiscard x\r\nping\r\nexec\r\nping\r\nquit\r\n",
    b"multi\r\nnonsense a b\r\nping\r\nexec\r\nquit\r\n",
    b"multi\r\nget\r\nset a 1\r\nexec\r\nget a\r\nquit\r\n",
    b"multi\r\nclient nope\r\nexec\r\nmulti\r\nclient\r\nexec\r\nmulti\r\nconfig nope\r\nexec\r\nquit\r\n",
    b"multi\r\nexec\r\nmulti\r\ndiscard\r\nping\r\nquit\r\n",
    b"hello 3\r\nmulti\r\nexec\r\nmulti\r\nget nope\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nmulti\r\nget a\r\nexec\r\nget a\r\nquit\r\n",
    b"hello 3\r\nwatch a\r\nset a 1\r\nmulti\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nunwatch\r\nmulti\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nmulti\r\ndiscard\r\nmulti\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nexec\r\nmulti\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nmulti\r\nunwatch\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nwatch a\r\nmulti\r\nget a\r\nexec\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nmulti\r\nget\r\nexec\r\nquit\r\n",
    b"watch a\r\nmulti\r\nset a 1\r\nset a 2\r\nexec\r\nget a\r\nquit\r\n",
    b"set k v pxat 1\r\nwatch k\r\nget k\r\nmulti\r\nget k\r\nexec\r\nquit\r\n",
    b"watch k\r\nset k v\r\ndel k\r\nmulti\r\nget k\r\nexec\r\nquit\r\n",
    b"watch k\r\nflushall\r\nmulti\r\nget k\r\nexec\r\nset k v\r\nwatch k\r\nflushall\r\nmulti\r\nexec\r\nquit\r\n",
    b"multi\r\nset a 1\r\nincr a\r\nappend a x\r\nincr a\r\nget a\r\nexec\r\nget a\r\nquit\r\n",
    b"multi\r\nmset a 1 b 2\r\nrename a c\r\nkeys c\r\ndbsize\r\nscan 0 match b\r\nflushall\r\ndbsize\r\nrandomkey\r\nexec\r\nquit\r\n",
    b"multi\r\nclient reply off\r\nping\r\nexec\r\nping\r\nquit\r\n",
    b"multi\r\nclient reply off\r\nping\r\nclient reply on\r\nping\r\nexec\r\nping\r\nquit\r\n",
    b"multi\r\nclient reply skip\r\nping\r\nexec\r\nping\r\nping\r\nquit\r\n",
    b"multi\r\nping\r\nclient reply skip\r\nexec\r\nping\r\nping\r\nquit\r\n",
    b"client reply off\r\nmulti\r\nclient reply on\r\nping\r\nexec\r\nping\r\nquit\r\n",
    b"client reply skip\r\nmulti\r\nping\r\nexec\r\nquit\r\n",
    b"multi\r\nping\r\nclient reply nope\r\nexec\r\nquit\r\n",
    b"client setname n\r\nmulti\r\nping\r\nreset\r\nexec\r\nclient getname\r\nquit\r\n",
    b"watch a\r\nset a 1\r\nreset\r\nmulti\r\nping\r\nexec\r\nquit\r\n",
    b"multi\r\nping\r\nquit\r\nexec\r\n",
    b"multi\r\nping\r\nquit x\r\n",
    b"multi\r\nhello 3\r\nget nope\r\nhello 2\r\nget nope\r\nexec\r\nquit\r\n",
    b"multi\r\nhello 3\r\nexec\r\nget nope\r\nquit\r\n",
    b"multi\r\nhello 9\r\nauth x\r\nselect 1\r\nauth a b c\r\nexec\r\nquit\r\n",
    b"multi\r\nclient setname a\r\nclient getname\r\nclient no-evict on\r\nexec\r\nquit\r\n",
    b"multi\r\nconfig get save\r\ninfo cluster\r\nunwatch\r\necho \"a\\x00b\"\r\nexec\r\nquit\r\n",
    b"multi\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$3\r\na\r\n\r\nget b\r\nexec\r\nquit\r\n",
    b"multi\r\nset a 1\r\n*1\r\n:\r\n",
    b"multi\r\nset \"a\r\n",
    b"multi\r\nset a 1 nx xx\r\nset a 1 ex 0\r\nexpire a x\r\nexec\r\nquit\r\n",
    b"multi\r\ncommand info nope\r\ncommand getkeys get a\r\ncommand getkeys watch a b\r\nexec\r\nquit\r\n",
    b"multi\r\n\r\n*0\r\nping\r\nexec\r\nquit\r\n",
];

#[test]
fn transactions_are_answered_as_redis_does() {
    let Some(redis) = Redis::start() else {
        return;
    };
    converse(local(), &redis, CONVERSATIONS);
}

#[test]
fn command_info_tells_of_transactions_what_redis_tells() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    for name in ["multi", "exec", "discard", "watch", "unwatch"] {
        let ours = local().line(&format!("COMMAND INFO {name}")).sorted();
        assert_eq!(ours, redis.run(&["COMMAND", "INFO", name]).sorted());
    }
}

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

fn queued() -> Value {
    Value::Simple("QUEUED".into())
}

fn lines(local: &mut Local, lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|line| local.line(line)).collect()
}

/// R24: as the carry of an update takes the connection along, to a version with this table.
fn cross(local: &mut Local, transactions: Transactions) {
    let carry = serde_json::to_string(&local.session).expect("a session is serialisable");
    local.session = serde_json::from_str(&carry).expect("and back");
    local.table = match transactions {
        Transactions::Known => table(),
        Transactions::Unknown => tables::v2(),
    };
}

enum Transactions {
    Known,
    Unknown,
}

#[test]
fn a_store_that_cannot_be_locked_runs_nothing_and_ends_the_transaction() {
    let mut local = local();
    lines(&mut local, &["MULTI", "SET a 1", "PING"]);
    local.memory.unavailable = true;
    let why = "EXECABORT Transaction discarded because of: guard SHARDS is poisoned";
    assert_eq!(local.line("EXEC"), error(why));
    local.memory.unavailable = false;
    assert_eq!(local.line("EXEC"), error("ERR EXEC without MULTI"));
    assert_eq!(local.line("EXISTS a"), Value::Integer(0));
}

#[test]
fn a_full_heap_is_an_error_in_its_place_of_the_array() {
    let mut local = local();
    local.line("SET a 9");
    local.memory.room.leave(0);
    lines(&mut local, &["MULTI", "INCR a", "GET a"]);
    let full = error("OOM command not allowed when used memory > 'maxmemory'.");
    let nine = Value::Bulk(b"9".to_vec());
    assert_eq!(local.line("EXEC"), Value::Array(vec![full, nine]));
}

#[test]
fn watch_is_off_while_an_older_worker_may_write_and_a_transaction_is_not() {
    // R12
    let mut local = local();
    local.memory.changes.epoch = None;
    let off = error("ERR WATCH is off until all workers run this version");
    assert_eq!(local.line("WATCH a"), off);
    let replies = lines(&mut local, &["MULTI", "PING", "EXEC"]);
    assert_eq!(replies[2], Value::Array(vec![Value::Simple("PONG".into())]));
}

#[test]
fn a_watched_key_counts_as_touched_when_changes_may_have_gone_unnoted() {
    for epoch in [None, Some(2)] {
        let mut local = local();
        lines(&mut local, &["WATCH a", "MULTI", "SET a 1"]);
        local.memory.changes.epoch = epoch;
        assert_eq!(local.line("EXEC"), Value::NullArray, "{epoch:?}");
        assert_eq!(local.line("EXISTS a"), Value::Integer(0));
    }
}

#[test]
fn a_key_whose_time_comes_while_it_is_watched_is_touched_and_one_whose_time_was_up_is_not() {
    for (watched_at, touched) in [(1_000, true), (3_000, false)] {
        let mut local = local();
        local.server.clock = Some(UnixMs(1_000));
        local.line("SET k v PXAT 2000");
        local.server.clock = Some(UnixMs(watched_at));
        local.line("WATCH k");
        local.server.clock = Some(UnixMs(4_000));
        let replies = lines(&mut local, &["EXISTS k", "MULTI", "PING", "EXEC"]);
        assert_eq!(replies[3] == Value::NullArray, touched, "at {watched_at}");
    }
}

#[test]
fn a_queue_runs_in_another_version_that_has_transactions() {
    let mut local = local();
    lines(&mut local, &["WATCH a", "MULTI", "SET a 1"]);
    cross(&mut local, Transactions::Known);
    assert_eq!(local.line("INCR a"), queued());
    let both = Value::Array(vec![Value::Simple("OK".into()), Value::Integer(2)]);
    assert_eq!(local.line("EXEC"), both);
}

#[test]
fn half_a_request_within_a_transaction_survives_a_crossing() {
    let mut local = local();
    local.line("MULTI");
    let request = encode(&["SET", "a", "value"]);
    for cut in 0..request.len() {
        local.session.feed(&request[..cut]);
        assert_eq!(local.process(usize::MAX), Progress::Idle);
        cross(&mut local, Transactions::Known);
        assert_eq!(
            local.exchange(&request[cut..]),
            b"+QUEUED\r\n",
            "cut at {cut}"
        );
    }
    let Value::Array(replies) = local.line("EXEC") else {
        panic!("as many replies as requests");
    };
    assert_eq!(replies.len(), request.len());
}

#[test]
fn a_version_without_transactions_refuses_what_would_be_queued_and_what_was() {
    let refused = error("ERR this version has no transactions: end this one by EXEC or DISCARD");
    let aborted = "EXECABORT Transaction discarded because of: this version has no transactions";
    let mut local = local();
    lines(&mut local, &["MULTI", "SET a 1"]);
    cross(&mut local, Transactions::Unknown);
    for line in ["SET a 2", "GET a", "MULTI", "WATCH a", "NONSENSE", "GET"] {
        assert_eq!(local.line(line), refused, "{line}");
    }
    assert_eq!(local.line("exec"), error(aborted));
    assert_eq!(local.line("EXISTS a"), Value::Integer(0));
    for end in ["DISCARD", "RESET", "QUIT"] {
        cross(&mut local, Transactions::Known);
        lines(&mut local, &["MULTI", "SET a 1"]);
        cross(&mut local, Transactions::Unknown);
        assert!(matches!(local.line(end), Value::Simple(_)), "{end}");
        if end != "QUIT" {
            assert_eq!(local.line("EXISTS a"), Value::Integer(0));
        }
    }
    assert!(local.session.is_closing());
}

#[test]
fn a_queue_that_was_refused_a_part_runs_in_no_version() {
    let mut local = local();
    lines(&mut local, &["MULTI", "SET a 1"]);
    cross(&mut local, Transactions::Unknown);
    local.line("SET a 2");
    cross(&mut local, Transactions::Known);
    assert_eq!(local.line("SET a 3"), queued());
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(local.line("EXEC"), error(aborted));
    assert_eq!(local.line("EXISTS a"), Value::Integer(0));
}

#[test]
fn a_queue_that_nothing_was_asked_of_meanwhile_runs_when_its_version_is_back() {
    let mut local = local();
    lines(&mut local, &["MULTI", "SET a 1"]);
    cross(&mut local, Transactions::Unknown);
    cross(&mut local, Transactions::Known);
    let done = Value::Array(vec![Value::Simple("OK".into())]);
    assert_eq!(local.line("EXEC"), done);
}

#[test]
fn client_list_tells_how_much_is_queued() {
    let mut local = local();
    assert!(local.line("CLIENT INFO").text().contains(" multi=-1 "));
    lines(&mut local, &["MULTI", "CLIENT INFO", "CLIENT NO-EVICT ON"]);
    let line = local.session.describe(UnixMs(0));
    assert!(
        line.contains(" flags=x ") && line.contains(" multi=2 "),
        "{line}"
    );
    assert!(!line.contains(" multi-mem=0 "), "{line}");
    let Value::Array(replies) = local.line("EXEC") else {
        panic!("a reply for each");
    };
    let line = replies[0].text();
    assert!(
        line.contains(" flags=x ") && line.contains(" multi=2 "),
        "{line}"
    );
    assert!(local.line("CLIENT INFO").text().contains(" flags=e "));
}

#[test]
fn client_info_tells_whether_a_watched_key_was_touched() {
    let mut local = local();
    for (line, flags) in [
        ("WATCH a b", "N"),
        ("SET c 1", "N"),
        ("SET b 1", "d"),
        ("UNWATCH", "N"),
        ("WATCH b", "N"),
        ("FLUSHALL", "d"),
        ("RESET", "N"),
    ] {
        local.line(line);
        let info = local.line("CLIENT INFO").text();
        assert!(info.contains(&format!(" flags={flags} ")), "{line}: {info}");
    }
}

#[test]
fn queued_commands_count_when_they_run() {
    let mut local = local();
    lines(&mut local, &["MULTI", "GET a", "GET a"]);
    assert_eq!(local.server.counted.commands, 1);
    local.line("EXEC");
    assert_eq!(local.server.counted.commands, 4);
    assert_eq!(local.server.counted.misses, 2);
}
