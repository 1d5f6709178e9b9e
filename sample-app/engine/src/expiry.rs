//! Active expiry: ten times a second each worker looks for keys whose time is up.

use crate::commands::active_expiry::ExpiryCycle;
use crate::store::{ExpiringStore, UnixMs};
use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Milliseconds between two rounds.
const ROUND_EVERY_MS: u64 = 100;
/// Slices of a round when few keys are over, and when many are.
const SLICES: usize = 4;
const BUSY_SLICES: usize = 64;

/// Where the search is, so that a new version goes on with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expiry {
    cycle: ExpiryCycle,
    next_round_ms: u64,
    is_busy: bool,
}

impl dsu_runtime::worker::Carried for Expiry {
    fn schema() -> dsu_runtime::abi::TypeSchema {
        dsu_runtime::abi::TypeSchema::leaf::<()>("Expiry")
    }
}

impl Expiry {
    /// One round, if it is time; the number of keys that were removed.
    pub fn tick<S: ExpiringStore<Context = Worker>>(&mut self, cx: &mut Worker) -> u64 {
        let now = UnixMs::now();
        if now.0 < self.next_round_ms {
            return 0;
        }
        self.next_round_ms = now.0 + ROUND_EVERY_MS;
        let slices = if self.is_busy { BUSY_SLICES } else { SLICES };
        match self.cycle.run::<S>(cx, now, slices) {
            Ok(progress) => {
                self.is_busy = progress.is_busy();
                progress.removed as u64
            }
            // A shard that cannot be had now is looked at again.
            Err(_) => 0,
        }
    }
}
