//! A block of equal cells with room to spare, under vectors and deques.
//!
//! Owns the block, not the cells in it: how many there are and where is the container's business.
#![allow(unsafe_code)] // raw blocks

use super::block;
use super::shared::Visitor;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// All zero is a buffer without a block.
#[repr(C)]
pub(super) struct Buffer<C> {
    start: *mut C,
    capacity: u64,
}

impl<C> Buffer<C> {
    pub(super) const EMPTY: Self = Buffer {
        start: ptr::null_mut(),
        capacity: 0,
    };

    fn layout(capacity: usize) -> Result<Layout, HeapFull> {
        let size = size_of::<C>().checked_mul(capacity).ok_or(HeapFull)?;
        block::layout(size, align_of::<C>())
    }

    /// A buffer for `capacity` cells or more.
    pub(super) fn allocate(capacity: usize) -> Result<Self, HeapFull> {
        let layout = Self::layout(capacity)?;
        let start = block::allocate(layout)?;
        // SAFETY: just allocated with this layout.
        let bytes = super::alloc::usable_size(layout);
        Ok(Buffer {
            start: start.as_ptr().cast(),
            capacity: (bytes / size_of::<C>().max(1)) as u64,
        })
    }

    /// A larger buffer's capacity when `needed` cells must fit: grows by half, so that appending is
    /// amortised O(1) and a block that was grown out of can be used again.
    pub(super) fn amortised(&self, needed: usize) -> usize {
        needed.max(self.capacity() + self.capacity() / 2).max(4)
    }

    pub(super) fn start(&self) -> *mut C {
        self.start
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Whether the cells must be copied elsewhere before one is written (copy before write).
    #[inline]
    pub(super) fn is_frozen(&self) -> bool {
        NonNull::new(self.start.cast::<u8>()).is_some_and(block::is_frozen)
    }

    /// Gives the block back; the cells in it were moved or dropped before.
    pub(super) fn free(&mut self) {
        if let Some(start) = NonNull::new(self.start.cast::<u8>()) {
            let layout = Self::layout(self.capacity()).expect("was allocated with it");
            // SAFETY: `start` came from `allocate` and is forgotten below; the layout lies between
            // what was asked for and what is usable.
            unsafe { super::alloc::deallocate(start, layout) };
            *self = Self::EMPTY;
        }
    }

    /// Shows the block; false, and damage is reported, where the bytes make no sense.
    pub(super) fn visit(&self, used: usize, what: &str, visitor: &mut dyn Visitor) -> bool {
        let Some(start) = NonNull::new(self.start.cast::<u8>()) else {
            if used != 0 {
                visitor.damage(&format!("{what} has {used} elements and no block"));
            }
            return used == 0;
        };
        let layout = Self::layout(self.capacity());
        match layout {
            Ok(layout)
                if used <= self.capacity() && block::is_at(start.as_ptr() as usize, layout) =>
            {
                visitor.block(start, layout);
                true
            }
            _ => {
                visitor.damage(&format!(
                    "{what} has its block at {start:p}, {used} of {} elements",
                    self.capacity
                ));
                false
            }
        }
    }
}
