//! A lens seen from its other side: an unwrap is the inverse of a wrap, a merge of a split, a join of a partition.

use crate::{Directions, Lens, LensError, Losses, Toward, two_way};

/// `L` with its sides exchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inverse<L> {
    lens: L,
}

/// Exchanges the sides of a lens, which must go both ways.
pub const fn inverse<L: Lens>(lens: L) -> Inverse<L> {
    Inverse {
        lens: two_way(lens),
    }
}

impl<L> Inverse<L> {
    /// Also of a lens without a way back; whoever uses it sees to it that nothing goes forward then.
    pub(crate) const fn unchecked(lens: L) -> Self {
        Inverse { lens }
    }
}

impl<L: Lens> Lens for Inverse<L> {
    type Left = L::Right;
    type Right = L::Left;
    type Complement = L::Complement;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(
        &self,
        left: L::Right,
        complement: Option<L::Complement>,
    ) -> Result<(L::Left, L::Complement), LensError> {
        self.lens.backward(left, complement)
    }

    fn backward(
        &self,
        right: L::Left,
        complement: Option<L::Complement>,
    ) -> Result<(L::Right, L::Complement), LensError> {
        self.lens.forward(right, complement)
    }

    fn is_vacant(&self, complement: &L::Complement) -> bool {
        self.lens.is_vacant(complement)
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        self.lens.losses(toward.flipped(), report);
    }
}
