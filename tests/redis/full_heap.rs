//! A heap with no room left: writes are refused, everything else goes on, and an update too.

use crate::conversation::Conversation;
use crate::value::{Value, encode};
use dsu_tests::{Fleet, kv, library, until};
use sample_app::server::Settings;

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
/// Sizes of values, from those that need most room at once to those that fit in the last gaps.
const SIZES: [usize; 5] = [60_000, 5000, 1000, 200, 1];
/// Keys of each size that each worker stores before the rest of the heap is filled.
const SOME: usize = 20;
/// Commands sent before their replies are read.
const BATCH: usize = 100;

fn settings() -> Settings {
    let mut settings = kv(2);
    settings.more = ["--heap", "16M"].map(Into::into).to_vec();
    settings
}

fn oom() -> Value {
    Value::Error(OOM.to_owned())
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

/// What a key holds: different bytes for each key.
fn value(key: &str, size: usize) -> Vec<u8> {
    key.bytes().cycle().take(size).collect()
}

/// What was stored: each key with the size of its value.
type Stored = Vec<(String, usize)>;

/// Stores new keys through every worker: some of each size, and then of these until there is room for none.
fn fill(workers: &mut [Conversation], sizes: &[usize]) -> Stored {
    let mut stored = Stored::new();
    for (place, worker) in workers.iter_mut().enumerate() {
        for size in SIZES {
            let keys = (0..SOME).map(|n| format!("{place}:{size}:{n}")).collect();
            let is_full = store(worker, keys, size, &mut stored);
            assert!(!is_full, "the heap is far too small");
        }
    }
    for (place, worker) in workers.iter_mut().enumerate() {
        for &size in sizes {
            let mut next = SOME;
            let mut is_full = false;
            while !is_full {
                let numbers = next..next + BATCH;
                next += BATCH;
                let keys = numbers.map(|n| format!("{place}:{size}:{n}")).collect();
                is_full = store(worker, keys, size, &mut stored);
            }
        }
    }
    stored
}

/// Stores new keys and says whether the heap was too full for one of them.
fn store(worker: &mut Conversation, keys: Vec<String>, size: usize, stored: &mut Stored) -> bool {
    let sent: Vec<u8> = keys
        .iter()
        .flat_map(|key| encode(&[&b"SET"[..], key.as_bytes(), &value(key, size)]))
        .collect();
    worker.send(&sent);
    let mut is_full = false;
    for key in keys {
        match worker.receive() {
            reply if reply == ok() => stored.push((key, size)),
            reply => {
                assert_eq!(reply, oom(), "to SET {key}");
                is_full = true;
            }
        }
    }
    is_full
}

/// Every key that was stored holds its value, and there are no others.
fn assert_holds(worker: &mut Conversation, stored: &Stored) {
    for chunk in stored.chunks(BATCH) {
        let sent: Vec<u8> = chunk
            .iter()
            .flat_map(|(key, _)| encode(&["GET", key]))
            .collect();
        worker.send(&sent);
        for (key, size) in chunk {
            let reply = worker.receive();
            let wanted = Value::Bulk(value(key, *size));
            assert!(reply == wanted, "GET {key} answers {reply:.100?}");
        }
    }
    let size = worker.run(&["DBSIZE"]);
    assert_eq!(size, Value::Integer(stored.len() as i64));
}

fn assert_clean(fleet: &Fleet) {
    let check = fleet.ask(&["status", "--check"]);
    assert_eq!(check.code, 0, "{}\n{}", check.text, fleet.log());
}

fn first_of(stored: &Stored, place: usize, size: usize) -> String {
    let prefix = format!("{place}:{size}:");
    let mut keys = stored.iter().map(|(key, _)| key);
    let found = keys.find(|key| key.starts_with(&prefix));
    found.expect("some of each size were stored").clone()
}

#[test]
fn full_heap_refuses_writes_and_goes_on_with_all_else() {
    let fleet = Fleet::start("full heap", &settings());
    assert_clean(&fleet);
    let mut workers = Conversation::at_each_worker(&fleet);
    let mut stored = fill(&mut workers, &SIZES);
    assert_clean(&fleet);
    let (large, small) = (first_of(&stored, 0, 60_000), first_of(&stored, 0, 200));
    let more = vec![b'+'; 60_000];
    for worker in &mut workers {
        let refused: [&[&[u8]]; 8] = [
            &[b"SET", b"new", &more],
            &[b"SET", small.as_bytes(), &more],
            &[b"GETSET", small.as_bytes(), &more],
            &[b"APPEND", small.as_bytes(), &more],
            &[b"APPEND", large.as_bytes(), &more],
            &[b"SETRANGE", small.as_bytes(), b"59999", b"+"],
            &[
                b"MSET",
                small.as_bytes(),
                b"+",
                large.as_bytes(),
                b"+",
                b"new",
                &more,
            ],
            &[b"MSETNX", b"new", b"+", b"newer", &more],
        ];
        for args in refused {
            let name = String::from_utf8_lossy(args[0]).into_owned();
            assert_eq!(worker.run(args), oom(), "{name}");
        }
        let length = worker.run(&["STRLEN", &large]);
        assert_eq!(length, Value::Integer(60_000));
        assert_eq!(worker.run(&["EXISTS", "new", "newer"]), Value::Integer(0));
        assert_holds(worker, &stored);
    }
    assert_clean(&fleet);
    // What one worker deletes, both find room for.
    for size in SIZES {
        delete(&mut workers[1], &mut stored, size);
        if size == SIZES[0] {
            for (place, worker) in workers.iter_mut().enumerate() {
                let key = format!("again:{place}");
                let reply = worker.run(&[&b"SET"[..], key.as_bytes(), &value(&key, 60_000)]);
                assert_eq!(reply, ok());
                stored.push((key, 60_000));
            }
        }
        assert_holds(&mut workers[0], &stored);
    }
    drop(workers);
    fleet.finish();
}

/// A command that has room for its first changes and not for its last one undoes the first.
#[test]
fn full_heap_leaves_lists_and_hashes_as_they_were() {
    let mut settings = settings();
    settings.library = library("kv_v3");
    let fleet = Fleet::start("lists and hashes in a full heap", &settings);
    let mut workers = Conversation::at_each_worker(&fleet);
    for n in 0..1000 {
        let (element, field) = (format!("element {n}"), format!("field {n}"));
        workers[n % 2].run(&["RPUSH", "list", &element]);
        workers[n % 2].run(&["HSET", "table", &field, "value"]);
    }
    workers[0].run(&["RPUSH", "short", "a", "b", "c"]);
    workers[0].run(&["HSET", "packed", "f", "1", "g", "2"]);
    fill(&mut workers, &SIZES);
    let more = vec![b'+'; 60_000];
    let looks: [&[&str]; 5] = [
        &["LRANGE", "list", "0", "-1"],
        &["LRANGE", "short", "0", "-1"],
        &["HGETALL", "table"],
        &["HGETALL", "packed"],
        &["EXISTS", "new"],
    ];
    let look = |worker: &mut Conversation| looks.map(|look| worker.run(look));
    let before = look(&mut workers[0]);
    for worker in &mut workers {
        let refused: [&[&[u8]]; 13] = [
            &[b"RPUSH", b"new", b"+", b"+", &more],
            &[b"LPUSH", b"list", b"+", b"+", &more],
            &[b"RPUSHX", b"short", b"+", b"+", &more],
            &[b"LSET", b"list", b"500", &more],
            &[b"LINSERT", b"list", b"BEFORE", b"element 500", &more],
            &[b"LINSERT", b"short", b"AFTER", b"a", &more],
            &[b"HSET", b"new", b"f", b"+", b"g", &more],
            &[b"HSETNX", b"new", b"f", &more],
            &[b"HSET", b"packed", b"f", b"+", b"h", b"+", b"f", &more],
            &[b"HMSET", b"packed", b"h", b"+", &more, b"+"],
            &[b"HSET", b"table", b"field 1", b"+", b"h", b"+", b"h", &more],
            &[b"HSETNX", b"table", &more, b"+"],
            &[b"SET", b"short", &more],
        ];
        for args in refused {
            let shown = String::from_utf8_lossy(&args[..2].join(&b' ')).into_owned();
            assert_eq!(worker.run(args), oom(), "{shown}");
            assert_eq!(look(worker), before, "{shown}");
        }
    }
    assert_clean(&fleet);
    for (args, reply) in [
        (&["LTRIM", "list", "1", "-2"][..], ok()),
        (&["LLEN", "list"], Value::Integer(998)),
        (&["LPOP", "short"], Value::Bulk(b"a".to_vec())),
        (&["HDEL", "packed", "f", "g"], Value::Integer(2)),
        (&["HDEL", "table", "field 7"], Value::Integer(1)),
        (
            &["DEL", "list", "table", "short", "packed"],
            Value::Integer(3),
        ),
    ] {
        assert_eq!(workers[1].run(args), reply, "{args:?}");
    }
    assert_clean(&fleet);
    drop(workers);
    fleet.finish();
}

/// Fills a heap with values of these sizes, updates the server, and makes room.
fn update_on_a_heap_full_of(sizes: &[usize]) {
    let fleet = Fleet::start("update on a full heap", &settings());
    let mut workers = Conversation::at_each_worker(&fleet);
    let mut stored = fill(&mut workers, sizes);
    fleet.updated(&library("kv_v2"), &["--probation", "0"]);
    until(|| {
        let workers = fleet.now().workers;
        let crossed = workers.iter().all(|worker| worker.version == Some(2));
        crossed.then_some(())
    });
    for worker in &mut workers {
        assert_holds(worker, &stored);
    }
    // What cannot be converted for want of room holds the commit up, and nothing else.
    delete(&mut workers[0], &mut stored, 200);
    let status = fleet.until_idle();
    assert_eq!(status.version, 2, "{}", fleet.log());
    for worker in &mut workers {
        assert_holds(worker, &stored);
        assert_eq!(worker.run(&["SET", "again", "+", "EX", "1000"]), ok());
        assert_eq!(worker.run(&["DEL", "again"]), Value::Integer(1));
    }
    drop(workers);
    fleet.finish();
}

/// Deletes all keys whose values are this large.
fn delete(worker: &mut Conversation, stored: &mut Stored, size: usize) {
    let gone: Stored = stored.extract_if(.., |(_, it)| *it == size).collect();
    for chunk in gone.chunks(BATCH) {
        let mut request = vec!["DEL"];
        request.extend(chunk.iter().map(|(key, _)| key.as_str()));
        let deleted = worker.run(&request);
        assert_eq!(deleted, Value::Integer(chunk.len() as i64));
    }
}

// R20, R29, R30
#[test]
fn update_on_a_heap_full_of_all_sizes_keeps_every_value() {
    update_on_a_heap_full_of(&SIZES);
}

// R20, R29, R30
#[test]
fn update_on_a_heap_full_of_small_values_keeps_every_value() {
    update_on_a_heap_full_of(&[200, 1]);
}
