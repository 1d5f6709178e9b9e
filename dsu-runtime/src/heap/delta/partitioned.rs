//! One map becomes several, each element in the one that a function names, and back.
//!
//! Owns the lens, into an array; between items of a guard it is `BetweenItems`. The twin of the one map
//! has all parts. Of the several, each has a twin with its own marks, and the first one's has the one
//! map as well; a number that all of them share says that they belong together, since an application may
//! put another map in the place of one.
#![allow(unsafe_code)] // words change their owner

use super::body::body;
use super::follow::{Fill, Peek, agree, catch_up, look_at};
use super::items::{BetweenItems, Spread};
use super::key::DeltaKey;
use super::outcome::{as_many, failed, unit};
use super::prepare::{Items, Prepare, Progress};
use super::shape::{Emptied, MapShape};
use super::twins::{WITHOUT_END, body_of, can_be, discard, empty, ensure, hang, take_up, work};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use crate::heap::twin::{Boxed, Twin, Weak, WordCell};
use crate::heap::{Inline, Shared, Visitor};
use crate::sys::time::Nanos;
use std::array;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use xform::{Lens, LensError};

/// Which of several maps an element belongs to.
pub trait Route<K, V: Boxed>: 'static {
    /// The number of the map, from 0. May look at the element; an element that changes is asked for
    /// again, whoever changed it.
    ///
    /// # Errors
    /// What [`Peek::get`] says.
    fn part(key: &K, element: &Peek<'_, V>) -> Result<usize, AccessError>;
}

/// One map of shape `S` becomes `N` in an array, as `R` says. A key that the newer version keeps in two
/// of them has no place in the older one's map, and the error names it.
pub struct Partitioned<R, S, K, V1, V2, const N: usize>(PhantomData<(R, S, K, V1, V2)>);

/// As [`Partitioned`], of one item of a guard that becomes `N` items: the lens leads from a tuple of one
/// to a tuple of `N`, two to four.
pub type PartitionedItems<R, S, K, V1, V2, const N: usize> =
    BetweenItems<Partitioned<R, S, K, V1, V2, N>>;

impl<R, S, K, V1, V2, const N: usize> Default for Partitioned<R, S, K, V1, V2, N> {
    fn default() -> Self {
        Partitioned(PhantomData)
    }
}

/// An array of parts of a twin.
#[repr(transparent)]
pub struct Several<T, const N: usize>(pub(super) [T; N]);

impl<T: Default, const N: usize> Default for Several<T, N> {
    fn default() -> Self {
        Several(array::from_fn(|_| T::default()))
    }
}

impl<T: Emptied, const N: usize> Emptied for Several<T, N> {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        for part in &mut self.0 {
            if part.drop_some()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

// SAFETY: an array of shared values.
unsafe impl<T: Shared, const N: usize> Shared for Several<T, N> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![<[T; N]>::schema()]),
            ..TypeSchema::leaf::<Self>("Several")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }
}

body! {
    /// Hangs on the one map.
    pub struct Apart<S: MapShape<K>, K: DeltaKey> [const N] {
        parts: Several<S::Map<Weak>, N>,
        fill: Fill<S::Place>,
    }
}

body! {
    /// Hangs on one of several.
    pub struct Together<S: MapShape<K>, K: DeltaKey> {
        joined: S::Map<Weak>,
        fill: Fill<S::Place>,
        place: Place,
    }
}

/// Which of which several maps a twin is of, and of how many: some of a family are none by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Place {
    family: u64,
    index: u32,
    parts: u32,
}

impl Place {
    /// The places of all parts of a family.
    fn all(family: u64, parts: usize) -> impl Iterator<Item = Place> {
        let parts = parts as u32;
        (0..parts).map(move |index| Place {
            family,
            index,
            parts,
        })
    }
}

impl Emptied for Place {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        *self = Place::default();
        Ok(false)
    }
}

// SAFETY: numbers.
unsafe impl Shared for Place {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema::leaf::<Self>("Place")
    }

    fn visit(&mut self, _: &mut dyn Visitor) {}
}

