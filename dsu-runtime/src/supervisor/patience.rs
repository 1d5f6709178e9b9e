//! Transformers that do not end (R28): how long each worker has had one in hand, and the end of those
//! that have it too long.
//!
//! Safe code cannot be interrupted, so the worker is killed: recovery leaves what was being converted as
//! it was. Time in which the worker was ready to run and did not get the processor does not count, up to
//! five times the deadline: a saturated server must be updated too. All other time does, also such in
//! which the kernel lets it wait for a disk, or somebody has stopped it: that it is ready to run is all
//! that the kernel keeps account of. Whether the transformer is still the same is asked once more right
//! before the kill; one that ends between the two is ended with its worker, as if it had died by itself.

use super::ports::Transforming;
use super::run::Supervisor;
use crate::abi::MAX_WORKERS;
use crate::ids::{Tag, WorkerSlot};
use crate::sys::process::waited_for_processor;
use crate::update::Event;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// As the probe: a transformer that is kept from running gets so many times its time at most.
const LONGEST: u32 = 5;

/// One that is at work, since when it was seen.
struct Seen {
    what: Transforming,
    since: Instant,
    /// How long the worker had waited for the processor until then.
    waited: Duration,
}

/// Which worker has what in hand.
#[derive(Default)]
pub(super) struct Patience(BTreeMap<WorkerSlot, Seen>);

impl Patience {
    /// When to look again, for whoever is looked at.
    pub(super) fn next(&self, timeout: Duration) -> Option<Instant> {
        let ends = self.0.values().map(|seen| seen.since + timeout);
        ends.min()
    }

    /// What this worker has had in hand for how long.
    pub(super) fn of(&self, slot: WorkerSlot, now: Instant) -> Option<(Transforming, Duration)> {
        let seen = self.0.get(&slot)?;
        Some((seen.what, now.saturating_duration_since(seen.since)))
    }

    /// Takes a look in. True if it is time to end it; then it is forgotten.
    fn look(
        &mut self,
        slot: WorkerSlot,
        what: Option<Transforming>,
        now: Instant,
        timeout: Duration,
        waited: impl Fn() -> Duration,
    ) -> bool {
        let Some(what) = what else {
            self.0.remove(&slot);
            return false;
        };
        let Some(seen) = self.0.get(&slot).filter(|seen| seen.what == what) else {
            let waited = waited();
            self.0.insert(
                slot,
                Seen {
                    what,
                    since: now,
                    waited,
                },
            );
            return false;
        };
        let elapsed = now.saturating_duration_since(seen.since);
        if elapsed < timeout {
            return false;
        }
        let starved = waited().saturating_sub(seen.waited);
        let is_over = elapsed.saturating_sub(starved) >= timeout || elapsed >= timeout * LONGEST;
        if is_over {
            self.0.remove(&slot);
        }
        is_over
    }
}

impl Supervisor {
    /// Ends workers whose transformers do not end.
    pub(super) fn watch_transformers(&mut self, now: Instant) {
        debug_assert!(self.fleet.slots().count() <= MAX_WORKERS);
        let timeout = self.config.transform_timeout;
        for slot in self.fleet.slots() {
            let process = self.fleet.process(slot);
            let what = process.and_then(|_| self.ports.memory.transforming(slot));
            let waited = || {
                process.map_or(Duration::ZERO, |process| {
                    waited_for_processor(process.id(), process.lived(now))
                })
            };
            if let Some(what) = what
                && self.patience.look(slot, Some(what), now, timeout, waited)
            {
                self.end_transformer(slot, what, timeout);
            } else if what.is_none() {
                self.patience.0.remove(&slot);
            }
        }
    }

    fn end_transformer(&mut self, slot: WorkerSlot, what: Transforming, timeout: Duration) {
        let reason = format!("did not end within {} s", timeout.as_secs_f64());
        let text = format!("{}: {reason}", self.name_work(slot, what));
        // It may have ended while all that was read.
        if self.ports.memory.transforming(slot) != Some(what) {
            return;
        }
        self.fleet.kill(slot, &format!("a transformer {reason}"));
        tracing::error!("{slot}: a transformation failed: {text}");
        let target = self.life.target();
        let own = |index| self.builds.get(index).own_tags();
        let is_towards = target.is_some_and(|target| {
            what.from == Tag::NONE
                || own(target).contains(&what.to) && !own(self.life.running()).contains(&what.to)
        });
        if is_towards {
            self.event(Event::TransformFailed(slot, text));
        }
    }

    /// What a worker has in hand, for people: `transforms Entry under SHELF for 1.2 s`.
    pub(super) fn transforms(&self, slot: WorkerSlot, now: Instant) -> Option<String> {
        let (what, since) = self.patience.of(slot, now)?;
        let what = self.name_work(slot, what);
        let seconds = since.as_secs_f64();
        Some(format!("transforms {what} for {seconds:.1} s"))
    }

    /// `Jar under LARDER`: what a transformer makes, and the guards that its worker holds.
    fn name_work(&self, slot: WorkerSlot, what: Transforming) -> String {
        let form = self.form_name(what.to);
        let form = form.unwrap_or_else(|| "another form".to_owned());
        match self.guards_of(slot) {
            Some(guards) => format!("{form} under {guards}"),
            None => form,
        }
    }

    fn guards_of(&self, slot: WorkerSlot) -> Option<String> {
        let held = self.ports.memory.held(slot);
        let names: Vec<String> = held
            .into_iter()
            .filter_map(|index| self.guard_name(index))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn form_name(&self, tag: Tag) -> Option<String> {
        let mut parts = self
            .builds
            .all()
            .flat_map(|known| known.build.binding.representations.iter());
        parts
            .find(|part| part.tag == tag || part.same.contains(&tag))
            .map(|part| part.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R28
    #[test]
    fn only_one_and_the_same_transformation_that_gets_the_processor_runs_out_of_time() {
        let (slot, start, timeout) = (WorkerSlot(3), Instant::now(), Duration::from_secs(5));
        let one = |number| {
            Some(Transforming {
                number,
                from: Tag(1),
                to: Tag(2),
            })
        };
        let mut patience = Patience::default();
        let mut look = |what, seconds, waited| {
            let now = start + Duration::from_secs(seconds);
            patience.look(slot, what, now, timeout, || Duration::from_secs(waited))
        };
        assert!(!look(one(1), 0, 100));
        assert!(!look(one(2), 5, 100), "another one");
        assert!(!look(None, 9, 100));
        assert!(!look(one(2), 10, 100), "it had ended between");
        assert!(!look(one(2), 14, 100));
        assert!(!look(one(2), 15, 103), "it waited for three of those");
        assert!(look(one(2), 18, 103));
        assert!(!look(one(2), 18, 103), "told once");
        assert!(!look(one(2), 42, 126));
        assert!(look(one(2), 43, 127), "it never runs");
    }
}
