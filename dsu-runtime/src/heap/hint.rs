//! Lower bounds on where to look, kept by everybody without a lock.
//!
//! A hint promises that nothing of its kind lies before it. Who makes something of the kind lowers
//! it *afterwards*; who looked at everything from the hint on raises it, unless somebody lowered it
//! meanwhile, which the generation shows. Who dies in between is made up for by recovery.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A hint as read: low half the offset in the realm, high half the generation.
#[derive(Clone, Copy)]
pub(super) struct Hint(u64);

impl Hint {
    pub(super) fn read(word: &AtomicU64) -> Hint {
        Hint(word.load(SeqCst))
    }

    /// Where to start.
    pub(super) fn offset(self) -> u32 {
        self.0 as u32
    }

    /// Nothing was found between this hint and `offset`.
    pub(super) fn raise(self, word: &AtomicU64, offset: u32) {
        let raised = self.0 & !0xffff_ffff | offset as u64;
        // Whoever else moved it has said something newer; ours was advice.
        let _ = word.compare_exchange(self.0, raised, SeqCst, SeqCst);
    }

    /// There is something at `offset` now.
    pub(super) fn lower(word: &AtomicU64, offset: u32) {
        let lowered = |old: u64| {
            let generation = (old >> 32).wrapping_add(1) << 32;
            Some(generation | (old as u32).min(offset) as u64)
        };
        let _ = word.fetch_update(SeqCst, SeqCst, lowered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_that_missed_a_lowering_has_no_effect() {
        let word = AtomicU64::new(0);
        let seen = Hint::read(&word);
        Hint::lower(&word, 5);
        seen.raise(&word, 9);
        assert_eq!(Hint::read(&word).offset(), 0);
        Hint::read(&word).raise(&word, 9);
        assert_eq!(Hint::read(&word).offset(), 9);
        Hint::lower(&word, 4);
        assert_eq!(Hint::read(&word).offset(), 4);
    }
}
