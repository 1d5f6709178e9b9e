//! The bytes of an object's slot, and the states it goes through.
#![allow(unsafe_code)] // turns slot addresses into references

use crate::abi::{CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, MAX_GUARDS, MAX_STATIC_GUARDS};
use crate::heap::box_word::BoxWord;
use crate::ids::{GuardIndex, Tag, WorkerSlot};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// An object: its slot, and which of the objects that the slot has had it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId {
    /// Index of the slot in the guard table.
    pub index: GuardIndex,
    /// Rises by one with each object of the slot; never again the same.
    pub generation: u32,
}

impl ObjectId {
    /// The word by which an owner keeps it.
    pub(crate) fn word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index.0)
    }

    /// From such a word; `None` if it names no slot for objects.
    pub(crate) fn from_word(word: u64) -> Option<ObjectId> {
        let index = GuardIndex(word as u32);
        is_object(index).then_some(ObjectId {
            index,
            generation: (word >> 32) as u32,
        })
    }

    pub(in crate::heap) fn slot_address(self) -> usize {
        CONTROL_ADDR + GUARDS_OFFSET + self.index.0 as usize * GUARD_STRIDE
    }

    pub(in crate::heap) fn at(address: usize, generation: u32) -> ObjectId {
        let index = (address - CONTROL_ADDR - GUARDS_OFFSET) / GUARD_STRIDE;
        ObjectId {
            index: GuardIndex(index as u32),
            generation,
        }
    }
}

/// Whether a slot is one for objects.
fn is_object(index: GuardIndex) -> bool {
    (MAX_STATIC_GUARDS..MAX_GUARDS).contains(&(index.0 as usize))
}

/// What becomes of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// Nobody's: may be claimed.
    Free,
    /// This worker makes an object here, perhaps in a conversion that does not stand yet.
    Claimed(Party),
    /// Something in shared memory owns it, or is about to; this worker made it.
    Owned(Party),
    /// The owner is gone: it is freed when the last handle goes.
    Retired,
    /// This worker frees it.
    Freeing(Party),
    /// Never used again: a poisoned value that nobody may drop, or the last generation.
    Condemned,
}

/// A worker by the name that it writes into a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Party(u8);

impl Party {
    /// A maker that died.
    pub(super) const DEAD: Party = Party(0xff);
    /// A maker that died in the conversion in which it made the object, whose value may therefore
    /// own blocks that are somebody else's.
    pub(super) const DEAD_IN_CONVERSION: Party = Party(0xfe);

    pub(super) fn of_slot(slot: WorkerSlot) -> Party {
        Party(slot.owner() as u8)
    }

    pub(super) fn is_dead(self) -> bool {
        self == Party::DEAD || self == Party::DEAD_IN_CONVERSION
    }
}

/// One value of a slot's state word.
///
/// ```text
/// 63      32  31   16  15     8  7     0
/// generation     0      party     life
/// ```
///
/// | life | from | by | to |
/// |---|---|---|---|
/// | 0 free | zero; freeing; claimed | | claimed: whoever wins the exchange |
/// | 1 claimed | free; owned | its maker; the heap check, if the maker died in the conversion and nothing owns it | owned: its maker, or recovery if the value is there, or the heap check if somebody holds it; free: its maker whose conversion does not stand, the heap check, or recovery |
/// | 2 owned | claimed | its owner, one word in shared memory | retired: the owner, when it is dropped; the heap check, if the maker is dead and nothing owns it |
/// | 3 retired | owned | whoever holds it last | freeing: whoever finds no holder and wins the exchange |
/// | 4 freeing | retired | its party | free, with the next generation; retired again if it is held or locked after all, or by recovery; condemned |
/// | 5 condemned | freeing | nobody | |
///
/// All zero is free, generation 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) life: Life,
    pub(super) generation: u32,
}

impl State {
    pub(super) fn word(self) -> u64 {
        let (life, party) = match self.life {
            Life::Free => (0, 0),
            Life::Claimed(Party(party)) => (1, party),
            Life::Owned(Party(party)) => (2, party),
            Life::Retired => (3, 0),
            Life::Freeing(Party(party)) => (4, party),
            Life::Condemned => (5, 0),
        };
        u64::from(self.generation) << 32 | u64::from(party) << 8 | life
    }

