//! An item with a prepared lens that moves to another guard: made ahead, taken up by the move, discarded by
//! the sweep (R4, R5).

use super::world::*;
use crate::abi::{FillingWord, GuardCell, Parked, TWIN_NAME, TypeRegistration};
use crate::heap::delta::{Hashed, Ordered, Reshaped};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::test_name;
use crate::heap::{self, SharedBytes, SharedMap, SharedOrderedMap, live};
use crate::ids::{SweepId, WorkerSlot};
use crate::sync::recover_worker;
use crate::update::{FillSlice, SweepSlice, check_guards, fill_guards, move_items, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::io::{Read, Write};

/// In a basket, or on a shelf.
#[derive(Shared)]
pub struct Apple {
    weight: u64,
}

/// Apples in no order, and in that of their numbers.
type InOrder = Reshaped<Hashed, Ordered, u64, Apple, Apple>;
crate::transformer!(prepared InOrder);

#[guards(apples: SharedMap<u64, Apple>, weight: u64)]
pub static BASKET_OLD: GuardMutex;
#[guards(weight: u64, renamed_from = "BASKET_OLD")]
pub static BASKET_NEW: GuardMutex;

#[guards(length: u64)]
pub static SHELF_OLD: GuardMutex;
#[guards(
    length: u64,
    moved(apples: SharedOrderedMap<u64, Apple>, from = "BASKET_OLD.apples"),
    renamed_from = "SHELF_OLD"
)]
pub static SHELF_NEW: GuardMutex;

const APPLES: u64 = 300;

fn older() -> Vec<&'static GuardCell> {
    BASKET_OLD.cells().iter().chain(SHELF_OLD.cells()).collect()
}

fn newer() -> Vec<&'static GuardCell> {
    BASKET_NEW.cells().iter().chain(SHELF_NEW.cells()).collect()
}

fn make(cx: &Worker) {
    make_some(cx, APPLES);
}

fn make_some(cx: &Worker, apples: u64) {
    let mut basket = BASKET_OLD.lock(cx).unwrap();
    for number in 0..apples {
        let apple = Apple { weight: number };
        basket.apples.insert(number, apple).unwrap();
    }
    drop(basket);
    drop(SHELF_OLD.lock(cx).unwrap());
}

/// Twins that live.
fn twins() -> i64 {
    inventory::iter::<TypeRegistration>
        .into_iter()
        .filter(|ty| ty.name.starts_with(TWIN_NAME))
        .map(|ty| live::count(ty.tag.get()))
        .sum()
}

/// A pass of a filling, to an end; how many visits made something.
fn fill(fill: u32, cells: fn() -> Vec<&'static GuardCell>) -> u64 {
    FillingWord::get().store(Some(SweepId(fill)));
    let mut pass = FillSlice::default();
    while !pass.is_done {
        pass.add(fill_guards(SweepId(fill), cells, 1));
    }
    assert_eq!(pass.failure, None);
    pass.visits
}

fn sweep(number: u32, cells: fn() -> Vec<&'static GuardCell>) {
    FillingWord::get().store(None);
    let mut pass = SweepSlice::default();
    while !pass.is_done {
        pass.add(sweep_guards(SweepId(number), Parked::Kept, cells, 1));
    }
    assert_eq!(pass.failed, 0);
}

/// As [`sweep`], where a guard is in a form that this version has no way from.
fn sweep_what_it_can(number: u32, cells: fn() -> Vec<&'static GuardCell>) {
    FillingWord::get().store(None);
    let mut pass = SweepSlice::default();
    while !pass.is_done {
        pass.add(sweep_guards(SweepId(number), Parked::Kept, cells, 1));
    }
}

fn assert_sound(cells: fn() -> Vec<&'static GuardCell>) {
    assert_eq!(check_guards(cells()).findings, [""; 0]);
}

