//! A map gains an index, which is derived from it (R9) and patched from what was marked.
//!
//! Owns the lens, into a pair; between items of a guard it is `BetweenItems`. The map itself stays what it
//! is. While the older version writes, the index hangs on the map; while the newer one does, which
//! keeps the index itself, only what each element is listed under does, so that what the older one
//! changes afterwards can be taken off the list.

use super::body::body;
use super::follow::{Fill, Peek, catch_up, look_at};
use super::items::{BetweenItems, Spread};
use super::key::DeltaKey;
use super::outcome::{failed, unit};
use super::prepare::{Items, Prepare, Progress};
use super::shape::MapShape;
use super::twins::{WITHOUT_END, discard, hang, take_up, work};
use crate::error::AccessError;
use crate::heap::twin::{Boxed, Twin};
use crate::heap::{Inline, SharedOrderedMap};
use crate::sys::time::Nanos;
use std::marker::PhantomData;
use xform::{Lens, LensError};

/// What an element is listed under.
pub trait IndexOf<K, V: Boxed>: 'static {
    /// What the index is ordered by.
    type By: ListedBy;

    /// Reads it; `None` of an element that is not listed. One that changes is asked again.
    ///
    /// # Errors
    /// What [`Peek::get`] says; `HeapFull` where there is no room for it.
    fn by(key: &K, element: &Peek<'_, V>) -> Result<Option<Self::By>, AccessError>;
}

/// What an index can be ordered by.
pub trait ListedBy: DeltaKey + Ord {}

impl<T: DeltaKey + Ord> ListedBy for T {}

/// An index: what elements are listed under, each with its key.
pub type IndexMap<I, K> = SharedOrderedMap<(I, K), ()>;

/// A map of shape `S` becomes a pair of it and an index, as `F` says. The newer version keeps both in
/// agreement by itself; what the older one changes, the lens does.
pub struct Indexed<F, S, K, V1, V2>(PhantomData<(F, S, K, V1, V2)>);

/// As [`Indexed`], of an item of a guard that becomes two items.
pub type IndexedItems<F, S, K, V1, V2> = BetweenItems<Indexed<F, S, K, V1, V2>>;

impl<F, S, K, V1, V2> Default for Indexed<F, S, K, V1, V2> {
    fn default() -> Self {
        Indexed(PhantomData)
    }
}

body! {
    /// Hangs on the map while the older version writes.
    pub struct Listed<S: MapShape<K>, K: ListedBy, I: ListedBy> {
        index: IndexMap<I, K>,
        by: S::Map<I>,
        fill: Fill<S::Place>,
    }
}

body! {
    /// Hangs on the map while the newer version does.
    pub struct ListedAs<S: MapShape<K>, K: ListedBy, I: ListedBy> {
        by: S::Map<I>,
        fill: Fill<S::Place>,
    }
}

/// Says what an element is listed under now, and takes it off the list if that was something else.
fn note<S: MapShape<K>, K: ListedBy, I: ListedBy>(
    by: &mut S::Map<I>,
    index: Option<&mut IndexMap<I, K>>,
    key: &K,
    now: Option<I>,
) -> Result<(), AccessError> {
    let before = S::cell::<I>(by, key).map(|cell| &cell.0);
    let is_same = before == now.as_ref();
    let entry = |listed: &I| Ok::<_, AccessError>((listed.copy()?, key.copy()?));
    let old = before.filter(|_| !is_same).map(entry).transpose()?;
    let new = now.as_ref().map(entry).transpose()?;
    // In this order each step that finds no room leaves what the next try puts right.
    let mut index = index;
    if let (Some(index), Some(old)) = (&mut index, &old) {
        index.remove_entry(old)?;
    }
    match now {
        _ if is_same => {}
        None => S::remove::<I>(by, key)?,
        Some(now) => match S::cell_mut::<I>(by, key)? {
            Some(cell) => cell.0 = now,
            None => S::put::<I>(by, key.copy()?, Inline(now))?,
        },
    }
    if let (Some(index), Some(new)) = (index, new)
        && !index.contains(&new)
    {
        index.insert(new, ())?;
    }
    Ok(())
}

/// Asks what each element is listed under.
fn list<F, S, K, V, W>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    by: &mut S::Map<F::By>,
    mut index: Option<&mut IndexMap<F::By, K>>,
    fill: &mut Fill<S::Place>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    F: IndexOf<K, W>,
    S: MapShape<K>,
    K: ListedBy,
    V: Boxed,
    W: Boxed,
{
    catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
        let now = cell.map(|cell| F::by(key, &Peek::of(cell))).transpose()?;
        note::<S, K, F::By>(by, index.as_deref_mut(), key, now.flatten())
    })
}

type OlderBody<F, S, K, W> = Listed<S, K, <F as IndexOf<K, W>>::By>;
type NewerBody<F, S, K, W> = ListedAs<S, K, <F as IndexOf<K, W>>::By>;
type OlderTwin<L, F, S, K, W> = Twin<L, <S as MapShape<K>>::Map<()>, OlderBody<F, S, K, W>>;
type NewerTwin<L, F, S, K, W> = Twin<L, <S as MapShape<K>>::Map<()>, NewerBody<F, S, K, W>>;

