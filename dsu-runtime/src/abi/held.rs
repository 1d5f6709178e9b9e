//! Which guards a worker holds: what a section began with, and what was taken inside it.
//!
//! Owns the names of held guards and the bookkeeping of takes and releases in any order. Private to a
//! process; every copy of the runtime in it uses the same. Must never know why somebody asks.

use super::context::WorkerContext;
use crate::ids::{GuardIndex, Tag};
use std::cell::Cell;

/// A declaration of guards as the order of locks knows it (R16): a single guard or a whole family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node(pub u16);

impl Node {
    /// Has no part in the order: a declaration beyond those that a table has room for, and objects
    /// made at run time, whose order among each other no declaration states.
    pub const NONE: Node = Node(u16::MAX);
}

/// Where a guard is and what its code expects there, in one word that is never 0.
///
/// ```text
/// 63      48 47      32 31            0
///    tag       node       slot's index
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u64);

impl Place {
    /// Held, but nobody remembers what it is: more guards are held than there is room for.
    const FORGOTTEN: Place = Place::new(Tag::IMPOSSIBLE, Node::NONE, GuardIndex(u32::MAX));

    /// The guard in the slot `index`, of the declaration `node`, expected with `tag`.
    pub const fn new(tag: Tag, node: Node, index: GuardIndex) -> Place {
        Place((tag.0 as u64) << 48 | (node.0 as u64) << 32 | index.0 as u64)
    }

    /// The word.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// A word that [`word`](Self::word) gave.
    #[inline]
    pub const fn from_word(word: u64) -> Place {
        Place(word)
    }

    /// The tag at which the fast path succeeds.
    #[inline]
    pub const fn tag(self) -> Tag {
        Tag((self.0 >> 48) as u16)
    }

    /// The declaration.
    pub const fn node(self) -> Node {
        Node((self.0 >> 32) as u16)
    }

    /// The slot.
    pub const fn index(self) -> GuardIndex {
        GuardIndex(self.0 as u32)
    }
}

/// Guards besides the section's first whose places are remembered. More may be held.
const REMEMBERED: usize = 62;

/// The guards that a worker holds.
///
/// `first` is not 0 exactly while any guard is held; `others` counts all but that one, of which the
/// first `remembered` of `places` are known, oldest first. With only one guard held, which is the rule,
/// taking and releasing it are one store each, and nothing else here is touched.
#[repr(C)]
pub struct Held {
    first: Cell<u64>,
    others: Cell<u32>,
    remembered: Cell<u32>,
    places: [Cell<u64>; REMEMBERED],
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

    /// The places of those that are remembered, oldest first.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let others = &self.places[..self.remembered.get() as usize];
        std::iter::once(&self.first)
            .chain(others)
            .map(|place| Place(place.get()))
            .filter(|place| place.0 != 0)
    }

    fn forget_all(&self) {
        self.first.set(0);
        self.others.set(0);
        self.remembered.set(0);
    }

    /// Takes the remembered place at `at` out, keeping the order of the rest.
    fn take(&self, at: usize) -> Place {
        let last = self.remembered.get() as usize - 1;
        let taken = self.places[at].get();
        for at in at..last {
            self.places[at].set(self.places[at + 1].get());
        }
        self.remembered.set(last as u32);
        self.others.set(self.others.get() - 1);
        Place(taken)
    }

    fn position(&self, index: GuardIndex) -> Option<usize> {
        let remembered = &self.places[..self.remembered.get() as usize];
        remembered
            .iter()
            .rposition(|place| Place(place.get()).index() == index)
    }

    fn remove(&self, index: GuardIndex) {
        let first = Place(self.first.get());
        if first.index() == index && first != Place::FORGOTTEN {
            let next = match (self.remembered.get(), self.others.get()) {
                (1.., _) => self.take(0).0,
                (0, 1..) => {
                    self.others.set(self.others.get() - 1);
                    Place::FORGOTTEN.0
                }
                (0, 0) => 0,
            };
            self.first.set(next);
        } else if let Some(at) = self.position(index) {
            self.take(at);
        } else if self.others.get() > self.remembered.get() {
            self.others.set(self.others.get() - 1);
        } else if first == Place::FORGOTTEN {
            self.first.set(match self.remembered.get() {
                0 => 0,
                _ => self.take(0).0,
            });
        }
    }
}

impl WorkerContext {
    /// The guards that this worker holds.
    #[inline]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The first guard of a section was taken. Nothing is held before.
    #[inline(always)]
    pub fn begin_section(&self, place: Place) {
        self.held.first.set(place.word());
    }

    /// The only guard that was held was released.
    #[inline(always)]
    pub fn end_section(&self) {
        self.held.first.set(0);
    }

    /// A guard was taken, whatever is held already.
    pub fn took(&self, place: Place) {
        if self.held.is_empty() {
            return self.begin_section(place);
        }
        let (others, remembered) = (self.held.others.get(), self.held.remembered.get());
        if others == remembered
            && let Some(free) = self.held.places.get(remembered as usize)
        {
            free.set(place.word());
            self.held.remembered.set(remembered + 1);
        }
        self.held.others.set(others + 1);
        self.owe(WorkerContext::OWES_OTHERS);
    }

    /// The guard in that slot was released, in whatever order; how many are still held.
    pub fn released(&self, index: GuardIndex) -> u32 {
        self.held.remove(index);
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

    fn place(index: u32) -> Place {
        Place::new(Tag(3), Node(index as u16 % 7), GuardIndex(index))
    }

    #[test]
    fn a_place_keeps_its_parts_and_is_never_zero() {
        let place = Place::new(Tag(0x8001), Node(0x7ffe), GuardIndex(0xfffff));
        assert_eq!(place.tag(), Tag(0x8001));
        assert_eq!(place.node(), Node(0x7ffe));
        assert_eq!(place.index(), GuardIndex(0xfffff));
        assert_ne!(Place::new(Tag(1), Node(0), GuardIndex(0)).word(), 0);
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
                    context.took(place(next));
                    model.push(next);
                    next += 1;
                } else {
                    let index = model.remove(which.index(model.len()));
                    let left = context.released(GuardIndex(index));
                    prop_assert_eq!(left as usize, model.len());
                }
                prop_assert_eq!(context.held().count() as usize, model.len());
                prop_assert_eq!(context.held().is_empty(), model.is_empty());
                prop_assert_eq!(context.owes(WorkerContext::OWES_OTHERS), model.len() > 1);
                // What is remembered is held, in the order of its taking.
                let known: Vec<u32> = context.held().places()
                    .filter(|place| *place != Place::FORGOTTEN)
                    .map(|place| place.index().0)
                    .collect();
                let mut rest = model.iter();
                prop_assert!(known.iter().all(|index| rest.any(|held| held == index)));
                if next as usize <= REMEMBERED {
                    prop_assert_eq!(known, model.clone());
                }
            }
        }
    }
}
