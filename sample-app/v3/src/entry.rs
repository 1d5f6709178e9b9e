//! What belongs to a key, and the guarded shards that hold the keys.

use crate::value::Value;
use dsu_runtime::prelude::*;
use kv_engine::ShardedStore;

/// Everything that belongs to a key.
#[derive(Shared)]
pub struct Entry {
    /// In a box of its own: version 2, which has no lists and hashes, still reads the rest.
    value: Versioned<Value>,
    /// Milliseconds since 1970 until which the key lives; [`FOREVER`](kv_engine::FOREVER) for no deadline.
    expires_at_ms: u64,
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

kv_engine::shards!(pub Keys: SHARDS, ShardsItems, Entry);
kv_engine::entry!(Entry: Value, expires_at_ms);