type OfOne<L, S, K, const N: usize> = Twin<L, <S as MapShape<K>>::Map<()>, Apart<S, K, N>>;
type OfPart<L, S, K> = Twin<L, <S as MapShape<K>>::Map<()>, Together<S, K>>;

/// From the one map to its parts.
fn divide<R, S, K, V, W, const N: usize>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    body: &mut Apart<S, K, N>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    R: Route<K, W>,
    S: MapShape<K>,
    K: DeltaKey,
    V: Boxed,
    W: Boxed,
{
    let Apart { parts, fill } = body;
    let progress = catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
        let part = cell.map(|cell| R::part(key, &Peek::of(cell))).transpose()?;
        if let Some(beyond) = part.filter(|part| *part >= N) {
            return Err(AccessError::Failed(format!(
                "it belongs to part {beyond} of {N}"
            )));
        }
        let word = cell.map(WordCell::word);
        for (index, map) in parts.0.iter_mut().enumerate() {
            agree::<S, K>(map, key, word.filter(|_| part == Some(index)))?;
        }
        Ok(())
    })?;
    let divided = parts.0.iter().map(S::len::<Weak>).sum();
    as_many(progress, S::len::<V>(map), divided)
}

/// The word of a key that is in one of the parts.
fn one_of<S: MapShape<K>, K: DeltaKey, V: Boxed, const N: usize>(
    parts: &[&S::Map<V>; N],
    key: &K,
) -> Result<Option<u64>, AccessError> {
    let mut found = parts
        .iter()
        .enumerate()
        .filter_map(|(index, map)| Some((index, S::cell::<V>(map, key)?.word())));
    match (found.next(), found.next()) {
        (Some((one, _)), Some((other, _))) => Err(AccessError::Failed(format!(
            "the older version's map has room for one element of a key, and parts {one} and {other} have one each"
        ))),
        (first, _) => Ok(first.map(|(_, word)| word)),
    }
}

/// What is marked in one of several maps, and how far the walk over it is.
type Followed<'a, S, K> = (
    &'a mut <S as MapShape<K>>::Map<()>,
    &'a mut Fill<<S as MapShape<K>>::Place>,
);

/// From parts to the one map, with a mark's set and a walk for each.
fn join<S: MapShape<K>, K: DeltaKey, V: Boxed, const N: usize>(
    parts: &[&S::Map<V>; N],
    joined: &mut S::Map<Weak>,
    followed: [Followed<'_, S, K>; N],
    until: Nanos,
) -> Result<Progress, AccessError> {
    for (map, (marks, fill)) in parts.iter().zip(followed) {
        let progress = catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
            let is_new = S::cell::<Weak>(joined, key).is_none();
            let word = match cell {
                Some(cell) if is_new => Some(cell.word()),
                _ => one_of::<S, K, V, N>(parts, key)?,
            };
            Ok(agree::<S, K>(joined, key, word)?)
        })?;
        if progress == Progress::More {
            return Ok(Progress::More);
        }
    }
    let elements = parts.iter().map(|part| S::len::<V>(part)).sum();
    as_many(Progress::Done, elements, S::len::<Weak>(joined))
}

/// A number that no other family has.
fn new_family() -> u64 {
    RandomState::new().hash_one(0u64) | 1
}

/// Whether these are the places of all parts of one family, in their order.
pub(super) fn belong_together(places: &[Place]) -> bool {
    let family = places.first().map_or(0, |place| place.family);
    family != 0 && places.iter().copied().eq(Place::all(family, places.len()))
}

