//! One block of an ordered map: a node of its tree.
//!
//! ```text
//! 0 entries u16 | 2 capacity u16 | 4 height u16 | 6 unused u16 | keys | elements
//! and where the height is not 0:      children, capacity + 1 × u64 | entries below each, as many × u64
//! ```
//! Keys lie side by side, so that a search touches no elements; how many entries are below each child
//! stands beside its address, so that a rank is found without looking at the children. Owns its bytes;
//! which entries belong into it is the tree's.
#![allow(unsafe_code)] // entries in raw blocks

use super::super::{alloc, block};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Bytes of a node without children: what one insertion may have to move on each level. Larger ones
/// make a lower tree and longer moves; `benches/map.rs` shows both.
const NODE_BYTES: usize = 1024;
/// Entries of a node at the least, however large they are: with fewer it could not be divided and
/// still have a third.
const LEAST: usize = 6;
/// Entries of a node at the most, however small they are.
const MOST: usize = 1024;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) len: u16,
    pub(super) capacity: u16,
    pub(super) height: u16,
    pub(super) _unused: u16,
}

/// A pointer to a node. Whoever has it holds the map.
pub(super) struct Node<K, C> {
    block: NonNull<u8>,
    entries: PhantomData<*mut (K, C)>,
}

impl<K, C> Clone for Node<K, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, C> Copy for Node<K, C> {}

// Each `unsafe` below relies on one invariant, upheld by the tree that owns the node: a `Node` points
// to a live block that `allocate` laid out, its head is right, and its first `len` keys and elements,
// and `len + 1` children where it has some, are initialised. An index is within them.
impl<K, C> Node<K, C> {
    /// Entries of a node that is not the only one.
    pub(super) const CAPACITY: usize = {
        let fitting = Self::fitting(NODE_BYTES);
        if fitting < LEAST { LEAST } else { fitting }
    };
    /// A node with fewer entries takes some from a neighbour, or becomes one with it.
    pub(super) const FEW: usize = Self::CAPACITY / 3;
    /// Neighbours become one if it has no more entries than this: so that it is not divided again at
    /// once, and that what they have together is enough for two otherwise.
    pub(super) const MERGED: usize = Self::CAPACITY * 3 / 4;

    const KEYS: usize = size_of::<Head>().next_multiple_of(align_of::<K>());
    const CHILDREN: usize = Self::leaf_bytes(Self::CAPACITY).next_multiple_of(8);
    const COUNTS: usize = Self::CHILDREN + 8 * (Self::CAPACITY + 1);

    const fn cells_offset(capacity: usize) -> usize {
        (Self::KEYS + capacity * size_of::<K>()).next_multiple_of(align_of::<C>())
    }

    const fn leaf_bytes(capacity: usize) -> usize {
        Self::cells_offset(capacity) + capacity * size_of::<C>()
    }

    /// Entries that a node of so many bytes has room for.
    const fn fitting(bytes: usize) -> usize {
        let entry = size_of::<K>() + size_of::<C>();
        let mut capacity = match bytes.checked_div(entry) {
            Some(fitting) if fitting < MOST => fitting,
            _ => MOST,
        };
        while capacity > 0 && Self::leaf_bytes(capacity) > bytes {
            capacity -= 1;
        }
        capacity
    }

    /// The capacity of the only node of a map of `len` entries: its blocks double.
    pub(super) fn capacity_for(len: usize) -> usize {
        let mut bytes = 64;
        while bytes < NODE_BYTES {
            let capacity = Self::fitting(bytes);
            if capacity >= len.max(1) {
                return capacity.min(Self::CAPACITY);
            }
            bytes *= 2;
        }
        Self::CAPACITY
    }

    /// The layout of a node with such a head; `None` if there is none.
    pub(super) fn layout_of(capacity: usize, height: usize) -> Option<Layout> {
        let bytes = match height {
            0 if (1..=Self::CAPACITY).contains(&capacity) => Self::leaf_bytes(capacity),
            1.. if capacity == Self::CAPACITY => Self::COUNTS + 8 * (Self::CAPACITY + 1),
            _ => return None,
        };
        let align = align_of::<K>().max(align_of::<C>()).max(8);
        block::layout(bytes, align).ok()
    }

    /// A node without entries.
    pub(super) fn allocate(capacity: usize, height: usize) -> Result<Self, HeapFull> {
        let layout = Self::layout_of(capacity, height).ok_or(HeapFull)?;
        let node = Node::at(block::allocate(layout)?);
        node.set_head(Head {
            len: 0,
            capacity: capacity as u16,
            height: height as u16,
            _unused: 0,
        });
        Ok(node)
    }

    #[inline]
    pub(super) fn at(block: NonNull<u8>) -> Self {
        Node {
            block,
            entries: PhantomData,
        }
    }

