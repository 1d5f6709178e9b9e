//! One worker at version 1, the other at version 2, both serving.

use dsu_tests::{Fleet, kv, library, until};
use sample_app::load::{Value, Wire};

/// A server in the middle of an update, with a connection to a worker of each version.
struct Mixed {
    fleet: Fleet,
    old: Wire,
    new: Wire,
}

/// Holds an update after its one canary.
fn mixed(test: &str) -> Mixed {
    let fleet = Fleet::start(test, &kv(2));
    fleet.updated(&library("kv_v2"), &["--canary", "1", "--probation", "3600"]);
    let pid_at = |version| {
        until(|| {
            let workers = fleet.now().workers;
            let at: Vec<u32> = workers
                .iter()
                .filter(|one| one.version == Some(version) && one.state == "serving")
                .map(|one| one.pid)
                .collect();
            (at.len() == 1).then(|| at[0])
        })
    };
    let new_pid = pid_at(2);
    let old_pid = pid_at(1);
    let old = fleet.connect_to(old_pid);
    let new = fleet.connect_to(new_pid);
    Mixed { fleet, old, new }
}

fn ask(wire: &mut Wire, command: &str) -> Value {
    let parts: Vec<&str> = command.split(' ').collect();
    wire.ask(&parts).expect("an answer")
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn bulk(text: &str) -> Value {
    Value::Bulk(Some(text.as_bytes().to_vec()))
}

fn integer(wire: &mut Wire, command: &str) -> i64 {
    match ask(wire, command) {
        Value::Integer(number) => number,
        other => panic!("{command}: {other:?}"),
    }
}

/// A number in INFO.
fn fact(wire: &mut Wire, field: &str) -> u64 {
    let Value::Bulk(Some(text)) = ask(wire, "INFO stats") else {
        panic!("INFO has no text");
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {field} in {text}"))
}

/// What both versions know means the same to both.
fn share_values(Mixed { old, new, .. }: &mut Mixed) {
    for n in 0..50 {
        let (one, other) = match n % 2 {
            0 => (&mut *old, &mut *new),
            _ => (&mut *new, &mut *old),
        };
        assert_eq!(ask(one, &format!("SET k{n} from-one")), ok());
        assert_eq!(ask(other, &format!("GET k{n}")), bulk("from-one"));
        assert_eq!(
            ask(other, &format!("APPEND k{n} +other")),
            Value::Integer(14)
        );
        assert_eq!(ask(one, &format!("GET k{n}")), bulk("from-one+other"));
        assert_eq!(ask(other, "INCR n"), Value::Integer(2 * n + 1));
        assert_eq!(ask(one, "INCR n"), Value::Integer(2 * n + 2));
    }
    assert_eq!(ask(old, "DEL k0"), Value::Integer(1));
    assert_eq!(ask(new, "EXISTS k0"), Value::Integer(0));
    assert_eq!(ask(new, "MSET k0 a k1 b"), ok());
    let both = Value::Array(Some(vec![bulk("a"), bulk("b")]));
    assert_eq!(ask(old, "MGET k0 k1"), both);
    assert_eq!(ask(old, "DBSIZE"), ask(new, "DBSIZE"));
}

/// Both count into the same totals. A worker adds what it has counted now and then.
fn share_totals(Mixed { old, new, .. }: &mut Mixed) {
    for n in 0..4 {
        let (one, other) = match n % 2 {
            0 => (&mut *old, &mut *new),
            _ => (&mut *new, &mut *old),
        };
        let before = fact(other, "keyspace_hits");
        for _ in 0..50 {
            assert_eq!(ask(one, "GET k1"), bulk("b"));
        }
        until(|| {
            ask(one, "PING");
            (fact(other, "keyspace_hits") >= before + 50).then_some(())
        });
    }
}

/// R6: what a version 1 write does to a deadline that it does not know of.
fn keep_deadlines(Mixed { old, new, .. }: &mut Mixed) {
    for key in ["set", "append", "rename", "del", "getset"] {
        assert_eq!(ask(new, &format!("SET ttl:{key} v EX 5000")), ok());
    }
    assert_eq!(ask(new, "SET ttl:incr 5 EX 5000"), ok());
    let unknown = ask(old, "TTL ttl:set");
    assert!(
        matches!(&unknown, Value::Error(text) if text.contains("unknown command")),
        "{unknown:?}"
    );

    assert_eq!(ask(old, "SET ttl:set w"), ok());
    assert_eq!(integer(new, "TTL ttl:set"), -1);
    assert_eq!(ask(old, "GETSET ttl:getset w"), bulk("v"));
    assert_eq!(integer(new, "TTL ttl:getset"), -1);
    assert_eq!(ask(old, "APPEND ttl:append w"), Value::Integer(2));
    assert_eq!(ask(new, "GET ttl:append"), bulk("vw"));
    assert!((1..=5000).contains(&integer(new, "TTL ttl:append")));
    assert_eq!(ask(old, "INCR ttl:incr"), Value::Integer(6));
    assert!((1..=5000).contains(&integer(new, "TTL ttl:incr")));
    assert_eq!(ask(old, "RENAME ttl:rename ttl:renamed"), ok());
    assert!((1..=5000).contains(&integer(new, "TTL ttl:renamed")));
    assert_eq!(integer(new, "TTL ttl:rename"), -2);
    assert_eq!(ask(old, "DEL ttl:del"), Value::Integer(1));
    assert_eq!(ask(old, "SET ttl:del again"), ok());
    assert_eq!(integer(new, "TTL ttl:del"), -1);
    assert_eq!(ask(new, "PERSIST ttl:incr"), Value::Integer(1));
    assert_eq!(ask(old, "INCR ttl:incr"), Value::Integer(7));
    assert_eq!(integer(new, "TTL ttl:incr"), -1);
}

fn exchange(mixed: &mut Mixed) {
    share_values(mixed);
    share_totals(mixed);
    keep_deadlines(mixed);
}

fn assert_values_after(wire: &mut Wire) {
    assert_eq!(ask(wire, "GET k2"), bulk("from-one+other"));
    assert_eq!(ask(wire, "GET n"), bulk("100"));
    assert_eq!(ask(wire, "GET ttl:set"), bulk("w"));
    assert_eq!(ask(wire, "GET ttl:append"), bulk("vw"));
    assert_eq!(ask(wire, "GET ttl:incr"), bulk("7"));
    assert_eq!(ask(wire, "GET ttl:renamed"), bulk("v"));
}

// Base rule, R1, R3, R6, R20
#[test]
fn old_and_new_workers_serve_the_same_keys_and_totals() {
    let mut mixed = mixed("mixed versions");
    exchange(&mut mixed);
    let Mixed {
        fleet,
        mut old,
        mut new,
    } = mixed;
    let answer = fleet.ask(&["rollback", "--wait"]);
    assert!(matches!(answer.code, 0 | 2), "{}", answer.text);
    let status = fleet.until_idle();
    assert_eq!(status.version, 1);
    assert!(status.workers.iter().all(|one| one.version == Some(1)));
    // The connections have lived through it.
    assert_values_after(&mut old);
    assert_values_after(&mut new);
    fleet.finish();
}

// R6, R28, R29, R30
#[test]
fn deadlines_that_old_workers_kept_are_there_when_the_update_has_committed() {
    let mut mixed = mixed("mixed versions, then back and forward");
    exchange(&mut mixed);
    let Mixed {
        fleet,
        mut old,
        mut new,
    } = mixed;
    fleet.ask(&["rollback", "--wait"]);
    fleet.until_idle();
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    let status = fleet.now();
    assert!(status.workers.iter().all(|one| one.version == Some(2)));
    for wire in [&mut old, &mut new] {
        assert_values_after(wire);
        assert!((1..=5000).contains(&integer(wire, "TTL ttl:append")));
        assert!((1..=5000).contains(&integer(wire, "TTL ttl:renamed")));
        assert_eq!(integer(wire, "TTL ttl:set"), -1);
    }
    fleet.finish();
}

// R28
#[test]
fn a_paused_update_stands_still_and_goes_on() {
    let Mixed { fleet, .. } = mixed("pause and resume");
    fleet.accepted(&["pause"]);
    assert_eq!(fleet.now().stage, "paused");
    let again = fleet.ask(&["pause"]);
    assert_eq!((again.code, &*again.word), (1, "refused"), "{}", again.text);
    let versions = |fleet: &Fleet| {
        let workers = fleet.now().workers;
        let mut versions: Vec<_> = workers.iter().filter_map(|one| one.version).collect();
        versions.sort_unstable();
        versions
    };
    assert_eq!(versions(&fleet), [1, 2]);
    fleet.accepted(&["resume"]);
    assert_ne!(fleet.now().stage, "paused");
    fleet.ask(&["rollback", "--wait"]);
    fleet.until_idle();
    assert_eq!(versions(&fleet), [1, 1]);
    fleet.finish();
}
