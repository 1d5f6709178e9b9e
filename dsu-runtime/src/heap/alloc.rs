//! Allocating and freeing: the fast paths, and a worker's own superblocks.
//!
//! Owns the way of a block. A worker takes blocks from its current superblock of the class, found by
//! address order in a bitmap; nobody else writes that bitmap, so neither taking nor giving back needs
//! an atomic read-modify-write. Whoever frees another's block sets a bit in the remote bitmap
//! (`pending`). After Hoard (superblocks, adoption), mimalloc (local and remote frees apart) and
//! cxlalloc (metadata apart from blocks, recovery of the dead).
#![allow(unsafe_code)] // hands out memory

use super::claim;
use super::classes::SizeClass;
use super::context::{ClassContext, HeapContext};
use super::superblock::{Meta, Place, Realm, SlotRecord, State, Superblock};
use super::{keep, large, pending, private, transaction};
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Empty superblocks that stay a worker's own for its next need.
const EMPTIES_KEPT: u32 = 4;

/// A block of the shared heap. Its content is undefined; size 0 gives a dangling pointer.
/// While a conversion is open the block is fresh (`Transaction`).
///
/// # Errors
/// `HeapFull`: the limit or the machine's memory is reached, or the calling thread is not a worker.
#[inline]
pub fn allocate(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    allocate_in(Realm::Heap, layout)
}

/// A block of the roots region, otherwise as [`allocate`].
///
/// # Errors
/// As [`allocate`].
#[inline]
pub fn allocate_root(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    allocate_in(Realm::Roots, layout)
}

#[inline]
fn allocate_in(realm: Realm, layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    let worker = WorkerContext::current();
    if !worker.is_attached() {
        return Err(HeapFull);
    }
    if layout.size() == 0 {
        return Ok(layout.dangling_ptr());
    }
    let context = HeapContext::current();
    if worker.converting.get() != 0 {
        return allocate_fresh(context, realm, layout);
    }
    match SizeClass::of(layout) {
        Some(class) => {
            let own = &context.classes[realm as usize][class.number()];
            match find(own, class) {
                Some(free) => Ok(free.take()),
                None => refill(context, realm, class).map(Free::take),
            }
        }
        None => large_block(context, realm, layout, |_| Ok(())),
    }
}

/// While a conversion is open. The block is noted before it is taken, so that whoever dies in between
/// loses none (`ledger`).
#[inline(never)]
fn allocate_fresh(
    context: &HeapContext,
    realm: Realm,
    layout: Layout,
) -> Result<NonNull<u8>, HeapFull> {
    let note = |block| transaction::note_fresh(context, block, layout);
    if WorkerContext::current().copying.get() != 0 {
        let block = private::allocate(layout)?;
        note(block).inspect_err(|_| private::free_fresh(block, layout))?;
        return Ok(block);
    }
    let Some(class) = SizeClass::of(layout) else {
        return large_block(context, realm, layout, note);
    };
    let own = &context.classes[realm as usize][class.number()];
    let free = match find(own, class) {
        Some(free) => free,
        None => refill(context, realm, class)?,
    };
    note(free.block)?;
    Ok(free.take())
}

/// Gives a block back. While a conversion is open only fresh blocks go at once (`Transaction`).
/// A pointer that is not an allocated block of this layout changes nothing and is counted; from a
/// thread that is not a worker the block stays allocated.
///
/// # Safety
/// `pointer` came from [`allocate`] with this layout (or one of the same [`usable_size`]), in
/// whatever process; nobody uses the block afterwards.
#[inline]
pub unsafe fn deallocate(pointer: NonNull<u8>, layout: Layout) {
    let worker = WorkerContext::current();
    if layout.size() == 0 || !worker.is_attached() {
        return;
    }
    let context = HeapContext::current();
    if worker.converting.get() != 0 {
        return transaction::free(context, pointer, layout);
    }
    free_now(context, worker.owner(), pointer, layout);
}

/// Gives back a block from [`allocate_root`].
///
/// # Safety
/// As for [`deallocate`].
#[inline]
pub unsafe fn deallocate_root(pointer: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise; the address itself says which region it is in.
    unsafe { deallocate(pointer, layout) }
}

/// Bytes that a block of this layout really has.
#[inline]
pub const fn usable_size(layout: Layout) -> usize {
    match SizeClass::of(layout) {
        _ if layout.size() == 0 => 0,
        Some(class) => class.size(),
        None => large::committed_size(layout.size()),
    }
}