fn prepare_parts<L: 'static, S: MapShape<K>, K: DeltaKey, V: Boxed, const N: usize>(
    maps: [&mut S::Map<V>; N],
    until: Nanos,
) -> Result<Progress, AccessError> {
    let seen = maps.each_ref().map(|map| look_at::<S::Map<V>>(map));
    let mut twins: Vec<&mut OfPart<L, S, K>> = Vec::with_capacity(N);
    for map in maps {
        match ensure::<L, _, _>(S::twin::<V>(map))? {
            Some(twin) => twins.push(twin),
            None => return Ok(Progress::Done),
        }
    }
    let places: Vec<Place> = twins.iter().map(|twin| twin.body.place).collect();
    if twins.iter().any(|twin| twin.is_discarding()) || !belong_together(&places) {
        // One begins anew, and so do all.
        twins.iter_mut().for_each(|twin| twin.discard());
        for twin in &mut twins {
            if empty(twin, until)? == Progress::More {
                return Ok(Progress::More);
            }
        }
        for (place, twin) in Place::all(new_family(), N).zip(&mut twins) {
            twin.body.place = place;
            twin.follow();
        }
    }
    let mut busy = Vec::with_capacity(N);
    let (mut followed, mut joined) = (Vec::with_capacity(N), None);
    for twin in twins {
        let (at_work, marks, body) = twin.work();
        busy.push(at_work);
        followed.push((marks, &mut body.fill));
        joined.get_or_insert(&mut body.joined);
    }
    let (Ok(followed), Some(joined)) = (followed.try_into(), joined) else {
        return Ok(Progress::Done);
    };
    join::<S, K, V, N>(&seen.each_ref().map(|map| &**map), joined, followed, until)
}

/// The one map out of its parts, on which they hang then.
fn unite<L, S, K, V, W, const N: usize>(mut parts: [S::Map<V>; N]) -> Result<S::Map<W>, AccessError>
where
    L: 'static,
    S: MapShape<K>,
    K: DeltaKey,
    V: Boxed,
    W: Boxed,
{
    let joined = if can_be::<L, S::Map<()>, Together<S, K>>() {
        prepare_parts::<L, S, K, V, N>(parts.each_mut(), WITHOUT_END)?;
        let bodies = parts.each_mut().map(|map| {
            // SAFETY: made or found by `prepare_parts`, and complete.
            unsafe { body_of::<L, S::Map<()>, Together<S, K>>(S::twin::<V>(map)) }
        });
        let first = bodies.into_iter().next();
        first.map(|body| body.joined).unwrap_or_default()
    } else {
        parts
            .iter_mut()
            .for_each(|map| S::twin::<V>(map).drop_now());
        let (mut joined, mut marks) = (
            S::Map::<Weak>::default(),
            [(); N].map(|()| S::Map::default()),
        );
        let mut fills = [(); N].map(|()| Fill::default());
        let mut fill = fills.iter_mut();
        let followed = marks
            .each_mut()
            .map(|marks| (marks, fill.next().expect("as many of one as of the other")));
        join::<S, K, V, N>(&parts.each_ref(), &mut joined, followed, WITHOUT_END)?;
        joined
    };
    // SAFETY: here the words change their owner.
    let (mut map, parts) = unsafe {
        let map = S::cast::<Weak, W>(joined);
        (map, parts.map(|part| S::cast::<V, Weak>(part)))
    };
    let body = Apart::<S, K, N> {
        parts: Several(parts),
        fill: Fill::done(),
    };
    hang::<L, _, _>(S::twin::<W>(&mut map), S::Map::<()>::default(), body)?;
    Ok(map)
}

/// The parts of a map, which hangs on them then.
fn separate<L, R, S, K, V, W, const N: usize>(
    mut map: S::Map<V>,
) -> Result<[S::Map<W>; N], AccessError>
where
    L: 'static,
    R: Route<K, W>,
    S: MapShape<K>,
    K: DeltaKey,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&map);
    let body = take_up::<L, _, _>(S::twin::<V>(&mut map), |marks, body| {
        divide::<R, S, K, V, W, N>(&seen, marks, body, WITHOUT_END)
    })?;
    // SAFETY: here the words change their owner.
    let (mut parts, map) = unsafe {
        let parts = body.parts.0.map(|part| S::cast::<Weak, W>(part));
        (parts, S::cast::<V, Weak>(map))
    };
    let mut whole = Some(map);
    for (place, part) in Place::all(new_family(), N).zip(&mut parts) {
        let body = Together::<S, K> {
            joined: whole.take().unwrap_or_default(),
            fill: Fill::done(),
            place,
        };
        hang::<L, _, _>(S::twin::<W>(part), S::Map::<()>::default(), body)?;
    }
    Ok(parts)
}

