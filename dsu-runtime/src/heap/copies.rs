//! Which boxes this section has read in another form, and where the copies are (R20).
//!
//! Owns an index over the scratch area, so that reading one box a thousand times converts it once and
//! a section's scratch is bounded by the boxes that it reads. What it says holds only as long as
//! nobody can have written: it is forgotten when a guard is released, when a conversion stands, when a
//! box is dropped, when a shared node is edited, and when boxes get another type, by which they may be
//! edited in the form that was read as another. Not used inside a conversion, whose blocks may vanish. The copies
//! themselves are `transaction`'s.

use super::context::HeapContext;
use super::journal::RawList;
use crate::abi::WorkerContext;
use crate::ids::Tag;
use std::cell::Cell;
use std::ptr::NonNull;

/// A copy: of the box with this word, in this form, at this address. No box has word 0.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    word: u64,
    expected: u64,
    copy: usize,
}

const EMPTY: Known = Known {
    word: 0,
    expected: 0,
    copy: 0,
};

/// Open addressing, at most half full; all zero is empty.
#[repr(C)]
pub(super) struct Copies {
    slots: RawList<Known>,
    used: Cell<usize>,
}

const LEAST_SLOTS: usize = 64;

impl Copies {
    fn place_of(&self, word: u64, expected: Tag) -> usize {
        let mask = self.slots.len() - 1;
        let mixed = (word ^ u64::from(expected.0) << 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut at = (mixed >> 32) as usize & mask;
        loop {
            let slot = self.slots.get(at);
            if slot.word == 0 || (slot.word == word && slot.expected == u64::from(expected.0)) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&self, known: Known) {
        let at = self.place_of(known.word, Tag(known.expected as u16));
        self.slots.set(at, known);
        self.used.set(self.used.get() + 1);
    }

    /// Twice the slots; false without memory for them.
    fn grow(&self) -> bool {
        let all: Vec<Known> = (0..self.slots.len())
            .map(|at| self.slots.get(at))
            .filter(|known| known.word != 0)
            .collect();
        let slots = (self.slots.len() * 2).max(LEAST_SLOTS);
        if self.slots.fill(slots, EMPTY).is_err() {
            return false;
        }
        self.used.set(0);
        all.into_iter().for_each(|known| self.add(known));
        true
    }
}

fn usable() -> Option<&'static Copies> {
    let worker = WorkerContext::current();
    (worker.is_attached() && worker.converting.get() == 0).then(|| &HeapContext::current().copies)
}

/// The copy of the box with `word` in form `expected`, if this section has one.
pub(super) fn find(word: u64, expected: Tag) -> Option<NonNull<u8>> {
    let copies = usable().filter(|copies| copies.used.get() != 0)?;
    let known = copies.slots.get(copies.place_of(word, expected));
    NonNull::new(known.copy as *mut u8)
}

/// Remembers a copy. Without memory for that, the next read makes another.
pub(super) fn remember(word: u64, expected: Tag, copy: NonNull<u8>) {
    if let Some(copies) = usable()
        && ((copies.used.get() + 1) * 2 <= copies.slots.len() || copies.grow())
    {
        copies.add(Known {
            word,
            expected: u64::from(expected.0),
            copy: copy.as_ptr() as usize,
        });
    }
}

/// Forgets all copies: somebody may have written, or they are about to go.
#[inline]
pub(super) fn forget() {
    let copies = &HeapContext::current().copies;
    if copies.used.get() != 0 {
        copies.used.set(0);
        copies.slots.truncate(0);
    }
}

/// Boxes are of another type from here on. In a conversion they are its own, and no copy of theirs is known.
#[inline]
pub(super) fn rebound() {
    if WorkerContext::current().converting.get() == 0 {
        forget();
    }
}
