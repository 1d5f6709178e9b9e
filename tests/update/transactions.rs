//! Transactions of the running sample: over several workers, while versions are mixed, and through updates
//! and rollbacks.

use dsu_tests::{Fleet, kv, library, until};
use sample_app::load::{Value, Wire};
use sample_app::server::Settings;

fn running(name: &str) -> Settings {
    let mut settings = kv(2);
    settings.library = library(name);
    settings
}

/// The answers to several commands, one after the other.
fn ask(wire: &mut Wire, commands: &str) -> Vec<Value> {
    let answers = commands.split("; ").map(|command| {
        let parts: Vec<&str> = command.split(' ').collect();
        wire.ask(&parts).expect("an answer")
    });
    answers.collect()
}

/// The last of them.
fn last(wire: &mut Wire, commands: &str) -> Value {
    ask(wire, commands).pop().expect("some command")
}

fn error(text: &str) -> Value {
    Value::Error(text.to_owned())
}

fn integers(numbers: &[i64]) -> Value {
    Value::Array(Some(numbers.iter().copied().map(Value::Integer).collect()))
}

/// One connection to each worker that runs this version.
fn connected(fleet: &Fleet, version: u64, count: usize) -> Vec<Wire> {
    let pids = until(|| {
        let workers = fleet.now().workers;
        let at = workers
            .iter()
            .filter(|one| one.version == Some(version) && one.state == "serving");
        let pids: Vec<u32> = at.map(|one| one.pid).collect();
        (pids.len() == count).then_some(pids)
    });
    pids.iter().map(|pid| fleet.connect_to(*pid)).collect()
}

#[test]
fn a_watched_key_is_told_of_by_every_worker_and_other_keys_are_not() {
    let fleet = Fleet::start("watch", &running("kv_v3"));
    let mut wires = connected(&fleet, 3, 2);
    let [one, other] = wires.as_mut_slice() else {
        panic!("a connection to each worker");
    };
    for (meanwhile, touched) in [
        ("SET b 1", false),
        ("INCR a", true),
        ("GET a", false),
        ("EXPIRE a 1000", true),
        ("DEL nope", false),
        ("INCR text", false),
        ("LPUSH a x", false),
        ("RENAME b a", true),
        ("DEL a", true),
        ("FLUSHALL", true),
    ] {
        ask(one, "FLUSHALL; MSET a 1 b 2 text x; WATCH a");
        last(other, meanwhile);
        let answer = last(one, "MULTI; SET done 1; EXEC");
        assert_eq!(
            answer == Value::Array(None),
            touched,
            "{meanwhile}: {answer:?}"
        );
    }
    // A list that is edited where it lies is told of as well, and one that is looked at in vain is not.
    for (meanwhile, touched) in [
        ("LREM l 0 nope", false),
        ("RPUSH l 1", true),
        ("LPOP l", true),
    ] {
        ask(one, "FLUSHALL; RPUSH l 1 2; WATCH l");
        last(other, meanwhile);
        let answer = last(one, "MULTI; LLEN l; EXEC");
        assert_eq!(
            answer == Value::Array(None),
            touched,
            "{meanwhile}: {answer:?}"
        );
    }
    fleet.finish();
}

// R12
#[test]
fn watch_waits_until_no_older_worker_is_left_and_transactions_do_not() {
    let fleet = Fleet::start("watch mixed", &running("kv_v2"));
    let v3 = library("kv_v3");
    fleet.updated(&v3, &["--canary", "1", "--probation", "3600"]);
    let mut new = connected(&fleet, 3, 1).remove(0);
    let mut old = connected(&fleet, 2, 1).remove(0);
    let off = error("ERR WATCH is off until all workers run this version");
    assert_eq!(last(&mut new, "WATCH a"), off);
    // Either both numbers are raised or none, for a worker of whatever version.
    for round in 1..=200 {
        ask(&mut new, "MULTI; INCR x; INCR y");
        new.push(&["EXEC"]);
        new.flush().expect("sent");
        let Value::Array(Some(seen)) = last(&mut old, "MGET x y") else {
            panic!("two values");
        };
        assert_eq!(seen[0], seen[1], "in round {round}");
        assert_eq!(new.reply().expect("an answer"), integers(&[round, round]));
    }
    let unknown = "ERR unknown command 'MULTI', with args beginning with: ";
    assert_eq!(last(&mut old, "MULTI"), error(unknown));
    fleet.accepted(&["rollback", "--wait"]);
    fleet.updated(&v3, &["--probation", "0", "--wait"]);
    assert_eq!(last(&mut old, "WATCH x"), Value::Simple("OK".to_owned()));
    last(&mut new, "INCR x");
    assert_eq!(last(&mut old, "MULTI; INCR x; EXEC"), Value::Array(None));
    fleet.finish();
}

// R12, R24
#[test]
fn a_transaction_that_was_begun_is_run_as_a_whole_or_not_at_all_whatever_versions_come() {
    let fleet = Fleet::start("transactions cross", &running("kv_v2"));
    let v3 = library("kv_v3");
    fleet.updated(&v3, &["--probation", "0", "--wait"]);
    let mut wires: Vec<Wire> = (0..4).map(|_| fleet.connect()).collect();
    for wire in &mut wires {
        ask(wire, "SET watched 1; WATCH watched; MULTI; INCR n");
    }
    ask(&mut wires[1], "DISCARD; MULTI; INCR n");
    fleet.accepted(&["rollback", "--wait"]);
    let none = error("ERR this version has no transactions: end this one by EXEC or DISCARD");
    assert_eq!(last(&mut wires[2], "INCR n"), none);
    let aborted = "EXECABORT Transaction discarded because of: this version has no transactions";
    assert_eq!(last(&mut wires[3], "EXEC"), error(aborted));
    fleet.updated(&v3, &["--probation", "0", "--wait"]);
    // What was watched may have changed unseen; nothing was asked of the second one; the third was refused.
    assert_eq!(last(&mut wires[0], "INCR n; EXEC"), Value::Array(None));
    assert_eq!(last(&mut wires[1], "INCR n; EXEC"), integers(&[1, 2]));
    let refused = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(last(&mut wires[2], "INCR n; EXEC"), error(refused));
    assert_eq!(last(&mut wires[3], "EXEC"), error("ERR EXEC without MULTI"));
    assert_eq!(last(&mut wires[3], "INCR n"), Value::Integer(3));
    fleet.finish();
}