fn discard_parts<L: 'static, S: MapShape<K>, K: DeltaKey, V: Boxed, const N: usize>(
    maps: [&mut S::Map<V>; N],
    until: Nanos,
) -> Result<Progress, AccessError> {
    for map in maps {
        let word = S::twin::<V>(map);
        if discard::<L, S::Map<()>, Together<S, K>>(word, until)? == Progress::More {
            return Ok(Progress::More);
        }
    }
    Ok(Progress::Done)
}

impl<R, S, K, V1, V2, const N: usize> Lens for Partitioned<R, S, K, V1, V2, N>
where
    R: Route<K, V2>,
    S: MapShape<K>,
    K: DeltaKey,
    V1: Boxed,
    V2: Boxed,
{
    type Left = S::Map<V1>;
    type Right = [S::Map<V2>; N];
    type Complement = ();

    fn forward(&self, left: Self::Left, _: Option<()>) -> Result<(Self::Right, ()), LensError> {
        separate::<Self, R, S, K, V1, V2, N>(left)
            .map(unit)
            .map_err(failed)
    }

    fn backward(&self, right: Self::Right, _: Option<()>) -> Result<(Self::Left, ()), LensError> {
        unite::<Self, S, K, V2, V1, N>(right)
            .map(unit)
            .map_err(failed)
    }
}

impl<R, S, K, V1, V2, const N: usize> Prepare for Partitioned<R, S, K, V1, V2, N>
where
    R: Route<K, V2>,
    S: MapShape<K>,
    K: DeltaKey,
    V1: Boxed,
    V2: Boxed,
{
    type LeftTwin = OfOne<Self, S, K, N>;
    type RightTwin = OfPart<Self, S, K>;

    fn prepare_forward(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError> {
        let seen = look_at(left);
        work::<Self, _, _>(S::twin::<V1>(left), until, |marks, body| {
            divide::<R, S, K, V1, V2, N>(&seen, marks, body, until)
        })
    }

    fn prepare_backward(right: &mut Self::Right, until: Nanos) -> Result<Progress, AccessError> {
        prepare_parts::<Self, S, K, V2, N>(right.each_mut(), until)
    }

    fn discard_left(left: &mut Self::Left, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, S::Map<()>, Apart<S, K, N>>(S::twin::<V1>(left), until)
    }

    fn discard_right(right: &mut Self::Right, until: Nanos) -> Result<Progress, AccessError> {
        discard_parts::<Self, S, K, V2, N>(right.each_mut(), until)
    }
}

macro_rules! spread {
    ($count:literal: $($part:ident $map:ident),*) => {
        impl<R, S, K, V1, V2> Spread for Partitioned<R, S, K, V1, V2, $count>
        where
            R: Route<K, V2>,
            S: MapShape<K>,
            K: DeltaKey,
            V1: Boxed,
            V2: Boxed,
        {
            type Parts = ($(spread!(@$map S V2),)*);

            fn spread([$($part),*]: Self::Right) -> Self::Parts {
                ($($part,)*)
            }

            fn gather(($($part,)*): Self::Parts) -> Self::Right {
                [$($part),*]
            }

            fn prepare_spread(
                ($($part,)*): <Self::Parts as Items>::Refs<'_>,
                until: Nanos,
            ) -> Result<Progress, AccessError> {
                prepare_parts::<Self, S, K, V2, $count>([$($part),*], until)
            }

            fn discard_spread(
                ($($part,)*): <Self::Parts as Items>::Refs<'_>,
                until: Nanos,
            ) -> Result<Progress, AccessError> {
                discard_parts::<Self, S, K, V2, $count>([$($part),*], until)
            }
        }
    };
    (@map $shape:ident $value:ident) => { $shape::Map<$value> };
}

spread!(2: a map, b map);
spread!(3: a map, b map, c map);
spread!(4: a map, b map, c map, d map);
