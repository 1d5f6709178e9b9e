//! Whose a shared node is: one guard's, or one object's, and what becomes of handles that leave it.

use super::graph::*;
use super::world::*;
use crate::abi::{Parked, WorkerContext};
use crate::error::{LockError, RcError};
use crate::heap::testing::test_name;
use crate::heap::{SharedRc, SharedVec};
use crate::sync::{Guard, GuardSlot, Guarded, settle_handles};
use dsu_macros::{Shared, guards};

// I34, and design, section 3: no counts that more than one guard reaches.
#[test]
fn a_node_is_used_under_its_guard_alone() {
    let name = test_name!("a_node_is_used_under_its_guard_alone");
    in_world(name, |cx| {
        let family = |at: usize| WORLD_FAMILY[at].lock(cx).expect("free and sound");
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        let ours = node(1);
        let copy = ours.try_clone().expect("held");
        drop(guard);
        let nothing = |error: RcError| {
            assert_eq!(ours.read(|_| ()), Err(error.clone()));
            assert_eq!(ours.edit(|_| ()), Err(error.clone()));
            assert_eq!(ours.try_clone().map(drop), Err(error.clone()));
            assert_eq!(ours.downgrade().map(drop), Err(error.clone()));
            assert_eq!(ours.strong_count(), Err(error));
        };
        nothing(RcError::NotHeld);
        let other = family(0);
        nothing(RcError::NotHeld);
        // Dropped under another guard, and counted down under its own.
        drop(copy);
        drop(other);
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        assert_eq!(ours.strong_count(), Ok(2));
        drop(guard);
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        assert_eq!(ours.strong_count(), Ok(1));
        // Of two that are held it is the one under which it is used alone.
        let other = family(1);
        let either = node(2);
        assert_eq!(either.read(|value| value.id), Ok(2));
        drop(guard);
        assert_eq!(either.read(|value| value.id), Ok(2));
        drop(other);
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        assert_eq!(either.read(|_| ()), Err(RcError::NotHeld));
        drop(guard);
        // Made outside, it is the one's that is held when it is used first.
        let nobodys = node(3);
        assert_eq!(nobodys.read(|_| ()), Err(RcError::NotHeld));
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        let (one, two) = (family(0), family(2));
        assert_eq!(nobodys.read(|_| ()), Err(RcError::WhichGuard));
        let named = Guard::share(&guard, NewPerson::make(4)).expect("room");
        drop((one, two));
        assert_eq!((nobodys.read(|_| ()), named.read(|_| ())), (Ok(()), Ok(())));
        drop((nobodys, named));
        drop(guard);
        let last = family(1);
        drop(either);
        drop(last);
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        drop(ours);
        drop(guard);
    });
}

// What nobody will lock again is not waited for.
#[test]
fn what_is_owed_to_a_poisoned_guard_is_given_up() {
    let name = test_name!("what_is_owed_to_a_poisoned_guard_is_given_up");
    with_world(name, || {
        play(0, |cx| {
            let owes = || WorkerContext::current().owes(WorkerContext::OWES_HANDLES);
            let guard = GRAPH_NEW.lock(cx).expect("free and sound");
            let (ours, mine) = (node(1), node(2));
            drop(guard);
            drop(ours);
            // One that is sound is taken for it.
            assert!(owes());
            settle_handles(cx);
            assert!(!owes());
            assert_eq!(counts(), [0, 1]);
            drop(mine);
            GuardSlot::at(GRAPH).poison();
            assert!(owes());
            settle_handles(cx);
            assert!(!owes());
            assert_eq!(counts(), [0, 1], "its items are left as they are");
        });
    });
}

// I34: a handle that was put behind another guard is found, and neither converted nor freed there.
#[test]
fn a_handle_behind_another_guard_is_reported_and_not_followed() {
    let name = test_name!("a_handle_behind_another_guard_is_reported_and_not_followed");
    in_world(name, |cx| {
        let other = WORLD_FAMILY[0].lock(cx).expect("free and sound");
        let theirs = node(1);
        drop(other);
        let mut guard = GRAPH_NEW.lock(cx).expect("free and sound");
        guard.town.roots.push(theirs).expect("room");
        drop(guard);
        let [finding] = &findings(true)[..] else {
            panic!("{:?}", findings(true))
        };
        assert!(finding.contains("belongs to that in slot 1"), "{finding}");
        assert_eq!(sweep(1, false, Parked::Kept).converted, 0);
        assert_eq!(counts(), [0, 1]);
        // It is counted down where it belongs.
        leave_town(cx);
        drop(WORLD_FAMILY[0].lock(cx).expect("free and sound"));
    });
}

// R18: what was borrowed stays guarded.
#[test]
fn a_guard_that_is_dropped_inside_a_read_stays_locked_and_counts_as_leaked() {
    let name =
        test_name!("a_guard_that_is_dropped_inside_a_read_stays_locked_and_counts_as_leaked");
    with_world(name, || {
        play(0, |cx| {
            let guard = GRAPH_NEW.lock(cx).expect("free and sound");
            let other = WORLD_FAMILY[0].lock(cx).expect("free and sound");
            let ours = Guard::share(&guard, NewPerson::make(1)).expect("room");
            ours.read(|_| {
                drop(other);
                assert!(GuardSlot::at(FAMILY).lock.is_at_rest());
                drop(guard);
                assert!(!GuardSlot::at(GRAPH).lock.is_at_rest());
            })
            .expect("its own form");
            assert!(!WorkerContext::current().held().is_empty());
            assert!(matches!(GRAPH_NEW.lock(cx), Err(LockError::Deadlock(_))));
        });
    });
}

/// An object with people of its own.
#[derive(Shared)]
pub struct Club {
    members: SharedVec<SharedRc<NewPerson>>,
}

#[guards(clubs: SharedVec<Guarded<Club>>)]
static GRAPH_CLUBS: GuardMutex;

// I28, I34: an object is freed with no lock held, and its nodes with it.
#[test]
fn nodes_of_an_object_are_its_own_and_go_with_it() {
    let name = test_name!("nodes_of_an_object_are_its_own_and_go_with_it");
    in_world(name, |cx| {
        let members = SharedVec::new();
        let mut lobby = GRAPH_CLUBS.lock(cx).expect("free and sound");
        let club = Guarded::new(Club { members }).expect("room");
        let handle = club.handle(cx).expect("it is there");
        lobby.clubs.push(club).expect("room");
        drop(lobby);
        let mut club = handle.lock(cx).expect("free and sound");
        for id in 0..3 {
            let member = node(id);
            if let Some(first) = club.members.get(0).expect("inline") {
                let first = first.try_clone().expect("held");
                member
                    .edit(|value| value.links.push(first))
                    .expect("form")
                    .expect("room");
            }
            club.members.push(member).expect("room");
        }
        let carried = club.members.get(1).expect("inline").expect("there");
        let carried = carried.try_clone().expect("held");
        drop(club);
        assert_eq!(carried.read(|_| ()), Err(RcError::NotHeld));
        assert_eq!(sweep(1, true, Parked::Kept).failed, 0);
        drop(carried);
        // Counted down under the object's lock.
        drop(handle.lock(cx).expect("free and sound"));
        assert_eq!(counts(), [0, 3]);
        let mut lobby = GRAPH_CLUBS.lock(cx).expect("free and sound");
        drop(lobby.clubs.pop().expect("inline"));
        drop(lobby);
        assert_eq!(counts(), [0, 3], "a handle is left");
        drop(handle);
        assert_eq!(counts(), [0, 0]);
    });
}
