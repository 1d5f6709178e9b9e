//! Three versions of which each changes what it holds, and whose modules in between `dsu xfgen` wrote.

use dsu_tests::{Fleet, host, journey, library, until};
use sample_app::server::Settings;
use std::path::Path;
use std::process::Command;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/journey");
const QUICK: &[&str] = &["--probation", "0", "--wait"];

fn version(number: u32) -> std::path::PathBuf {
    library(&format!("fixture_journey_v{number}"))
}

/// Waits until a worker that has begun says this.
fn until_told(fleet: &Fleet, what: &str, times: usize) {
    until(|| (fleet.log().matches(what).count() >= times).then_some(()));
}

/// A server that is at version 2 and has been at 1 and 3.
fn back_from_the_third(test: &str) -> Fleet {
    let fleet = Fleet::start(test, &journey());
    for number in [2, 3] {
        let answer = fleet.updated(&version(number), QUICK);
        assert!(!answer.text.contains("lossy"), "{}", answer.text);
    }
    until_told(&fleet, "v3 finds", 2);
    let answer = fleet.updated(&version(2), QUICK);
    assert!(!answer.text.contains("lossy"), "{}", answer.text);
    fleet
}

// R35: what is compiled into versions 2 and 3 is what `dsu xfgen` writes for them, to the byte.
#[test]
fn the_modules_between_the_versions_are_what_xfgen_writes() {
    for (old, new) in [(1, 2), (2, 3)] {
        let module = format!("{FIXTURES}/v{new}/src/from_v{old}.rs");
        let mut dsu = Command::new(host().program);
        let output = dsu.arg("xfgen").args([version(old), version(new)]).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let written = String::from_utf8(output.stdout).expect("text");
        let compiled = std::fs::read_to_string(&module).expect("it is part of the sources");
        assert_eq!(written, compiled, "dsu xfgen … --force --out {module}");
    }
}

// R6, R35: lenses that nobody wrote by hand lose nothing.
#[test]
fn generated_lenses_take_a_server_there_and_back_with_all_it_holds() {
    let fleet = Fleet::start("generated lenses", &journey());
    fleet.updated(&version(2), QUICK);
    until_told(&fleet, "v2 finds 0 tags, label 0, busy at 7", 1);
    fleet.accepted(&["rollback", "--wait"]);
    until_told(&fleet, "v1 finds motd 38, busy at 7", 2);
    fleet.updated(&version(2), QUICK);
    until_told(&fleet, "v2 finds 1 tags, label 38, busy at 7", 2);
    fleet.finish();
}

// R10
#[test]
fn what_a_longer_way_back_loses_is_said_before_it_starts_and_kept_in_the_history() {
    let fleet = back_from_the_third("a longer way back");
    // What version 2 had added for itself has been kept all the time.
    until_told(&fleet, "v2 finds 1 tags, label 38", 2);
    let answer = fleet.updated(&version(1), &["--probation", "3600"]);
    assert!(answer.text.ends_with("lossy: Stop.motd"), "{}", answer.text);
    let status = fleet.accepted(&["status"]);
    assert!(status.text.contains("lossy: Stop.motd"), "{}", status.text);
    assert_eq!(status.data["lossy"][0], "Stop.motd");
    // Taken back by the operator who has read it, and then wanted all the same.
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 2);
    let answer = fleet.updated(&version(1), QUICK);
    assert!(answer.text.contains("lossy: Stop.motd"), "{}", answer.text);
    until_told(&fleet, "v1 finds motd 0, busy at 7", 1);
    // What was at version 2 last waits there; what was at version 3 has been swept away.
    let answer = fleet.updated(&version(2), QUICK);
    assert!(!answer.text.contains("lossy"), "{}", answer.text);
    let answer = fleet.updated(&version(3), QUICK);
    assert!(answer.text.contains("lossy: Stop.note"), "{}", answer.text);
    let history = fleet.accepted(&["history"]);
    assert!(
        history.text.contains("lossy: Stop.motd"),
        "{}",
        history.text
    );
    let records = history.data.as_array().expect("a list");
    let lossy: Vec<_> = records
        .iter()
        .filter(|one| one["lossy"][0].is_string())
        .collect();
    assert_eq!(lossy.len(), 3, "{history:?}");
    fleet.finish();
}

// R10
#[test]
fn a_server_that_began_with_the_newer_version_has_kept_nothing_for_the_older_one() {
    let settings = Settings {
        library: version(2),
        ..journey()
    };
    let fleet = Fleet::start("nothing kept", &settings);
    until_told(&fleet, "v2 finds", 2);
    let answer = fleet.updated(&version(1), QUICK);
    assert!(answer.text.contains("lossy: Stop.motd"), "{}", answer.text);
    // From here on version 1 has it, and it waits while version 2 runs.
    until_told(&fleet, "v1 finds", 2);
    fleet.updated(&version(2), QUICK);
    let answer = fleet.accepted(&["rollback", "--wait"]);
    assert!(!answer.text.contains("lossy"), "{}", answer.text);
    until_told(&fleet, "v1 finds motd 38", 1);
    fleet.finish();
}

fn dsu(arguments: &[&Path]) -> (Option<i32>, String) {
    let output = Command::new(host().program).args(arguments).output();
    let output = output.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

// R35
#[test]
fn a_module_that_is_there_is_left_as_it_is_unless_told_otherwise() {
    let folder = std::env::temp_dir().join(format!("dsu-journey-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join("from_v1.rs");
    let (old, new) = (version(1), version(2));
    let command = ["xfgen".as_ref(), &*old, &*new, "--out".as_ref(), &*file];
    let (code, said) = dsu(&command);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing is left to decide"), "{said}");
    let written = std::fs::read_to_string(&file).expect("written");
    // A second time there is nothing to change.
    assert_eq!(dsu(&command).0, Some(0));
    let mine = written.replace(
        "    #[lens(add)]\n    tags",
        "    #[lens(add = mine())]\n    tags",
    ) + "\nfn mine() {}\n";
    std::fs::write(&file, &mine).expect("writable");
    let (code, said) = dsu(&command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("refused "), "{said}");
    for line in ["~ StopNow: would be replaced", "- fn mine", "--force"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("PlaceNow"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), mine);
    let forced: Vec<&Path> = command
        .iter()
        .copied()
        .chain(["--force".as_ref()])
        .collect();
    assert_eq!(dsu(&forced).0, Some(0));
    assert_eq!(std::fs::read_to_string(&file).expect("there"), written);
    let (code, shown) = dsu(&[
        "xfgen".as_ref(),
        &*old,
        &*new,
        "--out".as_ref(),
        "-".as_ref(),
    ]);
    assert_eq!((code, shown), (Some(0), written));
    std::fs::remove_dir_all(folder).expect("removed");
}