/// Makes a block larger where it is, if that is possible. While a conversion is open only fresh
/// blocks grow in place: the others must stay as they are.
///
/// # Safety
/// As for [`deallocate`] with `old`, but the block stays the caller's; if true, its layout is then
/// of `new_size` with the alignment of `old`.
pub unsafe fn grow_in_place(pointer: NonNull<u8>, old: Layout, new_size: usize) -> bool {
    let worker = WorkerContext::current();
    let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
        return false;
    };
    if old.size() == 0 || new_size < old.size() || !worker.is_attached() {
        return false;
    }
    if worker.converting.get() != 0 && !transaction::is_fresh(pointer) {
        return false;
    }
    match (SizeClass::of(old), SizeClass::of(new)) {
        (Some(before), Some(after)) => before == after,
        (None, None) if worker.copying.get() == 0 => {
            large::grow(HeapContext::current(), pointer, new_size)
        }
        _ => false,
    }
}

/// Whether others have freed blocks of this worker that it has not taken back: no other worker can use
/// them until it has. One load.
pub fn has_freed_blocks() -> bool {
    let worker = WorkerContext::current();
    worker.is_attached() && pending::is_pending(worker.owner())
}

/// Takes in what others freed, adopts what the dead left, and lets go of empty superblocks: for idle
/// moments.
pub fn collect() {
    if WorkerContext::current().is_attached() {
        let_go_of_all(HeapContext::current());
    }
}

#[cold]
fn large_block(
    context: &HeapContext,
    realm: Realm,
    layout: Layout,
    note: impl Fn(NonNull<u8>) -> Result<(), HeapFull>,
) -> Result<NonNull<u8>, HeapFull> {
    let bytes = large::committed_size(layout.size());
    with_room(context, bytes, || {
        large::allocate(context, realm, layout, &note)
    })
}

/// What `take` gives; as long as the heap is full and something can be given back, once more.
fn with_room<T>(
    context: &HeapContext,
    bytes: usize,
    take: impl Fn() -> Result<T, HeapFull>,
) -> Result<T, HeapFull> {
    take().or_else(|HeapFull| {
        let_go_of_all(context);
        loop {
            // Others may let go of memory between the two, or take it.
            let gave = keep::make_room(context, bytes);
            match take() {
                Err(HeapFull) if gave => {}
                result => return result,
            }
        }
    })
}

/// A free block, and what is written to take it.
struct Free {
    word: &'static AtomicU64,
    taken: u64,
    meta: &'static Meta,
    block: NonNull<u8>,
}

impl Free {
    #[inline]
    fn take(self) -> NonNull<u8> {
        // Only the owner writes these; others at most read them, so that no read-modify-write is needed.
        self.word.store(self.taken, Relaxed);
        let used = &self.meta.used;
        used.store(used.load(Relaxed) + 1, Relaxed);
        self.block
    }
}

/// A free block of the current bitmap word.
#[inline]
fn find(own: &ClassContext, class: SizeClass) -> Option<Free> {
    let word = own.word.get();
    if word.is_null() {
        return None;
    }
    // SAFETY: while `word` is not null, it and `meta` point into the metadata of the current
    // superblock, in the control region, which is never unmapped.
    let (word, meta) = unsafe { (&*word, &*own.meta.get()) };
    let allocated = word.load(Relaxed);
    if allocated == u64::MAX {
        return None;
    }
    let bit = allocated.trailing_ones() as usize;
    Some(Free {
        word,
        taken: allocated | 1 << bit,
        meta,
        block: NonNull::new((own.base.get() + bit * class.size()) as *mut u8)?,
    })
}

/// Finds free blocks elsewhere: other words, what others freed, partly used superblocks, those of
/// the dead, new ones.
#[cold]
#[inline(never)]
fn refill(context: &HeapContext, realm: Realm, class: SizeClass) -> Result<Free, HeapFull> {
    let own = &context.classes[realm as usize][class.number()];
    with_room(context, class.committed_bytes(), || {
        loop {
            if pending::is_pending(WorkerContext::current().owner()) {
                harvest_pending(context);
            }
            if next_word(own, class)
                && let Some(free) = find(own, class)
            {
                return Ok(free);
            }
            leave_current(own);
            let superblock = if let Some(superblock) = pop_partial(context, own) {
                superblock
            } else if let Some(superblock) = claim::adopt(realm, class) {
                // The dead may have stopped anywhere: the bitmaps are the truth, the count is not.
                recount(superblock, class);
                superblock
            } else {
                claim::claim(context, realm, class)?
            };
            make_current(own, superblock);
        }
    })
}

/// Moves on to a word of the current superblock that has a free block.
fn next_word(own: &ClassContext, class: SizeClass) -> bool {
    let Some(superblock) = own.current.get().checked_sub(1).map(Superblock) else {
        return false;
    };
    let meta = superblock.meta();
    if meta.used.load(Relaxed) as usize >= class.blocks() {
        return false;
    }
    let words = class.words();
    let now = (own.word.get() as usize).saturating_sub(meta.allocated.as_ptr() as usize) / 8;
    for index in (now..words).chain(0..now.min(words)) {
        if meta.allocated[index].load(Relaxed) != u64::MAX {
            own.word.set(&meta.allocated[index]);
            own.base.set(superblock.base() + index * 64 * class.size());
            return true;
        }
    }
    false
}

