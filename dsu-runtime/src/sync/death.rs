//! What the death of a worker means for guards: which are poisoned, and that all are free again.
//!
//! Owns the meaning of `flipping` in a worker's record. The repair of the words is `recovery`'s.

use super::party::{CellIndex, Name, Seat};
use super::recovery::recover;
use super::slot::GuardSlot;
use crate::abi::WorkerRecord;
use crate::heap::{self, objects};
use crate::ids::{GuardIndex, WorkerSlot};
use std::sync::atomic::Ordering;

/// Whether the worker in `slot` is in a section of this guard, as its lock says at the moment.
pub fn is_held_by(guard: GuardIndex, slot: WorkerSlot) -> bool {
    GuardSlot::at(guard).lock.load().owner() == slot.owner()
}

/// What [`recover_worker`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveredLocks {
    /// Guards that are poisoned now: the dead worker was inside a section of theirs.
    pub poisoned: Vec<GuardIndex>,
}

/// Takes a dead worker out of every guard's lock. A guard whose section it was in is poisoned; one
/// whose transformer it was running is not, for the old representation is intact until the root is
/// published. `guards` is the number of slots of static guards in use; those of objects are known.
/// Then its handles are released. Idempotent and restartable, as [`recover`].
pub fn recover_worker(dead: WorkerSlot, guards: u32) -> RecoveredLocks {
    // While its guards are still taken: nobody else has seen what its conversion left.
    heap::settle(dead);
    let record = WorkerRecord::at(dead);
    let seat = Seat {
        name: Name::of_slot(dead.0),
        busy: &record.busy,
    };
    let mut recovered = RecoveredLocks::default();
    let slots = (0..guards).chain(objects::known_slots()).map(GuardIndex);
    let cells = slots.map(|index| (CellIndex(index.0), &GuardSlot::at(index).lock));
    recover(&seat, cells, |CellIndex(index)| {
        let flipping = record.flipping.load(Ordering::Acquire);
        let is_sound = flipping == index + 1 || flipping == WorkerRecord::FLIPPING_ALL;
        if !is_sound && GuardSlot::at(GuardIndex(index)).poison() {
            recovered.poisoned.push(GuardIndex(index));
        }
    });
    record.flipping.store(0, Ordering::Release);
    // Not before: nobody may free an object whose lock still names the dead.
    objects::recover(dead);
    recovered
}
