//! Deadlines.

use super::entry::{Entry, ExpiringEntry, FOREVER, StringHolder};
use super::keyspace::walk;
use super::transaction::{Shards, Transaction, ValueOf, live_mut};
use crate::changes;
use crate::error::StoreError;
use crate::store::{Expiring, ExpirySlice, Lifetime, UnixMs};
use dsu_runtime::heap::Cell;
use dsu_runtime::prelude::*;

/// A deadline as an entry has it.
pub(super) fn in_entry(deadline: Option<UnixMs>) -> u64 {
    deadline.map_or(FOREVER, |deadline| deadline.0)
}

impl<S: Shards<Entry: ExpiringEntry>> Expiring for Transaction<'_, S> {
    fn lifetime(&mut self, key: &[u8]) -> Result<Lifetime, StoreError> {
        let entry = self.read(key)?;
        Ok(match entry.map(Entry::expires_at_ms) {
            None => Lifetime::Absent,
            Some(FOREVER) => Lifetime::Persistent,
            Some(deadline) => Lifetime::Until(UnixMs(deadline)),
        })
    }

    fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> Result<(), StoreError> {
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        if let Some(entry) = live_mut::<S>(entries, key, self.now, &mut self.over)? {
            entry.set_expires_at_ms(in_entry(deadline));
            changes::note(changes, key);
        }
        Ok(())
    }

    fn replace_until(
        &mut self,
        key: &[u8],
        value: &[u8],
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        let value = ValueOf::<S>::of_bytes(SharedBytes::from_slice(value)?);
        let mut entry = S::Entry::new(value)?;
        entry.set_expires_at_ms(in_entry(deadline));
        self.put(key, entry).map(drop)
    }

    fn expire_slice(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
    ) -> Result<ExpirySlice, StoreError> {
        let now = self.now;
        let mut slice = ExpirySlice::default();
        let mut over = Vec::new();
        // Most keys may have no deadline: those are passed over at no price but the look.
        let entries = S::entries(self.locked.get(shard));
        slice.next = walk(entries, cursor, count * 10, |key, cell| {
            if let Ok(entry) = cell.get()
                && entry.expires_at_ms() != FOREVER
            {
                slice.examined += 1;
                if entry.is_over(now) {
                    over.push(key.to_vec());
                }
            }
        });
        for key in over {
            if S::entries_mut(self.locked.get_mut(shard))
                .remove_entry(key.as_slice())?
                .is_some()
            {
                slice.removed += 1;
            }
        }
        Ok(slice)
    }
}
