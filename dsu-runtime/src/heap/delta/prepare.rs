//! What a lens must be able to do so that its other form is made before it is asked for.
//!
//! The value that a guard has at the moment, on whichever side, has a *twin*: the other side's form of
//! it, made in slices, which the value's own writes only mark. The crossing then takes the twin up.
#![allow(unsafe_code)] // items by their addresses

use crate::error::AccessError;
use crate::heap::Shared;
use crate::sys::time::Nanos;
use xform::Lens;

/// How far a slice came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All is done.
    Done,
    /// Time was over first.
    More,
}

/// A lens that can make its other form ahead, in place and a slice at a time. Crossing itself is right
/// without, and then costs what the size is.
///
/// All four may be called in any order and as often as one likes, with the value's guard held and no
/// conversion open; each goes on where it stopped, whatever was written in between. Each stops soon after
/// `until`, and always gets something done before. An error or a panic leaves the value as it was and
/// the twin where it is: call again, or discard it.
pub trait Prepare: Lens<Left: Shared, Right: Shared> {
    /// What hangs on a left value: the right form of it, and what is needed to follow it.
    type LeftTwin: Shared;
    /// What hangs on a right value.
    type RightTwin: Shared;

    /// Makes the right form of what is a left value now, or catches up with what was changed since.
    ///
    /// # Errors
    /// `HeapFull`; `Failed` where a value has no form on the other side, with its key; `Foreign` where a
    /// function of the lens needs a value that cannot be had.
    fn prepare_forward(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError>;

    /// Makes the left form of what is a right value now, or catches up.
    ///
    /// # Errors
    /// As for [`prepare_forward`](Prepare::prepare_forward).
    fn prepare_backward(right: &mut Self::Right, until: Nanos) -> Result<Progress, AccessError>;

    /// Empties and drops the twin of a left value, if it has one.
    ///
    /// # Errors
    /// None in place; the lenses of this crate always succeed.
    fn discard_left(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError>;

    /// Empties and drops the twin of a right value, if it has one.
    ///
    /// # Errors
    /// As for [`discard_left`](Prepare::discard_left).
    fn discard_right(right: &mut Self::Right, until: Nanos) -> Result<Progress, AccessError>;
}

/// As [`Prepare`], of a lens between tuples of items of one guard (R3), which lie where they lie.
pub trait PrepareItems: Lens<Left: Items, Right: Items> {
    /// What hangs on the items of the left side.
    type LeftTwin: Shared;
    /// What hangs on the items of the right side.
    type RightTwin: Shared;

    /// See [`Prepare::prepare_forward`].
    ///
    /// # Errors
    /// As there.
    fn prepare_forward(
        left: <Self::Left as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;

    /// See [`Prepare::prepare_backward`].
    ///
    /// # Errors
    /// As there.
    fn prepare_backward(
        right: <Self::Right as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;

    /// See [`Prepare::discard_left`].
    ///
    /// # Errors
    /// As there.
    fn discard_left(
        left: <Self::Left as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;

    /// See [`Prepare::discard_right`].
    ///
    /// # Errors
    /// As there.
    fn discard_right(
        right: <Self::Right as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;
}

/// A tuple of items of a guard, each of which lies somewhere by itself.
pub trait Items: Shared {
    /// A reference to each.
    type Refs<'a>;

    /// The items at these addresses.
    ///
    /// # Safety
    /// `places` points to as many addresses as the tuple has fields, each of a live value of the field's
    /// type that nobody else refers to for `'a`, and no two the same.
    unsafe fn at<'a>(places: *const *mut u8) -> Self::Refs<'a>;
}

macro_rules! items {
    ($($ty:ident $index:literal),*) => {
        impl<$($ty: Shared),*> Items for ($($ty,)*) {
            type Refs<'a> = ($(&'a mut $ty,)*);

            unsafe fn at<'a>(places: *const *mut u8) -> Self::Refs<'a> {
                // SAFETY: by the caller.
                unsafe { ($(&mut *places.add($index).read().cast::<$ty>(),)*) }
            }
        }
    };
}

items!(A 0);
items!(A 0, B 1);
items!(A 0, B 1, C 2);
items!(A 0, B 1, C 2, D 3);
items!(A 0, B 1, C 2, D 3, E 4);
items!(A 0, B 1, C 2, D 3, E 4, F 5);
