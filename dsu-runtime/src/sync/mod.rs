//! Locks between worker processes.
//!
//! Owns the lock word; must never know what a guard guards. See [`LockCell`].

mod party;
mod platform;
mod recovery;
mod waiter;
mod word;

#[cfg(test)]
mod tests;

pub use party::{CellIndex, Class, Name, Seat, TimedOut};
pub use recovery::recover;
pub use word::LockCell;
