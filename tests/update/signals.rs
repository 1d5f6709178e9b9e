//! Signals to the supervisor.

use dsu_tests::{Fleet, kv, ledger, library, until};
use nix::sys::signal::Signal;
use sample_app::load::Value;

#[test]
fn sigusr2_updates_to_what_the_link_holds_now() {
    let fleet = Fleet::start("SIGUSR2", &kv(2));
    let mut wire = fleet.connect();
    let ok = Value::Simple("OK".to_owned());
    assert_eq!(wire.ask(&["SET", "a", "1"]).expect("an answer"), ok);
    fleet.point_link_at(&library("kv_v2")).expect("a link");
    fleet.signal(Signal::SIGUSR2).expect("it runs");
    until(|| (fleet.now().version == 2).then_some(()));
    fleet.until_idle();
    let reply = wire.ask(&["EXPIRE", "a", "100"]).expect("an answer");
    assert_eq!(reply, Value::Integer(1));
    fleet.finish();
}

#[test]
fn sigusr2_for_the_version_that_runs_changes_nothing() {
    let fleet = Fleet::start("SIGUSR2 twice", &ledger());
    let before = fleet.now().workers;
    fleet.signal(Signal::SIGUSR2).expect("it runs");
    until(|| fleet.log().contains("refused").then_some(()));
    assert_eq!(fleet.now().workers, before);
    fleet.finish();
}

#[test]
fn sigterm_drains_and_exits_0() {
    let fleet = Fleet::start("SIGTERM", &kv(2));
    let mut wire = fleet.connect();
    wire.ask(&["SET", "a", "1"]).expect("an answer");
    // Ends with SIGTERM and demands status 0.
    fleet.finish();
    assert!(wire.ask(&["PING"]).is_err());
}
