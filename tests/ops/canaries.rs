//! New versions that show only in a worker what is wrong with them.

use dsu_tests::{Fleet, ledger, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Everybody serves version 1, as if nothing had been.
fn is_as_before(fleet: &Fleet) -> bool {
    let status = fleet.now();
    let as_before = |state: &str, version| state == "serving" && version == Some(1);
    status.stage == "idle"
        && status.version == 1
        && status
            .workers
            .iter()
            .all(|one| as_before(&one.state, one.version))
}

// R28, R32
#[test]
fn a_canary_that_panics_leaves_or_hangs_on_probation_takes_the_update_back() {
    let fleet = Fleet::start("moods", &ledger());
    for (mood, why) in [
        ("panic", "worker 0 died in the new version"),
        ("exit", "exited with status 5"),
        ("hang", "does not answer after probation"),
    ] {
        let untouched = fleet.now().workers[1].pid;
        // One that hangs is found out long before the time that others have to cross.
        let flags = ["--probation", "0.3", "--timeout", "3600"];
        let flags = [&flags[..], &["--wait", "--", mood]].concat();
        let answer = fleet.update(&library("fixture_ledger_moody"), &flags);
        assert_eq!(
            (answer.code, &*answer.word),
            (2, "rolled-back"),
            "{mood}: {}",
            answer.text
        );
        assert!(answer.text.contains(why), "{mood}: {}", answer.text);
        until(|| is_as_before(&fleet).then_some(()));
        assert_eq!(fleet.now().workers[1].pid, untouched, "{mood}");
    }
    fleet.finish();
}

// R24
#[test]
fn a_carry_whose_lens_fails_keeps_every_worker_alive_in_the_old_version() {
    let fleet = Fleet::start("stubborn", &ledger());
    let pids = |fleet: &Fleet| {
        fleet
            .now()
            .workers
            .iter()
            .map(|one| one.pid)
            .collect::<Vec<_>>()
    };
    let before = pids(&fleet);
    let answer = fleet.update(&library("fixture_ledger_stubborn"), &["--wait"]);
    assert_eq!(answer.word, "rolled-back");
    assert!(answer.text.contains("does not want to"), "{}", answer.text);
    assert!(is_as_before(&fleet));
    assert_eq!(pids(&fleet), before);
    fleet.finish();
}

// R26
#[test]
fn a_worker_that_stands_still_is_named_before_and_while_workers_cross() {
    let fleet = Fleet::start("stopped", &ledger());
    let stopped = fleet.now().workers[1].pid;
    let signal = |signal| kill(Pid::from_raw(stopped as i32), signal).expect("it is there");
    signal(Signal::SIGSTOP);
    let v2 = library("fixture_ledger_v2");
    let answer = fleet.update(&v2, &["--mode", "barrier", "--timeout", "1"]);
    assert_eq!(answer.word, "refused");
    assert!(answer.text.contains("worker 1"), "{}", answer.text);
    // No update is under way, and it has not heard yet that this one is off.
    let blocking = until(|| {
        let text = fleet.ask(&["blocking"]).text;
        text.contains("stopped by a signal").then_some(text)
    });
    assert!(blocking.contains("worker 1 runs on"), "{blocking}");
    assert!(!blocking.contains("worker 0"), "{blocking}");
    signal(Signal::SIGCONT);
    until(|| is_as_before(&fleet).then_some(()));
    let blocking = fleet.ask(&["blocking"]).text;
    assert!(blocking.contains("all workers answer"), "{blocking}");

    fleet.updated(&v2, &["--probation", "1", "--timeout", "2"]);
    signal(Signal::SIGSTOP);
    until(|| {
        let blocking = fleet.ask(&["blocking"]).text;
        blocking.contains("stopped by a signal").then_some(())
    });
    fleet.until_idle();
    let history = fleet.ask(&["history"]).text;
    assert!(
        history.contains("rolled-back") && history.contains("worker 1"),
        "{history}"
    );
    // It did not come back either, so another has its place.
    until(|| is_as_before(&fleet).then_some(()));
    assert_ne!(fleet.now().workers[1].pid, stopped);
    fleet.finish();
}
