//! What is left of objects when a worker dies with them in its hands.
#![allow(unsafe_code)] // shares a table of owners between processes

use super::rooms::*;
use super::world::*;
use crate::abi::Parked;
use crate::error::LockError;
use crate::heap::objects::{self, Fate, ObjectId};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::{fork_worker, kill, lose_ledger, reap, shared_zeroed, test_name};
use crate::heap::{Activity, HeapAccount, recover};
use crate::ids::{GuardIndex, SweepId, WorkerSlot};
use crate::sync::{Guarded, recover_worker};
use crate::update;
use crate::worker::Worker;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Lets a worker die in the middle of what it does, and recovers it; what its death has poisoned.
fn killed_in(slot: u32, body: impl FnOnce(&Worker)) -> Vec<GuardIndex> {
    let child = fork_worker(slot, || {
        watch();
        body(&Worker::of_runtime());
        die();
    });
    assert_eq!(reap(child), None, "it was to be killed");
    recovered(slot)
}

fn recovered(slot: u32) -> Vec<GuardIndex> {
    let poisoned = recover_worker(WorkerSlot(slot), ALL_GUARDS).poisoned;
    assert_eq!(recover_worker(WorkerSlot(slot), ALL_GUARDS).poisoned, []);
    recover(WorkerSlot(slot));
    poisoned
}

#[test]
fn handles_of_the_dead_are_released_and_what_they_kept_is_freed_by_the_next() {
    let name =
        test_name!("handles_of_the_dead_are_released_and_what_they_kept_is_freed_by_the_next");
    with_world(name, || {
        play(0, |cx| {
            for visits in 0..10 {
                let_in(cx, old_room(visits));
            }
        });
        let poisoned = killed_in(1, |cx| {
            for place in 0..10 {
                let one = old_handle(cx, place);
                std::mem::forget((one.clone(), one));
            }
            (0..9).for_each(|_| tear_down(cx, 0));
        });
        assert_eq!(poisoned, []);
        assert_eq!(all_objects().len(), 10);
        play(2, |cx| {
            // Its owner lives.
            assert_eq!(old_handle(cx, 0).lock(cx).unwrap().visits, 9);
            drop(old_room(0));
            assert_eq!((all_objects().len(), drops()), (1, 10));
            assert_sound();
        });
        play(3, |cx| {
            tear_down(cx, 0);
            assert_sound();
        });
    });
}

#[test]
fn a_run_that_begins_frees_what_the_dead_left() {
    let name = test_name!("a_run_that_begins_frees_what_the_dead_left");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(1));
        });
        killed_in(1, |cx| {
            std::mem::forget(old_handle(cx, 0));
            tear_down(cx, 0);
        });
        play(1, |_| {
            assert_eq!(all_objects().len(), 1);
            objects::end_run();
            assert_eq!(all_objects(), []);
            assert_sound();
        });
    });
}

#[test]
fn a_death_inside_the_section_of_an_object_poisons_it_alone() {
    let name = test_name!("a_death_inside_the_section_of_an_object_poisons_it_alone");
    with_world(name, || {
        let slots = play(0, |cx| {
            for visits in 0..3 {
                let_in(cx, old_room(visits));
            }
            [0, 1, 2].map(|place| old_handle(cx, place).slot())
        });
        let poisoned = killed_in(1, |cx| {
            let room = old_handle(cx, 1);
            let _guard = room.lock(cx).unwrap();
            die();
        });
        assert_eq!(poisoned, [slots[1]]);
        play(2, |cx| {
            let bad = old_handle(cx, 1);
            let what = format!("Room in slot {}", slots[1].0);
            assert_eq!(bad.lock(cx).map(drop), Err(LockError::Poisoned(what)));
            let from_the_other_version = new_handle(cx, 1);
            assert!(matches!(
                from_the_other_version.try_lock(cx),
                Err(LockError::Poisoned(_))
            ));
            assert!(old_handle(cx, 0).lock(cx).is_ok());
            assert!(old_handle(cx, 2).lock(cx).is_ok());
            drop((bad, from_the_other_version));
            tear_down(cx, 1);
            assert_eq!((fate_of(slots[1]), drops()), (Fate::Condemned, 0));
            (0..5000)
                .for_each(|_| assert_ne!(old_handle(cx, let_in(cx, old_room(0))).slot(), slots[1]));
            assert_eq!(findings(), [""; 0]);
        });
    });
}

// R3
#[test]
fn a_death_inside_the_transformer_of_an_object_leaves_it_sound() {
    let name = test_name!("a_death_inside_the_transformer_of_an_object_leaves_it_sound");
    with_world(name, || {
        play(0, |cx| {
            let_in(cx, old_room(8));
        });
        let poisoned = killed_in(1, |cx| {
            room_lens_shall(Fails::Dying);
            let _never = new_handle(cx, 0).lock(cx).map(drop);
        });
        assert_eq!(poisoned, []);
        play(2, |cx| {
            assert_eq!(old_handle(cx, 0).lock(cx).unwrap().visits, 8);
            assert_eq!(new_handle(cx, 0).lock(cx).unwrap().note.as_slice(), NOTE);
            assert_eq!(all_objects().len(), 1);
        });
    });
}

