//! The death of a worker at every store that others can see: in a section, in a flip; and that of
//! whoever recovers it.

use super::rooms::*;
use super::world::*;
use crate::abi::WorkerRecord;
use crate::error::LockError;
use crate::heap::objects::Fate;
use crate::heap::stepping::at_every_store;
use crate::heap::testing::{fork_worker, reap, test_name};
use crate::heap::tests::Owned;
use crate::heap::{self, Activity, HeapAccount};
use crate::ids::{GuardIndex, WorkerSlot};
use crate::sync::{GuardSlot, erased, recover_worker};
use crate::worker::Worker;
use std::sync::atomic::Ordering;

const MAKER: WorkerSlot = WorkerSlot(0);
const DEAD: WorkerSlot = WorkerSlot(1);

/// What the supervisor does to shared memory after a death.
fn recover(dead: WorkerSlot) {
    let recovered = recover_worker(dead, GUARDS);
    // Of a guard whose first items the dead was making there is nothing to poison.
    assert!(recovered.poisoned.into_iter().all(is_poisoned));
    heap::recover(dead);
}

fn is_poisoned(guard: GuardIndex) -> bool {
    GuardSlot::at(guard).is_poisoned()
}

/// What must hold once all who worked are dead and recovered: locks and books are in order, and
/// the totals are whole for either version, if they were not given up.
fn assert_totals_sound() {
    for index in 0..GUARDS {
        assert!(GuardSlot::at(GuardIndex(index)).lock.is_at_rest());
    }
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    assert_eq!(account.slots, []);
    if is_poisoned(TOTALS) {
        return;
    }
    play(5, |cx| {
        let mut owned = Owned::default();
        let mut guard = erased(&WORLD_OLD.cells()[0]).lock(cx).expect("sound");
        guard.visit(&mut owned);
        drop(guard);
        assert_eq!(owned.damage(), [""; 0]);
        let guard = WORLD_NEW.lock(cx).expect("sound");
        assert_eq!((guard.totals.hits, guard.count), (5, 5));
        assert_eq!(guard.totals.note.as_slice(), NOTE);
        drop(guard);
        let guard = WORLD_OLD.lock(cx).expect("sound");
        assert_eq!(guard.totals.label.as_slice(), LABEL);
    });
}

// I5, I6, R3
#[test]
fn worker_may_die_at_every_store_of_its_sections_and_flips() {
    let name = test_name!("worker_may_die_at_every_store_of_its_sections_and_flips");
    with_world(name, || {
        play(MAKER.0, |cx| make_totals(cx));
        let points = at_every_store(
            DEAD.0,
            || {
                let cx = &Worker::of_runtime();
                drop(WORLD_NEW.lock(cx).expect("free and sound"));
                drop(WORLD_OLD.lock(cx).expect("free and sound"));
                drop(WORLD_FAMILY.lock_many(cx, [2, 0]).expect("free and sound"));
                drop(WORLD_HARD.lock(cx).expect("free and sound"));
            },
            || {
                let flipped = WorkerRecord::at(DEAD).flipping.load(Ordering::Acquire);
                recover(DEAD);
                recover(DEAD);
                recover(MAKER);
                if flipped == TOTALS.0 + 1 {
                    assert!(!is_poisoned(TOTALS), "a transformer harms nothing");
                }
                assert_totals_sound();
                if ![TOTALS, FAMILY, HARD].into_iter().any(is_poisoned) {
                    // All that is allocated here is allocated in conversions, or in the making of items.
                    play(5, |_| {
                        let is_lost = |finding: &String| finding.contains("nobody reaches");
                        assert!(!findings().iter().any(is_lost), "{:?}", findings());
                    });
                }
            },
        );
        assert!(points > 100, "{points}");
    });
}

// I28: the whole life of an object, seen from both versions.
#[test]
fn worker_may_die_at_every_store_of_an_objects_life() {
    let name = test_name!("worker_may_die_at_every_store_of_an_objects_life");
    with_world(name, || {
        play(MAKER.0, |cx| {
            let_in(cx, old_room(1));
            let_in(cx, old_room(2));
        });
        let points = at_every_store(
            DEAD.0,
            || {
                let cx = &Worker::of_runtime();
                let_in(cx, old_room(3));
                let held = new_handle(cx, 0);
                drop(held.lock(cx).expect("free and sound"));
                tear_down(cx, 0);
                assert!(is_retired(held.lock(cx)));
                drop(held);
            },
            || {
                for dead in [DEAD, MAKER] {
                    recover_worker(dead, ALL_GUARDS);
                    heap::recover(dead);
                }
                play(5, |cx| {
                    // What was in the hands of the dead is named, and objects among it are freed.
                    let is_lost = |finding: &String| finding.contains("nobody reaches");
                    let is_freed = |finding: &String| finding.contains("is nobody's");
                    let first = findings();
                    assert!(first.iter().all(|f| is_lost(f) || is_freed(f)), "{first:?}");
                    let second = findings();
                    assert!(second.iter().all(is_lost), "{second:?}");
                    for (_, id) in all_objects() {
                        assert!(GuardSlot::at(id.index).lock.is_at_rest());
                    }
                    let Ok(lobby) = WORLD_LOBBY.lock(cx) else {
                        return;
                    };
                    let rooms = lobby.rooms.len();
                    drop(lobby);
                    assert!((1..=3).contains(&rooms));
                    let is_alive = |(fate, _): &(Fate, _)| *fate != Fate::Condemned;
                    let alive = all_objects().into_iter().filter(is_alive);
                    assert_eq!(alive.count(), rooms, "nothing but what the lobby owns");
                    for place in 0..rooms {
                        let room = old_handle(cx, place);
                        let sound = match room.lock(cx) {
                            Ok(room) => room.label.as_slice() == LABEL,
                            Err(error) => matches!(error, LockError::Poisoned(_)),
                        };
                        assert!(sound);
                    }
                    tear_down(cx, 0);
                });
            },
        );
        assert!(points > 100, "{points}");
    });
}

// Recovery is restartable at each of its steps.
#[test]
fn whoever_recovers_a_worker_may_die_at_every_store() {
    let name = test_name!("whoever_recovers_a_worker_may_die_at_every_store");
    with_world(name, || {
        play(MAKER.0, |cx| make_totals(cx));
        let child = fork_worker(DEAD.0, || {
            watch();
            let cx = &Worker::of_runtime();
            let _inside = WORLD_FAMILY[0].lock(cx).expect("free and sound");
            drop(WORLD_HARD.lock(cx).expect("free and sound"));
            lens_shall(Manner::Die);
            let _ = WORLD_NEW.lock(cx);
        });
        assert_eq!(reap(child), None, "it was to be killed");
        let points = at_every_store(
            7,
            || recover(DEAD),
            || {
                recover(DEAD);
                recover(MAKER);
                assert!(is_poisoned(FAMILY), "its owner died in the section");
                assert!(!is_poisoned(TOTALS) && !is_poisoned(HARD));
                assert_totals_sound();
            },
        );
        assert!(points > 10, "{points}");
    });
}
