//! A map of one shape becomes one of another: hashed and ordered.
//!
//! Owns the lens. Both forms have the same keys, each its own, and the same words.
#![allow(unsafe_code)] // words change their owner

use super::body::body;
use super::follow::{Fill, agree, catch_up, look_at};
use super::key::DeltaKey;
use super::outcome::{as_many, failed, unit};
use super::prepare::{Prepare, Progress};
use super::shape::MapShape;
use super::twins::{WITHOUT_END, discard, hang, take_up, work};
use crate::error::AccessError;
use crate::heap::twin::{Boxed, Twin, Weak, WordCell};
use crate::sys::time::Nanos;
use std::marker::PhantomData;
use xform::{Lens, LensError};

/// A map of shape `A` with elements `V1` becomes one of shape `B` with elements `V2`, each element by
/// itself when it is touched (R5): `Reshaped<Hashed, Ordered, SharedBytes, v1::Entry, Entry>`.
pub struct Reshaped<A, B, K, V1, V2>(PhantomData<(A, B, K, V1, V2)>);

impl<A, B, K, V1, V2> Default for Reshaped<A, B, K, V1, V2> {
    fn default() -> Self {
        Reshaped(PhantomData)
    }
}

body! {
    /// Hangs on a map of shape `S`.
    pub struct Reshape<S: MapShape<K>, T: MapShape<K>, K: DeltaKey> {
        other: T::Map<Weak>,
        fill: Fill<S::Place>,
    }
}

type Hung<L, S, T, K> = Twin<L, <S as MapShape<K>>::Map<()>, Reshape<S, T, K>>;

fn step<S: MapShape<K>, T: MapShape<K>, K: DeltaKey, V: Boxed>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    body: &mut Reshape<S, T, K>,
    until: Nanos,
) -> Result<Progress, AccessError> {
    let Reshape { other, fill } = body;
    let progress = catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
        Ok(agree::<T, K>(other, key, cell.map(WordCell::word))?)
    })?;
    as_many(progress, S::len::<V>(map), T::len::<Weak>(other))
}

fn prepare<L: 'static, S: MapShape<K>, T: MapShape<K>, K: DeltaKey, V: Boxed>(
    map: &mut S::Map<V>,
    until: Nanos,
) -> Result<Progress, AccessError> {
    let seen = look_at(map);
    work::<L, _, _>(S::twin::<V>(map), until, |marks, body| {
        step::<S, T, K, V>(&seen, marks, body, until)
    })
}

fn cross<L, S, T, K, V, W>(mut map: S::Map<V>) -> Result<T::Map<W>, AccessError>
where
    L: 'static,
    S: MapShape<K>,
    T: MapShape<K>,
    K: DeltaKey,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&map);
    let body = take_up::<L, _, _>(S::twin::<V>(&mut map), |marks, body| {
        step::<S, T, K, V>(&seen, marks, body, WITHOUT_END)
    })?;
    // SAFETY: here the words change their owner.
    let (mut taken, left) = unsafe { (T::cast::<Weak, W>(body.other), S::cast::<V, Weak>(map)) };
    let body = Reshape::<T, S, K> {
        other: left,
        fill: Fill::done(),
    };
    hang::<L, _, _>(T::twin::<W>(&mut taken), T::Map::<()>::default(), body)?;
    Ok(taken)
}

impl<A: MapShape<K>, B: MapShape<K>, K: DeltaKey, V1: Boxed, V2: Boxed> Lens
    for Reshaped<A, B, K, V1, V2>
{
    type Left = A::Map<V1>;
    type Right = B::Map<V2>;
    type Complement = ();

    fn forward(&self, left: A::Map<V1>, _: Option<()>) -> Result<(B::Map<V2>, ()), LensError> {
        cross::<Self, A, B, K, V1, V2>(left)
            .map(unit)
            .map_err(failed)
    }

    fn backward(&self, right: B::Map<V2>, _: Option<()>) -> Result<(A::Map<V1>, ()), LensError> {
        cross::<Self, B, A, K, V2, V1>(right)
            .map(unit)
            .map_err(failed)
    }
}

impl<A: MapShape<K>, B: MapShape<K>, K: DeltaKey, V1: Boxed, V2: Boxed> Prepare
    for Reshaped<A, B, K, V1, V2>
{
    type LeftTwin = Hung<Self, A, B, K>;
    type RightTwin = Hung<Self, B, A, K>;

    fn prepare_forward(left: &mut A::Map<V1>, until: Nanos) -> Result<Progress, AccessError> {
        prepare::<Self, A, B, K, V1>(left, until)
    }

    fn prepare_backward(right: &mut B::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        prepare::<Self, B, A, K, V2>(right, until)
    }

    fn discard_left(left: &mut A::Map<V1>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, A::Map<()>, Reshape<A, B, K>>(A::twin::<V1>(left), until)
    }

    fn discard_right(right: &mut B::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, B::Map<()>, Reshape<B, A, K>>(B::twin::<V2>(right), until)
    }
}
