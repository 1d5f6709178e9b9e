//! What complements are made of.
//!
//! A complement is stored with live data, so its form is a contract: whoever stores it must be able to name every part.
//! The parts are `()`, pairs of parts, [`Kept`], [`Residual`], and the containers that an `each` lens was given.
//! Owns those types; must never know the lenses that fill them.

use crate::LensError;

/// The value of something that only one side has, while the other side holds the rest.
///
/// | the side that | holds the value now | does not |
/// |---|---|---|
/// | knows the part | `None`: it is in the value itself | - |
/// | does not know it | - | `Some`: it waits here |
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Kept<T> {
    /// The part that waits for its side to come back.
    pub value: Option<T>,
}

impl<T> Kept<T> {
    /// Nothing waits: the part is in the value itself.
    pub const fn empty() -> Self {
        Kept { value: None }
    }

    /// `value` waits for its side to come back.
    pub const fn of(value: T) -> Self {
        Kept { value: Some(value) }
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.value.is_none()
    }
}

/// What a conversion leaves behind: the original beside the image that was made of it.
///
/// The image coming back unchanged restores the original to the bit; a changed one is converted anew (R7).
/// The two fields are named after the sides and not after their parts, because either side can be the original.
/// Empty after an original was restored: converting it again makes the same image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Residual<L, R> {
    /// A left and a right value of which one was made from the other.
    pub pair: Option<Pair<L, R>>,
}

/// A left and a right value of which one was made from the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pair<L, R> {
    /// The older form.
    pub left: L,
    /// The newer form.
    pub right: R,
}

impl<L, R> Residual<L, R> {
    /// Nothing to restore.
    pub const fn empty() -> Self {
        Residual { pair: None }
    }

    /// `left` and `right` were made from each other.
    pub const fn of(left: L, right: R) -> Self {
        Residual {
            pair: Some(Pair { left, right }),
        }
    }
}

/// A value of which a copy can be kept to tell later whether it was edited.
///
/// Every `Clone + PartialEq` type is one. A type whose copying can fail for want of memory implements this instead.
pub trait Image: Sized {
    /// An independent copy.
    ///
    /// # Errors
    /// `NoRoom` if there is no memory for it.
    fn duplicate(&self) -> Result<Self, LensError>;

    /// Whether `self` is what `kept` was copied from, unedited.
    fn matches(&self, kept: &Self) -> bool;
}

impl<T: Clone + PartialEq> Image for T {
    fn duplicate(&self) -> Result<Self, LensError> {
        Ok(self.clone())
    }

    fn matches(&self, kept: &Self) -> bool {
        self == kept
    }
}

/// A complement for both of two parts, or for neither.
pub fn split<A, B>(complement: Option<(A, B)>) -> (Option<A>, Option<B>) {
    match complement {
        Some((first, second)) => (Some(first), Some(second)),
        None => (None, None),
    }
}

/// Whether a complement of this type can say anything at all.
pub(crate) const fn says_something<C>() -> bool {
    size_of::<C>() != 0
}
