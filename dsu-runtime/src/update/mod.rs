//! Changing representations: transformers laid out from two manifests, the sweep, the heap check, and
//! the life of an update as a pure function.
//!
//! Knows guards and boxes; must never know processes or sockets.

mod bind;
mod check;
mod sweep;
mod thunks;
mod tuple;
mod walk;

pub use bind::bind;
pub use check::{CheckReport, check};
pub use sweep::{SweepSlice, sweep};
pub use thunks::{
    backward_thunk, complement_schema, directions, forward_thunk, visit_complement_thunk,
};
