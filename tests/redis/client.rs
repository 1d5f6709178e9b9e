//! A client library that was written for Redis: its handshake, its pipelines, its SCAN.

use dsu_tests::{Fleet, kv, library, until};
use redis::{Client, Commands, Connection, Value};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const STABLE: usize = 10_000;
/// Keys that come and go.
const PASSING: u64 = 3000;
const BATCH: u64 = 50;

fn connect(fleet: &Fleet, protocol: &str) -> Connection {
    let url = format!("redis://{}/?protocol={protocol}", fleet.address());
    let client = Client::open(url).expect("an address");
    client.get_connection().expect("a handshake")
}

#[test]
fn hello_3_tells_of_the_server_and_changes_the_types_of_replies() {
    let fleet = Fleet::start("hello", &kv(2));
    let mut resp2 = connect(&fleet, "resp2");
    let mut resp3 = connect(&fleet, "resp3");
    let hello = |connection: &mut Connection, protocol: u8| -> Value {
        let mut command = redis::cmd("HELLO");
        command
            .arg(protocol)
            .query(connection)
            .expect("a handshake")
    };
    let Value::Map(fields) = hello(&mut resp3, 3) else {
        panic!("RESP3 has maps");
    };
    let field = |name: &str| -> Value {
        let found = fields.iter().find(|(field, _)| {
            redis::from_redis_value_ref::<String>(field).ok() == Some(name.into())
        });
        found.expect("a field of HELLO").1.clone()
    };
    assert_eq!(field("proto"), Value::Int(3));
    assert_eq!(field("server"), Value::BulkString(b"redis".to_vec()));
    assert!(matches!(hello(&mut resp2, 2), Value::Array(_)));
    let none: Value = resp3.get("none").expect("an answer");
    assert_eq!(none, Value::Nil);
    let none: Option<String> = resp2.get("none").expect("an answer");
    assert_eq!(none, None);
    let config: Value = redis::cmd("CONFIG")
        .arg(&["GET", "databases"])
        .query(&mut resp3)
        .expect("an answer");
    assert!(matches!(config, Value::Map(_)), "{config:?}");
    drop((resp2, resp3));
    fleet.finish();
}

#[test]
fn a_pipeline_answers_each_command_in_order_and_an_error_in_its_place() {
    let fleet = Fleet::start("pipelines", &kv(2));
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&fleet, protocol);
        let mut pipeline = redis::pipe();
        for n in 0..1000_i64 {
            let key = format!("{protocol}:{n}");
            pipeline.set(&key, n).ignore();
            pipeline.incr(&key, 1_i64);
            pipeline.append(&key, "0").ignore();
            pipeline.get(&key);
        }
        let replies: Vec<i64> = pipeline.query(&mut connection).expect("all answered");
        let wanted: Vec<i64> = (1..=1000).flat_map(|n| [n, n * 10]).collect();
        assert_eq!(replies, wanted);
        let mut pipeline = redis::pipe();
        pipeline.set("text", "text").incr("text", 1).get("text");
        let error = pipeline
            .query::<Vec<Value>>(&mut connection)
            .expect_err("text is no number");
        assert!(error.to_string().contains("not an integer"), "{error}");
        // The connection is where it was: the next reply is the next command's.
        let text: String = connection.get("text").expect("an answer");
        assert_eq!(text, "text");
    }
    fleet.finish();
}

#[test]
fn a_pipeline_finds_a_key_whose_time_is_up_gone_and_makes_it_anew() {
    let mut settings = kv(1);
    settings.library = library("kv_v3");
    let fleet = Fleet::start("overdue", &settings);
    let mut connection = connect(&fleet, "resp2");
    for _ in 0..50 {
        let mut set = redis::cmd("SET");
        let () = set
            .arg(&["old", "x", "PX", "1"])
            .query(&mut connection)
            .expect("set");
        // Whoever asked whether its time is up would remove it.
        std::thread::sleep(Duration::from_millis(2));
        // One behind the other in one shard: the first finds it over its time, the next ones need its place.
        let mut pipeline = redis::pipe();
        pipeline.get("old").set_nx("old", "y").get("old").ttl("old");
        pipeline.append("old", "z").get("old").del("old");
        let replies: (Option<String>, bool, String, i64, i64, String, i64) =
            pipeline.query(&mut connection).expect("all answered");
        let (y, yz) = ("y".to_owned(), "yz".to_owned());
        assert_eq!(replies, (None, true, y, -1, 2, yz, 1));
    }
    fleet.finish();
}

