//! Lenses that fail, panic, find no memory or do not end, in a server whose clients ask for the values that
//! they fail on: the value stays as it was, who asked is told, and no block is lost.

use dsu_tests::{Fleet, LineClient as Client, library};
use sample_app::server::Settings;
use std::path::PathBuf;

/// Leaves the canary on its own until the test goes on, or something fails.
const MIXED: &[&str] = &["--canary", "1", "--probation", "3600"];
const AT_ONCE: &[&str] = &["--probation", "0", "--wait"];

fn version(number: u32) -> PathBuf {
    library(&format!("fixture_larder_v{number}"))
}

/// Where lenses do not end, `--transform-timeout`.
const SHORT: &str = "0.3";
/// Long enough for all others on a busy machine.
const LONG: &str = "60";

/// With a jar of this temper among others.
fn larder(test: &str, temper: &str, timeout: &str) -> Fleet {
    let mut settings = Settings::new(version(1));
    settings.workers = 2;
    let more = ["--heap", "32M", "--transform-timeout", timeout];
    settings.more = more.map(Into::into).to_vec();
    let fleet = Fleet::start(test, &settings);
    let mut client = Client::new(fleet.address());
    for number in 0..40 {
        client.ask(&format!("PUT jar{number} {number} calm"));
    }
    client.ask(&format!("PUT special 77 {temper}"));
    client.ask("LABEL 5 calm");
    fleet
}

/// The update was taken back by itself; how its end is worded.
fn end_of_update(fleet: &Fleet) -> String {
    let status = fleet.until_idle();
    assert_eq!(status.version, 1);
    fleet.ask(&["history"]).text
}

fn all_is_as_it_was(fleet: &Fleet) {
    let mut client = Client::new(fleet.address());
    assert_eq!(client.ask("GET special"), "77");
    assert_eq!(client.ask("ADD special 1"), "78");
    for number in 0..40 {
        assert_eq!(client.ask(&format!("GET jar{number}")), number.to_string());
    }
    assert_eq!(client.ask("LABEL"), "5");
}

// R28: an error of the lens, and a panic, are answers to who asked.
#[test]
fn a_lens_that_fails_or_panics_on_a_value_leaves_it_as_it_was_and_takes_the_update_back() {
    for (temper, reason) in [("stubborn", "it does not want to"), ("fragile", "it fell")] {
        for verb in ["GET special", "ADD special 1"] {
            let fleet = larder(temper, temper, LONG);
            fleet.updated(&version(2), MIXED);
            let answer = Client::of_version(&fleet, 2).ask(verb);
            let names = ["error", "special", reason];
            assert!(names.iter().all(|name| answer.contains(name)), "{answer}");
            let end = end_of_update(&fleet);
            for name in ["JARS", "Jar", "special", reason] {
                assert!(end.contains(name), "no {name:?} in {end}");
            }
            all_is_as_it_was(&fleet);
            fleet.finish();
        }
    }
}

// R28: nobody asked for it, but the sweep comes upon it.
#[test]
fn a_value_that_the_sweep_cannot_convert_takes_the_update_back_and_is_named() {
    let fleet = larder("sweep", "stubborn", LONG);
    let answer = fleet.update(&version(2), AT_ONCE);
    assert_eq!((answer.code, &*answer.word), (2, "rolled-back"));
    for name in ["JARS", "Jar", "special", "it does not want to"] {
        assert!(answer.text.contains(name), "no {name:?} in {}", answer.text);
    }
    all_is_as_it_was(&fleet);
    fleet.finish();
}

// R28: a full heap is nobody's fault, and counts against nothing.
#[test]
fn a_lens_that_takes_all_memory_gives_it_back_and_the_update_stays() {
    let fleet = larder("greedy", "greedy", LONG);
    fleet.updated(&version(2), MIXED);
    let mut newer = Client::of_version(&fleet, 2);
    for verb in ["GET special", "ADD special 1"] {
        let answer = newer.ask(verb);
        assert!(answer.contains("heap is full"), "{answer}");
        assert_eq!(newer.ask("PUT another 1 calm"), "put");
    }
    let status = fleet.now();
    assert!(status.workers.iter().any(|one| one.version == Some(2)));
    assert_eq!(fleet.ask(&["rollback", "--wait"]).code, 0);
    all_is_as_it_was(&fleet);
    fleet.finish();
}

