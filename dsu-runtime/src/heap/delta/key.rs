//! Keys of which each form of a container has its own.

use crate::error::HeapFull;
use crate::heap::{Inline, Shared, SharedBytes, SharedString};

pub(super) mod sealed {
    /// Implemented in this crate alone.
    pub trait Sealed {}
}

/// A key that can be copied into the other form of its container: integers, `bool`, `char`, `()`,
/// [`SharedString`], [`SharedBytes`], and tuples of one to four of them. Of these and no others, since both
/// forms own the same boxes in turn: that a copy is equal, that equal keys have one hash and one place in
/// the order, and that nothing of it panics, is trusted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key of two containers at once",
    note = "use numbers, `SharedString`, `SharedBytes`, or a tuple of them"
)]
pub trait DeltaKey: Shared<Cell = Inline<Self>> + Eq + sealed::Sealed {
    /// An equal key.
    ///
    /// # Errors
    /// `HeapFull`.
    fn copy(&self) -> Result<Self, HeapFull>;
}

macro_rules! plain {
    ($($ty:ty),*) => {$(
        impl sealed::Sealed for $ty {}

        impl DeltaKey for $ty {
            fn copy(&self) -> Result<Self, HeapFull> {
                Ok(*self)
            }
        }
    )*};
}

plain!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    bool,
    char,
    ()
);

impl sealed::Sealed for SharedBytes {}

impl DeltaKey for SharedBytes {
    fn copy(&self) -> Result<Self, HeapFull> {
        self.try_clone()
    }
}

impl sealed::Sealed for SharedString {}

impl DeltaKey for SharedString {
    fn copy(&self) -> Result<Self, HeapFull> {
        self.try_clone()
    }
}

macro_rules! tuple {
    ($($ty:ident $index:tt),*) => {
        impl<$($ty: DeltaKey),*> sealed::Sealed for ($($ty,)*) {}

        impl<$($ty: DeltaKey),*> DeltaKey for ($($ty,)*) {
            fn copy(&self) -> Result<Self, HeapFull> {
                Ok(($(self.$index.copy()?,)*))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
