//! A complement that is dropped when another part was written meanwhile: `reset_when_written` (R7).
//!
//! Owns how the write is noticed: a copy of the watched part lies beside the complement.

use crate::{Image, Kept, Lens, LensError, Losses, Toward};

/// A complement, and the watched part as it was when the complement was made, on the side that it went to.
pub type Watched<C, W, V> = (C, (Kept<W>, Kept<V>));

/// `(W, L::Left) <-> (W, L::Right)`: what `L` keeps is forgotten if the `W` beside it was written in between.
///
/// Nothing is copied while `L` keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResetWhenWritten<W, L> {
    lens: L,
    watched: std::marker::PhantomData<fn(W) -> W>,
}

/// Makes what `lens` keeps last only until the part beside it is written.
///
/// ```
/// use xform::{Lens, add, reset_when_written};
/// // A deadline is good for one value only.
/// let entry = reset_when_written::<String, _>(add(|| Ok(0_u64)));
/// let ((value, ()), kept) = entry.backward(("a".to_owned(), 99), None)?;
/// assert_eq!(entry.forward((value, ()), Some(kept.clone()))?.0.1, 99);
/// assert_eq!(entry.forward(("written".to_owned(), ()), Some(kept))?.0.1, 0);
/// # Ok::<(), xform::LensError>(())
/// ```
pub fn reset_when_written<W, L: Lens>(lens: L) -> ResetWhenWritten<W, L> {
    ResetWhenWritten {
        lens,
        watched: std::marker::PhantomData,
    }
}

/// What is left of a complement, given the watched part as it is now and as it was.
pub fn unless_written<C, W: Image>(
    complement: Option<C>,
    now: &W,
    before: Option<Kept<W>>,
) -> Option<C> {
    match before.and_then(|before| before.value) {
        Some(before) if !now.matches(&before) => None,
        _ => complement,
    }
}

/// A copy of the watched part, if there is something that a write of it would end.
///
/// # Errors
/// `NoRoom` if there is no memory for it.
pub fn watch<W: Image>(is_vacant: bool, watched: &W) -> Result<Kept<W>, LensError> {
    if is_vacant {
        return Ok(Kept::empty());
    }
    Ok(Kept::of(watched.duplicate()?))
}

impl<W: Image, L: Lens> Lens for ResetWhenWritten<W, L> {
    type Left = (W, L::Left);
    type Right = (W, L::Right);
    type Complement = Watched<L::Complement, W, W>;
    const DIRECTIONS: crate::Directions = L::DIRECTIONS;

    fn forward(
        &self,
        (watched, left): Self::Left,
        kept: Option<Self::Complement>,
    ) -> Result<(Self::Right, Self::Complement), LensError> {
        let (kept, (before, _)) = kept.map_or((None, (None, None)), |(kept, (older, newer))| {
            (Some(kept), (Some(older), Some(newer)))
        });
        let kept = unless_written(kept, &watched, before);
        let (right, kept) = self.lens.forward(left, kept)?;
        let image = watch(self.lens.is_vacant(&kept), &watched)?;
        Ok(((watched, right), (kept, (Kept::empty(), image))))
    }

    fn backward(
        &self,
        (watched, right): Self::Right,
        kept: Option<Self::Complement>,
    ) -> Result<(Self::Left, Self::Complement), LensError> {
        let (kept, (_, before)) = kept.map_or((None, (None, None)), |(kept, (older, newer))| {
            (Some(kept), (Some(older), Some(newer)))
        });
        let kept = unless_written(kept, &watched, before);
        let (left, kept) = self.lens.backward(right, kept)?;
        let image = watch(self.lens.is_vacant(&kept), &watched)?;
        Ok(((watched, left), (kept, (image, Kept::empty()))))
    }

    fn is_vacant(&self, (kept, _): &Self::Complement) -> bool {
        self.lens.is_vacant(kept)
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        self.lens.losses(toward, report);
    }
}
