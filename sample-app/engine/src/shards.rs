//! The store over guarded shards, for whatever entry a version has.
//!
//! Owns where a key lies, which locks a command takes, and what each operation does to a box: a
//! `replace` makes a new one, an `edit` keeps it, a `rename` moves it (so complements, and with them what
//! only another version knows of an entry, follow Redis's own rules). Never knows what an entry holds.

use crate::ahead;
use crate::error::StoreError;
use crate::store::{
    Expiring, ExpirySlice, KeySet, Keyspace, Kind, Lifetime, Store, StringValue, Totals, UnixMs,
};
use dsu_runtime::heap::Cell;
use dsu_runtime::prelude::*;
use resp::Args;
use std::marker::PhantomData;
use std::mem;

/// Shards of every version; a key's place must never change.
pub const SHARDS: usize = 16;

/// Keys of a shard that are looked at to tell how many have a deadline; a larger shard is estimated.
const SAMPLE: usize = 1000;

/// The shard that `key` lies in: FNV-1a's step over words of eight bytes, folded. Fixed for all versions.
pub fn shard_of(key: &[u8]) -> usize {
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 32)
    };
    let (words, rest) = key.as_chunks::<8>();
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    let hash = words
        .iter()
        .chain([&tail])
        .fold(key.len() as u64, |hash, word| {
            step(hash, u64::from_le_bytes(*word))
        });
    (hash >> 28) as usize % SHARDS
}

/// A version's shards.
pub trait Shards: 'static {
    /// The items behind each lock.
    type Items: 'static;
    /// What a key holds.
    type Entry: StringEntry;

    /// The locks.
    fn guards() -> &'static GuardFamily<Self::Items, SHARDS>;

    /// The entries among the items.
    fn entries(items: &Self::Items) -> &SharedMap<SharedBytes, Self::Entry>;

    /// The entries among the items.
    fn entries_mut(items: &mut Self::Items) -> &mut SharedMap<SharedBytes, Self::Entry>;
}

/// An entry that holds a string.
pub trait StringEntry: Shared {
    /// A new entry, without a deadline.
    ///
    /// # Errors
    /// `HeapFull`.
    fn new(bytes: SharedBytes) -> Result<Self, HeapFull>;

    /// The string.
    ///
    /// # Errors
    /// See [`AccessError`].
    fn bytes(&self) -> Result<&SharedBytes, AccessError>;

    /// The string, to edit.
    ///
    /// # Errors
    /// See [`AccessError`].
    fn bytes_mut(&mut self) -> Result<&mut SharedBytes, AccessError>;

    /// Becomes what [`new`](Self::new) would make, in place; false, and nothing is changed, where
    /// another version may know more of the entry or of what it holds (R6).
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn renew(&mut self, bytes: &[u8]) -> Result<bool, HeapFull>;

    /// Asks the processor for a part's memory; each part is near once the one before it has come.
    fn prefetch_part(&self, part: Foretold);

    /// Whether entries of this version can have a deadline.
    const EXPIRES: bool = false;

    /// Whether it has a deadline.
    fn has_deadline(&self) -> bool {
        false
    }

    /// Whether its time is up.
    fn is_over(&self, _now: UnixMs) -> bool {
        false
    }
}

/// A part of an entry that is asked for before it is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foretold {
    /// What the entry itself refers to.
    Value,
    /// What the value refers to.
    Bytes,
}

/// An entry that can have a deadline.
pub trait ExpiringEntry: StringEntry {
    /// Its deadline.
    fn deadline(&self) -> Option<UnixMs>;

    /// Gives it one, or none.
    fn set_deadline(&mut self, deadline: Option<UnixMs>);
}

type CellOf<S> = <<S as Shards>::Entry as Shared>::Cell;

/// The store of a version: [`Shards`] under [`Store`]'s rules.
pub struct ShardedStore<S>(PhantomData<S>);

impl<S: Shards> Store for ShardedStore<S> {
    const SHARDS: usize = SHARDS;
    type Context = Worker;
    type Tx<'t> = Transaction<'t, S>;

