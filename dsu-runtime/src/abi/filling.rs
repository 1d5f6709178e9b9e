//! One word of the control region that says which filling may go on.
//!
//! Invariant: what is filled under a guard is filled on account of the filling that the word names. Only
//! the supervisor writes it, before it tells any worker of another filling, or of a sweep; who fills looks
//! at it with the guard in its hands. So a worker that has not heard yet fills nothing behind a sweep
//! that has passed the guard.

use super::layout::{CONTROL_ADDR, FILLING_OFFSET};
use crate::ids::SweepId;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of the filling that may go on; 0: none.
pub struct FillingWord(AtomicU32);

impl FillingWord {
    /// The word. The control region must be mapped.
    pub fn get() -> &'static FillingWord {
        // SAFETY: a worker or supervisor maps the control region before it asks, and never unmaps it;
        // the word is an atomic that is valid when zero.
        unsafe { &*((CONTROL_ADDR + FILLING_OFFSET) as *const FillingWord) }
    }

    /// Whether this filling may go on. Exact for who holds a guard that a sweep has yet to come to.
    pub fn allows(&self, fill: SweepId) -> bool {
        self.0.load(Ordering::Acquire) == fill.0
    }

    /// Says it anew. The supervisor's.
    pub fn store(&self, fill: Option<SweepId>) {
        self.0
            .store(fill.map_or(0, |fill| fill.0), Ordering::SeqCst);
    }
}