fn make_current(own: &ClassContext, superblock: Superblock) {
    let meta = superblock.meta();
    meta.place.store(Place::Current as u32, Relaxed);
    own.meta.set(meta);
    own.word.set(&meta.allocated[0]);
    own.base.set(superblock.base());
    own.current.set(superblock.0 + 1);
}

/// Lets go of the current superblock, which is full.
fn leave_current(own: &ClassContext) {
    if let Some(superblock) = own.current.replace(0).checked_sub(1).map(Superblock) {
        superblock.meta().place.store(Place::Full as u32, Relaxed);
        own.word.set(std::ptr::null());
        own.meta.set(std::ptr::null());
    }
}

fn push_partial(own: &ClassContext, superblock: Superblock) {
    let meta = superblock.meta();
    let next = own.partial.replace(superblock.0 + 1);
    meta.next.store(next, Relaxed);
    meta.previous.store(0, Relaxed);
    if let Some(next) = next.checked_sub(1).map(Superblock) {
        next.meta().previous.store(superblock.0 + 1, Relaxed);
    }
    meta.place.store(Place::Partial as u32, Relaxed);
}

fn pop_partial(context: &HeapContext, own: &ClassContext) -> Option<Superblock> {
    let superblock = own.partial.get().checked_sub(1).map(Superblock)?;
    unlink(own, superblock);
    if superblock.meta().used.load(Relaxed) == 0 {
        context.empties.set(context.empties.get().saturating_sub(1));
    }
    Some(superblock)
}

fn unlink(own: &ClassContext, superblock: Superblock) {
    let meta = superblock.meta();
    let (next, previous) = (meta.next.load(Relaxed), meta.previous.load(Relaxed));
    match previous.checked_sub(1).map(Superblock) {
        Some(before) => before.meta().next.store(next, Relaxed),
        None => own.partial.set(next),
    }
    if let Some(after) = next.checked_sub(1).map(Superblock) {
        after.meta().previous.store(previous, Relaxed);
    }
    meta.place.store(Place::Full as u32, Relaxed);
}

/// Frees without asking the journal.
#[inline]
pub(super) fn free_now(context: &HeapContext, owner: u32, pointer: NonNull<u8>, layout: Layout) {
    let address = pointer.as_ptr() as usize;
    let Some(superblock) = Superblock::containing(address) else {
        return refuse(owner);
    };
    let Some(class) = SizeClass::of(layout) else {
        if !large::free(context, superblock, address) {
            refuse(owner);
        }
        return;
    };
    if superblock.state().load(Relaxed) != (State::Owned { owner, class }).word() {
        return free_remote(owner, superblock, class, address);
    }
    let meta = superblock.meta();
    let Some((word, bit)) = locate(superblock, class, address) else {
        return refuse(owner);
    };
    let allocated = meta.allocated[word].load(Relaxed);
    if allocated & bit == 0 {
        return refuse(owner);
    }
    meta.allocated[word].store(allocated & !bit, Relaxed);
    let used = meta.used.load(Relaxed).wrapping_sub(1);
    meta.used.store(used, Relaxed);
    if meta.place.load(Relaxed) != Place::Current as u32 {
        settle(context, superblock, class);
    }
}

/// Bitmap word and bit of the block that starts at `address`.
#[inline]
fn locate(superblock: Superblock, class: SizeClass, address: usize) -> Option<(usize, u64)> {
    let offset = address - superblock.base();
    let block = class.block_at(offset);
    (block * class.size() == offset && block < class.blocks())
        .then(|| (block / 64, 1 << (block % 64)))
}

#[cold]
fn free_remote(me: u32, superblock: Superblock, class: SizeClass, address: usize) {
    let of_class = || match State::from_word(superblock.state().load(SeqCst)) {
        Some(State::Owned { owner, class: c }) if c == class => Some(Some(owner)),
        Some(State::Abandoned { class: c }) if c == class => Some(None),
        _ => None,
    };
    let located = locate(superblock, class, address);
    let (Some(_), Some((word, bit))) = (of_class(), located) else {
        return refuse(me);
    };
    if !ask_to_free_at(superblock, word, bit) {
        return refuse(me);
    }
    // Read again: whoever adopts after this reads the bit itself.
    if let Some(Some(owner)) = of_class() {
        pending::notify(owner, superblock);
    }
}

/// Asks the owner of a superblock to free a block; false if it is not allocated, or was freed already.
pub(super) fn ask_to_free(superblock: Superblock, class: SizeClass, address: usize) -> bool {
    locate(superblock, class, address)
        .is_some_and(|(word, bit)| ask_to_free_at(superblock, word, bit))
}

