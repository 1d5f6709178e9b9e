//! Objects made at run time: which slots of the guard table they have, who owns them, who has handles
//! to them, and when they are freed.
//!
//! Owns the part of a guard slot that says so, and the record of object slots in the control region.
//! Knows nothing of locks but that a slot whose first word is not 0 is locked; what an object is
//! guarded by is `sync`'s. Upholds: an object is freed once, after its owner and the last handle are
//! gone, by whoever is the last; whoever dies when, nothing stays stuck.

mod holdings;
mod life;
mod recovery;
mod slot;
mod table;

#[cfg(test)]
mod tests;

pub use slot::ObjectId;

pub(super) use holdings::Holdings;
pub(crate) use holdings::{Refused, Wanted, current_run, end_run, hold, hold_again, release};
pub(crate) use life::{
    Fate, all_states, collect_lost, fate, is_in_hand, keep_found, make, reap, retire,
};
pub(super) use life::{forget_fresh, keep_fresh, retire_only, settle_fresh, settle_retired};
pub(crate) use recovery::recover;
pub(crate) use table::known_slots;
