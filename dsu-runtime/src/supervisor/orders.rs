//! The order of locks of two versions, as the supervisor sees it (R16): before an update, whether it can
//! roll; while it rolls, who is to give way; afterwards, what was found.
//!
//! Edges are recorded by workers and stay when they die. Those of a version that never ran are not
//! known; one that was rolled back has left what it did, and what it was kept from.

use super::builds::KnownBuild;
use super::run::Supervisor;
use crate::abi::MAX_ORDER_NODES;
use crate::sync::{Mixed, disagreement};
use crate::update::BuildIndex;

/// Why an update cannot roll, in front of what the versions do.
const DISAGREE: &str = "lock orders disagree";

impl Supervisor {
    /// In words, how what `new` does goes round with what `old` does, as far as both are known.
    pub(super) fn order_conflict(&self, old: &KnownBuild, new: &KnownBuild) -> Option<String> {
        let table = |known: &KnownBuild| known.build.binding.order_table;
        let (old_table, new_table) = (table(old)?, table(new)?);
        if old_table == new_table {
            return None;
        }
        let memory = &self.ports.memory;
        let (old_order, new_order) = (memory.lock_order(old_table), memory.lock_order(new_table));
        let circle = disagreement(&new_order, &old_order)?;
        let name = |node: crate::abi::Node| {
            let guards = [new, old]
                .into_iter()
                .flat_map(|known| &known.build.binding.guards);
            let named = guards.into_iter().find(|guard| guard.node == node.0);
            named.map_or_else(|| format!("guard {}", node.0), |guard| guard.name.clone())
        };
        let (mut new_name, mut old_name) =
            (new.build.version.to_string(), old.build.version.to_string());
        if new_name == old_name {
            new_name.push_str(" as it is to be");
            old_name.push_str(" as it is");
        }
        let text = circle.text((&new_name, &new_order), (&old_name, &old_order), name);
        Some(format!("{DISAGREE}: {text}"))
    }

    /// What is known to disagree with the running version, of all builds that ever ran here.
    pub(super) fn order_conflicts(&self) -> Vec<String> {
        let running = self.builds.get(self.life.running());
        let mut found: Vec<String> = self
            .builds
            .all()
            .filter_map(|known| self.order_conflict(running, known))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Declarations whose order nobody watches, for there are too many, in words.
    pub(super) fn order_blind_spot(&self, build: BuildIndex) -> Option<String> {
        let guards = &self.builds.get(build).build.binding.guards;
        let beyond = guards
            .iter()
            .filter(|guard| usize::from(guard.node) >= MAX_ORDER_NODES)
            .count();
        (beyond > 0).then(|| {
            format!(
                "of {} guards {beyond} are beyond what the order of locks is recorded for",
                guards.len()
            )
        })
    }

    /// Tells the workers which versions are mixed now. Before any of them is told to cross, and after
    /// all have.
    pub(super) fn announce_mixed(&self) {
        let mixed = self.life.mixed().and_then(|(from, to)| {
            let of = |index| &self.builds.get(index).build;
            Some(Mixed {
                from: of(from).binding.order_table?,
                to: of(to).binding.order_table?,
                target: of(to).version,
            })
        });
        // The same code with other arguments is in nobody's way.
        let mixed = mixed.filter(|mixed| mixed.from != mixed.to);
        self.ports.memory.set_mixed(mixed);
    }

    /// Says which versions workers may run from now on (R12). Before anybody is told anything.
    pub(super) fn announce_fleet(&mut self) {
        let version = |index| self.builds.get(index).build.version;
        let state = self.announced.announce(self.life.may_run(), version);
        self.ports.memory.set_fleet(state);
    }

    /// A worker was kept from an order of locks: how the two versions stand to each other as a whole, or
    /// what the worker says.
    pub(super) fn explain_disagreement(&self, report: &str) -> String {
        let running = self.builds.get(self.life.running());
        let target = self.life.target().map(|target| self.builds.get(target));
        let whole = target.and_then(|target| self.order_conflict(running, target));
        let text = whole.and_then(|text| {
            Some(
                text.strip_prefix(DISAGREE)?
                    .trim_start_matches(": ")
                    .to_owned(),
            )
        });
        text.unwrap_or_else(|| {
            let report: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
            report["reason"]
                .as_str()
                .unwrap_or("it did not say how")
                .to_owned()
        })
    }
}