    fn prefetch(cx: &mut Worker, keys: &[&[u8]]) {
        ahead::prefetch::<S>(cx, keys);
    }

    fn open<'t>(
        cx: &'t mut Worker,
        keys: KeySet<'_>,
        now: UnixMs,
    ) -> Result<Transaction<'t, S>, StoreError> {
        let cx: &'t Worker = cx;
        let locked = match keys {
            KeySet::One(key) => Locked::one(cx, shard_of(key))?,
            KeySet::Shard(shard) => Locked::one(cx, shard)?,
            KeySet::Many(keys) => Locked::Many(
                S::guards()
                    .lock_many(cx, keys.iter().map(shard_of))
                    .map_err(refused)?,
            ),
            KeySet::All => Locked::Many(S::guards().lock_many(cx, 0..SHARDS).map_err(refused)?),
        };
        Ok(Transaction {
            locked,
            now,
            over: Vec::new(),
        })
    }
}

fn refused(error: LockError) -> StoreError {
    match error {
        LockError::HeapFull => StoreError::HeapFull,
        error => StoreError::Unavailable(error.to_string().into()),
    }
}

fn inaccessible(error: AccessError) -> StoreError {
    match error {
        AccessError::Foreign => StoreError::WrongType,
        AccessError::HeapFull => StoreError::HeapFull,
        error => StoreError::Unavailable(error.to_string().into()),
    }
}

fn full(_: HeapFull) -> StoreError {
    StoreError::HeapFull
}

