//! A version's shards, and what every operation on them is made of.

use super::entry::{Entry, StringHolder, inaccessible};
use super::locked::Locked;
use super::place::SHARDS;
use crate::ahead::{self, Wanted};
use crate::error::StoreError;
use crate::store::{KeySet, Store, UnixMs};
use dsu_runtime::heap::Cell;
use dsu_runtime::prelude::*;
use std::marker::PhantomData;
use std::mem;

/// A version's shards.
pub trait Shards: 'static {
    /// The items behind each lock.
    type Items: 'static;
    /// What a key holds.
    type Entry: Entry;

    /// The locks.
    fn guards() -> &'static GuardFamily<Self::Items, SHARDS>;

    /// The entries among the items.
    fn entries(items: &Self::Items) -> &SharedMap<SharedBytes, Self::Entry>;

    /// The entries among the items.
    fn entries_mut(items: &mut Self::Items) -> &mut SharedMap<SharedBytes, Self::Entry>;
}

/// The cell of an entry.
pub(super) type CellOf<S> = <<S as Shards>::Entry as Shared>::Cell;

/// The value of an entry.
pub(super) type ValueOf<S> = <<S as Shards>::Entry as Entry>::Value;

/// The store of a version: [`Shards`] under [`Store`]'s rules.
pub struct ShardedStore<S>(PhantomData<S>);

impl<S: Shards> Store for ShardedStore<S> {
    const SHARDS: usize = SHARDS;
    type Context = Worker;
    type Tx<'t> = Transaction<'t, S>;

    fn prefetch(cx: &mut Worker, wanted: &[Wanted<'_>]) {
        ahead::prefetch::<S>(cx, wanted);
    }

    fn open<'t>(
        cx: &'t mut Worker,
        keys: KeySet<'_>,
        now: UnixMs,
    ) -> Result<Transaction<'t, S>, StoreError> {
        Ok(Transaction {
            locked: Locked::all_of(cx, keys)?,
            now,
            over: Vec::new(),
        })
    }
}

/// Locked shards.
pub struct Transaction<'t, S: Shards> {
    pub(super) locked: Locked<'t, S>,
    pub(super) now: UnixMs,
    /// Keys that were met after their time, to be removed at the end.
    pub(super) over: Vec<Vec<u8>>,
}

impl<S: Shards> Transaction<'_, S> {
    /// The entries of a key's shard, to change: what no other way leads to.
    pub(super) fn entries_mut(&mut self, key: &[u8]) -> &mut SharedMap<SharedBytes, S::Entry> {
        S::entries_mut(self.locked.of_mut(key))
    }

    /// The entry, unless its time is up.
    pub(super) fn read(&mut self, key: &[u8]) -> Result<Option<&S::Entry>, StoreError> {
        let entry = S::entries(self.locked.of(key)).get(key);
        match entry.map_err(inaccessible)? {
            Some(entry) if entry.is_over(self.now) => {
                self.over.push(key.to_vec());
                Ok(None)
            }
            entry => Ok(entry),
        }
    }

    /// The value, unless the key's time is up.
    pub(super) fn value(&mut self, key: &[u8]) -> Result<Option<&ValueOf<S>>, StoreError> {
        let entry = self.read(key)?;
        entry.map(Entry::value).transpose().map_err(inaccessible)
    }

    /// The entry to edit, unless its time is up.
    pub(super) fn edit_entry(&mut self, key: &[u8]) -> Result<Option<&mut S::Entry>, StoreError> {
        let entry = S::entries_mut(self.locked.of_mut(key)).get_mut(key);
        match entry.map_err(inaccessible)? {
            Some(entry) if entry.is_over(self.now) => {
                self.over.push(key.to_vec());
                Ok(None)
            }
            entry => Ok(entry),
        }
    }

    /// The value to edit, unless the key's time is up.
    pub(super) fn edit_value(&mut self, key: &[u8]) -> Result<Option<&mut ValueOf<S>>, StoreError> {
        let entry = self.edit_entry(key)?;
        entry
            .map(Entry::value_mut)
            .transpose()
            .map_err(inaccessible)
    }

    /// Removes the entry if its time is up.
    pub(super) fn settle(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if !S::Entry::EXPIRES {
            return Ok(());
        }
        let now = self.now;
        let entry = S::entries(self.locked.of(key)).get(key);
        if entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.is_over(now))) {
            self.entries_mut(key).remove_entry(key)?;
        }
        Ok(())
    }

    /// Puts an entry in; the cell that it takes the place of.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        entry: S::Entry,
    ) -> Result<Option<CellOf<S>>, StoreError> {
        let entries = self.entries_mut(key);
        let cell = CellOf::<S>::new(entry)?;
        // An old box is replaced where it is, so that no key has to be made.
        if let Some(old) = entries.get_cell_mut(key)? {
            return Ok(Some(mem::replace(old, cell)));
        }
        let added = entries.insert_cell(SharedBytes::from_slice(key)?, cell);
        added.map_err(|_| StoreError::HeapFull)
    }

    /// Overwrites an entry that only this version knows of where it is; false if that cannot be.
    pub(super) fn renew(&mut self, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        match self
            .entries_mut(key)
            .get_cell_mut(key)?
            .and_then(Cell::plain_mut)
        {
            Some(entry) => Ok(entry.renew(value)?),
            None => Ok(false),
        }
    }

    /// As [`put`](Self::put), a new entry with this string.
    pub(super) fn put_string(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<CellOf<S>>, StoreError> {
        let value = ValueOf::<S>::of_bytes(SharedBytes::from_slice(value)?);
        self.put(key, S::Entry::new(value)?)
    }

    /// Undoes a `put`. Nothing here allocates.
    pub(super) fn put_back(
        &mut self,
        key: &[u8],
        old: Option<CellOf<S>>,
    ) -> Result<(), StoreError> {
        let entries = self.entries_mut(key);
        match old {
            Some(old) => {
                if let Some(cell) = entries.get_cell_mut(key)? {
                    *cell = old;
                }
            }
            None => drop(entries.remove_entry(key)?),
        }
        Ok(())
    }
}

impl<S: Shards> Drop for Transaction<'_, S> {
    fn drop(&mut self) {
        for key in mem::take(&mut self.over) {
            // What cannot be removed now is met again.
            let _ = self.settle(&key);
        }
    }
}
