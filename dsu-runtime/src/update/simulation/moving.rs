//! An update whose items move between guards: what is left where whoever moves them back dies of it.

use super::World;
use crate::ids::WorkerSlot;
use crate::update::{Answer, BuildIndex, Event, Manner, OnFailure, Order, Plan, Stage};

const OLDER: BuildIndex = BuildIndex(10);
const NEWER: BuildIndex = BuildIndex(11);

/// An update of three workers that all stand at the barrier, of which the first is to move the items.
fn moving() -> World {
    let mut world = World::new(1);
    world.troubled = false;
    world.down = (0..3).map(|n| (WorkerSlot(n), OLDER)).collect();
    for n in 0..3 {
        world.respawn(WorkerSlot(n));
        world.event(Event::Ready(WorkerSlot(n)));
    }
    world.event(Event::Begin);
    world.event(Event::Probed(Ok(Plan {
        target: NEWER,
        manner: Manner::Barrier,
        on_failure: OnFailure::Rollback,
        one_way: None,
        filled: Vec::new(),
        moves: vec!["item d moves from A to B".to_owned()],
    })));
    for n in 0..3 {
        world.event(Event::Loaded(WorkerSlot(n), NEWER, Ok(())));
    }
    for n in 0..3 {
        world.event(Event::AtBarrier(WorkerSlot(n), 1));
    }
    assert_eq!(world.last_order(0), Some(moves(OLDER, NEWER)));
    world
}

/// The same when all have crossed and were called back.
fn moving_back() -> World {
    let mut world = moving();
    world.event(Event::Moved(WorkerSlot(0), Ok(())));
    for n in 0..3 {
        world.event(Event::Crossed(WorkerSlot(n), NEWER));
    }
    world.event(Event::Rollback("asked".to_owned()));
    for n in 0..3 {
        world.event(Event::AtBarrier(WorkerSlot(n), 2));
    }
    assert_eq!(world.last_order(0), Some(moves(NEWER, OLDER)));
    world
}

fn moves(from: BuildIndex, to: BuildIndex) -> Order {
    Order::Move { from, to }
}

fn remark(world: &World) -> String {
    world.life().remark().unwrap_or_default()
}

// R4, R28
#[test]
fn moves_back_that_cost_eight_workers_are_given_up_and_the_rollback_ends() {
    let mut world = moving_back();
    let mut last = 2;
    world.kill(WorkerSlot(0), "of the lens");
    assert_eq!(world.last_order(1), Some(moves(NEWER, OLDER)), "another");
    world.kill(WorkerSlot(1), "of the lens");
    world.kill(WorkerSlot(2), "of the lens");
    for n in 3..8 {
        last = n % 3;
        let slot = WorkerSlot(last);
        world.respawn(slot);
        assert_eq!(world.workers[&slot].runs, NEWER);
        world.event(Event::Ready(slot));
        world.event(Event::AtBarrier(slot, 1));
        assert_eq!(world.last_order(last), Some(moves(NEWER, OLDER)));
        if n < 7 {
            world.kill(slot, "of the lens");
        }
    }
    world.kill(WorkerSlot(last), "of the lens");
    let said = remark(&world);
    assert!(said.contains("asked"), "{said}");
    assert!(said.contains("not all items could move back"), "{said}");
    // Which, and what to do.
    assert!(said.contains("item d moves from A to B"), "{said}");
    assert!(said.contains("dsu update"), "{said}");
    world.respawn(WorkerSlot(0));
    assert_eq!(world.workers[&WorkerSlot(0)].runs, OLDER);
    world.event(Event::Ready(WorkerSlot(0)));
    assert!(matches!(world.last_order(0), Some(Order::Sweep(_))));
}

// R4, R28: nobody has crossed.
#[test]
fn moves_back_at_the_first_barrier_are_given_up_as_well() {
    let mut world = moving();
    world.kill(WorkerSlot(0), "of the lens");
    world.kill(WorkerSlot(1), "of the lens");
    assert_eq!(world.last_order(2), Some(moves(NEWER, OLDER)));
    world.kill(WorkerSlot(2), "of the lens");
    // Nobody is left; who starts instead comes to the barrier.
    assert_eq!(world.life().replacement(OLDER).0, OLDER);
    for _ in 1..8 {
        assert_ne!(world.life().stage(), Stage::Idle);
        world.respawn(WorkerSlot(0));
        world.event(Event::Ready(WorkerSlot(0)));
        world.event(Event::AtBarrier(WorkerSlot(0), 1));
        assert_eq!(world.last_order(0), Some(moves(NEWER, OLDER)));
        world.kill(WorkerSlot(0), "of the lens");
    }
    assert_eq!(world.life().stage(), Stage::Idle);
    match world.answers.last() {
        Some(Answer::RolledBack(said)) => {
            assert!(said.contains("not all items could move back"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

// R28, R32: workers of the version before can start, though they do not find what has moved.
#[test]
fn where_nobody_can_start_in_the_new_version_the_one_before_moves_items_back() {
    let mut world = moving();
    world.event(Event::Moved(WorkerSlot(0), Ok(())));
    for n in 0..3 {
        world.kill(WorkerSlot(n), "it crashes");
    }
    for n in 0..2 {
        world.respawn(WorkerSlot(n));
        assert_eq!(world.workers[&WorkerSlot(n)].runs, NEWER);
    }
    world.kill(WorkerSlot(0), "it crashes");
    let said = remark(&world);
    assert!(said.contains("cannot start"), "{said}");
    assert!(world.workers.is_empty(), "whoever starts there is ended");
    world.respawn(WorkerSlot(1));
    world.event(Event::Ready(WorkerSlot(1)));
    world.event(Event::AtBarrier(WorkerSlot(1), 1));
    assert_eq!(world.last_order(1), Some(moves(NEWER, OLDER)));
    world.event(Event::Moved(WorkerSlot(1), Ok(())));
    assert_eq!(world.life().stage(), Stage::Idle);
    assert!(matches!(world.answers.last(), Some(Answer::RolledBack(_))));
}

// R28, R32: workers of the new version start, and die before they come to the barrier.
#[test]
fn where_nobody_comes_to_the_barrier_back_the_version_before_moves_items_back() {
    let mut world = moving();
    world.event(Event::Moved(WorkerSlot(0), Ok(())));
    for n in 0..3 {
        world.event(Event::Crossed(WorkerSlot(n), NEWER));
    }
    world.event(Event::Rollback("asked".to_owned()));
    for n in 0..8 {
        let slot = WorkerSlot(n % 3);
        world.respawn(slot);
        if n > 2 {
            assert_eq!(world.workers[&slot].runs, NEWER);
            world.event(Event::Ready(slot));
        }
        world.kill(slot, "of its first request");
    }
    let said = remark(&world);
    assert!(said.contains("do not come to the barrier"), "{said}");
    assert_eq!(world.life().replacement(NEWER).0, OLDER);
    assert!(world.workers.is_empty(), "whoever is there is ended");
    world.respawn(WorkerSlot(1));
    world.event(Event::Ready(WorkerSlot(1)));
    world.event(Event::AtBarrier(WorkerSlot(1), 1));
    assert_eq!(world.last_order(1), Some(moves(NEWER, OLDER)));
    world.event(Event::Moved(WorkerSlot(1), Ok(())));
    assert!(matches!(world.answers.last(), Some(Answer::RolledBack(_))));
}
