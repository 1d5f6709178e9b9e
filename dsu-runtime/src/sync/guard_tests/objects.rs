//! Objects made at run time, in two versions: handles, locks, owners that go.

use super::rooms::*;
use super::world::*;
use crate::abi::{Parked, TypeKind};
use crate::error::LockError;
use crate::heap::objects::{self, Fate};
use crate::heap::testing::{Actor, failing_after, test_name};
use crate::heap::{Element, Shared, live};
use crate::ids::SweepId;
use crate::sync::{Guarded, Handle, lock_objects, lock_two_objects};
use crate::update;
use crate::worker::Worker;
use std::time::Duration;

const SWEEP: SweepId = SweepId(1);

#[test]
fn an_object_is_locked_when_the_guard_of_its_owner_is_free_again() {
    let name = test_name!("an_object_is_locked_when_the_guard_of_its_owner_is_free_again");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(1));
            let room = old_handle(cx, 0);
            let again = room.clone();
            let mut guard = room.lock(cx).unwrap();
            guard.visits += 1;
            // The lobby is not locked with it.
            assert!(WORLD_LOBBY.try_lock(cx).is_ok());
            assert!(matches!(again.lock(cx), Err(LockError::Deadlock(_))));
            assert!(matches!(again.try_lock(cx), Err(LockError::Deadlock(_))));
            drop(guard);
            drop(room);
            assert_eq!(again.lock(cx).unwrap().visits, 2);
            assert_sound();
        });
    });
}

// R3, R6
#[test]
fn each_version_sees_the_others_edits_of_an_object() {
    let name = test_name!("each_version_sees_the_others_edits_of_an_object");
    with_world(name, || {
        let (old_tag, new_tag) = (OldRoom::tag().get(), NewRoom::tag().get());
        play(0, |cx| {
            let_in(cx, old_room(5));
        });
        play(1, |cx| {
            let room = new_handle(cx, 0);
            let mut guard = room.lock(cx).unwrap();
            assert_eq!((guard.visits, guard.note.as_slice()), (5, NOTE));
            guard.visits += 1;
            guard.note.append(b", and more").unwrap();
            drop(guard);
            assert_eq!(form_of(room.slot()), new_tag);
            assert_eq!((live::count(old_tag), live::count(new_tag)), (0, 1));
        });
        play(0, |cx| {
            let room = old_handle(cx, 0);
            room.lock(cx).unwrap().visits *= 10;
            assert_eq!(form_of(room.slot()), old_tag);
            assert_eq!((live::count(old_tag), live::count(new_tag)), (1, 0));
        });
        play(1, |cx| {
            let room = new_handle(cx, 0);
            let guard = room.lock(cx).unwrap();
            assert_eq!(guard.visits, 60);
            assert_eq!(guard.note.len(), NOTE.len() + 10);
        });
        play(2, |cx| {
            assert_sound();
            tear_down(cx, 0);
            assert_eq!((live::count(old_tag), live::count(new_tag)), (0, 0));
            assert_eq!(all_objects(), []);
            assert_sound();
        });
    });
}

// R2
#[test]
fn the_schema_of_an_object_stops_at_the_name_of_its_value() {
    let (old, new) = (Guarded::<OldRoom>::schema(), Guarded::<NewRoom>::schema());
    assert_eq!(old, new);
    // As a container of boxes, which is how `dsu xfgen` spells it and `dsu check` finds the value's type.
    let TypeKind::Container(arguments) = &new.kind else {
        panic!("{new:?}");
    };
    assert_eq!(arguments[0].kind, TypeKind::Versioned("Room".to_owned()));
    assert_eq!((&*new.name, new.size), ("Guarded", 8));
}

// R21
#[test]
fn trying_an_object_neither_waits_nor_transforms() {
    let name = test_name!("trying_an_object_neither_waits_nor_transforms");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(0));
            let room = new_handle(cx, 0);
            let tried = room.try_lock(cx).map(drop);
            assert_eq!(tried, Err(LockError::WouldTransform));
        });
        let mut other = Actor::start(1);
        play(0, |cx| {
            let room = old_handle(cx, 0);
            let guard = room.lock(cx).unwrap();
            other.act(|| {
                let cx = Worker::of_runtime();
                let room =
                    Guarded::handle(&*std::mem::ManuallyDrop::new(owner_of(&room)), &cx).unwrap();
                assert_eq!(room.try_lock(&cx).map(drop), Err(LockError::WouldBlock));
                let waited = room.lock_timeout(&cx, Duration::from_millis(5)).map(drop);
                let Err(LockError::TimedOut(what)) = waited else {
                    panic!("{waited:?}");
                };
                assert_eq!(what, format!("Room in slot {}", room.slot().0));
            });
            crate::abi::WorkerContext::current().attach(crate::ids::WorkerSlot(0));
            drop(guard);
            assert_sound();
        });
    });
}

