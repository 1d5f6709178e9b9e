//! Nothing is lost while versions change.

use dsu_tests::{Fleet, kv, ledger, library, until};
use sample_app::load::{Commands, Load, Plan};
use std::time::Duration;

const CHANGES: usize = 20;
/// Answers between two changes, so that each meets a running load.
const BETWEEN: u64 = 2000;
/// The probe runs only on processors that nobody else wants: the load leaves it some.
const REST: Duration = Duration::from_millis(10);

fn load(fleet: &Fleet, connections: usize) -> Load {
    let mut plan = Plan::new(fleet.address());
    plan.connections = connections;
    plan.rest = REST;
    Load::start(plan, "load").expect("the server takes connections")
}

fn answered(load: &Load, more: u64) {
    let wanted = load.answered() + more;
    until(|| (load.answered() >= wanted).then_some(()));
}

/// The commands that every worker knows when the newest version that runs is this one.
fn commands(version: u64) -> Commands {
    match version {
        1 => Commands::Strings,
        2 => Commands::Expiring,
        _ => Commands::Typed,
    }
}

/// The versions in the order in which they are gone to, as often up as down until the last. Lists and
/// hashes that are parked in version 2 have no way on to version 1, so it comes first.
fn route() -> impl Iterator<Item = u64> {
    let below = [2, 1].into_iter().cycle().take(8);
    let above = [2, 3].into_iter().cycle();
    below.chain(above).take(CHANGES)
}

// R1, R3, R6, R11, R13, R24, R29
#[test]
fn twenty_updates_and_rollbacks_over_three_versions_under_load_lose_nothing() {
    let fleet = Fleet::start("updates under load", &kv(2));
    let load = load(&fleet, 50);
    let mut from = 1;
    for wanted in route() {
        answered(&load, BETWEEN);
        load.use_commands(commands(wanted.min(from)));
        let path = library(&format!("kv_v{wanted}"));
        fleet.updated(&path, &["--probation", "0", "--wait"]);
        load.use_commands(commands(wanted));
        let status = fleet.now();
        assert_eq!(status.version, wanted);
        assert!(status.workers.iter().all(|one| one.version == Some(wanted)));
        from = wanted;
    }
    // Then all that the load has written can be read.
    assert_eq!(from, 3);
    answered(&load, BETWEEN);
    let results = load.finish().expect("the server is there");
    assert!(results.is_clean(), "{:#?}\n{}", results.texts, fleet.log());
    assert_eq!(
        (results.errors, results.disconnects, results.lost),
        (0, 0, 0)
    );
    assert!(results.requests > CHANGES as u64 * BETWEEN);
    fleet.finish();
}

#[test]
fn barrier_update_under_load_loses_nothing() {
    let fleet = Fleet::start("barrier under load", &kv(3));
    let v2 = library("kv_v2");
    let load = load(&fleet, 20);
    answered(&load, BETWEEN);
    let answer = fleet.updated(&v2, &["--mode", "barrier", "--wait"]);
    let record = answer.record().expect("a record");
    assert!(
        record.strategy.starts_with("barrier"),
        "{}",
        record.strategy
    );
    assert_eq!(record.crossings.len(), 3);
    answered(&load, BETWEEN);
    let results = load.finish().expect("the server is there");
    assert!(results.is_clean(), "{:#?}\n{}", results.texts, fleet.log());
    fleet.finish();
}

#[test]
fn crossings_are_recorded_with_update_point_and_pause() {
    let fleet = Fleet::start("crossings", &ledger());
    let answer = fleet.updated(
        &library("fixture_ledger_v2"),
        &["--probation", "0", "--wait"],
    );
    let record = answer.record().expect("a record");
    assert_eq!((record.from_version, record.to_version), (1, Some(2)));
    let mut workers: Vec<u32> = record.crossings.iter().map(|one| one.worker).collect();
    workers.sort_unstable();
    assert_eq!(workers, [0, 1]);
    for crossing in &record.crossings {
        assert!(crossing.pause_ns > 0 && crossing.to == 2 && !crossing.update_point.is_empty());
    }
    let history = fleet.accepted(&["history"]);
    assert_eq!(history.data[0]["outcome"], "committed");
    fleet.finish();
}
