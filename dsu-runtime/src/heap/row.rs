//! Elements that lie one behind the other, in a vector or a queue: one of them, and a walk over all, with
//! the gap that it leaves where a visitor takes some out (R13).
//!
//! Owns the order of places. Invariant: a panic out of an element, in its visit or its drop, leaves a row
//! of the elements that are there, each once: who catches it goes on with the row.
#![allow(unsafe_code)] // moves cells

use super::named::{self, Called};
use super::shared::{self, Cell, Shared, Visitor};
use crate::error::AccessError;
use std::marker::PhantomData;

/// Cells by their places from the front.
///
/// # Safety
/// The first `len` places are initialised cells; whoever visits may write to all of them and nobody
/// else refers to them.
pub(super) unsafe trait Row<T: Shared> {
    fn count(&self) -> usize;
    fn at(&self, index: usize) -> *mut T::Cell;
    /// The row ends after `count` cells, which is no more than it had. Drops nothing.
    fn cut(&mut self, count: usize);
}

/// The element that the cell at `index` has, to read.
#[inline]
pub(super) fn read<C, T: Shared>(
    container: *const C,
    index: usize,
    cell: &T::Cell,
) -> Result<&T, AccessError> {
    cell.get_called(Called::new(container, &|| named::index(index)))
}

/// The element that the cell at `index` has, to edit.
#[inline]
pub(super) fn edit<C, T: Shared>(
    container: *const C,
    index: usize,
    cell: &mut T::Cell,
) -> Result<&mut T, AccessError> {
    cell.get_mut_called(Called::new(container, &|| named::index(index)))
}

/// Shows all cells from the visitor's place on. Places are indices.
pub(super) fn visit<T: Shared>(row: &mut impl Row<T>, visitor: &mut dyn Visitor) {
    let mut walk = Walk {
        index: visitor.enter() as usize,
        gap: None,
        row,
        element: PhantomData,
    };
    while walk.index < walk.row.count() {
        let outside = visitor.begin_element();
        let (index, cell) = (walk.index, walk.row.at(walk.index));
        Called::new(walk.row, &|| named::index(index)).during(|| {
            // SAFETY: an initialised cell, by `Row`.
            unsafe { (*cell).visit(visitor) }
        });
        let takes_out = shared::takes_out(visitor, outside);
        if visitor.stopped_inside() {
            break;
        }
        if takes_out {
            walk.take_out();
        } else {
            walk.keep();
        }
        if visitor.is_spent() && walk.index < walk.row.count() {
            break;
        }
    }
    let next = walk.gap.unwrap_or(walk.index);
    drop(walk);
    visitor.leave((next < row.count()).then_some(next as u64));
}

/// All places are initialised but those from the gap up to the index. Closed when it ends, however that is.
struct Walk<'a, T: Shared, R: Row<T>> {
    row: &'a mut R,
    index: usize,
    gap: Option<usize>,
    element: PhantomData<T>,
}

impl<T: Shared, R: Row<T>> Walk<'_, T, R> {
    fn take_out(&mut self) {
        let cell = self.row.at(self.index);
        self.gap.get_or_insert(self.index);
        self.index += 1;
        // SAFETY: it was initialised, and is in the gap by now, whatever its drop does.
        unsafe { cell.drop_in_place() };
    }

    fn keep(&mut self) {
        if let Some(gap) = &mut self.gap {
            // SAFETY: the gap's first place is not initialised; the cell's becomes its last.
            unsafe {
                self.row
                    .at(*gap)
                    .copy_from_nonoverlapping(self.row.at(self.index), 1)
            };
            *gap += 1;
        }
        self.index += 1;
    }
}

impl<T: Shared, R: Row<T>> Drop for Walk<'_, T, R> {
    fn drop(&mut self) {
        let count = self.row.count();
        while self.gap.is_some() && self.index < count {
            self.keep();
        }
        if let Some(gap) = self.gap {
            self.row.cut(gap);
        }
    }
}
