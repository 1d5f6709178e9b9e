//! What the lenses need of a map, whatever its shape: hashed or ordered.
#![allow(unsafe_code)] // cells that are words stand for each other

use super::key::DeltaKey;
use super::key::sealed::Sealed;
use crate::error::HeapFull;
use crate::heap::twin::{Boxed, TwinWord};
use crate::heap::vec::VecMarks;
use crate::heap::{Shared, SharedMap, SharedOrderedMap, SharedVec};
use std::hash::Hash;
use std::ops::Bound;

/// What can be dropped a piece at a time.
pub trait Emptied {
    /// Drops a piece that takes a few microseconds; false once nothing is left.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    fn drop_some(&mut self) -> Result<bool, HeapFull>;
}

/// A shape of maps with keys `K`: [`Hashed`], [`Ordered`], and no others, since what they say of a map is
/// trusted.
///
/// What is not documented here is as in the maps' own methods.
pub trait MapShape<K: DeltaKey>: Sealed + 'static {
    /// The map.
    type Map<V: Shared>: Shared + Default + Emptied;
    /// Where a walk over a map is: it stays right whatever happens to the map.
    type Place: Shared + Default;

    /// Number of entries.
    fn len<V: Shared>(map: &Self::Map<V>) -> usize;

    /// The cell of a key.
    fn cell<'m, V: Shared>(map: &'m Self::Map<V>, key: &K) -> Option<&'m V::Cell>;

    /// The cell of a key, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    fn cell_mut<'m, V: Shared>(
        map: &'m mut Self::Map<V>,
        key: &K,
    ) -> Result<Option<&'m mut V::Cell>, HeapFull>;

    /// Puts in an entry whose key is not there.
    ///
    /// # Errors
    /// `HeapFull`; both are dropped.
    fn put<V: Shared>(map: &mut Self::Map<V>, key: K, cell: V::Cell) -> Result<(), HeapFull>;

    /// Drops the entry of a key, if it is there.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    fn remove<V: Shared>(map: &mut Self::Map<V>, key: &K) -> Result<(), HeapFull>;

    /// Shows about `most` entries from a place on; the place to go on from, `None` at the end.
    ///
    /// # Errors
    /// `HeapFull`, where a place is a key.
    fn batch<V: Shared>(
        map: &Self::Map<V>,
        place: &Self::Place,
        most: usize,
        see: &mut dyn FnMut(&K, &V::Cell),
    ) -> Result<Option<Self::Place>, HeapFull>;

    /// Where the map's twin is.
    #[doc(hidden)]
    fn twin<V: Shared>(map: &mut Self::Map<V>) -> &mut TwinWord;

    /// The same map for another form of its elements (R5).
    fn rebind<V: Boxed, W: Boxed>(map: Self::Map<V>) -> Self::Map<W>;

    /// The same map over other cells that are words.
    ///
    /// # Safety
    /// Of all maps with these words at most one is used as one of boxes.
    #[doc(hidden)]
    unsafe fn cast<V: Shared, W: Shared>(map: Self::Map<V>) -> Self::Map<W>;
}

/// [`SharedMap`].
#[derive(Debug)]
pub struct Hashed;

impl Sealed for Hashed {}

impl<K: DeltaKey + Hash> MapShape<K> for Hashed {
    type Map<V: Shared> = SharedMap<K, V>;
    type Place = u64;

    fn len<V: Shared>(map: &SharedMap<K, V>) -> usize {
        map.len()
    }

