//! Destructors of the application, where the runtime drops a value last: outside of conversions they may
//! do whatever a section does.
//!
//! Owns saying so. A flip or a sweep says that a death in it leaves its guard sound; in a destructor that
//! is not so, as it may be in the middle of an edit.

use crate::abi::{WorkerContext, WorkerRecord};
use std::sync::atomic::Ordering;

/// Runs a destructor. Within a conversion what it does is undone with that, so there it says nothing.
/// Whose a node is goes by the guard that changes form, as before.
pub(super) fn run(drop: impl FnOnce()) {
    let worker = WorkerContext::current();
    if worker.owner() == 0 || worker.converting.get() != 0 {
        return drop();
    }
    let record = worker.record();
    let outer = record.flipping.load(Ordering::Relaxed);
    if outer == 0 || outer & WorkerRecord::FLIPPING_DROPS != 0 {
        return drop();
    }
    let _flipping = record.say_flipping(outer | WorkerRecord::FLIPPING_DROPS);
    drop();
}
