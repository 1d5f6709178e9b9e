//! Superblocks and everything the control region says of them.
//!
//! Owns the byte maps of the allocator's metadata and the table of superblock states. Decides
//! nothing: taking, filling and repairing are next door. All metadata is shared, made of atomics and
//! valid when zero; no bit of it lies in a block (design §3: block pages may be private to a worker).
#![allow(unsafe_code)] // turns addresses in the control region into references

use super::classes::{BITMAP_WORDS, CLASSES, SizeClass};
use crate::abi::{
    CONTROL_ADDR, HEAP_REALM_STRIDE, HEAP_REALMS_OFFSET, HEAP_SLOT_STRIDE, HEAP_SLOTS_OFFSET,
    MAX_WORKERS, PENDING_OFFSET, PENDING_SIZE, ROOTS_ADDR, ROOTS_SIZE, SUPERBLOCK_META_OFFSET,
    SUPERBLOCK_META_STRIDE, SUPERBLOCK_SIZE, SUPERBLOCK_STATE_OFFSET, SUPERBLOCKS,
};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Superblocks whose metadata is committed together: a page of states, 136 pages of [`Meta`],
/// two pages of pending lines.
pub(super) const STEP: u32 = 512;
/// Bytes of the pending lines of one step.
pub(super) const PENDING_STRIDE: usize = MAX_WORKERS * 64;
const STEPS: usize = SUPERBLOCKS / STEP as usize;
const _: () = assert!(size_of::<Meta>() == SUPERBLOCK_META_STRIDE);
const _: () = assert!(STEPS * PENDING_STRIDE <= PENDING_SIZE);
const _: () = assert!(size_of::<SlotRecord>() <= HEAP_SLOT_STRIDE);
const _: () = assert!(size_of::<RealmRecord>() <= HEAP_REALM_STRIDE);
const _: () = assert!((STEP as usize * size_of::<Meta>()).is_multiple_of(4096));

/// A superblock by its number; one numbering for roots and heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Superblock(pub(super) u32);

/// The two ranges of addresses that blocks come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Realm {
    /// Item tuples of guards.
    Roots = 0,
    /// Everything else.
    Heap = 1,
}

impl Realm {
    pub(super) const BOTH: [Realm; 2] = [Realm::Roots, Realm::Heap];
    const FIRST_OF_HEAP: u32 = (ROOTS_SIZE / SUPERBLOCK_SIZE) as u32;

    /// Numbers of its superblocks: first, and one past the last.
    pub(super) fn range(self) -> (u32, u32) {
        match self {
            Realm::Roots => (0, Self::FIRST_OF_HEAP),
            Realm::Heap => (Self::FIRST_OF_HEAP, SUPERBLOCKS as u32),
        }
    }

    /// Its shared record.
    pub(super) fn record(self) -> &'static RealmRecord {
        let address = CONTROL_ADDR + HEAP_REALMS_OFFSET + self as usize * HEAP_REALM_STRIDE;
        // SAFETY: callers run in a process that mapped the control region (`Regions::map`), which
        // committed this page; it stays mapped, and atomics are valid whatever the bits.
        unsafe { &*(address as *const RealmRecord) }
    }
}

/// What is shared about a realm.
#[repr(C)]
pub(super) struct RealmRecord {
    /// Superblocks of the realm whose metadata is committed; a multiple of [`STEP`]. Only grows.
    pub(super) frontier: AtomicU64,
    /// No free superblock lies before it; see `hint`.
    pub(super) free: AtomicU64,
    /// No superblock that keeps its memory lies before it; see `hint`.
    pub(super) kept: AtomicU64,
    /// When somebody has to look for kept memory; 0 while there is none, or somebody looks. See `keep`.
    pub(super) look_ns: AtomicU64,
    /// No abandoned superblock of the class lies before it; see `hint`.
    pub(super) abandoned: [AtomicU64; CLASSES],
}

/// What the allocator shares about a worker slot.
#[repr(C, align(64))]
pub(super) struct SlotRecord {
    /// Not 0 when others freed blocks of this slot's superblocks, or `rescan` is set.
    pub(super) pending: AtomicU32,
    /// Not 0 when somebody died who may have freed without saying so.
    pub(super) rescan: AtomicU32,
    /// Frees that were refused because no such block was allocated.
    pub(super) refused_frees: AtomicU64,
    _line: [u64; 6],
    /// A bit for each step that has a pending superblock.
    pub(super) steps: [AtomicU64; STEPS.div_ceil(64)],
}

impl SlotRecord {
    /// The record of the slot that is called `owner` (slot + 1) in state words.
    pub(super) fn of(owner: u32) -> Option<&'static SlotRecord> {
        let slot = owner
            .checked_sub(1)
            .filter(|s| (*s as usize) < MAX_WORKERS)?;
        let address = CONTROL_ADDR + HEAP_SLOTS_OFFSET + slot as usize * HEAP_SLOT_STRIDE;
        // SAFETY: as for `Realm::record`; all records are committed at creation.
        Some(unsafe { &*(address as *const SlotRecord) })
    }
}