    fn cell<'m, V: Shared>(map: &'m SharedMap<K, V>, key: &K) -> Option<&'m V::Cell> {
        map.get_cell(key)
    }

    fn cell_mut<'m, V: Shared>(
        map: &'m mut SharedMap<K, V>,
        key: &K,
    ) -> Result<Option<&'m mut V::Cell>, HeapFull> {
        map.get_cell_mut(key)
    }

    fn put<V: Shared>(map: &mut SharedMap<K, V>, key: K, cell: V::Cell) -> Result<(), HeapFull> {
        Ok(map.insert_cell(key, cell).map(drop)?)
    }

    fn remove<V: Shared>(map: &mut SharedMap<K, V>, key: &K) -> Result<(), HeapFull> {
        map.remove_entry(key).map(drop)
    }

    fn batch<V: Shared>(
        map: &SharedMap<K, V>,
        place: &u64,
        most: usize,
        see: &mut dyn FnMut(&K, &V::Cell),
    ) -> Result<Option<u64>, HeapFull> {
        let next = map.scan(*place, most, see);
        Ok((next != 0).then_some(next))
    }

    fn twin<V: Shared>(map: &mut SharedMap<K, V>) -> &mut TwinWord {
        map.twin()
    }

    fn rebind<V: Boxed, W: Boxed>(map: SharedMap<K, V>) -> SharedMap<K, W> {
        map.rebind()
    }

    unsafe fn cast<V: Shared, W: Shared>(map: SharedMap<K, V>) -> SharedMap<K, W> {
        // SAFETY: by the caller.
        unsafe { map.cast() }
    }
}

/// [`SharedOrderedMap`].
#[derive(Debug)]
pub struct Ordered;

impl Sealed for Ordered {}

impl<K: DeltaKey + Ord> MapShape<K> for Ordered {
    type Map<V: Shared> = SharedOrderedMap<K, V>;
    /// The last key that was seen.
    type Place = Option<K>;

    fn len<V: Shared>(map: &SharedOrderedMap<K, V>) -> usize {
        map.len()
    }

    fn cell<'m, V: Shared>(map: &'m SharedOrderedMap<K, V>, key: &K) -> Option<&'m V::Cell> {
        map.get_cell(key)
    }

    fn cell_mut<'m, V: Shared>(
        map: &'m mut SharedOrderedMap<K, V>,
        key: &K,
    ) -> Result<Option<&'m mut V::Cell>, HeapFull> {
        map.get_cell_mut(key)
    }

    fn put<V: Shared>(
        map: &mut SharedOrderedMap<K, V>,
        key: K,
        cell: V::Cell,
    ) -> Result<(), HeapFull> {
        Ok(map.insert_cell(key, cell).map(drop)?)
    }

    fn remove<V: Shared>(map: &mut SharedOrderedMap<K, V>, key: &K) -> Result<(), HeapFull> {
        map.remove_entry(key).map(drop)
    }

    fn batch<V: Shared>(
        map: &SharedOrderedMap<K, V>,
        place: &Option<K>,
        most: usize,
        see: &mut dyn FnMut(&K, &V::Cell),
    ) -> Result<Option<Option<K>>, HeapFull> {
        let from = place.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut left = map.range::<K>((from, Bound::Unbounded));
        let mut last = None;
        for (key, cell) in left.by_ref().take(most) {
            see(key, cell);
            last = Some(key);
        }
        match left.next().and(last) {
            Some(key) => Ok(Some(Some(key.copy()?))),
            None => Ok(None),
        }
    }

    fn twin<V: Shared>(map: &mut SharedOrderedMap<K, V>) -> &mut TwinWord {
        map.twin()
    }

    fn rebind<V: Boxed, W: Boxed>(map: SharedOrderedMap<K, V>) -> SharedOrderedMap<K, W> {
        map.rebind()
    }

    unsafe fn cast<V: Shared, W: Shared>(map: SharedOrderedMap<K, V>) -> SharedOrderedMap<K, W> {
        // SAFETY: by the caller.
        unsafe { map.cast() }
    }
}

impl<K: Shared + Ord, V: Shared> Emptied for SharedOrderedMap<K, V> {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        SharedOrderedMap::drop_some(self)
    }
}

impl<K: Shared + Hash + Eq, V: Shared> Emptied for SharedMap<K, V> {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        SharedMap::drop_some(self)
    }
}

impl<T: Shared> Emptied for SharedVec<T> {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        SharedVec::drop_some(self)
    }
}

impl Emptied for VecMarks {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        self.known = 0;
        self.changed.drop_some()
    }
}

impl Emptied for () {
    fn drop_some(&mut self) -> Result<bool, HeapFull> {
        Ok(false)
    }
}
