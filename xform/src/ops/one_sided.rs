//! Parts that only one side has: added by the newer, dropped by the older.
//!
//! The part waits in a [`Kept`] while the side without it holds the value; the default serves values
//! that come without a complement (R6).

use crate::{Kept, Lens, LensError, Loss, Losses, Toward};

/// The newer side has a part that the older one lacks: `() <-> T`.
#[derive(Clone, Copy, Debug)]
pub struct Add<F> {
    default: F,
}

/// The older side has a part that the newer one lacks: `T <-> ()`.
#[derive(Clone, Copy, Debug)]
pub struct Drop<F> {
    default: F,
}

/// Adds a part on the newer side. `default` makes it for values that never had one; it may borrow what it is computed from.
pub fn add<T, F: Fn() -> Result<T, LensError>>(default: F) -> Add<F> {
    Add { default }
}

/// Drops a part that only the older side has. `default` makes it for values that come from the newer side.
pub fn drop<T, F: Fn() -> Result<T, LensError>>(default: F) -> Drop<F> {
    Drop { default }
}

fn take_out<T>(
    kept: Option<Kept<T>>,
    default: impl FnOnce() -> Result<T, LensError>,
) -> Result<T, LensError> {
    match kept.and_then(|kept| kept.value) {
        Some(value) => Ok(value),
        None => default(),
    }
}

impl<T, F: Fn() -> Result<T, LensError>> Lens for Add<F> {
    type Left = ();
    type Right = T;
    type Complement = Kept<T>;

    fn forward(&self, (): (), kept: Option<Kept<T>>) -> Result<(T, Kept<T>), LensError> {
        Ok((take_out(kept, &self.default)?, Kept::empty()))
    }

    fn backward(&self, right: T, _: Option<Kept<T>>) -> Result<((), Kept<T>), LensError> {
        Ok(((), Kept::of(right)))
    }

    fn is_vacant(&self, kept: &Kept<T>) -> bool {
        kept.is_empty()
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        if toward == Toward::Newer {
            report.add(Loss::Defaulted);
        }
    }
}

impl<T, F: Fn() -> Result<T, LensError>> Lens for Drop<F> {
    type Left = T;
    type Right = ();
    type Complement = Kept<T>;

    fn forward(&self, left: T, _: Option<Kept<T>>) -> Result<((), Kept<T>), LensError> {
        Ok(((), Kept::of(left)))
    }

    fn backward(&self, (): (), kept: Option<Kept<T>>) -> Result<(T, Kept<T>), LensError> {
        Ok((take_out(kept, &self.default)?, Kept::empty()))
    }

    fn is_vacant(&self, kept: &Kept<T>) -> bool {
        kept.is_empty()
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        if toward == Toward::Older {
            report.add(Loss::Defaulted);
        }
    }
}