/// The pending line of `owner` for superblocks `step * STEP ..`: 512 bits.
pub(super) fn pending_line(step: usize, owner: u32) -> &'static [AtomicU64; 8] {
    debug_assert!(step < STEPS && (1..=MAX_WORKERS as u32).contains(&owner));
    let address = CONTROL_ADDR + PENDING_OFFSET + step * PENDING_STRIDE + (owner as usize - 1) * 64;
    // SAFETY: as for `Realm::record`; lines are committed before the frontier passes their step.
    unsafe { &*(address as *const [AtomicU64; 8]) }
}

/// Metadata of one superblock. Written by its owner alone, but for `remote`.
#[repr(C, align(64))]
pub(super) struct Meta {
    /// Allocated blocks, less those freed remotely and not yet harvested. Recounted at adoption.
    pub(super) used: AtomicU32,
    /// Where the owner keeps it: a [`Place`]. Means nothing without an owner.
    pub(super) place: AtomicU32,
    /// Neighbours in the owner's list of partly used superblocks, as number + 1.
    pub(super) next: AtomicU32,
    pub(super) previous: AtomicU32,
    /// Of the first superblock of a large block: its committed pages.
    pub(super) pages: AtomicU32,
    /// Counts up before blocks of it that are free may become somebody's who is not the freer. Written by
    /// the owner, and by whoever claims it.
    pub(super) reuses: AtomicU32,
    _line: [u32; 10],
    /// A bit for each allocated block; bits without a block are always set.
    pub(super) allocated: [AtomicU64; BITMAP_WORDS],
    /// A bit for each block that somebody else freed, until the owner clears both.
    pub(super) remote: [AtomicU64; BITMAP_WORDS],
}

impl Meta {
    /// Whoever freed a block of it cannot tell any more from its bits whether it is still the same.
    pub(super) fn count_reuse(&self) {
        let next = self.reuses.load(Relaxed).wrapping_add(1);
        self.reuses.store(next, SeqCst);
    }
}

/// Where an owner keeps a superblock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Place {
    /// Full when last looked at: in no list.
    Full = 0,
    /// Blocks are taken from it now.
    Current = 1,
    /// In the list of partly used ones.
    Partial = 2,
}

impl Superblock {
    /// The superblock that an address lies in.
    #[inline]
    pub(super) fn containing(address: usize) -> Option<Superblock> {
        let number = address.wrapping_sub(ROOTS_ADDR) >> SUPERBLOCK_SIZE.trailing_zeros();
        (number < SUPERBLOCKS).then_some(Superblock(number as u32))
    }

    /// Its first address.
    #[inline]
    pub(super) fn base(self) -> usize {
        ROOTS_ADDR + self.0 as usize * SUPERBLOCK_SIZE
    }

    pub(super) fn realm(self) -> Realm {
        if self.0 < Realm::FIRST_OF_HEAP {
            Realm::Roots
        } else {
            Realm::Heap
        }
    }

    /// Whether its metadata is committed, so that reading it cannot fault.
    pub(super) fn is_known(self) -> bool {
        let (first, end) = super::claim::known(self.realm());
        (first..end).contains(&self.0)
    }

    /// Its state word; see [`State`].
    #[inline]
    pub(super) fn state(self) -> &'static AtomicU64 {
        let address = CONTROL_ADDR + SUPERBLOCK_STATE_OFFSET + self.0 as usize * 8;
        // SAFETY: `Superblock`s are below SUPERBLOCKS, so the word lies in the control region, which
        // stays mapped; atomics are valid whatever the bits.
        unsafe { &*(address as *const AtomicU64) }
    }

    /// Its metadata.
    #[inline]
    pub(super) fn meta(self) -> &'static Meta {
        let address = CONTROL_ADDR + SUPERBLOCK_META_OFFSET + self.0 as usize * size_of::<Meta>();
        // SAFETY: as for `state`.
        unsafe { &*(address as *const Meta) }
    }
}

/// What a superblock is used for.
///
/// | state | who may change it | to |
/// |---|---|---|
/// | `Free`, `Kept` | any worker | `Claiming`, `LargeClaiming`, `PartClaiming` with its own name |
/// | `Kept` and new | any worker | `Kept` and old |
/// | `Claiming` | the named, or recovery once it is dead | `Owned` or `Free` |
/// | `Owned` | the named; recovery | `Kept`; `Claiming` (to give it back); `Abandoned` |
/// | `Abandoned` | any worker | `Owned` with its own name |
/// | `LargeClaiming`, `PartClaiming` | the named; recovery | `Large`, `Part`; `Free` |
/// | `Large` | who frees the block | `LargeClaiming` with its own name |
/// | `Part` | who holds its head in `LargeClaiming` | `Free` |
///
/// So no name of a dead process can appear after its death, and recovery can stop and start again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nobody's; no memory is committed.
    Free,
    /// Being set up or given back.
    Claiming { owner: u32 },
    /// Blocks of one class; `owner` alone allocates.
    Owned { owner: u32, class: SizeClass },
    /// As `Owned`, but its owner died.
    Abandoned { class: SizeClass },
    /// First of a run of `len` that is being set up or given back.
    LargeClaiming { owner: u32, len: u32 },
    /// Further one of a run that is being set up.
    PartClaiming { owner: u32 },
    /// First of a large block of `len` superblocks.
    Large { len: u32 },
    /// `offset`-th of a large block.
    Part { offset: u32 },
    /// Nobody's, with memory. See `keep`.
    Kept(Kept),
}

