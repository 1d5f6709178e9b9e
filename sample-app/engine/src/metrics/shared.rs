//! The counts of all workers behind their guard, and what one worker saw of them last.
//!
//! The same in all versions, which may know different commands: so they are found by name. A worker adds
//! and looks in one short section, ten times a second; INFO shows what it saw, and its own counts since.

use super::histogram::BUCKETS;
use super::{CommandRow, Ends, Metrics, Sums};
use dsu_runtime::prelude::*;
use std::collections::BTreeMap;

/// Everything that all workers have counted.
#[derive(Shared, Default)]
pub struct Sum {
    commands: SharedMap<SharedBytes, CommandSum>,
    errors: SharedMap<SharedBytes, ErrorSum>,
    rejected: u64,
    deaf: u64,
    idle: u64,
}

/// The counts of one command.
#[derive(Shared)]
pub struct CommandSum {
    calls: u64,
    rejected: u64,
    failed: u64,
    ns: u64,
    seen: [u64; BUCKETS],
}

/// How often clients were answered with an error of this word.
#[derive(Shared)]
pub struct ErrorSum {
    count: u64,
}

#[guards(sum: Sum)]
pub static METRICS: GuardMutex;

/// What a worker saw of the counts of all workers last.
#[derive(Debug, Default)]
pub(crate) struct View {
    commands: BTreeMap<String, Sums>,
    errors: BTreeMap<String, u64>,
    ends: Ends,
}

impl View {
    /// Adds what this worker has counted, and looks at all. What the heap has no room for is added
    /// another time; so is everything if the guard cannot be had.
    pub(crate) fn settle(&mut self, cx: &Worker, metrics: &mut Metrics, ends: &mut Ends) {
        let Ok(mut items) = METRICS.lock(cx) else {
            return;
        };
        if !metrics.is_empty() && items.sum.make_room(metrics).is_ok() {
            items.sum.add(metrics);
            metrics.clear();
        }
        items.sum.end(std::mem::take(ends));
        self.look(&items.sum);
    }

    fn look(&mut self, sum: &Sum) {
        for (name, cell) in sum.commands.iter() {
            let Ok(theirs) = cell.get() else { continue };
            let name = String::from_utf8_lossy(name.as_slice());
            let own = match self.commands.get_mut(&*name) {
                Some(own) => own,
                None => self.commands.entry(name.into_owned()).or_default(),
            };
            // Copied only where something has changed.
            let counts = (theirs.calls, theirs.rejected);
            if (own.calls, own.rejected) != counts {
                (own.calls, own.rejected) = counts;
                (own.failed, own.ns) = (theirs.failed, theirs.ns);
                own.seen.copy_from_slice(&theirs.seen);
            }
        }
        for (word, cell) in sum.errors.iter() {
            let Ok(theirs) = cell.get() else { continue };
            let word = String::from_utf8_lossy(word.as_slice()).into_owned();
            self.errors.insert(word, theirs.count);
        }
        self.ends = Ends {
            rejected: sum.rejected,
            deaf: sum.deaf,
            idle: sum.idle,
        };
    }

    /// What INFO shows of each command that was ever called, by name.
    pub(crate) fn rows(&self, own: &Metrics) -> Vec<CommandRow> {
        let mut all = self.commands.clone();
        for (name, tally) in own.tallies() {
            match all.get_mut(name) {
                Some(sums) => sums.add(tally),
                None => all.entry(name.to_owned()).or_default().add(tally),
            }
        }
        all.iter().map(|(name, sums)| sums.row(name)).collect()
    }

    /// How often clients were answered with each kind of error, by its word.
    pub(crate) fn errors(&self, own: &Metrics) -> Vec<(String, u64)> {
        let mut all = self.errors.clone();
        for (word, count) in &own.errors {
            *all.entry(word.clone()).or_default() += count;
        }
        all.into_iter().collect()
    }

    /// Connections that all workers have ended.
    pub(crate) fn ends(&self, own: Ends) -> Ends {
        let mut all = self.ends;
        all += own;
        all
    }
}

impl Sum {
    /// Makes the places that are missing, so that adding cannot fail in the middle.
    fn make_room(&mut self, metrics: &Metrics) -> Result<(), AccessError> {
        for (name, _) in metrics.tallies() {
            self.commands.get_or_insert_with(name.as_bytes(), || {
                let sum = CommandSum {
                    calls: 0,
                    rejected: 0,
                    failed: 0,
                    ns: 0,
                    seen: [0; BUCKETS],
                };
                Ok((SharedBytes::from_slice(name.as_bytes())?, sum))
            })?;
        }
        for word in metrics.errors.keys() {
            self.errors.get_or_insert_with(word.as_bytes(), || {
                let word = SharedBytes::from_slice(word.as_bytes())?;
                Ok((word, ErrorSum { count: 0 }))
            })?;
        }
        Ok(())
    }

    fn add(&mut self, metrics: &Metrics) {
        for (name, tally) in metrics.tallies() {
            let Ok(Some(sum)) = self.commands.get_mut(name.as_bytes()) else {
                continue;
            };
            sum.calls += tally.calls;
            sum.rejected += tally.rejected;
            sum.failed += tally.failed;
            sum.ns += tally.ns;
            for (bucket, count) in &tally.timed {
                sum.seen[usize::from(*bucket)] += count;
            }
        }
        for (word, count) in &metrics.errors {
            if let Ok(Some(sum)) = self.errors.get_mut(word.as_bytes()) {
                sum.count += count;
            }
        }
    }

    fn end(&mut self, ends: Ends) {
        self.rejected += ends.rejected;
        self.deaf += ends.deaf;
        self.idle += ends.idle;
    }
}
