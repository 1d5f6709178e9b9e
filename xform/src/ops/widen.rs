//! A number that becomes a wider one.

use std::fmt::Display;
use std::marker::PhantomData;

use crate::{Lens, LensError};

/// Every older number is a newer one, unchanged. Backward, what does not fit is unrepresentable and names the number;
/// nothing is kept.
///
/// ```
/// use xform::{ErrorKind, Lens, Widen};
/// let wider = Widen::<u32, u64>::default();
/// assert_eq!(wider.forward(7, None)?, (7_u64, ()));
/// assert_eq!(wider.backward(7, None)?, (7_u32, ()));
/// assert_eq!(wider.backward(1 << 40, None).unwrap_err().kind(), ErrorKind::Unrepresentable);
/// # Ok::<(), xform::LensError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Widen<L, R>(PhantomData<fn(L) -> R>);

impl<L, R> Default for Widen<L, R> {
    fn default() -> Self {
        Widen(PhantomData)
    }
}

impl<L, R> Lens for Widen<L, R>
where
    L: TryFrom<R>,
    R: From<L> + Copy + Display,
{
    type Left = L;
    type Right = R;
    type Complement = ();

    fn forward(&self, left: L, _: Option<()>) -> Result<(R, ()), LensError> {
        Ok((R::from(left), ()))
    }

    fn backward(&self, right: R, _: Option<()>) -> Result<(L, ()), LensError> {
        let too_wide = |_| {
            LensError::unrepresentable(format!(
                "{right} does not fit {}",
                std::any::type_name::<L>()
            ))
        };
        Ok((L::try_from(right).map_err(too_wide)?, ()))
    }

    fn represents(&self, right: &R) -> bool {
        L::try_from(*right).is_ok()
    }
}
