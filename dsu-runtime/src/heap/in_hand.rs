//! While a transformer of this worker runs, its record says so: whoever looks from outside sees one that
//! does not end.
//!
//! Owns the word. One store before and one after, no clock: the time is taken by who looks.

use crate::abi::WorkerContext;
use crate::ids::Tag;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// From here to its drop a transformer has something in hand.
pub(crate) struct InHand {
    before: u64,
}

impl InHand {
    /// One from one representation to another.
    pub(crate) fn begin(from: Tag, to: Tag) -> InHand {
        Self::of(u64::from(from.0) << 16 | u64::from(to.0))
    }

    /// One that makes another form ahead: it has no tags.
    pub(crate) fn preparing() -> InHand {
        Self::begin(Tag::NONE, Tag::LAST)
    }

    fn of(what: u64) -> InHand {
        let context = WorkerContext::current();
        if context.owner() == 0 {
            return InHand { before: 0 };
        }
        let word = &context.record().transforming;
        let before = word.load(Relaxed);
        word.store((before >> 32).wrapping_add(1) << 32 | what, Release);
        InHand { before }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let context = WorkerContext::current();
        if context.owner() == 0 {
            return;
        }
        let word = &context.record().transforming;
        // An inner one gives back to the outer one, an outermost one leaves its number.
        let after = match self.before as u32 {
            0 => word.load(Relaxed) >> 32 << 32,
            _ => self.before,
        };
        word.store(after, Release);
    }
}
