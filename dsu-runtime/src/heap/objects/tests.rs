//! What recovery makes of every state in which a worker can die.

use super::slot::{Life, ObjectId, ObjectSlot, Party, State};
use super::*;
use crate::abi::WorkerContext;
use crate::heap::context::HeapContext;
use crate::heap::testing::{ROOMY, failing_after, test_name, with_regions};
use crate::ids::{GuardIndex, WorkerSlot};
use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;

const DEAD: WorkerSlot = WorkerSlot(70);
/// Only its being there counts: in these tests nobody drops a value.
const VALUE: u64 = 0x7000_0000_0010;

fn claim(of: WorkerSlot) -> (ObjectId, &'static ObjectSlot) {
    let id = table::claim(Party::of_slot(of)).unwrap();
    (id, ObjectSlot::at(id.index))
}

fn recover_twice() {
    recover(DEAD);
    let states = all_states();
    recover(DEAD);
    assert_eq!(all_states(), states, "recovery is idempotent");
}

#[test]
fn every_half_made_state_of_the_dead_is_repaired_and_those_of_the_living_are_left() {
    let name = test_name!(
        "every_half_made_state_of_the_dead_is_repaired_and_those_of_the_living_are_left"
    );
    with_regions(name, ROOMY, || {
        let (dead, alive) = (Party::of_slot(DEAD), Party::of_slot(WorkerSlot(3)));
        let gone = |generation| State::after(generation).life;
        let cases = [
            (Life::Claimed(dead), 0, gone(0)),
            (
                Life::Claimed(dead),
                VALUE,
                Life::Owned(Party::DEAD_IN_CONVERSION),
            ),
            (Life::Owned(dead), VALUE, Life::Owned(Party::DEAD)),
            (Life::Retired, VALUE, Life::Retired),
            (Life::Freeing(dead), VALUE, Life::Retired),
            (Life::Freeing(dead), 0, gone(0)),
            (Life::Condemned, VALUE, Life::Condemned),
            (Life::Claimed(alive), 0, Life::Claimed(alive)),
            (Life::Claimed(alive), VALUE, Life::Claimed(alive)),
            (Life::Owned(alive), VALUE, Life::Owned(alive)),
            (Life::Freeing(alive), 0, Life::Freeing(alive)),
        ];
        for (life, root, expected) in cases {
            let (id, slot) = claim(DEAD);
            slot.root.store(root, SeqCst);
            slot.set_state(State {
                life,
                generation: id.generation,
            });
            slot.add_holder(DEAD);
            slot.add_holder(WorkerSlot(3));
            recover_twice();
            assert_eq!(slot.state().life, expected, "{life:?} {root:#x}");
            assert!(slot.is_held(), "by the living");
            slot.remove_holder(WorkerSlot(3));
            assert!(!slot.is_held());
            assert_eq!(slot.root.load(SeqCst), root);
            // Out of the way of the next case.
            slot.set_state(State {
                life: Life::Condemned,
                generation: 0,
            });
        }
    });
}

#[test]
fn a_slot_that_was_freed_by_the_dead_before_its_bit_is_found_again() {
    let name = test_name!("a_slot_that_was_freed_by_the_dead_before_its_bit_is_found_again");
    with_regions(name, ROOMY, || {
        let (id, slot) = claim(DEAD);
        slot.set_state(State::after(id.generation));
        let (other, _) = claim(DEAD);
        assert_ne!(other.index, id.index, "the bit is up");
        HeapContext::current().holdings.cursor.set(0);
        recover(DEAD);
        let (again, _) = claim(DEAD);
        assert_eq!(again.index, id.index);
        assert!(again.generation > id.generation);
    });
}

#[test]
fn an_orphan_is_noted_when_the_dead_was_the_last_to_hold_it() {
    let name = test_name!("an_orphan_is_noted_when_the_dead_was_the_last_to_hold_it");
    with_regions(name, ROOMY, || {
        let (id, slot) = claim(WorkerSlot(3));
        slot.set_state(State {
            life: Life::Retired,
            generation: id.generation,
        });
        slot.add_holder(DEAD);
        assert!(!table::take_orphans());
        recover(DEAD);
        assert!(table::take_orphans());
        assert!(!table::take_orphans());
    });
}

#[test]
fn every_slot_is_given_once_and_a_full_table_says_so() {
    let name = test_name!("every_slot_is_given_once_and_a_full_table_says_so");
    with_regions(name, ROOMY, || {
        let me = Party::of_slot(WorkerSlot(0));
        let mut seen = HashSet::new();
        while let Ok(id) = table::claim(me) {
            assert!(seen.insert(id.index));
        }
        assert_eq!(seen.len(), crate::abi::MAX_OBJECTS);
        // The last generation of a slot is its last object.
        let index = GuardIndex(known_slots().start + 12_345);
        let slot = ObjectSlot::at(index);
        slot.set_state(State {
            life: Life::Free,
            generation: u32::MAX,
        });
        table::lower(index);
        let last = table::claim(me).unwrap();
        assert_eq!((last.index, last.generation), (index, u32::MAX));
        slot.set_state(State::after(u32::MAX));
        table::lower(index);
        assert!(table::claim(me).is_err());
        assert!(failing_after(0, || table::claim(me)).is_err());
    });
}

#[test]
fn counts_of_handles_survive_growth_and_removal_in_any_order() {
    let name = test_name!("counts_of_handles_survive_growth_and_removal_in_any_order");
    with_regions(name, ROOMY, || {
        WorkerContext::current().attach(WorkerSlot(5));
        let ids: Vec<ObjectId> = (0..1000)
            .map(|_| {
                let (id, slot) = claim(WorkerSlot(5));
                let life = Life::Owned(Party::of_slot(WorkerSlot(5)));
                slot.set_state(State {
                    life,
                    generation: id.generation,
                });
                id
            })
            .collect();
        for (place, id) in ids.iter().enumerate() {
            for _ in 0..=place % 3 {
                assert_eq!(hold(Wanted::Owned(*id)), Ok(*id));
            }
        }
        // A stale generation is never accepted, held or not.
        let stale = |id: &ObjectId| ObjectId {
            generation: id.generation + 1,
            ..*id
        };
        assert_eq!(hold(Wanted::Owned(stale(&ids[0]))), Err(Refused::Gone));
        let mut order: Vec<usize> = (0..1000).flat_map(|at| vec![at; at % 3 + 1]).collect();
        order.sort_by_key(|at| (at * 7919) % 1009);
        let mut left: Vec<usize> = (0..1000).map(|at| at % 3 + 1).collect();
        for at in order {
            assert!(ObjectSlot::at(ids[at].index).is_held());
            release(ids[at].index);
            left[at] -= 1;
            assert_eq!(ObjectSlot::at(ids[at].index).is_held(), left[at] != 0);
        }
        assert_eq!(hold(Wanted::Owned(stale(&ids[0]))), Err(Refused::Gone));
        assert!(!ObjectSlot::at(ids[0].index).is_held());
        assert_eq!(hold(Wanted::Any(GuardIndex(0))), Err(Refused::Gone));
    });
}
