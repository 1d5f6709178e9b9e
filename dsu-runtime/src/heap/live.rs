//! How many boxes of each representation live, and the bytes of their complements: one row of counts a worker, exact as a sum.
//!
//! Owns the live table of the control region and the journal in the worker context. A conversion
//! makes and drops boxes before anybody knows whether it will stand, so while one is open the
//! changes go to the journal, which its transaction keeps or discards. The journal lies in the
//! worker context because a lens may run in another copy of the runtime.
//! Knows nothing of what a box holds.
#![allow(unsafe_code)] // fixed addresses

use crate::abi::{
    CONTEXT_ADDR, CONTROL_ADDR, LIVE_OFFSET, LIVE_STRIDE, MAX_WORKERS, WorkerContext,
};
use crate::ids::{Tag, WorkerSlot};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the journal lies: the second page of the core of the worker context.
const JOURNAL_ADDR: usize = CONTEXT_ADDR + 0x1000;
const ENTRIES: usize = 510;

#[repr(C)]
struct Change {
    tag: Cell<u16>,
    _pad: u16,
    delta: Cell<i32>,
}

/// Changes that no transaction has settled yet. All zero is empty.
#[repr(C)]
struct Journal {
    /// Open transactions.
    depth: Cell<u32>,
    /// Entries in use.
    len: Cell<u32>,
    /// First entry of the innermost transaction.
    base: Cell<u32>,
    _pad: u32,
    entries: [Change; ENTRIES],
}

const _: () = assert!(size_of::<Journal>() == 4096);

/// What [`open`] gives and [`keep`] or [`discard`] takes: the outer transaction's first entry.
#[must_use]
pub struct Mark(u32);

impl Journal {
    fn current() -> &'static Journal {
        // SAFETY: the worker context is mapped, zeroed, before any copy of the runtime runs, and only
        // the worker's own thread comes here; all fields are cells that are valid when zero.
        unsafe { &*(JOURNAL_ADDR as *const Journal) }
    }

    fn note(&self, tag: Tag, delta: i32) {
        let len = self.len.get() as usize;
        let known = self.entries[self.base.get() as usize..len]
            .iter()
            .find(|change| change.tag.get() == tag.0);
        match known {
            Some(change) => change.delta.set(change.delta.get() + delta),
            None if len < ENTRIES => {
                self.entries[len].tag.set(tag.0);
                self.entries[len].delta.set(delta);
                self.len.set(len as u32 + 1);
            }
            // More representations in one conversion than any server has: counted at once.
            None => apply(tag, delta),
        }
    }
}

/// In place of a representation: bytes of complements. No box has this tag.
const COMPLEMENTS: Tag = Tag::NONE;

/// Counts `delta` bytes of complements.
pub(super) fn add_complement(delta: i32) {
    add(COMPLEMENTS, delta);
}

/// Bytes that complements occupy in the whole server, without what they own (R10). Exact while nobody
/// makes or drops one.
pub fn complement_bytes() -> i64 {
    count(COMPLEMENTS)
}

/// Counts `delta` boxes of `tag`.
pub(super) fn add(tag: Tag, delta: i32) {
    let journal = Journal::current();
    if journal.depth.get() == 0 {
        apply(tag, delta);
    } else {
        journal.note(tag, delta);
    }
}

fn apply(tag: Tag, delta: i32) {
    // Nobody is attached: nothing can have been allocated either.
    let Some(slot) = WorkerContext::current().owner().checked_sub(1) else {
        return;
    };
    let count = cell(WorkerSlot(slot), tag);
    // Only this worker writes its row, so a plain addition in two steps loses nothing.
    count.store(
        count.load(Ordering::Relaxed) + i64::from(delta),
        Ordering::Relaxed,
    );
}

fn cell(slot: WorkerSlot, tag: Tag) -> &'static AtomicI64 {
    let address = CONTROL_ADDR + LIVE_OFFSET + slot.0 as usize * LIVE_STRIDE + tag.0 as usize * 8;
    // SAFETY: the control region is mapped before a slot exists and never unmapped; a 16-bit tag
    // cannot leave the row of its slot.
    unsafe { &*(address as *const AtomicI64) }
}

/// Boxes of `tag` in the whole server. Exact while nobody makes or drops one.
pub fn count(tag: Tag) -> i64 {
    (0..MAX_WORKERS as u32)
        .map(|slot| cell(WorkerSlot(slot), tag).load(Ordering::Relaxed))
        .sum()
}

/// A transaction begins: changes wait in the journal from here on.
pub fn open() -> Mark {
    let journal = Journal::current();
    let mark = Mark(journal.base.get());
    journal.base.set(journal.len.get());
    journal.depth.set(journal.depth.get() + 1);
    mark
}

/// The outermost transaction is about to be published: what it brings counts from here on, what it takes
/// when it is kept. Whoever dies in between leaves too many in the books.
pub fn gain() {
    let journal = Journal::current();
    if journal.depth.get() == 1 {
        let changes = &journal.entries[..journal.len.get() as usize];
        for change in changes.iter().filter(|change| change.delta.get() > 0) {
            apply(Tag(change.tag.get()), change.delta.replace(0));
        }
    }
}

/// The transaction stands: its changes count, or wait for the one around it.
pub fn keep(mark: Mark) {
    let journal = Journal::current();
    journal.depth.set(journal.depth.get() - 1);
    journal.base.set(mark.0);
    if journal.depth.get() == 0 {
        let changes = &journal.entries[..journal.len.get() as usize];
        // What came before what went: whoever dies in the middle leaves too many in the books and not too
        // few, so that an update looks once more instead of ending early.
        for comes in [true, false] {
            let now = changes.iter().filter(|c| (c.delta.get() > 0) == comes);
            now.for_each(|change| apply(Tag(change.tag.get()), change.delta.get()));
        }
        journal.len.set(0);
    }
}

/// The transaction does not stand, or what it made is a scratch copy: its changes are forgotten.
pub fn discard(mark: Mark) {
    let journal = Journal::current();
    journal.depth.set(journal.depth.get() - 1);
    journal.len.set(journal.base.get());
    journal.base.set(mark.0);
}
