//! One word of the control region that says which versions workers may run (R12).
//!
//! Invariant: no worker runs a version before `floor`, and whenever a build that could not run before
//! may run from now on, `epoch` has another value than before. Only the supervisor writes the word:
//! before it sends the message that lets a worker run the build, and, to raise `floor`, after the last
//! worker that could run an older one has said that it crossed, or is dead. When the supervisor dies
//! nobody crosses any more, and the word stays as it is: true, and at worst too careful.

use super::layout::{CONTROL_ADDR, FLEET_OFFSET};
use crate::ids::VersionId;
use std::sync::atomic::{AtomicU64, Ordering};

/// ```text
/// 63      floor      32 31      epoch      0      all zero: nothing is known
/// ```
pub struct FleetWord(AtomicU64);

/// What the word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FleetState {
    /// The oldest version that a worker may run, until the word changes.
    pub floor: VersionId,
    /// Another number whenever a build may run that could not before.
    pub epoch: u32,
}

impl FleetWord {
    /// The word. The control region must be mapped.
    #[inline]
    pub fn get() -> &'static FleetWord {
        // SAFETY: a worker or supervisor maps the control region before it asks, and never unmaps it;
        // the word is an atomic that is valid when zero.
        unsafe { &*((CONTROL_ADDR + FLEET_OFFSET) as *const FleetWord) }
    }

    /// What it says. One load; who holds a guard sees at least what whoever had it before saw, since
    /// the guard was acquired.
    #[inline]
    pub fn load(&self) -> FleetState {
        let word = self.0.load(Ordering::Acquire);
        FleetState {
            floor: VersionId((word >> 32) as u32),
            epoch: word as u32,
        }
    }

    /// Says it anew. The supervisor's.
    pub fn store(&self, state: FleetState) {
        let word = u64::from(state.floor.0) << 32 | u64::from(state.epoch);
        self.0.store(word, Ordering::SeqCst);
    }
}
