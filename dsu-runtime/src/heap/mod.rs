//! Shared memory: regions, the allocator, containers and boxes whose bytes every worker sees.
//!
//! Owns every pointer into roots and heap. Knows nothing of locks, versions or processes: whoever
//! calls in here holds the guard of what it touches.

pub mod alloc;
mod block;
mod box_word;
mod boxed;
mod buffer;
mod bytes;
mod convert;
mod deque;
mod leaves;
pub mod live;
mod map;
mod shared;
mod string;
#[cfg(test)]
mod tests;
pub mod transaction;
mod vec;
mod versioned;

pub use boxed::SharedBox;
pub use bytes::SharedBytes;
pub use convert::{convert_box, drop_box, visit_box};
pub use deque::SharedDeque;
pub use map::{NoRoom, SharedMap};
pub use shared::{Cell, Inline, Shared, Visitor, visitor_of};
pub use string::SharedString;
pub use vec::SharedVec;
pub use versioned::{Element, Versioned};
