//! A vector becomes a map, each element under the key that a function reads from it, and back.
//!
//! Owns the lens and the index between keys and places that both twins have. Towards the vector an
//! element that is new comes last, and the last one takes the place of one that goes; those that the
//! newer version leaves alone keep their places.
#![allow(unsafe_code)] // words change their owner

use super::body::body;
use super::follow::{Fill, Peek, agree, catch_up, look_at};
use super::key::DeltaKey;
use super::outcome::{as_many, failed, of_place, unit};
use super::prepare::{Prepare, Progress};
use super::shape::MapShape;
use super::twins::{WITHOUT_END, discard, hang, take_up, work};
use crate::error::{AccessError, HeapFull};
use crate::heap::transaction::ScratchScope;
use crate::heap::twin::{Boxed, Twin, Weak, WordCell};
use crate::heap::vec::VecMarks;
use crate::heap::{Inline, SharedMap, SharedVec, named};
use crate::sys::time::Nanos;
use std::hash::Hash;
use std::marker::PhantomData;
use xform::{Lens, LensError};

/// The key of an element.
pub trait KeyOf<K, V: Boxed>: 'static {
    /// Reads the key. An element that changes is asked again, whoever changed it.
    ///
    /// # Errors
    /// What [`Peek::get`] says; `HeapFull` where there is no room for the key.
    fn key(element: &Peek<'_, V>) -> Result<K, AccessError>;
}

/// A vector of `V1` becomes a map of shape `S`, of `V2` under the keys that `F` reads. Two elements of
/// one key have no place in the map: the crossing fails, and the error names both by their places.
pub struct Keyed<F, S, K, V1, V2>(PhantomData<(F, S, K, V1, V2)>);

impl<F, S, K, V1, V2> Default for Keyed<F, S, K, V1, V2> {
    fn default() -> Self {
        Keyed(PhantomData)
    }
}

/// Keys of [`Keyed`].
pub trait ListKey: DeltaKey + Hash {}

impl<K: DeltaKey + Hash> ListKey for K {}

body! {
    /// Which key is at which place. A place without a key is of an element that waits to be asked for it.
    pub struct Index<K: ListKey> {
        keys: SharedVec<Option<K>>,
        places: SharedMap<K, u64>,
    }
}

body! {
    /// Hangs on the vector.
    pub struct AsMap<S: MapShape<K>, K: ListKey> {
        map: S::Map<Weak>,
        index: Index<K>,
        waiting: SharedVec<u64>,
    }
}

body! {
    /// Hangs on the map.
    pub struct AsList<S: MapShape<K>, K: ListKey> {
        list: SharedVec<Weak>,
        index: Index<K>,
        fill: Fill<S::Place>,
    }
}

/// Elements between two looks at the clock.
const BATCH: usize = 16;

impl<K: ListKey> Index<K> {
    fn place_of(&self, key: &K) -> Option<usize> {
        Some(self.places.get_cell(key)?.0 as usize)
    }

    /// Gives a place that has none a key that has none.
    fn set(&mut self, place: usize, key: K) -> Result<(), HeapFull> {
        self.places.insert_cell(key.copy()?, Inline(place as u64))?;
        let cell = self.keys.get_cell_mut(place)?;
        cell.expect("keys are as many as elements").0 = Some(key);
        Ok(())
    }
}

impl<S: MapShape<K>, K: ListKey> AsMap<S, K> {
    /// The map forgets the element at a place; its key is asked for again.
    fn forget(&mut self, place: usize) -> Result<(), HeapFull> {
        let Index { keys, places } = &mut self.index;
        if let Some(cell) = keys.get_cell_mut(place)?
            && let Some(key) = &cell.0
        {
            S::remove::<Weak>(&mut self.map, key)?;
            places.remove_entry(key)?;
            cell.0 = None;
        }
        Ok(())
    }

    /// Makes the map agree with what the vector has at a place, of which it had nothing.
    fn learn<F, V, W>(&mut self, list: &SharedVec<V>, place: usize) -> Result<(), AccessError>
    where
        F: KeyOf<K, W>,
        V: Boxed,
        W: Boxed,
    {
        let Some(cell) = list.get_cell(place) else {
            return Ok(());
        };
        let key = F::key(&Peek::of(cell)).map_err(|error| of_place(place, error))?;
        match self.index.place_of(&key) {
            // The index first: what it does not know would never be forgotten.
            None => self.index.set(place, key.copy()?)?,
            Some(same) if same == place => {}
            Some(other) => {
                return Err(AccessError::Failed(format!(
                    "the newer version's map has room for one element of {}, which those at {} and {} both have",
                    named::key(&key),
                    other.min(place),
                    other.max(place)
                )));
            }
        }
        Ok(agree::<S, K>(&mut self.map, &key, Some(cell.word()))?)
    }
}

