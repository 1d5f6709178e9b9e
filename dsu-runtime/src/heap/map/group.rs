//! Sixteen control bytes at a time, as in SwissTable (Abseil; hashbrown), with SSE2.
//!
//! Owns the meaning of a control byte. Knows nothing of slots.
#![allow(unsafe_code)] // vector loads

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
};

/// Slots looked at together.
pub(super) const GROUP: usize = 16;
/// A slot that was never used since the segment was made: a probe ends here.
pub(super) const EMPTY: u8 = 0xff;
/// A slot that was used: a probe goes on.
pub(super) const DELETED: u8 = 0x80;
/// Padding of a segment with fewer than 16 slots.
pub(super) const OUTSIDE: u8 = 0xc0;

/// The seven bits of a hash that stand in the control byte of a used slot; its high bit is clear.
#[inline]
pub(super) fn tag_of(hash: u64) -> u8 {
    (hash & 0x7f) as u8
}

/// One bit a slot, lowest first.
#[derive(Clone, Copy)]
pub(super) struct Matches(u16);

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = self.first()?;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

impl Matches {
    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    #[inline]
    pub(super) fn any(self) -> bool {
        self.0 != 0
    }
}

/// The control bytes of one group.
#[derive(Clone, Copy)]
pub(super) struct Group(__m128i);

impl Group {
    /// # Safety
    /// `control` points to 16 initialised bytes, aligned to 16.
    #[inline]
    pub(super) unsafe fn load(control: *const u8) -> Group {
        // SAFETY: by the caller; SSE2 is part of x86-64.
        Group(unsafe { _mm_load_si128(control.cast()) })
    }

    #[inline]
    pub(super) fn with(self, byte: u8) -> Matches {
        // SAFETY: SSE2 is part of x86-64.
        Matches(unsafe {
            _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8))) as u16
        })
    }

    #[inline]
    pub(super) fn free(self) -> Matches {
        // SAFETY: SSE2 is part of x86-64.
        Matches(unsafe {
            let empty = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(EMPTY as i8));
            let deleted = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(DELETED as i8));
            _mm_movemask_epi8(_mm_or_si128(empty, deleted)) as u16
        })
    }

    #[inline]
    pub(super) fn used(self) -> Matches {
        // SAFETY: SSE2 is part of x86-64.
        Matches(!unsafe { _mm_movemask_epi8(self.0) } as u16)
    }
}
