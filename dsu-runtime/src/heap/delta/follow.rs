//! How what hangs on a map comes to agree with it: all entries once, then those that were marked.
//!
//! Owns the order. Each step asks what the map has now and makes the body agree with that, so doing one
//! twice harms nothing, and a mark is taken out only after its step.
#![allow(unsafe_code)] // a second look at a header

use super::key::DeltaKey;
use super::outcome::of_key;
use super::prepare::Progress;
use super::shape::{Emptied, MapShape};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use crate::heap::transaction::ScratchScope;
use crate::heap::twin::{Boxed, Weak, WordCell};
use crate::heap::{Inline, Shared, Versioned, Visitor};
use crate::sys::time::Nanos;
use std::mem::ManuallyDrop;

/// Entries between two looks at the clock.
const BATCH: usize = 64;

/// How far the first walk over a map is.
#[repr(C)]
pub struct Fill<P> {
    place: P,
    pub(super) is_done: bool,
}

impl<P: Default> Default for Fill<P> {
    fn default() -> Self {
        Fill {
            place: P::default(),
            is_done: false,
        }
    }
}

impl<P: Default> Fill<P> {
    /// Nothing is left to walk over: what it is for was made by a crossing.
    pub(super) fn done() -> Self {
        Fill {
            place: P::default(),
            is_done: true,
        }
    }
}

// SAFETY: a shared value and a bool.
unsafe impl<P: Shared> Shared for Fill<P> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![P::schema()]),
            ..TypeSchema::leaf::<Self>("Fill")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.place.visit(visitor);
    }
}

impl<P: Default> Emptied for Fill<P> {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        *self = Fill::default();
        Ok(false)
    }
}

/// A second look at a container whose twin is being written. Nobody changes the container meanwhile.
pub(super) fn look_at<T>(container: &T) -> ManuallyDrop<T> {
    // SAFETY: plain words, read only, and forgotten.
    ManuallyDrop::new(unsafe { std::ptr::read(container) })
}

/// The element that a function of a lens may look at.
pub struct Peek<'a, V: Boxed> {
    cell: &'a Versioned<V>,
}

impl<'a, V: Boxed> Peek<'a, V> {
    /// Of a cell whose element is `V` by name, whatever form this library calls it elsewhere.
    pub(super) fn of<W: Boxed>(cell: &'a Versioned<W>) -> Self {
        // SAFETY: both are one word whose tag says what it holds, and nothing is written.
        let cell = unsafe { &*std::ptr::from_ref(cell).cast::<Versioned<V>>() };
        Peek { cell }
    }

    /// The value, in the form that the lens asks for: converted for this look if it is in another.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn get(&self) -> Result<&'a V, AccessError> {
        self.cell.get()
    }
}

/// What is done for one key: its cell in the map, `None` if it has none.
pub(super) type Apply<'a, K, V> =
    dyn FnMut(&K, Option<&<V as Shared>::Cell>) -> Result<(), AccessError> + 'a;

/// Goes on with the walk over `map`, then with what was marked.
pub(super) fn catch_up<S: MapShape<K>, K: DeltaKey, V: Boxed>(
    map: &S::Map<V>,
    marks: &mut S::Map<()>,
    fill: &mut Fill<S::Place>,
    until: Nanos,
    apply: &mut Apply<'_, K, V>,
) -> Result<Progress, AccessError> {
    while !fill.is_done {
        let _scope = ScratchScope::begin();
        let mut failure = None;
        let next = S::batch::<V>(map, &fill.place, BATCH, &mut |key, cell| {
            if failure.is_none() {
                failure = apply(key, Some(cell)).err().map(|e| of_key(key, e));
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        fill.is_done = next.is_none();
        fill.place = next.unwrap_or_default();
        if Nanos::now() >= until && (!fill.is_done || S::len::<()>(marks) > 0) {
            return Ok(Progress::More);
        }
    }
    drain::<S, K>(marks, until, &mut |key| apply(key, S::cell::<V>(map, key)))
}

/// Takes the marked keys, one by one.
pub(super) fn drain<S: MapShape<K>, K: DeltaKey>(
    marks: &mut S::Map<()>,
    until: Nanos,
    apply: &mut dyn FnMut(&K) -> Result<(), AccessError>,
) -> Result<Progress, AccessError> {
    let mut place = S::Place::default();
    while S::len::<()>(marks) > 0 {
        let _scope = ScratchScope::begin();
        let mut keys = Vec::with_capacity(BATCH);
        let next = S::batch::<()>(marks, &place, BATCH, &mut |key, _| keys.push(key.copy()))?;
        for key in keys {
            let key = key?;
            apply(&key).map_err(|error| of_key(&key, error))?;
            S::remove::<()>(marks, &key)?;
        }
        place = next.unwrap_or_default();
        if Nanos::now() >= until && S::len::<()>(marks) > 0 {
            return Ok(Progress::More);
        }
    }
    Ok(Progress::Done)
}

/// Makes a map of words have this word for a key, or none.
pub(super) fn agree<S: MapShape<K>, K: DeltaKey>(
    map: &mut S::Map<Weak>,
    key: &K,
    word: Option<u64>,
) -> Result<(), HeapFull> {
    let Some(word) = word else {
        return S::remove::<Weak>(map, key);
    };
    match S::cell::<Weak>(map, key).map(WordCell::word) {
        Some(same) if same == word => Ok(()),
        Some(_) => {
            if let Some(cell) = S::cell_mut::<Weak>(map, key)? {
                *cell = Inline(Weak(word));
            }
            Ok(())
        }
        None => S::put::<Weak>(map, key.copy()?, Inline(Weak(word))),
    }
}
