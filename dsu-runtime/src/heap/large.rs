//! Blocks above the largest class: runs of superblock addresses, committed by pages.
//!
//! Owns the states of runs. The head's state carries the length from the first claim to the last
//! step of freeing, so that recovery finds a half-made or half-freed run whole.
#![allow(unsafe_code)] // hands out memory

use super::claim;
use super::context::HeapContext;
use super::hint::Hint;
use super::superblock::{Realm, State, Superblock};
use crate::abi::{SUPERBLOCK_SIZE, WorkerContext};
use crate::error::HeapFull;
use crate::sys::memory::PAGE_SIZE;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Bytes committed for a large block of `size` bytes.
pub(super) const fn committed_size(size: usize) -> usize {
    size.next_multiple_of(PAGE_SIZE)
}

/// A large block, aligned to a superblock. `note` is told of it before it is one; if that fails there is
/// none.
///
/// # Errors
/// No memory, no run of addresses, or an alignment beyond a superblock.
pub(super) fn allocate(
    context: &HeapContext,
    realm: Realm,
    layout: Layout,
    note: impl Fn(NonNull<u8>) -> Result<(), HeapFull>,
) -> Result<NonNull<u8>, HeapFull> {
    let (first, end) = realm.range();
    if layout.align() > SUPERBLOCK_SIZE || layout.size() > (end - first) as usize * SUPERBLOCK_SIZE
    {
        return Err(HeapFull);
    }
    let len = layout.size().div_ceil(SUPERBLOCK_SIZE) as u32;
    let bytes = committed_size(layout.size());
    // Asked again when it is committed; a run that cannot be had shall not cost metadata first.
    if !claim::fits(context, bytes) {
        return Err(HeapFull);
    }
    let head = claim_run(context, realm, len)?;
    let block = NonNull::new(head.base() as *mut u8).ok_or(HeapFull)?;
    if let Err(full) = claim::commit(context, head, 0, bytes).and_then(|()| note(block)) {
        claim::release(context, head, len);
        return Err(full);
    }
    claim::cut(context, head, bytes);
    head.meta().count_reuse();
    head.meta().pages.store((bytes / PAGE_SIZE) as u32, Relaxed);
    for offset in 1..len {
        let part = State::Part { offset };
        Superblock(head.0 + offset)
            .state()
            .store(part.word(), Relaxed);
    }
    head.state().store(State::Large { len }.word(), Release);
    Ok(block)
}

/// Frees the large block at `address`; false if there is none.
pub(super) fn free(context: &HeapContext, head: Superblock, address: usize) -> bool {
    let owner = WorkerContext::current().owner();
    let word = head.state().load(Acquire);
    let Some(State::Large { len }) = State::from_word(word) else {
        return false;
    };
    let freeing = State::LargeClaiming { owner, len }.word();
    if address != head.base()
        || head
            .state()
            .compare_exchange(word, freeing, SeqCst, Relaxed)
            .is_err()
    {
        return false;
    }
    claim::release(context, head, len);
    true
}

/// Commits more pages of the run that a block has already; false if that does not do.
pub(super) fn grow(context: &HeapContext, pointer: NonNull<u8>, new_size: usize) -> bool {
    let Some(head) = Superblock::containing(pointer.as_ptr() as usize) else {
        return false;
    };
    let Some(State::Large { len }) = State::from_word(head.state().load(Acquire)) else {
        return false;
    };
    let (new, old) = (
        committed_size(new_size),
        head.meta().pages.load(Relaxed) as usize * PAGE_SIZE,
    );
    if new > len as usize * SUPERBLOCK_SIZE {
        return false;
    }
    if new > old {
        if claim::commit(context, head, old, new - old).is_err() {
            return false;
        }
        head.meta().pages.store((new / PAGE_SIZE) as u32, Relaxed);
    }
    true
}

/// Takes a run of free superblocks; all its states name this worker afterwards.
fn claim_run(context: &HeapContext, realm: Realm, len: u32) -> Result<Superblock, HeapFull> {
    loop {
        let (first, end) = claim::known(realm);
        let hint = Hint::read(&realm.record().free).offset();
        let low = first.saturating_add(hint).min(end);
        let cursor = &context.large_cursor[realm as usize];
        let start = first.saturating_add(cursor.get()).clamp(low, end);
        // Next fit: where the last one was found the way is short; then from the beginning.
        let found = find_run(context, start, end, len)
            .or_else(|| find_run(context, low, start.saturating_add(len).min(end), len));
        match found {
            Some(head) => {
                cursor.set(head.0 + len - first);
                return Ok(head);
            }
            None => claim::extend(context, realm)?,
        }
    }
}

fn find_run(context: &HeapContext, start: u32, end: u32, len: u32) -> Option<Superblock> {
    let mut head = start;
    let mut next = start;
    while next < end {
        let state = State::from_word(Superblock(next).state().load(Relaxed));
        next = match state {
            Some(State::Large { len }) => next.saturating_add(len.max(1)),
            _ => next + 1,
        };
        if !state.is_some_and(State::is_free) {
            head = next;
        } else if next - head == len {
            if claim_at(context, Superblock(head), len) {
                return Some(Superblock(head));
            }
            head = next;
        }
    }
    None
}

/// Claims a run of superblocks that looked free, or none of them.
fn claim_at(context: &HeapContext, head: Superblock, len: u32) -> bool {
    let owner = WorkerContext::current().owner();
    if !claim::take_free(head, State::LargeClaiming { owner, len }) {
        return false;
    }
    for offset in 1..len {
        let part = Superblock(head.0 + offset);
        if !claim::take_free(part, State::PartClaiming { owner }) {
            claim::release(context, head, offset);
            return false;
        }
    }
    true
}

/// Frees what is left of a run whose maker or freer died, but for the head. Parts that were freed
/// already may be somebody else's by now, and then do not say that they are this run's.
pub(super) fn free_parts_of_dead(context: &HeapContext, head: Superblock, len: u32) {
    let end = claim::known(head.realm()).1;
    for offset in 1..len.min(end.saturating_sub(head.0)) {
        let part = Superblock(head.0 + offset);
        if part.state().load(SeqCst) == (State::Part { offset }).word() {
            claim::release(context, part, 1);
        }
    }
}
