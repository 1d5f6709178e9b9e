//! The keys of requests that have arrived and whose turn will come, so that memory can be asked for them
//! all before the first is run: one lookup after the other would wait for memory each time.
//!
//! Owns how far ahead is looked, and the order in which a version's shards are asked. A look changes
//! nothing and promises nothing: what it overlooks is merely slower. Never waits for a lock.

use crate::shards::{Entry, Shards, StringHolder, shard_of};
use crate::store::Store;
use crate::table::CommandTable;
use dsu_runtime::heap::{KeyHash, Reach};
use dsu_runtime::prelude::*;

/// Keys that are looked for together: about as many lines of memory as a processor waits for at a time,
/// few enough that all that they bring stays in the nearest cache until it is used.
pub const GROUP: usize = 24;

/// Keys that are needed next.
#[derive(Clone, Copy, Default)]
pub struct Upcoming<'k> {
    keys: [&'k [u8]; GROUP],
    len: usize,
}

impl<'k> Upcoming<'k> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no more are taken.
    pub fn is_full(&self) -> bool {
        self.len == GROUP
    }

    /// Adds the keys of the complete requests at the beginning of `input`; the bytes that were looked
    /// at.
    pub(crate) fn take<S: Store>(&mut self, table: &CommandTable<S>, input: &'k [u8]) -> usize {
        let mut seen = 0;
        for (name, key, length) in resp::look_ahead(input) {
            if self.is_full() {
                break;
            }
            seen += length;
            let spec = table.find(name).map(|command| command.spec.keys);
            if spec.is_some_and(|keys| keys.first().is_some_and(|range| range.first == 1)) {
                self.keys[self.len] = key;
                self.len += 1;
            }
        }
        seen
    }

    /// The keys.
    pub fn keys(&self) -> &[&'k [u8]] {
        &self.keys[..self.len]
    }

    /// Whether asking beforehand is of use: a single key would be waited for here instead of there.
    pub(crate) fn is_several(&self) -> bool {
        self.len > 1
    }
}

/// Asks for what lookups of `keys` will read, step by step for all of them. A shard that somebody else
/// has, or that is not in this version's form, is left out.
pub(crate) fn prefetch<S: Shards>(cx: &Worker, keys: &[&[u8]]) {
    let mut hashes = [KeyHash::default(); GROUP];
    let mut shards = [0; GROUP];
    for (key, shard) in keys.iter().zip(&mut shards) {
        *shard = shard_of(key);
    }
    for round in 0..5 {
        for ((key, shard), hash) in keys.iter().zip(&shards).zip(&mut hashes) {
            let Ok(items) = S::guards()[*shard].try_lock(cx) else {
                continue;
            };
            let entries = S::entries(&items);
            match round {
                0 => {
                    *hash = entries.hash_of(*key);
                    entries.prefetch(*hash, Reach::Segment);
                }
                1 => entries.prefetch(*hash, Reach::Slot),
                2 => entries.prefetch(*hash, Reach::Entry),
                _ => {
                    let Some(entry) = entries.current(*hash, *key) else {
                        continue;
                    };
                    match entry.current_value() {
                        _ if round == 3 => entry.prefetch_value(),
                        Some(value) => value.prefetch_content(),
                        None => {}
                    }
                }
            }
        }
    }
}
