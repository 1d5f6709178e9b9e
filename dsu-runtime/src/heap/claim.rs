//! Taking superblocks from the free addresses and giving them back, within the limit.
//!
//! Owns the frontier (how far metadata is committed), the budget, and the states of single
//! superblocks on their way in and out. Every page is committed before it is used, so that a full
//! machine is `HeapFull` and not a signal. What is committed is asked of the kernel and never
//! counted, so that no death can make the count drift.

use super::classes::SizeClass;
use super::context::{Descriptor, HeapContext};
use super::hint::Hint;
use super::superblock::{Meta, PENDING_STRIDE, Place, Realm, STEP, State, Superblock};
use crate::abi::{
    PENDING_OFFSET, SUPERBLOCK_META_OFFSET, SUPERBLOCK_SIZE, SUPERBLOCK_STATE_OFFSET, WorkerContext,
};
use crate::error::HeapFull;
use crate::sys::memory;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// How far to look for kept memory, in superblocks, when some is wanted: reading more states would cost
/// as much as fresh memory. The next look goes on there.
const NEAR: u32 = 1 << 12;

/// The superblocks of a realm whose metadata is there: first, and one past the last.
pub(super) fn known(realm: Realm) -> (u32, u32) {
    let (first, end) = realm.range();
    let frontier = realm.record().frontier.load(Acquire);
    // Whatever was written there, the walk stays inside the table.
    (first, first + frontier.min((end - first) as u64) as u32)
}

/// Every superblock whose metadata is there.
pub(super) fn all_known() -> impl Iterator<Item = Superblock> {
    Realm::BOTH.into_iter().flat_map(|realm| {
        let (first, end) = known(realm);
        (first..end).map(Superblock)
    })
}

/// Commits the metadata of one more step. Anybody may, several at a time: committing twice is
/// nothing, and the frontier moves once.
pub(super) fn extend(context: &HeapContext, realm: Realm) -> Result<(), HeapFull> {
    let control = context.descriptor(Descriptor::Control).ok_or(HeapFull)?;
    let (first, end) = known(realm);
    if end + STEP > realm.range().1 {
        return Err(HeapFull);
    }
    let (at, steps) = (end as usize, STEP as usize);
    for (offset, bytes) in [
        (SUPERBLOCK_STATE_OFFSET + at * 8, steps * 8),
        (
            SUPERBLOCK_META_OFFSET + at * size_of::<Meta>(),
            steps * size_of::<Meta>(),
        ),
        (PENDING_OFFSET + at / steps * PENDING_STRIDE, PENDING_STRIDE),
    ] {
        memory::commit(control, offset, bytes).map_err(|_| HeapFull)?;
    }
    let old = (end - first) as u64;
    let frontier = &realm.record().frontier;
    // Losing means that somebody else did the same.
    let _ = frontier.compare_exchange(old, old + STEP as u64, SeqCst, SeqCst);
    Ok(())
}

/// Bytes that roots and heap occupy now.
pub(super) fn committed(context: &HeapContext) -> Option<usize> {
    let mut sum = 0;
    for realm in Realm::BOTH {
        sum += memory::committed_bytes(context.file_of(realm)?).ok()?;
    }
    Some(sum)
}

/// Bytes that this worker may have committed. Conversions, and what is prepared for one, may use the
/// reserve: what is in another version's form must stay readable, and can be brought back, when the heap
/// is full.
pub(super) fn limit(context: &HeapContext) -> usize {
    let worker = WorkerContext::current();
    if worker.converting.get() != 0 || worker.may_use_reserve.get() != 0 {
        context.heap_bytes.get()
    } else {
        context.heap_bytes.get() - context.reserve_bytes.get()
    }
}

/// Whether that allows `more` bytes.
pub(super) fn fits(context: &HeapContext, more: usize) -> bool {
    committed(context).is_some_and(|now| now.saturating_add(more) <= limit(context))
}

/// Commits pages of a superblock that the caller holds in a claiming state, if the limit allows.
pub(super) fn commit(
    context: &HeapContext,
    first: Superblock,
    offset: usize,
    bytes: usize,
) -> Result<(), HeapFull> {
    if !fits(context, bytes) {
        return Err(HeapFull);
    }
    let file = context.file_of(first.realm()).ok_or(HeapFull)?;
    let start = file_offset(first) + offset;
    memory::commit(file, start, bytes).map_err(|_| HeapFull)?;
    // Several workers may have passed the first check together; whoever finds the limit passed now
    // steps back, so that it holds whenever nobody is here.
    if fits(context, 0) {
        Ok(())
    } else {
        give_back(context, first, offset, bytes);
        Err(HeapFull)
    }
}

/// Gives pages back to the kernel. The caller holds their superblocks in a claiming state.
pub(super) fn give_back(context: &HeapContext, first: Superblock, offset: usize, bytes: usize) {
    if let Some(file) = context.file_of(first.realm()) {
        // A failure leaves memory committed, which the next claim of the address takes over.
        let _ = memory::punch(file, file_offset(first) + offset, bytes);
    }
}

fn file_offset(superblock: Superblock) -> usize {
    (superblock.0 - superblock.realm().range().0) as usize * SUPERBLOCK_SIZE
}

