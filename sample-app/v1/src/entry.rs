//! What a key holds, and the guarded shards that hold the keys.

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

kv_engine::shards!(pub Keys: SHARDS, ShardsItems, Entry);
kv_engine::entry!(Entry: Value);
kv_engine::string_value!(Value);
