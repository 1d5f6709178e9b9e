//! What a key holds, with the moment until which it does, and the guarded shards that hold the keys.

use dsu_runtime::prelude::*;
use kv_engine::{ExpiringEntry, Foretold, ShardedStore, Shards, StringEntry, UnixMs};

/// The value of a key.
#[derive(Shared)]
pub struct Value {
    bytes: SharedBytes,
}

/// Everything that belongs to a key.
#[derive(Shared)]
pub struct Entry {
    pub(crate) value: Versioned<Value>,
    /// Milliseconds since 1970 until which the key lives; [`FOREVER`] for no deadline.
    pub(crate) expires_at_ms: u64,
}

/// The deadline of a key that has none.
pub(crate) const FOREVER: u64 = u64::MAX;

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
    const EXPIRES: bool = true;

    fn has_deadline(&self) -> bool {
        self.expires_at_ms != FOREVER
    }

    fn new(bytes: SharedBytes) -> Result<Self, HeapFull> {
        Ok(Entry {
            value: Versioned::new(Value { bytes })?,
            expires_at_ms: FOREVER,
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
        self.expires_at_ms = FOREVER;
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

    fn is_over(&self, now: UnixMs) -> bool {
        now.0 > self.expires_at_ms
    }
}

impl ExpiringEntry for Entry {
    fn deadline(&self) -> Option<UnixMs> {
        (self.expires_at_ms != FOREVER).then_some(UnixMs(self.expires_at_ms))
    }

    fn set_deadline(&mut self, deadline: Option<UnixMs>) {
        self.expires_at_ms = deadline.map_or(FOREVER, |deadline| deadline.0);
    }
}
