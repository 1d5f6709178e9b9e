//! Destructors of the application, where the runtime drops a value last: outside of conversions they may
//! do whatever a section does.
//!
//! Owns saying so. A flip or a sweep says that a death in it leaves its guard sound; in a destructor that
//! is not so, as it may be in the middle of an edit.

use crate::abi::{WorkerContext, WorkerRecord};
use std::sync::atomic::{AtomicU32, Ordering};

/// Puts back what was said before, also if the destructor unwinds.
struct Said<'a>(&'a AtomicU32, u32);

impl Drop for Said<'_> {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::Release);
    }
}

/// Runs a destructor. Within a conversion what it does is undone with that, so there it says nothing.
/// Whose a node is goes by the guard that changes form, as before.
pub(super) fn run(drop: impl FnOnce()) {
    let worker = WorkerContext::current();
    if worker.owner() == 0 || worker.converting.get() != 0 {
        return drop();
    }
    let flipping = &worker.record().flipping;
    let outer = flipping.load(Ordering::Relaxed);
    if outer == 0 || outer & WorkerRecord::FLIPPING_DROPS != 0 {
        return drop();
    }
    flipping.store(outer | WorkerRecord::FLIPPING_DROPS, Ordering::Release);
    let _said = Said(flipping, outer);
    drop();
}
