//! Conversions that can be undone: what they allocate and free takes effect only at the end.
//!
//! Owns the meaning of *fresh* and *deferred* blocks. While a conversion is open, a block allocated
//! since it began is fresh: writing to it, or freeing it, harms nobody. Any other block belongs to
//! the old value: containers copy it before they write, and freeing it only makes a note. So commit
//! frees the old, abort frees the new, and either way nothing is lost. What is to be done if the
//! worker dies here stands in its ledger as well (`ledger`), and is done by recovery (`reclaim`).

use super::alloc::free_now;
use super::classes::SizeClass;
use super::context::HeapContext;
use super::copies;
use super::journal::{Entry, Journal, RawList};
use super::ledger::{Ledger, List};
use super::live;
use super::objects::{self, ObjectId};
use super::private;
use super::rc::{self, Change, HandleKind, NodePtr};
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

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

/// That of this worker, which is attached.
fn ledger() -> &'static Ledger {
    Ledger::of(WorkerContext::current().owner())
}

/// The outermost conversion, which the caller has begun, will publish by a store to the word at `address`,
/// where `old` stands. No other worker may store there while it is open.
pub(super) fn aim(address: usize, old: u64) {
    if WorkerContext::current().converting.get() == 1 {
        ledger().aim(address, old);
    }
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
            if worker.converting.get() == 0 {
                ledger().open();
            }
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
    pub fn commit(self) {
        self.publish(|| ());
    }

    /// As [`commit`](Self::commit), and `store` makes the new value the one that is reached: after what
    /// it shares has been counted, before what it replaces is freed. A death on either side of the
    /// store leaves a handle too many in the counts, and never one too few.
    pub fn publish(mut self, store: impl FnOnce()) {
        let journal = journal();
        let is_outermost = self.is_open && WorkerContext::current().converting.get() == 1;
        if is_outermost {
            rc::count_up_to_publish(journal.deferred.iter());
            live::gain();
            ledger().publish();
        }
        // Whoever finds the new value finds all of that; and not even the compiler may count down before
        // the store what the old one still leads to.
        compiler_fence(SeqCst);
        store();
        compiler_fence(SeqCst);
        if let Some(counts) = self.counts.take() {
            live::keep(counts);
        }
        if !self.is_open {
            return;
        }
        let noted_since = journal.deferred_mark.get();
        if self.close() == 0 {
            let ledger = ledger();
            ledger.stand(journal.fresh.len(), journal.deferred.len());
            rc::published();
            copies::forget();
            objects::keep_fresh(&journal.fresh);
            journal.fresh.clear();
            free_old(&journal.deferred, ledger);
        } else {
            settle_counts(journal, noted_since);
        }
    }

    /// The old value stands: fresh blocks are freed without running any drop, deferred frees are
    /// forgotten.
    pub fn abort(self) {
        drop(self);
    }

    /// Aborts later: the old value stands, and the new one may be read until [`release_scratch`]. Handles
    /// to older nodes that were made for it count until the guard of those is released.
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
        let noted = journal.deferred_mark.get()..journal.deferred.len();
        rc::count_for_copy(noted.map(|at| journal.deferred.get(at)));
        journal.deferred.truncate(journal.deferred_mark.get());
        ledger().count(journal.fresh.len(), journal.deferred.len());
        self.close();
        Ok(())
    }

    fn undo(&mut self) {
        let journal = journal();
        while journal.fresh.len() > journal.fresh_mark.get() {
            take_back(journal, journal.fresh.len() - 1);
        }
        journal.deferred.truncate(journal.deferred_mark.get());
        ledger().count(journal.fresh.len(), journal.deferred.len());
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

/// Notes a block that is about to be allocated while a conversion is open.
pub(super) fn note_fresh(
    context: &HeapContext,
    block: NonNull<u8>,
    layout: Layout,
) -> Result<(), HeapFull> {
    push_fresh(&context.journal, Entry::new(block, layout))
}

/// A free while a conversion is open: a fresh block goes at once, any other is noted. Without memory for
/// the note it stays allocated, which the heap check reports.
pub(super) fn free(context: &HeapContext, block: NonNull<u8>, layout: Layout) {
    let journal = &context.journal;
    match fresh_position(journal, block) {
        Some(at) => take_back(journal, at),
        None => {
            let _ = push_old(journal, Entry::new(block, layout));
        }
    }
}

fn push_fresh(journal: &Journal, entry: Entry) -> Result<(), HeapFull> {
    journal.fresh.push(entry)?;
    let (ledger, fresh) = (ledger(), journal.fresh.len());
    ledger.write(List::Fresh, fresh - 1, entry);
    ledger.count(fresh, journal.deferred.len());
    Ok(())
}

fn push_old(journal: &Journal, entry: Entry) -> Result<(), HeapFull> {
    journal.deferred.push(entry)?;
    let (ledger, old) = (ledger(), journal.deferred.len());
    ledger.write(List::Old, old - 1, entry);
    ledger.count(journal.fresh.len(), old);
    Ok(())
}

/// Frees what is fresh, then takes it out of the list: whoever dies in between finds it free already.
fn take_back(journal: &Journal, at: usize) {
    let entry = journal.fresh.get(at);
    // Of a large block no bit says whose it is: whoever gets its memory next is not to be taken for it.
    let is_large = entry
        .block()
        .is_some_and(|(_, layout)| SizeClass::of(layout).is_none());
    if is_large {
        ledger().take_in_hand(at, entry.address());
    }
    free_fresh(entry);
    take_out(journal, at);
    if is_large {
        // Where it was the last, its line was there until now.
        ledger().let_go();
    }
}

/// The last one takes its place, and for a moment has two lines: it is freed by one of them.
fn take_out(journal: &Journal, at: usize) {
    let last = journal.fresh.len() - 1;
    if at != last {
        ledger().write(List::Fresh, at, journal.fresh.get(last));
        // What is in hand in this place is not what has it now.
        ledger().let_go();
    }
    journal.fresh.swap_remove(at);
    ledger().count(last, journal.deferred.len());
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
///
/// # Errors
/// `HeapFull` as well if there is no room in the ledger: recovery would free the blocks of its value, and
/// leave the object.
pub(super) fn note_fresh_object(id: ObjectId) -> Result<(), HeapFull> {
    let (journal, entry) = (journal(), Entry::object(id));
    let at = journal.fresh.len();
    if !ledger().write(List::Fresh, at, entry) {
        return Err(HeapFull);
    }
    journal.fresh.push(entry)?;
    ledger().count(at + 1, journal.deferred.len());
    Ok(())
}

/// The owner of an object drops it while a conversion is open. One that the innermost one made goes at
/// once, by `take_apart`; any other is noted, and goes if the conversion stands. Without memory for the
/// note it stays, and the heap check reports it.
pub(super) fn free_object(id: ObjectId, take_apart: impl FnOnce()) {
    let journal = journal();
    let position = || {
        let at = journal.fresh.position(id.slot_address());
        at.filter(|at| *at >= journal.fresh_mark.get())
    };
    if position().is_none() {
        let _ = push_old(journal, Entry::object(id));
        return;
    }
    take_apart();
    // Its blocks were in the list as well, so it may lie elsewhere now.
    if let Some(at) = position() {
        take_out(journal, at);
    }
}

/// Whether a conversion around the innermost one made this block: gone if that one is undone.
pub(super) fn is_of_outer(block: NonNull<u8>) -> bool {
    let position = journal().fresh.position(block.as_ptr() as usize);
    position.is_some_and(|at| at < journal().fresh_mark.get())
}

/// Notes that a shared node that is older than the open conversion has one handle more or less, if the
/// conversion stands.
pub(super) fn note_count(node: NodePtr, change: Change) -> Result<(), HeapFull> {
    push_old(journal(), Entry::counted(node, change))
}

/// By how much the open conversions will raise a count, if they stand.
pub(super) fn noted_changes(node: NodePtr, handle: HandleKind) -> i64 {
    let deferred = journal().deferred.iter();
    let of_node = deferred
        .filter_map(Entry::to_counted)
        .filter(|(noted, _)| *noted == node);
    of_node.map(|(_, change)| change.of(handle)).sum()
}

/// An inner conversion stands, and the one around it has made some of the nodes: those are counted at
/// once, as all that it does to them. Up first: a node of which a handle goes may have another.
fn settle_counts(journal: &Journal, since: usize) {
    let (ledger, deferred) = (ledger(), &journal.deferred);
    let mut down = Vec::new();
    let mut kept = since;
    for at in since..deferred.len() {
        let entry = deferred.get(at);
        match entry.to_counted() {
            Some((node, change)) if is_fresh(node.block()) => match change.is_up() {
                true => rc::count_up(std::iter::once(entry)),
                false => down.push((node, change)),
            },
            _ => {
                deferred.set(kept, entry);
                ledger.write(List::Old, kept, entry);
                kept += 1;
            }
        }
    }
    deferred.truncate(kept);
    ledger.count(journal.fresh.len(), kept);
    for (node, change) in down {
        rc::count_down(node, change);
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

/// Frees what was there before a conversion that stands. Values are dropped last, when nothing is open any
/// more: that runs code of the application, which may convert other things.
fn free_old(old: &RawList<Entry>, ledger: &Ledger) {
    let owner = WorkerContext::current().owner();
    let (mut retired, owed) = (Vec::new(), rc::owed());
    for at in 0..old.len() {
        let entry = old.get(at);
        if let Some(id) = entry.to_object() {
            objects::retire_only(id);
            retired.push(id);
        } else if let Some((node, change)) = entry.to_counted() {
            if !change.is_up() {
                ledger.take_handle_in_hand(at);
                rc::owe(node, change);
            }
        } else if let Some((block, layout)) = entry.block() {
            ledger.take_in_hand(at, entry.address());
            free_now(HeapContext::current(), owner, block, layout);
        }
    }
    ledger.close();
    old.truncate(0);
    rc::count_down_to(owed);
    retired.into_iter().for_each(objects::settle_retired);
}
