//! Guards between worker processes.
//!
//! Owns the lock word, the guard's slot and the typed guards over both. Must never know how versions
//! are loaded or what a transformer does.

mod circle;
mod death;
mod edges;
mod flip;
mod guard;
mod handle;
mod many;
mod names;
mod object;
mod order;
mod party;
mod patience;
mod platform;
mod recovery;
mod slot;
mod waiter;
mod word;

#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod tests;

pub use death::{RecoveredLocks, is_held_by, recover_worker};
pub use edges::{Circle, Edge, Edges, disagreement};
pub use guard::{Guard, GuardFamily, GuardMutex};
pub use handle::{Handle, lock_objects, lock_two_objects};
pub use many::LockAll;
pub use object::Guarded;
pub use order::{Mixed, recorded, set_mixed};
pub use party::{CellIndex, Class, Name, Seat, TimedOut};
pub use recovery::recover;
pub use word::LockCell;

pub(crate) use flip::{erased, leaving_all_sound, leaving_it_sound, sorted_guards};
pub(crate) use guard::settle_handles;
pub(crate) use names::{emptied, set_emptied, whereabouts};
pub(crate) use object::{Pinned, describe, lock_as_it_is};
pub(crate) use order::record_into;
pub(crate) use slot::{GuardSlot, Root};
