//! Conversions by a pair of functions: with a residual, exact, or forward only.
//!
//! | lens | functions | complement | use it when |
//! |---|---|---|---|
//! | [`Convert`] | borrow | [`Residual`] | either way can lose something (milliseconds to seconds) |
//! | [`Exact`] | move | none | each function undoes the other |
//! | [`OneWay`] | move | none | there is no way back |

use std::marker::PhantomData;

use crate::{Directions, Image, Lens, LensError, Loss, Losses, Residual, Toward};

/// A conversion that may lose something either way, and keeps what it lost (R7).
///
/// An image that comes back unchanged gives the original again; one that was edited is converted by the function.
/// The image is stored beside the original, hence the bound [`Image`] on both sides when used as a lens.
#[derive(Clone, Copy, Debug)]
pub struct Convert<L, R, F = Function<L, R>, B = Function<R, L>> {
    forward: F,
    backward: B,
    sides: PhantomData<fn(L) -> R>,
}

/// A conversion of which each function undoes the other, so that nothing need be kept.
#[derive(Clone, Copy, Debug)]
pub struct Exact<L, R, F = MovingFunction<L, R>, B = MovingFunction<R, L>> {
    forward: F,
    backward: B,
    sides: PhantomData<fn(L) -> R>,
}

/// A conversion with no way back.
#[derive(Clone, Copy, Debug)]
pub struct OneWay<L, R, F = MovingFunction<L, R>> {
    forward: F,
    sides: PhantomData<fn(L) -> R>,
}

/// A plain function from a borrowed value, so that a [`Convert`] has a type that can be written down.
pub type Function<A, B> = fn(&A) -> Result<B, LensError>;

/// A plain function from a moved value, so that an [`Exact`] or a [`OneWay`] has a type that can be written down.
pub type MovingFunction<A, B> = fn(A) -> Result<B, LensError>;

/// Makes a conversion that keeps what it loses. Wrap a function that cannot fail in [`total`].
///
/// ```
/// use xform::{Lens, LensError, convert, total};
/// let seconds = convert(
///     total(|ms: &u64| ms / 1000),
///     |s: &u64| s.checked_mul(1000).ok_or(LensError::unrepresentable("too far away")),
/// );
/// let (s, kept) = seconds.forward(1_234, None)?;
/// assert_eq!(s, 1);
/// assert_eq!(seconds.backward(1, Some(kept.clone()))?.0, 1_234); // untouched: the original
/// assert_eq!(seconds.backward(2, Some(kept))?.0, 2_000); // edited: the default residual
/// # Ok::<(), LensError>(())
/// ```
pub fn convert<L, R, F, B>(forward: F, backward: B) -> Convert<L, R, F, B>
where
    F: Fn(&L) -> Result<R, LensError>,
    B: Fn(&R) -> Result<L, LensError>,
{
    Convert {
        forward,
        backward,
        sides: PhantomData,
    }
}

/// Makes a conversion of which each function undoes the other.
pub fn exact<L, R, F, B>(forward: F, backward: B) -> Exact<L, R, F, B>
where
    F: Fn(L) -> Result<R, LensError>,
    B: Fn(R) -> Result<L, LensError>,
{
    Exact {
        forward,
        backward,
        sides: PhantomData,
    }
}

/// Makes a conversion with no way back: an update over it cannot be rolled back once a value has crossed.
pub fn one_way<L, R, F>(forward: F) -> OneWay<L, R, F>
where
    F: Fn(L) -> Result<R, LensError>,
{
    OneWay {
        forward,
        sides: PhantomData,
    }
}

/// Makes a function that cannot fail fit where one that may is asked for.
pub fn total<A: ?Sized, B>(function: impl Fn(&A) -> B) -> impl Fn(&A) -> Result<B, LensError> {
    move |value| Ok(function(value))
}

impl<L, R, F, B> Lens for Convert<L, R, F, B>
where
    L: Image,
    R: Image,
    F: Fn(&L) -> Result<R, LensError>,
    B: Fn(&R) -> Result<L, LensError>,
{
    type Left = L;
    type Right = R;
    type Complement = Residual<L, R>;

    fn forward(
        &self,
        left: L,
        kept: Option<Residual<L, R>>,
    ) -> Result<(R, Residual<L, R>), LensError> {
        match kept.and_then(|kept| kept.pair) {
            Some(pair) if left.matches(&pair.left) => Ok((pair.right, Residual::empty())),
            _ => {
                let right = (self.forward)(&left)?;
                let image = right.duplicate()?;
                Ok((right, Residual::of(left, image)))
            }
        }
    }

    fn backward(
        &self,
        right: R,
        kept: Option<Residual<L, R>>,
    ) -> Result<(L, Residual<L, R>), LensError> {
        match kept.and_then(|kept| kept.pair) {
            Some(pair) if right.matches(&pair.right) => Ok((pair.left, Residual::empty())),
            _ => {
                let left = (self.backward)(&right)?;
                let image = left.duplicate()?;
                Ok((left, Residual::of(image, right)))
            }
        }
    }

    fn is_vacant(&self, kept: &Residual<L, R>) -> bool {
        kept.pair.is_none()
    }

    fn losses(&self, _: Toward, report: &mut Losses) {
        report.add(Loss::Approximated);
    }
}

impl<L, R, F, B> Lens for Exact<L, R, F, B>
where
    F: Fn(L) -> Result<R, LensError>,
    B: Fn(R) -> Result<L, LensError>,
{
    type Left = L;
    type Right = R;
    type Complement = ();

    fn forward(&self, left: L, _: Option<()>) -> Result<(R, ()), LensError> {
        Ok(((self.forward)(left)?, ()))
    }

    fn backward(&self, right: R, _: Option<()>) -> Result<(L, ()), LensError> {
        Ok(((self.backward)(right)?, ()))
    }
}

impl<L, R, F> Lens for OneWay<L, R, F>
where
    F: Fn(L) -> Result<R, LensError>,
{
    type Left = L;
    type Right = R;
    type Complement = ();
    const DIRECTIONS: Directions = Directions::ForwardOnly;

    fn forward(&self, left: L, _: Option<()>) -> Result<(R, ()), LensError> {
        Ok(((self.forward)(left)?, ()))
    }

    fn backward(&self, _: R, _: Option<()>) -> Result<(L, ()), LensError> {
        Err(LensError::failed("this lens goes forward only"))
    }
}
