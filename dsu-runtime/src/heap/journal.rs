//! Lists in the worker context that every copy of the runtime in a process can grow.
//!
//! Owns raw vectors and an index over them, both in memory from libc's `malloc`: copies of the
//! runtime may have Rust allocators of their own, but share one libc. All zero is empty. Knows
//! nothing of what a listed block means; see `transaction`.
#![allow(unsafe_code)] // raw vectors

use super::objects::ObjectId;
use super::rc::{Change, NodePtr};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

/// A block in a list.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    address: usize,
    size: usize,
    align: usize,
}

impl Entry {
    pub(super) fn new(block: NonNull<u8>, layout: Layout) -> Entry {
        Entry {
            address: block.as_ptr() as usize,
            size: layout.size(),
            align: layout.align(),
        }
    }

    /// Where it is.
    pub(super) fn address(self) -> usize {
        self.address
    }

    /// An object's slot in place of a block. The address is that of the slot, where no block is, and
    /// no block has alignment 0.
    pub(super) fn object(id: ObjectId) -> Entry {
        Entry {
            address: id.slot_address(),
            size: id.generation as usize,
            align: 0,
        }
    }

    /// The object, if it is one.
    pub(super) fn to_object(self) -> Option<ObjectId> {
        (self.align == 0).then(|| ObjectId::at(self.address, self.size as u32))
    }

    /// A change to the counts of a shared node in place of a block: no layout has this alignment.
    pub(super) fn counted(node: NodePtr, change: Change) -> Entry {
        Entry {
            address: node.address(),
            size: change as usize,
            align: usize::MAX,
        }
    }

    /// The node and the change, if it is one.
    pub(super) fn to_counted(self) -> Option<(NodePtr, Change)> {
        let is_one = self.align == usize::MAX;
        is_one.then_some((NodePtr::at(self.address)?, Change::numbered(self.size)?))
    }

    /// The block, if it is one.
    pub(super) fn block(self) -> Option<(NonNull<u8>, Layout)> {
        let pointer = NonNull::new(self.address as *mut u8)?;
        Some((
            pointer,
            Layout::from_size_align(self.size, self.align).ok()?,
        ))
    }
}

/// A vector of plain values.
#[repr(C)]
pub(super) struct RawList<T: Copy> {
    data: Cell<*mut T>,
    len: Cell<usize>,
    capacity: Cell<usize>,
}

impl<T: Copy> RawList<T> {
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    pub(super) fn get(&self, at: usize) -> T {
        assert!(at < self.len());
        // SAFETY: elements below `len` were written; all writes go through `&self` on one thread.
        unsafe { *self.data.get().add(at) }
    }

    pub(super) fn set(&self, at: usize, value: T) {
        assert!(at < self.len());
        // SAFETY: as for `get`; nobody holds references into the list.
        unsafe { *self.data.get().add(at) = value };
    }

    pub(super) fn push(&self, value: T) -> Result<(), HeapFull> {
        if self.len() == self.capacity.get() {
            self.resize_buffer((self.capacity.get() * 2).max(32))?;
        }
        self.len.set(self.len() + 1);
        self.set(self.len() - 1, value);
        Ok(())
    }

    /// Every element.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.len()).map(|at| self.get(at))
    }

    pub(super) fn pop(&self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        let value = self.get(last);
        self.len.set(last);
        Some(value)
    }

    pub(super) fn truncate(&self, len: usize) {
        self.len.set(self.len().min(len));
        const KEPT: usize = 4096;
        if len == 0 && self.capacity.get() > KEPT {
            // SAFETY: the buffer came from `realloc`, and nothing of it is in use.
            unsafe { libc::free(self.data.replace(std::ptr::null_mut()).cast()) };
            self.capacity.set(0);
        }
    }

    /// Makes the list `len` long, all of it `value`.
    pub(super) fn fill(&self, len: usize, value: T) -> Result<(), HeapFull> {
        if len > self.capacity.get() {
            self.resize_buffer(len)?;
        }
        self.len.set(len);
        (0..len).for_each(|at| self.set(at, value));
        Ok(())
    }

    fn resize_buffer(&self, capacity: usize) -> Result<(), HeapFull> {
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(HeapFull)?;
        // SAFETY: the buffer is null or came from here; on failure it is still the old one.
        let data = unsafe { libc::realloc(self.data.get().cast(), bytes) };
        if data.is_null() {
            return Err(HeapFull);
        }
        self.data.set(data.cast());
        self.capacity.set(capacity);
        Ok(())
    }
}

/// The list of fresh blocks, with an index by address once it is long.
#[repr(C)]
pub(super) struct FreshList {
    entries: RawList<Entry>,
    /// Open addressing: 0 is empty, `DELETED` was used, else position + 1. Empty while short.
    index: RawList<u32>,
    /// Slots of the index that are not 0.
    index_used: Cell<usize>,
}