#[test]
fn an_object_that_died_in_the_hands_of_its_maker_is_reported_and_freed() {
    let name = test_name!("an_object_that_died_in_the_hands_of_its_maker_is_reported_and_freed");
    with_world(name, || {
        killed_in(1, |cx| {
            let_in(cx, old_room(1));
            std::mem::forget(old_room(2));
        });
        play(2, |cx| {
            // The one in the hands of a living worker is no finding.
            let in_hands = old_room(3);
            let found = findings();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("is nobody's"), "{found:?}");
            assert_eq!((all_objects().len(), drops()), (2, 1));
            let_in(cx, in_hands);
            assert_sound();
        });
    });
}

// What another version's guard owns is nobody's only to who does not know that guard.
#[test]
fn a_check_by_a_version_that_has_not_all_guards_frees_nothing() {
    let name = test_name!("a_check_by_a_version_that_has_not_all_guards_frees_nothing");
    with_world(name, || {
        killed_in(1, |cx| {
            let_in(cx, old_room(1));
        });
        play(2, |cx| {
            drop(WORLD_FAMILY[0].lock(cx).unwrap());
            let cells = WORLD_FAMILY.cells().iter().collect();
            assert_eq!(crate::update::check_guards(cells).findings, [""; 0]);
            assert_eq!(old_handle(cx, 0).lock(cx).unwrap().visits, 1);
            assert_eq!((all_objects().len(), drops()), (1, 0));
        });
    });
}

#[test]
fn what_a_worker_made_in_a_conversion_that_it_died_in_is_gone_with_it() {
    let name = test_name!("what_a_worker_made_in_a_conversion_that_it_died_in_is_gone_with_it");
    with_world(name, || {
        killed_in(1, |_| {
            let conversion = crate::heap::Transaction::begin();
            std::mem::forget(old_room(2));
            std::mem::forget(conversion);
        });
        play(2, |_| {
            assert_eq!((all_objects(), drops()), (Vec::new(), 0));
            assert_eq!(findings(), [""; 0]);
        });
    });
}

// Its value may have taken over blocks of the one that it was to replace. Only one that had no place in
// the ledger is found like this.
#[test]
fn who_dies_while_it_frees_what_another_made_in_a_conversion_drops_nothing_either() {
    let name = test_name!(
        "who_dies_while_it_frees_what_another_made_in_a_conversion_drops_nothing_either"
    );
    with_world(name, || {
        killed_in(1, |_| {
            let conversion = crate::heap::Transaction::begin();
            std::mem::forget(old_room(2));
            std::mem::forget(conversion);
            lose_ledger(WorkerSlot(1));
        });
        let objects = all_objects();
        assert!(matches!(objects[..], [(Fate::Doubtful, _)]));
        assert!(!objects[0].0.is_reachable(), "no sweep goes into it");
        let lost = objects[0].1;
        let points = at_every_store(
            7,
            || objects::collect_lost(lost),
            || {
                recovered(7);
                play(2, |_| {
                    objects::reap();
                    objects::collect_lost(lost);
                    assert_eq!((all_objects(), drops()), (Vec::new(), 0));
                });
            },
        );
        assert!(points > 2, "{points}");
    });
}

#[test]
fn a_death_in_the_middle_of_freeing_frees_the_slot() {
    let name = test_name!("a_death_in_the_middle_of_freeing_frees_the_slot");
    with_world(name, || {
        play(0, |cx| {
            let mut value = old_value(0);
            value.fuse.is_live = 1;
            let_in(cx, Guarded::new(value).unwrap());
        });
        let poisoned = killed_in(1, |cx| {
            let room = old_handle(cx, 0);
            tear_down(cx, 0);
            drop(room);
        });
        assert_eq!(poisoned, []);
        play(2, |_| {
            assert_eq!(all_objects(), []);
            // What the dead had not given back yet is what it had in its hands.
            let found = findings();
            assert!(
                found.len() == 1 && found[0].contains("nobody reaches"),
                "{found:?}"
            );
        });
    });
}

const CELLS: usize = 64;
const WORKERS: usize = 4;

/// Where workers leave objects for each other: words that own them. And what each has done so far.
struct Exchange {
    cells: [AtomicU64; CELLS],
    deeds: [AtomicU64; WORKERS],
}

fn exchange() -> &'static Exchange {
    // SAFETY: made of atomics.
    unsafe { shared_zeroed() }
}

/// The owner whose word was in a cell.
fn owner(word: u64) -> Guarded<OldRoom> {
    // SAFETY: an owner is one word, and a cell had it from `word`; the swap made it ours alone.
    unsafe { std::mem::transmute::<u64, Guarded<OldRoom>>(word) }
}

fn word(owner: Guarded<OldRoom>) -> u64 {
    // SAFETY: as above.
    unsafe { std::mem::transmute::<Guarded<OldRoom>, u64>(owner) }
}

