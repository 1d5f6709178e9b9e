//! Asking the processor for memory before it is needed.
//!
//! A lookup follows one address to the next, and each may be a wait for memory. Who knows several
//! keys beforehand asks for a line of each, then for the next of each, so that the waits overlap
//! (group prefetching: Chen, Ailamaki, Gibbons, Mowry: Improving Hash Join Performance through
//! Prefetching, ICDE 2004). Owns the instruction; nothing depends on what it does.
#![allow(unsafe_code)] // the instruction takes a raw address

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Bytes that come together.
pub(super) const LINE: usize = 64;

/// Asks for the line at `address`.
#[inline(always)]
pub(super) fn line<T>(address: *const T) {
    // SAFETY: a prefetch reads nothing and cannot fault, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

/// Asks for the lines of `length` bytes, at most four: the processor finds the others itself.
#[inline]
pub(super) fn lines(address: *const u8, length: usize) {
    let first = address as usize & !(LINE - 1);
    let end = (address as usize + length).min(first + 4 * LINE);
    for at in (first..end).step_by(LINE) {
        line(at as *const u8);
    }
}
