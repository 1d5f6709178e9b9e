//! `each` over a sequence whose elements are recognised by their index.

use std::marker::PhantomData;

use super::Sequence;
use super::walk::{Walk, walk};
use crate::{Directions, Lens, LensError, Losses, Toward, Unrepresentable};

/// `A` of lefts `<->` `B` of rights; the complements that say something stand in a `S`, with their indexes.
///
/// Choose it only for elements that stay at their index, or that keep nothing: after an insertion in front
/// each element meets its neighbour's complement (R8).
#[derive(Clone, Copy, Debug)]
pub struct EachByPosition<A, B, S, L> {
    lens: L,
    containers: PhantomData<fn(A, S) -> B>,
}

impl<A, B, S, L> EachByPosition<A, B, S, L> {
    /// Lifts a lens for elements to containers of the caller's choice.
    pub const fn new(lens: L) -> Self {
        EachByPosition {
            lens,
            containers: PhantomData,
        }
    }
}

impl<A, B, S, L: Default> Default for EachByPosition<A, B, S, L> {
    fn default() -> Self {
        Self::new(L::default())
    }
}

/// [`EachByPosition`] from vector to vector.
pub type VecByPosition<L> = EachByPosition<
    Vec<<L as Lens>::Left>,
    Vec<<L as Lens>::Right>,
    Vec<(u64, <L as Lens>::Complement)>,
    L,
>;

/// Lifts a lens to vectors whose elements are recognised by their index.
pub fn vec_by_position<L: Lens>(lens: L) -> VecByPosition<L> {
    EachByPosition::new(lens)
}

/// Walks with the complement at each index; one that says nothing has no place.
fn convert<From: Sequence, To: Sequence, C, S: Sequence<Item = (u64, C)>>(
    from: From,
    complements: Option<S>,
    cross: impl Fn(From::Item, Option<C>) -> Result<(To::Item, C), LensError>,
    is_vacant: impl Fn(&C) -> bool,
) -> Result<(To, S), LensError> {
    let mut waiting = complements.map(|all| all.into_items().peekable());
    let with = Walk {
        recall: |index: &u64| Some(waiting.as_mut()?.next_if(|(at, _)| at == index)?.1),
        key_of: |index, _: &From::Item| index as u64,
        cross,
        is_kept: |complement: &C| !is_vacant(complement),
    };
    walk(from, with)
}

impl<A, B, S, L> Lens for EachByPosition<A, B, S, L>
where
    L: Lens,
    A: Sequence<Item = L::Left>,
    B: Sequence<Item = L::Right>,
    S: Sequence<Item = (u64, L::Complement)>,
{
    type Left = A;
    type Right = B;
    type Complement = S;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(&self, left: A, complements: Option<S>) -> Result<(B, S), LensError> {
        convert(
            left,
            complements,
            |item, complement| self.lens.forward(item, complement),
            |complement| self.lens.is_vacant(complement),
        )
    }

    fn backward(&self, right: B, complements: Option<S>) -> Result<(A, S), LensError> {
        convert(
            right,
            complements,
            |item, complement| self.lens.backward(item, complement),
            |complement| self.lens.is_vacant(complement),
        )
    }

    fn is_vacant(&self, complements: &S) -> bool {
        complements.count() == 0
    }

    fn unrepresentable(&self) -> Unrepresentable {
        self.lens.unrepresentable()
    }

    fn represents(&self, right: &B) -> bool {
        right.items().all(|item| self.lens.represents(item))
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        report.each(|report| self.lens.losses(toward, report));
    }
}
