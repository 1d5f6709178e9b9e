//! What is said of the builds that workers may run, before they may (R12). The words are
//! `abi::fleet`'s; this is the rule by which they change.

use super::events::BuildIndex;
use crate::abi::FleetState;
use crate::ids::VersionId;
use std::collections::BTreeSet;

/// What was said last. At first nothing: no build may run.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    builds: BTreeSet<BuildIndex>,
    epoch: u32,
}

impl Announced {
    /// From now on these builds may run, and no others. What is to be said, before any worker is told
    /// anything.
    pub fn announce(
        &mut self,
        builds: BTreeSet<BuildIndex>,
        version: impl Fn(BuildIndex) -> VersionId,
    ) -> FleetState {
        if !builds.is_subset(&self.builds) {
            self.epoch = self.epoch.wrapping_add(1);
        }
        let floor = builds.iter().map(|build| version(*build)).min();
        self.builds = builds;
        FleetState {
            floor: floor.unwrap_or_default(),
            epoch: self.epoch,
        }
    }
}
