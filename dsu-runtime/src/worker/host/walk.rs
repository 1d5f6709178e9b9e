//! What a worker does beside its requests while an update is under way: slices of a sweep or of a
//! filling.
//!
//! Owns when a slice runs, which library runs it, and what the supervisor is told. What a slice does is the
//! library's.

use super::{Host, say, with_host};
use crate::abi::{Parked, WorkerContext, WorkerRecord};
use crate::ids::SweepId;
use crate::sys::time::Nanos;
use crate::update::{FillSlice, SweepSlice};
use crate::worker::messages::FromWorker;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A slice ends after this long (R29).
const SLICE: Duration = Duration::from_micros(100);
/// At an update point a slice of the sweep runs when the last ended this long ago (R29).
const BETWEEN_SLICES: Duration = Duration::from_millis(10);
/// The same of a filling, which has to come up with what is written meanwhile.
const BETWEEN_FILLS: Duration = Duration::from_millis(2);
/// How often the supervisor is told that a filling goes on.
const BETWEEN_REPORTS: Duration = Duration::from_millis(100);

/// What it is about, and how far the pass has come.
enum Task {
    Nothing,
    Sweep {
        parked: Parked,
        pass: SweepSlice,
    },
    Fill {
        digest: String,
        pass: FillSlice,
        /// When the supervisor was last told.
        told: Nanos,
        /// It was told that all is there.
        was_whole: bool,
    },
}

/// A sweep or a filling that this worker takes part in, or neither.
pub(super) struct Walk {
    number: SweepId,
    task: Task,
    last_slice: Nanos,
}

impl Walk {
    /// Neither.
    pub(super) fn none() -> Walk {
        Walk::new(SweepId(0), Task::Nothing)
    }

    pub(super) fn sweep(number: SweepId, parked: Parked) -> Walk {
        let pass = SweepSlice::default();
        Walk::new(number, Task::Sweep { parked, pass })
    }

    pub(super) fn fill(number: SweepId, digest: String) -> Walk {
        let task = Task::Fill {
            digest,
            pass: FillSlice::default(),
            told: Nanos(0),
            was_whole: false,
        };
        Walk::new(number, task)
    }

    fn new(number: SweepId, task: Task) -> Walk {
        Walk {
            number,
            task,
            last_slice: Nanos(0),
        }
    }

    fn between(&self) -> Duration {
        match self.task {
            Task::Fill { .. } => BETWEEN_FILLS,
            Task::Sweep { .. } | Task::Nothing => BETWEEN_SLICES,
        }
    }
}

/// Of [`HostCalls::walk`](crate::abi::HostCalls).
pub(super) extern "C" fn walk() -> bool {
    with_host(Host::walk)
}

impl Host {
    /// From here on this, in place of what was before.
    pub(super) fn set_walk(&mut self, walk: Walk) {
        let context = WorkerContext::current();
        let due = &context.record().due;
        match walk.task {
            Task::Nothing => due.fetch_and(!WorkerRecord::DUE_SWEEP, Ordering::AcqRel),
            _ => due.fetch_or(WorkerRecord::DUE_SWEEP, Ordering::AcqRel),
        };
        context.sweeping.set(walk.number.0);
        self.walk = walk;
    }

    /// A slice, if the last was long enough ago.
    pub(super) fn walk_at_update_point(&mut self) {
        let is_due = Nanos::now().since(self.walk.last_slice) >= self.walk.between();
        if !matches!(self.walk.task, Task::Nothing) && is_due {
            self.walk();
        }
    }

    /// One slice; true if more should follow in this idle moment.
    fn walk(&mut self) -> bool {
        let goes_on = match self.walk.task {
            Task::Nothing => false,
            Task::Sweep { .. } => self.sweep(),
            Task::Fill { .. } => self.fill(),
        };
        self.walk.last_slice = Nanos::now();
        goes_on
    }

    /// One slice of the sweep by the version that runs.
    fn sweep(&mut self) -> bool {
        let Task::Sweep { parked, pass } = &mut self.walk.task else {
            return false;
        };
        pass.add(self.builds[&self.running].sweep(self.walk.number, *parked, SLICE));
        if !pass.is_done {
            return true;
        }
        let pass = std::mem::take(pass);
        // What failed is tried again, for the heap may have room by then, but at update points only, not
        // in every idle moment.
        let is_last = !pass.is_shared && pass.converted + pass.discarded == 0;
        if is_last && pass.failed == 0 {
            self.set_walk(Walk::none());
        }
        let goes_on = !is_last;
        say(&FromWorker::Swept {
            is_whole: !pass.is_shared,
            converted: pass.converted + pass.discarded,
            parked: pass.parked,
            failed: pass.failed,
            poisoned: pass.poisoned,
        });
        goes_on
    }

    /// One slice of a filling by the version whose forms are filled.
    fn fill(&mut self) -> bool {
        let Task::Fill {
            digest,
            pass,
            told,
            was_whole,
        } = &mut self.walk.task
        else {
            return false;
        };
        match self.builds.get(digest) {
            Some(build) => pass.add(build.fill(self.walk.number, SLICE)),
            None => pass.failure = Some("the version is not loaded in this worker".to_owned()),
        }
        let now = Nanos::now();
        let has_failed = pass.failure.is_some();
        let is_news = pass.is_whole() || pass.visits > 0 && now.since(*told) >= BETWEEN_REPORTS;
        if has_failed || is_news && !*was_whole {
            *told = now;
            *was_whole |= pass.is_whole();
            say(&FromWorker::Filling {
                fill: self.walk.number,
                is_whole: pass.is_whole(),
                failure: pass.failure.clone(),
            });
            pass.visits = 0;
        }
        // From then on only what writes mark is to be done: at update points, not in every idle moment.
        let goes_on = !pass.is_whole();
        if pass.is_done {
            *pass = FillSlice::default();
        }
        if has_failed {
            self.set_walk(Walk::none());
        }
        goes_on && !has_failed
    }
}
