//! A growable array in shared memory.
//!
//! Owns its cells. Knows nothing of versions: that an element may be in another form is its cell's
//! affair.
#![allow(unsafe_code)] // cells in raw blocks

use super::buffer::Buffer;
use super::map::SharedMap;
use super::rc::{SharedRc, SharedWeak};
use super::row::{self, Row};
use super::shared::{Cell, Inline, Shared, Visitor, is_of_no_use};
use super::twin::{self, TwinWord};
use super::versioned::Versioned;
use crate::abi::{TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use std::mem::ManuallyDrop;
use std::ptr;

/// A vector. Empty without a block; every growing operation returns `Result` and leaves the vector
/// as it was when the heap is full.
///
/// Operations that only write (`remove`, `get_mut`) can meet a full heap too: inside a transformer
/// the first write copies the block.
#[repr(C)]
pub struct SharedVec<T: Shared> {
    buffer: Buffer<T::Cell>,
    len: u64,
    twin: TwinWord,
}

impl<T: Shared> SharedVec<T> {
    /// An empty vector.
    pub const fn new() -> Self {
        SharedVec {
            buffer: Buffer::EMPTY,
            len: 0,
            twin: TwinWord::NONE,
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

    /// The cells, in order.
    pub fn cells(&self) -> &[T::Cell] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the first `len` cells are initialised, and borrowed as `self` is.
        unsafe { std::slice::from_raw_parts(self.buffer.start(), self.len()) }
    }

    /// The cells, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn cells_mut(&mut self) -> Result<&mut [T::Cell], HeapFull> {
        self.make_room(0)?;
        self.twin.mark_from(0);
        if self.len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the first `len` cells are initialised, their block may be written, and they are
        // borrowed as `self` is.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.buffer.start(), self.len()) })
    }

    /// The element at `index`, to read; `None` beyond the end.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn get(&self, index: usize) -> Result<Option<&T>, AccessError> {
        let cell = self.cells().get(index);
        cell.map(|cell| row::read(self, index, cell)).transpose()
    }

    /// The element at `index`, to edit; `None` beyond the end.
    ///
    /// # Errors
    /// See [`AccessError`]; the element is untouched then.
    pub fn get_mut(&mut self, index: usize) -> Result<Option<&mut T>, AccessError> {
        let this = ptr::from_ref(self);
        let cell = self.get_cell_mut(index)?;
        cell.map(|cell| row::edit(this, index, cell)).transpose()
    }

    /// The cell at `index`.
    pub fn get_cell(&self, index: usize) -> Option<&T::Cell> {
        self.cells().get(index)
    }

    /// The cell at `index`, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn get_cell_mut(&mut self, index: usize) -> Result<Option<&mut T::Cell>, HeapFull> {
        self.make_room(0)?;
        if index >= self.len() {
            return Ok(None);
        }
        self.twin.mark_place(index);
        // SAFETY: an initialised cell in a block that may be written, borrowed as `self` is.
        Ok(Some(unsafe { &mut *self.buffer.start().add(index) }))
    }

    /// The elements in order, foreign ones as errors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<&T, AccessError>> {
        let cells = self.cells().iter().enumerate();
        cells.map(|(index, cell)| row::read(self, index, cell))
    }

    /// Room for `additional` more elements: so many pushes cannot fail afterwards.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), HeapFull> {
        self.make_room(additional)
    }

    /// Appends.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn push(&mut self, value: T) -> Result<(), HeapFull> {
        self.insert(self.len(), value)
    }

    /// Puts a value before the element at `index`.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    ///
    /// # Panics
    /// If `index` is beyond the end.
    pub fn insert(&mut self, index: usize, value: T) -> Result<(), HeapFull> {
        let cell = T::Cell::new(value)?;
        self.insert_cell(index, cell).map_err(|_| HeapFull)
    }

    /// Puts a cell, its complement with it (R6), before the element at `index`.
    ///
    /// # Errors
    /// The cell comes back when the heap is full.
    ///
    /// # Panics
    /// If `index` is beyond the end.
    pub fn insert_cell(&mut self, index: usize, cell: T::Cell) -> Result<(), T::Cell> {
        assert!(index <= self.len(), "insertion beyond the end");
        if self.make_room(1).is_err() {
            return Err(cell);
        }
        self.twin.mark_from(index);
        // SAFETY: `make_room` left one cell free behind the last, in a block that may be written.
        unsafe {
            let place = self.buffer.start().add(index);
            ptr::copy(place, place.add(1), self.len() - index);
            place.write(cell);
        }
        self.len += 1;
        Ok(())
    }

    /// Puts a new value in the place of the element at `index`, without complement (R6); false
    /// beyond the end.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped and the element untouched.
    pub fn replace(&mut self, index: usize, value: T) -> Result<bool, HeapFull> {
        let cell = T::Cell::new(value)?;
        Ok(self.get_cell_mut(index)?.is_some_and(|old| {
            *old = cell;
            true
        }))
    }

    /// Takes the last element.
    ///
    /// # Errors
    /// See [`AccessError`]; the element stays.
    pub fn pop(&mut self) -> Result<Option<T>, AccessError> {
        match self.len().checked_sub(1) {
            Some(last) => self.remove(last),
            None => Ok(None),
        }
    }

    /// Takes the element at `index`; `None` beyond the end.
    ///
    /// # Errors
    /// See [`AccessError`]; the element stays.
    pub fn remove(&mut self, index: usize) -> Result<Option<T>, AccessError> {
        // Converted in place first: a value that cannot be had is not lost.
        if self.get_mut(index)?.is_none() {
            return Ok(None);
        }
        let cell = self.remove_cell(index)?;
        cell.map(Cell::into_value).transpose()
    }

    /// Takes the cell at `index`, foreign or not; `None` beyond the end.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn remove_cell(&mut self, index: usize) -> Result<Option<T::Cell>, HeapFull> {
        if index >= self.len() {
            return Ok(None);
        }
        self.make_room(0)?;
        self.twin.mark_from(index);
        self.len -= 1;
        // SAFETY: the cell is initialised and leaves the range of initialised cells here.
        unsafe {
            let place = self.buffer.start().add(index);
            let cell = place.read();
            ptr::copy(place.add(1), place, self.len() - index);
            Ok(Some(cell))
        }
    }

    /// Drops the elements from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.twin.mark_from(len);
        while self.len() > len {
            self.len -= 1;
            // SAFETY: the last initialised cell; it is outside the range from here on.
            drop(unsafe { self.buffer.start().add(self.len()).read() });
        }
    }

    /// Drops all elements and gives the block back.
    pub fn clear(&mut self) {
        self.twin.give_up();
        self.truncate(0);
        self.buffer.free();
    }

    /// Room for `additional` cells in a block that may be written.
    fn make_room(&mut self, additional: usize) -> Result<(), HeapFull> {
        let needed = self.len().checked_add(additional).ok_or(HeapFull)?;
        let fits = needed <= self.buffer.capacity();
        if fits && !self.buffer.is_frozen() {
            return Ok(());
        }
        let capacity = if fits {
            self.buffer.capacity()
        } else {
            self.buffer.amortised(needed)
        };
        let grown = Buffer::allocate(capacity)?;
        if self.len != 0 {
            // SAFETY: both blocks hold `len` cells; the old ones are forgotten with their block.
            unsafe { ptr::copy_nonoverlapping(self.buffer.start(), grown.start(), self.len()) };
        }
        self.buffer.free();
        self.buffer = grown;
        Ok(())
    }
}

