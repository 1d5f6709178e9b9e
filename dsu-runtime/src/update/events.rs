//! What the life of an update reacts to and what it asks for: plain data.

use crate::ids::{SweepId, WorkerSlot};

/// A build in the supervisor's table: the same file admitted twice is one build.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BuildIndex(pub u32);

/// One use of the one timer that an update has. A timer that is armed again or dropped has a new id,
/// so that a late expiry means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId(pub u32);

/// How long a timer runs; the durations are the operator's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerKind {
    /// Workers have this long to answer (`--timeout`).
    Answer,
    /// Canaries are watched this long (`--probation`).
    Probation,
    /// Canaries have this long to answer after it: as long again, at least five seconds, at most `--timeout`.
    LastAnswer,
}

/// What a failure after the first crossing does (R28).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// Everybody goes back.
    Rollback,
    /// Everybody stays where it is until the operator decides.
    Pause,
}

/// How workers cross.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Each at its own next update point: so many first, on probation, then all others.
    Rolling {
        /// Workers that cross first.
        canaries: u32,
    },
    /// All stop at update points and cross together.
    Barrier,
}

/// An update that passed all checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where to.
    pub target: BuildIndex,
    /// How.
    pub manner: Manner,
    /// What a failure does.
    pub on_failure: OnFailure,
    /// A `GUARD.item` whose lens goes forward only: once the barrier opens there is no way back (R14).
    pub one_way: Option<String>,
    /// Items (`GUARD.item`) and types whose lenses are prepared: their other form is filled before the
    /// first worker crosses.
    pub filled: Vec<String>,
    /// Items that move between guards, while all workers stand at a barrier: which, from where, to where.
    pub moves: Vec<String>,
}

/// How far a filling has come, as one worker has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FillState {
    /// It goes on.
    Moving,
    /// A pass over everything found all of it there.
    Whole,
    /// Something cannot be filled.
    Failed(String),
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody wants an update; its library is being looked at.
    Begin,
    /// What the checks and the probe made of it.
    Probed(Result<Plan, String>),
    /// A worker process was started with this build, and with `neighbours` loaded beside it.
    Spawned {
        /// Its slot.
        slot: WorkerSlot,
        /// What it runs.
        build: BuildIndex,
        /// What it has loaded as well.
        neighbours: Vec<BuildIndex>,
    },
    /// A started worker is at its first update point.
    Ready(WorkerSlot),
    /// A worker's process is gone and its slot is recovered.
    Died(WorkerSlot, String),
    /// The answer to [`Order::Load`].
    Loaded(WorkerSlot, BuildIndex, Result<(), String>),
    /// A worker runs this build now.
    Crossed(WorkerSlot, BuildIndex),
    /// A worker could not take this build and goes on with the other.
    CrossingFailed(WorkerSlot, BuildIndex, String),
    /// A worker stands at an update point, waiting for all others; it says how many orders to cross it has
    /// had, so that what it says on account of an earlier one means nothing.
    AtBarrier(WorkerSlot, u32),
    /// The answer to [`Order::Move`].
    Moved(WorkerSlot, Result<(), String>),
    /// A pass of the sweep is over.
    Swept {
        /// Whose.
        slot: WorkerSlot,
        /// Nothing is left to convert but what is named here.
        is_last: bool,
        /// What it could not convert.
        failed: u64,
        /// The heap is full.
        is_full: bool,
        /// Poisoned guards that it left alone.
        poisoned: Vec<String>,
    },
    /// A worker fills.
    Filling {
        /// Who.
        slot: WorkerSlot,
        /// On account of which order.
        fill: SweepId,
        /// What it found.
        state: FillState,
    },
    /// A worker answers.
    Pong(WorkerSlot),
    /// A transformation towards the new version failed in this worker.
    TransformFailed(WorkerSlot, String),
    /// A worker of the new version was kept from taking locks in an order that goes round with the old
    /// version's (R16).
    OrdersDisagree(WorkerSlot, String),
    /// The operator, or somebody for them, wants to go back.
    Rollback(String),
    /// The operator wants it to stand still.
    Pause,
    /// The operator wants it to go on.
    Resume,
    /// A timer ran out.
    Elapsed(TimerId),
}

/// What a worker is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Load, run nothing.
    Load(BuildIndex),
    /// Cross at the next update point. Of several that are pending the last counts; one to the build
    /// that runs already takes pending ones back. Either way the last is answered.
    Cross {
        /// Where to.
        build: BuildIndex,
        /// Stop at the barrier first.
        together: bool,
    },
    /// Cross now.
    Go,
    /// The barrier is off.
    Revert,
    /// To a worker that stands at a barrier with all others: bring all items that move between guards
    /// from where the one build has them to where the other has them.
    Move {
        /// As they may be.
        from: BuildIndex,
        /// As they are to be.
        to: BuildIndex,
    },
    /// Take part in this sweep, in place of what it did before.
    Sweep(SweepId),
    /// Fill the other form of what this build's prepared lenses lead to, in place of what it did before.
    Fill(SweepId, BuildIndex),
    /// Sweep and fill no more.
    Rest,
    /// This build will not be crossed to.
    Forget(BuildIndex),
    /// Answer.
    Ping,
}

/// How an update ended, or that it was taken on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Checked and loaded everywhere; workers are about to cross.
    Accepted,
    /// Nothing was changed.
    Refused(String),
    /// All workers and all data are in the new version.
    Committed,
    /// All workers and all data are in the old version again.
    RolledBack(String),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Tell a worker.
    Send(WorkerSlot, Order),
    /// End a worker that does not answer; a replacement takes its slot.
    Kill(WorkerSlot, String),
    /// Start the timer anew.
    Arm(TimerId, TimerKind),
    /// The event was a request that cannot be granted; nothing has changed.
    Refuse(String),
    /// Tell whoever wanted the update.
    Answer(Answer),
    /// Tell whoever looks on.
    Progress(String),
}
