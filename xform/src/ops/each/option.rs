//! `each` over what may be absent.

use crate::{Directions, Lens, LensError, Losses, Toward, Unrepresentable};

/// `Option<A> <-> Option<B>`. Taking the value out is the end of its complement: what is put in later is new (R6).
#[derive(Clone, Copy, Debug, Default)]
pub struct EachOption<L> {
    lens: L,
}

/// Lifts a lens to values that may be absent.
pub fn option<L: Lens>(lens: L) -> EachOption<L> {
    EachOption { lens }
}

impl<L: Lens> Lens for EachOption<L> {
    type Left = Option<L::Left>;
    type Right = Option<L::Right>;
    type Complement = Option<L::Complement>;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(
        &self,
        left: Self::Left,
        complement: Option<Self::Complement>,
    ) -> Result<(Self::Right, Self::Complement), LensError> {
        let crossed = left.map(|left| self.lens.forward(left, complement.flatten()));
        Ok(crossed.transpose()?.unzip())
    }

    fn backward(
        &self,
        right: Self::Right,
        complement: Option<Self::Complement>,
    ) -> Result<(Self::Left, Self::Complement), LensError> {
        let crossed = right.map(|right| self.lens.backward(right, complement.flatten()));
        Ok(crossed.transpose()?.unzip())
    }

    fn is_vacant(&self, complement: &Self::Complement) -> bool {
        complement
            .as_ref()
            .is_none_or(|kept| self.lens.is_vacant(kept))
    }

    fn unrepresentable(&self) -> Unrepresentable {
        self.lens.unrepresentable()
    }

    fn represents(&self, right: &Self::Right) -> bool {
        right.iter().all(|value| self.lens.represents(value))
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        report.each(|report| self.lens.losses(toward, report));
    }
}
