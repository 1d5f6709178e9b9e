//! The private table that says what each worker can do with each representation.

use super::calls::{ConversionStatus, Converter, DropFn, ErrorText, VisitFn};
use super::layout::{REPRESENTATION_STRIDE, REPRESENTATIONS_ADDR};
use crate::ids::Tag;
use std::ffi::c_void;

/// Neighbours that a representation may have at a time: two on either side, so that a repaired
/// version can stand beside the one it replaces.
pub const MAX_CONVERTERS: usize = 4;

/// What the loaded libraries know of one representation. Written when a library is bound.
#[repr(C, align(512))]
pub struct Representation {
    /// Size of a value in bytes; 0 with `drop` unset = not known here.
    pub size: u32,
    /// Alignment of a value in bytes.
    pub align: u32,
    /// Whether a value can own boxes.
    pub holds_boxes: bool,
    /// Whether a value can have a twin: some way out of it is by a prepared lens.
    pub has_twins: bool,
    /// Drops a value.
    pub drop: Option<DropFn>,
    /// Shows a value's blocks and boxes.
    pub visit: Option<VisitFn>,
    /// Ways to other representations.
    pub converters: [Converter; MAX_CONVERTERS],
    /// Of an item tuple: makes the first value of one item, for a lens of another version that knows
    /// the item's place and nothing else of it.
    pub init_item: Option<InitItemFn>,
    /// Of an item tuple: drops a value of one item, for such a lens.
    pub drop_item: Option<DropItemFn>,
    /// Of an item tuple: shows a value of one item, for such a lens.
    pub visit_item: Option<VisitItemFn>,
    /// First argument of these.
    pub items: *const c_void,
}

/// `(items, offset, tuple, error)`: makes the first value of the item at an offset of a tuple, of which
/// all items that are declared before it are in their places.
pub type InitItemFn =
    unsafe extern "C" fn(*const c_void, u64, *mut u8, &mut ErrorText) -> ConversionStatus;

/// `(items, offset, value)`: drops a value of the item at an offset of a tuple.
pub type DropItemFn = unsafe extern "C" fn(*const c_void, u64, *mut u8);

/// `(items, offset, value, visitor)`: shows such a value, as a [`VisitFn`] does.
pub type VisitItemFn = unsafe extern "C" fn(*const c_void, u64, *mut u8, *mut c_void);

const _: () = assert!(size_of::<Representation>() == REPRESENTATION_STRIDE);

impl Representation {
    /// The entry of `tag`, to read.
    #[inline]
    pub fn of(tag: Tag) -> &'static Representation {
        // SAFETY: every copy of the runtime finds the table mapped and zeroed before it runs
        // (`heap::context`), a 16-bit tag cannot leave it, and all zero is a valid entry.
        // Entries change only in `bind`, on this thread, while no reference is held.
        unsafe { &*Self::pointer(tag) }
    }

    /// Where the entry of `tag` is, to be written by `bind`.
    pub fn pointer(tag: Tag) -> *mut Representation {
        (REPRESENTATIONS_ADDR + tag.0 as usize * REPRESENTATION_STRIDE) as *mut Representation
    }

    /// Whether some loaded library knows it.
    pub fn is_known(&self) -> bool {
        self.drop.is_some()
    }

    /// The direct way to `target`, if a loaded lens has one: of two, that of the library that was bound last.
    #[inline]
    pub fn converter_to(&self, target: Tag) -> Option<&Converter> {
        self.converters
            .iter()
            .find(|c| c.target == target.0 && target != Tag::NONE)
    }

    /// The way to `target` of the lens that has it as its newer end, if `forward`, or else as its older.
    pub fn converter_of(&self, target: Tag, forward: bool) -> Option<&Converter> {
        self.converters
            .iter()
            .find(|c| c.target == target.0 && c.forward == forward && target != Tag::NONE)
    }
}
