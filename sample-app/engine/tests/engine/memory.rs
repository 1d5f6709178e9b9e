//! A store in private memory that checks what the command layer promises: every key it
//! touches was named when the shards were opened. It can be told to be full or unavailable.

mod room;
mod typed;
mod values;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;

use kv_engine::{
    Edit, Expiring, ExpirySlice, KeySet, Keyspace, Kind, Lifetime, Stamp, Store, StoreError,
    Totals, UnixMs,
};
use resp::Args;

use crate::changes::Changes;
use room::Room;
use values::{Held, Text};

const SHARDS: usize = 16;

/// Ordered by hash, so that a cursor is a hash and stays good while keys come and go.
type Shard = BTreeMap<(u64, Vec<u8>), Entry>;

pub struct Entry {
    value: Held,
    deadline: Option<UnixMs>,
}

#[derive(Default)]
pub struct Memory {
    shards: Vec<Shard>,
    /// What growing operations take from.
    pub room: Room,
    /// Opening fails.
    pub unavailable: bool,
    /// How often shards were opened.
    pub opened: usize,
    pub changes: Changes,
}

impl Memory {
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::new()).collect();
        Self {
            shards,
            ..Self::default()
        }
    }

    /// Puts a value there that no command of these versions can read.
    pub fn put_foreign(&mut self, key: &[u8]) {
        let (shard, place) = place(key);
        let entry = Entry {
            value: Held::Foreign,
            deadline: None,
        };
        self.shards[shard].insert(place, entry);
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn place(key: &[u8]) -> (usize, (u64, Vec<u8>)) {
    let hash = hash_of(key);
    // Never 0, which is where a walk begins; and below 2^56.
    (hash as usize % SHARDS, (hash >> 8 | 1, key.to_vec()))
}

pub struct InMemory;

pub struct Tx<'t> {
    shards: &'t mut [Shard],
    open: [bool; SHARDS],
    changes: &'t mut Changes,
    now: UnixMs,
    room: Room,
}

impl Store for InMemory {
    const SHARDS: usize = SHARDS;
    type Context = Memory;
    type Tx<'t> = Tx<'t>;

    fn shard_of(key: &[u8]) -> usize {
        place(key).0
    }

    fn open<'t>(
        memory: &'t mut Memory,
        keys: KeySet<'_>,
        now: UnixMs,
    ) -> Result<Tx<'t>, StoreError> {
        if memory.unavailable {
            return Err(StoreError::Unavailable("guard SHARDS is poisoned".into()));
        }
        memory.opened += 1;
        memory.changes.close_edit(Edit::Stands);
        let mut open = [false; SHARDS];
        match keys {
            KeySet::One(key) => open[place(key).0] = true,
            KeySet::Many(keys) => keys.iter().for_each(|key| open[place(key).0] = true),
            KeySet::Shard(shard) => open[shard] = true,
            KeySet::Shards(shards) => shards.iter().for_each(|shard| open[shard] = true),
            KeySet::All => open = [true; SHARDS],
        }
        Ok(Tx {
            shards: &mut memory.shards,
            changes: &mut memory.changes,
            open,
            now,
            room: memory.room.clone(),
        })
    }
}

impl Tx<'_> {
    /// The entry of a key, lazily expired.
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let (shard, place) = place(key);
        assert!(self.open[shard], "a key that was not named");
        let now = self.now;
        let shard = &mut self.shards[shard];
        let over = |entry: &Entry| entry.deadline.is_some_and(|deadline| deadline < now);
        if shard.get(&place).is_some_and(over) {
            shard.remove(&place);
        }
        shard.get_mut(&place)
    }

    fn text(&mut self, key: &[u8]) -> Result<Option<&mut Text>, StoreError> {
        match self.entry(key).map(|entry| &mut entry.value) {
            Some(Held::Text(text)) => Ok(Some(text)),
            Some(_) => Err(StoreError::WrongType),
            None => Ok(None),
        }
    }

    /// Makes the key hold this instead.
    fn put(&mut self, key: &[u8], entry: Entry) -> Result<(), StoreError> {
        let (shard, place) = place(key);
        assert!(self.open[shard], "a key that was not named");
        // The new entry is made beside the old one.
        self.room.borrow()?;
        let old = self.shards[shard].get(&place);
        let old = old.map_or(0, |old| old.value.size() + key.len());
        self.room.resize(old, entry.value.size() + key.len())?;
        self.shards[shard].insert(place, entry);
        self.changes.note(key);
        Ok(())
    }
}

