//! An item with a prepared lens that moves to another guard: made ahead, taken up by the move, discarded by
//! the sweep (R4, R5).

use super::world::*;
use crate::abi::{FillingWord, GuardCell, Parked, TWIN_NAME, TypeRegistration};
use crate::heap::delta::{Hashed, Ordered, Reshaped};
use crate::heap::testing::test_name;
use crate::heap::{SharedMap, SharedOrderedMap, live};
use crate::ids::SweepId;
use crate::update::{FillSlice, SweepSlice, check_guards, fill_guards, move_items, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};

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
    let mut basket = BASKET_OLD.lock(cx).unwrap();
    for number in 0..APPLES {
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
