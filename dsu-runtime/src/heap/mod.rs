//! Shared memory: regions, the allocator, containers and boxes whose bytes every worker sees.
//!
//! Owns every pointer into roots and heap. Knows nothing of locks, versions or processes: whoever
//! calls in here holds the guard of what it touches.

mod account;
mod alloc;
mod block;
mod blocks;
mod box_word;
mod boxed;
mod buffer;
mod bytes;
mod chain;
mod claim;
mod classes;
mod context;
mod convert;
mod copies;
pub mod delta;
mod deque;
mod failure;
mod function;
mod hint;
mod in_hand;
mod journal;
mod kept;
mod keys;
mod large;
mod last_wish;
mod leaves;
mod ledger;
pub mod live;
mod map;
mod named;
pub(crate) mod objects;
mod ordered;
mod pending;
mod prefetch;
mod private;
pub(crate) mod rc;
mod reclaim;
mod recovery;
mod regions;
mod room;
mod root;
mod row;
mod shared;
mod shared_alloc;
mod string;
mod superblock;
mod transaction;
mod twin;
mod vec;
mod versioned;
mod watch;

#[cfg(test)]
mod allocator_tests;
#[cfg(test)]
mod reclaim_tests;
#[cfg(test)]
mod regions_tests;
#[cfg(test)]
pub(crate) mod stepping;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod transaction_tests;
#[cfg(test)]
mod worker_death_tests;

pub use account::{Activity, ClassAccount, HeapAccount, SlotAccount};
pub use alloc::{
    allocate, allocate_root, collect, deallocate, deallocate_root, grow_in_place, has_freed_blocks,
    usable_size,
};
pub use blocks::BlockMap;
pub use boxed::SharedBox;
pub use bytes::SharedBytes;
pub use context::{ContextError, ensure_context};
pub use convert::{convert_box, drop_box, visit_box};
pub use deque::SharedDeque;
pub use function::{Function, SharedFn};
pub use keys::{Draws, KeyResults, listen};
pub use map::{KeyHash, NoRoom, Reach, SharedMap};
pub use objects::ObjectId;
pub use ordered::{OrderedEntries, SharedOrderedMap};
pub use rc::{HandleKind, NodeHandle, NodePtr, SharedRc, SharedWeak};
pub use recovery::{Recovered, recover};
pub use regions::{HeapLimits, RegionError, RegionFds, Regions, Role};
pub use shared::{Cell, Inline, Shared, Visitor, visitor_of};
pub use shared_alloc::SharedAlloc;
pub use string::SharedString;
pub use transaction::{Transaction, has_scratch, is_fresh, release_scratch};
pub use vec::SharedVec;
pub use versioned::{Element, Versioned};

pub(crate) use failure::{ask_for_guards, direction, report_guard};
pub(crate) use function::{pointer_of, signature_of};
pub(crate) use in_hand::InHand;
pub(crate) use reclaim::settle;
pub(crate) use root::{
    BOX_ADDRESS, Together, complement_of_root, convert_root, discard_twins, is_prepared, make_root,
    prepare_box, prepare_now, show_boxes_inside, show_content, sweep_box, sweep_root,
};
pub(crate) use shared::visit_parts;
pub(crate) use transaction::end_guard;
