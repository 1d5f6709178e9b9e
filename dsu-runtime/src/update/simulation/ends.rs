//! The ends of an update that has come as far as the sweep.

use super::World;
use crate::ids::{VersionId, WorkerSlot};
use crate::update::{Answer, BuildIndex, Event, Manner, OnFailure, Plan, Stage};

/// An update of one worker that has come as far as the sweep.
fn sweeping() -> World {
    let mut world = World::new(1);
    world.troubled = false;
    world.down.retain(|slot, _| slot.0 == 0);
    world.respawn(WorkerSlot(0));
    world.event(Event::Ready(WorkerSlot(0)));
    world.event(Event::Begin);
    world.event(Event::Probed(Ok(Plan {
        target: BuildIndex(11),
        manner: Manner::Rolling { canaries: 0 },
        on_failure: OnFailure::Rollback,
        one_way: None,
        filled: Vec::new(),
        moves: Vec::new(),
    })));
    world.event(Event::Loaded(WorkerSlot(0), BuildIndex(11), Ok(())));
    world.event(Event::Crossed(WorkerSlot(0), BuildIndex(11)));
    assert_eq!(world.life().stage(), Stage::Sweeping);
    world
}

// R30
#[test]
fn commit_waits_for_what_is_poisoned_or_failed_and_says_so() {
    let pass = |failed, poisoned: &[&str]| Event::Swept {
        slot: WorkerSlot(0),
        is_last: true,
        failed,
        is_full: false,
        poisoned: poisoned.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut world = sweeping();
    for (event, what) in [
        (pass(0, &["TOTALS", "SHARDS[3]"]), "TOTALS, SHARDS[3]"),
        (pass(2, &[]), "2 elements"),
    ] {
        world.event(event);
        assert_eq!(world.life().stage(), Stage::Sweeping);
        let remark = world.life().remark().expect("it is held up");
        assert!(remark.contains(what), "{remark}");
    }
    assert!(!world.answers.contains(&Answer::Committed));
    world.event(pass(0, &[]));
    assert_eq!(world.answers.last(), Some(&Answer::Committed));

    // A rollback ends all the same, and says what it had to leave.
    let mut world = sweeping();
    world.event(Event::Rollback("asked for".to_owned()));
    world.event(Event::Crossed(WorkerSlot(0), BuildIndex(10)));
    world.event(pass(0, &["TOTALS"]));
    match world.answers.last() {
        Some(Answer::RolledBack(reason)) => assert!(reason.contains("TOTALS"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

// R12: without a supervisor, and at an update's end.
#[test]
fn all_are_at_a_version_when_the_last_has_crossed_and_until_somebody_may_leave() {
    let mut world = sweeping();
    let swept = world.fleet;
    assert_eq!(swept.floor, VersionId(11));
    world.event(Event::Rollback("asked for".to_owned()));
    assert_eq!(world.fleet.floor, VersionId(10));
    assert_ne!(world.fleet.epoch, swept.epoch);
    world.event(Event::Crossed(WorkerSlot(0), BuildIndex(10)));
    assert_eq!(world.fleet.floor, VersionId(10));
}
