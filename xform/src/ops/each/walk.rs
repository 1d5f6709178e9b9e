//! The walk over a sequence, whichever way an element finds its complement again.

use super::Sequence;
use crate::complement::says_something;
use crate::{LensError, Segment};

/// What to do with complements on the way.
pub struct Walk<Recall, Key, Cross, IsKept> {
    /// The complement under a key, once.
    pub recall: Recall,
    /// The key of an item at an index.
    pub key_of: Key,
    /// Sends an item over.
    pub cross: Cross,
    /// Whether a complement is worth its place.
    pub is_kept: IsKept,
}

/// Sends every item of `from` over, and collects what is to be kept under its key.
///
/// Memory for complements is taken once, when the first of them is kept.
pub fn walk<From, To, K, C, S>(
    from: From,
    mut with: Walk<
        impl FnMut(&K) -> Option<C>,
        impl Fn(usize, &From::Item) -> K,
        impl Fn(From::Item, Option<C>) -> Result<(To::Item, C), LensError>,
        impl Fn(&C) -> bool,
    >,
) -> Result<(To, S), LensError>
where
    From: Sequence,
    To: Sequence,
    S: Sequence<Item = (K, C)>,
{
    let count = from.count();
    let mut to = To::with_room(count)?;
    let mut kept = S::with_room(0)?;
    for (index, item) in from.into_items().enumerate() {
        let at_index = |error: LensError| error.within(Segment::Index(index));
        if !says_something::<C>() {
            to.append((with.cross)(item, None).map_err(at_index)?.0)?;
            continue;
        }
        let key = (with.key_of)(index, &item);
        let (item, complement) = (with.cross)(item, (with.recall)(&key)).map_err(at_index)?;
        to.append(item)?;
        if (with.is_kept)(&complement) {
            if kept.count() == 0 {
                kept = S::with_room(count - index)?;
            }
            kept.append((key, complement))?;
        }
    }
    Ok((to, kept))
}
