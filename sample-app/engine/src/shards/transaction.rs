//! A version's shards, and what every operation on them is made of.

use super::entry::{Entry, StringHolder, inaccessible};
use super::locked::Locked;
use super::place::{SHARDS, shard_of};
use crate::ahead::{self, Wanted};
use crate::changes::{self, Changes, Noted};
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

    /// The entries and, in a version with WATCH, where their changes are noted.
    fn parts(
        items: &mut Self::Items,
    ) -> (
        &mut SharedMap<SharedBytes, Self::Entry>,
        Option<&mut Changes>,
    ) {
        (Self::entries_mut(items), None)
    }

    /// A number that is another once a worker that notes no changes may have run; `None` while one
    /// may (R12).
    fn epoch(_cx: &Worker) -> Option<u64> {
        None
    }
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

    fn shard_of(key: &[u8]) -> usize {
        shard_of(key)
    }

    fn prefetch(cx: &mut Worker, wanted: &[Wanted<'_>]) {
        ahead::prefetch::<S>(cx, wanted);
    }

    fn open<'t>(
        cx: &'t mut Worker,
        keys: KeySet<'_>,
        now: UnixMs,
    ) -> Result<Transaction<'t, S>, StoreError> {
        let cx: &'t Worker = cx;
        Ok(Transaction {
            cx,
            locked: Locked::all_of(cx, keys)?,
            now,
            over: Vec::new(),
            edited: None,
        })
    }
}

/// Locked shards.
pub struct Transaction<'t, S: Shards> {
    pub(super) cx: &'t Worker,
    pub(super) locked: Locked<'t, S>,
    pub(super) now: UnixMs,
    /// Keys that were met after their time, to be removed at the end.
    pub(super) over: Vec<Vec<u8>>,
    /// What the last edit has noted, to be undone if it turns out to be none.
    pub(super) edited: Option<(usize, Noted)>,
}

impl<S: Shards> Transaction<'_, S> {
    /// The entries of a key's shard, to change. Whoever does [touches](Self::touch) the key.
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

    /// Notes a change of the key.
    pub(super) fn touch(&mut self, key: &[u8]) {
        changes::note(S::parts(self.locked.of_mut(key)).1, key);
    }

    /// A part of the value to edit, unless the key's time is up. That is noted as a change, until
    /// [`close_edit`](crate::Keyspace::close_edit) says otherwise.
    #[inline]
    pub(super) fn edit_value<R>(
        &mut self,
        key: &[u8],
        part: impl FnOnce(&mut ValueOf<S>) -> Result<&mut R, StoreError>,
    ) -> Result<Option<&mut R>, StoreError> {
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        let entry = live_mut::<S>(entries, key, self.now, &mut self.over)?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        // Noted once it has succeeded: a command with two edits whose second fails undoes the first.
        let part = part(entry.value_mut().map_err(inaccessible)?)?;
        self.edited = changes::note(changes, key).map(|noted| (shard_of(key), noted));
        Ok(Some(part))
    }

    /// Removes the keys that were met after their time. What cannot be removed now is met again.
    #[cold]
    fn remove_over(&mut self) {
        for key in mem::take(&mut self.over) {
            let _ = self.settle(&key);
        }
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
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        let cell = CellOf::<S>::new(entry)?;
        // An old box is replaced where it is, so that no key has to be made.
        let old = if let Some(old) = entries.get_cell_mut(key)? {
            Some(mem::replace(old, cell))
        } else {
            let added = entries.insert_cell(SharedBytes::from_slice(key)?, cell);
            added.map_err(|_| StoreError::HeapFull)?
        };
        changes::note(changes, key);
        Ok(old)
    }

    /// Overwrites an entry that only this version knows of where it is; false if that cannot be.
    pub(super) fn renew(&mut self, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        let renewed = match entries.get_cell_mut(key)?.and_then(Cell::plain_mut) {
            Some(entry) => entry.renew(value)?,
            None => false,
        };
        if renewed {
            changes::note(changes, key);
        }
        Ok(renewed)
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

/// The entry to edit; a key whose time is up is put on the list of those.
#[inline]
pub(super) fn live_mut<'e, S: Shards>(
    entries: &'e mut SharedMap<SharedBytes, S::Entry>,
    key: &[u8],
    now: UnixMs,
    over: &mut Vec<Vec<u8>>,
) -> Result<Option<&'e mut S::Entry>, StoreError> {
    let entry = entries.get_mut(key).map_err(inaccessible)?;
    if entry.as_ref().is_some_and(|entry| entry.is_over(now)) {
        over.push(key.to_vec());
        return Ok(None);
    }
    Ok(entry)
}

impl<S: Shards> Drop for Transaction<'_, S> {
    #[inline]
    fn drop(&mut self) {
        if !self.over.is_empty() {
            self.remove_over();
        }
    }
}
