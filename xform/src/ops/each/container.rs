//! What `each` lenses need of a container: to be taken apart, and to be built anew.
//!
//! Owns the two traits and their implementations for the standard library's containers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use crate::LensError;

/// An ordered collection that can be taken apart and built anew.
pub trait Sequence: Sized {
    /// What it holds.
    type Item;

    /// An empty sequence with room for `items`.
    ///
    /// # Errors
    /// `NoRoom` if the memory cannot be had.
    fn with_room(items: usize) -> Result<Self, LensError>;

    /// How many items there are.
    fn count(&self) -> usize;

    /// Puts an item at the end.
    ///
    /// # Errors
    /// `NoRoom` if the sequence cannot grow.
    fn append(&mut self, item: Self::Item) -> Result<(), LensError>;

    /// The items, first to last.
    fn items(&self) -> impl Iterator<Item = &Self::Item>;

    /// Takes the sequence apart, first item first.
    fn into_items(self) -> impl Iterator<Item = Self::Item>;
}

/// A collection of values under unique keys that can be taken apart and built anew.
pub trait Map: Sized {
    /// What a value is found by.
    type Key;
    /// What is found.
    type Value;

    /// An empty map with room for `entries`.
    ///
    /// # Errors
    /// `NoRoom` if the memory cannot be had.
    fn with_room(entries: usize) -> Result<Self, LensError>;

    /// How many entries there are.
    fn count(&self) -> usize;

    /// Puts `value` under `key`, which is not in the map yet.
    ///
    /// # Errors
    /// `NoRoom` if the map cannot grow.
    fn add(&mut self, key: Self::Key, value: Self::Value) -> Result<(), LensError>;

    /// Takes the value under `key` out of the map.
    fn take(&mut self, key: &Self::Key) -> Option<Self::Value>;

    /// The values, in the map's own order.
    fn values(&self) -> impl Iterator<Item = &Self::Value>;

    /// Takes the map apart, in its own order.
    fn into_entries(self) -> impl Iterator<Item = (Self::Key, Self::Value)>;
}

fn no_room<E>(_: E) -> LensError {
    LensError::no_room("no memory for the converted collection")
}

impl<T> Sequence for Vec<T> {
    type Item = T;

    fn with_room(items: usize) -> Result<Self, LensError> {
        let mut all = Vec::new();
        all.try_reserve_exact(items).map_err(no_room)?;
        Ok(all)
    }

    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn append(&mut self, item: T) -> Result<(), LensError> {
        if self.len() == self.capacity() {
            self.try_reserve(1).map_err(no_room)?;
        }
        self.push(item);
        Ok(())
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.iter()
    }

    fn into_items(self) -> impl Iterator<Item = T> {
        self.into_iter()
    }
}

impl<T> Sequence for VecDeque<T> {
    type Item = T;

    fn with_room(items: usize) -> Result<Self, LensError> {
        let mut all = VecDeque::new();
        all.try_reserve_exact(items).map_err(no_room)?;
        Ok(all)
    }

    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn append(&mut self, item: T) -> Result<(), LensError> {
        self.try_reserve(1).map_err(no_room)?;
        self.push_back(item);
        Ok(())
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.iter()
    }

    fn into_items(self) -> impl Iterator<Item = T> {
        self.into_iter()
    }
}

/// A sequence of at most one.
impl<T> Sequence for Option<T> {
    type Item = T;

    fn with_room(items: usize) -> Result<Self, LensError> {
        if items > 1 {
            return Err(LensError::unrepresentable(
                "more than one value for an option",
            ));
        }
        Ok(None)
    }

    fn count(&self) -> usize {
        usize::from(self.is_some())
    }

    #[inline]
    fn append(&mut self, item: T) -> Result<(), LensError> {
        Self::with_room(self.count() + 1)?;
        *self = Some(item);
        Ok(())
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.iter()
    }

    fn into_items(self) -> impl Iterator<Item = T> {
        self.into_iter()
    }
}

impl<K: Ord, V> Map for BTreeMap<K, V> {
    type Key = K;
    type Value = V;

    fn with_room(_: usize) -> Result<Self, LensError> {
        Ok(BTreeMap::new())
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn add(&mut self, key: K, value: V) -> Result<(), LensError> {
        self.insert(key, value);
        Ok(())
    }

    fn take(&mut self, key: &K) -> Option<V> {
        self.remove(key)
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.values()
    }

    fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.into_iter()
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Map for HashMap<K, V, S> {
    type Key = K;
    type Value = V;

    fn with_room(entries: usize) -> Result<Self, LensError> {
        let mut all = HashMap::with_hasher(S::default());
        all.try_reserve(entries).map_err(no_room)?;
        Ok(all)
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn add(&mut self, key: K, value: V) -> Result<(), LensError> {
        self.try_reserve(1).map_err(no_room)?;
        self.insert(key, value);
        Ok(())
    }

    fn take(&mut self, key: &K) -> Option<V> {
        self.remove(key)
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.values()
    }

    fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.into_iter()
    }
}
