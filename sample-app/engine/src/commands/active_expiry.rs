//! Removing keys whose time is up and that nobody asks for.
//!
//! The worker runs a few slices now and then; between two it remembers where it was. Each
//! slice locks one shard for a bounded number of keys.

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::{Expiring, ExpiringStore, KeySet, UnixMs};

/// Keys with a deadline that one slice looks at.
const KEYS_PER_SLICE: usize = 20;

/// Where the walk over all shards is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ExpiryCycle {
    shard: usize,
    cursor: u64,
}

/// What some slices found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExpiryProgress {
    /// Keys with a deadline that were looked at.
    pub examined: usize,
    /// Keys removed.
    pub removed: usize,
}

impl ExpiryProgress {
    /// Whether more than a tenth of what was looked at was over, so that it is worth to go
    /// on at once: Redis's measure for the share of stale keys it puts up with.
    pub fn is_busy(self) -> bool {
        self.removed * 10 > self.examined
    }
}

impl ExpiryCycle {
    /// Runs this many slices. A shard that cannot be locked is passed over, so that it does
    /// not keep the others from being cleaned.
    ///
    /// # Errors
    /// That of the last shard that could not be locked, the others done nevertheless.
    pub fn run<S: ExpiringStore>(
        &mut self,
        context: &mut S::Context,
        now: UnixMs,
        slices: usize,
    ) -> Result<ExpiryProgress, StoreError> {
        let mut progress = ExpiryProgress::default();
        let mut failure = None;
        for _ in 0..slices {
            let slice = S::open(context, KeySet::Shard(self.shard % S::SHARDS), now)
                .and_then(|mut tx| {
                    tx.expire_slice(self.shard % S::SHARDS, self.cursor, KEYS_PER_SLICE)
                })
                .unwrap_or_else(|error| {
                    failure = Some(error);
                    Default::default()
                });
            progress.examined += slice.examined;
            progress.removed += slice.removed;
            self.cursor = slice.next;
            if slice.next == 0 {
                self.shard = (self.shard + 1) % S::SHARDS;
            }
        }
        failure.map_or(Ok(progress), Err)
    }
}
