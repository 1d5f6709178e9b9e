//! The shared heap as an allocator for collections.
#![allow(unsafe_code)] // implements an unsafe trait

use super::alloc::{allocate, deallocate, grow_in_place};
use allocator_api2::alloc::{AllocError, Allocator};
use std::alloc::Layout;
use std::ptr::NonNull;

/// The shared heap of this process's regions. It has no size, so that a collection in shared memory
/// holds nothing of the process that made it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SharedAlloc;

// SAFETY: blocks stay where they are until they are given back, whoever does it and through
// whatever copy of the type: all of them work on the one heap at its fixed address.
unsafe impl Allocator for SharedAlloc {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = allocate(layout).map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, pointer: NonNull<u8>, layout: Layout) {
        // SAFETY: the same promise.
        unsafe { deallocate(pointer, layout) }
    }

    unsafe fn grow(
        &self,
        pointer: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block is the caller's, with layout `old`.
        if new.align() == old.align() && unsafe { grow_in_place(pointer, old, new.size()) } {
            return Ok(NonNull::slice_from_raw_parts(pointer, new.size()));
        }
        let block = self.allocate(new)?;
        // SAFETY: the new block is at least as long as the old one and apart from it; the old one is
        // the caller's to give up.
        unsafe {
            std::ptr::copy_nonoverlapping(pointer.as_ptr(), block.cast().as_ptr(), old.size());
            self.deallocate(pointer, old);
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{Activity, HeapAccount};
    use super::super::testing::{Actor, ROOMY, test_name, with_regions};
    use super::*;

    #[test]
    fn a_collection_is_filled_by_one_worker_and_grown_by_another() {
        let name = test_name!("a_collection_is_filled_by_one_worker_and_grown_by_another");
        with_regions(name, ROOMY, || {
            let (mut one, mut other) = (Actor::start(0), Actor::start(1));
            let mut numbers = allocator_api2::vec::Vec::new_in(SharedAlloc);
            one.act(|| numbers.extend(0..1000_u64));
            other.act(|| numbers.extend(1000..100_000));
            assert!(numbers.iter().copied().eq(0..100_000));
            assert!(HeapAccount::take(Activity::Quiescent).used_bytes >= 800_000);
            one.act(|| drop(numbers));
            assert_eq!(HeapAccount::take(Activity::Quiescent).used_bytes, 0);
        });
    }
}
