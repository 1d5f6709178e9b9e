//! All that the supervisor needs of other rooms: shared memory and libraries.
//!
//! The supervisor reaches regions, recovery, probe, registry and comparison only through these traits,
//! so that its loop is tested with scripted workers and libraries.

use crate::abi::FleetState;
use crate::ids::{GuardIndex, SweepId, Tag, VersionId, WorkerSlot};
use crate::sync::{Edges, Mixed};
use crate::version::{Binding, Manifest, Statics};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The shared regions and the worker records in them.
pub trait Memory {
    /// What workers inherit: the environment variable that names the descriptor, and the descriptor.
    fn descriptors(&self) -> Vec<(&'static str, RawFd)>;
    /// A process was started for this slot.
    fn starting(&self, slot: WorkerSlot, pid: u32);
    /// Something waits in the worker's channel since `now_ns` (monotonic). Call it after sending: the
    /// worker clears the word before it reads the channel.
    fn set_due(&self, slot: WorkerSlot, now_ns: u64);
    /// Whether the worker sleeps in `cx.wait`, and nothing was sent that it is to wake up for.
    fn is_waiting(&self, slot: WorkerSlot) -> bool;
    /// Repairs what a dead worker left: its locks, then its memory; then frees the slot.
    fn recover(&self, slot: WorkerSlot);
    /// The slot of the guard in whose slow path the worker is: it waits there, or transforms.
    fn at_guard(&self, slot: WorkerSlot) -> Option<GuardIndex>;
    /// What a transformer of the worker has in hand.
    fn transforming(&self, slot: WorkerSlot) -> Option<Transforming>;
    /// Static guards that the worker holds, and the one whose items a transformer of its has in hand.
    fn held(&self, slot: WorkerSlot) -> Vec<GuardIndex>;
    /// Whether the guard's owner died inside a section.
    fn is_poisoned(&self, guard: GuardIndex) -> bool;
    /// Slots of objects made at run time, of the first `most`, whose owner died inside a section.
    fn poisoned_objects(&self, most: u32) -> Vec<GuardIndex>;
    /// Boxes that are in this representation; off by a few while workers make and drop them.
    fn boxes(&self, tag: Tag) -> u64;
    /// Bytes of complements whose lens has this as its newer side; too many where a worker has died, never
    /// too few.
    fn complements(&self, newer: Tag) -> u64;
    /// In which order the code of this table has taken its locks so far (R16).
    fn lock_order(&self, table: u32) -> Edges;
    /// Says of which two versions workers run at the same time.
    fn set_mixed(&self, mixed: Option<Mixed>);
    /// Says which versions workers may run (R12).
    fn set_fleet(&self, state: FleetState);
    /// Says which filling may go on.
    fn set_filling(&self, fill: Option<SweepId>);
    /// Whether this filling has all of what it makes for this guard, or nobody has made its items yet.
    fn is_filled(&self, guard: GuardIndex, fill: SweepId) -> bool;
    /// How full the heap is.
    fn heap(&self) -> HeapFigures;
}

/// A transformer at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transforming {
    /// Another number is another transformation.
    pub number: u32,
    /// From which representation; `NONE` where another form is made ahead.
    pub from: Tag,
    /// To which.
    pub to: Tag,
}

/// How full the heap is, in bytes.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct HeapFigures {
    /// In allocated blocks.
    pub used_bytes: usize,
    /// Of those, complements: what one of two versions cannot hold (R10).
    pub complement_bytes: usize,
    /// Given by the machine.
    pub committed_bytes: usize,
    /// Of those, what no block is in: kept for seconds, and given back before the heap is full.
    pub kept_bytes: usize,
    /// What `--heap` allows.
    pub limit_bytes: usize,
}

impl HeapFigures {
    /// Whether what is left is too little to count on: less than a thirty-second part.
    pub fn is_full(&self) -> bool {
        let needed = self.committed_bytes.saturating_sub(self.kept_bytes);
        self.limit_bytes.saturating_sub(needed) < self.limit_bytes / 32
    }
}

/// A library that passed inspection and probe.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Digest of the file.
    pub digest: String,
    /// The copy that workers load.
    pub copy: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its writable statics.
    pub statics: Statics,
}

/// A probe at work.
pub trait Probing {
    /// Descriptors that become readable when `poll` should be called.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;
    /// Time after which `poll` should be called anyway.
    fn timeout(&self) -> Duration;
    /// The result, once; `None` before.
    fn poll(&mut self) -> Option<Result<Candidate, String>>;
}

/// What a comparison says about an update that is possible.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Advice {
    /// Why workers have to cross together; `None` where rolling will do.
    pub barrier: Option<String>,
    /// A `GUARD.item` whose lens goes forward only (R14).
    pub one_way: Option<String>,
    /// Items that move between guards: which, from where, to where.
    pub moves: Vec<String>,
    /// Items (`GUARD.item`) and types whose other form is filled before workers cross.
    pub filled: Vec<String>,
    /// Anything else that the operator should read.
    pub notes: Vec<String>,
}

/// Everything that is done with libraries.
pub trait Libraries {
    /// Inspects and copies the file, then starts a probe of the copy.
    ///
    /// # Errors
    /// The reason for a refusal.
    fn probe(&self, path: &Path) -> Result<Box<dyn Probing>, String>;
    /// Whether a server that runs `running` can go over to `new`.
    ///
    /// # Errors
    /// All reasons for a refusal.
    fn compare(&self, running: &Manifest, new: &Manifest) -> Result<Advice, Vec<String>>;
    /// Copies a copy under another name, which the loader takes for other code; `number` makes the name.
    ///
    /// # Errors
    /// The reason for a refusal.
    fn twin(&self, copy: &Path, number: usize) -> Result<PathBuf, String>;
    /// Gives slots and tags to everything that the manifest names; those of the version that runs stay.
    ///
    /// # Errors
    /// The reason for a refusal.
    fn admit(&mut self, manifest: &Manifest, running: Option<VersionId>)
    -> Result<Binding, String>;
}

/// Both.
pub struct Ports {
    /// Shared memory.
    pub memory: Box<dyn Memory>,
    /// Libraries.
    pub libraries: Box<dyn Libraries>,
}
