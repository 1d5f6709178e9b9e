//! What a key holds, with the moment until which it does, and the guarded shards that hold the keys.

use dsu_runtime::prelude::*;
use kv_engine::ShardedStore;

/// The value of a key.
#[derive(Shared)]
pub struct Value {
    bytes: SharedBytes,
}

/// Everything that belongs to a key.
#[derive(Shared)]
pub struct Entry {
    pub(crate) value: Versioned<Value>,
    /// Milliseconds since 1970 until which the key lives; [`FOREVER`](kv_engine::FOREVER) for no deadline.
    pub(crate) expires_at_ms: u64,
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
kv_engine::string_value!(Value);
