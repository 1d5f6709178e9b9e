//! Shared memory: regions, the allocator, containers and boxes whose bytes every worker sees.
//!
//! Owns every pointer into roots and heap. Knows nothing of locks, versions or processes: whoever
//! calls in here holds the guard of what it touches.

mod shared;

pub use shared::{Cell, Inline, Shared, Visitor};
