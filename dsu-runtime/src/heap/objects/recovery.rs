//! What the supervisor does to objects after a worker's death.
//!
//! Every step takes the dead worker's name out of one word, so that it may stop anywhere and be done
//! again. It frees no value, as that runs code of the application: what nobody holds any more is left
//! to the next worker that makes an object or begins a run.

use super::slot::{Life, ObjectSlot, Party, State};
use super::table;
use crate::ids::{GuardIndex, WorkerSlot};
use std::sync::atomic::Ordering::SeqCst;

/// Releases the handles of the worker in `dead`, and ends what it was doing to object slots.
/// Idempotent. The worker's process must be gone and its locks recovered.
pub(crate) fn recover(dead: WorkerSlot) {
    let party = Party::of_slot(dead);
    for index in table::known_slots().map(GuardIndex) {
        let slot = ObjectSlot::at(index);
        slot.remove_holder(dead);
        // Others may retire and free meanwhile; nobody writes the name of the dead again.
        loop {
            let state = slot.state();
            if !mend(slot, state, party) {
                break;
            }
        }
        match slot.state().life {
            Life::Free => table::lower(index),
            Life::Retired if !slot.is_held() => table::note_orphan(),
            _ => {}
        }
    }
}

/// Takes the name of the dead out of a state. False if it is not there.
fn mend(slot: &ObjectSlot, state: State, dead: Party) -> bool {
    let generation = state.generation;
    let has_value = slot.root.load(SeqCst) != 0;
    let life = match state.life {
        // It died in a conversion, or on the way from the value to the state: either way the value
        // is there, and somebody may own it by now.
        Life::Claimed(party) if party == dead && has_value => {
            Life::Owned(Party::DEAD_IN_CONVERSION)
        }
        Life::Freeing(party) if party == dead && has_value => Life::Retired,
        Life::Claimed(party) | Life::Freeing(party) if party == dead => {
            slot.change(state, State::after(generation));
            return true;
        }
        Life::Owned(party) if party == dead => Life::Owned(Party::DEAD),
        _ => return false,
    };
    slot.change(state, State { life, generation });
    true
}
