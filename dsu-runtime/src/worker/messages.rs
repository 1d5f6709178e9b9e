//! What supervisor and worker say to each other, one JSON message a packet on a socket pair.

use crate::abi::{Parked, ReportKind};
use crate::ids::{SweepId, VersionId};
use crate::version::Binding;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A version as workers know it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Build {
    /// Digest of the file: the name of the copy.
    pub digest: String,
    /// The copy to load.
    pub path: PathBuf,
    /// Its number.
    pub version: VersionId,
    /// Build id that the loaded code must state.
    pub build_id: String,
    /// Digest of its carry's schema.
    pub carry_digest: String,
    /// Tags and slots.
    pub binding: Binding,
    /// Arguments of this version (R33).
    pub arguments: Vec<String>,
    /// Keys (`NAME=ADDR` as asked for) of the listeners whose descriptors come with the message, in order.
    pub listeners: Vec<String>,
}

/// From the supervisor. A message makes something due at the worker's next update point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message: load and run this version. Neighbours are loaded as well, without running.
    Start {
        /// What to run.
        build: Box<Build>,
        /// Other versions whose representations may be met: those that what stands in shared memory
        /// needs, that of a mixed server, and the one that the last update came from, in this order, with
        /// those of their listeners that are open. The descriptors of these come after those of `build`.
        neighbours: Vec<Build>,
        /// How long the worker may drain when the supervisor dies, in milliseconds.
        drain_ms: u64,
    },
    /// Load this library, run nothing of it yet.
    Load(Box<Build>),
    /// Cross to the loaded version with this digest. A worker takes in all messages that wait before it
    /// acts; of several of these the last counts, and it is always answered. One to the version that
    /// runs takes an earlier one back and is answered `Crossed` at once, with a pause of 0.
    Cross {
        /// Digest of the build.
        digest: String,
        /// True: report `AtBarrier` and wait for `Go` or `Revert` first.
        together: bool,
    },
    /// All are at the barrier: cross.
    Go,
    /// The barrier is off: go on with the version that runs.
    Revert,
    /// To one that waits at the barrier: move all items that are other guards' in one of two versions.
    Move {
        /// Digest of the newer one's build, which is loaded.
        newer: String,
        /// To where the newer one has them; else back.
        forward: bool,
    },
    /// Convert what nobody has touched, until told otherwise.
    Sweep(SweepId, Parked),
    /// Make ahead what flips to this build's forms take up, until told otherwise. It is loaded.
    Fill {
        /// On account of which filling.
        fill: SweepId,
        /// Digest of the build.
        digest: String,
    },
    /// Sweep and fill no more.
    Rest,
    /// This build was refused or superseded. It stays loaded, for live values may be in its form.
    Forget {
        /// Digest of the build.
        digest: String,
    },
    /// Finish what is begun, take no new connections, exit. Of several of these the earliest counts.
    Drain {
        /// Monotonic time by which it has to have left, in nanoseconds.
        until_ns: u64,
    },
    /// Walk everything and report.
    Check,
    /// Answer at the next update point.
    Ping,
    /// The configuration may have changed (SIGHUP).
    Reconfigure,
    /// Some listeners of versions that no worker runs any more are closed in all processes: give up
    /// what listens no more.
    ListenersClosed,
}

/// From a worker.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// The version given by `Start` is at its first update point.
    Ready {
        /// Build id that the running code states.
        build_id: String,
    },
    /// The answer to `Load`; of what came with `Start`, only where it could not be loaded.
    Loaded {
        /// Digest of the build.
        digest: String,
        /// Why it could not be loaded.
        error: Option<String>,
    },
    /// The new code is at its first update point.
    Crossed {
        /// Digest of the build.
        digest: String,
        /// Build id that the running code states: the proof that it is the new one.
        build_id: String,
        /// Name of the update point at which the old code left.
        update_point: String,
        /// From leaving the old code to the new code's first update point.
        pause_ns: u64,
    },
    /// The new code did not take the carry; the old version goes on with it (R24).
    CrossingFailed {
        /// Digest of the build.
        digest: String,
        /// Why.
        reason: String,
    },
    /// Stopped at an update point, waiting for `Go` or `Revert`.
    AtBarrier {
        /// How many `Cross` it has obeyed, this one included: which one it answers.
        crosses: u32,
        /// Its name.
        update_point: String,
    },
    /// The answer to `Move`.
    Moved {
        /// Why it is not all done.
        error: Option<String>,
    },
    /// A pass of the sweep is over. One that went over everything and converted nothing says that
    /// nothing is left but what it names; until then another follows by itself.
    Swept {
        /// It went over everything, leaving nothing to other workers.
        is_whole: bool,
        /// Elements and tuples that this pass converted.
        converted: u64,
        /// Elements without a form in the target version.
        parked: u64,
        /// Elements and tuples whose transformer failed: they hold the commit up (R30).
        failed: u64,
        /// Poisoned guards, by name, that were not looked into.
        poisoned: Vec<String>,
    },
    /// How a filling goes. Said now and then while something is made, when something cannot be, and once
    /// when all of it is there: from then on the worker silently makes what writes mark.
    Filling {
        /// Which.
        fill: SweepId,
        /// A pass over everything found all of it there.
        is_whole: bool,
        /// The first thing that cannot be made: where, and why. The worker fills no more then.
        failure: Option<String>,
    },
    /// The answer to `Check`: one sentence for each thing that is wrong.
    Checked {
        /// Blocks and boxes that were walked.
        walked: u64,
        /// Findings; empty when all is well.
        findings: Vec<String>,
    },
    /// The answer to `Ping`.
    Pong {
        /// Name of the update point.
        update_point: String,
    },
    /// Something that the application or a transformer reports.
    Report {
        /// A `ReportKind` as a number.
        kind: u32,
        /// JSON.
        text: String,
    },
    /// The worker ends; its exit status says the same in a number.
    Exiting {
        /// Why.
        reason: String,
    },
}

impl FromWorker {
    /// A report of this kind.
    pub fn report(kind: ReportKind, text: String) -> FromWorker {
        FromWorker::Report {
            kind: kind as u32,
            text,
        }
    }
}
