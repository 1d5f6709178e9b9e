//! Items that move between guards in a server that is updated and rolled back (R4).

use dsu_tests::{Fleet, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::server::Settings;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of what workers report.
#[derive(Debug)]
struct Report {
    version: String,
    /// Hits, visits, turns and lines.
    counts: [u64; 4],
    /// Of versions 2 and 3.
    limit: u64,
    /// Of version 2.
    seen: u64,
}

/// A server of lanes, what its workers report, and the gate at which moves wait.
struct Lanes {
    fleet: Fleet,
    report: PathBuf,
    gate: PathBuf,
}

fn reports(path: &Path, from: usize) -> Vec<Report> {
    let text = fs::read_to_string(path).expect("the workers write it");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        Report {
            version: words[0].to_owned(),
            counts: [number(1), number(2), number(3), number(4)],
            limit: number(5),
            seen: number(6),
        }
    };
    whole.lines().skip(from).map(parse).collect()
}

impl Lanes {
    fn start(name: &str) -> Lanes {
        Lanes::start_with(1, name)
    }

    fn start_with(version: u64, name: &str) -> Lanes {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = |what: &str| folder.join(format!("{what}-of-{name}-{}", std::process::id()));
        let (report, gate) = (file("report"), file("gate"));
        fs::write(&report, "").expect("a temporary file");
        let mut settings = Settings::new(library(&format!("fixture_lanes_v{version}")));
        settings.workers = 3;
        settings.listen = None;
        let (first, second) = (report.to_string_lossy(), gate.to_string_lossy());
        settings.more = ["--heap", "64M", "--", &first, &second]
            .map(Into::into)
            .to_vec();
        Lanes {
            fleet: Fleet::start(name, &settings),
            report,
            gate,
        }
    }

    /// The command line behind the flags of an update.
    fn arguments(&self) -> [String; 2] {
        [&self.report, &self.gate].map(|path| path.to_string_lossy().into_owned())
    }

    fn update(&self, flags: &[&str]) -> sample_app::server::Answer {
        self.update_to(2, flags)
    }

    fn update_to(&self, version: u64, flags: &[&str]) -> sample_app::server::Answer {
        self.update_with(version, flags, &[])
    }

    /// With arguments that other builds do not have.
    fn update_with(
        &self,
        version: u64,
        flags: &[&str],
        more: &[&str],
    ) -> sample_app::server::Answer {
        let arguments = self.arguments();
        let behind = ["--", arguments[0].as_str(), arguments[1].as_str()];
        let library = library(&format!("fixture_lanes_v{version}"));
        self.fleet
            .update(&library, &[flags, &behind, more].concat())
    }

    /// Whether workers of a server that began with version 1 have this version's code loaded, all or none.
    fn has_loaded(&self, version: u64) -> bool {
        let file = match version {
            // As what the server began with is called.
            1 => "/app.so".to_owned(),
            _ => format!("libfixture_lanes_v{version}.so"),
        };
        let has = |pid: u32| {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
            maps.expect("it runs").contains(&file)
        };
        let workers = self.fleet.now().workers;
        let having = workers.iter().filter(|one| has(one.pid)).count();
        assert!([0, workers.len()].contains(&having), "{having} of them");
        having != 0
    }

    /// All workers die, none of them inside a section, and others take their places; how many reports there
    /// are when they serve.
    fn with_fresh_workers(&self, from: usize, version: &str) -> usize {
        let pids = |status: sample_app::server::Status| {
            let workers = status.workers.into_iter();
            workers.map(|one| one.pid).collect::<Vec<u32>>()
        };
        let old = pids(self.fleet.now());
        let rest = format!("{}.rest", self.gate.display());
        for pid in &old {
            // Of a rest before, by whoever saw that one's end late.
            let _ = fs::remove_file(format!("{rest}.{pid}"));
        }
        fs::write(&rest, "").expect("a temporary file");
        let rests = |pid: &u32| Path::new(&format!("{rest}.{pid}")).exists();
        until(|| old.iter().all(rests).then_some(()));
        for pid in &old {
            kill(Pid::from_raw(*pid as i32), Signal::SIGKILL).expect("it runs");
        }
        until(|| {
            let now = pids(self.fleet.now());
            now.iter().all(|pid| !old.contains(pid)).then_some(())
        });
        fs::remove_file(&rest).expect("it is there");
        self.fleet.until_serving(3);
        self.await_reports(from, version)
    }

    /// All the way there, until workers report from it; how many reports there are then. Nothing is lost.
    fn updated_to(&self, version: u64, from: usize) -> usize {
        self.updated_with_losses(version, from, None)
    }

    fn updated_with_losses(&self, version: u64, from: usize, lossy: Option<&str>) -> usize {
        let answer = self.update_to(version, &["--wait"]);
        assert_eq!(answer.code, 0, "{}\n{}", answer.text, self.fleet.log());
        let said = answer.text.split_once("lossy: ").map(|(_, said)| said);
        let names = said.map(|said| said.split_whitespace().next().unwrap_or_default());
        assert_eq!(names, lossy, "{}", answer.text);
        assert_eq!(self.fleet.now().version, version);
        self.await_reports(from, &format!("v{version}"))
    }

