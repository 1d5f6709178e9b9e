//! The bytes of a node: its value's box, its counts, whose it is, and its place in a walk.
//!
//! ```text
//! node   0 word of the box, 0 when the value is gone | 8 strong | 12 weak, and 1 while there are strong ones
//!        16 home | 24 next, 32 previous in the queue of a walk | 40 the last walk that met it | 44 state:
//!        queued, foreign; expected tag in the high half
//! ```
//! Knows nothing of who may touch it (`home`) nor of what a walk is (`walk`).
#![allow(unsafe_code)] // raw blocks

use super::super::block;
#[cfg(test)]
use super::super::box_word::BoxWord;
use super::super::superblock::Superblock;
use super::super::versioned::{Element, Versioned};
use crate::error::HeapFull;
use crate::ids::Tag;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// A node. Whoever holds its home guard has it to itself; `home` alone is touched without.
#[repr(C)]
pub(super) struct Node {
    pub(super) word: Cell<u64>,
    strong: Cell<u32>,
    weak: Cell<u32>,
    pub(super) home: AtomicU64,
    pub(super) next: Cell<Option<NodePtr>>,
    pub(super) previous: Cell<Option<NodePtr>>,
    /// Number of the walk that met it last.
    pub(super) walk: Cell<u32>,
    state: Cell<u32>,
}

const QUEUED: u32 = 1;
const FOREIGN: u32 = 2;

/// The layout of a node's block.
pub(super) const LAYOUT: Layout = match Layout::from_size_align(size_of::<Node>(), block::MIN_ALIGN)
{
    Ok(layout) => layout,
    Err(_) => panic!("a node has a layout"),
};

/// What leads to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandleKind {
    /// Keeps the value.
    Strong,
    /// Keeps the node alone.
    Weak,
}

/// Where a node is. By itself no promise that there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct NodePtr(NonNull<Node>);

impl NodePtr {
    /// A node with this box, one strong handle and this home.
    ///
    /// # Errors
    /// `HeapFull`; the word is nobody's then.
    pub(super) fn make(word: u64, strong: u32, home: u64) -> Result<NodePtr, HeapFull> {
        let node: NonNull<Node> = block::allocate(LAYOUT)?.cast();
        // SAFETY: a new block of this layout.
        unsafe {
            node.write(Node {
                word: Cell::new(word),
                strong: Cell::new(strong),
                weak: Cell::new(1),
                home: AtomicU64::new(home),
                next: Cell::new(None),
                previous: Cell::new(None),
                walk: Cell::new(0),
                state: Cell::new(0),
            });
        }
        Ok(NodePtr(node))
    }

    pub(in crate::heap) fn at(address: usize) -> Option<NodePtr> {
        Some(NodePtr(NonNull::new(address as *mut Node)?))
    }

    /// Where it is: stays as long as there are handles, whatever form its value is in.
    pub fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    pub(in crate::heap) fn block(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Whether a node can be there.
    pub(super) fn is_plausible(self) -> bool {
        block::is_at(self.address(), LAYOUT)
    }

    /// Whether it lies in memory of this process, as part of a converted copy (R20).
    pub(super) fn is_private(self) -> bool {
        Superblock::containing(self.address()).is_none()
    }

    pub(super) fn node(&self) -> &Node {
        // SAFETY: whoever has a handle or holds a count keeps the block allocated, and fields other
        // than the atomic one are touched under the home guard (`home`), by one thread.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn count(self, kind: HandleKind) -> u32 {
        match kind {
            HandleKind::Strong => self.node().strong.get(),
            HandleKind::Weak => self.node().weak.get(),
        }
    }

    pub(super) fn set_count(self, kind: HandleKind, count: u32) {
        match kind {
            HandleKind::Strong => self.node().strong.set(count),
            HandleKind::Weak => self.node().weak.set(count),
        }
    }

    /// The form that its value is in, if it is there.
    #[cfg(test)]
    pub(crate) fn holds(self) -> Option<Tag> {
        let word = self.node().word.get();
        (word != 0).then(|| BoxWord(word).tag())
    }

    /// The box of its value. Only while there is one, and as [`Node::word`] may be touched.
    ///
    /// # Safety
    /// The node has a value, of a type that `T` replaces or is; nobody else refers to the word while
    /// the borrow lasts, unless both only read.
    pub(super) unsafe fn content<'a, T: Element>(self) -> &'a mut Versioned<T> {
        // SAFETY: a box is its word; the rest is the caller's promise.
        unsafe { &mut *self.node().word.as_ptr().cast::<Versioned<T>>() }
    }

    fn set_state(self, bit: u32, to: bool) {
        let state = &self.node().state;
        state.set(match to {
            true => state.get() | bit,
            false => state.get() & !bit,
        });
    }

    /// Whether it is in the queue of a walk.
    pub(super) fn is_queued(self) -> bool {
        self.node().state.get() & QUEUED != 0
    }

    pub(super) fn set_queued(self, to: bool) {
        self.set_state(QUEUED, to);
    }

    /// The form that the walk that met it last expects.
    pub(super) fn expected(self) -> Tag {
        Tag((self.node().state.get() >> 16) as u16)
    }

    pub(super) fn set_expected(self, tag: Tag) {
        let state = &self.node().state;
        state.set(u32::from(tag.0) << 16 | state.get() & 0xffff);
    }

    /// Whether the walk that met it last found no form of its value in its version.
    pub(super) fn is_foreign(self) -> bool {
        self.node().state.get() & FOREIGN != 0
    }

    pub(super) fn set_foreign(self, to: bool) {
        self.set_state(FOREIGN, to);
    }
}

/// A change of a node's counts that waits for a conversion to stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(in crate::heap) enum Change {
    StrongUp = 0,
    WeakUp = 1,
    StrongDown = 2,
    WeakDown = 3,
}

impl Change {
    pub(in crate::heap) fn numbered(number: usize) -> Option<Change> {
        use Change::*;
        [StrongUp, WeakUp, StrongDown, WeakDown]
            .into_iter()
            .find(|change| *change as usize == number)
    }

    pub(super) fn up(kind: HandleKind) -> Change {
        match kind {
            HandleKind::Strong => Change::StrongUp,
            HandleKind::Weak => Change::WeakUp,
        }
    }

    pub(in crate::heap) fn down(kind: HandleKind) -> Change {
        match kind {
            HandleKind::Strong => Change::StrongDown,
            HandleKind::Weak => Change::WeakDown,
        }
    }

    pub(in crate::heap) fn is_up(self) -> bool {
        matches!(self, Change::StrongUp | Change::WeakUp)
    }

    pub(in crate::heap) fn kind(self) -> HandleKind {
        match self {
            Change::StrongUp | Change::StrongDown => HandleKind::Strong,
            Change::WeakUp | Change::WeakDown => HandleKind::Weak,
        }
    }

    /// What it does to one of the two counts.
    pub(in crate::heap) fn of(self, kind: HandleKind) -> i64 {
        match (self.kind() == kind, self.is_up()) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        }
    }
}

const _: () = assert!(size_of::<Node>() == 48);
