//! Lenses one after another, and lenses side by side.
//!
//! A chain over several versions is a composition of compositions: `chain!(v1_v2, v2_v3, v3_v4)`.
//! Owns how complements combine; must never look into one.

use crate::complement::split;
use crate::{Directions, Lens, LensError, Losses, Segment, Toward, Unrepresentable};

/// `A <-> B` followed by `B <-> C`. The complement is the pair of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compose<First, Second> {
    first: First,
    second: Second,
}

/// Makes one lens of two that share their middle representation.
pub fn compose<A, B>(first: A, second: B) -> Compose<A, B>
where
    A: Lens,
    B: Lens<Left = A::Right>,
{
    Compose { first, second }
}

/// Makes one lens of several, each of which goes on where the one before ends.
///
/// ```
/// use xform::{Lens, chain, exact};
/// let wider = chain!(
///     exact(|x: u8| Ok(u16::from(x)), |x: u16| Ok(x as u8)),
///     exact(|x: u16| Ok(u32::from(x)), |x: u32| Ok(x as u16)),
///     exact(|x: u32| Ok(u64::from(x)), |x: u64| Ok(x as u32)),
/// );
/// assert_eq!(wider.forward(7, None)?.0, 7_u64);
/// # Ok::<(), xform::LensError>(())
/// ```
#[macro_export]
macro_rules! chain {
    ($only:expr $(,)?) => { $only };
    ($first:expr, $second:expr $(, $more:expr)* $(,)?) => {
        $crate::chain!($crate::compose($first, $second) $(, $more)*)
    };
}

impl<A, B> Lens for Compose<A, B>
where
    A: Lens,
    B: Lens<Left = A::Right>,
{
    type Left = A::Left;
    type Right = B::Right;
    type Complement = (A::Complement, B::Complement);
    const DIRECTIONS: Directions = A::DIRECTIONS.and(B::DIRECTIONS);

    fn forward(
        &self,
        left: A::Left,
        complement: Option<Self::Complement>,
    ) -> Result<(B::Right, Self::Complement), LensError> {
        let (first, second) = split(complement);
        let (middle, first) = self.first.forward(left, first)?;
        let (right, second) = self.second.forward(middle, second)?;
        Ok((right, (first, second)))
    }

    fn backward(
        &self,
        right: B::Right,
        complement: Option<Self::Complement>,
    ) -> Result<(A::Left, Self::Complement), LensError> {
        let (first, second) = split(complement);
        let (middle, second) = self.second.backward(right, second)?;
        let (left, first) = self.first.backward(middle, first)?;
        Ok((left, (first, second)))
    }

    fn is_vacant(&self, (first, second): &Self::Complement) -> bool {
        self.first.is_vacant(first) && self.second.is_vacant(second)
    }

    /// Of each lens, with the names of its own values.
    fn losses(&self, toward: Toward, report: &mut Losses) {
        self.first.losses(toward, report);
        self.second.losses(toward, report);
    }

    fn unrepresentable(&self) -> Unrepresentable {
        let (first, second) = (&self.first, &self.second);
        first.unrepresentable().max(second.unrepresentable())
    }

    /// What the second lens says: of the first one's values none is at hand.
    fn represents(&self, right: &B::Right) -> bool {
        self.second.represents(right)
    }
}

/// A tuple of lenses is a lens between tuples: each part goes its own way, and so does its part of the complement.
macro_rules! product {
    ($($lens:ident $value:ident $kept:ident $index:tt),+) => {
        impl<$($lens: Lens),+> Lens for ($($lens,)+) {
            type Left = ($($lens::Left,)+);
            type Right = ($($lens::Right,)+);
            type Complement = ($($lens::Complement,)+);
            const DIRECTIONS: Directions = Directions::Both$(.and($lens::DIRECTIONS))+;

            fn forward(
                &self,
                ($($value,)+): Self::Left,
                complement: Option<Self::Complement>,
            ) -> Result<(Self::Right, Self::Complement), LensError> {
                let ($($kept,)+) = match complement {
                    Some(($($kept,)+)) => ($(Some($kept),)+),
                    None => ($(None::<$lens::Complement>,)+),
                };
                $(let ($value, $kept) = self.$index.forward($value, $kept)
                    .map_err(|error| error.within(Segment::Field(stringify!($index))))?;)+
                Ok((($($value,)+), ($($kept,)+)))
            }

            fn backward(
                &self,
                ($($value,)+): Self::Right,
                complement: Option<Self::Complement>,
            ) -> Result<(Self::Left, Self::Complement), LensError> {
                let ($($kept,)+) = match complement {
                    Some(($($kept,)+)) => ($(Some($kept),)+),
                    None => ($(None::<$lens::Complement>,)+),
                };
                $(let ($value, $kept) = self.$index.backward($value, $kept)
                    .map_err(|error| error.within(Segment::Field(stringify!($index))))?;)+
                Ok((($($value,)+), ($($kept,)+)))
            }

            fn is_vacant(&self, ($($kept,)+): &Self::Complement) -> bool {
                $(self.$index.is_vacant($kept))&&+
            }

            fn losses(&self, toward: Toward, report: &mut Losses) {
                $(report.within(&Segment::Field(stringify!($index)), |report| {
                    self.$index.losses(toward, report);
                });)+
            }

            fn unrepresentable(&self) -> Unrepresentable {
                Unrepresentable::Foreign$(.max(self.$index.unrepresentable()))+
            }

            fn represents(&self, ($($value,)+): &Self::Right) -> bool {
                $(self.$index.represents($value))&&+
            }
        }
    };
}

product!(A a ka 0);
product!(A a ka 0, B b kb 1);
product!(A a ka 0, B b kb 1, C c kc 2);
product!(A a ka 0, B b kb 1, C c kc 2, D d kd 3);
product!(A a ka 0, B b kb 1, C c kc 2, D d kd 3, E e ke 4);
product!(A a ka 0, B b kb 1, C c kc 2, D d kd 3, E e ke 4, F f kf 5);
product!(A a ka 0, B b kb 1, C c kc 2, D d kd 3, E e ke 4, F f kf 5, G g kg 6);
product!(A a ka 0, B b kb 1, C c kc 2, D d kd 3, E e ke 4, F f kf 5, G g kg 6, H h kh 7);
