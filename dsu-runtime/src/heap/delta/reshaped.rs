//! A map of one shape becomes one of another: hashed and ordered.
//!
//! Owns the lens. Both forms have the same keys, each its own, and the same words.
#![allow(unsafe_code)] // words change their owner

use super::body::body;
use super::follow::{Fill, agree, catch_up, look_at};
use super::key::DeltaKey;
use super::outcome::{failed, unit};
use super::prepare::{Prepare, Progress};
use super::shape::MapShape;
use super::twins::{discard, hang, take_up, work};
use crate::error::AccessError;
use crate::heap::twin::{Boxed, Twin, Weak, WordCell};
use crate::sys::time::Nanos;
use std::marker::PhantomData;
use xform::{Lens, LensError};

/// A map of shape `A` with elements `V1` becomes one of shape `B` with elements `V2`, each element by
/// itself when it is touched (R5): `Reshaped<Hashed, Ordered, SharedBytes, v1::Entry, Entry>`.
pub struct Reshaped<A, B, K, V1, V2>(PhantomData<fn() -> (A, B, K, V1, V2)>);

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

type Hung<S, T, K> = Twin<<S as MapShape<K>>::Map<()>, Reshape<S, T, K>>;

fn step<S: MapShape<K>, T: MapShape<K>, K: DeltaKey, V: Boxed>(
    map: &S::Map<V>,
    until: Nanos,
) -> impl FnOnce(&mut S::Map<()>, &mut Reshape<S, T, K>) -> Result<Progress, AccessError> {
    move |marks, body| {
        let Reshape { other, fill } = body;
        catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
            Ok(agree::<T, K>(other, key, cell.map(WordCell::word))?)
        })
    }
}

fn prepare<S: MapShape<K>, T: MapShape<K>, K: DeltaKey, V: Boxed>(
    map: &mut S::Map<V>,
    until: Nanos,
) -> Result<Progress, AccessError> {
    let seen = look_at(map);
    work(S::twin::<V>(map), until, step::<S, T, K, V>(&seen, until))
}

fn cross<S: MapShape<K>, T: MapShape<K>, K: DeltaKey, V: Boxed, W: Boxed>(
    mut map: S::Map<V>,
) -> Result<T::Map<W>, AccessError> {
    let seen = look_at(&map);
    let body = take_up(
        S::twin::<V>(&mut map),
        step::<S, T, K, V>(&seen, super::twins::WITHOUT_END),
    )?;
    // SAFETY: here the words change their owner.
    let (mut taken, left) = unsafe { (T::cast::<Weak, W>(body.other), S::cast::<V, Weak>(map)) };
    let body = Reshape::<T, S, K> {
        other: left,
        fill: Fill::done(),
    };
    hang(T::twin::<W>(&mut taken), T::Map::<()>::default(), body)?;
    Ok(taken)
}

impl<A: MapShape<K>, B: MapShape<K>, K: DeltaKey, V1: Boxed, V2: Boxed> Lens
    for Reshaped<A, B, K, V1, V2>
{
    type Left = A::Map<V1>;
    type Right = B::Map<V2>;
    type Complement = ();

    fn forward(&self, left: A::Map<V1>, _: Option<()>) -> Result<(B::Map<V2>, ()), LensError> {
        cross::<A, B, K, V1, V2>(left).map(unit).map_err(failed)
    }

    fn backward(&self, right: B::Map<V2>, _: Option<()>) -> Result<(A::Map<V1>, ()), LensError> {
        cross::<B, A, K, V2, V1>(right).map(unit).map_err(failed)
    }
}

impl<A: MapShape<K>, B: MapShape<K>, K: DeltaKey, V1: Boxed, V2: Boxed> Prepare
    for Reshaped<A, B, K, V1, V2>
{
    type LeftTwin = Hung<A, B, K>;
    type RightTwin = Hung<B, A, K>;

    fn prepare_forward(left: &mut A::Map<V1>, until: Nanos) -> Result<Progress, AccessError> {
        prepare::<A, B, K, V1>(left, until)
    }

    fn prepare_backward(right: &mut B::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        prepare::<B, A, K, V2>(right, until)
    }

    fn discard_left(left: &mut A::Map<V1>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<A::Map<()>, Reshape<A, B, K>>(A::twin::<V1>(left), until)
    }

    fn discard_right(right: &mut B::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<B::Map<()>, Reshape<B, A, K>>(B::twin::<V2>(right), until)
    }
}
