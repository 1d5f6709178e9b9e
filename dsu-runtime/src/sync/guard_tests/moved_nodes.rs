//! A guard of whose items one moves away while another, which stays, has shared nodes (R4).

use super::graph::too_many;
use super::graph::{NewTown, OldPerson, OldTown, Person, SEAT};
use super::world::*;
use crate::abi::{GuardCell, SUPERBLOCK_SIZE, WorkerRecord};
use crate::heap::stepping::at_every_store_there;
use crate::heap::testing::test_name;
use crate::heap::{self, SharedRc};
use crate::ids::{GuardIndex, WorkerSlot};
use crate::sync::{GuardSlot, recover_worker};
use crate::update::{check_guards, move_items};
use crate::worker::Worker;
use dsu_macros::guards;
use std::sync::atomic::Ordering;

#[guards(town: OldTown, coins: u64 = 4)]
pub static HOUSE_OLD: GuardMutex;
#[guards(town: NewTown, renamed_from = "HOUSE_OLD")]
pub static HOUSE_NEW: GuardMutex;

#[guards(open: u64)]
pub static PURSE_OLD: GuardMutex;
#[guards(open: u64, moved(coins: u64, from = "HOUSE_OLD.coins"), renamed_from = "PURSE_OLD")]
pub static PURSE_NEW: GuardMutex;

fn findings(is_new: bool) -> Vec<String> {
    let cells: Vec<&'static GuardCell> = match is_new {
        true => HOUSE_NEW.cells().iter().chain(PURSE_NEW.cells()).collect(),
        false => HOUSE_OLD.cells().iter().chain(PURSE_OLD.cells()).collect(),
    };
    check_guards(cells).findings
}

/// A town with one root; where its node is.
fn make(cx: &Worker) -> usize {
    drop(PURSE_OLD.lock(cx).unwrap());
    let mut house = HOUSE_OLD.lock(cx).unwrap();
    let root = SharedRc::new(OldPerson::make(1)).unwrap();
    let address = root.node.address();
    house.town.roots.push(root).unwrap();
    address
}

// R4: the lens of the town makes a node, clones a handle and drops one.
#[test]
fn a_node_that_is_made_while_items_move_is_its_guards_and_the_counts_are_right() {
    let name =
        test_name!("a_node_that_is_made_while_items_move_is_its_guards_and_the_counts_are_right");
    with_world(name, || {
        play(0, |cx| {
            make(cx);
            for _ in 0..2 {
                assert_eq!(move_items(true), Ok(()));
                let mut house = HOUSE_NEW.lock(cx).unwrap();
                let seat = house.town.seat.take().expect("the lens made it");
                assert_eq!(seat.read(|seat| seat.id), Ok(SEAT));
                let last = house.town.last.as_ref().expect("there is a root");
                // Roots, the last, and the seat's friend.
                assert_eq!(last.strong_count(), Ok(3));
                seat.edit(|seat| seat.edits += 1).unwrap();
                house.town.seat = Some(seat);
                drop(house);
                assert_eq!(PURSE_NEW.lock(cx).unwrap().coins, 4);
                assert_eq!(findings(true), [""; 0]);
                assert_eq!(move_items(false), Ok(()));
                let house = HOUSE_OLD.lock(cx).unwrap();
                let first = house.town.first.as_ref().expect("there is a root");
                assert_eq!(first.strong_count(), Ok(2));
                drop(house);
                assert_eq!(findings(false), [""; 0]);
            }
        });
    });
}

// I35, R4: before a word leads to what the lens of the town has cloned, that is counted.
#[test]
fn whoever_moves_what_has_nodes_may_die_at_every_store_and_no_count_is_too_low() {
    let name =
        test_name!("whoever_moves_what_has_nodes_may_die_at_every_store_and_no_count_is_too_low");
    const DEAD: WorkerSlot = WorkerSlot(1);
    with_world(name, || {
        let nodes = play(2, |cx| make(cx)) / SUPERBLOCK_SIZE * SUPERBLOCK_SIZE;
        let moves = || {
            move_items(true).unwrap();
            move_items(false).unwrap();
        };
        let judge = || {
            // The lens of the way back gives up the seat, which is dropped last.
            let flipping = WorkerRecord::at(DEAD).flipping.load(Ordering::Relaxed);
            let was_dropping = flipping & WorkerRecord::FLIPPING_DROPS != 0;
            for dead in [DEAD, WorkerSlot(2)] {
                recover_worker(dead, GUARDS);
                heap::recover(dead);
            }
            let mut guards = (0..GUARDS).map(|index| GuardSlot::at(GuardIndex(index)));
            if guards.any(GuardSlot::is_poisoned) {
                return assert!(was_dropping, "items that move are sound");
            }
            play(5, |_| {
                for forward in [true, false] {
                    assert_eq!(move_items(forward), Ok(()));
                    for finding in findings(forward) {
                        let is_loss = finding.contains("nobody reaches");
                        assert!(is_loss || too_many(&finding) > 0, "{finding}");
                    }
                }
            });
        };
        let points = at_every_store_there(DEAD.0, nodes..nodes + SUPERBLOCK_SIZE, moves, judge);
        assert!(points > 100, "{points}");
    });
}
