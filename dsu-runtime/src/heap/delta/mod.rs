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
mod items;
mod key;
mod keyed;
mod outcome;
mod partitioned;
mod prepare;
mod reshaped;
mod shape;
#[cfg(test)]
mod tests;
mod twins;

pub use follow::Peek;
pub use indexed::{IndexMap, IndexOf, Indexed, IndexedItems};
pub use items::BetweenItems;
pub use key::DeltaKey;
pub use keyed::{KeyOf, Keyed};
pub use partitioned::{Partitioned, PartitionedItems, Route};
pub use prepare::{Items, Prepare, PrepareItems, Progress};
pub use reshaped::Reshaped;
pub use shape::{Hashed, MapShape, Ordered};
