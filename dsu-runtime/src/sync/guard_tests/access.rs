//! What an acquisition answers when it cannot have the items at once.

use super::world::*;
use crate::abi::WorkerContext;
use crate::error::{Deadlock, DeadlockCause, LockError, WorkerError};
use crate::heap::testing::{Actor, fork_worker, kill, reap, test_name};
use crate::sync::{GuardSlot, whereabouts};
use crate::worker::Worker;
use std::time::Duration;

/// A worker that holds a member of the family until it is killed.
fn holder(slot: u32, member: usize) -> libc::pid_t {
    let child = fork_worker(slot, || {
        watch();
        let cx = Worker::of_runtime();
        let _guard = WORLD_FAMILY[member].lock(&cx).expect("free and sound");
        loop {
            std::thread::park();
        }
    });
    await_owner(slot, crate::ids::GuardIndex(FAMILY.0 + member as u32));
    child
}

// R21
#[test]
fn a_held_guard_would_block_and_a_wait_for_it_is_bounded() {
    let name = test_name!("a_held_guard_would_block_and_a_wait_for_it_is_bounded");
    with_world(name, || {
        let child = holder(1, 1);
        play(0, |cx| {
            assert_eq!(
                WORLD_FAMILY[1].try_lock(cx).err(),
                Some(LockError::WouldBlock)
            );
            let timed_out = WORLD_FAMILY[1].lock_timeout(cx, Duration::from_millis(1));
            let name = "WORLD_FAMILY[1]".to_owned();
            assert_eq!(timed_out.err(), Some(LockError::TimedOut(name)));
            assert!(WORLD_FAMILY[0].try_lock(cx).is_ok());
        });
        kill(child);
        reap(child);
    });
}

// R21
#[test]
fn trying_does_not_transform() {
    with_world(test_name!("trying_does_not_transform"), || {
        play(0, |cx| {
            make_totals(cx);
            let before = state();
            assert_eq!(
                WORLD_NEW.try_lock(cx).err(),
                Some(LockError::WouldTransform)
            );
            assert_eq!(state(), before);
            assert!(WORLD_OLD.try_lock(cx).is_ok());
        });
    });
}

// R21
#[test]
fn a_timeout_does_not_bound_the_transformer() {
    with_world(
        test_name!("a_timeout_does_not_bound_the_transformer"),
        || {
            play(0, |cx| {
                make_totals(cx);
                lens_shall(Manner::Dawdle);
                let guard = WORLD_NEW.lock_timeout(cx, PATIENCE);
                assert_eq!(guard.expect("nobody holds it").totals.hits, 5);
            });
        },
    );
}

#[test]
fn a_worker_that_holds_a_guard_is_told_so_however_it_asks_again() {
    let name = test_name!("a_worker_that_holds_a_guard_is_told_so_however_it_asks_again");
    with_world(name, || {
        play(0, |cx| {
            let held = WORLD_FAMILY[2].lock(cx).expect("free and sound");
            let deadlock = Some(LockError::Deadlock(Deadlock {
                guard: "WORLD_FAMILY[2]".to_owned(),
                cause: DeadlockCause::Held,
            }));
            assert_eq!(WORLD_FAMILY[2].lock(cx).err(), deadlock);
            assert_eq!(WORLD_FAMILY[2].try_lock(cx).err(), deadlock);
            let bounded = WORLD_FAMILY[2].lock_timeout(cx, Duration::from_secs(1));
            assert_eq!(bounded.err(), deadlock);
            drop(held);
            assert!(WORLD_FAMILY[2].lock(cx).is_ok());
        });
    });
}

// R18
#[test]
fn a_leaked_guard_is_reported_at_the_update_point_by_its_name() {
    let name = test_name!("a_leaked_guard_is_reported_at_the_update_point_by_its_name");
    with_world(name, || {
        play(0, |cx| {
            drop(WORLD_FAMILY[0].lock(cx));
            let kept = WORLD_FAMILY[0].lock(cx).expect("free and sound");
            std::mem::forget(WORLD_FAMILY[1].lock(cx));
            drop(kept);
            assert_eq!(WorkerContext::current().held().count(), 1);
            match cx.update_point("event-loop") {
                Err(WorkerError::GuardLeaked(site)) => assert_eq!(site, "event-loop"),
                other => panic!("the leak was not seen: {other:?}"),
            }
        });
    });
}

#[test]
fn an_item_that_cannot_be_made_leaves_nothing_behind_and_is_tried_again() {
    let name = test_name!("an_item_that_cannot_be_made_leaves_nothing_behind_and_is_tried_again");
    with_world(name, || {
        play(0, |cx| {
            let before = state();
            lens_shall(Manner::Fail);
            match WORLD_HARD.lock(cx).err() {
                Some(LockError::TransformFailed(what)) => {
                    assert!(what.contains("WORLD_HARD") && what.contains("no such file"));
                }
                other => panic!("it was made: {other:?}"),
            }
            let slot = GuardSlot::at(HARD);
            assert!(slot.root().items().is_none() && slot.lock.is_at_rest());
            assert_eq!(state(), before, "the item made first was not freed");
            lens_shall(Manner::Succeed);
            assert_eq!(WORLD_HARD.lock(cx).expect("made").hard, 9);
        });
    });
}

// R28
#[test]
fn the_guards_that_a_worker_holds_are_known_by_name() {
    let name = test_name!("the_guards_that_a_worker_holds_are_known_by_name");
    with_world(name, || {
        let (mut holder, mut other) = (Actor::start(0), Actor::start(1));
        let nowhere = || whereabouts(None);
        holder.act(move || {
            let cx = Worker::of_runtime();
            assert_eq!(nowhere(), "");
            drop(WORLD_FAMILY[0].lock(&cx).expect("free"));
            // Kept beyond this turn.
            let family = WORLD_FAMILY[1].lock(&cx).expect("free");
            let item = std::ptr::from_ref(&*family).addr();
            std::mem::forget(family);
            std::mem::forget(WORLD_HARD.lock(&cx).expect("free"));
            let place = whereabouts(Some(item));
            assert!(place.starts_with("in WORLD_FAMILY[1]."), "{place}");
            assert_eq!(whereabouts(Some(7)), nowhere());
        });
        assert_eq!(other.act(nowhere), "");
        let held = holder.act(nowhere);
        let both = ["WORLD_FAMILY[1]", "WORLD_HARD"];
        assert!(
            held.starts_with("under ") && both.iter().all(|name| held.contains(name)),
            "{held}"
        );
    });
}
