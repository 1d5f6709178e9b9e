//! A double-ended queue in shared memory: a ring of cells.
//!
//! Owns its cells. Knows nothing of versions.
#![allow(unsafe_code)] // cells in raw blocks

use super::buffer::Buffer;
use super::row::{self, Row};
use super::shared::{Cell, Inline, Shared, Visitor, is_of_no_use};
use super::versioned::Versioned;
use crate::abi::{TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr;

/// A queue with two ends. Empty without a block; what [`SharedVec`](super::SharedVec) says of a full
/// heap holds here.
#[repr(C)]
pub struct SharedDeque<T: Shared> {
    buffer: Buffer<T::Cell>,
    /// Where in the ring the front is.
    head: u64,
    len: u64,
}

impl<T: Shared> SharedDeque<T> {
    /// An empty queue.
    pub const fn new() -> Self {
        SharedDeque {
            buffer: Buffer::EMPTY,
            head: 0,
            len: 0,
        }
    }

    /// Number of elements, foreign ones included (R11).
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The cell `index` places behind the front.
    pub fn get_cell(&self, index: usize) -> Option<&T::Cell> {
        // SAFETY: an initialised cell, borrowed as `self` is.
        (index < self.len()).then(|| unsafe { &*self.place(index) })
    }

    /// The cell `index` places behind the front, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn get_cell_mut(&mut self, index: usize) -> Result<Option<&mut T::Cell>, HeapFull> {
        self.make_room(0)?;
        // SAFETY: an initialised cell in a block that may be written, borrowed as `self` is.
        Ok((index < self.len()).then(|| unsafe { &mut *self.place(index) }))
    }

    /// The element `index` places behind the front, to read.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn get(&self, index: usize) -> Result<Option<&T>, AccessError> {
        let cell = self.get_cell(index);
        cell.map(|cell| row::read(self, index, cell)).transpose()
    }

    /// The element `index` places behind the front, to edit.
    ///
    /// # Errors
    /// See [`AccessError`]; the element is untouched then.
    pub fn get_mut(&mut self, index: usize) -> Result<Option<&mut T>, AccessError> {
        let this = ptr::from_ref(self);
        let cell = self.get_cell_mut(index)?;
        cell.map(|cell| row::edit(this, index, cell)).transpose()
    }

    /// The elements from front to back, foreign ones as errors.
    pub fn iter(&self) -> impl Iterator<Item = Result<&T, AccessError>> {
        (0..self.len()).filter_map(|index| Some(row::read(self, index, self.get_cell(index)?)))
    }

    /// Room for `additional` more elements.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), HeapFull> {
        self.make_room(additional)
    }

    /// Puts a value behind the last.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn push_back(&mut self, value: T) -> Result<(), HeapFull> {
        let cell = T::Cell::new(value)?;
        self.push_back_cell(cell).map_err(|_| HeapFull)
    }

    /// Puts a value before the first.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn push_front(&mut self, value: T) -> Result<(), HeapFull> {
        let cell = T::Cell::new(value)?;
        self.push_front_cell(cell).map_err(|_| HeapFull)
    }

    /// Puts a cell, its complement with it (R6), behind the last.
    ///
    /// # Errors
    /// The cell comes back when the heap is full.
    pub fn push_back_cell(&mut self, cell: T::Cell) -> Result<(), T::Cell> {
        if self.make_room(1).is_err() {
            return Err(cell);
        }
        // SAFETY: `make_room` left a free cell there, in a block that may be written.
        unsafe { self.place(self.len()).write(cell) };
        self.len += 1;
        Ok(())
    }

    /// Puts a cell, its complement with it (R6), before the first.
    ///
    /// # Errors
    /// The cell comes back when the heap is full.
    pub fn push_front_cell(&mut self, cell: T::Cell) -> Result<(), T::Cell> {
        if self.make_room(1).is_err() {
            return Err(cell);
        }
        let capacity = self.buffer.capacity() as u64;
        self.head = if self.head == 0 { capacity } else { self.head } - 1;
        // SAFETY: as in `push_back_cell`; the place before the front is free.
        unsafe { self.place(0).write(cell) };
        self.len += 1;
        Ok(())
    }

    /// Takes the first element.
    ///
    /// # Errors
    /// See [`AccessError`]; the element stays.
    pub fn pop_front(&mut self) -> Result<Option<T>, AccessError> {
        // Converted in place first: a value that cannot be had is not lost.
        self.get_mut(0)?;
        self.pop_front_cell().map(Cell::into_value).transpose()
    }

    /// Takes the last element.
    ///
    /// # Errors
    /// See [`AccessError`]; the element stays.
    pub fn pop_back(&mut self) -> Result<Option<T>, AccessError> {
        self.get_mut(self.len().saturating_sub(1))?;
        self.pop_back_cell().map(Cell::into_value).transpose()
    }

    /// Takes the first cell, foreign or not.
    pub fn pop_front_cell(&mut self) -> Option<T::Cell> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: the first initialised cell; it is outside the range from here on.
        let cell = unsafe { self.place(0).read() };
        self.head = (self.head + 1) % self.buffer.capacity() as u64;
        self.len -= 1;
        Some(cell)
    }

    /// Takes the last cell, foreign or not.
    pub fn pop_back_cell(&mut self) -> Option<T::Cell> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the last initialised cell; it is outside the range from here on.
        Some(unsafe { self.place(self.len()).read() })
    }

    /// Puts a cell, its complement with it (R6), before the one at `index`, which is at most the length.
    /// Moves the cells between there and the nearer end.
    ///
    /// # Errors
    /// The cell comes back when the heap is full.
    ///
    /// # Panics
    /// If `index` is beyond the length.
    pub fn insert_cell(&mut self, index: usize, cell: T::Cell) -> Result<(), T::Cell> {
        assert!(index <= self.len(), "no place {index} in a queue");
        if self.make_room(1).is_err() {
            return Err(cell);
        }
        if index < self.len() / 2 {
            let capacity = self.buffer.capacity() as u64;
            self.head = if self.head == 0 { capacity } else { self.head } - 1;
            for at in 0..index {
                self.move_cell(at + 1, at);
            }
        } else {
            for at in (index..self.len()).rev() {
                self.move_cell(at, at + 1);
            }
        }
        self.len += 1;
        // SAFETY: the cells at and behind the place have moved on: it is free.
        unsafe { self.place(index).write(cell) };
        Ok(())
    }

    /// Drops the cells at these places, foreign ones included, and closes the gap from the nearer end.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer, and then nothing has changed.
    ///
    /// # Panics
    /// If the range ends beyond the length, or before it begins.
    pub fn remove_cells(&mut self, range: Range<usize>) -> Result<(), HeapFull> {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "no places {range:?} in a queue"
        );
        self.make_room(0)?;
        let (removed, behind) = (range.len(), self.len() - range.end);
        // They are passed on to the nearer end, and taken off there.
        if range.start < behind {
            for at in (0..range.start).rev() {
                self.swap_cells(at, at + removed);
            }
            for _ in 0..removed {
                self.pop_front_cell();
            }
        } else {
            for at in range.end..self.len() {
                self.swap_cells(at, at - removed);
            }
            for _ in 0..removed {
                self.pop_back_cell();
            }
        }
        Ok(())
    }

    fn swap_cells(&mut self, one: usize, other: usize) {
        // SAFETY: two initialised cells of this ring, in a block that may be written.
        unsafe { ptr::swap(self.place(one), self.place(other)) };
    }

    /// Moves a cell to a free place, which leaves a free one.
    fn move_cell(&mut self, from: usize, to: usize) {
        // SAFETY: both are places of this ring, in a block that may be written; what lies at `to` was
        // moved before, or is the free one.
        unsafe { ptr::copy_nonoverlapping(self.place(from), self.place(to), 1) };
    }

    /// Drops all elements and gives the block back.
    pub fn clear(&mut self) {
        while self.pop_back_cell().is_some() {}
        self.buffer.free();
        self.head = 0;
    }

    /// Where the cell `index` places behind the front is, or would be.
    fn place(&self, index: usize) -> *mut T::Cell {
        let capacity = self.buffer.capacity();
        let position = self.head as usize + index;
        let wrapped = if position >= capacity {
            position - capacity
        } else {
            position
        };
        self.buffer.start().wrapping_add(wrapped)
    }

    /// Room for `additional` cells in a block that may be written.
    #[inline]
    fn make_room(&mut self, additional: usize) -> Result<(), HeapFull> {
        let needed = self.len().checked_add(additional).ok_or(HeapFull)?;
        if needed <= self.buffer.capacity() && !self.buffer.is_frozen() {
            return Ok(());
        }
        self.move_for(needed)
    }

    /// Moves to a block that may be written and holds `needed` cells.
    #[cold]
    fn move_for(&mut self, needed: usize) -> Result<(), HeapFull> {
        let capacity = if needed <= self.buffer.capacity() {
            self.buffer.capacity()
        } else {
            self.buffer.amortised(needed)
        };
        let grown = Buffer::allocate(capacity)?;
        if self.len != 0 {
            let first = self.len().min(self.buffer.capacity() - self.head as usize);
            // SAFETY: the ring's two runs hold `len` cells together and the new block has room for
            // them; the old ones are forgotten with their block.
            unsafe {
                ptr::copy_nonoverlapping(self.place(0), grown.start(), first);
                ptr::copy_nonoverlapping(
                    self.buffer.start(),
                    grown.start().add(first),
                    self.len() - first,
                );
            }
        }
        self.buffer.free();
        self.buffer = grown;
        self.head = 0;
        Ok(())
    }
}

