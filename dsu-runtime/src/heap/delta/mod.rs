//! Delta granularity: lenses between containers of different shape, of which the runtime keeps both
//! forms while versions are mixed, so that a flip costs what was changed and not what is there.
//!
//! Owns the lenses and how they make and follow the other form. Knows nothing of guards or updates: who
//! calls holds the guard, and says until when. Elements are boxes, which only one form owns; the other
//! has their words. Keys are copied.
#![allow(unsafe_code)] // promises about bytes

mod body;
mod follow;
mod indexed;
mod key;
mod keyed;
mod partitioned;
mod prepare;
mod reshaped;
mod shape;
#[cfg(test)]
mod tests;
mod twins;

pub use follow::Peek;
pub use indexed::{IndexMap, IndexOf, Indexed, IndexedItems};
pub use key::DeltaKey;
pub use keyed::{KeyOf, Keyed};
pub use partitioned::{Partitioned, PartitionedItems, Route};
pub use prepare::{Items, Prepare, PrepareItems, Progress};
pub use reshaped::Reshaped;
pub use shape::{Hashed, MapShape, Ordered};

use crate::error::AccessError;
use xform::LensError;

/// With the complement of a lens that keeps nothing.
fn unit<T>(value: T) -> (T, ()) {
    (value, ())
}

/// `Failed` where a reason is to be read: what is unrepresentable is answered without one.
fn failed(error: AccessError) -> LensError {
    match error {
        AccessError::HeapFull => LensError::no_room(error.to_string()),
        AccessError::Foreign => LensError::failed(error.to_string()),
        AccessError::Failed(reason) => LensError::failed(reason),
    }
}
