//! What a key holds, and the guarded shards that hold the keys.

use dsu_runtime::prelude::*;
use kv_engine::{Foretold, ShardedStore, Shards, StringEntry};

/// The value of a key.
#[derive(Shared)]
pub struct Value {
    bytes: SharedBytes,
}

/// Everything that belongs to a key.
#[derive(Shared)]
pub struct Entry {
    value: Versioned<Value>,
}

/// One sixteenth of the keys.
#[derive(Shared, Default)]
pub struct Shard {
    entries: SharedMap<SharedBytes, Entry>,
}

#[guards(shard: Shard)]
pub static SHARDS: [GuardMutex; 16];

/// The store of this version.
pub type Store = ShardedStore<Keys>;

/// This version's shards.
pub struct Keys;

impl Shards for Keys {
    type Items = ShardsItems;
    type Entry = Entry;

    fn guards() -> &'static GuardFamily<ShardsItems, 16> {
        &SHARDS
    }

    fn entries(items: &ShardsItems) -> &SharedMap<SharedBytes, Entry> {
        &items.shard.entries
    }

    fn entries_mut(items: &mut ShardsItems) -> &mut SharedMap<SharedBytes, Entry> {
        &mut items.shard.entries
    }
}

impl StringEntry for Entry {
    fn new(bytes: SharedBytes) -> Result<Self, HeapFull> {
        Ok(Entry {
            value: Versioned::new(Value { bytes })?,
        })
    }

    fn bytes(&self) -> Result<&SharedBytes, AccessError> {
        Ok(&self.value.get()?.bytes)
    }

    fn bytes_mut(&mut self) -> Result<&mut SharedBytes, AccessError> {
        Ok(&mut self.value.get_mut()?.bytes)
    }

    fn renew(&mut self, bytes: &[u8]) -> Result<bool, HeapFull> {
        let Some(value) = self.value.plain_mut() else {
            return Ok(false);
        };
        value.bytes.overwrite(bytes)?;
        Ok(true)
    }

    fn prefetch_part(&self, part: Foretold) {
        match part {
            Foretold::Value => self.value.prefetch(),
            Foretold::Bytes => {
                if let Some(value) = self.value.current() {
                    value.bytes.prefetch();
                }
            }
        }
    }
}
