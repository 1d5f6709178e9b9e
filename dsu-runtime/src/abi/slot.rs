//! A worker's record in the control region.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a worker slot is used for. The supervisor moves it, but for `Running`, which the worker sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum SlotState {
    /// Nobody; may be given out.
    Free = 0,
    /// A process was started for it.
    Starting = 1,
    /// Its worker runs application code.
    Running = 2,
    /// Its process is dead and recovery is not done.
    Recovering = 3,
}

/// One page of the control region for each worker. All zero is a free slot.
#[repr(C)]
pub struct WorkerRecord {
    /// A [`SlotState`].
    pub state: AtomicU32,
    /// Process id of the worker.
    pub pid: AtomicU32,
    /// Not 0 while something is due at the next update point; the only word that an idle
    /// `update_point!` reads. Bits: [`DUE_MESSAGE`](Self::DUE_MESSAGE) and the like.
    pub due: AtomicU32,
    /// Guard index + 1 of the guard in whose slow path the worker is; 0 when in none (`sync::word`).
    pub busy: AtomicU32,
    /// Guard index + 1 of the guard whose items a transformer of this worker has in hand; 0 for none.
    /// A worker that dies meanwhile leaves the old representation, so the guard is not poisoned.
    /// [`FLIPPING_ALL`](Self::FLIPPING_ALL): that is so of all that it holds. With
    /// [`FLIPPING_DROPS`](Self::FLIPPING_DROPS) it is so of none.
    pub flipping: AtomicU32,
    /// Version that the worker runs.
    pub version: AtomicU32,
    /// 1 while the worker sleeps in `cx.wait`.
    pub waiting: AtomicU32,
    /// Monotonic time of the last update point at which something was due, in nanoseconds.
    pub update_point_ns: AtomicU64,
    /// Monotonic time since when something that the supervisor has sent is unanswered, in nanoseconds; 0
    /// when all is answered.
    pub due_since_ns: AtomicU64,
    /// Acquisitions that ran a transformer.
    pub flips: AtomicU64,
    /// Elements that this worker converted.
    pub conversions: AtomicU64,
    /// What a transformer of this worker has in hand: a number of its own in the high half,
    /// tags from and to in the low one, which is 0 while none runs. It stays the same while one runs.
    pub transforming: AtomicU64,
    /// Monotonic time by which a worker that drains has to leave, in nanoseconds; 0 while none does.
    pub leave_by_ns: AtomicU64,
    /// Transformers that workers of this slot have begun: never falls.
    pub transformers: AtomicU32,
}

impl WorkerRecord {
    /// In `flipping`: all guards that the worker holds. No guard has this number.
    pub const FLIPPING_ALL: u32 = Self::FLIPPING_DROPS - 1;
    /// In `flipping`, besides what stands there: a destructor of the application runs, in whose middle
    /// nothing is sound.
    pub const FLIPPING_DROPS: u32 = 1 << 31;
    /// In `due`: the supervisor has sent a message.
    pub const DUE_MESSAGE: u32 = 1;
    /// In `due`: new code has to confirm that it took over.
    pub const DUE_CONFIRM: u32 = 2;
    /// In `due`: a sweep is on.
    pub const DUE_SWEEP: u32 = 4;
    /// In `due`: the application has a notice to take in its next wait.
    pub const DUE_NOTICE: u32 = 8;
    /// In `due`: the worker drains; each update point looks whether its time is up.
    pub const DUE_DRAIN: u32 = 16;
    /// Bits of `due` that do not keep a worker from sleeping.
    pub const DUE_AWAKE_ONLY: u32 = Self::DUE_SWEEP | Self::DUE_DRAIN;

    /// Lets `flipping` say this until what is returned goes. For the worker itself.
    pub(crate) fn say_flipping(&self, what: u32) -> Flipping<'_> {
        let before = self.flipping.load(Ordering::Relaxed);
        self.flipping.store(what, Ordering::Release);
        Flipping {
            word: &self.flipping,
            before,
        }
    }
}

/// What `flipping` says for a while. A panic ends it as well: what the worker dies in later is none of it.
/// An inner one gives back to the outer one.
#[must_use = "dropped at once it says nothing"]
pub(crate) struct Flipping<'a> {
    word: &'a AtomicU32,
    before: u32,
}

impl Drop for Flipping<'_> {
    fn drop(&mut self) {
        self.word.store(self.before, Ordering::Release);
    }
}