    /// Waits for ten reports by this version; how many there are then.
    fn await_reports(&self, from: usize, version: &str) -> usize {
        until(|| {
            let reports = reports(&self.report, from);
            let by = reports.iter().filter(|report| report.version == version);
            (by.count() >= 10).then_some(from + reports.len())
        })
    }

    /// The worker that stands at the gate.
    fn await_mover(&self, but: Option<u32>) -> u32 {
        until(|| {
            let mut workers = self.fleet.now().workers.into_iter().map(|one| one.pid);
            let at_the_gate = |pid: &u32| {
                let path = format!("{}.{pid}", self.gate.display());
                Some(*pid) != but && Path::new(&path).exists()
            };
            workers.find(at_the_gate)
        })
    }

    /// What no move may break: each visit was counted in all items, and none is forgotten.
    fn assert_counted(&self) -> Vec<Report> {
        let reports = reports(&self.report, 0);
        let mut hits = 0;
        for report in &reports {
            assert_eq!(report.counts, [report.counts[0]; 4], "{report:?}");
            hits = hits.max(report.counts[0]);
        }
        // Workers write what they have read a while ago, not out of order by more than there are.
        let last = reports.last().expect("many");
        assert!(last.counts[0] + 1_000 > hits, "{last:?} after {hits} hits");
        reports
    }

    fn rolled_back(&self) {
        self.rolled_back_to(1);
    }

    fn rolled_back_to(&self, version: u64) {
        let answer = self.fleet.ask(&["rollback", "--wait"]);
        assert!(matches!(answer.code, 0 | 2), "{}", answer.text);
        let idle = self.fleet.until_idle();
        assert_eq!(idle.version, version, "{}", self.fleet.log());
    }
}