/// From the vector to the map: first all that changed is forgotten, so that keys may change places, then
/// learnt, then what the map has not come to yet.
fn to_map<F, S, K, V, W>(
    list: &SharedVec<V>,
    marks: &mut VecMarks,
    body: &mut AsMap<S, K>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    F: KeyOf<K, W>,
    S: MapShape<K>,
    K: ListKey,
    V: Boxed,
    W: Boxed,
{
    let mut clock = Clock::new(until);
    // Places that are not known any more.
    while body.index.keys.len() > marks.known as usize {
        let last = body.index.keys.len() - 1;
        body.forget(last)?;
        body.index.keys.remove_cell(last)?;
        if clock.is_over() {
            return Ok(Progress::More);
        }
    }
    let mut cursor = 0;
    while !marks.changed.is_empty() {
        let mut places = Vec::with_capacity(BATCH);
        cursor = marks
            .changed
            .scan(cursor, BATCH, |place, _| places.push(*place));
        for place in places {
            if place < marks.known {
                body.waiting.try_reserve(1)?;
                body.forget(place as usize)?;
                body.waiting.push(place)?;
            }
            marks.changed.remove_entry(&place)?;
        }
        if clock.is_over() {
            return Ok(Progress::More);
        }
    }
    let mut scope = ScratchScope::begin();
    while let Some(Inline(place)) = body.waiting.cells().last() {
        let place = *place as usize;
        if (place as u64) < marks.known {
            body.learn::<F, V, W>(list, place)?;
        }
        body.waiting.truncate(body.waiting.len() - 1);
        if clock.is_over() {
            return Ok(Progress::More);
        }
        if clock.is_new() {
            drop(scope);
            scope = ScratchScope::begin();
        }
    }
    while (marks.known as usize) < list.len() {
        let place = marks.known as usize;
        if body.index.keys.len() == place {
            body.index.keys.push(None)?;
        }
        body.learn::<F, V, W>(list, place)?;
        marks.known += 1;
        if clock.is_over() {
            return Ok(Progress::More);
        }
        if clock.is_new() {
            drop(scope);
            scope = ScratchScope::begin();
        }
    }
    drop(scope);
    as_many(Progress::Done, list.len(), S::len::<Weak>(&body.map))
}

/// Looks at the time now and then.
struct Clock {
    until: Nanos,
    steps: usize,
}

impl Clock {
    fn new(until: Nanos) -> Clock {
        Clock { until, steps: 0 }
    }

    fn is_over(&mut self) -> bool {
        self.steps += 1;
        self.is_new() && Nanos::now() >= self.until
    }

    /// Whether the time was looked at just now.
    fn is_new(&self) -> bool {
        self.steps.is_multiple_of(BATCH)
    }
}

/// From the map to the vector.
fn to_list<S, K, V>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    body: &mut AsList<S, K>,
    until: Nanos,
) -> Result<Progress, AccessError>
where
    S: MapShape<K>,
    K: ListKey,
    V: Boxed,
{
    let AsList { list, index, fill } = body;
    let progress = catch_up::<S, K, V>(map, marks, fill, until, &mut |key, cell| {
        match (cell.map(WordCell::word), index.place_of(key)) {
            (None, None) => {}
            (Some(word), Some(place)) => {
                if let Some(cell) = list.get_cell_mut(place)? {
                    *cell = Inline(Weak(word));
                }
            }
            (Some(word), None) => {
                let place = list.len();
                // What a step that found no room left behind the last.
                while index.keys.len() > place {
                    index.keys.remove_cell(index.keys.len() - 1)?;
                }
                list.try_reserve(1)?;
                index.keys.push(None)?;
                index.set(place, key.copy()?)?;
                list.push(Weak(word))?;
            }
            (None, Some(place)) => swap_remove(list, index, key, place)?,
        }
        Ok(())
    })?;
    as_many(progress, S::len::<V>(map), list.len())
}

