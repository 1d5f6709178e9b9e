//! Shared memory: regions, the allocator, containers and boxes whose bytes every worker sees.
//!
//! Owns every pointer into roots and heap. Knows nothing of locks, versions or processes: whoever
//! calls in here holds the guard of what it touches.
//!
//! Public is what applications need, and none of it lets safe code break another's memory: traits whose
//! implementations others rely on are `unsafe`, conversions and the allocator's upkeep are this crate's own.

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
mod keep;
mod kept;
mod keys;
mod large;
mod last_wish;
mod leaves;
mod ledger;
pub(crate) mod live;
mod map;
mod named;
pub(crate) mod objects;
mod ordered;
mod pending;
mod prefetch;
mod private;
mod raised;
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
mod keep_tests;
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
pub use blocks::BlockMap;
pub use boxed::SharedBox;
pub use bytes::SharedBytes;
pub use deque::SharedDeque;
pub use function::{Function, SharedFn};
pub use keys::Draws;
pub use map::{KeyHash, NoRoom, Reach, SharedMap};
pub use objects::ObjectId;
pub use ordered::{OrderedEntries, SharedOrderedMap};
pub use rc::{HandleKind, NodeHandle, NodePtr, SharedRc, SharedWeak};
pub use regions::{HeapLimits, RegionError, RegionFds, Regions, Role};
pub use shared::{Cell, Inline, Shared, Visitor};
pub use shared_alloc::SharedAlloc;
pub use string::SharedString;
pub use vec::SharedVec;
pub use versioned::{Element, Versioned};

#[doc(hidden)]
pub use alloc::{allocate, deallocate, deallocate_root, grow_in_place};
#[doc(hidden)]
pub use convert::converting;

pub(crate) use alloc::{collect, has_freed_blocks};
pub(crate) use convert::visit_box;
pub(crate) use failure::{ask_for_guards, direction, report_guard};
pub(crate) use function::{pointer_of, signature_of};
pub(crate) use in_hand::InHand;
pub(crate) use keep::give_back_old;
pub(crate) use keys::{KeyResults, listen};
pub(crate) use reclaim::settle;
pub(crate) use recovery::recover;
pub(crate) use root::{
    BOX_ADDRESS, Together, complement_of_root, convert_root, discard_twins, is_prepared,
    keeps_complements, make_root, prepare_box, prepare_now, prepare_way, show_boxes_inside,
    show_content, sweep_box, sweep_root,
};
pub(crate) use shared::{visit_parts, visitor_of};
pub(crate) use transaction::{end_guard, has_scratch};
#[cfg(test)]
pub(crate) use {
    alloc::allocate_root,
    convert::{convert_box, drop_box},
    recovery::Recovered,
    transaction::{Transaction, is_fresh, release_scratch},
};
