//! Which slots are for objects, and finding a free one.
//!
//! Owns the record of object slots. A slot's own state says whether it is free; the bitmap is advice
//! that spares reading them all. A bit that is down where the slot is taken costs one failed exchange;
//! one that is up where the slot is free would lose it, so whoever raises a bit looks at the state
//! again, and recovery lowers what a dead worker left up.
#![allow(unsafe_code)] // a fixed address

use super::slot::{Life, ObjectId, ObjectSlot, Party, State};
use crate::abi::{
    CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, MAX_OBJECTS, MAX_STATIC_GUARDS, OBJECTS_OFFSET,
    OBJECTS_SIZE, WALK_STRIDE, WALKS_OFFSET,
};
use crate::error::HeapFull;
use crate::heap::context::HeapContext;
use crate::heap::regions::Regions;
use crate::ids::GuardIndex;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Slots that are committed together: 256 KiB.
const STEP: u32 = 4096;
const WORDS: usize = MAX_OBJECTS / 64;

/// All zero: no slot is known.
#[repr(C)]
struct Record {
    /// Slots that are committed; a multiple of `STEP`.
    known: AtomicU32,
    /// Not 0: an object may wait for somebody to free it.
    orphans: AtomicU32,
    _reserved: [u64; 511],
    /// A bit for each slot that is taken.
    taken: [AtomicU64; WORDS],
}

const _: () = assert!(size_of::<Record>() == OBJECTS_SIZE);
const _: () = assert!(MAX_OBJECTS.is_multiple_of(STEP as usize));

fn record() -> &'static Record {
    // SAFETY: `Regions::create` committed it, callers run in a process that has mapped the control
    // region for good, and all fields are atomics that are valid whatever the bits.
    unsafe { &*((CONTROL_ADDR + OBJECTS_OFFSET) as *const Record) }
}

fn index_of(place: u32) -> GuardIndex {
    GuardIndex(MAX_STATIC_GUARDS as u32 + place)
}

fn place_of(index: GuardIndex) -> u32 {
    index.0 - MAX_STATIC_GUARDS as u32
}

/// Indexes of all slots that may have an object.
pub(crate) fn known_slots() -> Range<u32> {
    let first = MAX_STATIC_GUARDS as u32;
    first..first + record().known.load(SeqCst)
}

/// Whether this slot may have an object.
pub(super) fn is_known(index: GuardIndex) -> bool {
    known_slots().contains(&index.0)
}

/// Somebody has to look for retired objects that nobody holds.
pub(super) fn note_orphan() {
    record().orphans.store(1, SeqCst);
}

/// Whether the caller has to.
pub(super) fn take_orphans() -> bool {
    record().orphans.load(SeqCst) != 0 && record().orphans.swap(0, SeqCst) != 0
}

/// A free slot, which is the caller's from now on.
///
/// # Errors
/// `HeapFull`: all slots are taken, or the machine has no memory for more.
pub(super) fn claim(me: Party) -> Result<ObjectId, HeapFull> {
    #[cfg(test)]
    crate::heap::testing::allocation_point()?;
    loop {
        let known = record().known.load(SeqCst);
        if let Some(id) = claim_among(known, me) {
            return Ok(id);
        }
        if known as usize == MAX_OBJECTS {
            return Err(HeapFull);
        }
        let offset = GUARDS_OFFSET + index_of(known).0 as usize * GUARD_STRIDE;
        Regions::commit_control(offset, STEP as usize * GUARD_STRIDE).map_err(|_| HeapFull)?;
        let offset = WALKS_OFFSET + index_of(known).0 as usize * WALK_STRIDE;
        Regions::commit_control(offset, STEP as usize * WALK_STRIDE).map_err(|_| HeapFull)?;
        // Whoever else did the same has committed the same slots.
        let _ = record()
            .known
            .compare_exchange(known, known + STEP, SeqCst, SeqCst);
    }
}

/// Begins where this worker found one last, so that workers do not meet at every slot.
fn claim_among(known: u32, me: Party) -> Option<ObjectId> {
    let cursor = &HeapContext::current().holdings.cursor;
    let words = known / 64;
    let start = cursor.get().min(words);
    for word in (start..words).chain(0..start) {
        let mut free = !record().taken[word as usize].load(SeqCst);
        while free != 0 {
            let place = word * 64 + free.trailing_zeros();
            if let Some(id) = claim_slot(place, me) {
                cursor.set(word);
                return Some(id);
            }
            free &= free - 1;
        }
    }
    None
}

fn claim_slot(place: u32, me: Party) -> Option<ObjectId> {
    let index = index_of(place);
    let slot = ObjectSlot::at(index);
    let old = slot.state();
    let life = Life::Claimed(me);
    let is_mine = old.life == Life::Free && slot.change(old, State { life, ..old });
    let (word, bit) = bit_of(place);
    word.fetch_or(bit, SeqCst);
    if is_mine {
        let generation = old.generation;
        return Some(ObjectId { index, generation });
    }
    if slot.state().life == Life::Free {
        // It became free meanwhile, perhaps before the bit was raised.
        word.fetch_and(!bit, SeqCst);
    }
    None
}

/// The slot became free: after its state says so.
pub(super) fn lower(index: GuardIndex) {
    let (word, bit) = bit_of(place_of(index));
    word.fetch_and(!bit, SeqCst);
}

fn bit_of(place: u32) -> (&'static AtomicU64, u64) {
    (&record().taken[place as usize / 64], 1 << (place % 64))
}
