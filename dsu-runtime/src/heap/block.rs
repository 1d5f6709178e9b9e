//! One block of the shared heap, as containers ask for it.
//!
//! Owns the rule *copy before write*: while a conversion is open, a block that is older than it keeps
//! its bytes, so that an aborted transformer leaves the old value intact. Each container asks
//! [`is_frozen`] before it writes into a block. Knows nothing of what blocks hold.
#![allow(unsafe_code)] // raw blocks

use super::{alloc, transaction};
use crate::abi::{HEAP_ADDR, HEAP_SIZE, ROOTS_ADDR, WorkerContext};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Boxes keep flags in the low bits of a pointer.
pub(super) const MIN_ALIGN: usize = 16;

/// The layout of `size` bytes for a type aligned to `align`; never empty, aligned to 16 at least.
pub(super) const fn layout(size: usize, align: usize) -> Result<Layout, HeapFull> {
    let size = if size == 0 { 1 } else { size };
    let align = if align < MIN_ALIGN { MIN_ALIGN } else { align };
    match Layout::from_size_align(size, align) {
        Ok(layout) => Ok(layout),
        Err(_) => Err(HeapFull),
    }
}

/// A block of `layout`.
///
/// # Errors
/// `HeapFull`.
pub(super) fn allocate(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    #[cfg(test)]
    super::testing::allocation_point()?;
    alloc::allocate(layout)
}

/// A block of `layout` in the region of `sibling`: a root's new tuple lies in roots again.
///
/// # Errors
/// `HeapFull`.
pub(super) fn allocate_beside(
    sibling: NonNull<u8>,
    layout: Layout,
) -> Result<NonNull<u8>, HeapFull> {
    #[cfg(test)]
    super::testing::allocation_point()?;
    if (sibling.as_ptr() as usize) < HEAP_ADDR {
        alloc::allocate_root(layout)
    } else {
        alloc::allocate(layout)
    }
}

/// A copy of the `used` first bytes of a block, in a new block of the same layout.
///
/// # Safety
/// `block` has the layout and `used` bytes of it are initialised.
pub(super) unsafe fn copy(
    block: NonNull<u8>,
    layout: Layout,
    used: usize,
) -> Result<NonNull<u8>, HeapFull> {
    let fresh = allocate(layout)?;
    // SAFETY: by the caller; a new block overlaps no live one.
    unsafe { fresh.copy_from_nonoverlapping(block, used) };
    Ok(fresh)
}

/// Whether `block` must be copied before it is written to: a conversion is open and the block is
/// older than it.
#[inline]
pub(super) fn is_frozen(block: NonNull<u8>) -> bool {
    WorkerContext::current().converting.get() != 0 && !transaction::is_fresh(block)
}

/// Whether `address` can be a block of `layout`: aligned, and all of it in roots or heap.
pub(super) fn is_at(address: usize, layout: Layout) -> bool {
    address.is_multiple_of(layout.align()) && is_inside(address, layout.size())
}

/// Whether `address` can be a block of `size` bytes or more.
pub(super) fn is_head_at(address: usize, size: usize) -> bool {
    address.is_multiple_of(MIN_ALIGN) && is_inside(address, size)
}

fn is_inside(address: usize, size: usize) -> bool {
    address >= ROOTS_ADDR
        && size <= HEAP_ADDR + HEAP_SIZE - ROOTS_ADDR
        && address <= HEAP_ADDR + HEAP_SIZE - size
}
