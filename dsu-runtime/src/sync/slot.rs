//! A guard's slot in the control region: lock word, root word and what recovery leaves there.
#![allow(unsafe_code)] // turns slot addresses into references

use super::party::{CellIndex, Class};
use super::word::LockCell;
use crate::abi::{CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, MAX_GUARDS, MAX_ORDER_NODES, Node};
use crate::heap;
use crate::ids::{GuardIndex, SweepId, Tag};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// One cache line of the control region for each guard. All zero: free, and no items yet.
#[repr(C, align(64))]
pub struct GuardSlot {
    /// Who may touch the root and what it points to.
    pub lock: LockCell,
    /// ```text
    /// tag         pointer
    ///   0           0      nobody has made the items yet
    ///   t           p      the item tuple at p is in representation t
    ///   IMPOSSIBLE  p      poisoned: the owner died inside a section; `poisoned` has the tag
    /// ```
    /// Stored by the owner of the lock, or by recovery while a dead worker owns it. One store
    /// publishes all items (R3).
    root: AtomicU64,
    /// Tag of the tuple when the guard was poisoned; 0 while it is sound.
    poisoned: AtomicU16,
    /// What the guard is to the order of locks (R16), plus one: the number of its declaration. 0: it has
    /// no part in it, as objects made at run time.
    node: AtomicU16,
    /// The last sweep that went through everything behind this guard; 0 for none (R29). Advice: it
    /// saves the other workers the walk.
    swept: AtomicU32,
    /// Of the slot of an object made at run time: who owns and who holds it (`heap::objects`). Not
    /// used where the guard is a static.
    _object: [AtomicU64; 3],
}

const _: () = assert!(size_of::<GuardSlot>() == GUARD_STRIDE);

/// A root word, taken apart: that of a `Versioned` box whose block lies in roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root(u64);

impl Root {
    /// The word of a box in roots, as `heap` makes it.
    pub fn from_word(word: u64) -> Root {
        Root(word)
    }

    /// The word.
    pub fn word(self) -> u64 {
        self.0
    }

    /// The tag as it stands in the word.
    #[inline]
    pub fn tag(self) -> Tag {
        Tag((self.0 >> 48) as u16)
    }

    /// Where the items are; `None` before they are made.
    #[inline]
    pub fn items(self) -> Option<NonNull<u8>> {
        NonNull::new((self.0 & heap::BOX_ADDRESS) as *mut u8)
    }
}

impl GuardSlot {
    /// The slot of `index`. The control region must be mapped.
    ///
    /// # Panics
    /// If the index is beyond the table.
    pub fn at(index: GuardIndex) -> &'static GuardSlot {
        assert!(
            (index.0 as usize) < MAX_GUARDS,
            "guard index {} is beyond the table",
            index.0
        );
        let address = CONTROL_ADDR + GUARDS_OFFSET + index.0 as usize * GUARD_STRIDE;
        // SAFETY: inside the control region, which is mapped before anybody has an index and is
        // never unmapped; the slot is made of atomics that are valid when zero.
        unsafe { &*(address as *const GuardSlot) }
    }

    /// Where its root word is.
    pub(crate) fn root_address(&self) -> usize {
        std::ptr::from_ref(&self.root).addr()
    }

    /// Its place in the table.
    pub fn index(&self) -> GuardIndex {
        let offset = std::ptr::from_ref(self).addr() - (CONTROL_ADDR + GUARDS_OFFSET);
        GuardIndex((offset / GUARD_STRIDE) as u32)
    }

    /// Its declaration, if it has a part in the order of locks.
    pub fn node(&self) -> Option<Node> {
        let node = self.node.load(Ordering::Relaxed).checked_sub(1)?;
        (usize::from(node) < MAX_ORDER_NODES).then_some(Node(node))
    }

    /// Whether some version that ran has a static guard here.
    pub fn is_bound(&self) -> bool {
        self.node.load(Ordering::Relaxed) != 0
    }

    /// Gives it a part in the order of locks, for good.
    pub fn set_node(&self, node: Node) {
        self.node.store(node.0.saturating_add(1), Ordering::Relaxed);
    }

    /// Its address, by which a worker remembers what it holds.
    #[inline]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn cell_index(&self) -> CellIndex {
        CellIndex(self.index().0)
    }

    /// The root word. Only the owner of the lock may rely on the answer.
    #[inline]
    pub fn root(&self) -> Root {
        Root(self.root.load(Ordering::Relaxed))
    }

    /// Publishes another tuple, all items at once (R3). The caller owns the lock.
    pub fn publish(&self, root: Root) {
        self.root.store(root.0, Ordering::Release);
    }

    /// The class of workers that meet the items in their own form; of a poisoned guard, of those that
    /// met them so before: whoever poisons a guard releases it as what it was.
    pub fn class(&self) -> Class {
        Class::of_tag(u64::from(self.form().0))
    }

    /// The representation that the items are in, or were in when the guard was poisoned.
    pub fn form(&self) -> Tag {
        match self.root().tag() {
            Tag::IMPOSSIBLE => Tag(self.poisoned.load(Ordering::Relaxed)),
            tag => tag,
        }
    }

    /// Marks the guard poisoned, so that no fast path succeeds; false if there is nothing to poison, as
    /// it has no items yet. Idempotent. The caller is the owner of the lock, or recovery of the dead one.
    pub fn poison(&self) -> bool {
        let root = self.root();
        if root.tag() == Tag::IMPOSSIBLE {
            return true;
        }
        if root.items().is_none() {
            return false;
        }
        self.poisoned.store(root.tag().0, Ordering::Relaxed);
        let poisoned = u64::from(Tag::IMPOSSIBLE.0) << 48 | (root.0 & (u64::MAX >> 16));
        self.root.store(poisoned, Ordering::Release);
        true
    }

    /// Whether this sweep has gone through everything behind the guard.
    pub fn is_swept(&self, sweep: SweepId) -> bool {
        self.swept.load(Ordering::Relaxed) == sweep.0
    }

    /// Notes that this sweep has gone through everything behind the guard.
    pub fn set_swept(&self, sweep: SweepId) {
        self.swept.store(sweep.0, Ordering::Relaxed);
    }

    /// Whether its owner died inside a section.
    pub fn is_poisoned(&self) -> bool {
        self.root().tag() == Tag::IMPOSSIBLE
    }
}
