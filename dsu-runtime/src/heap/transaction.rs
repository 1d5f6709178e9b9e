//! Conversions that can be undone: what they allocate and free takes effect only at the end.
//!
//! Owns the meaning of *fresh* and *deferred* blocks. While a conversion is open, a block allocated
//! since it began is fresh: writing to it, or freeing it, harms nobody. Any other block belongs to
//! the old value: containers copy it before they write, and freeing it only makes a note. So commit
//! frees the old, abort frees the new, and either way nothing is lost. The notes are private: a
//! worker that dies here leaves its fresh blocks to the heap check.

use super::alloc::free_now;
use super::context::HeapContext;
use super::copies;
use super::journal::{Entry, Journal, RawList};
use super::live;
use super::objects::{self, ObjectId};
use super::private;
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An open conversion. Conversions nest: they end in the opposite order of their beginnings, and
/// what an inner one committed is still undone when an outer one aborts. Dropping it aborts.
#[must_use = "a conversion that is dropped is undone"]
pub struct Transaction {
    outer_fresh_mark: usize,
    outer_deferred_mark: usize,
    /// Where the counts of live boxes go if it stands; taken when it ends.
    counts: Option<live::Mark>,
    is_open: bool,
    _on_this_thread: PhantomData<*const ()>,
}

fn journal() -> &'static Journal {
    &HeapContext::current().journal
}

impl Transaction {
    /// Begins a conversion. On a thread that is not a worker it does nothing, as nothing can be
    /// allocated there.
    pub fn begin() -> Transaction {
        let worker = WorkerContext::current();
        let is_open = worker.is_attached();
        let (mut outer_fresh_mark, mut outer_deferred_mark) = (0, 0);
        if is_open {
            let journal = journal();
            outer_fresh_mark = journal.fresh_mark.replace(journal.fresh.len());
            outer_deferred_mark = journal.deferred_mark.replace(journal.deferred.len());
            worker.converting.set(worker.converting.get() + 1);
        }
        Transaction {
            outer_fresh_mark,
            outer_deferred_mark,
            counts: is_open.then(live::open),
            is_open,
            _on_this_thread: PhantomData,
        }
    }

    /// The new value stands. Deferred frees happen now, unless an outer conversion is open, which
    /// then decides.
    pub fn commit(mut self) {
        let journal = journal();
        if let Some(counts) = self.counts.take() {
            live::keep(counts);
        }
        if self.is_open && self.close() == 0 {
            copies::forget();
            objects::keep_fresh(&journal.fresh);
            journal.fresh.clear();
            free_down_to(&journal.deferred, 0, free_old);
        }
    }

    /// The old value stands: fresh blocks are freed without running any drop, deferred frees are
    /// forgotten.
    pub fn abort(self) {
        drop(self);
    }

    /// Aborts later: the old value stands, and the new one may be read until [`release_scratch`].
    ///
    /// # Errors
    /// `HeapFull` if there is no memory for the list; the conversion is aborted then, and the new
    /// value must not be read.
    pub fn keep_for_scratch(mut self) -> Result<(), HeapFull> {
        if !self.is_open {
            return Ok(());
        }
        let journal = journal();
        let (fresh, scratch) = (journal.fresh_mark.get(), journal.scratch.len());
        WorkerContext::current().owe(WorkerContext::OWES_SCRATCH);
        while journal.fresh.len() > fresh {
            if let Some(entry) = journal.fresh.pop()
                && let Err(full) = journal.scratch.push(entry)
            {
                free_fresh(entry);
                free_down_to(&journal.scratch, scratch, free_fresh);
                self.undo();
                return Err(full);
            }
        }
        journal.deferred.truncate(journal.deferred_mark.get());
        self.close();
        Ok(())
    }

    fn undo(&mut self) {
        let journal = journal();
        while journal.fresh.len() > journal.fresh_mark.get() {
            if let Some(entry) = journal.fresh.pop() {
                free_fresh(entry);
            }
        }
        journal.deferred.truncate(journal.deferred_mark.get());
        self.close();
    }

    /// Makes the outer conversion the innermost one; returns how many are open still.
    fn close(&mut self) -> u32 {
        let (worker, journal) = (WorkerContext::current(), journal());
        journal.fresh_mark.set(self.outer_fresh_mark);
        journal.deferred_mark.set(self.outer_deferred_mark);
        self.is_open = false;
        if let Some(counts) = self.counts.take() {
            live::discard(counts);
        }
        let left = worker.converting.get().saturating_sub(1);
        worker.converting.set(left);
        if left == 0 && journal.fresh.len() == 0 {
            journal.fresh.clear();
        }
        left
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_open {
            self.undo();
        }
    }
}