const SHORT: usize = 16;
const DELETED: u32 = u32::MAX;

impl FreshList {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends a block.
    pub(super) fn push(&self, entry: Entry) -> Result<(), HeapFull> {
        self.entries.push(entry)?;
        if self.len() <= SHORT && self.index.len() == 0 {
            return Ok(());
        }
        let added = if (self.index_used.get() + 1) * 4 > self.index.len() * 3 {
            self.rebuild()
        } else {
            self.insert(entry.address, self.len() - 1);
            Ok(())
        };
        if added.is_err() {
            self.entries.pop();
        }
        added
    }

    /// Where the block at `address` is.
    pub(super) fn position(&self, address: usize) -> Option<usize> {
        if self.index.len() == 0 {
            return (0..self.len())
                .rev()
                .find(|at| self.entries.get(*at).address == address);
        }
        self.slot_of(address)
            .map(|slot| self.index.get(slot) as usize - 1)
    }

    /// Takes the entry at `at` out; the last one takes its place.
    pub(super) fn swap_remove(&self, at: usize) {
        let last = self.len() - 1;
        if self.index.len() != 0 {
            if let Some(slot) = self.slot_of(self.entries.get(at).address) {
                self.index.set(slot, DELETED);
            }
            if let Some(slot) = self.slot_of(self.entries.get(last).address)
                && at != last
            {
                self.index.set(slot, at as u32 + 1);
            }
        }
        self.entries.set(at, self.entries.get(last));
        self.entries.pop();
    }

    /// The entry at `at`.
    pub(super) fn get(&self, at: usize) -> Entry {
        self.entries.get(at)
    }

    /// Takes the last entry out.
    pub(super) fn pop(&self) -> Option<Entry> {
        let last = self.entries.get(self.len().checked_sub(1)?);
        self.swap_remove(self.len() - 1);
        Some(last)
    }

    /// Every entry.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        (0..self.len()).map(|at| self.entries.get(at))
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.entries.truncate(0);
        self.index.truncate(0);
        self.index_used.set(0);
    }

    /// The index slot that names the block at `address`.
    fn slot_of(&self, address: usize) -> Option<usize> {
        let mask = self.index.len() - 1;
        let mut slot = hash(address) & mask;
        loop {
            match self.index.get(slot) {
                0 => return None,
                DELETED => {}
                at if self.entries.get(at as usize - 1).address == address => return Some(slot),
                _ => {}
            }
            slot = (slot + 1) & mask;
        }
    }

    fn insert(&self, address: usize, at: usize) {
        let mask = self.index.len() - 1;
        let mut slot = hash(address) & mask;
        while self.index.get(slot) != 0 {
            slot = (slot + 1) & mask;
        }
        self.index.set(slot, at as u32 + 1);
        self.index_used.set(self.index_used.get() + 1);
    }

    /// Builds the index anew, at most half full, without deleted slots.
    fn rebuild(&self) -> Result<(), HeapFull> {
        self.index
            .fill((self.len() * 2).next_power_of_two().max(64), 0)?;
        self.index_used.set(0);
        (0..self.len()).for_each(|at| self.insert(self.entries.get(at).address, at));
        Ok(())
    }
}

fn hash(address: usize) -> usize {
    (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// What a worker remembers of its open conversions. The marks say where the innermost one begins.
#[repr(C)]
pub(super) struct Journal {
    pub(super) fresh: FreshList,
    pub(super) deferred: RawList<Entry>,
    pub(super) scratch: RawList<Entry>,
    pub(super) fresh_mark: Cell<usize>,
    pub(super) deferred_mark: Cell<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: usize) -> Entry {
        Entry {
            address: (number + 1) * 16,
            size: 16,
            align: 8,
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_what_is_listed(steps in prop::collection::vec((0u8..8, 0usize..300), 0..600)) {
            // SAFETY: all zero is an empty list; that is its contract.
            let list: FreshList = unsafe { std::mem::zeroed() };
            let mut model: Vec<usize> = Vec::new();
            for (what, number) in steps {
                let listed = model.iter().position(|n| *n == number);
                prop_assert_eq!(list.position(entry(number).address), listed);
                match (what, listed) {
                    (0, Some(at)) => {
                        list.swap_remove(at);
                        model.swap_remove(at);
                    }
                    (1, _) => {
                        let popped = model.pop().map(entry);
                        prop_assert_eq!(list.pop(), popped);
                    }
                    (_, None) => {
                        list.push(entry(number)).unwrap();
                        model.push(number);
                    }
                    _ => {}
                }
                prop_assert_eq!(list.len(), model.len());
            }
            list.clear();
            prop_assert_eq!(list.pop(), None);
        }
    }
}
