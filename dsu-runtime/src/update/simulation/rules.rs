//! What holds at every moment of an update.

use super::World;
use crate::update::{BuildIndex, Stage};
use std::collections::BTreeSet;

impl World {
    /// Never more than two versions, and those two neighbours.
    pub(super) fn check(&self) {
        if self.orphaned {
            return;
        }
        let runs: Vec<u32> = self.workers.values().map(|worker| worker.runs.0).collect();
        let (low, high) = (runs.iter().min().copied(), runs.iter().max().copied());
        if let (Some(low), Some(high)) = (low, high) {
            assert!(high - low <= 1, "versions {low} and {high} at once");
        }
        // R16: who is told nothing more and waits for nobody runs what it runs.
        let free = self
            .workers
            .values()
            .filter(|worker| worker.at_barrier.is_none() && worker.outbox.is_empty());
        let free: BTreeSet<BuildIndex> = free.map(|worker| worker.runs).collect();
        if free.len() > 1 {
            let (from, to) = self.life().mixed().expect("nobody was told of the mixture");
            assert_eq!(free, BTreeSet::from([from, to]));
        }
        if self.life().stage() == Stage::Idle {
            assert_eq!(self.life().mixed(), None);
            assert_eq!(self.twins.filled, 0, "what was filled is left");
            let running = self.life().running();
            assert!(
                self.items.is_none_or(|items| items == running),
                "items are left behind and nobody says so"
            );
            for (slot, worker) in &self.workers {
                assert_eq!(worker.runs, running, "{slot} is left behind");
            }
        }
    }
}