// R4, R6, R16, R30
#[test]
fn an_item_moves_to_another_guard_at_a_barrier_and_back_under_load() {
    let lanes = Lanes::start("lanes");
    let why = "item peers moves from TOTALS to NETWORK";
    for flags in [&["--mode", "rolling"][..], &["--canary", "1"]] {
        let refused = lanes.update(flags);
        assert_eq!(refused.word, "refused", "{}", refused.text);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let mut lines = lanes.await_reports(0, "v1");
    for _ in 0..3 {
        lines = lanes.updated_to(2, lines);
        assert!(lanes.fleet.log().contains(why), "{}", lanes.fleet.log());
        lanes.rolled_back();
        lines = lanes.await_reports(lines, "v1");
    }
    let reports = lanes.assert_counted();
    // What version 1 knows nothing of was kept for version 2, and went along with the item.
    let mut limits: Vec<u64> = reports.iter().map(|report| report.limit).collect();
    limits.retain(|limit| *limit > 0);
    let second_half = &limits[limits.len() / 2..];
    assert!(
        second_half.iter().all(|limit| *limit > 7 + 64),
        "{limits:?}"
    );
    lanes.fleet.finish();
}

// R4: what goes to a lock of its own, or comes from one that is given up, in three versions: the third one
// has the first one's guard again and the second one's no more. What waits for the second in its guard, for
// the rollback and for the way to the first and back, is there.
#[test]
fn guards_are_split_and_merged_by_three_versions_in_turn_under_load() {
    let lanes = Lanes::start("lanes of three");
    let mut lines = lanes.await_reports(0, "v1");
    // And version 1 what waited there for version 3.
    for lossy in [None, Some("LOG.kept")] {
        lines = lanes.updated_to(2, lines);
        lines = lanes.updated_with_losses(3, lines, lossy);
        lanes.rolled_back_to(2);
        lines = lanes.await_reports(lines, "v2");
        lines = lanes.updated_to(3, lines);
        lines = lanes.updated_to(2, lines);
        // Version 3 has swept away what waited in the log for version 1, and nothing else.
        lines = lanes.updated_with_losses(1, lines, Some("LOG.written"));
    }
    let reports = lanes.assert_counted();
    for version in ["v2", "v3"] {
        let own = reports.iter().filter(|report| report.version == version);
        let seen: Vec<u64> = own.map(|report| report.seen).collect();
        // Each count is once; three workers write a little out of order.
        let mut counted = seen.clone();
        counted.sort_unstable();
        counted.dedup();
        assert_eq!(counted.len(), seen.len(), "{version}: {seen:?}");
        let far = seen.windows(2).filter(|two| two[0] > two[1] + 500);
        assert_eq!(far.count(), 0, "{version}: {seen:?}");
    }
    lanes.fleet.finish();
}

// R4, R13: what waits in a guard that the versions since then do not know is dropped by the version that has
// it again, whose workers were all started long after the code that left it there had run.
#[test]
fn what_waits_in_a_guard_for_long_is_known_to_workers_that_started_since() {
    let lanes = Lanes::start("lanes of five");
    let mut lines = lanes.await_reports(0, "v1");
    lines = lanes.updated_to(2, lines);
    lines = lanes.updated_to(4, lines);
    // So that the version before this one is this one.
    let again = lanes.update_with(4, &["--wait"], &["again"]);
    assert_eq!(again.code, 0, "{}", again.text);
    lines = lanes.with_fresh_workers(lines, "v4");
    let has = [1, 2].map(|version| lanes.has_loaded(version));
    assert_eq!(has, [true, true]);
    lines = lanes.updated_to(5, lines);
    // Nothing waits there any more.
    lines = lanes.with_fresh_workers(lines, "v5");
    let has = [1, 2, 4].map(|version| lanes.has_loaded(version));
    assert_eq!(has, [false, false, true]);
    lanes.rolled_back_to(4);
    lanes.await_reports(lines, "v4");
    lanes.assert_counted();
    lanes.fleet.finish_after_deaths();
}

// R13, R21: nobody is to convert what another could not.
#[test]
fn code_that_workers_lack_keeps_updates_away_until_it_is_back() {
    let lanes = Lanes::start("lanes without code");
    let mut lines = lanes.await_reports(0, "v1");
    for version in [2, 4] {
        lines = lanes.updated_to(version, lines);
    }
    let again = lanes.update_with(4, &["--wait"], &["again"]);
    assert_eq!(again.code, 0, "{}", again.text);
    let maps = fs::read_to_string(format!("/proc/{}/maps", lanes.fleet.now().workers[0].pid));
    let maps = maps.expect("it runs");
    let mut paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let path = paths.find(|path| path.ends_with("libfixture_lanes_v2.so"));
    let path = path.expect("all that was ever loaded stays loaded");
    let aside = format!("{path}.aside");
    fs::rename(path, &aside).expect("the server's copy");

    lines = lanes.with_fresh_workers(lines, "v4");
    let answer = lanes.update_to(5, &["--wait"]);
    assert_eq!(answer.word, "refused", "{}", answer.text);
    let why = format!("lacks the code of v2, which values that are there need: put {path} back");
    assert!(answer.text.contains(&why), "{}", answer.text);

    fs::rename(&aside, path).expect("the server's copy");
    lines = lanes.with_fresh_workers(lines, "v4");
    lanes.updated_to(5, lines);
    lanes.assert_counted();
    lanes.fleet.finish_after_deaths();
}

// R3, R4: nobody has ever made the guard that is gone, and the older version does not know the one that is new.
#[test]
fn a_server_that_began_after_a_split_goes_to_the_version_before_it_and_back() {
    let lanes = Lanes::start_with(2, "lanes from the second");
    let mut lines = lanes.await_reports(0, "v2");
    lines = lanes.updated_with_losses(1, lines, Some("LOG.written"));
    lines = lanes.updated_to(2, lines);
    lines = lanes.updated_to(1, lines);
    lanes.rolled_back_to(2);
    lanes.await_reports(lines, "v2");
    lanes.assert_counted();
    lanes.fleet.finish();
}

// R4, R32
#[test]
fn a_worker_that_dies_while_items_move_is_followed_by_another() {
    let lanes = Lanes::start("lanes with a death");
    let lines = lanes.await_reports(0, "v1");
    fs::write(&lanes.gate, "").expect("a temporary file");
    let answer = lanes.update(&[]);
    assert_eq!(answer.code, 0, "{}", answer.text);
    let first = lanes.await_mover(None);
    kill(Pid::from_raw(first as i32), Signal::SIGKILL).expect("it stands at the gate");
    lanes.await_mover(Some(first));
    fs::remove_file(&lanes.gate).expect("it is there");
    let status = lanes.fleet.until_idle();
    assert_eq!(status.version, 2, "{}", lanes.fleet.log());
    lanes.fleet.until_serving(3);
    let lines = lanes.await_reports(lines, "v2");
    lanes.rolled_back();
    lanes.await_reports(lines, "v1");
    lanes.assert_counted();
    lanes.fleet.finish_after_deaths();
}

// R4: who moves them dies again and again, and the server goes on with the version that it has.
#[test]
fn moves_that_cost_two_workers_are_taken_back() {
    let lanes = Lanes::start("lanes with two deaths");
    let lines = lanes.await_reports(0, "v1");
    fs::write(&lanes.gate, "").expect("a temporary file");
    let answer = lanes.update(&[]);
    assert_eq!(answer.code, 0, "{}", answer.text);
    let first = lanes.await_mover(None);
    kill(Pid::from_raw(first as i32), Signal::SIGKILL).expect("it stands at the gate");
    let second = lanes.await_mover(Some(first));
    kill(Pid::from_raw(second as i32), Signal::SIGKILL).expect("it stands at the gate");
    let status = lanes.fleet.until_idle();
    assert_eq!(status.version, 1, "{}", lanes.fleet.log());
    lanes.fleet.until_serving(3);
    lanes.await_reports(lines, "v1");
    lanes.assert_counted();
    fs::remove_file(&lanes.gate).expect("it is there");
    lanes.fleet.finish_after_deaths();
}
