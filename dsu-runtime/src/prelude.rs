//! What an application writes `use dsu_runtime::prelude::*;` for.

pub use crate as dsu;
pub use crate::error::{
    AccessError, FunctionError, HeapFull, LockError, MakeError, RcError, WorkerError,
};
pub use crate::heap::{
    Shared, SharedBox, SharedBytes, SharedDeque, SharedFn, SharedMap, SharedOrderedMap, SharedRc,
    SharedString, SharedVec, SharedWeak, Versioned,
};
pub use crate::ids::VersionId;
pub use crate::sync::{Guard, GuardFamily, GuardMutex, Guarded, Handle};
pub use crate::sys::epoll::Interest;
pub use crate::worker::{
    Carry, Crossing, Descriptor, Event, Events, Listener, Notice, Step, Stream, Worker,
};
pub use crate::{carry_lens, guards, lock_all, removed, transformer, update_point};
pub use dsu_macros::{Carry, Shared};