/// Another word that owns the same object.
fn owner_of(room: &Handle<OldRoom>) -> Guarded<OldRoom> {
    room.owner()
}

#[test]
fn a_transformer_that_fails_leaves_the_object_as_it_was() {
    let name = test_name!("a_transformer_that_fails_leaves_the_object_as_it_was");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(3));
            let room = new_handle(cx, 0);
            room_lens_shall(Fails::Failing);
            let refused = room.lock(cx).map(drop);
            let Err(LockError::TransformFailed(what)) = refused else {
                panic!("{refused:?}");
            };
            assert!(what.contains("Room in slot"), "{what}");
            room_lens_shall(Fails::Not);
            assert_eq!(old_handle(cx, 0).lock(cx).unwrap().visits, 3);
            assert_sound();
        });
    });
}

#[test]
fn an_object_whose_owner_is_gone_is_retired_and_freed_with_its_last_handle() {
    let name =
        test_name!("an_object_whose_owner_is_gone_is_retired_and_freed_with_its_last_handle");
    with_world(name, || {
        let mut other = Actor::start(1);
        play(0, |cx| {
            let_in(cx, old_room(3));
            let room = old_handle(cx, 0);
            let slot = room.slot();
            let stale = std::mem::ManuallyDrop::new(owner_of(&room));
            let theirs = other.act(|| old_handle(&Worker::of_runtime(), 0));
            crate::abi::WorkerContext::current().attach(crate::ids::WorkerSlot(0));

            let guard = room.lock(cx).unwrap();
            tear_down(cx, 0);
            assert!(!room.is_owned());
            // Who is inside stays inside; nobody else comes in.
            assert_eq!(guard.visits, 3);
            drop(guard);
            assert!(is_retired(room.lock(cx)));
            assert!(is_retired(room.try_lock(cx)));
            assert!(is_retired(room.lock_timeout(cx, Duration::ZERO)));
            assert!(is_retired(stale.handle(cx)));
            assert_sound();
            drop(room);
            assert_eq!((fate_of(slot), drops()), (Fate::Retired, 0));
            other.act(|| drop(theirs));
            crate::abi::WorkerContext::current().attach(crate::ids::WorkerSlot(0));
            assert_eq!((fate_of(slot), drops()), (Fate::None, 1));

            // The next object of the slot is another one.
            let next = old_room(4);
            let_in(cx, next);
            assert_eq!(old_handle(cx, 0).slot(), slot);
            assert!(is_retired(stale.handle(cx)));
            drop(std::mem::ManuallyDrop::into_inner(stale));
            assert_eq!(old_handle(cx, 0).lock(cx).unwrap().visits, 4);
            assert_sound();
        });
    });
}

#[test]
fn what_a_version_leaked_is_released_when_its_run_ends() {
    let name = test_name!("what_a_version_leaked_is_released_when_its_run_ends");
    with_world(name, || {
        play(0, |cx| {
            for visits in 0..100 {
                let_in(cx, old_room(visits));
            }
            for place in 0..100 {
                std::mem::forget(old_handle(cx, place));
            }
            let hidden = old_handle(cx, 99);
            (0..99).for_each(|_| tear_down(cx, 0));
            assert_eq!((drops(), all_objects().len()), (0, 100));
            objects::end_run();
            assert_eq!((drops(), all_objects().len()), (99, 1));
            // Its object lives, but it has no part in it any more, and no clone has.
            assert!(is_retired(hidden.lock(cx)));
            let copy = hidden.clone();
            drop(hidden);
            assert!(is_retired(copy.lock(cx)));
            tear_down(cx, 0);
            assert_eq!((drops(), all_objects().len()), (100, 0));
            assert_sound();
        });
    });
}

