//! Workers that die.

use dsu_tests::{Fleet, kv, ledger, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::load::{Load, Plan};

fn kill_worker(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the worker runs");
}

fn load(fleet: &Fleet) -> Load {
    let mut plan = Plan::new(fleet.address());
    // Few, so that a worker that dies seldom holds a lock: what happens then is another test's business.
    plan.connections = 4;
    Load::start(plan, "load").expect("the server takes connections")
}

#[test]
fn a_killed_worker_is_replaced() {
    let fleet = Fleet::start("death", &ledger());
    let victim = fleet.now().workers[0].pid;
    kill_worker(victim);
    let status = until(|| {
        let workers = fleet.now().workers;
        let alive = workers
            .iter()
            .all(|one| one.state == "serving" && one.pid != victim);
        alive.then_some(workers)
    });
    assert_eq!(status.len(), 2);
    fleet.finish();
}

#[test]
fn an_update_ends_though_a_worker_is_killed_in_the_middle_of_it() {
    let fleet = Fleet::start("death in an update", &kv(2));
    let mut wire = fleet.connect();
    wire.ask(&["SET", "kept", "1"]).expect("an answer");
    fleet.updated(&library("kv_v2"), &["--canary", "1", "--probation", "3600"]);
    let old = until(|| {
        let workers = fleet.now().workers;
        let crossed = workers.iter().any(|one| one.version == Some(2));
        let old = workers.iter().find(|one| one.version == Some(1))?;
        crossed.then_some(old.pid)
    });
    // Idle, so it holds no lock.
    kill_worker(old);
    until(|| {
        let workers = fleet.now().workers;
        let all = workers
            .iter()
            .all(|one| one.state == "serving" && one.pid != old);
        all.then_some(())
    });
    let answer = fleet.ask(&["rollback", "--wait"]);
    assert!((0..=2).contains(&answer.code), "{}", answer.text);
    let status = fleet.until_idle();
    let version = status.version;
    assert!(
        status
            .workers
            .iter()
            .all(|one| one.version == Some(version))
    );
    let reply = fleet.connect().ask(&["GET", "kept"]).expect("an answer");
    assert_eq!(reply, sample_app::load::Value::Bulk(Some(b"1".to_vec())));
    fleet.finish();
}

// R29: the library of the other version was bound last, and its walk would take the keys there.
#[test]
fn a_sweep_back_takes_nothing_to_the_version_that_is_left() {
    let fleet = Fleet::start("sweep back", &kv(2));
    let mut wire = fleet.connect();
    for key in 0..1000 {
        let key = format!("key {key}");
        wire.ask(&["SET", &key, "1"]).expect("an answer");
    }
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    // A key in the older form keeps beside it what that cannot hold.
    let kept = || fleet.now().data["heap"]["complement_bytes"].as_u64();
    assert_eq!(kept(), Some(0));
    fleet.updated(&library("kv_v1"), &["--canary", "1", "--probation", "3600"]);
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 2);
    assert!(kept().is_some_and(|kept| kept < 1000), "{:?}", kept());
    fleet.finish();
}

// R28: the canary's death rolls the update back.
#[test]
fn a_canary_that_dies_in_probation_rolls_the_update_back() {
    let fleet = Fleet::start("canary's death", &ledger());
    let path = library("fixture_ledger_v2");
    let arguments = [
        "update",
        &path.to_string_lossy(),
        "--probation",
        "3600",
        "--wait",
    ];
    let update = fleet.command(&arguments).output_in_background();
    let canary = until(|| {
        let workers = fleet.now().workers;
        let crossed = workers.iter().find(|one| one.version == Some(2))?;
        (crossed.state == "serving").then_some(crossed.pid)
    });
    kill_worker(canary);
    let output = update.join().expect("no panic").expect("dsu runs");
    assert_eq!(output.status.code(), Some(2));
    let status = fleet.until_serving(2);
    assert!(status.workers.iter().all(|one| one.version == Some(1)));
    fleet.finish();
}

#[test]
fn clients_of_other_workers_notice_no_death() {
    let fleet = Fleet::start("death under load", &kv(2));
    let load = load(&fleet);
    until(|| (load.answered() > 1000).then_some(()));
    load.pause();
    let victim = fleet.now().workers[1].pid;
    kill_worker(victim);
    load.resume();
    fleet.until_serving(2);
    let wanted = load.answered() + 1000;
    until(|| (load.answered() > wanted).then_some(()));
    let results = load.finish().expect("the server is there");
    // Those of the dead worker reconnect; no acknowledged write is lost, no answer is wrong.
    assert_eq!(
        (results.errors, results.lost),
        (0, 0),
        "{:#?}",
        results.texts
    );
    fleet.finish();
}

trait InBackground {
    fn output_in_background(self)
    -> std::thread::JoinHandle<std::io::Result<std::process::Output>>;
}

impl InBackground for std::process::Command {
    fn output_in_background(
        mut self,
    ) -> std::thread::JoinHandle<std::io::Result<std::process::Output>> {
        std::thread::spawn(move || self.output())
    }
}