/// Takes an element out of a vector; the last one takes its place.
fn swap_remove<K: ListKey>(
    list: &mut SharedVec<Weak>,
    index: &mut Index<K>,
    key: &K,
    place: usize,
) -> Result<(), HeapFull> {
    let last = list.len() - 1;
    // All that can fail for want of room comes first: from here on everything may be written.
    list.try_reserve(0)?;
    index.keys.try_reserve(0)?;
    if place != last {
        list.cells_mut()?.swap(place, last);
        let cells = index.keys.cells_mut()?;
        if let Some(moved) = &cells[last].0
            && let Some(Inline(at)) = index.places.get_cell_mut(moved)?
        {
            *at = place as u64;
        }
        cells.swap(place, last);
    }
    index.places.remove_entry(key)?;
    index.keys.truncate(last);
    list.truncate(last);
    Ok(())
}

impl<F, S, K, V1, V2> Lens for Keyed<F, S, K, V1, V2>
where
    F: KeyOf<K, V2>,
    S: MapShape<K>,
    K: ListKey,
    V1: Boxed,
    V2: Boxed,
{
    type Left = SharedVec<V1>;
    type Right = S::Map<V2>;
    type Complement = ();

    fn forward(&self, left: SharedVec<V1>, _: Option<()>) -> Result<(S::Map<V2>, ()), LensError> {
        into_map::<Self, F, S, K, V1, V2>(left)
            .map(unit)
            .map_err(failed)
    }

    fn backward(&self, right: S::Map<V2>, _: Option<()>) -> Result<(SharedVec<V1>, ()), LensError> {
        into_list::<Self, S, K, V2, V1>(right)
            .map(unit)
            .map_err(failed)
    }
}

fn into_map<L, F, S, K, V, W>(mut list: SharedVec<V>) -> Result<S::Map<W>, AccessError>
where
    L: 'static,
    F: KeyOf<K, W>,
    S: MapShape<K>,
    K: ListKey,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&list);
    let AsMap { map, index, .. } = take_up::<L, _, _>(list.twin(), |marks, body| {
        to_map::<F, S, K, V, W>(&seen, marks, body, WITHOUT_END)
    })?;
    // SAFETY: here the words change their owner.
    let (mut map, list) = unsafe { (S::cast::<Weak, W>(map), list.cast::<Weak>()) };
    let body = AsList::<S, K> {
        list,
        index,
        fill: Fill::done(),
    };
    hang::<L, _, _>(S::twin::<W>(&mut map), S::Map::<()>::default(), body)?;
    Ok(map)
}

fn into_list<L, S, K, V, W>(mut map: S::Map<V>) -> Result<SharedVec<W>, AccessError>
where
    L: 'static,
    S: MapShape<K>,
    K: ListKey,
    V: Boxed,
    W: Boxed,
{
    let seen = look_at(&map);
    let AsList { list, index, .. } = take_up::<L, _, _>(S::twin::<V>(&mut map), |marks, body| {
        to_list::<S, K, V>(&seen, marks, body, WITHOUT_END)
    })?;
    // SAFETY: here the words change their owner.
    let (mut list, map) = unsafe { (list.cast::<W>(), S::cast::<V, Weak>(map)) };
    let known = list.len() as u64;
    let body = AsMap::<S, K> {
        map,
        index,
        waiting: SharedVec::new(),
    };
    let marks = VecMarks {
        known,
        ..VecMarks::default()
    };
    hang::<L, _, _>(list.twin(), marks, body)?;
    Ok(list)
}

impl<F, S, K, V1, V2> Prepare for Keyed<F, S, K, V1, V2>
where
    F: KeyOf<K, V2>,
    S: MapShape<K>,
    K: ListKey,
    V1: Boxed,
    V2: Boxed,
{
    type LeftTwin = Twin<Self, VecMarks, AsMap<S, K>>;
    type RightTwin = Twin<Self, S::Map<()>, AsList<S, K>>;

    fn prepare_forward(left: &mut SharedVec<V1>, until: Nanos) -> Result<Progress, AccessError> {
        let seen = look_at(left);
        work::<Self, _, _>(left.twin(), until, |marks, body| {
            to_map::<F, S, K, V1, V2>(&seen, marks, body, until)
        })
    }

    fn prepare_backward(right: &mut S::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        let seen = look_at(right);
        work::<Self, _, _>(S::twin::<V2>(right), until, |marks, body| {
            to_list::<S, K, V2>(&seen, marks, body, until)
        })
    }

    fn discard_left(left: &mut SharedVec<V1>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, VecMarks, AsMap<S, K>>(left.twin(), until)
    }

    fn discard_right(right: &mut S::Map<V2>, until: Nanos) -> Result<Progress, AccessError> {
        discard::<Self, S::Map<()>, AsList<S, K>>(S::twin::<V2>(right), until)
    }
}
