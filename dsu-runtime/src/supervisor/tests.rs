//! The supervisor as a process, with scripted workers and scripted libraries: this test executable plays
//! all three. A library is a text file, `VERSION BEHAVIOUR`; workers behave as the file that they load says.

mod scripted;
mod server;
mod worker;

use super::{Mode, Request, Verdict, read_records};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use server::*;
use std::io::{BufRead, BufReader};

#[test]
fn plays_a_part_when_told_to() {
    match std::env::var("DSU_ROLE").as_deref() {
        Ok("worker") => worker::scripted_worker(),
        Ok("supervisor-under-test") => supervisor_under_test(),
        _ => {}
    }
}

#[test]
fn an_update_commits_in_the_same_processes_and_a_rollback_from_there_is_an_update_back() {
    let server = Server::serving("commit");
    let before = server.status();
    let (verdict, text) = server.update("2 good", |_| {});
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v2 committed")
    );
    let after = server.status();
    assert_eq!(
        (on_version(&after, 2), &after["stage"]),
        (3, &Value::from("idle"))
    );
    assert_eq!(pids(&before), pids(&after));
    assert_eq!(before["listeners"], after["listeners"]);

    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v1 committed")
    );
    assert_eq!(on_version(&server.status(), 1), 3);

    let records = read_records(&server.folder.join("s.sock.run"));
    let ends: Vec<(u32, Option<u32>, &str, usize)> = records
        .iter()
        .map(|r| {
            (
                r.from_version,
                r.to_version,
                r.outcome.as_str(),
                r.crossings.len(),
            )
        })
        .collect();
    assert_eq!(
        ends,
        [(1, Some(2), "committed", 3), (2, Some(1), "committed", 3)]
    );
    let (verdict, text, data) = server.ask(&Request::Status { check: true });
    assert_eq!(
        (verdict, &data["check"]["walked"]),
        (Verdict::Accepted, &Value::from(7)),
        "{text}"
    );
}

#[test]
fn what_cannot_be_loaded_or_compared_is_refused_and_changes_nothing() {
    let server = Server::serving("refuse");
    let before = server.status();
    for (library, why) in [
        ("2 unloadable", "worker 1 cannot load it: no room"),
        ("3 good", "not next to"),
        ("1 good", "runs already"),
    ] {
        let (verdict, text) = server.update(library, |_| {});
        assert_eq!(verdict, Verdict::Refused, "{library}");
        assert!(text.contains(why), "{library}: {text}");
    }
    let (verdict, _) = server.update("2 good", |asked| asked.path = "/nowhere.so".into());
    assert_eq!(verdict, Verdict::Refused);
    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Refused, "{text}");
    let after = server.status();
    assert_eq!(
        (pids(&before), on_version(&after, 1), &after["stage"]),
        (pids(&after), 3, &Value::from("idle"))
    );
}

// R5
#[test]
fn what_is_to_be_filled_is_filled_before_anybody_crosses_or_takes_the_update_back() {
    let server = Server::serving("fills");
    let (verdict, text) = server.update("2 fills no-room", |_| {});
    assert_eq!(verdict, Verdict::RolledBack, "{text}");
    assert!(
        text.contains("cannot fill the other form: guard A, no room"),
        "{text}"
    );
    assert_eq!(on_version(&server.status(), 1), 3);
    let (verdict, text) = server.update("2 fills", |_| {});
    assert_eq!(verdict, Verdict::Accepted, "{text}");
    // The record is written behind the answer, and before the next one.
    assert_eq!(on_version(&server.status(), 2), 3);
    let records = read_records(&server.folder.join("s.sock.run"));
    let [failed, done] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(
        (&failed.filled[..], failed.filled_ms),
        (&["A.b".to_owned()][..], None)
    );
    assert!(failed.crossings.is_empty());
    assert!(done.filled_ms.is_some() && done.strategy.contains("first A.b is filled"));
}

