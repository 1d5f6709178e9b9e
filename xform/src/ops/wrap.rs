//! A value put into an option or a collection, and the first one taken out again.

use std::marker::PhantomData;

use super::each::Sequence;
use crate::complement::split;
use crate::{Image, Kept, Lens, LensError, Loss, Losses, Toward};

/// `T <-> S`, where `S` is an option or a sequence of `T`s. Its inverse unwraps.
///
/// The older side sees the first value. The others wait in the complement; of an empty collection a copy of its stand-in
/// does: the stand-in that comes back unedited is the empty collection again (R7).
#[derive(Clone, Copy, Debug)]
pub struct Wrap<S, F> {
    stand_in: F,
    container: PhantomData<fn(S) -> S>,
}

/// Wraps a value. `stand_in` makes what the older side sees of an empty collection; an error says that it sees nothing.
///
/// ```
/// use xform::{Lens, LensError, wrap};
/// let owners = wrap::<Vec<String>, _>(|| Ok("nobody".to_owned()));
/// let (owner, kept) = owners.backward(vec!["ann".into(), "bob".into()], None)?;
/// assert_eq!(owner, "ann");
/// let (owners, _) = owners.forward("eve".into(), Some(kept))?;
/// assert_eq!(owners, ["eve", "bob"]);
/// # Ok::<(), LensError>(())
/// ```
pub fn wrap<S, F>(stand_in: F) -> Wrap<S, F>
where
    S: Sequence,
    F: Fn() -> Result<S::Item, LensError>,
{
    Wrap {
        stand_in,
        container: PhantomData,
    }
}

impl<S, F> Lens for Wrap<S, F>
where
    S: Sequence,
    S::Item: Image,
    F: Fn() -> Result<S::Item, LensError>,
{
    type Left = S::Item;
    type Right = S;
    /// What comes after the first value; the stand-in of a collection that is empty.
    type Complement = (Kept<S>, Kept<S::Item>);

    fn forward(
        &self,
        left: S::Item,
        kept: Option<Self::Complement>,
    ) -> Result<(S, Self::Complement), LensError> {
        let (rest, stand_in) = split(kept);
        let vacant = (Kept::empty(), Kept::empty());
        if let Some(Kept { value: Some(image) }) = stand_in
            && left.matches(&image)
        {
            return Ok((S::with_room(0)?, vacant));
        }
        let rest = rest.and_then(|rest| rest.value);
        let mut all = S::with_room(1 + rest.as_ref().map_or(0, S::count))?;
        all.append(left)?;
        for item in rest.map(S::into_items).into_iter().flatten() {
            all.append(item)?;
        }
        Ok((all, vacant))
    }

    fn backward(
        &self,
        right: S,
        _: Option<Self::Complement>,
    ) -> Result<(S::Item, Self::Complement), LensError> {
        let others = right.count().saturating_sub(1);
        let mut items = right.into_items();
        let Some(first) = items.next() else {
            let stand_in = (self.stand_in)()?;
            let image = stand_in.duplicate()?;
            return Ok((stand_in, (Kept::empty(), Kept::of(image))));
        };
        if others == 0 {
            return Ok((first, (Kept::empty(), Kept::empty())));
        }
        let mut rest = S::with_room(others)?;
        for item in items {
            rest.append(item)?;
        }
        Ok((first, (Kept::of(rest), Kept::empty())))
    }

    fn is_vacant(&self, (rest, stand_in): &Self::Complement) -> bool {
        rest.is_empty() && stand_in.is_empty()
    }

    fn represents(&self, right: &S) -> bool {
        right.count() > 0 || (self.stand_in)().is_ok()
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        if toward == Toward::Newer {
            report.add(Loss::Approximated);
        }
    }
}
