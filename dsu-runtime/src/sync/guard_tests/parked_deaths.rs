//! Workers that die while they sweep towards a version in which some values have no form.

use super::parked::{OldValue, PARKED_NEW, PARKED_OLD, many, old, parked, sweep_to_old, text};
use super::world::*;
use crate::abi::{Parked, WorkerRecord};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::test_name;
use crate::heap::{Element, Versioned, live};
use crate::ids::WorkerSlot;
use crate::sync::{GuardSlot, recover_worker};
use crate::update::check_guards;
use crate::worker::Worker;
use std::sync::atomic::Ordering;

const DEAD: WorkerSlot = WorkerSlot(1);
const MAKER: WorkerSlot = WorkerSlot(0);

fn recover_both() {
    for dead in [DEAD, MAKER] {
        recover_worker(dead, GUARDS);
        crate::heap::recover(dead);
    }
}

fn findings() -> Vec<String> {
    check_guards(PARKED_OLD.cells().iter().collect()).findings
}

/// Numbers that version 1 reads in its queue.
fn queued(cx: &Worker) -> Vec<u64> {
    let guard = PARKED_OLD.lock(cx).expect("sound");
    let number = |value: &OldValue| {
        let text = String::from_utf8_lossy(value.text.as_slice()).into_owned();
        text.parse().expect("a number")
    };
    let values = guard.queue.iter().map(|v| number(v.expect("a form")));
    values.collect()
}

// I5, R13: what a death in the middle of taking out leaves is locked away, and what it leaves
// otherwise is whole.
#[test]
fn worker_may_die_at_every_store_while_elements_are_discarded_put_in_and_removed() {
    let name =
        test_name!("worker_may_die_at_every_store_while_elements_are_discarded_put_in_and_removed");
    with_world(name, || {
        play(MAKER.0, |cx| {
            let mut guard = PARKED_NEW.lock(cx).expect("sound");
            for n in 0..12_u64 {
                let value = || match n % 3 {
                    0 => many(n + 1, 1),
                    _ => text(&n.to_string()),
                };
                guard.map.insert(n, value()).expect("room");
                guard.queue.push_back(value()).expect("room");
                guard.ordered.insert([n; 16], value()).expect("room");
            }
        });
        let before = vec![1, 2, 4, 5, 7, 8, 10, 11];
        let put_in = vec![1, 2, 100, 4, 5, 7, 101, 8, 10, 11];
        let removed = vec![1, 2, 100, 7, 101, 8, 10, 11];
        let points = at_every_store(
            DEAD.0,
            || {
                let cx = &Worker::of_runtime();
                let pass = sweep_to_old(1, Parked::Discarded);
                assert_eq!((pass.discarded, pass.failed), (12, 0));
                assert_eq!(queued(cx), before);
                let mut guard = PARKED_OLD.lock(cx).expect("sound");
                for (at, number) in [(2, "100"), (6, "101")] {
                    let cell = Versioned::new(old(number)).expect("room");
                    let put = guard.queue.insert_cell(at, cell);
                    put.unwrap_or_else(|_| panic!("no room"));
                }
                // So many that nodes divide, and become one again.
                for n in 0..20 {
                    guard.ordered.insert([n * 3; 16], old("put")).expect("room");
                }
                while guard.ordered.len() > 8 {
                    guard.ordered.remove_nth(3).expect("room");
                }
                drop(guard);
                let mut guard = PARKED_OLD.lock(cx).expect("sound");
                guard.queue.remove_cells(3..5).expect("room");
                drop(guard);
                assert_eq!(queued(cx), removed);
            },
            || {
                recover_both();
                play(5, |cx| {
                    if GuardSlot::at(PARKED).is_poisoned() {
                        assert!(PARKED_OLD.lock(cx).is_err());
                        return;
                    }
                    sweep_to_old(2, Parked::Discarded);
                    let found = queued(cx);
                    assert!([&before, &put_in, &removed].contains(&&found), "{found:?}");
                    let guard = PARKED_OLD.lock(cx).expect("sound");
                    assert_eq!(guard.map.len(), 8);
                    let numbers: Vec<u64> = guard.ordered.keys().map(|key| key[0]).collect();
                    assert!(numbers.is_sorted() && numbers.len() == 8, "{numbers:?}");
                    drop(guard);
                    let findings = findings();
                    let is_lost = |finding: &String| finding.contains("nobody reaches");
                    assert!(findings.iter().all(is_lost), "{findings:?}");
                    assert_eq!(parked(), 0, "{findings:?} {found:?}");
                    let old = live::count(OldValue::tag().get());
                    assert_eq!(old, found.len() as i64 + 8 + 8, "{findings:?} {found:?}");
                });
            },
        );
        assert!(points > 100, "{points}");
    });
}

// R28, R29: in a conversion of the sweep no section of the application is cut off, so that nothing is poisoned;
// and no block is lost.
#[test]
fn worker_may_die_at_every_store_of_a_sweep_and_its_conversions_poison_nothing() {
    let name =
        test_name!("worker_may_die_at_every_store_of_a_sweep_and_its_conversions_poison_nothing");
    with_world(name, || {
        play(MAKER.0, |cx| {
            let mut guard = PARKED_NEW.lock(cx).expect("sound");
            for n in 0..6_u64 {
                let value = || match n % 3 {
                    0 => many(n + 1, 1),
                    _ => text("a value that is too long to lie in its word"),
                };
                guard.map.insert(n, value()).expect("room");
                guard.queue.push_back(value()).expect("room");
                guard.ordered.insert([n; 16], value()).expect("room");
            }
        });
        let points = at_every_store(
            DEAD.0,
            || {
                let pass = sweep_to_old(1, Parked::Kept);
                assert_eq!((pass.converted, pass.failed), (13, 0));
            },
            || {
                let flipping = WorkerRecord::at(DEAD).flipping.load(Ordering::SeqCst);
                let was_converting = flipping == PARKED.0 + 1;
                recover_both();
                let is_poisoned = GuardSlot::at(PARKED).is_poisoned();
                assert!(!(was_converting && is_poisoned));
                play(5, |cx| {
                    if is_poisoned {
                        return;
                    }
                    let pass = sweep_to_old(2, Parked::Kept);
                    assert_eq!((pass.failed, parked()), (0, 6));
                    let guard = PARKED_OLD.lock(cx).expect("sound");
                    let of_queue = guard.queue.iter();
                    let of_map = guard.map.iter().map(|(_, cell)| cell.get());
                    let values = of_queue.chain(of_map);
                    assert_eq!(values.filter(Result::is_ok).count(), 8);
                    drop(guard);
                    assert_eq!(findings(), [""; 0]);
                });
            },
        );
        assert!(points > 100, "{points}");
    });
}