#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one command"
)]
enum Locked<'t, S: Shards> {
    One(usize, Guard<'t, S::Items>),
    Many([Option<Guard<'t, S::Items>>; SHARDS]),
}

impl<'t, S: Shards> Locked<'t, S> {
    fn one(cx: &'t Worker, shard: usize) -> Result<Self, StoreError> {
        Ok(Locked::One(
            shard,
            S::guards()[shard].lock(cx).map_err(refused)?,
        ))
    }

    fn get(&self, shard: usize) -> &S::Items {
        match self {
            Locked::One(locked, guard) if *locked == shard => guard,
            Locked::Many(guards) => guards[shard]
                .as_ref()
                .expect("the shard of a named key is locked"),
            Locked::One(..) => panic!("the shard of a key that was not named is not locked"),
        }
    }

    fn get_mut(&mut self, shard: usize) -> &mut S::Items {
        match self {
            Locked::One(locked, guard) if *locked == shard => guard,
            Locked::Many(guards) => guards[shard]
                .as_mut()
                .expect("the shard of a named key is locked"),
            Locked::One(..) => panic!("the shard of a key that was not named is not locked"),
        }
    }

    /// The items that a named key belongs to. A single lock was found by its key: no need to hash again.
    fn of(&self, key: &[u8]) -> &S::Items {
        match self {
            Locked::One(shard, guard) => {
                debug_assert_eq!(*shard, shard_of(key), "a key that was not named");
                guard
            }
            Locked::Many(_) => self.get(shard_of(key)),
        }
    }

    fn of_mut(&mut self, key: &[u8]) -> &mut S::Items {
        match self {
            Locked::One(shard, guard) => {
                debug_assert_eq!(*shard, shard_of(key), "a key that was not named");
                guard
            }
            Locked::Many(_) => self.get_mut(shard_of(key)),
        }
    }

    fn held(&self) -> impl Iterator<Item = usize> + use<S> {
        let held: [bool; SHARDS] = std::array::from_fn(|shard| match self {
            Locked::One(locked, _) => *locked == shard,
            Locked::Many(guards) => guards[shard].is_some(),
        });
        (0..SHARDS).filter(move |shard| held[*shard])
    }
}

/// Locked shards.
pub struct Transaction<'t, S: Shards> {
    locked: Locked<'t, S>,
    now: UnixMs,
    /// Keys that were met after their time, to be removed at the end.
    over: Vec<Vec<u8>>,
}

impl<S: Shards> Transaction<'_, S> {
    fn entries(&self, key: &[u8]) -> &SharedMap<SharedBytes, S::Entry> {
        S::entries(self.locked.of(key))
    }

    fn entries_mut(&mut self, key: &[u8]) -> &mut SharedMap<SharedBytes, S::Entry> {
        S::entries_mut(self.locked.of_mut(key))
    }

    /// The entry, unless its time is up.
    fn live(&self, key: &[u8]) -> Result<Option<&S::Entry>, StoreError> {
        let entry = self.entries(key).get(key).map_err(inaccessible)?;
        Ok(entry.filter(|entry| !entry.is_over(self.now)))
    }

    /// Removes the entry if its time is up, so that an operation on the box meets a live one.
    fn settle(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if !S::Entry::EXPIRES {
            return Ok(());
        }
        let now = self.now;
        let is_over = self
            .entries(key)
            .get(key)
            .is_ok_and(|entry| entry.is_some_and(|e| e.is_over(now)));
        if is_over {
            self.entries_mut(key).remove_entry(key).map_err(full)?;
        }
        Ok(())
    }

    /// Puts an entry in; the cell that it takes the place of.
    fn put(&mut self, key: &[u8], entry: S::Entry) -> Result<Option<CellOf<S>>, StoreError> {
        let entries = self.entries_mut(key);
        let cell = CellOf::<S>::new(entry).map_err(full)?;
        // An old box is replaced where it is, so that no key has to be made.
        if let Some(old) = entries.get_cell_mut(key).map_err(full)? {
            return Ok(Some(mem::replace(old, cell)));
        }
        entries
            .insert_cell(SharedBytes::from_slice(key).map_err(full)?, cell)
            .map_err(|_| StoreError::HeapFull)
    }

    /// Overwrites an entry that only this version knows of where it is; false if that cannot be.
    fn renew(&mut self, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let cell = self.entries_mut(key).get_cell_mut(key).map_err(full)?;
        match cell.and_then(Cell::plain_mut) {
            Some(entry) => entry.renew(value).map_err(full),
            None => Ok(false),
        }
    }

    fn put_string(&mut self, key: &[u8], value: &[u8]) -> Result<Option<CellOf<S>>, StoreError> {
        let bytes = SharedBytes::from_slice(value).map_err(full)?;
        self.put(key, S::Entry::new(bytes).map_err(full)?)
    }

    /// Undoes a `put`. Nothing here allocates.
    fn put_back(&mut self, key: &[u8], old: Option<CellOf<S>>) -> Result<(), StoreError> {
        let entries = self.entries_mut(key);
        match old {
            Some(old) => {
                if let Some(cell) = entries.get_cell_mut(key).map_err(full)? {
                    *cell = old;
                }
            }
            None => drop(entries.remove_entry(key).map_err(full)?),
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

impl<S: Shards> Keyspace for Transaction<'_, S> {
    type Value = SharedBytes;

    fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let now = self.now;
        let entries = S::entries(self.locked.of(key));
        match entries.get(key).map_err(inaccessible)? {
            Some(entry) if entry.is_over(now) => {
                self.over.push(key.to_vec());
                Ok(None)
            }
            Some(entry) => Ok(Some(entry.bytes().map_err(inaccessible)?)),
            None => Ok(None),
        }
    }

    fn edit(&mut self, key: &[u8]) -> Result<Option<&mut SharedBytes>, StoreError> {
        self.settle(key)?;
        match self.entries_mut(key).get_mut(key).map_err(inaccessible)? {
            Some(entry) => Ok(Some(entry.bytes_mut().map_err(inaccessible)?)),
            None => Ok(None),
        }
    }

    fn contains(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        self.settle(key)?;
        Ok(self.entries(key).contains(key))
    }

    fn kind(&mut self, key: &[u8]) -> Result<Option<Kind>, StoreError> {
        Ok(self.live(key)?.map(|_| Kind::STRING))
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
        self.settle(key)?;
        Ok(self
            .entries_mut(key)
            .remove_entry(key)
            .map_err(full)?
            .is_some())
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        self.settle(from)?;
        if !self.entries(from).contains(from) {
            return Ok(false);
        }
        // Everything that can fail comes before the box leaves its place.
        let key = SharedBytes::from_slice(to).map_err(full)?;
        self.entries_mut(to).try_reserve_for(to).map_err(full)?;
        let Some((old_key, cell)) = self.entries_mut(from).remove_entry(from).map_err(full)? else {
            return Ok(false);
        };
        match self.entries_mut(to).insert_cell(key, cell) {
            Ok(_) => Ok(true),
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
            S::entries_mut(self.locked.get_mut(shard)).clear();
        }
        Ok(())
    }

    fn random_key(&mut self, chance: u64) -> Result<Option<&[u8]>, StoreError> {
        let sizes: Vec<(usize, usize)> = self
            .locked
            .held()
            .map(|shard| (shard, S::entries(self.locked.get(shard)).len()))
            .collect();
        let keys: usize = sizes.iter().map(|(_, len)| len).sum();
        if keys == 0 {
            return Ok(None);
        }
        let mut place = ((u128::from(chance) * keys as u128) >> 64) as usize;
        let mut state = chance | 1;
        let shard = sizes.iter().find(|(_, len)| {
            let is_here = place < *len;
            place = place.saturating_sub(*len);
            is_here
        });
        let Some((shard, _)) = shard else {
            return Ok(None);
        };
        let entries = S::entries(self.locked.get(*shard));
        let picked = entries.random(|| {
            // xorshift64*: the map asks for more than one number.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        });
        Ok(picked.map(|(key, _)| key.as_slice()))
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
            if !cell.get().is_ok_and(|entry| entry.is_over(now)) {
                visit(key);
            }
        }))
    }
}