/// Whether the innermost open conversion allocated this block; false while none is open.
pub fn is_fresh(block: NonNull<u8>) -> bool {
    let worker = WorkerContext::current();
    worker.is_attached()
        && worker.converting.get() != 0
        && fresh_position(journal(), block).is_some()
}

/// Whether there is anything for [`release_scratch`] to free.
#[inline]
pub fn has_scratch() -> bool {
    journal().scratch.len() != 0
}

/// A guard goes while there is scratch, and `depth` others are still held: copies made so far are not
/// given again, as others may write now; when the last guard goes they are freed.
#[cold]
pub(crate) fn end_guard(depth: u32) {
    copies::forget();
    if depth == 0 {
        release_scratch();
    }
}

/// Frees what read-only conversions left to be read (R20): when the worker's last guard goes.
pub fn release_scratch() {
    let worker = WorkerContext::current();
    if worker.is_attached() {
        copies::forget();
        free_down_to(&journal().scratch, 0, free_fresh);
        worker.paid(WorkerContext::OWES_SCRATCH);
    }
}

/// While this lives, converted copies are made for nobody but who made it: none that was made before is
/// given, since boxes may have been edited in their own form meanwhile, and those that are made are freed
/// with it and not at the section's end.
pub(super) struct ScratchScope(usize);

impl ScratchScope {
    pub(super) fn begin() -> ScratchScope {
        copies::forget();
        ScratchScope(journal().scratch.len())
    }
}

impl Drop for ScratchScope {
    fn drop(&mut self) {
        copies::forget();
        free_down_to(&journal().scratch, self.0, free_fresh);
    }
}

/// Notes a block that was allocated while a conversion is open; frees it if that is not possible.
#[cold]
pub(super) fn note_fresh(
    context: &HeapContext,
    block: NonNull<u8>,
    layout: Layout,
) -> Result<(), HeapFull> {
    let noted = context.journal.fresh.push(Entry::new(block, layout));
    if noted.is_err() {
        private::free_fresh(block, layout);
    }
    noted
}

/// What to do with a free while a conversion is open: a fresh block goes at once (false), any other
/// is noted (true). Without memory for the note it stays allocated, which the heap check reports.
#[cold]
pub(super) fn is_deferred(context: &HeapContext, block: NonNull<u8>, layout: Layout) -> bool {
    let journal = &context.journal;
    match fresh_position(journal, block) {
        Some(at) => {
            journal.fresh.swap_remove(at);
            false
        }
        None => {
            let _ = journal.deferred.push(Entry::new(block, layout));
            true
        }
    }
}

fn fresh_position(journal: &Journal, block: NonNull<u8>) -> Option<usize> {
    journal
        .fresh
        .position(block.as_ptr() as usize)
        .filter(|at| *at >= journal.fresh_mark.get())
}

fn free_down_to(list: &RawList<Entry>, len: usize, free: fn(Entry)) {
    while list.len() > len {
        if let Some(entry) = list.pop() {
            free(entry);
        }
    }
    list.truncate(len);
}

/// Notes an object that was made while a conversion is open.
pub(super) fn note_fresh_object(id: ObjectId) -> Result<(), HeapFull> {
    journal().fresh.push(Entry::object(id))
}

/// The owner of an object drops it while a conversion is open. True if the innermost one made it, and
/// it goes at once; otherwise it is noted, and goes if the conversion stands.
pub(super) fn is_object_fresh(id: ObjectId) -> bool {
    let (journal, entry) = (journal(), Entry::object(id));
    match journal.fresh.position(id.slot_address()) {
        Some(at) if at >= journal.fresh_mark.get() => {
            journal.fresh.swap_remove(at);
            true
        }
        _ => {
            // Without memory for the note the object stays, and the heap check reports it.
            let _ = journal.deferred.push(entry);
            false
        }
    }
}

/// Frees what a conversion allocated.
fn free_fresh(entry: Entry) {
    if let Some(id) = entry.to_object() {
        objects::forget_fresh(id);
    } else if let Some((block, layout)) = entry.block() {
        private::free_fresh(block, layout);
    }
}

/// Frees what was there before a conversion.
fn free_old(entry: Entry) {
    if let Some(id) = entry.to_object() {
        objects::retire(id);
    } else if let Some((block, layout)) = entry.block() {
        let owner = WorkerContext::current().owner();
        free_now(HeapContext::current(), owner, block, layout);
    }
}