    fn from_word(word: u64) -> State {
        let party = Party((word >> 8) as u8);
        let life = match word as u8 {
            0 => Life::Free,
            1 => Life::Claimed(party),
            2 => Life::Owned(party),
            3 => Life::Retired,
            4 => Life::Freeing(party),
            // Also what only damage can have written: nobody touches the slot again.
            _ => Life::Condemned,
        };
        State {
            life,
            generation: (word >> 32) as u32,
        }
    }

    /// The state after the object is gone.
    pub(super) fn after(generation: u32) -> State {
        match generation.checked_add(1) {
            Some(generation) => State {
                life: Life::Free,
                generation,
            },
            None => State {
                life: Life::Condemned,
                generation,
            },
        }
    }
}

/// The slot of an object, as this room sees it; `sync::GuardSlot` is the same cache line.
#[repr(C, align(64))]
pub(super) struct ObjectSlot {
    /// Not 0 while the lock is not at rest.
    lock: AtomicU64,
    _advice: [AtomicU64; 2],
    /// The word of a box in the heap: the value. 0 where there is none.
    pub(super) root: AtomicU64,
    _poisoned: AtomicU32,
    _pad: u32,
    state: AtomicU64,
    /// A bit for each worker slot whose worker has handles. Set while the owner is there, or by a
    /// walk that looks at the state afterwards; cleared by its worker, or by recovery.
    holders: [AtomicU64; 2],
}

const _: () = assert!(size_of::<ObjectSlot>() == GUARD_STRIDE);

impl ObjectSlot {
    /// The slot of this index, which must be one for objects, and known (`table`).
    pub(super) fn at(index: GuardIndex) -> &'static ObjectSlot {
        assert!(is_object(index), "slot {} is not one for objects", index.0);
        let address = CONTROL_ADDR + GUARDS_OFFSET + index.0 as usize * GUARD_STRIDE;
        // SAFETY: inside the guard table of the control region, which is mapped before anybody has an
        // index and never unmapped; all fields are atomics, valid whatever the bits.
        unsafe { &*(address as *const ObjectSlot) }
    }

    pub(super) fn state(&self) -> State {
        State::from_word(self.state.load(SeqCst))
    }

    /// True if the state was `old`, and is `new` now.
    pub(super) fn change(&self, old: State, new: State) -> bool {
        self.state
            .compare_exchange(old.word(), new.word(), SeqCst, SeqCst)
            .is_ok()
    }

    /// For the party that a claimed or freeing slot names.
    pub(super) fn set_state(&self, state: State) {
        self.state.store(state.word(), SeqCst);
    }

    pub(super) fn is_locked(&self) -> bool {
        self.lock.load(SeqCst) != 0
    }

    /// Whether the owner of its lock died, or panicked, in the middle of a section.
    pub(super) fn is_poisoned(&self) -> bool {
        BoxWord(self.root.load(SeqCst)).tag() == Tag::IMPOSSIBLE
    }

    pub(super) fn is_held(&self) -> bool {
        self.holders.iter().any(|word| word.load(SeqCst) != 0)
    }

    pub(super) fn add_holder(&self, worker: WorkerSlot) {
        let (word, bit) = Self::place_of(worker);
        self.holders[word].fetch_or(bit, SeqCst);
    }

    pub(super) fn remove_holder(&self, worker: WorkerSlot) {
        let (word, bit) = Self::place_of(worker);
        // Recovery comes to every slot, and writes to those alone that name the dead.
        if self.holders[word].load(SeqCst) & bit != 0 {
            self.holders[word].fetch_and(!bit, SeqCst);
        }
    }

    fn place_of(worker: WorkerSlot) -> (usize, u64) {
        (worker.0 as usize / 64, 1 << (worker.0 % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_what_it_was_written_as() {
        let party = Party::of_slot(WorkerSlot(127));
        let lives = [
            Life::Free,
            Life::Claimed(party),
            Life::Owned(Party::DEAD),
            Life::Retired,
            Life::Freeing(party),
            Life::Condemned,
        ];
        for life in lives {
            for generation in [0, 1, u32::MAX] {
                let state = State { life, generation };
                assert_eq!(State::from_word(state.word()), state);
            }
        }
        assert!(!party.is_dead());
        assert_eq!(State::after(u32::MAX).life, Life::Condemned);
    }
}