/// Cursors of a shard are below this. The map's have 64 bits; the lowest are left away, so that the
/// number of the shard has room in SCAN's.
const CURSORS: u64 = 1 << 56;

/// Scans from a shard's cursor to a later one, or to the end: 0. A place is rounded down, so that keys
/// may be seen again and none is passed over.
fn walk<E: StringEntry>(
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

impl<S: Shards<Entry: ExpiringEntry>> Expiring for Transaction<'_, S> {
    fn lifetime(&mut self, key: &[u8]) -> Result<Lifetime, StoreError> {
        self.settle(key)?;
        Ok(match self.live(key)? {
            None => Lifetime::Absent,
            Some(entry) => entry
                .deadline()
                .map_or(Lifetime::Persistent, Lifetime::Until),
        })
    }

    fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> Result<(), StoreError> {
        self.settle(key)?;
        if let Some(entry) = self.entries_mut(key).get_mut(key).map_err(inaccessible)? {
            entry.set_deadline(deadline);
        }
        Ok(())
    }

    fn replace_until(
        &mut self,
        key: &[u8],
        value: &[u8],
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        let bytes = SharedBytes::from_slice(value).map_err(full)?;
        let mut entry = S::Entry::new(bytes).map_err(full)?;
        entry.set_deadline(deadline);
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
                && entry.deadline().is_some()
            {
                slice.examined += 1;
                if entry.is_over(now) {
                    over.push(key.to_vec());
                }
            }
        });
        for key in over {
            if S::entries_mut(self.locked.get_mut(shard))
                .remove_entry(key.as_slice())
                .map_err(full)?
                .is_some()
            {
                slice.removed += 1;
            }
        }
        Ok(slice)
    }
}

/// How many entries of a locked shard have a deadline: exact up to a thousand keys, an estimate beyond.
fn count_deadlines<E: StringEntry>(entries: &SharedMap<SharedBytes, E>) -> u64 {
    let (mut seen, mut with_deadline) = (0, 0);
    entries.scan(0, SAMPLE, |_, cell| {
        seen += 1;
        with_deadline += u64::from(cell.get().is_ok_and(StringEntry::has_deadline));
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
        SharedBytes::set(self, bytes).map_err(full)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        SharedBytes::append(self, bytes).map_err(full)
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        SharedBytes::write_at(self, offset, bytes).map_err(full)
    }
}