impl<T: Shared<Cell = Versioned<T>> + super::Element> SharedDeque<T> {
    /// The same queue for another form of its elements, in O(1) (R5).
    pub fn rebind<U: Shared<Cell = Versioned<U>> + super::Element>(self) -> SharedDeque<U> {
        super::copies::rebound();
        // SAFETY: as in `SharedVec::rebind`.
        unsafe { std::mem::transmute::<SharedDeque<T>, SharedDeque<U>>(self) }
    }
}

impl<T: Shared> Default for SharedDeque<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Shared> Drop for SharedDeque<T> {
    fn drop(&mut self) {
        // A drop writes nothing either: `self` may lie in a block that must stay as it is.
        // SAFETY: the copy is emptied in place of the original, which nobody uses any more.
        let mut copy = unsafe { ManuallyDrop::new(ptr::read(self)) };
        copy.clear();
    }
}

// SAFETY: a pointer into the heap and numbers; `visit` shows the block and every cell.
unsafe impl<T: Shared> Shared for SharedDeque<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![T::Cell::schema()]),
            ..TypeSchema::leaf::<Self>("SharedDeque")
        }
    }

    /// Places count from the front: an element that a change at the front moves between two slices
    /// is seen twice, or only by the next walk.
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        if is_of_no_use::<Self>(visitor) || !self.buffer.visit(self.len(), "a queue", visitor) {
            return;
        }
        if self.len != 0 && self.head as usize >= self.buffer.capacity() {
            return visitor.damage(&format!("a queue's front is at {}", self.head));
        }
        row::visit(self, visitor);
    }
}

// SAFETY: the `len` cells of the ring from its front on are initialised; as for a vector.
unsafe impl<T: Shared> Row<T> for SharedDeque<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> *mut T::Cell {
        self.place(index)
    }

    fn cut(&mut self, count: usize) {
        self.len = count as u64;
    }
}
