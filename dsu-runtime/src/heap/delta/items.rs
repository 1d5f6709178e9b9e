//! A lens whose newer side is several containers in one item, between items of a guard instead: there
//! each of them is an item by itself.
//!
//! Owns no more than where things lie. What is made and followed is the lens's.

use super::prepare::{Items, Prepare, PrepareItems, Progress};
use crate::error::AccessError;
use crate::sys::time::Nanos;
use xform::{Lens, LensError};

/// A lens whose right value is a number of parts that may as well lie apart.
pub trait Spread: Prepare {
    /// The parts, each an item.
    type Parts: Items;

    /// Takes a right value apart.
    fn spread(right: Self::Right) -> Self::Parts;

    /// Puts it together.
    fn gather(parts: Self::Parts) -> Self::Right;

    /// [`Prepare::prepare_backward`] of parts where they lie.
    ///
    /// # Errors
    /// As there.
    fn prepare_spread(
        parts: <Self::Parts as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;

    /// [`Prepare::discard_right`] of parts where they lie.
    ///
    /// # Errors
    /// As there.
    fn discard_spread(
        parts: <Self::Parts as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError>;
}

/// The lens `L`, of an item of a guard that becomes several items: it leads from a tuple of one to a tuple
/// of its parts.
#[derive(Default)]
pub struct BetweenItems<L>(L);

impl<L: Spread> Lens for BetweenItems<L> {
    type Left = (L::Left,);
    type Right = L::Parts;
    type Complement = L::Complement;

    fn forward(
        &self,
        (left,): Self::Left,
        kept: Option<L::Complement>,
    ) -> Result<(L::Parts, L::Complement), LensError> {
        let (right, kept) = self.0.forward(left, kept)?;
        Ok((L::spread(right), kept))
    }

    fn backward(
        &self,
        parts: L::Parts,
        kept: Option<L::Complement>,
    ) -> Result<(Self::Left, L::Complement), LensError> {
        let (left, kept) = self.0.backward(L::gather(parts), kept)?;
        Ok(((left,), kept))
    }
}

impl<L: Spread> PrepareItems for BetweenItems<L> {
    type LeftTwin = L::LeftTwin;
    type RightTwin = L::RightTwin;

    fn prepare_forward((left,): (&mut L::Left,), until: Nanos) -> Result<Progress, AccessError> {
        L::prepare_forward(left, until)
    }

    fn prepare_backward(
        right: <L::Parts as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        L::prepare_spread(right, until)
    }

    fn discard_left((left,): (&mut L::Left,), until: Nanos) -> Result<Progress, AccessError> {
        L::discard_left(left, until)
    }

    fn discard_right(
        right: <L::Parts as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        L::discard_spread(right, until)
    }
}
