//! The life of an object: made, owned, retired, freed.
//!
//! Upholds: its value is dropped once, by the code of the version whose form it is in, when neither an
//! owner nor a holder is left; what a conversion makes or drops takes effect with it (`transaction`).
#![allow(unsafe_code)] // drops values by their words

use super::slot::{Life, ObjectId, ObjectSlot, Party, State};
use super::table;
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use crate::heap::context::HeapContext;
use crate::heap::convert;
use crate::heap::journal::FreshList;
use crate::heap::last_wish;
use crate::heap::transaction;
use crate::heap::versioned::{Element, Versioned};
use crate::ids::{GuardIndex, WorkerSlot};
use std::sync::atomic::Ordering::SeqCst;

fn me() -> Party {
    Party::of_slot(WorkerSlot(WorkerContext::current().owner() - 1))
}

fn fresh() -> &'static std::cell::Cell<u32> {
    &HeapContext::current().holdings.fresh
}

/// A new object with this value, which whoever called owns.
///
/// # Errors
/// `HeapFull`: no room for the value, no slot, or the caller only makes a copy to be read (R20), which
/// cannot have objects of its own. The value is dropped.
pub(crate) fn make<T: Element>(value: T) -> Result<ObjectId, HeapFull> {
    let worker = WorkerContext::current();
    if !worker.is_attached() || worker.copying.get() != 0 {
        return Err(HeapFull);
    }
    reap();
    let id = table::claim(me())?;
    let slot = ObjectSlot::at(id.index);
    let made = Versioned::unasked(value).and_then(|value| {
        if worker.converting.get() != 0 {
            transaction::note_fresh_object(id)?;
        }
        Ok(value)
    });
    match made {
        Ok(value) => {
            slot.root.store(value.into_word(), SeqCst);
            if worker.converting.get() == 0 {
                slot.set_state(owned(id));
            } else {
                fresh().set(fresh().get() + 1);
            }
            Ok(id)
        }
        Err(full) => {
            free_slot(id);
            Err(full)
        }
    }
}

fn owned(id: ObjectId) -> State {
    State {
        life: Life::Owned(me()),
        generation: id.generation,
    }
}

/// The outermost conversion stands: what it made has an owner.
pub(in crate::heap) fn keep_fresh(entries: &FreshList) {
    if fresh().replace(0) == 0 {
        return;
    }
    for id in entries.iter().filter_map(|entry| entry.to_object()) {
        ObjectSlot::at(id.index).set_state(owned(id));
    }
}

/// The conversion that made the object does not stand. The value's blocks are fresh as well, each on
/// its own.
pub(in crate::heap) fn forget_fresh(id: ObjectId) {
    fresh().set(fresh().get().saturating_sub(1));
    ObjectSlot::at(id.index).root.store(0, SeqCst);
    free_slot(id);
}

/// The slot has no value any more, and its state names this worker.
fn free_slot(id: ObjectId) {
    ObjectSlot::at(id.index).set_state(State::after(id.generation));
    table::lower(id.index);
}

/// The owner drops the object. One that is gone already is left alone.
pub(crate) fn retire(id: ObjectId) {
    let worker = WorkerContext::current();
    if !worker.is_attached() || !table::is_known(id.index) {
        return;
    }
    if worker.converting.get() != 0 {
        return transaction::free_object(id, || {
            fresh().set(fresh().get().saturating_sub(1));
            // Nobody else can have seen it, and the slot names this worker.
            take_apart(id);
        });
    }
    if retire_only(id) {
        settle(id.index);
    }
}

/// Says that the owner is gone; false if that was said before. Whoever says it also settles it, or is
/// recovered.
pub(in crate::heap) fn retire_only(id: ObjectId) -> bool {
    if !table::is_known(id.index) {
        return false;
    }
    let slot = ObjectSlot::at(id.index);
    loop {
        let state = slot.state();
        let is_it = state.generation == id.generation && matches!(state.life, Life::Owned(_));
        if !is_it {
            return false;
        }
        let life = Life::Retired;
        // Recovery may have changed the maker's name meanwhile.
        if slot.change(state, State { life, ..state }) {
            return true;
        }
    }
}

/// The other half of a retirement.
pub(in crate::heap) fn settle_retired(id: ObjectId) {
    if table::is_known(id.index) {
        settle(id.index);
    }
}

/// For recovery: an object that the worker in `dead` made in its last conversion. Where that does not
/// stand its value is no longer shown, since its blocks go, and the recovery of objects frees the slot.
pub(in crate::heap) fn settle_fresh(id: ObjectId, dead: WorkerSlot, stands: bool) {
    if !table::is_known(id.index) {
        return;
    }
    let slot = ObjectSlot::at(id.index);
    let (state, party) = (slot.state(), Party::of_slot(dead));
    if state.generation != id.generation || state.life != Life::Claimed(party) {
        return;
    }
    if stands {
        let life = Life::Owned(party);
        slot.change(state, State { life, ..state });
    } else {
        slot.root.store(0, SeqCst);
    }
}

