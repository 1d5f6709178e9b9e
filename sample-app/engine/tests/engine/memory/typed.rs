//! Lists and hashes in the store in private memory.

use kv_engine::{StoreError, Typed};

use super::values::{Hash, Held, List};
use super::{Entry, Tx, place};

impl Tx<'_> {
    fn held(&mut self, key: &[u8]) -> Option<&mut Held> {
        self.entry(key).map(|entry| &mut entry.value)
    }

    /// What the key holds, or else what `new` is.
    fn held_or(&mut self, key: &[u8], new: impl FnOnce(&Self) -> Held) -> &mut Held {
        if self.entry(key).is_none() {
            let (shard, place) = place(key);
            let value = new(self);
            let deadline = None;
            self.shards[shard].insert(place, Entry { value, deadline });
        }
        self.held(key).expect("it was made just now")
    }
}

fn as_list(held: &mut Held) -> Result<&mut List, StoreError> {
    match held {
        Held::List(list) => Ok(list),
        _ => Err(StoreError::WrongType),
    }
}

fn as_hash(held: &mut Held) -> Result<&mut Hash, StoreError> {
    match held {
        Held::Hash(hash) => Ok(hash),
        _ => Err(StoreError::WrongType),
    }
}

impl Typed for Tx<'_> {
    type List = List;
    type Hash = Hash;

    fn list(&mut self, key: &[u8]) -> Result<Option<&List>, StoreError> {
        let list = self.held(key).map(as_list).transpose()?;
        Ok(list.map(|list| &*list))
    }

    fn edit_list(&mut self, key: &[u8]) -> Result<Option<&mut List>, StoreError> {
        if self.list(key)?.is_some() {
            self.changes.note_edit(key);
        }
        self.held(key).map(as_list).transpose()
    }

    fn list_or_new(&mut self, key: &[u8]) -> Result<&mut List, StoreError> {
        self.list(key)?;
        self.changes.note_edit(key);
        as_list(self.held_or(key, |tx| Held::List(List::new(&tx.room))))
    }

    fn hash(&mut self, key: &[u8]) -> Result<Option<&Hash>, StoreError> {
        let hash = self.held(key).map(as_hash).transpose()?;
        Ok(hash.map(|hash| &*hash))
    }

    fn edit_hash(&mut self, key: &[u8]) -> Result<Option<&mut Hash>, StoreError> {
        if self.hash(key)?.is_some() {
            self.changes.note_edit(key);
        }
        self.held(key).map(as_hash).transpose()
    }

    fn hash_or_new(&mut self, key: &[u8]) -> Result<&mut Hash, StoreError> {
        self.hash(key)?;
        self.changes.note_edit(key);
        as_hash(self.held_or(key, |tx| Held::Hash(Hash::new(&tx.room))))
    }

    fn settle_empty(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if self.held(key).is_some_and(|held| held.is_empty()) {
            let (shard, place) = place(key);
            self.shards[shard].remove(&place);
            self.changes.note(key);
        }
        Ok(())
    }

    fn copy(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        let Some(entry) = self.entry(from) else {
            return Ok(false);
        };
        let value = match &entry.value {
            Held::Text(text) => Held::Text(text.clone()),
            Held::List(list) => Held::List(list.clone()),
            Held::Hash(hash) => Held::Hash(hash.clone()),
            Held::Foreign => return Err(StoreError::WrongType),
        };
        let deadline = entry.deadline;
        self.put(to, Entry { value, deadline })?;
        Ok(true)
    }

    fn encoding(&mut self, key: &[u8]) -> Result<Option<&'static str>, StoreError> {
        Ok(match self.held(key) {
            None => None,
            Some(Held::Text(text)) => Some(text.encoding()),
            Some(Held::List(_)) => Some("quicklist"),
            Some(Held::Hash(hash)) if hash.packed => Some("listpack"),
            Some(Held::Hash(_)) => Some("hashtable"),
            Some(Held::Foreign) => return Err(StoreError::WrongType),
        })
    }
}