    pub(super) fn block(self) -> NonNull<u8> {
        self.block
    }

    pub(super) fn address(self) -> u64 {
        self.block.as_ptr() as u64
    }

    #[inline]
    pub(super) fn head(self) -> Head {
        // SAFETY: see above.
        unsafe { self.block.cast::<Head>().read() }
    }

    fn set_head(self, head: Head) {
        // SAFETY: see above.
        unsafe { self.block.cast::<Head>().write(head) };
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        self.head().len as usize
    }

    fn set_len(self, len: usize) {
        self.set_head(Head {
            len: len as u16,
            ..self.head()
        });
    }

    pub(super) fn is_full(self) -> bool {
        self.head().len == self.head().capacity
    }

    fn has_children(self) -> bool {
        self.head().height != 0
    }

    fn layout(self) -> Layout {
        let head = self.head();
        Self::layout_of(head.capacity.into(), head.height.into()).expect("was allocated with it")
    }

    #[inline]
    pub(super) fn key(self, index: usize) -> NonNull<K> {
        // SAFETY: see above.
        unsafe { self.block.add(Self::KEYS).cast::<K>().add(index) }
    }

    #[inline]
    pub(super) fn cell(self, index: usize) -> NonNull<C> {
        let offset = Self::cells_offset(self.head().capacity as usize);
        // SAFETY: see above.
        unsafe { self.block.add(offset).cast::<C>().add(index) }
    }

    fn children(self) -> NonNull<u64> {
        // SAFETY: see above.
        unsafe { self.block.add(Self::CHILDREN).cast() }
    }

    fn counts(self) -> NonNull<u64> {
        // SAFETY: see above.
        unsafe { self.block.add(Self::COUNTS).cast() }
    }

    /// The address of a child, whatever it is.
    pub(super) fn child_address(self, index: usize) -> u64 {
        // SAFETY: see above.
        unsafe { self.children().add(index).read() }
    }

    #[inline]
    pub(super) fn child(self, index: usize) -> Self {
        let address = NonNull::new(self.child_address(index) as *mut u8);
        Node::at(address.expect("an inner node has children"))
    }

    /// Entries below a child.
    #[inline]
    pub(super) fn count(self, index: usize) -> u64 {
        // SAFETY: see above.
        unsafe { self.counts().add(index).read() }
    }

    pub(super) fn set_count(self, index: usize, count: u64) {
        // SAFETY: see above.
        unsafe { self.counts().add(index).write(count) };
    }

    pub(super) fn set_child(self, index: usize, child: Self) {
        // SAFETY: see above.
        unsafe { self.children().add(index).write(child.address()) };
    }

    /// Entries in front of a child.
    pub(super) fn before(self, index: usize) -> u64 {
        (0..index).fold(index as u64, |sum, child| {
            sum.wrapping_add(self.count(child))
        })
    }

    /// Entries in this node and below.
    pub(super) fn total(self) -> u64 {
        match self.has_children() {
            false => self.len() as u64,
            true => self.before(self.len()).wrapping_add(self.count(self.len())),
        }
    }

