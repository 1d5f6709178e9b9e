//! What every key can, whatever it holds; and strings.

use super::entry::{Entry, FOREVER, StringHolder, inaccessible};
use super::transaction::{CellOf, Shards, Transaction, ValueOf};
use crate::changes;
use crate::error::StoreError;
use crate::store::{Edit, Keyspace, Kind, Stamp, StringValue, Totals, UnixMs};
use dsu_runtime::heap::Cell;
use dsu_runtime::prelude::*;
use resp::Args;

/// Keys of a shard that are looked at to tell how many have a deadline; a larger shard is estimated.
const SAMPLE: usize = 1000;

impl<S: Shards> Keyspace for Transaction<'_, S> {
    type Value = <ValueOf<S> as StringHolder>::Text;

    fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        match self.value(key)? {
            Some(value) => {
                let text = value.text().ok_or(StoreError::WrongType)?;
                Ok(Some(text.bytes()))
            }
            None => Ok(None),
        }
    }

    fn edit(&mut self, key: &[u8]) -> Result<Option<&mut Self::Value>, StoreError> {
        self.edit_value(key, |value| value.text_mut().ok_or(StoreError::WrongType))
    }

    fn contains(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.read(key)?.is_some())
    }

    fn kind(&mut self, key: &[u8]) -> Result<Option<Kind>, StoreError> {
        let Some(entry) = self.read(key)? else {
            return Ok(None);
        };
        match entry.value() {
            Ok(value) => Ok(Some(value.kind())),
            Err(AccessError::Foreign) => Ok(Some(Kind::FOREIGN)),
            Err(error) => Err(inaccessible(error)),
        }
    }

    fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.renew(key, value)? {
            return Ok(());
        }
        self.put_string(key, value).map(drop)
    }

    fn replace_all(&mut self, pairs: Args<'_>) -> Result<(), StoreError> {
        let mut done = Vec::with_capacity(pairs.len() / 2);
        for at in (0..pairs.len()).step_by(2) {
            match self.put_string(pairs.at(at), pairs.at(at + 1)) {
                Ok(old) => done.push((pairs.at(at), old)),
                Err(error) => {
                    // Backwards, for a key may be named twice.
                    for (key, old) in done.into_iter().rev() {
                        self.put_back(key, old)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let now = self.now;
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        let removed = entries.remove_entry(key)?;
        // That a key whose time was up goes is no change: nobody could see it any more.
        let existed = removed.is_some_and(|(_, cell)| !is_over::<S>(&cell, now));
        if existed {
            changes::note(changes, key);
        }
        Ok(existed)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        if !self.contains(from)? {
            return Ok(false);
        }
        // Everything that can fail comes before the box leaves its place.
        let key = SharedBytes::from_slice(to)?;
        self.entries_mut(to).try_reserve_for(to)?;
        let Some((old_key, cell)) = self.entries_mut(from).remove_entry(from)? else {
            return Ok(false);
        };
        match self.entries_mut(to).insert_cell(key, cell) {
            Ok(_) => {
                self.touch(from);
                self.touch(to);
                Ok(true)
            }
            Err(refused) => {
                let _ = self.entries_mut(from).insert_cell(old_key, refused.cell);
                Err(StoreError::HeapFull)
            }
        }
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        let mut totals = Totals::default();
        for shard in self.locked.held() {
            let entries = S::entries(self.locked.get(shard));
            totals.keys += entries.len() as u64;
            if S::Entry::EXPIRES {
                totals.expires += count_deadlines(entries);
            }
        }
        Ok(totals)
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        for shard in self.locked.held() {
            let (entries, changes) = S::parts(self.locked.get_mut(shard));
            entries.clear();
            if let Some(changes) = changes {
                changes.note_flush();
            }
        }
        Ok(())
    }

    fn random_key(&mut self, chance: u64) -> Result<Option<&[u8]>, StoreError> {
        let mut chance = Chance(chance | 1);
        loop {
            let mut next = chance;
            match self.any_key(&mut next) {
                Some((key, Time::Over)) => {
                    let key = key.to_vec();
                    self.settle(&key)?;
                    chance = next;
                }
                _ => return Ok(self.any_key(&mut chance).map(|(key, _)| key)),
            }
        }
    }

    fn scan(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, StoreError> {
        let now = self.now;
        let entries = S::entries(self.locked.get(shard));
        Ok(walk(entries, cursor, count, |key, cell| {
            if !is_over::<S>(cell, now) {
                visit(key);
            }
        }))
    }

    fn stamp(&mut self, key: &[u8]) -> Result<Option<Stamp>, StoreError> {
        let Some(epoch) = S::epoch(self.cx) else {
            return Ok(None);
        };
        // Asked for with the shard locked: what a worker of another version wrote came before.
        let exists = !matches!(self.read(key), Ok(None));
        let Some(changes) = S::parts(self.locked.of_mut(key)).1 else {
            return Ok(None);
        };
        Ok(Some(changes.stamp(key, epoch, exists)?))
    }

    fn is_to_remove(&self) -> bool {
        !self.over.is_empty()
    }

    fn close_edit(&mut self, edit: Edit) {
        let edited = self.edited.take();
        if let (Edit::Undone, Some((shard, noted))) = (edit, edited)
            && let Some(changes) = S::parts(self.locked.get_mut(shard)).1
        {
            changes.undo(noted);
        }
    }
}

/// xorshift64*: more numbers from one.
#[derive(Clone, Copy)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Whether a key's time is up.
enum Time {
    Left,
    Over,
}

impl<S: Shards> Transaction<'_, S> {
    /// Any key of the locked shards, expired ones included, each with equal probability.
    fn any_key(&self, chance: &mut Chance) -> Option<(&[u8], Time)> {
        let sizes: Vec<(usize, usize)> = self
            .locked
            .held()
            .map(|shard| (shard, S::entries(self.locked.get(shard)).len()))
            .collect();
        let keys: usize = sizes.iter().map(|(_, len)| len).sum();
        let mut place = ((u128::from(chance.next()) * keys as u128) >> 64) as usize;
        let (shard, _) = sizes.iter().find(|(_, len)| {
            let is_here = place < *len;
            place = place.saturating_sub(*len);
            is_here
        })?;
        let entries = S::entries(self.locked.get(*shard));
        let (key, cell) = entries.random(|| chance.next())?;
        let time = match is_over::<S>(cell, self.now) {
            true => Time::Over,
            false => Time::Left,
        };
        Some((key, time))
    }
}

/// Whether the time of an entry is up; not if it cannot be told.
fn is_over<S: Shards>(cell: &CellOf<S>, now: UnixMs) -> bool {
    cell.get().is_ok_and(|entry| entry.is_over(now))
}

/// Cursors of a shard are below this. The map's have 64 bits; the lowest are left away, so that the
/// number of the shard has room in SCAN's.
const CURSORS: u64 = 1 << 56;

/// Scans from a shard's cursor to a later one, or to the end: 0. A place is rounded down, so that keys
/// may be seen again and none is passed over.
pub(super) fn walk<E: Entry>(
    entries: &SharedMap<SharedBytes, E>,
    cursor: u64,
    count: usize,
    mut see: impl FnMut(&SharedBytes, &E::Cell),
) -> u64 {
    // A client may send any number: beyond the last key is the end.
    if cursor >= CURSORS {
        return 0;
    }
    let mut next = cursor << 8;
    loop {
        next = entries.scan(next, count.max(1), &mut see);
        if next == 0 || next >> 8 > cursor {
            return next >> 8;
        }
    }
}

/// How many entries of a locked shard have a deadline: exact up to a thousand keys, an estimate beyond.
fn count_deadlines<E: Entry>(entries: &SharedMap<SharedBytes, E>) -> u64 {
    let (mut seen, mut with_deadline) = (0, 0);
    entries.scan(0, SAMPLE, |_, cell| {
        seen += 1;
        with_deadline += u64::from(
            cell.get()
                .is_ok_and(|entry| entry.expires_at_ms() != FOREVER),
        );
    });
    (with_deadline * entries.len() as u64)
        .checked_div(seen)
        .unwrap_or(0)
}

impl StringValue for SharedBytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn set(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(SharedBytes::set(self, bytes)?)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(SharedBytes::append(self, bytes)?)
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(SharedBytes::write_at(self, offset, bytes)?)
    }
}