// R4, R5, R29
#[test]
fn what_an_item_becomes_elsewhere_is_made_ahead_either_way_and_swept_away() {
    let name = test_name!("what_an_item_becomes_elsewhere_is_made_ahead_either_way_and_swept_away");
    with_world(name, || {
        play(0, |cx| {
            make(cx);
            assert!(fill(1, newer) > 3, "in slices");
            assert_eq!(twins(), 1);
            // Marked, and brought up by the move.
            let mut basket = BASKET_OLD.lock(cx).unwrap();
            basket.apples.get_mut(&7).unwrap().expect("there").weight = 70;
            basket
                .apples
                .insert(APPLES, Apple { weight: APPLES })
                .unwrap();
            drop(basket);
            assert_eq!(move_items(true), Ok(()));
            assert_eq!(twins(), 1, "the basket's form of them hangs on the shelf's");
            let mut shelf = SHELF_NEW.lock(cx).unwrap();
            assert_eq!(shelf.apples.len() as u64, APPLES + 1);
            assert_eq!(shelf.apples.get(&7).unwrap().expect("there").weight, 70);
            assert!(shelf.apples.remove(&8).unwrap().is_some());
            drop(shelf);
            assert_sound(newer);
            // Going on: nothing is left of it.
            sweep(2, newer);
            assert_eq!(twins(), 0, "whoever has the item has the twin");
            assert_sound(newer);
            // Or back: made ahead there, taken up, swept away.
            assert!(fill(3, older) > 3);
            assert_eq!(twins(), 1);
            assert_eq!(move_items(false), Ok(()));
            let basket = BASKET_OLD.lock(cx).unwrap();
            assert_eq!(basket.apples.len() as u64, APPLES);
            assert!(basket.apples.get(&8).unwrap().is_none());
            assert_eq!(basket.apples.get(&7).unwrap().expect("there").weight, 70);
            drop(basket);
            assert_eq!(twins(), 1);
            sweep(4, older);
            assert_eq!(twins(), 0);
            assert_sound(older);
        });
    });
}

// R4: what was made ahead and never moved goes with the sweep of the version that has it.
#[test]
fn what_was_made_ahead_of_a_move_that_is_called_off_is_swept_away() {
    let name = test_name!("what_was_made_ahead_of_a_move_that_is_called_off_is_swept_away");
    with_world(name, || {
        play(0, |cx| {
            make(cx);
            fill(1, newer);
            assert_eq!(twins(), 1);
            sweep(2, older);
            assert_eq!(twins(), 0);
            assert_sound(older);
        });
    });
}

// I38, R4, R5: moves back are given up between two roots. The version before goes on with the basket's apples, and
// sweeps the other form of them away, which the shelf's tuple still leads to.
#[test]
fn nothing_is_made_ahead_of_what_is_nobodys_after_moves_back_were_given_up() {
    let name =
        test_name!("nothing_is_made_ahead_of_what_is_nobodys_after_moves_back_were_given_up");
    const DEAD: u32 = 1;
    with_world(name, || {
        play(0, |cx| {
            make_some(cx, 3);
            move_items(true).unwrap();
        });
        let (mut judged, half_done) = std::io::pipe().unwrap();
        let judge = || {
            for dead in [DEAD, 0].map(WorkerSlot) {
                recover_worker(dead, GUARDS);
                heap::recover(dead);
            }
            play(5, |cx| {
                let Ok(mut basket) = BASKET_OLD.lock(cx) else {
                    return;
                };
                basket.apples.insert(50, Apple { weight: 50 }).unwrap();
                drop(basket);
                let is_back = SHELF_OLD.lock(cx).is_ok();
                sweep_what_it_can(2, older);
                // What the dead had in its hands stays counted.
                let lost = twins();
                // What was freed is used again.
                let other = |_| SharedBytes::from_slice(LABEL).unwrap();
                let others: Vec<SharedBytes> = (0..40).map(other).collect();
                // What is read as apples is none.
                if !is_back {
                    spoil_item("SHELF_NEW", "apples");
                    (&half_done).write_all(b".").unwrap();
                }
                // An update that leaves these guards as they are, and has something else to fill.
                fill(3, older);
                assert_eq!(twins(), lost);
                drop(others);
                move_items(true).unwrap();
                let shelf = SHELF_NEW.lock(cx).unwrap();
                assert_eq!(shelf.apples.len(), 4);
                let apple = shelf.apples.get(&50).unwrap().expect("there");
                assert_eq!(apple.weight, 50);
            });
        };
        let points = at_every_store(DEAD, || move_items(false).unwrap(), judge);
        assert!(points > 20, "{points}");
        drop(half_done);
        let mut seen = Vec::new();
        judged.read_to_end(&mut seen).unwrap();
        assert!(!seen.is_empty(), "some died between the roots");
    });
}
