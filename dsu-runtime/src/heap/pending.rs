//! How an owner learns that others freed blocks of its superblocks.
//!
//! A freer sets the block's bit in the superblock's remote bitmap, then a bit for the superblock in
//! the owner's pending line, a bit for the line in the owner's record, and the record's flag. The
//! owner clears from the flag downwards and then reads the bitmap. All of it is sequentially
//! consistent: a freer that finds a bit set knows that the owner will still read what it wrote. Each
//! step says a fact and none hands over anything, so a repetition is harmless, and a freer that dies
//! in between loses nothing: recovery makes every owner look at all it has (`rescan`).

use super::claim;
use super::classes::SizeClass;
use super::superblock::{Realm, STEP, SlotRecord, State, Superblock, pending_line};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Tells `owner` that a block of `superblock` was freed. Comes after the remote bit.
pub(super) fn notify(owner: u32, superblock: Superblock) {
    let Some(record) = SlotRecord::of(owner) else {
        return; // a damaged state word: the heap check reports it
    };
    let step = (superblock.0 / STEP) as usize;
    let bit = (superblock.0 % STEP) as usize;
    if set(&pending_line(step, owner)[bit / 64], bit % 64)
        && set(&record.steps[step / 64], step % 64)
    {
        record.pending.store(1, SeqCst);
    }
}

/// Sets a bit; false if it was set.
fn set(word: &AtomicU64, bit: usize) -> bool {
    let mask = 1 << bit;
    word.load(SeqCst) & mask == 0 && word.fetch_or(mask, SeqCst) & mask == 0
}

/// Whether [`drain`] has something to do.
#[inline]
pub(super) fn is_pending(owner: u32) -> bool {
    SlotRecord::of(owner).is_some_and(|record| record.pending.load(Relaxed) != 0)
}

/// Calls `harvest` for each superblock of `owner` in which something may have been freed.
pub(super) fn drain(owner: u32, mut harvest: impl FnMut(Superblock, SizeClass)) {
    let Some(record) = SlotRecord::of(owner) else {
        return;
    };
    record.pending.swap(0, SeqCst);
    let mut look = |superblock: Superblock| {
        let state = State::from_word(superblock.state().load(SeqCst));
        if let Some(State::Owned { owner: o, class }) = state
            && o == owner
        {
            harvest(superblock, class);
        }
    };
    for realm in Realm::BOTH {
        let (first, end) = claim::known(realm);
        let steps = (first / STEP) as usize..end.div_ceil(STEP) as usize;
        for index in steps.start / 64..steps.end.div_ceil(64) {
            for step in bits(&record.steps[index], index * 64).filter(|s| steps.contains(s)) {
                for (word, line) in pending_line(step, owner).iter().enumerate() {
                    for number in bits(line, step * STEP as usize + word * 64) {
                        look(Superblock(number as u32));
                    }
                }
            }
        }
    }
    if record.rescan.load(SeqCst) != 0 {
        record.rescan.store(0, SeqCst);
        claim::all_known().for_each(look);
    }
}

/// Clears a word and yields the numbers of the bits that were set, counted from `first`.
fn bits(word: &AtomicU64, first: usize) -> impl Iterator<Item = usize> {
    let mut left = match word.load(SeqCst) {
        0 => 0,
        _ => word.swap(0, SeqCst),
    };
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (bit < 64).then_some(first + bit)
    })
}

/// Makes every owner look through all its superblocks: somebody died who may have freed silently.
pub(super) fn rescan_all() {
    for owner in 1..=crate::abi::MAX_WORKERS as u32 {
        if let Some(record) = SlotRecord::of(owner) {
            record.rescan.store(1, SeqCst);
            record.pending.store(1, SeqCst);
        }
    }
}