/// `V` is what the map has, `W` what the function reads: the newer version's element.
fn for_older<F, S, K, V, W>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    body: &mut OlderBody<F, S, K, W>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    F: IndexOf<K, W>,
    S: MapShape<K>,
    K: ListedBy,
    V: Boxed,
    W: Boxed,
{
    let Listed { index, by, fill } = body;
    list::<F, S, K, V, W>(map, marks, by, Some(index), fill, until)
}

fn for_newer<F, S, K, W>(
    map: &S::Map<W>,
    marks: &mut S::Map<()>,
    body: &mut NewerBody<F, S, K, W>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    F: IndexOf<K, W>,
    S: MapShape<K>,
    K: ListedBy,
    W: Boxed,
{
    let ListedAs { by, fill } = body;
    list::<F, S, K, W, W>(map, marks, by, None, fill, until)
}

type Pair<F, S, K, W> = (
    <S as MapShape<K>>::Map<W>,
    IndexMap<<F as IndexOf<K, W>>::By, K>,
);

fn cross_forward<L, F, S, K, V, W>(mut map: S::Map<V>) -> Result<Pair<F, S, K, W>, AccessError>
where
    L: 'static,
    F: IndexOf<K, W>,
    S: MapShape<K>,
    K: ListedBy,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&map);
    let Listed { index, by, .. } = take_up::<L, _, _>(S::twin::<V>(&mut map), |marks, body| {
        for_older::<F, S, K, V, W>(&seen, marks, body, WITHOUT_END)
    })?;
    let mut map = S::rebind::<V, W>(map);
    let body = ListedAs::<S, K, F::By> {
        by,
        fill: Fill::done(),
    };
    hang::<L, _, _>(S::twin::<W>(&mut map), S::Map::<()>::default(), body)?;
    Ok((map, index))
}

fn cross_backward<L, F, S, K, V, W>(
    (mut map, index): Pair<F, S, K, W>,
) -> Result<S::Map<V>, AccessError>
where
    L: 'static,
    F: IndexOf<K, W>,
    S: MapShape<K>,
    K: ListedBy,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&map);
    let ListedAs { by, .. } = take_up::<L, _, _>(S::twin::<W>(&mut map), |marks, body| {
        for_newer::<F, S, K, W>(&seen, marks, body, WITHOUT_END)
    })?;
    let mut map = S::rebind::<W, V>(map);
    // An index that the newer version has put in another's place is of no use.
    let is_sound = index.len() == S::len::<F::By>(&by);
    let body = Listed::<S, K, F::By> {
        index,
        by,
        fill: Fill::done(),
    };
    hang::<L, _, _>(S::twin::<V>(&mut map), S::Map::<()>::default(), body)?;
    if !is_sound {
        S::twin::<V>(&mut map).give_up();
    }
    Ok(map)
}

impl<F, S, K, V1, V2> Lens for Indexed<F, S, K, V1, V2>
where
    F: IndexOf<K, V2>,
    S: MapShape<K>,
    K: ListedBy,
    V1: Boxed,
    V2: Boxed,
{
    type Left = S::Map<V1>;
    type Right = Pair<F, S, K, V2>;
    type Complement = ();

    fn forward(&self, left: Self::Left, _: Option<()>) -> Result<(Self::Right, ()), LensError> {
        cross_forward::<Self, F, S, K, V1, V2>(left)
            .map(unit)
            .map_err(failed)
    }

    fn backward(&self, right: Self::Right, _: Option<()>) -> Result<(Self::Left, ()), LensError> {
        cross_backward::<Self, F, S, K, V1, V2>(right)
            .map(unit)
            .map_err(failed)
    }
}

impl<F, S, K, V1, V2> Prepare for Indexed<F, S, K, V1, V2>
where
    F: IndexOf<K, V2>,
    S: MapShape<K>,
    K: ListedBy,
    V1: Boxed,
    V2: Boxed,
{
    type LeftTwin = OlderTwin<Self, F, S, K, V2>;
    type RightTwin = NewerTwin<Self, F, S, K, V2>;

    fn prepare_forward(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError> {
        let seen = look_at(left);
        work::<Self, _, _>(S::twin::<V1>(left), until, |marks, body| {
            for_older::<F, S, K, V1, V2>(&seen, marks, body, until)
        })
    }

    fn prepare_backward(
        (map, index): &mut Self::Right,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        Self::prepare_spread((map, index), until)
    }

    fn discard_left(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, S::Map<()>, OlderBody<F, S, K, V2>>(S::twin::<V1>(left), until)
    }

    fn discard_right(
        (map, index): &mut Self::Right,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        Self::discard_spread((map, index), until)
    }
}

impl<F, S, K, V1, V2> Spread for Indexed<F, S, K, V1, V2>
where
    F: IndexOf<K, V2>,
    S: MapShape<K>,
    K: ListedBy,
    V1: Boxed,
    V2: Boxed,
{
    type Parts = Self::Right;

    fn spread(right: Self::Right) -> Self::Right {
        right
    }

    fn gather(parts: Self::Right) -> Self::Right {
        parts
    }

    fn prepare_spread(
        (map, _): <Self::Right as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        let seen = look_at(map);
        work::<Self, _, _>(S::twin::<V2>(map), until, |marks, body| {
            for_newer::<F, S, K, V2>(&seen, marks, body, until)
        })
    }

    fn discard_spread(
        (map, _): <Self::Right as Items>::Refs<'_>,
        until: Nanos,
    ) -> Result<Progress, AccessError> {
        discard::<Self, S::Map<()>, NewerBody<F, S, K, V2>>(S::twin::<V2>(map), until)
    }
}