/// One SCAN from beginning to end.
fn scanned(connection: &mut Connection) -> HashSet<String> {
    let keys = connection.scan_match::<_, String>("stable:*");
    let keys = keys.expect("a cursor");
    keys.map(|key| key.expect("a key")).collect()
}

fn assert_complete(found: &HashSet<String>) {
    let missing = (0..STABLE).map(stable).find(|key| !found.contains(key));
    assert_eq!(missing, None, "{} found", found.len());
    assert_eq!(found.len(), STABLE);
}

fn stable(n: usize) -> String {
    format!("stable:{n}")
}

/// Inserts and deletes keys, so that tables grow, shrink and move, until it is told to stop.
fn churn(connection: &mut Connection, stop: &AtomicBool, rounds: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        for deletes in [false, true] {
            for start in (0..PASSING).step_by(BATCH as usize) {
                let mut pipeline = redis::pipe();
                for n in start..start + BATCH {
                    let key = format!("passing:{n}");
                    if deletes {
                        pipeline.del(key).ignore();
                    } else {
                        pipeline.set(key, n).ignore();
                    }
                }
                pipeline.query::<()>(connection).expect("all answered");
            }
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

// R29
#[test]
fn scan_finds_every_key_that_stays_while_others_come_and_go_and_versions_change() {
    let fleet = Fleet::start("scan", &kv(2));
    let mut connection = connect(&fleet, "resp3");
    for start in (0..STABLE).step_by(500) {
        let pairs: Vec<(String, usize)> = (start..start + 500).map(|n| (stable(n), n)).collect();
        connection.mset::<_, _, ()>(&pairs).expect("stored");
    }
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut other = connect(&fleet, "resp2");
    std::thread::scope(|scope| {
        let churning = scope.spawn(|| churn(&mut other, &stop, &rounds));
        // Whatever fails here, the other client ends.
        let stopper = Stopper(&stop);
        while rounds.load(Ordering::Relaxed) < 2 {
            assert_complete(&scanned(&mut connection));
        }
        for forward in [true, false] {
            let fleet = &fleet;
            let change = scope.spawn(move || match forward {
                true => fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]),
                false => fleet.accepted(&["rollback", "--wait"]),
            });
            while !change.is_finished() {
                assert_complete(&scanned(&mut connection));
            }
            change.join().expect("an accepted change");
            assert_complete(&scanned(&mut connection));
        }
        drop(stopper);
        churning.join().expect("the other client had no error");
    });
    let size: usize = redis::cmd("DBSIZE").query(&mut connection).expect("a size");
    assert_eq!(size, STABLE);
    drop((connection, other));
    fleet.finish();
}

struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// With keys on every shard whose time is up, be they removed already or not.
#[test]
fn randomkey_names_no_key_whose_time_is_up() {
    for version in ["kv_v2", "kv_v3"] {
        let mut settings = kv(2);
        settings.library = library(version);
        let fleet = Fleet::start("random key", &settings);
        let mut connection = connect(&fleet, "resp2");
        let random = |connection: &mut Connection| -> Option<String> {
            redis::cmd("RANDOMKEY")
                .query(connection)
                .expect("an answer")
        };
        for _ in 0..5 {
            for kept in [None, Some("kept".to_owned())] {
                let mut pipeline = redis::pipe();
                for n in 0..300 {
                    let key = format!("passing:{n}");
                    pipeline.cmd("SET").arg(key).arg("x").arg("PX").arg(10);
                    pipeline.ignore();
                }
                if let Some(kept) = &kept {
                    pipeline.set(kept, "x").ignore();
                }
                pipeline.query::<()>(&mut connection).expect("all are set");
                // Set last, over last.
                until(|| {
                    let is_there: bool = connection.exists("passing:299").expect("an answer");
                    (!is_there).then_some(())
                });
                for _ in 0..20 {
                    assert_eq!(random(&mut connection), kept, "{version}");
                }
                let _: u64 = connection.del("kept").expect("an answer");
            }
        }
        fleet.finish();
    }
}
