//! Sharing inside a guard's items: nodes with several handles, cycles, plain counts.
//!
//! A *node* is a block of its own that has the box of a value, two counts, and whose it is. Handles are
//! its address, so identity is that, and a conversion changes the one word in the node, for all of them.
//!
//! | strong | weak count | the node is |
//! |---|---|---|
//! | > 0 | handles + 1 | alive; its word is that of a box |
//! | 0 | handles + 1 | losing its value, or being made (`new_cyclic`): a weak handle leads to nothing |
//! | 0 | > 0 | empty: kept by weak handles alone, word 0 |
//! | 0 | 0 | gone |
//!
//! Upholds:
//! - I34 whoever touches a node but for its home word holds its home guard, and no other worker can (`home`)
//! - I35 counts are never too low: whatever conversion is undone and whoever dies, a node with a handle is
//!   there; they are exact where nobody died (`count`)
//! - I36 nobody edits a value while somebody reads or edits it, and its guard stays held meanwhile (`borrow`)
//!
//! Knows no locks, only the words in which they say whose they are; and no versions.

mod borrow;
mod count;
mod handle;
mod home;
mod node;
mod walk;
mod weak;

pub(crate) use borrow::is_open;
pub(crate) use count::{give_up, inherit, owed_guards, settle};
pub use handle::SharedRc;
pub use node::{HandleKind, NodePtr};
pub use walk::NodeHandle;
pub(crate) use walk::{begin, next};
pub use weak::SharedWeak;

pub(super) use count::{
    Owed, count_down, count_down_to, count_for_copy, count_up, count_up_to_publish, owe, owed,
    published,
};
pub(super) use node::Change;
