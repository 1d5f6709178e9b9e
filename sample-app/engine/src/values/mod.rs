//! Values that an entry can hold besides plain bytes, made of the runtime's shared containers.
//!
//! They know nothing of keys, locks or versions. Every operation that grows one returns a result and
//! leaves it as it was on a full heap; in a transformer, where each first write copies, so does every
//! other, but a list may then have lost a part of what was to be removed.

mod chunk;
mod element;
mod hash;
mod list;
mod pairs;
mod text;

pub use hash::Hash;
pub use list::List;
pub use text::{Origin, Text};