impl<T: Shared<Cell = Versioned<T>> + super::Element> SharedVec<T> {
    /// The same vector for another form of its elements, in O(1): boxes say themselves what they
    /// hold (R5).
    pub fn rebind<U: Shared<Cell = Versioned<U>> + super::Element>(self) -> SharedVec<U> {
        super::copies::rebound();
        // SAFETY: both are the same words; a box of T and one of U differ in the type that they
        // convert to, and the tag in each tells what it holds.
        unsafe { self.cast() }
    }
}

impl<T: super::Element> SharedVec<SharedRc<T>> {
    /// The same vector for another form of what its handles lead to, in O(1): the nodes say themselves what
    /// they hold (R5).
    pub fn rebind<U: super::Element>(self) -> SharedVec<SharedRc<U>> {
        // SAFETY: a handle is one word, the same for all forms of the value.
        unsafe { self.cast() }
    }
}

impl<T: super::Element> SharedVec<SharedWeak<T>> {
    /// The same vector for another form of what its handles lead to, in O(1) (R5).
    pub fn rebind<U: super::Element>(self) -> SharedVec<SharedWeak<U>> {
        // SAFETY: as for strong handles.
        unsafe { self.cast() }
    }
}

impl<T: Shared> SharedVec<T> {
    /// The same vector over cells of another type, which are words too.
    ///
    /// # Safety
    /// Of all vectors with these words at most one is used as one of boxes.
    pub(super) unsafe fn cast<U: Shared>(self) -> SharedVec<U> {
        const { twin::assert_words::<T::Cell, U::Cell>() };
        // SAFETY: equal headers, and cells of one word.
        unsafe { std::mem::transmute_copy(&ManuallyDrop::new(self)) }
    }

