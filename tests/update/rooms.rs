//! Objects made at run time, each with a lock of its own, in a server that is updated and rolled back.

use dsu_tests::{Fleet, library, until};
use sample_app::server::Settings;
use std::fs;
use std::path::Path;

/// What workers counted since `from` lines: version, visits of all rooms, visits in the tally.
fn counts(report: &Path, from: usize) -> Vec<(String, u64, u64)> {
    let text = fs::read_to_string(report).expect("the workers write it");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let mut next = || words.next().expect("three words");
        let version = next().to_owned();
        let mut number = || next().parse().expect("a number");
        (version, number(), number())
    };
    whole.lines().skip(from).map(parse).collect()
}

/// Waits for ten counts by this version; how many lines there are then.
fn await_counts(report: &Path, from: usize, version: &str) -> usize {
    until(|| {
        let counts = counts(report, from);
        let by = counts.iter().filter(|count| count.0 == version).count();
        (by >= 10).then_some(from + counts.len())
    })
}

fn pids(fleet: &Fleet) -> Vec<u32> {
    fleet
        .now()
        .workers
        .iter()
        .map(|worker| worker.pid)
        .collect()
}

// R3, R16, R29, R30
#[test]
fn objects_keep_every_visit_through_updates_and_rollbacks_and_the_sweep_reaches_them_all() {
    let report =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rooms-{}", std::process::id()));
    fs::write(&report, "").expect("a temporary file");
    let path = report.to_string_lossy().into_owned();
    let mut settings = Settings::new(library("fixture_rooms_v1"));
    settings.workers = 3;
    settings.listen = None;
    settings.more = ["--heap", "64M", "--", &path].map(Into::into).to_vec();
    let fleet = Fleet::start("rooms", &settings);
    let workers = pids(&fleet);

    let mut lines = await_counts(&report, 0, "v1");
    for _ in 0..3 {
        let flags = ["--probation", "0", "--wait", "--", &path];
        fleet.updated(&library("fixture_rooms_v2"), &flags);
        // It has committed: the sweep has found every room, also those in nobody's hands.
        assert_eq!(fleet.now().version, 2);
        lines = await_counts(&report, lines, "v2");
        let answer = fleet.ask(&["rollback", "--wait"]);
        assert!(matches!(answer.code, 0 | 2), "{}", answer.text);
        assert_eq!(fleet.until_idle().version, 1);
        lines = await_counts(&report, lines, "v1");
    }
    let counts = counts(&report, 0);
    for (version, visits, tally) in &counts {
        assert_eq!(visits, tally, "counted by {version}");
    }
    assert!(counts.last().expect("many").2 > counts[0].2);
    assert_eq!(pids(&fleet), workers, "no worker had to be replaced");
    fleet.finish();
    fs::remove_file(&report).expect("it is there");
}
