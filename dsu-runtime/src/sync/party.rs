//! Those that meet at a lock word: names, classes, seats.
//!
//! Owns how a worker is named in shared words and what it leaves in its slot for recovery. Must
//! never know how a lock is taken.

use super::platform::{AtomicU32, Bits, Ordering};

/// What a worker writes into a word to name itself: its slot plus one, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Name(pub(super) u32);

impl Name {
    /// An heir has eight bits in the word, and 0 is nobody.
    const LIMIT: u32 = 0xff;

    /// The name of the worker in `slot`.
    ///
    /// # Panics
    /// If the slot has no name that fits the heir's eight bits (255 and above).
    #[must_use]
    pub const fn of_slot(slot: u32) -> Self {
        assert!(
            slot < Self::LIMIT,
            "a worker slot beyond what a lock word can name"
        );
        Self(slot + 1)
    }

    /// The name that is written as `owner`, as the worker context has it.
    #[inline]
    pub(crate) const fn of_owner(owner: u32) -> Self {
        debug_assert!(owner != 0, "nobody has no name");
        Self(owner)
    }

    /// The worker slot that bears this name.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0 - 1
    }
}

/// Which of the two versions that may run at once a worker or an item belongs to: the parity of a
/// representation tag, kept different between adjacent representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Of an even tag.
    Even = 0,
    /// Of an odd tag.
    Odd = 1,
}

impl Class {
    /// The class of a representation tag.
    #[must_use]
    pub const fn of_tag(tag: u64) -> Self {
        if tag & 1 == 0 { Self::Even } else { Self::Odd }
    }

    /// The class of the other version.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    pub(super) const fn sleepers(self) -> Bits {
        Bits(1 << self as u32)
    }
}

/// The place of a cell in the table that recovery walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct CellIndex(pub u32);

/// What the slow paths need of the worker that runs them.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// The worker's name.
    pub name: Name,
    /// The word in the worker's slot that says in which cell's slow path it is: index plus one,
    /// 0 for none. In shared memory, written by the worker alone while it lives and by recovery
    /// alone after its death. Slow paths do not nest.
    pub busy: &'a AtomicU32,
}

impl Seat<'_> {
    /// Notes where this worker is about to work, after all that it did before.
    pub(super) fn enter(&self, at: CellIndex) {
        self.busy.store(at.0 + 1, Ordering::Release);
    }

    /// Nothing is owed at that cell any more: the last wake-up was sent.
    pub(super) fn leave(&self) {
        self.busy.store(0, Ordering::Release);
    }

    pub(super) fn busy_at(&self) -> Option<CellIndex> {
        self.busy
            .load(Ordering::Acquire)
            .checked_sub(1)
            .map(CellIndex)
    }
}

/// The deadline passed before the lock could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;
