//! Changing representations: transformers laid out from two manifests, the sweep, the heap check, and
//! the life of an update as a pure function.
//!
//! `events` and `life` know workers as slots and builds as indices: no clock, no descriptors, no messages
//! on wires. The rest knows guards and boxes. Nothing here knows processes or sockets.

mod announced;
mod bind;
mod check;
mod emptied;
mod events;
mod fill;
mod items;
mod layout;
mod life;
mod moved;
mod nodes;
mod objects;
mod pass;
#[cfg(test)]
mod simulation;
mod sweep;
mod tuple;
mod walk;

pub use announced::Announced;
pub use bind::bind;
pub use check::{CheckReport, check};
pub use events::{
    Answer, BuildIndex, Effect, Event, FillState, Manner, OnFailure, Order, Plan, TimerId,
    TimerKind,
};
pub use fill::{FillSlice, fill};
pub use life::{Life, Stage, Waiting};
pub use moved::move_items;
pub use sweep::{SweepSlice, sweep};
#[cfg(test)]
pub(crate) use {check::check_guards, fill::fill_guards, sweep::sweep_guards};