// R28, R32
#[test]
fn a_canary_that_dies_takes_the_update_back_and_its_replacement_runs_the_old_version() {
    for (name, library) in [
        ("dies-now", "2 dies-on-crossing"),
        ("dies-soon", "2 dies-on-probation"),
    ] {
        let server = Server::serving(name);
        let before = server.status();
        let (verdict, text) = server.update(library, |_| {});
        assert_eq!(verdict, Verdict::RolledBack, "{text}");
        assert!(text.contains("worker 0 died"), "{text}");
        let after = server.until(|status| count(status, "serving") == 3);
        assert_eq!(on_version(&after, 1), 3);
        assert_ne!(pids(&before)[0], pids(&after)[0]);
        assert_eq!(
            pids(&before)[1..],
            pids(&after)[1..],
            "nobody else was disturbed"
        );
    }
}

// R24, R28
#[test]
fn a_crossing_that_fails_rolls_back_or_pauses_as_told() {
    let server = Server::serving("refuses");
    let (verdict, text) = server.update("2 refuses", |_| {});
    assert_eq!(verdict, Verdict::RolledBack);
    assert!(
        text.contains("worker 2 could not cross") && text.contains("carry"),
        "{text}"
    );
    assert_eq!(on_version(&server.status(), 1), 3);

    let pause = super::FailurePolicy::Pause;
    server.update("2 refuses", |asked| {
        (asked.wait, asked.on_failure) = (false, pause)
    });
    let paused = server.until(|status| status["stage"] == "paused");
    // The canary stays over; worker 1 does too if it was there before worker 2 failed.
    assert!(
        on_version(&paused, 1) >= 1 && on_version(&paused, 2) >= 1,
        "{paused}"
    );
    let (verdict, text) = server.update("2 good", |_| {});
    assert_eq!(verdict, Verdict::Refused);
    assert!(text.contains("under way (paused)"), "{text}");
    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Accepted, "{text}");
    assert_eq!(on_version(&server.status(), 1), 3);
}

// R14, R16: all together, or nobody
#[test]
fn a_barrier_crosses_together_and_one_that_is_missed_names_the_late() {
    let server = Server::serving("barrier");
    let (verdict, text) = server.update("2 late", |asked| {
        (asked.mode, asked.timeout) = (Mode::Barrier, Some(0.2));
    });
    assert_eq!(verdict, Verdict::RolledBack);
    assert!(text.contains("worker 2 passed no update point"), "{text}");
    assert_eq!(on_version(&server.status(), 1), 3);
    let (verdict, text) = server.update("2 good", |asked| asked.mode = Mode::Barrier);
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v2 committed")
    );
}

#[test]
fn a_paused_update_serves_both_versions_until_it_is_resumed() {
    let server = Server::serving("pause");
    server.update("2 good", |asked| {
        (asked.wait, asked.probation) = (false, Some(3600.0))
    });
    server.until(|status| on_version(status, 2) == 1);
    assert_eq!(server.ask(&Request::Pause).0, Verdict::Accepted);
    assert_eq!(server.ask(&Request::Pause).0, Verdict::Refused);
    let paused = server.status();
    assert_eq!((on_version(&paused, 1), on_version(&paused, 2)), (2, 1));
    assert_eq!(server.ask(&Request::Resume).0, Verdict::Accepted);
    server.until(|status| status["stage"] == "canary");
    let (verdict, _, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(on_version(&server.status(), 1), 3);
}

#[test]
fn a_killed_worker_is_replaced_a_signal_updates_and_another_drains() {
    let mut server = Server::serving("signals");
    let before = pids(&server.status());
    kill(Pid::from_raw(before[1] as i32), Signal::SIGKILL).expect("it lives");
    let after =
        server.until(|status| count(status, "serving") == 3 && pids(status)[1] != before[1]);
    assert_eq!(on_version(&after, 1), 3);

    std::fs::write(server.folder.join("app.so"), "2 good").expect("written");
    server.signal(Signal::SIGUSR2);
    server.until(|status| status["version"] == 2);
    server.signal(Signal::SIGTERM);
    let status = server.process.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(
        !server.folder.join("s.sock").exists(),
        "the socket is removed"
    );
}

#[test]
fn an_application_that_never_starts_is_given_up() {
    let mut server = Server::start("never", "1 never-starts");
    let stdout = server.process.stdout.take().expect("piped");
    let lines: Vec<String> = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .collect();
    let why = lines
        .iter()
        .find(|line| line.starts_with("failed"))
        .expect("it says why");
    assert!(why.contains("exited with status 7"), "{why}");
    assert_eq!(server.process.wait().expect("it ends").code(), Some(1));
}