#[test]
fn a_leaked_guard_keeps_the_object_where_it_is() {
    let name = test_name!("a_leaked_guard_keeps_the_object_where_it_is");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(0));
            let room = old_handle(cx, 0);
            let slot = room.slot();
            std::mem::forget(room.lock(cx).unwrap());
            drop(room);
            tear_down(cx, 0);
            assert_eq!((fate_of(slot), drops()), (Fate::Retired, 0));
            objects::end_run();
            assert_eq!((fate_of(slot), drops()), (Fate::Retired, 0));
            let_in(cx, old_room(1));
            assert_ne!(old_handle(cx, 0).slot(), slot);
        });
    });
}

// R16
#[test]
fn several_objects_are_locked_in_the_order_of_their_slots() {
    let name = test_name!("several_objects_are_locked_in_the_order_of_their_slots");
    with_world(name, || {
        play(0, |cx| {
            for visits in 0..3 {
                let_in(cx, old_room(visits));
            }
            let backward: Vec<_> = (0..3).rev().map(|place| old_handle(cx, place)).collect();
            let guards = lock_objects(cx, &backward).unwrap();
            let visits: Vec<_> = guards.iter().map(|guard| guard.visits).collect();
            assert_eq!(visits, [2, 1, 0]);
            drop(guards);

            // With the lowest slot taken, none of the others is held while one waits for it.
            let lowest = backward[2].lock(cx).unwrap();
            assert!(matches!(
                lock_objects(cx, &backward),
                Err(LockError::Deadlock(_))
            ));
            assert!(backward[0].try_lock(cx).is_ok() && backward[1].try_lock(cx).is_ok());
            drop(lowest);

            let pair = lock_two_objects(cx, &backward[0], &backward[2]).unwrap();
            assert_eq!((pair.0.visits, pair.1.visits), (2, 0));
            drop(pair);
            let twice = lock_two_objects(cx, &backward[0], &backward[0]).map(drop);
            assert!(matches!(twice, Err(LockError::Deadlock(_))));
            drop(backward);
            assert_sound();
        });
    });
}

// R29, R30
#[test]
fn the_sweep_brings_every_object_to_this_versions_form_and_names_the_poisoned() {
    let name =
        test_name!("the_sweep_brings_every_object_to_this_versions_form_and_names_the_poisoned");
    with_world(name, || {
        play(0, |cx| {
            for visits in 0..50 {
                let_in(cx, old_room(visits));
            }
            // One that is only held, and one that nobody may touch any more.
            let held = old_handle(cx, 0);
            tear_down(cx, 0);
            let bad = old_handle(cx, 0);
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _guard = bad.lock(cx).unwrap();
                panic!("in the middle");
            }));
            assert!(panicked.is_err());

            let cells = &lobby_cells()[..1];
            let mut pass = update::SweepSlice::default();
            let mut slices = 0;
            while !pass.is_done {
                // Too little for all of them at once.
                pass.add(update::sweep_guards(
                    SWEEP,
                    Parked::Kept,
                    || cells.to_vec(),
                    1,
                ));
                slices += 1;
            }
            assert!(slices > 10);
            let bad_name = format!("Room in slot {}", bad.slot().0);
            assert_eq!((pass.converted, pass.failed, pass.parked), (49, 0, 0));
            assert_eq!(pass.poisoned, [bad_name]);
            assert_eq!(live::count(OldRoom::tag().get()), 1);
            assert_eq!(form_of(held.slot()), NewRoom::tag().get());
            let again = update::sweep_guards(SWEEP, Parked::Kept, || cells.to_vec(), u64::MAX >> 1);
            assert_eq!((again.converted, again.is_done), (0, true));

            // Without its owner and handles it holds nothing up any more.
            tear_down(cx, 0);
            let slot = bad.slot();
            drop(bad);
            assert_eq!((fate_of(slot), drops()), (Fate::Condemned, 0));
            let last = update::sweep_guards(SWEEP, Parked::Kept, || cells.to_vec(), u64::MAX >> 1);
            assert_eq!(last.poisoned, [""; 0]);
            assert_eq!(findings(), [""; 0]);
        });
    });
}

#[test]
fn an_object_that_cannot_be_made_leaves_nothing() {
    let name = test_name!("an_object_that_cannot_be_made_leaves_nothing");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(0));
            for allocations in 0..2 {
                let value = old_value(1);
                let before = drops();
                assert!(failing_after(allocations, || Guarded::new(value)).is_err());
                assert_eq!(drops(), before + 1);
            }
            assert_sound();
        });
    });
}