    /// Where a key is, or where it would be.
    #[inline]
    pub(super) fn search<Q>(self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = (from + to) / 2;
            // SAFETY: see above.
            match unsafe { self.key(middle).as_ref() }.borrow().cmp(key) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    /// Moves an entry out of its place, which somebody else must fill or close.
    pub(super) fn read(self, index: usize) -> (K, C) {
        // SAFETY: see above; the bits that stay are not used again.
        unsafe { (self.key(index).read(), self.cell(index).read()) }
    }

    /// Moves an entry into a place that holds none.
    pub(super) fn write(self, index: usize, (key, cell): (K, C)) {
        // SAFETY: see above; the place is within the capacity.
        unsafe {
            self.key(index).write(key);
            self.cell(index).write(cell);
        }
    }

    /// Puts an entry in front of the one at `index`. The node has room.
    pub(super) fn insert(self, index: usize, entry: (K, C)) {
        let len = self.len();
        self.shift(index, index + 1, len - index);
        self.write(index, entry);
        self.set_len(len + 1);
    }

    /// The same, with the child that comes behind the entry.
    pub(super) fn insert_with_child(self, index: usize, entry: (K, C), child: Self) {
        let len = self.len();
        self.shift_children(index + 1, index + 2, len - index);
        self.set_child(index + 1, child);
        self.set_count(index + 1, child.total());
        self.insert(index, entry);
    }

    /// Makes a new node one of a single child.
    pub(super) fn begin(self, child: Self) {
        self.set_child(0, child);
        self.set_count(0, child.total());
    }

    /// Takes an entry out.
    pub(super) fn remove(self, index: usize) -> (K, C) {
        let entry = self.read(index);
        let len = self.len() - 1;
        self.shift(index + 1, index, len - index);
        self.set_len(len);
        entry
    }

    /// Takes an entry out, and a child beside it.
    pub(super) fn remove_with_child(self, index: usize, child: usize) -> (K, C) {
        self.shift_children(child + 1, child, self.len() - child);
        self.remove(index)
    }

    /// Moves what lies behind the entry in the middle to a new node; returns that entry.
    pub(super) fn divide(self, behind: Self, middle: usize) -> (K, C) {
        let moved = self.len() - middle - 1;
        self.carry(middle + 1, behind, 0, moved);
        if self.has_children() {
            self.carry_children(middle + 1, behind, 0, moved + 1);
        }
        behind.set_len(moved);
        self.set_len(middle);
        self.read(middle)
    }

    /// Takes in an entry and all of a neighbour, behind or in front of what is there. They fit.
    pub(super) fn absorb(self, between: (K, C), other: Self, side: Side) {
        let (len, more) = (self.len(), other.len());
        let (first, second) = match side {
            Side::Behind => (len, len + 1),
            Side::InFront => {
                self.shift(0, more + 1, len);
                if self.has_children() {
                    self.shift_children(0, more + 1, len + 1);
                }
                (more, 0)
            }
        };
        self.write(first, between);
        other.carry(0, self, second, more);
        if self.has_children() {
            other.carry_children(0, self, second, more + 1);
        }
        self.set_len(len + 1 + more);
    }

    /// Takes `few` entries from a neighbour, by way of the entry between the two: takes in that one,
    /// and returns the one that comes between them now.
    pub(super) fn borrow_from(
        self,
        between: (K, C),
        other: Self,
        side: Side,
        few: usize,
    ) -> (K, C) {
        let (len, left) = (self.len(), other.len() - few);
        let next = match side {
            Side::Behind => {
                self.write(len, between);
                other.carry(0, self, len + 1, few - 1);
                let next = other.read(few - 1);
                other.shift(few, 0, left);
                if self.has_children() {
                    other.carry_children(0, self, len + 1, few);
                    other.shift_children(few, 0, left + 1);
                }
                next
            }
            Side::InFront => {
                self.shift(0, few, len);
                self.write(few - 1, between);
                other.carry(left + 1, self, 0, few - 1);
                if self.has_children() {
                    self.shift_children(0, few, len + 1);
                    other.carry_children(left + 1, self, 0, few);
                }
                other.read(left)
            }
        };
        other.set_len(left);
        self.set_len(len + few);
        next
    }

    /// The same entries in a node of another capacity, without children.
    pub(super) fn resized(self, capacity: usize) -> Result<Self, HeapFull> {
        let other = Self::allocate(capacity, 0)?;
        self.carry(0, other, 0, self.len());
        other.set_len(self.len());
        Ok(other)
    }

    fn shift(self, from: usize, to: usize, count: usize) {
        // SAFETY: see above; both ranges are within the capacity.
        unsafe {
            ptr::copy(self.key(from).as_ptr(), self.key(to).as_ptr(), count);
            ptr::copy(self.cell(from).as_ptr(), self.cell(to).as_ptr(), count);
        }
    }

    fn shift_children(self, from: usize, to: usize, count: usize) {
        for words in [self.children(), self.counts()] {
            // SAFETY: see above; both ranges are within the capacity and one more.
            unsafe { words.add(from).copy_to(words.add(to), count) };
        }
    }

    fn carry(self, from: usize, target: Self, to: usize, count: usize) {
        // SAFETY: see above, of two nodes.
        unsafe {
            (self.key(from)).copy_to_nonoverlapping(target.key(to), count);
            (self.cell(from)).copy_to_nonoverlapping(target.cell(to), count);
        }
    }

    fn carry_children(self, from: usize, target: Self, to: usize, count: usize) {
        let words = [
            (self.children(), target.children()),
            (self.counts(), target.counts()),
        ];
        for (own, others) in words {
            // SAFETY: see above, of two nodes.
            unsafe {
                own.add(from).copy_to_nonoverlapping(others.add(to), count);
            }
        }
    }

    /// A bitwise copy in a new block.
    pub(super) fn copy(self) -> Result<Self, HeapFull> {
        let layout = self.layout();
        // SAFETY: see above. Places that hold no entry are copied as they are, and never read.
        unsafe { block::copy(self.block, layout, layout.size()) }.map(Self::at)
    }

    /// Gives the block back. Writes nothing to it.
    ///
    /// # Safety
    /// The entries were moved or dropped, and nothing points here any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: by the caller.
        unsafe { alloc::deallocate(self.block, self.layout()) };
    }
}

/// Where a neighbour lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Behind,
    InFront,
}