impl Keyspace for Tx<'_> {
    type Value = Text;

    fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.text(key)?.map(|text| text.bytes.as_slice()))
    }

    fn edit(&mut self, key: &[u8]) -> Result<Option<&mut Text>, StoreError> {
        if self.text(key)?.is_some() {
            self.changes.note_edit(key);
        }
        self.text(key)
    }

    fn contains(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.entry(key).is_some())
    }

    fn kind(&mut self, key: &[u8]) -> Result<Option<Kind>, StoreError> {
        Ok(self.entry(key).map(|entry| Kind(entry.value.kind())))
    }

    fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.replace_until(key, value, None)
    }

    fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let Some(entry) = self.entry(key) else {
            return Ok(false);
        };
        let size = entry.value.size() + key.len();
        self.room.resize(size, 0)?;
        let (shard, place) = place(key);
        self.shards[shard].remove(&place);
        self.changes.note(key);
        Ok(true)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        if self.entry(from).is_none() {
            return Ok(false);
        }
        self.room.borrow()?;
        let (old, new) = (place(from), place(to));
        assert!(self.open[new.0], "a key that was not named");
        if let Some(entry) = self.shards[old.0].remove(&old.1) {
            self.shards[new.0].insert(new.1, entry);
            self.changes.note(from);
            self.changes.note(to);
        }
        Ok(true)
    }

    fn replace_all(&mut self, pairs: Args<'_>) -> Result<(), StoreError> {
        let needed = pairs.iter().map(<[u8]>::len).sum();
        self.room.resize(0, needed)?;
        self.room.resize(needed, 0)?;
        for at in (0..pairs.len()).step_by(2) {
            self.replace(pairs.at(at), pairs.at(at + 1))?;
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        let mut totals = Totals::default();
        for (shard, _) in self.shards.iter().zip(self.open).filter(|(_, open)| *open) {
            totals.keys += shard.len() as u64;
            let expires = shard.values().filter(|entry| entry.deadline.is_some());
            totals.expires += expires.count() as u64;
        }
        Ok(totals)
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        for (shard, _) in self
            .shards
            .iter_mut()
            .zip(self.open)
            .filter(|(_, open)| *open)
        {
            shard.clear();
        }
        self.changes.note_flush();
        Ok(())
    }

    fn random_key(&mut self, chance: u64) -> Result<Option<&[u8]>, StoreError> {
        assert_eq!(self.open, [true; SHARDS], "any key is a key of any shard");
        let now = self.now;
        let live = |entry: &Entry| entry.deadline.is_none_or(|deadline| deadline >= now);
        let keys = || {
            let all = self.shards.iter().flatten();
            all.filter(|(_, entry)| live(entry))
                .map(|((_, key), _)| key)
        };
        let count = keys().count() as u64;
        if count == 0 {
            return Ok(None);
        }
        Ok(keys().nth((chance % count) as usize).map(Vec::as_slice))
    }

    fn scan(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, StoreError> {
        assert!(self.open[shard], "a shard that was not opened");
        let mut last = 0;
        let from = Bound::Included((cursor, Vec::new()));
        let rest = self.shards[shard].range((from, Bound::Unbounded));
        for (visited, ((hash, key), entry)) in rest.enumerate() {
            if visited >= count && *hash != last {
                return Ok(*hash);
            }
            last = *hash;
            if entry.deadline.is_none_or(|deadline| deadline >= self.now) {
                visit(key);
            }
        }
        Ok(0)
    }

    fn stamp(&mut self, key: &[u8]) -> Result<Option<Stamp>, StoreError> {
        let exists = self.entry(key).is_some();
        Ok(self.changes.stamp(key, exists))
    }

    fn close_edit(&mut self, edit: Edit) {
        self.changes.close_edit(edit);
    }
}

impl Expiring for Tx<'_> {
    fn lifetime(&mut self, key: &[u8]) -> Result<Lifetime, StoreError> {
        Ok(match self.entry(key).map(|entry| entry.deadline) {
            None => Lifetime::Absent,
            Some(None) => Lifetime::Persistent,
            Some(Some(deadline)) => Lifetime::Until(deadline),
        })
    }

    fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> Result<(), StoreError> {
        if let Some(entry) = self.entry(key) {
            entry.deadline = deadline;
            self.changes.note(key);
        }
        Ok(())
    }

    fn replace_until(
        &mut self,
        key: &[u8],
        value: &[u8],
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        let value = Held::Text(Text::new(value, &self.room));
        self.put(key, Entry { value, deadline })
    }

    fn expire_slice(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
    ) -> Result<ExpirySlice, StoreError> {
        let mut keys = Vec::new();
        let next = self.scan_all(shard, cursor, count, &mut keys);
        let before = self.shards[shard].len();
        for key in &keys {
            self.entry(key);
        }
        Ok(ExpirySlice {
            next,
            examined: keys.len(),
            removed: before - self.shards[shard].len(),
        })
    }
}

impl Tx<'_> {
    /// Keys with a deadline, expired ones included.
    fn scan_all(&self, shard: usize, cursor: u64, count: usize, keys: &mut Vec<Vec<u8>>) -> u64 {
        let from = Bound::Included((cursor, Vec::new()));
        let mut last = 0;
        for ((hash, key), entry) in self.shards[shard].range((from, Bound::Unbounded)) {
            if keys.len() >= count && *hash != last {
                return *hash;
            }
            last = *hash;
            if entry.deadline.is_some() {
                keys.push(key.clone());
            }
        }
        0
    }
}
