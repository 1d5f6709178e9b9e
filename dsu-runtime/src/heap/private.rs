//! Blocks of converted copies (R20): memory of this process alone, so that reading what is in another
//! version's form takes nothing from the shared heap, not even when that is full.
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
/// `HeapFull` if the process has no memory.
pub(super) fn allocate(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    let mut block = ptr::null_mut();
    let align = layout.align().max(size_of::<usize>());
    // SAFETY: the alignment is a power of two and a multiple of a pointer's size; `block` is ours.
    let status = unsafe { libc::posix_memalign(&raw mut block, align, usable_size(layout)) };
    match NonNull::new(block.cast()) {
        Some(block) if status == 0 => Ok(block),
        _ => Err(HeapFull),
    }
}

/// Frees a block that a conversion of this worker noted as fresh: a private or a shared one.
pub(super) fn free_fresh(block: NonNull<u8>, layout: Layout) {
    if Superblock::containing(block.as_ptr() as usize).is_none() {
        // SAFETY: only blocks that `allocate_in` returned are noted as fresh, each is freed once, and
        // one outside of the regions came from `allocate` above.
        unsafe { libc::free(block.as_ptr().cast()) };
    } else {
        let owner = WorkerContext::current().owner();
        free_now(HeapContext::current(), owner, block, layout);
    }
}
