//! R16: versions that take their locks in different orders.

use dsu_tests::{Fleet, library, order};

const CONFLICT: &str = "v2 takes RIGHT, then LEFT; v1 takes LEFT, then RIGHT";

fn pids(fleet: &Fleet) -> Vec<u32> {
    fleet.now().workers.iter().map(|one| one.pid).collect()
}

// R16, R28
#[test]
fn a_version_with_another_order_of_locks_goes_back_and_then_crosses_at_a_barrier() {
    let fleet = Fleet::start("orders of locks", &order());
    let v2 = library("fixture_order_v2");
    let before = pids(&fleet);

    // Nobody knows yet what v2 does. Its canary would wait for an old worker that waits for it.
    let answer = fleet.update(&v2, &["--mode", "auto", "--probation", "3600", "--wait"]);
    assert_eq!(
        (answer.code, &*answer.word),
        (2, "rolled-back"),
        "{}",
        answer.text
    );
    let wanted = format!("lock orders disagree, as met by worker 0: {CONFLICT}");
    assert!(answer.text.contains(&*wanted), "{}", answer.text);
    let status = fleet.until_serving(2);
    assert!(status.workers.iter().all(|one| one.version == Some(1)));
    assert_eq!(pids(&fleet), before, "nobody was lost");
    let status = fleet.ask(&["status"]).text;
    assert!(status.contains(CONFLICT), "{status}");

    // Now it is known.
    let answer = fleet.update(&v2, &["--mode", "rolling"]);
    assert_eq!((answer.code, &*answer.word), (1, "refused"));
    let why = format!("rolling is not possible (lock orders disagree: {CONFLICT})");
    assert!(answer.text.contains(&*why), "{}", answer.text);
    let answer = fleet.updated(&v2, &["--wait"]);
    let record = answer.data.to_string();
    assert!(
        record.contains(&*format!("barrier (lock orders disagree: {CONFLICT})")),
        "{record}"
    );

    // The new order is as good as the old one, while it is the only one.
    let status = fleet.until_serving(2);
    assert!(status.workers.iter().all(|one| one.version == Some(2)));
    assert_eq!(pids(&fleet), before);
    let answer = fleet.accepted(&["rollback", "--wait"]);
    assert!(
        answer
            .data
            .to_string()
            .contains("barrier (lock orders disagree")
    );
    assert_eq!(pids(&fleet), before);
    fleet.finish();
}
