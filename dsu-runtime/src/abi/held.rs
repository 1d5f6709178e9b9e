//! Which guards a worker holds: what a section began with, and what was taken inside it.
//!
//! Owns the names of held guards and the bookkeeping of takes and releases in any order. Private to a
//! process; every copy of the runtime in it uses the same. Must never know why somebody asks.

use super::context::WorkerContext;
use super::layout::{CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET};
use crate::ids::GuardIndex;
use std::cell::Cell;

/// Held, but nobody remembers what: more guards are held than there is room for. No slot is there.
const FORGOTTEN: usize = 1;

/// Guards besides the section's first whose places are remembered. More may be held.
const REMEMBERED: usize = 62;

/// The guards that a worker holds.
///
/// Guards go by the addresses of their slots. `first` is not 0 exactly while any guard is held; `others`
/// counts all but that one, of which the first `remembered` of `slots` are known, oldest first. With only one guard held, which is the rule,
/// taking and releasing it are one store each, and nothing else here is touched.
#[repr(C)]
pub struct Held {
    first: Cell<usize>,
    others: Cell<u32>,
    remembered: Cell<u32>,
    slots: [Cell<usize>; REMEMBERED],
}

impl Held {
    /// Whether no guard is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.get() == 0
    }

    /// Number of guards held.
    pub fn count(&self) -> u32 {
        u32::from(!self.is_empty()) + self.others.get()
    }

    /// Whether the guard in the slot at this address is among those that are remembered.
    pub fn has(&self, slot: usize) -> bool {
        let others = &self.slots[..self.remembered.get() as usize];
        std::iter::once(&self.first)
            .chain(others)
            .any(|held| held.get() == slot)
    }

    /// Those that are remembered, oldest first.
    pub fn guards(&self) -> impl Iterator<Item = GuardIndex> {
        let others = &self.slots[..self.remembered.get() as usize];
        std::iter::once(&self.first)
            .chain(others)
            .filter_map(|slot| slot.get().checked_sub(CONTROL_ADDR + GUARDS_OFFSET))
            .map(|offset| GuardIndex((offset / GUARD_STRIDE) as u32))
    }

    fn forget_all(&self) {
        self.first.set(0);
        self.others.set(0);
        self.remembered.set(0);
    }

    /// Takes the remembered one at `at` out, keeping the order of the rest.
    fn take(&self, at: usize) -> usize {
        let last = self.remembered.get() as usize - 1;
        let taken = self.slots[at].get();
        for at in at..last {
            self.slots[at].set(self.slots[at + 1].get());
        }
        self.remembered.set(last as u32);
        self.others.set(self.others.get() - 1);
        taken
    }

    fn remove(&self, slot: usize) {
        let remembered = &self.slots[..self.remembered.get() as usize];
        if self.first.get() == slot {
            self.first.set(self.next_first());
        } else if let Some(at) = remembered.iter().rposition(|other| other.get() == slot) {
            self.take(at);
        } else if self.others.get() > self.remembered.get() {
            self.others.set(self.others.get() - 1);
        } else if self.first.get() == FORGOTTEN {
            self.first.set(self.next_first());
        }
    }

    /// One of the others takes the place of the first.
    fn next_first(&self) -> usize {
        match (self.remembered.get(), self.others.get()) {
            (1.., _) => self.take(0),
            (0, 0) => 0,
            (0, others) => {
                self.others.set(others - 1);
                FORGOTTEN
            }
        }
    }
}

impl WorkerContext {
    /// The guards that this worker holds.
    #[inline]
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// The first guard of a section was taken, in the slot at this address. Nothing is held before.
    #[inline(always)]
    pub(crate) fn begin_section(&self, slot: usize) {
        self.held.first.set(slot);
    }

    /// The only guard that was held was released.
    #[inline(always)]
    pub(crate) fn end_section(&self) {
        self.held.first.set(0);
    }

    /// The guard in the slot at this address was taken, whatever is held already.
    pub(crate) fn took(&self, slot: usize) {
        if self.held.is_empty() {
            return self.begin_section(slot);
        }
        let (others, remembered) = (self.held.others.get(), self.held.remembered.get());
        if others == remembered
            && let Some(free) = self.held.slots.get(remembered as usize)
        {
            free.set(slot);
            self.held.remembered.set(remembered + 1);
        }
        self.held.others.set(others + 1);
        self.owe(WorkerContext::OWES_OTHERS);
    }

    /// The guard in the slot at this address was released, in whatever order; how many are still held.
    pub(crate) fn released(&self, slot: usize) -> u32 {
        self.held.remove(slot);
        if self.held.others.get() == 0 {
            self.paid(WorkerContext::OWES_OTHERS);
        }
        self.held.count()
    }

    /// Nothing is held: for who begins here.
    pub(super) fn holds_nothing(&self) {
        self.held.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> Box<WorkerContext> {
        // SAFETY: a context is valid when it is all zero, as mapped.
        unsafe { Box::new_zeroed().assume_init() }
    }

    fn slot(index: u32) -> usize {
        CONTROL_ADDR + GUARDS_OFFSET + index as usize * GUARD_STRIDE
    }

    proptest! {
        // R18: the count is right in whatever order guards go, and beyond what is remembered.
        #[test]
        fn takes_and_releases_in_any_order_agree_with_a_list(
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..400)
        ) {
            let context = fresh();
            let mut model: Vec<u32> = Vec::new();
            let mut next = 0;
            for (take, which) in steps {
                if take || model.is_empty() {
                    context.took(slot(next));
                    model.push(next);
                    next += 1;
                } else {
                    let index = model.remove(which.index(model.len()));
                    let left = context.released(slot(index));
                    prop_assert_eq!(left as usize, model.len());
                }
                prop_assert_eq!(context.held().count() as usize, model.len());
                prop_assert_eq!(context.held().is_empty(), model.is_empty());
                prop_assert_eq!(context.owes(WorkerContext::OWES_OTHERS), model.len() > 1);
                // What is remembered is held, in the order of its taking.
                let known: Vec<u32> = context.held().guards().map(|guard| guard.0).collect();
                let mut rest = model.iter();
                prop_assert!(known.iter().all(|index| rest.any(|held| held == index)));
                if next as usize <= REMEMBERED {
                    prop_assert_eq!(known, model.clone());
                }
            }
        }
    }
}
