//! A lens for one element made into a lens for a whole container.
//!
//! How an element finds its complement again is the whole difference between these lenses:
//!
//! | lens | an element is recognised by |
//! |---|---|
//! | [`EachOption`] | being there |
//! | [`EachMapValue`] | its key in the map |
//! | [`EachByKey`] | a key computed from it (R8) |
//! | [`EachByPosition`] | its index: right only if elements are never inserted, removed or moved, or keep nothing (R8) |
//!
//! The containers are given by the small traits [`Sequence`] and [`Map`], one type parameter for each side and one for
//! the complements, so that a library with containers of its own can use its own throughout.

mod container;
mod keyed;
mod map;
mod option;
mod position;
mod walk;

pub use container::{Map, Sequence};
pub use keyed::{EachByKey, ElementKey, VecByKey, vec_by_key};
pub use map::{BTreeMapValues, EachMapValue, HashMapValues, btree_map, hash_map};
pub use option::{EachOption, option};
pub use position::{EachByPosition, VecByPosition, vec_by_position};
