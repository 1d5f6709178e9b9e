//! A part that is computed from the rest, and so never kept (R9).

use crate::{Lens, LensError};

/// The newer side has an index, a count or a cache over its siblings: `() <-> T`. Its inverse is one of the older side.
///
/// It is computed at every crossing, so an edit of it alone does not live: it would have been wrong.
#[derive(Clone, Copy, Debug)]
pub struct Derived<F> {
    compute: F,
}

/// Computes a part from its siblings, which `compute` borrows.
///
/// ```
/// use xform::{Lens, derived};
/// let entries = vec!["a", "b"];
/// assert_eq!(derived(|| Ok(entries.len())).forward((), None)?, (2, ()));
/// # Ok::<(), xform::LensError>(())
/// ```
pub fn derived<T, F: Fn() -> Result<T, LensError>>(compute: F) -> Derived<F> {
    Derived { compute }
}

impl<T, F: Fn() -> Result<T, LensError>> Lens for Derived<F> {
    type Left = ();
    type Right = T;
    type Complement = ();

    fn forward(&self, (): (), _: Option<()>) -> Result<(T, ()), LensError> {
        Ok(((self.compute)()?, ()))
    }

    fn backward(&self, _: T, _: Option<()>) -> Result<((), ()), LensError> {
        Ok(((), ()))
    }
}