/// Takes a free superblock for blocks of `class`. Its state names this worker as owner afterwards.
///
/// # Errors
/// The limit or the machine's memory is reached.
pub(super) fn claim(
    context: &HeapContext,
    realm: Realm,
    class: SizeClass,
) -> Result<Superblock, HeapFull> {
    let owner = WorkerContext::current().owner();
    let (superblock, was) = loop {
        match find_free(realm, State::Claiming { owner }) {
            Some(found) => break found,
            None => extend(context, realm)?,
        }
    };
    let kept = match was {
        State::Kept(kept) if kept.is_whole => Some(kept),
        _ => None,
    };
    let bytes = class.committed_bytes();
    if kept.is_none()
        && let Err(full) = commit(context, superblock, 0, bytes)
    {
        release(context, superblock, 1);
        return Err(full);
    }
    cut(context, superblock, bytes);
    if kept.is_none_or(|kept| kept.by != owner) {
        memory::populate(superblock.base(), bytes);
    }
    let meta = superblock.meta();
    for (word, (allocated, remote)) in meta.allocated.iter().zip(&meta.remote).enumerate() {
        allocated.store(!class.valid_bits(word), Relaxed);
        remote.store(0, Relaxed);
    }
    meta.count_reuse();
    meta.used.store(0, Relaxed);
    meta.place.store(Place::Full as u32, Relaxed);
    let owned = State::Owned { owner, class };
    superblock.state().store(owned.word(), Release);
    Ok(superblock)
}

/// Gives back what a superblock, or the last one of a run, may have kept behind the `bytes` that are used:
/// nobody would find it there.
pub(super) fn cut(context: &HeapContext, first: Superblock, bytes: usize) {
    let end = bytes.next_multiple_of(SUPERBLOCK_SIZE);
    if bytes < end {
        give_back(context, first, bytes, end - bytes);
    }
}

/// Finds a superblock that is free, at best one that has memory if that is near, and writes `claim` into
/// its state; with the state that it had.
fn find_free(realm: Realm, claim: State) -> Option<(Superblock, State)> {
    let record = realm.record();
    find(realm, &record.kept, State::is_kept, claim, NEAR)
        .or_else(|| find(realm, &record.free, State::is_free, claim, u32::MAX))
}

/// Takes a superblock that has memory, wherever it is.
pub(super) fn take_kept(claim: State) -> Option<Superblock> {
    let hints = &Realm::Heap.record().kept;
    find(Realm::Heap, hints, State::is_kept, claim, u32::MAX).map(|(superblock, _)| superblock)
}

/// Looks at so many superblocks at most.
fn find(
    realm: Realm,
    hints: &AtomicU64,
    wanted: fn(State) -> bool,
    claim: State,
    most: u32,
) -> Option<(Superblock, State)> {
    let (first, end) = known(realm);
    let hint = Hint::read(hints);
    let start = first.saturating_add(hint.offset()).min(end);
    let end = end.min(start.saturating_add(most));
    for number in start..end {
        let superblock = Superblock(number);
        if let Some(was) = take(superblock, wanted, claim) {
            hint.raise(hints, number + 1 - first);
            return Some((superblock, was));
        }
    }
    hint.raise(hints, end - first);
    None
}

/// Writes `claim` into the state of a superblock, if it is free.
pub(super) fn take_free(superblock: Superblock, claim: State) -> bool {
    take(superblock, State::is_free, claim).is_some()
}

/// That a superblock only grows older meanwhile does not make this fail.
fn take(superblock: Superblock, wanted: fn(State) -> bool, claim: State) -> Option<State> {
    let taken = |word| {
        State::from_word(word)
            .is_some_and(wanted)
            .then_some(claim.word())
    };
    superblock
        .state()
        .fetch_update(SeqCst, Relaxed, taken)
        .ok()
        .and_then(State::from_word)
}

/// The end of every way back, of a run as of one: gives all memory back, and then the addresses, the first
/// last. The caller holds all of them in a claiming state.
pub(super) fn release(context: &HeapContext, first: Superblock, count: u32) {
    give_back(context, first, 0, count as usize * SUPERBLOCK_SIZE);
    let realm = first.realm();
    for number in (first.0..first.0 + count).rev() {
        Superblock(number).state().store(State::Free.word(), SeqCst);
        Hint::lower(&realm.record().free, number - realm.range().0);
    }
}

/// Takes over a superblock of `class` whose owner died. The caller harvests and recounts it.
pub(super) fn adopt(realm: Realm, class: SizeClass) -> Option<Superblock> {
    let owner = WorkerContext::current().owner();
    let (first, end) = known(realm);
    let word = &realm.record().abandoned[class.number()];
    let hint = Hint::read(word);
    let abandoned = State::Abandoned { class }.word();
    let owned = State::Owned { owner, class }.word();
    for number in first.saturating_add(hint.offset()).min(end)..end {
        let state = Superblock(number).state();
        if state.load(Relaxed) == abandoned
            && state
                .compare_exchange(abandoned, owned, SeqCst, Relaxed)
                .is_ok()
        {
            hint.raise(word, number + 1 - first);
            return Some(Superblock(number));
        }
    }
    hint.raise(word, end - first);
    None
}
