//! Shared nodes and functions by name, in a server that is updated and rolled back while workers of both
//! versions edit the same people.

use dsu_tests::{Fleet, library, until};
use sample_app::server::Settings;
use std::fs;
use std::path::{Path, PathBuf};

/// What a worker counted: visits of the people and of the town, people in the ring and in all, and how often
/// it met a function that its version does not have.
struct Count {
    version: String,
    visits: [u64; 2],
    people: [u64; 2],
    unknown: u64,
}

fn counts(report: &Path, from: usize) -> Vec<Count> {
    let text = fs::read_to_string(report).expect("the workers write it");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let version = words.next().expect("six words").to_owned();
        let mut number = || -> u64 {
            let word = words.next().expect("six words");
            word.parse().expect("a number")
        };
        Count {
            version,
            visits: [number(), number()],
            people: [number(), number()],
            unknown: number(),
        }
    };
    whole.lines().skip(from).map(parse).collect()
}

/// Waits for ten counts by each of these versions; how many lines there are then.
fn await_counts(report: &Path, from: usize, versions: &[&str]) -> usize {
    until(|| {
        let counts = counts(report, from);
        let by = |version: &&str| {
            counts
                .iter()
                .filter(|count| count.version == **version)
                .count()
        };
        let all = versions.iter().all(|version| by(version) >= 10);
        all.then_some(from + counts.len())
    })
}

fn town(test: &str) -> (Fleet, PathBuf) {
    let name = format!("{test}-{}", std::process::id());
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&report, "").expect("a temporary file");
    let path = report.to_string_lossy().into_owned();
    let mut settings = Settings::new(library("fixture_graph_v1"));
    settings.workers = 3;
    settings.listen = None;
    settings.more = ["--heap", "64M", "--", &path].map(Into::into).to_vec();
    (Fleet::start(test, &settings), report)
}

// R3, R4, R6, R20, R29, R30
#[test]
fn a_graph_and_its_handlers_survive_updates_and_rollbacks_while_both_versions_edit() {
    let (fleet, report) = town("graph");
    let path = report.to_string_lossy().into_owned();
    let mut lines = await_counts(&report, 0, &["v1"]);
    for round in 0..3 {
        // One worker of version 2 beside two of version 1, on the same people.
        let mixed = ["--canary", "1", "--probation", "3600", "--", &path];
        fleet.update(&library("fixture_graph_v2"), &mixed);
        lines = await_counts(&report, lines, &["v1", "v2"]);
        fleet.accepted(&["status", "--check"]);
        if round == 0 {
            fleet.ask(&["rollback", "--wait"]);
            assert_eq!(fleet.until_idle().version, 1);
            lines = await_counts(&report, lines, &["v1"]);
            continue;
        }
        fleet.ask(&["rollback", "--wait"]);
        fleet.until_idle();
        let flags = ["--probation", "0", "--wait", "--", &path];
        fleet.updated(&library("fixture_graph_v2"), &flags);
        assert_eq!(fleet.now().version, 2);
        assert_eq!(
            fleet.now().data["parked"],
            serde_json::json!([]),
            "all are swept"
        );
        lines = await_counts(&report, lines, &["v2"]);
        fleet.accepted(&["status", "--check"]);
        let answer = fleet.ask(&["rollback", "--wait"]);
        assert!(matches!(answer.code, 0 | 2), "{}", answer.text);
        assert_eq!(fleet.until_idle().version, 1);
        lines = await_counts(&report, lines, &["v1"]);
    }
    let counts = counts(&report, 0);
    for Count {
        version,
        visits,
        people,
        ..
    } in &counts
    {
        assert_eq!(visits[0], visits[1], "visits, counted by {version}");
        assert_eq!(people[0], people[1], "people, counted by {version}");
    }
    let met = |version: &str| {
        let by = counts.iter().filter(|count| count.version == version);
        by.map(|count| count.unknown).max().unwrap_or(0)
    };
    assert!(met("v1") > 0, "version 1 has met a function of version 2's");
    fleet.accepted(&["status", "--check"]);
    fleet.finish();
    fs::remove_file(&report).expect("it is there");
}

// R4
#[test]
fn a_function_that_is_gone_or_changed_without_a_word_is_refused() {
    let (fleet, report) = town("silent");
    let answer = fleet.update(&library("fixture_graph_silent"), &["--wait"]);
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{}",
        answer.text
    );
    for words in [
        "function visit_once is gone without a word (did you mean visit_ones?)",
        "write removed!(\"fn visit_once\")",
        "function visit_twice changes from",
    ] {
        assert!(answer.text.contains(words), "{}", answer.text);
    }
    await_counts(&report, 0, &["v1"]);
    fleet.finish();
    fs::remove_file(&report).expect("it is there");
}
