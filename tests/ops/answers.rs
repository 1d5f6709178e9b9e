//! What `dsu` says and exits with, whatever it is asked.

use dsu_tests::{Fleet, ledger, library};

fn code(fleet: &Fleet, arguments: &[&str]) -> Option<i32> {
    fleet
        .command(arguments)
        .output()
        .expect("it runs")
        .status
        .code()
}

#[test]
fn bad_usage_exits_64_and_a_missing_supervisor_3() {
    let fleet = Fleet::start("usage", &ledger());
    let library = library("fixture_ledger_v2");
    let library = library.to_str().expect("plain");
    for wrong in [
        &["update"][..],
        &["update", library, library],
        &["update", library, "--timeout", "-1"],
        &["update", library, "--probation", "nan"],
        &["update", library, "--mode", "sideways"],
        &["fly"],
    ] {
        assert_eq!(code(&fleet, wrong), Some(64), "{wrong:?}");
    }
    let output = fleet
        .command(&["status", "--control", "/nonexistent/dsu.sock"])
        .output();
    assert_ne!(output.expect("it runs").status.code(), Some(0));
    for (wrong, why) in [
        (&["rollback"][..], "nothing to go back to"),
        (&["pause"], "no update is under way"),
        (&["resume"], "nothing is paused"),
        (&["update", library, "--canary", "3"], "smaller --canary"),
        (
            &["update", library, "--listen", "192.0.2.1:1"],
            "cannot listen",
        ),
    ] {
        let answer = fleet.ask(wrong);
        assert_eq!(
            (answer.code, &*answer.word),
            (1, "refused"),
            "{}",
            answer.text
        );
        assert!(answer.text.contains(why), "{}", answer.text);
    }
    assert_eq!(fleet.now().stage, "idle");
    fleet.finish();
}

#[test]
fn what_an_update_took_is_the_same_in_the_answer_and_in_the_history() {
    let fleet = Fleet::start("took", &ledger());
    let library = library("fixture_ledger_v2");
    let library = library.to_str().expect("plain");
    let asked = |arguments: &[&str]| -> serde_json::Value {
        let output = fleet.command(arguments).output().expect("it runs");
        serde_json::from_slice(&output.stdout).expect("one object")
    };
    let answer = &asked(&["update", library, "--wait", "--json"])["data"];
    let crossings = answer["crossings"].as_array().expect("a list");
    let after = crossings
        .iter()
        .map(|crossing| crossing["after_ms"].as_u64());
    assert!(
        after.max().flatten() <= answer["took_ms"].as_u64(),
        "{answer}"
    );
    assert_eq!(&asked(&["history", "--json"])["data"][0], answer);
    fleet.finish();
}

#[test]
fn an_update_that_nobody_waits_for_is_called_off_and_says_so() {
    let fleet = Fleet::start("called off", &ledger());
    fleet.updated(&library("fixture_ledger_v2"), &["--probation", "3600"]);
    let second = fleet.update(&library("fixture_ledger_v2"), &[]);
    assert_eq!(second.word, "refused");
    assert!(
        second.text.contains("under way (canary)"),
        "{}",
        second.text
    );
    let answer = fleet.accepted(&["rollback", "--wait"]);
    assert!(answer.text.contains("rolled-back"), "{}", answer.text);
    let status = fleet.until_idle();
    assert_eq!(status.version, 1);
    assert!(status.data["heap"]["committed_bytes"].as_u64() > Some(0));
    let builds = status.data["builds"].as_array().expect("a list");
    assert!(
        builds
            .iter()
            .all(|build| build["loaded_bytes"].as_u64() > Some(0)),
        "{builds:?}"
    );
    // NO_COLOR or not: a log that is no terminal is plain text.
    assert!(!fleet.log().contains('\u{1b}'), "{}", fleet.log());
    fleet.finish();
}
