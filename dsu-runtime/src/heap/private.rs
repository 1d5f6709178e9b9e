//! Blocks of converted copies (R20): memory of this process alone, so that reading what is in another
//! version's form takes nothing from the shared heap, not even when that is full. Twice as much of it as
//! the heap is large, so that a lens that takes more and more finds an end.
//!
//! Such a block never reaches the shared heap: it is noted as fresh, and a read-only conversion ends by
//! forgetting or freeing all that is fresh. From the C library, which all copies of the runtime in a
//! process share, so that either may free what the other allocated.
#![allow(unsafe_code)] // the C library's allocator

use super::alloc::{free_now, usable_size};
use super::context::HeapContext;
use super::superblock::Superblock;
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// A private block, as large as a shared one of this layout would be.
///
/// # Errors
/// `HeapFull` if the process has no memory, or copies take twice as much as the heap is large.
pub(super) fn allocate(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    let context = HeapContext::current();
    let bytes = context.private_bytes.get() + usable_size(layout);
    if bytes / 2 > context.heap_bytes.get() {
        return Err(HeapFull);
    }
    let mut block = ptr::null_mut();
    let align = layout.align().max(size_of::<usize>());
    // SAFETY: the alignment is a power of two and a multiple of a pointer's size; `block` is ours.
    let status = unsafe { libc::posix_memalign(&raw mut block, align, usable_size(layout)) };
    match NonNull::new(block.cast()) {
        Some(block) if status == 0 => {
            context.private_bytes.set(bytes);
            Ok(block)
        }
        _ => Err(HeapFull),
    }
}

/// Frees a block that a conversion of this worker noted as fresh: a private or a shared one.
pub(super) fn free_fresh(block: NonNull<u8>, layout: Layout) {
    let context = HeapContext::current();
    if Superblock::containing(block.as_ptr() as usize).is_none() {
        let left = context
            .private_bytes
            .get()
            .saturating_sub(usable_size(layout));
        context.private_bytes.set(left);
        // SAFETY: only blocks that `allocate_in` returned are noted as fresh, each is freed once, and
        // one outside of the regions came from `allocate` above.
        unsafe { libc::free(block.as_ptr().cast()) };
    } else {
        let owner = WorkerContext::current().owner();
        free_now(context, owner, block, layout);
    }
}
