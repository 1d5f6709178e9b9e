//! The life of an update as a pure state machine.
//!
//! Knows workers as slots and builds as indices; no clock, no descriptors, no messages on wires. The
//! supervisor feeds it what happens and carries out what it asks for.

mod events;
mod life;
#[cfg(test)]
mod simulation;

pub use events::{
    Answer, BuildIndex, Effect, Event, Manner, OnFailure, Order, Plan, TimerId, TimerKind,
};
pub use life::{Life, Stage, Waiting};
