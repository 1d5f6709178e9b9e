//! What an application writes `use dsu_runtime::prelude::*;` for.

pub use crate as dsu;
pub use crate::error::{AccessError, HeapFull, LockError, MakeError, WorkerError};
pub use crate::heap::{
    Shared, SharedBox, SharedBytes, SharedDeque, SharedMap, SharedOrderedMap, SharedString,
    SharedVec, Versioned,
};
pub use crate::ids::VersionId;
pub use crate::sync::{Guard, GuardFamily, GuardMutex, Guarded, Handle};
pub use crate::sys::epoll::Interest;
pub use crate::worker::{
    Carry, Crossing, Descriptor, Event, Events, Listener, Notice, Step, Stream, Worker,
};
pub use crate::{carry_lens, guards, lock_all, removed, transformer, update_point};
pub use dsu_macros::{Carry, Shared};