/// Whether the owner of a superblock was asked to free a block and has not taken that in.
pub(super) fn is_asked_to_free(superblock: Superblock, class: SizeClass, address: usize) -> bool {
    locate(superblock, class, address)
        .is_some_and(|(word, bit)| superblock.meta().remote[word].load(SeqCst) & bit != 0)
}

fn ask_to_free_at(superblock: Superblock, word: usize, bit: u64) -> bool {
    let meta = superblock.meta();
    meta.allocated[word].load(SeqCst) & bit != 0
        && meta.remote[word].fetch_or(bit, SeqCst) & bit == 0
}

/// For recovery, in place of a dead owner: frees a block; false if it is free. The count of blocks is
/// made anew when all are.
pub(super) fn clear(superblock: Superblock, class: SizeClass, address: usize) -> bool {
    let Some((word, bit)) = locate(superblock, class, address) else {
        return false;
    };
    let allocated = &superblock.meta().allocated[word];
    let bits = allocated.load(SeqCst);
    allocated.store(bits & !bit, SeqCst);
    bits & bit != 0
}

#[cold]
fn refuse(owner: u32) {
    if let Some(record) = SlotRecord::of(owner) {
        record.refused_frees.fetch_add(1, SeqCst);
    }
}

/// Puts a superblock in which something was freed where it belongs now.
#[cold]
fn settle(context: &HeapContext, superblock: Superblock, class: SizeClass) {
    let own = &context.classes[superblock.realm() as usize][class.number()];
    let meta = superblock.meta();
    let place = meta.place.load(Relaxed);
    if place == Place::Current as u32 {
        return;
    }
    let was_listed = place == Place::Partial as u32;
    if !was_listed {
        push_partial(own, superblock);
    }
    if meta.used.load(Relaxed) == 0 {
        if context.empties.get() < EMPTIES_KEPT {
            context.empties.set(context.empties.get() + 1);
        } else {
            unlink(own, superblock);
            keep::keep(context, superblock);
        }
    }
}

/// Clears what others freed; returns how many blocks that were. Bitmap first, request second: who
/// dies between the two is repeated by whoever harvests next, and no block is given out before.
pub(super) fn harvest(superblock: Superblock, class: SizeClass) -> u32 {
    let meta = superblock.meta();
    let mut freed = 0;
    for word in 0..class.words() {
        let remote = meta.remote[word].load(SeqCst) & class.valid_bits(word);
        if remote != 0 {
            meta.count_reuse();
            let allocated = meta.allocated[word].load(Relaxed);
            freed += (allocated & remote).count_ones();
            meta.allocated[word].store(allocated & !remote, SeqCst);
            meta.remote[word].fetch_and(!remote, SeqCst);
        }
    }
    freed
}

/// Harvests a superblock and counts its blocks anew.
pub(super) fn recount(superblock: Superblock, class: SizeClass) -> u32 {
    harvest(superblock, class);
    let meta = superblock.meta();
    let used = (0..class.words())
        .map(|word| (meta.allocated[word].load(Relaxed) & class.valid_bits(word)).count_ones())
        .sum();
    meta.used.store(used, Relaxed);
    used
}

fn harvest_pending(context: &HeapContext) {
    pending::drain(WorkerContext::current().owner(), |superblock, class| {
        let freed = harvest(superblock, class);
        if freed > 0 {
            let meta: &Meta = superblock.meta();
            let used = meta.used.load(Relaxed).saturating_sub(freed);
            meta.used.store(used, Relaxed);
            settle(context, superblock, class);
        }
    });
}

/// Lets go of all that this worker can find empty, also of what the dead left.
fn let_go_of_all(context: &HeapContext) {
    harvest_pending(context);
    for realm in Realm::BOTH {
        for class in SizeClass::all() {
            while let Some(superblock) = claim::adopt(realm, class) {
                superblock.meta().place.store(Place::Full as u32, Relaxed);
                if (recount(superblock, class) as usize) < class.blocks() {
                    settle(context, superblock, class);
                }
            }
        }
    }
    let_go_of_empties(context);
}

/// Lets go of all empty superblocks of this worker.
fn let_go_of_empties(context: &HeapContext) {
    for own in context.classes.iter().flatten() {
        let current = own.current.get().checked_sub(1).map(Superblock);
        if let Some(superblock) = current.filter(|s| s.meta().used.load(Relaxed) == 0) {
            leave_current(own);
            keep::keep(context, superblock);
        }
        let mut next = own.partial.get();
        while let Some(superblock) = next.checked_sub(1).map(Superblock) {
            next = superblock.meta().next.load(Relaxed);
            if superblock.meta().used.load(Relaxed) == 0 {
                unlink(own, superblock);
                keep::keep(context, superblock);
            }
        }
    }
    context.empties.set(0);
}
