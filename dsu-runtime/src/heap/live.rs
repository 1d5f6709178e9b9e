//! How many boxes of each representation live, and the bytes of the complements of each lens, by its newer
//! side: one row of counts a worker, exact as a sum.
//!
//! Owns the live table of the control region and the journal in the worker context. A conversion
//! makes and drops boxes before anybody knows whether it will stand, so while one is open the
//! changes go to the journal, which its transaction keeps or discards. The journal lies in the
//! worker context because a lens may run in another copy of the runtime.
//! Knows nothing of what a box holds.
#![allow(unsafe_code)] // fixed addresses

use crate::abi::{
    CONTEXT_ADDR, CONTROL_ADDR, LIVE_OF_COMPLEMENTS, LIVE_OFFSET, LIVE_STRIDE, MAX_WORKERS,
    WorkerContext,
};
use crate::ids::{Tag, WorkerSlot};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the journal lies: the second page of the core of the worker context.
const JOURNAL_ADDR: usize = CONTEXT_ADDR + 0x1000;
const ENTRIES: usize = 510;

/// What a row has under one tag.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum What {
    /// Boxes in this form.
    Boxes = 0,
    /// Bytes of complements whose lens has it as its newer side; under no tag, those of all lenses.
    Complements = 1,
}

#[repr(C)]
struct Change {
    tag: Cell<u16>,
    /// A `What`.
    what: Cell<u16>,
    delta: Cell<i32>,
}

impl Change {
    fn is_of(&self, what: What, tag: Tag) -> bool {
        (self.what.get(), self.tag.get()) == (what as u16, tag.0)
    }

    fn whose(&self) -> (What, Tag) {
        let what = match self.what.get() {
            0 => What::Boxes,
            _ => What::Complements,
        };
        (what, Tag(self.tag.get()))
    }

    fn apply(&self) {
        let (what, tag) = self.whose();
        apply(what, tag, self.delta.get());
    }
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

    fn note(&self, what: What, tag: Tag, delta: i32) {
        let len = self.len.get() as usize;
        let known = self.entries[self.base.get() as usize..len]
            .iter()
            .find(|change| change.is_of(what, tag));
        match known {
            Some(change) => change.delta.set(change.delta.get() + delta),
            None if len < ENTRIES => {
                self.entries[len].tag.set(tag.0);
                self.entries[len].what.set(what as u16);
                self.entries[len].delta.set(delta);
                self.len.set(len as u32 + 1);
            }
            // More forms in one conversion than any server has: counted at once.
            None => apply(what, tag, delta),
        }
    }
}

/// Counts `delta` bytes of complements of a lens that has `newer` as its newer side.
pub(super) fn add_complement(newer: Tag, delta: i32) {
    for tag in [newer, Tag::NONE] {
        change(What::Complements, tag, delta);
    }
}

/// Bytes that complements occupy in the whole server, without what they own (R10). Exact while nobody
/// makes or drops one.
pub fn complement_bytes() -> i64 {
    sum(What::Complements, Tag::NONE)
}

/// Of those, bytes of complements of lenses that have `newer` as their newer side. They are counted before
/// anybody can meet one and until after it is gone: a death leaves too many in the books, never too few.
pub fn complement_bytes_of(newer: Tag) -> i64 {
    sum(What::Complements, newer)
}

/// Counts `delta` boxes of `tag`.
pub(super) fn add(tag: Tag, delta: i32) {
    change(What::Boxes, tag, delta);
}

fn change(what: What, tag: Tag, delta: i32) {
    let journal = Journal::current();
    if journal.depth.get() == 0 {
        apply(what, tag, delta);
    } else {
        journal.note(what, tag, delta);
    }
}

fn apply(what: What, tag: Tag, delta: i32) {
    // Nobody is attached: nothing can have been allocated either.
    let Some(slot) = WorkerContext::current().owner().checked_sub(1) else {
        return;
    };
    let count = cell(WorkerSlot(slot), what, tag);
    // Only this worker writes its row, so a plain addition in two steps loses nothing.
    count.store(
        count.load(Ordering::Relaxed) + i64::from(delta),
        Ordering::Relaxed,
    );
}

fn cell(slot: WorkerSlot, what: What, tag: Tag) -> &'static AtomicI64 {
    let part = match what {
        What::Boxes => 0,
        What::Complements => LIVE_OF_COMPLEMENTS,
    };
    let row = CONTROL_ADDR + LIVE_OFFSET + slot.0 as usize * LIVE_STRIDE;
    let address = row + part + tag.0 as usize * 8;
    // SAFETY: the control region is mapped before a slot exists and never unmapped; a 16-bit tag
    // cannot leave its half of the row of its slot.
    unsafe { &*(address as *const AtomicI64) }
}

/// Boxes of `tag` in the whole server. Exact while nobody makes or drops one.
pub fn count(tag: Tag) -> i64 {
    sum(What::Boxes, tag)
}

fn sum(what: What, tag: Tag) -> i64 {
    (0..MAX_WORKERS as u32)
        .map(|slot| cell(WorkerSlot(slot), what, tag).load(Ordering::Relaxed))
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
            change.apply();
            change.delta.set(0);
        }
    }
}

/// The transaction stands: its changes count, or wait for the one around it.
pub fn keep(mark: Mark) {
    let journal = Journal::current();
    journal.depth.set(journal.depth.get() - 1);
    let own = journal.base.replace(mark.0) as usize..journal.len.get() as usize;
    if journal.depth.get() > 0 {
        // Together with those of the outer one, so that there is one entry a form however many boxes a lens
        // converts. Each is written where it stood or before.
        journal.len.set(own.start as u32);
        for entry in &journal.entries[own] {
            let (what, tag) = entry.whose();
            journal.note(what, tag, entry.delta.get());
        }
    } else {
        let changes = &journal.entries[..journal.len.get() as usize];
        // What came before what went: whoever dies in the middle leaves too many in the books and not too
        // few, so that an update looks once more instead of ending early.
        for comes in [true, false] {
            let now = changes.iter().filter(|c| (c.delta.get() > 0) == comes);
            now.for_each(Change::apply);
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
