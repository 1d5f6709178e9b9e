//! Connections: budgets, back-pressure, closing, and crossing to another version.

use kv_engine::{Progress, Session, UnixMs, tables};

use crate::server::{Local, client};
use crate::value::{Value, encode};

fn local() -> Local {
    Local::new(tables::v2())
}

#[test]
fn a_batch_ends_with_its_budget_and_goes_on_later() {
    let mut local = local();
    local.session.feed(&b"INCR n\r\n".repeat(10));
    assert_eq!(local.process(4), Progress::More);
    assert_eq!(local.session.unsent(), b":1\r\n:2\r\n:3\r\n:4\r\n");
    assert_eq!(local.process(100), Progress::Idle);
    assert_eq!(local.session.unread(), 0);
    assert_eq!(local.server.counted.commands, 10);
}

#[test]
fn a_client_that_does_not_read_is_not_served_further() {
    let mut local = local();
    local.run(&[b"SET", b"k", &vec![b'x'; 700_000]]);
    local.session.feed(&b"GET k\r\n".repeat(10));
    assert_eq!(local.process(usize::MAX), Progress::OutputFull);
    assert!(local.session.unsent().len() < 1_500_000);
    let length = local.session.unsent().len();
    local.session.sent(length);
    assert_eq!(local.process(usize::MAX), Progress::OutputFull);
}

#[test]
fn nothing_runs_after_quit_or_a_protocol_error() {
    for ending in [&b"QUIT\r\n"[..], b"*1\r\n:\r\n"] {
        let mut local = local();
        local.session.feed(&[ending, b"SET k v\r\n"].concat());
        assert_eq!(local.process(usize::MAX), Progress::Closing);
        assert_eq!(local.process(usize::MAX), Progress::Closing);
        local.session = Session::new(client(8));
        assert_eq!(local.line("EXISTS k"), Value::Integer(0));
    }
}

#[test]
fn a_session_crosses_in_the_middle_of_a_request_and_of_a_reply() {
    // R24: half-read and half-written buffers survive.
    let mut local = local();
    local.line("HELLO 3");
    local.line("CLIENT SETNAME me");
    let request = encode(&["SET", "k", "v"]);
    for cut in 0..request.len() {
        local.session.feed(b"ECHO before\r\n");
        local.session.feed(&request[..cut]);
        local.process(usize::MAX);
        local.session.sent(4);
        let carry = serde_json::to_string(&local.session).expect("a session is serialisable");
        local.session = serde_json::from_str(&carry).expect("and back");
        local.session.feed(&request[cut..]);
        local.session.feed(b"CLIENT GETNAME\r\nGET nope\r\n");
        assert_eq!(local.process(usize::MAX), Progress::Idle);
        let rest = b"before\r\n+OK\r\n$2\r\nme\r\n_\r\n";
        assert_eq!(local.session.unsent(), rest, "cut at {cut}");
        local.session.sent(local.session.unsent().len());
    }
}

#[test]
fn a_read_goes_straight_into_the_session() {
    let mut local = local();
    let request = encode(&[b"SET", b"k".as_slice(), &vec![b'v'; 100_000]]);
    let mut rest = request.as_slice();
    while !rest.is_empty() {
        let space = local.session.space();
        assert!(space.len() >= 16 << 10);
        let length = rest.len().min(space.len()).min(5_000);
        space[..length].copy_from_slice(&rest[..length]);
        local.session.filled(length);
        rest = &rest[length..];
        local.process(usize::MAX);
    }
    assert_eq!(local.session.unsent(), b"+OK\r\n");
    local.session.sent(5);
    local.session.trim();
    assert_eq!(local.line("STRLEN k"), Value::Integer(100_000));
}

#[test]
fn an_announced_512_mib_takes_no_memory() {
    let mut local = local();
    local
        .session
        .feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc");
    assert_eq!(local.process(usize::MAX), Progress::Idle);
    assert!(local.session.space().len() < 64 << 10);
}

#[test]
fn client_list_shows_everyone_once_in_order() {
    let mut local = local();
    local.server.others = vec![(9, "id=9 name=other".into()), (2, "id=2".into())];
    local.server.clock = Some(UnixMs(5_000));
    local.line("CLIENT SETINFO LIB-NAME lib");
    let list = local.line("CLIENT LIST").text();
    let ids: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(ids, ["id=2", "id=7", "id=9"]);
    assert!(list.contains("cmd=client|list") && list.contains("lib-name=lib "));
    let some = local.line("CLIENT LIST ID 9 3").text();
    assert_eq!(some, "id=9 name=other\n");
    assert!(
        local
            .line("CLIENT INFO")
            .text()
            .starts_with("id=7 addr=127.0.0.1:50000 ")
    );
}

#[test]
fn info_counts_what_was_done() {
    let mut local = local();
    for line in [
        "SET k v",
        "GET k",
        "GET nope",
        "NOPE",
        "PEXPIREAT k 9000000000000",
    ] {
        local.line(line);
    }
    let info = local.line("INFO").text();
    for field in [
        "total_commands_processed:4",
        "keyspace_hits:1",
        "keyspace_misses:1",
        "total_error_replies:1",
        "db0:keys=1,expires=1,avg_ttl=0",
        "# Worker\r\nslot:3",
        "redis_version:7.0.15",
    ] {
        assert!(info.contains(field), "{field} in {info}");
    }
    assert_eq!(local.line("INFO worker").text(), "# Worker\r\nslot:3\r\n");
}