/// Makes objects, passes them on, locks and drops them, in either version, for ever.
fn trade(exchange: &Exchange, worker: usize, seed: u64) {
    let cx = &Worker::of_runtime();
    let mut random = seed;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    loop {
        let cell = &exchange.cells[next() % CELLS];
        let found = cell.swap(0, SeqCst);
        let mine = match (found, next() % 4) {
            (0, 0) => Some(old_room(0)),
            (0, _) => None,
            (found, 0) => {
                drop(owner(found));
                None
            }
            (found, _) => Some(owner(found)),
        };
        if let Some(mine) = mine {
            match next() % 3 {
                0 => old.extend(mine.handle(cx)),
                1 => new.extend(as_new(&mine).handle(cx)),
                _ => {}
            }
            let mine = word(mine);
            if cell.compare_exchange(0, mine, SeqCst, SeqCst).is_err() {
                drop(owner(mine));
            }
        }
        let visit = |outcome: Result<&mut u64, LockError>| match outcome {
            Ok(visits) => *visits += 1,
            Err(LockError::Retired(_) | LockError::Poisoned(_)) => {}
            Err(error) => panic!("{error}"),
        };
        if let Some(room) = old.last() {
            let room: &crate::sync::Handle<OldRoom> = room;
            match room.lock(cx) {
                Ok(mut room) => visit(Ok(&mut room.visits)),
                Err(error) => visit(Err(error)),
            }
        }
        if let Some(room) = new.last() {
            let room: &crate::sync::Handle<NewRoom> = room;
            match room.lock(cx) {
                Ok(mut room) => visit(Ok(&mut room.visits)),
                Err(error) => visit(Err(error)),
            }
        }
        if next() % 64 == 0 {
            // Walks over whatever the others make and free meanwhile.
            let pass = update::sweep_guards(SweepId(1), Parked::Kept, Vec::new, 1 << 20);
            assert_eq!((pass.failed, pass.parked), (0, 0));
        }
        if next() % 4 == 0 {
            old.truncate(next() % 8);
            new.truncate(next() % 8);
        }
        exchange.deeds[worker].fetch_add(1, SeqCst);
    }
}

#[test]
fn workers_killed_at_random_leave_no_slot_stuck_and_no_lock_taken() {
    let name = test_name!("workers_killed_at_random_leave_no_slot_stuck_and_no_lock_taken");
    with_world(name, || {
        const KILLS: usize = 60;
        let exchange = exchange();
        let start = |worker: usize, seed: u64| {
            fork_worker(worker as u32, move || {
                watch();
                trade(exchange, worker, seed);
            })
        };
        let mut children: Vec<_> = (0..WORKERS).map(|w| start(w, w as u64 + 1)).collect();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..KILLS {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let worker = (random >> 33) as usize % WORKERS;
            let deeds = &exchange.deeds[worker];
            let enough = deeds.load(SeqCst) + (random >> 40) % 2000;
            while deeds.load(SeqCst) < enough {
                std::thread::yield_now();
            }
            kill(children[worker]);
            assert_eq!(reap(children[worker]), None, "the worker failed by itself");
            recovered(worker as u32);
            children[worker] = start(worker, round as u64 + 100);
        }
        for (worker, child) in children.into_iter().enumerate() {
            kill(child);
            assert_eq!(reap(child), None, "the worker failed by itself");
            recovered(worker as u32);
        }
        assert_eq!(HeapAccount::take(Activity::Quiescent).findings, [""; 0]);
        play(5, |cx| {
            objects::reap();
            let left: Vec<u64> = exchange
                .cells
                .iter()
                .map(|cell| cell.swap(0, SeqCst))
                .collect();
            let in_cells: Vec<ObjectId> = left
                .iter()
                .filter_map(|&w| ObjectId::from_word(w))
                .collect();
            // What is left is in a cell, was in the hands of the dead, or is poisoned for good.
            for (fate, id) in all_objects() {
                match fate {
                    Fate::Condemned => {}
                    fate if fate.is_owned() && in_cells.contains(&id) => {}
                    fate if fate.may_be_lost() => objects::collect_lost(id),
                    other => panic!("{id:?} is {other:?}"),
                }
            }
            for word in left.into_iter().filter(|word| *word != 0) {
                let room = ManuallyDrop::new(owner(word));
                if let Ok(room) = room.handle(cx)
                    && let Err(error) = room.lock(cx)
                {
                    assert!(matches!(error, LockError::Poisoned(_)), "{error}");
                }
                drop(ManuallyDrop::into_inner(room));
            }
            let condemned = all_objects();
            assert!(condemned.iter().all(|(fate, _)| *fate == Fate::Condemned));
            // Each death poisons two objects at the most.
            assert!(
                condemned.len() <= 2 * (KILLS + WORKERS),
                "{}",
                condemned.len()
            );
            for index in objects::known_slots().map(GuardIndex) {
                assert!(crate::sync::GuardSlot::at(index).lock.is_at_rest());
            }
        });
    });
}