// R28: what the older version cannot have is an error to who asks there, and no fault of the newer one.
#[test]
fn a_lens_that_fails_backward_counts_against_nothing_until_the_update_is_taken_back() {
    let fleet = larder("sticky", "calm", LONG);
    fleet.updated(&version(2), MIXED);
    let mut newer = Client::of_version(&fleet, 2);
    newer.ask("PUT special 77 sticky");
    let mut older = Client::of_version(&fleet, 1);
    for verb in ["GET special", "ADD special 1"] {
        let answer = older.ask(verb);
        let names = ["Jar", "special", "JARS.jars", "it stays where it is"];
        assert!(names.iter().all(|name| answer.contains(name)), "{answer}");
    }
    assert_eq!(newer.ask("GET special"), "77");
    let workers = fleet.now().workers;
    assert!(workers.iter().any(|one| one.version == Some(2)));
    newer.ask("PUT special 77 calm");
    assert_eq!(fleet.ask(&["rollback", "--wait"]).code, 0);
    all_is_as_it_was(&fleet);
    fleet.finish();
}

// R28: it is ended with its worker, under a name.
#[test]
fn a_lens_of_items_that_does_not_end_is_ended_and_its_guard_stays_sound() {
    let fleet = larder("endless label", "calm", SHORT);
    Client::new(fleet.address()).ask("LABEL 6 endless");
    fleet.updated(&version(2), MIXED);
    let mut newer = Client::of_version(&fleet, 2);
    assert_eq!(newer.perhaps("LABEL"), None);
    let end = end_of_update(&fleet);
    for name in ["LABEL", "did not end within 0.3 s"] {
        assert!(end.contains(name), "no {name:?} in {end}");
    }
    let mut client = Client::new(fleet.address());
    assert_eq!(client.ask("LABEL"), "6");
    client.ask("LABEL 5 calm");
    fleet.until_serving(2);
    all_is_as_it_was(&fleet);
    fleet.finish();
}

// R28: in the sweep no section of the application is cut off, so that nothing is poisoned.
#[test]
fn a_lens_of_a_value_that_does_not_end_in_the_sweep_poisons_nothing() {
    let fleet = larder("endless sweep", "endless", SHORT);
    let answer = fleet.update(&version(2), AT_ONCE);
    assert_eq!((answer.code, &*answer.word), (2, "rolled-back"));
    for name in ["JARS", "Jar", "did not end within 0.3 s"] {
        assert!(answer.text.contains(name), "no {name:?} in {}", answer.text);
    }
    fleet.until_serving(2);
    all_is_as_it_was(&fleet);
    fleet.finish();
}

// R28: in a section of the application, which may have written before.
#[test]
fn a_lens_of_a_value_that_does_not_end_in_a_section_poisons_its_guard_and_loses_no_block() {
    let fleet = larder("endless value", "endless", SHORT);
    fleet.updated(&version(2), MIXED);
    assert_eq!(Client::of_version(&fleet, 2).perhaps("GET special"), None);
    let end = end_of_update(&fleet);
    for name in ["JARS", "Jar", "did not end within 0.3 s"] {
        assert!(end.contains(name), "no {name:?} in {end}");
    }
    fleet.until_serving(2);
    let mut client = Client::new(fleet.address());
    assert!(client.ask("GET jar1").contains("JARS is poisoned"));
    assert_eq!(client.ask("LABEL"), "5");
    // What nobody reaches is found behind poisoned guards too.
    let check = fleet.ask(&["status", "--check"]);
    let findings = check.data["check"]["findings"].as_array();
    let findings = findings.expect("a list of sentences");
    let lost = |finding: &serde_json::Value| finding.to_string().contains("nobody reaches");
    assert!(!findings.iter().any(lost), "{findings:?}");
    fleet.finish_after_deaths();
}