    /// Drops some elements at the end; false once there are none, and the block is freed.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub(super) fn drop_some(&mut self) -> Result<bool, HeapFull> {
        const SOME: usize = 256;
        if self.is_empty() {
            self.buffer.free();
            return Ok(false);
        }
        self.truncate(self.len().saturating_sub(SOME));
        Ok(true)
    }

    /// Where the vector's twin is.
    pub(super) fn twin(&mut self) -> &mut TwinWord {
        &mut self.twin
    }
}

/// What a vector marks: its twin knows the places below `known`, but those in `changed`.
#[derive(Default)]
#[repr(C)]
pub struct VecMarks {
    pub(super) known: u64,
    pub(super) changed: SharedMap<u64, ()>,
}

// SAFETY: a number and a map.
unsafe impl Shared for VecMarks {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![SharedMap::<u64, ()>::schema()]),
            ..TypeSchema::leaf::<Self>("VecMarks")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.changed.visit(visitor);
    }
}

impl TwinWord {
    /// Notes that the element at a place changes.
    #[inline]
    fn mark_place(&mut self, index: usize) {
        if self.is_set() {
            self.note_place(index);
        }
    }

    /// Notes that elements from a place on come, go or move.
    #[inline]
    fn mark_from(&mut self, index: usize) {
        if self.is_set() {
            self.note_from(index);
        }
    }

    #[cold]
    fn note_place(&mut self, index: usize) {
        if let Some(marks) = self.marks::<VecMarks>()
            && (index as u64) < marks.known
            && marks.changed.insert(index as u64, ()).is_err()
        {
            marks.known = index as u64;
        }
    }

    #[cold]
    fn note_from(&mut self, index: usize) {
        if let Some(marks) = self.marks::<VecMarks>() {
            marks.known = marks.known.min(index as u64);
        }
    }
}

impl<T: Shared> Default for SharedVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Shared> Drop for SharedVec<T> {
    fn drop(&mut self) {
        // A drop writes nothing either: `self` may lie in a block that must stay as it is.
        // SAFETY: the copy is emptied in place of the original, which nobody uses any more.
        let mut copy = unsafe { ManuallyDrop::new(ptr::read(self)) };
        copy.twin.end();
        copy.twin = TwinWord::NONE;
        copy.clear();
    }
}

// SAFETY: a pointer into the heap and a length; `visit` shows the block and every cell.
unsafe impl<T: Shared> Shared for SharedVec<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![T::Cell::schema()]),
            ..TypeSchema::leaf::<Self>("SharedVec")
        }
    }

    /// Places are indices: an element that an insertion or removal in front of it moves between two
    /// slices is seen twice, or only by the next walk.
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        if is_of_no_use::<Self>(visitor) || !self.buffer.visit(self.len(), "a vector", visitor) {
            return;
        }
        self.twin.meet(visitor);
        row::visit(self, visitor);
    }
}

// SAFETY: the first `len` cells are initialised. A sweep writes into blocks in place: no conversion of
// the vector is open then.
unsafe impl<T: Shared> Row<T> for SharedVec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> *mut T::Cell {
        self.buffer.start().wrapping_add(index)
    }

    fn cut(&mut self, count: usize) {
        self.len = count as u64;
    }
}
