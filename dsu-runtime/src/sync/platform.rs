//! What the lock word stands on: atomics, the futex, the clock, the pause.
//!
//! The model test puts another module in its place, under the same source of the lock; nothing
//! else may be used there.

pub(super) use crate::sys::futex::{Bits, Count, Half, Waited, wait, wake};
pub(super) use crate::sys::time::Nanos;
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How often a waiter looks again, for twice as long each time, before it sleeps. Measured: one
/// long spin with a load per pause is half as fast under load.
pub(super) const SPIN_ROUNDS: u32 = 6;

/// Lets `rounds` pauses of the processor pass.
pub(super) fn pause(rounds: u32) {
    for _ in 0..rounds {
        std::hint::spin_loop();
    }
}
