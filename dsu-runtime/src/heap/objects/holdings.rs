//! Objects to which this worker has handles: a private count each, in the worker context.
//!
//! Shared memory has one bit for each worker and object, so the death of a worker takes one bit from
//! each, however many handles it had. The counts belong to one *run* of a version. What is left when
//! it ends was leaked, and is released then; a handle that is still somewhere knows from the number of
//! its run that it is worth nothing any more.

use super::life;
use super::slot::{Life, ObjectId, ObjectSlot};
use super::table;
use crate::abi::WorkerContext;
use crate::heap::context::HeapContext;
use crate::heap::journal::RawList;
use crate::ids::{GuardIndex, WorkerSlot};
use std::cell::Cell;

/// Handles to one object. Index 0 is never an object's: an empty place.
#[repr(C)]
#[derive(Clone, Copy)]
struct Holding {
    index: u32,
    count: u32,
}

const EMPTY: Holding = Holding { index: 0, count: 0 };
const LEAST_PLACES: usize = 64;

/// Open addressing, at most half full; all zero is empty.
#[repr(C)]
pub(in crate::heap) struct Holdings {
    places: RawList<Holding>,
    used: Cell<usize>,
    /// Number of the run that is on.
    run: Cell<u32>,
    /// Where `table` found a free slot last.
    pub(super) cursor: Cell<u32>,
    /// Objects that an open conversion has made.
    pub(super) fresh: Cell<u32>,
}

/// Why there is no handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// The object is gone, or is none.
    Gone,
    /// The process has no memory to note it.
    NoMemory,
}

/// Whom the object has to have for a handle to be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// This very object, with its owner.
    Owned(ObjectId),
    /// Whatever object the slot has, retired or not: for a walk over all.
    Any(GuardIndex),
}

impl Holdings {
    fn place_of(&self, index: GuardIndex) -> usize {
        let mask = self.places.len() - 1;
        let mut at = Self::home(index.0, mask);
        loop {
            let found = self.places.get(at).index;
            if found == index.0 || found == 0 {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn home(index: u32, mask: usize) -> usize {
        (u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
    }

    fn count(&self, index: GuardIndex) -> u32 {
        match self.used.get() {
            0 => 0,
            _ => self.places.get(self.place_of(index)).count,
        }
    }

    /// Room for one more.
    fn reserve(&self) -> Result<(), Refused> {
        if (self.used.get() + 1) * 2 <= self.places.len() {
            return Ok(());
        }
        let all: Vec<_> = self.iter().collect();
        let places = (self.places.len() * 2).max(LEAST_PLACES);
        self.places
            .fill(places, EMPTY)
            .map_err(|_| Refused::NoMemory)?;
        for holding in all {
            self.places
                .set(self.place_of(GuardIndex(holding.index)), holding);
        }
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = Holding> {
        (0..self.places.len())
            .map(|at| self.places.get(at))
            .filter(|holding| holding.index != 0)
    }

    fn set(&self, index: GuardIndex, count: u32) {
        let at = self.place_of(index);
        let is_new = self.places.get(at).index == 0;
        self.used.set(self.used.get() + usize::from(is_new));
        let index = index.0;
        self.places.set(at, Holding { index, count });
    }

    /// Takes one out, and moves those up that had to go further because of it.
    fn remove(&self, index: GuardIndex) {
        let mask = self.places.len() - 1;
        let mut hole = self.place_of(index);
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let next = self.places.get(at);
            if next.index == 0 {
                break;
            }
            let from_home = at.wrapping_sub(Self::home(next.index, mask)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.places.set(hole, next);
                hole = at;
            }
        }
        self.places.set(hole, EMPTY);
        self.used.set(self.used.get() - 1);
    }
}

fn holdings() -> &'static Holdings {
    &HeapContext::current().holdings
}

fn worker() -> WorkerSlot {
    WorkerSlot(WorkerContext::current().owner() - 1)
}

/// Number of the run that is on: a handle of another one is worth nothing.
pub(crate) fn current_run() -> u32 {
    holdings().run.get()
}

/// One more handle of this worker to an object; which one, if the slot has the one that is wanted.
/// Until it is released nobody frees the object.
pub(crate) fn hold(wanted: Wanted) -> Result<ObjectId, Refused> {
    let index = match wanted {
        Wanted::Owned(id) => id.index,
        Wanted::Any(index) => index,
    };
    if !WorkerContext::current().is_attached() || !table::is_known(index) {
        return Err(Refused::Gone);
    }
    let (holdings, slot) = (holdings(), ObjectSlot::at(index));
    let count = holdings.count(index);
    if count == 0 {
        holdings.reserve()?;
        slot.add_holder(worker());
    }
    // After the bit is there: whoever frees it from now on sees the bit.
    let state = slot.state();
    let generation = state.generation;
    let is_wanted = match (wanted, state.life) {
        (Wanted::Owned(id), Life::Owned(_)) => id.generation == generation,
        (Wanted::Any(_), Life::Owned(_) | Life::Retired) => true,
        _ => false,
    };
    if is_wanted {
        // One that would not fit is never released before the run ends.
        holdings.set(index, count.saturating_add(1));
        return Ok(ObjectId { index, generation });
    }
    if count == 0 {
        slot.remove_holder(worker());
        life::settle(index);
    }
    Err(Refused::Gone)
}

/// Another handle beside one that this worker has.
pub(crate) fn hold_again(index: GuardIndex) {
    let count = holdings().count(index);
    debug_assert!(count != 0, "nothing is held in slot {}", index.0);
    holdings().set(index, count.saturating_add(1));
}

/// Gives one handle back. Whoever gives back the last one of all frees an object whose owner is gone.
pub(crate) fn release(index: GuardIndex) {
    let holdings = holdings();
    match holdings.count(index) {
        0 | u32::MAX => {}
        1 => {
            holdings.remove(index);
            ObjectSlot::at(index).remove_holder(worker());
            life::settle(index);
        }
        more => holdings.set(index, more - 1),
    }
}

/// A run of a version is over, or the first is about to begin: whatever handles it leaked are released
/// and worth nothing from now on; objects that the dead left are freed.
pub(crate) fn end_run() {
    if !WorkerContext::current().is_attached() {
        return;
    }
    let holdings = holdings();
    holdings.run.set(holdings.run.get().wrapping_add(1));
    let leaked: Vec<_> = holdings.iter().map(|holding| holding.index).collect();
    holdings.places.truncate(0);
    holdings.used.set(0);
    for index in leaked.into_iter().map(GuardIndex) {
        ObjectSlot::at(index).remove_holder(worker());
        life::settle(index);
    }
    life::reap();
}