#[test]
fn a_broken_request_ends_a_connection_whose_replies_are_off_without_a_word() {
    for mode in ["off", "skip"] {
        let mut local = local();
        let bytes = format!("client reply {mode}\r\n*1\r\nx\r\n");
        assert_eq!(local.exchange(bytes.as_bytes()), b"");
        assert!(local.session.is_closing(), "{mode}");
    }
}

#[test]
fn a_reply_beyond_the_limit_takes_no_more_memory_than_that_and_the_connection_is_closed() {
    const LIMIT: usize = 1 << 20;
    let value = vec![b'x'; LIMIT / 2];
    let keys = [&b"k"[..]; 400];
    let mget = encode(&[&[&b"MGET"[..]], &keys[..]].concat());
    let gets = encode(&["GET", "k"]).repeat(keys.len());
    let append = encode(&["APPEND", "n", "x"]);
    let begin = [encode(&["MULTI"]), append.clone()].concat();
    let exec = [begin, gets, append.clone(), encode(&["EXEC"])].concat();
    for (request, appended) in [(mget, 0), (exec, 2)] {
        let mut local = Local::new(tables::v3());
        local.server.most_reply = LIMIT;
        local.run(&[b"SET", b"k", &value]);
        local.session.feed(&request);
        assert_eq!(local.process(usize::MAX), Progress::Closing);
        let unsent = local.session.unsent();
        assert!(unsent.len() < LIMIT, "nothing of it is sent");
        let line = local.session.describe(UnixMs(0));
        let output = line.split(" rbs=").nth(1).expect("the buffer's size");
        let output: usize = output
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!(output <= 4 * LIMIT, "{line}");
        assert_eq!(local.server.cut, 1);
        // The commands stand.
        local.session = Session::new(client(8));
        assert_eq!(local.line("STRLEN n"), Value::Integer(appended));
    }
}

/// Requests that go through one door, among others that do not.
const MIXED: &str = "SET n 1|INCR n|LPUSH n x|INCR n|INCRBY n x|INCR n|DEL n|INCR n|LPUSH l a b|LPUSH l c|\
    INCR l|LPUSH l|LPUSH l d|LLEN l|NOSUCH l|LPUSH l e|DEL l|LPUSH l f|MULTI|LPUSH l g|INCR n|EXEC|LPUSH l h|\
    CLIENT REPLY SKIP|LPUSH l i|LPUSH l j|SET old x PXAT 999|GET old|EXISTS old|SETNX old y|GET old|\
    SET due x PXAT 1000|GET due|PERSIST due|GET due|LRANGE l 0 -1|LPOP l 9|EXISTS l|MGET n old|GET n";

#[test]
fn requests_in_a_row_answer_as_they_do_one_by_one() {
    let fresh = || {
        let mut local = Local::new(tables::v3());
        local.server.clock = Some(UnixMs(1_000));
        local
    };
    let requests: Vec<Vec<u8>> = MIXED
        .split('|')
        .map(|line| encode(&line.trim().split(' ').collect::<Vec<_>>()))
        .collect();
    let mut alone = fresh();
    let replies: Vec<u8> = requests
        .iter()
        .flat_map(|one| alone.exchange(one))
        .collect();
    for budget in [1, 2, 3, 7, 100] {
        let mut together = fresh();
        together.session.feed(&requests.concat());
        while together.process(budget) == Progress::More {}
        assert_eq!(
            together.session.unsent().escape_ascii().to_string(),
            replies.escape_ascii().to_string(),
            "{budget} at a time"
        );
        assert_eq!(together.server.counted, alone.server.counted);
        assert!(together.memory.opened < alone.memory.opened || budget == 1);
    }
}

#[test]
fn a_shard_stays_open_for_requests_of_it_and_not_for_many_or_long_ones() {
    let opened = |requests: Vec<u8>| {
        let mut local = Local::new(tables::v3());
        local.exchange(&encode(&["MSET", "k", "v", "n", "0"]));
        local.memory.opened = 0;
        local.exchange(&requests);
        local.memory.opened
    };
    let one = encode(&["INCR", "n"]);
    assert_eq!(opened(one.repeat(16)), 1);
    assert_eq!(opened(one.repeat(17)), 2);
    let long = vec![b'x'; 9_000];
    let push = encode(&[b"LPUSH", b"l".as_slice(), &long]);
    assert_eq!(opened(push.repeat(2)), 2);
    // What may take long gets a shard of its own.
    assert_eq!(opened(encode(&["LRANGE", "l", "0", "-1"]).repeat(4)), 4);
    assert_eq!(opened(encode(&["DEL", "n"]).repeat(4)), 4);
}

#[test]
fn an_error_undoes_the_edit_of_its_own_request_alone() {
    for (pipeline, is_touched) in [
        ("INCR n|INCRBY n x|LPUSH n x", true),
        ("INCRBY n x|LPUSH n x|DECRBY n 9223372036854775807", false),
    ] {
        let mut local = Local::new(tables::v3());
        local.memory.changes.epoch = Some(1);
        local.line("SET n -5");
        local.line("WATCH n");
        let mut other = Session::new(client(8));
        std::mem::swap(&mut local.session, &mut other);
        let lines = pipeline.split('|');
        let requests = lines.map(|line| encode(&line.split(' ').collect::<Vec<_>>()));
        local.exchange(&requests.collect::<Vec<_>>().concat());
        std::mem::swap(&mut local.session, &mut other);
        local.line("MULTI");
        local.line("GET n");
        assert_eq!(
            local.line("EXEC") == Value::NullArray,
            is_touched,
            "{pipeline}"
        );
    }
}
