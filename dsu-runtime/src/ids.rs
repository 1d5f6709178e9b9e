//! Newtypes for everything that is numbered, so that no index is taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a version of the application, as `dsu::version!` states it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VersionId(pub u32);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The index of a worker's record in the control region, `0..MAX_WORKERS`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerSlot(pub u32);

impl WorkerSlot {
    /// The name that this worker writes into lock words and superblocks: never 0.
    pub const fn owner(self) -> u32 {
        self.0 + 1
    }
}

impl fmt::Display for WorkerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// The index of a guard's slot in the control region; stable for the life of the server.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct GuardIndex(pub u32);

/// Which sweep of a server's life (R29). 0 stands for none in shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepId(pub u32);

/// A representation id (R1): which form the bytes behind a root or a box are in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub u16);

impl Tag {
    /// No representation: an item that nobody has made yet, or a cell that is not bound.
    pub const NONE: Tag = Tag(0);
    /// In a root: the owner died in the middle. In an expectation: never equal to any root.
    pub const IMPOSSIBLE: Tag = Tag(u16::MAX);
    /// Ids that the supervisor may give are `1..=LAST`.
    pub const LAST: Tag = Tag(u16::MAX - 1);
}