/// Frees a retired object that nobody holds. Called by whoever took away the owner or a holder, after
/// that; so whoever comes last sees that it is.
pub(super) fn settle(index: GuardIndex) {
    let slot = ObjectSlot::at(index);
    loop {
        let state = slot.state();
        if state.life != Life::Retired || slot.is_held() {
            return;
        }
        if WorkerContext::current().converting.get() != 0 {
            // A free would wait for the conversion, and the slot cannot.
            return table::note_orphan();
        }
        let life = Life::Freeing(me());
        if !slot.change(state, State { life, ..state }) {
            continue;
        }
        if slot.is_held() {
            // A walk came between. It may have gone again, and left the object to us.
            slot.set_state(state);
            continue;
        }
        if slot.is_locked() {
            // Only a guard that was leaked outlives its handle. Its worker ends at its next update
            // point, and recovery sees to the object.
            return slot.set_state(state);
        }
        let generation = state.generation;
        if slot.is_poisoned() {
            // What a section left half done cannot be dropped.
            let life = Life::Condemned;
            return slot.set_state(State { life, generation });
        }
        return take_apart(ObjectId { index, generation });
    }
}

/// Drops the value and frees the slot, whose state names this worker.
fn take_apart(id: ObjectId) {
    let word = ObjectSlot::at(id.index).root.swap(0, SeqCst);
    if word != 0 {
        // SAFETY: the word of a live box that nobody else can reach: it had no owner and no holder
        // when the state was changed to this worker's, and it is not in the slot any more.
        last_wish::run(|| unsafe { convert::drop_box(word) });
    }
    free_slot(id);
}

/// Whether this worker makes or frees the object in a slot: nobody else can reach its value.
pub(crate) fn is_in_hand(index: GuardIndex) -> bool {
    table::is_known(index)
        && match ObjectSlot::at(index).state().life {
            Life::Claimed(party) | Life::Freeing(party) => party == me(),
            _ => false,
        }
}

/// Frees what the dead were the last to hold, if there is anything.
pub(crate) fn reap() {
    if WorkerContext::current().converting.get() == 0 && table::take_orphans() {
        table::known_slots().map(GuardIndex).for_each(settle);
    }
}

/// What a walk over the slots finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// No object that anybody can reach.
    None,
    /// Somebody makes or frees it now.
    Changing,
    /// It has an owner.
    Owned,
    /// It has an owner, or is nobody's: the worker that made it is dead.
    OwnedOrLost,
    /// The same, and its value may own blocks that are somebody else's, or none any more: it died in the
    /// conversion. Until somebody who has seen all owners says which, nobody looks for it by its slot.
    Doubtful,
    /// Its owner is gone.
    Retired,
    /// A poisoned one that nobody can reach any more.
    Condemned,
}

impl Fate {
    /// Whether there is an object that whoever walks over the slots may go into.
    pub(crate) fn is_reachable(self) -> bool {
        matches!(self, Fate::Owned | Fate::OwnedOrLost | Fate::Retired)
    }

    /// Whether something owns it, or may.
    pub(crate) fn is_owned(self) -> bool {
        matches!(self, Fate::Owned) || self.may_be_lost()
    }

    /// Whether it may be nobody's.
    pub(crate) fn may_be_lost(self) -> bool {
        matches!(self, Fate::OwnedOrLost | Fate::Doubtful)
    }
}

/// What has become of the object in a slot; and which one it is.
pub(crate) fn fate(index: GuardIndex) -> (Fate, ObjectId) {
    let slot = ObjectSlot::at(index);
    let State { life, generation } = slot.state();
    let fate = match life {
        Life::Free => Fate::None,
        Life::Claimed(_) | Life::Freeing(_) => Fate::Changing,
        Life::Owned(Party::DEAD_IN_CONVERSION) => Fate::Doubtful,
        Life::Owned(maker) if maker.is_dead() => Fate::OwnedOrLost,
        Life::Owned(_) => Fate::Owned,
        Life::Retired => Fate::Retired,
        Life::Condemned if slot.root.load(SeqCst) == 0 => Fate::None,
        Life::Condemned => Fate::Condemned,
    };
    (fate, ObjectId { index, generation })
}

/// The states of all slots, to tell whether any object came, went or changed hands in between.
pub(crate) fn all_states() -> Vec<u64> {
    let slots = table::known_slots().map(GuardIndex);
    slots
        .map(|index| ObjectSlot::at(index).state().word())
        .collect()
}

/// Something that owns it was found: the conversion in which its maker died was published.
pub(crate) fn keep_found(id: ObjectId) {
    let doubtful = State {
        life: Life::Owned(Party::DEAD_IN_CONVERSION),
        generation: id.generation,
    };
    let life = Life::Owned(Party::DEAD);
    ObjectSlot::at(id.index).change(doubtful, State { life, ..doubtful });
}

/// Frees an object that nothing owns, since its maker died with it in its hands.
pub(crate) fn collect_lost(id: ObjectId) {
    let slot = ObjectSlot::at(id.index);
    let state = slot.state();
    if state.generation != id.generation {
        return;
    }
    if state.life == Life::Owned(Party::DEAD_IN_CONVERSION) {
        // Its value may have taken over blocks of the one that it was to replace, which lives on. Who
        // dies while it frees another's drops that later; of what is claimed the value is never dropped.
        let life = Life::Claimed(me());
        if slot.is_held() || !slot.change(state, State { life, ..state }) {
            return;
        }
        if slot.is_held() {
            // A walk came between. The next check finds the object again.
            return slot.set_state(state);
        }
        slot.root.store(0, SeqCst);
        free_slot(id);
    } else if state.life == Life::Owned(Party::DEAD) {
        retire(id);
    }
}
