//! The sweep's way through the objects made at run time: one slot after the other, in slices, and the
//! form that a value is brought to where its type is not known.
//!
//! Each object is locked by itself, with no other lock held: the walk goes through the table of slots
//! and not through what owns the objects, so it adds no order of locks (R16).

use crate::abi::{Representation, TypeRegistration};
use crate::heap::objects::{self, ObjectId};
use crate::ids::{GuardIndex, Tag};
use crate::sync::Pinned;
use crate::sys::time::Nanos;

/// The clock is read once in this many slots without an object.
const SLOTS_A_LOOK: u32 = 256;
/// Longest chain of lenses that is looked through.
const MAX_STEPS: usize = 8;

/// Where the walk over the slots is.
pub(super) struct Objects {
    slots: std::ops::Range<u32>,
    /// Where this worker began, from the first slot, so that workers do not queue for the same object.
    first: u32,
    done: u32,
    /// The object in whose middle the last slice ended.
    resumed: Option<ObjectId>,
}

impl Objects {
    /// All objects that there are now; those that come later are made by workers that run the version
    /// to which the sweep goes. `worker` tells workers apart.
    pub(super) fn from(worker: usize) -> Objects {
        let slots = objects::known_slots();
        let spread = (worker as u32).wrapping_mul(0x9e37_79b9);
        Objects {
            first: spread.checked_rem(slots.len() as u32).unwrap_or(0),
            slots,
            done: 0,
            resumed: None,
        }
    }

    /// The next object, and whether it is the one that the last slice ended in. `None` at the end or
    /// when the time is over.
    pub(super) fn current(&mut self, deadline: Nanos) -> Option<(Pinned, bool)> {
        while !self.are_done() {
            let place = (u64::from(self.first) + u64::from(self.done)) % self.slots.len() as u64;
            let index = GuardIndex(self.slots.start + place as u32);
            let (fate, _) = objects::fate(index);
            if fate.is_reachable()
                && let Some(pinned) = Pinned::at(index)
            {
                let is_resumed = self.resumed.replace(pinned.id()) == Some(pinned.id());
                return Some((pinned, is_resumed));
            }
            self.advance();
            if self.done.is_multiple_of(SLOTS_A_LOOK) && Nanos::now() >= deadline {
                return None;
            }
        }
        None
    }

    /// The current one is done.
    pub(super) fn advance(&mut self) {
        self.done += 1;
        self.resumed = None;
    }

    pub(super) fn are_done(&self) -> bool {
        self.done as usize >= self.slots.len()
    }
}

/// The form of this library to which a value in form `from` goes: its own if it is one, else the one
/// that the fewest lenses lead to. `None` where none leads to any.
pub(super) fn own_form(from: Tag) -> Option<Tag> {
    let is_own = |tag: Tag| {
        inventory::iter::<TypeRegistration>
            .into_iter()
            .any(|registration| registration.frozen_from == 0 && registration.tag.get() == tag)
    };
    let mut seen = vec![from];
    let mut next = vec![from];
    for _ in 0..=MAX_STEPS {
        if let Some(own) = next.iter().copied().find(|&tag| is_own(tag)) {
            return Some(own);
        }
        let ways = next
            .iter()
            .flat_map(|&tag| &Representation::of(tag).converters);
        let mut further: Vec<Tag> = ways
            .filter(|way| way.call.is_some() && way.target != Tag::NONE.0)
            .map(|way| Tag(way.target))
            .filter(|target| !seen.contains(target))
            .collect();
        further.sort_unstable();
        further.dedup();
        seen.extend(&further);
        next = further;
    }
    None
}
