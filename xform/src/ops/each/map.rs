//! `each` over the values of a map, which are recognised by their key in it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::marker::PhantomData;

use super::Map;
use crate::{Directions, Image, Lens, LensError, Losses, Segment, Toward, Unrepresentable};

/// A map `A` of lefts `<->` a map `B` of rights under the same keys; the complements stand in a map `S`.
///
/// A key that left the map takes its complement with it: what is inserted under it later is new (R6).
/// Note that a value *replaced* in a map cannot be told from one edited: hold it in a box that has its own complement
/// if that matters.
#[derive(Clone, Copy, Debug)]
pub struct EachMapValue<A, B, S, L> {
    lens: L,
    containers: PhantomData<fn(A, S) -> B>,
}

impl<A, B, S, L> EachMapValue<A, B, S, L> {
    /// Lifts a lens for values to maps of the caller's choice.
    pub const fn new(lens: L) -> Self {
        EachMapValue {
            lens,
            containers: PhantomData,
        }
    }
}

impl<A, B, S, L: Default> Default for EachMapValue<A, B, S, L> {
    fn default() -> Self {
        Self::new(L::default())
    }
}

/// [`EachMapValue`] between ordered maps of the standard library.
pub type BTreeMapValues<K, L> = EachMapValue<
    BTreeMap<K, <L as Lens>::Left>,
    BTreeMap<K, <L as Lens>::Right>,
    BTreeMap<K, <L as Lens>::Complement>,
    L,
>;

/// [`EachMapValue`] between hash maps of the standard library.
pub type HashMapValues<K, L> = EachMapValue<
    HashMap<K, <L as Lens>::Left>,
    HashMap<K, <L as Lens>::Right>,
    HashMap<K, <L as Lens>::Complement>,
    L,
>;

/// Lifts a lens to the values of an ordered map.
pub fn btree_map<K, L: Lens>(lens: L) -> BTreeMapValues<K, L> {
    EachMapValue::new(lens)
}

/// Lifts a lens to the values of a hash map.
pub fn hash_map<K, L: Lens>(lens: L) -> HashMapValues<K, L> {
    EachMapValue::new(lens)
}

/// Sends every value of `from` through `cross`, with the complement under its key.
fn convert<From: Map, To, C, S>(
    from: From,
    mut complements: Option<S>,
    cross: impl Fn(From::Value, Option<C>) -> Result<(To::Value, C), LensError>,
    is_vacant: impl Fn(&C) -> bool,
) -> Result<(To, S), LensError>
where
    From::Key: Image + Debug,
    To: Map<Key = From::Key>,
    S: Map<Key = From::Key, Value = C>,
{
    let mut to = To::with_room(from.count())?;
    let mut kept = S::with_room(0)?;
    for (key, value) in from.into_entries() {
        let complement = complements.as_mut().and_then(|all| all.take(&key));
        let (value, complement) = cross(value, complement)
            .map_err(|error| error.within(Segment::Key(format!("{key:?}"))))?;
        if !is_vacant(&complement) {
            kept.add(key.duplicate()?, complement)?;
        }
        to.add(key, value)?;
    }
    Ok((to, kept))
}

impl<A, B, S, L> Lens for EachMapValue<A, B, S, L>
where
    L: Lens,
    A: Map<Value = L::Left>,
    A::Key: Image + Debug,
    B: Map<Key = A::Key, Value = L::Right>,
    S: Map<Key = A::Key, Value = L::Complement>,
{
    type Left = A;
    type Right = B;
    type Complement = S;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(&self, left: A, complements: Option<S>) -> Result<(B, S), LensError> {
        convert(
            left,
            complements,
            |value, complement| self.lens.forward(value, complement),
            |complement| self.lens.is_vacant(complement),
        )
    }

    fn backward(&self, right: B, complements: Option<S>) -> Result<(A, S), LensError> {
        convert(
            right,
            complements,
            |value, complement| self.lens.backward(value, complement),
            |complement| self.lens.is_vacant(complement),
        )
    }

    fn is_vacant(&self, complements: &S) -> bool {
        complements.count() == 0
    }

    fn unrepresentable(&self) -> Unrepresentable {
        self.lens.unrepresentable()
    }

    fn represents(&self, right: &B) -> bool {
        right.values().all(|value| self.lens.represents(value))
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        report.each(|report| self.lens.losses(toward, report));
    }
}
