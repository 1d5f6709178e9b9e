//! While a transformer of this worker runs, its record says so: whoever looks from outside sees one that
//! does not end.
//!
//! Owns the word. A store or two before and one after, no clock: the time is taken by who looks.

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

    /// A first value in this form.
    pub(crate) fn first(form: Tag) -> InHand {
        Self::begin(form, form)
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
        let (word, begun) = (
            &context.record().transforming,
            &context.record().transformers,
        );
        let before = word.load(Relaxed);
        // No number comes twice, also not of one inside another.
        let number = begun.load(Relaxed).wrapping_add(1);
        begun.store(number, Relaxed);
        word.store(u64::from(number) << 32 | what, Release);
        InHand { before }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let context = WorkerContext::current();
        if context.owner() == 0 {
            return;
        }
        // An inner one gives back to the outer one.
        context.record().transforming.store(self.before, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{ROOMY, test_name, with_regions};
    use crate::ids::WorkerSlot;

    // R28: whoever looks now and then must not take two transformers for one that does not end.
    #[test]
    fn no_two_transformers_have_the_same_number_whether_inside_or_behind_each_other() {
        let name = test_name!(
            "no_two_transformers_have_the_same_number_whether_inside_or_behind_each_other"
        );
        with_regions(name, ROOMY, || {
            let context = WorkerContext::current();
            context.attach(WorkerSlot(0));
            let word = || context.record().transforming.load(Relaxed);
            let mut seen = Vec::new();
            for _ in 0..3 {
                let _outer = InHand::begin(Tag(1), Tag(2));
                let outer = word();
                for _ in 0..2 {
                    let _inner = InHand::begin(Tag(1), Tag(2));
                    seen.push(word());
                }
                assert_eq!(word(), outer, "it goes on");
                seen.push(outer);
            }
            assert_eq!(word(), 0);
            assert_eq!(seen.len(), 9);
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 9);
        });
    }
}
