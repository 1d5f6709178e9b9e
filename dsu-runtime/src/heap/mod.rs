//! Shared memory: regions, the allocator, containers and boxes whose bytes every worker sees.
//!
//! Owns every pointer into roots and heap. Knows nothing of locks, versions or processes: whoever
//! calls in here holds the guard of what it touches.

mod account;
mod alloc;
mod blocks;
mod claim;
mod classes;
mod context;
mod hint;
mod journal;
mod large;
mod pending;
mod recovery;
mod regions;
mod shared;
mod shared_alloc;
mod superblock;
mod transaction;

#[cfg(test)]
mod allocator_tests;
#[cfg(test)]
mod regions_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod transaction_tests;
#[cfg(test)]
mod worker_death_tests;

pub use account::{Activity, ClassAccount, HeapAccount, SlotAccount};
pub use alloc::{
    allocate, allocate_root, collect, deallocate, deallocate_root, grow_in_place, usable_size,
};
pub use blocks::BlockMap;
pub use context::{ContextError, ensure_context};
pub use recovery::{Recovered, recover};
pub use regions::{HeapLimits, RegionError, RegionFds, Regions, Role};
pub use shared::{Cell, Inline, Shared, Visitor};
pub use shared_alloc::SharedAlloc;
pub use transaction::{Transaction, is_fresh, release_scratch};