/// What is known of the memory of a superblock that is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    /// How long it has been free.
    pub(super) age: Age,
    /// Whether all of it is committed.
    pub(super) is_whole: bool,
    /// Who had it, by slot + 1, and has it mapped if it still runs.
    pub(super) by: u32,
}

/// Whether a look has come by since it is [`State::Kept`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Age {
    New = 0,
    Old = 1,
}

impl State {
    /// The word: kind in bits 0..8, owner in 8..16, class in 16..24, number in 32..64.
    #[inline]
    pub(super) const fn word(self) -> u64 {
        match self {
            State::Free => 0,
            State::Claiming { owner } => 1 | (owner as u64) << 8,
            State::Owned { owner, class } => 2 | (owner as u64) << 8 | (class.0 as u64) << 16,
            State::Abandoned { class } => 3 | (class.0 as u64) << 16,
            State::LargeClaiming { owner, len } => 4 | (owner as u64) << 8 | (len as u64) << 32,
            State::PartClaiming { owner } => 5 | (owner as u64) << 8,
            State::Large { len } => 6 | (len as u64) << 32,
            State::Part { offset } => 7 | (offset as u64) << 32,
            State::Kept(kept) => {
                let flags = kept.age as u64 | (kept.is_whole as u64) << 1;
                8 | (flags | (kept.by as u64) << 2) << 32
            }
        }
    }

    /// What a word means; `None` if it is damaged.
    pub(super) fn from_word(word: u64) -> Option<State> {
        let owner = (word >> 8 & 0xff) as u32;
        let number = (word >> 32) as u32;
        let class = SizeClass::from_number((word >> 16) as u8);
        let state = match word & 0xff {
            0 => State::Free,
            1 => State::Claiming { owner },
            2 => State::Owned {
                owner,
                class: class?,
            },
            3 => State::Abandoned { class: class? },
            4 => State::LargeClaiming { owner, len: number },
            5 => State::PartClaiming { owner },
            6 => State::Large { len: number },
            7 => State::Part { offset: number },
            8 => State::Kept(Kept {
                age: if number & 1 == 0 { Age::New } else { Age::Old },
                is_whole: number & 2 != 0,
                by: number >> 2,
            }),
            _ => return None,
        };
        let named = state
            .owner()
            .is_none_or(|o| (1..=MAX_WORKERS as u32).contains(&o));
        (named && state.word() == word).then_some(state)
    }

    /// Whether it is anybody's to take.
    #[inline]
    pub(super) fn is_free(self) -> bool {
        self == State::Free || self.is_kept()
    }

    /// Whether it is free and may have memory.
    #[inline]
    pub(super) fn is_kept(self) -> bool {
        matches!(self, State::Kept(_))
    }

    /// Slot + 1 of the worker that it names.
    pub(super) fn owner(self) -> Option<u32> {
        match self {
            State::Claiming { owner }
            | State::Owned { owner, .. }
            | State::LargeClaiming { owner, .. }
            | State::PartClaiming { owner } => Some(owner),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_has_one_meaning_and_damage_has_none(word: u64, kind in 0u64..10) {
            for word in [word, word & 0xffff_ffff_0000_0000 | kind | (word & 0x1f_7f00)] {
                if let Some(state) = State::from_word(word) {
                    prop_assert_eq!(state.word(), word);
                }
            }
        }
    }

    #[test]
    fn an_address_names_its_superblock_by_shifting() {
        assert_eq!(Superblock::containing(ROOTS_ADDR), Some(Superblock(0)));
        let heap = Superblock::containing(crate::abi::HEAP_ADDR + SUPERBLOCK_SIZE + 5).unwrap();
        assert_eq!(heap.base(), crate::abi::HEAP_ADDR + SUPERBLOCK_SIZE);
        assert_eq!(heap.realm(), Realm::Heap);
        assert_eq!(Superblock::containing(ROOTS_ADDR - 1), None);
        assert_eq!(Superblock::containing(0), None);
        assert_eq!(
            Superblock::containing(ROOTS_ADDR + SUPERBLOCKS * SUPERBLOCK_SIZE),
            None
        );
    }
}
