//! The lock word on the real platform; its protocol under any schedule is the model test's.

use super::{CellIndex, Class, LockCell, Name, Seat, TimedOut, recover};
use crate::sys::time::Nanos;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const AT: CellIndex = CellIndex(0);

fn cells(cell: &LockCell) -> impl Iterator<Item = (CellIndex, &LockCell)> + Clone {
    std::iter::once((AT, cell))
}

/// A stay so long that no hiccup of the machine ends it.
fn settle_for_seconds(cell: &LockCell, class: Class) {
    cell.transformed(class, Duration::from_secs(4));
    cell.transforming(class);
}

#[test]
fn a_cell_fits_beside_the_root_word_of_a_guard_slot() {
    assert!(size_of::<LockCell>() <= 24);
    assert_eq!(align_of::<LockCell>(), 8);
}

#[test]
fn a_name_is_its_slot_plus_one() {
    let name = Name::of_slot(127);
    assert_eq!(name.slot(), 127);
    assert!(Name::of_slot(0) < name);
}

#[test]
#[should_panic(expected = "beyond what a lock word can name")]
fn a_slot_that_eight_bits_cannot_name_is_refused() {
    let _ = Name::of_slot(255);
}

#[test]
fn an_owner_finds_its_own_name_and_nobody_else_gets_in() {
    let (cell, me, other) = (LockCell::new(), Name::of_slot(3), Name::of_slot(4));
    assert!(cell.is_at_rest() && cell.owner().is_none());
    assert!(cell.try_acquire_fast(me));
    assert_eq!((cell.owner(), cell.heir()), (Some(me), None));
    assert!(!cell.try_acquire_fast(other) && !cell.try_acquire(other, Class::Even));
    assert!(!cell.release_fast(other));
    assert!(cell.release_fast(me) && cell.is_at_rest());
}

#[test]
fn a_waiter_whose_deadline_passed_leaves_no_trace() {
    let (cell, busy, me) = (LockCell::new(), AtomicU32::new(0), Name::of_slot(0));
    assert!(cell.try_acquire_fast(me));
    let seat = Seat {
        name: Name::of_slot(1),
        busy: &busy,
    };
    let soon = Nanos::now().after(Duration::from_millis(2));
    assert_eq!(
        cell.acquire_slow(&seat, AT, Class::Odd, Some(soon)),
        Err(TimedOut)
    );
    assert!(Nanos::now() >= soon);
    assert_eq!(busy.load(Ordering::Relaxed), 0);
    assert!(cell.release_fast(me), "a flag or an heir was left behind");
}

#[test]
fn an_item_that_stays_with_the_other_class_is_given_back() {
    let (cell, busy) = (LockCell::new(), AtomicU32::new(0));
    let seat = Seat {
        name: Name::of_slot(1),
        busy: &busy,
    };
    settle_for_seconds(&cell, Class::Even);
    assert!(!cell.welcomes(Class::Odd) && cell.welcomes(Class::Even));
    assert!(cell.try_acquire_fast(seat.name));
    let now = Some(Nanos::now());
    assert_eq!(cell.await_turn(&seat, AT, Class::Odd, now), Err(TimedOut));
    assert!(cell.is_at_rest());
    // A failed transformer takes its announcement back: anybody may try.
    assert!(cell.try_acquire_fast(seat.name));
    cell.transform_failed(Class::Even);
    assert_eq!(cell.await_turn(&seat, AT, Class::Even, now), Ok(()));
    assert_eq!(cell.owner(), Some(seat.name));
}

#[test]
fn recovery_frees_what_the_dead_held_and_reports_it_once() {
    let (cell, busy) = (LockCell::new(), AtomicU32::new(0));
    let dead = Seat {
        name: Name::of_slot(7),
        busy: &busy,
    };
    assert!(cell.try_acquire_fast(dead.name));
    settle_for_seconds(&cell, Class::Odd);
    let mut reported = Vec::new();
    recover(&dead, cells(&cell), |at| reported.push(at));
    recover(&dead, cells(&cell), |at| reported.push(at));
    assert_eq!(reported, [AT]);
    assert!(cell.is_at_rest() && cell.welcomes(Class::Even));
    assert_eq!(busy.load(Ordering::Relaxed), 0);
}

#[test]
fn recovery_reports_no_section_for_a_death_in_the_slow_path() {
    let (cell, busy) = (LockCell::new(), AtomicU32::new(AT.0 + 1));
    let dead = Seat {
        name: Name::of_slot(7),
        busy: &busy,
    };
    assert!(cell.try_acquire_fast(dead.name));
    recover(&dead, cells(&cell), |_| {
        panic!("it died outside of its section")
    });
    assert!(cell.is_at_rest());
}

#[test]
fn recovery_ignores_a_busy_word_that_names_no_cell() {
    let (cell, busy) = (LockCell::new(), AtomicU32::new(u32::MAX));
    let dead = Seat {
        name: Name::of_slot(7),
        busy: &busy,
    };
    recover(&dead, cells(&cell), |_| panic!("it held nothing"));
    assert_eq!(busy.load(Ordering::Relaxed), 0);
}

#[test]
fn two_classes_lose_no_addition() {
    const ROUNDS: u64 = 3000;
    let (cell, count) = (LockCell::new(), AtomicU64::new(0));
    thread::scope(|scope| {
        for slot in 0..4 {
            let (cell, count) = (&cell, &count);
            scope.spawn(move || {
                let busy = AtomicU32::new(0);
                let seat = Seat {
                    name: Name::of_slot(slot),
                    busy: &busy,
                };
                let class = Class::of_tag(slot.into());
                for _ in 0..ROUNDS {
                    if !cell.try_acquire_fast(seat.name) {
                        assert_eq!(cell.acquire_slow(&seat, AT, class, None), Ok(()));
                    }
                    cell.transforming(class);
                    cell.transformed(class, Duration::from_nanos(50));
                    // Two steps, so that a second owner would lose one.
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    if !cell.release_fast(seat.name) {
                        cell.release_slow(&seat, AT, class);
                    }
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 4 * ROUNDS);
    assert!(cell.is_at_rest());
}
