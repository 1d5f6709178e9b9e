#![allow(unsafe_code)] // the futex system call
//! Sleeping on one half of a 64-bit word, and waking who sleeps there.
//!
//! Owns the system call and the address arithmetic; must never know what the word means. The
//! operations are not private to a process: sleepers are found by the memory behind the address,
//! so every process may have the word mapped where it likes. The kernel keeps the queue, first in
//! first out, and takes a sleeper that dies out of it.
//!
//! Nobody ever *accesses* half a word here but the kernel, which only compares.

use super::time::Nanos;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Where in the word to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The least significant 32 bits.
    Low,
    /// The most significant 32 bits.
    High,
}

impl Half {
    /// The value of that half in `word`.
    #[must_use]
    pub const fn of(self, word: u64) -> u32 {
        match self {
            Self::Low => word as u32,
            Self::High => (word >> 32) as u32,
        }
    }

    fn address(self, word: &AtomicU64) -> *const u32 {
        let low = word.as_ptr().cast::<u32>().cast_const();
        match self {
            Self::Low => low,
            // x86-64 is little-endian: the high half comes second, inside the same eight bytes.
            Self::High => low.wrapping_add(1),
        }
    }
}

/// Which sleepers of a half a call means: they meet where their sets share a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits(pub u32);

impl Bits {
    /// Meets every sleeper.
    pub const ANY: Self = Self(u32::MAX);
}

/// How many sleepers to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The one that has slept longest.
    One,
    /// All of them.
    All,
}

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A call to [`wake`] chose this sleeper, or a signal interrupted it.
    Woken,
    /// The half held another value than expected, so there was no sleep.
    Stale,
    /// The instant came first. No call to [`wake`] counts this sleeper as woken.
    TimedOut,
}

/// Sleeps while `half` of `word` holds `expected`, until woken through one of `bits` or until
/// the instant `until`.
///
/// # Blocks
/// Yes, without limit if `until` is `None`.
///
/// # Panics
/// If the kernel knows no such operation: to go on would be to spin for ever.
pub fn wait(
    word: &AtomicU64,
    half: Half,
    expected: u32,
    bits: Bits,
    until: Option<Nanos>,
) -> Waited {
    let until = until.map(libc::timespec::from);
    // SAFETY: the address lies inside `word`, which is borrowed for the whole call, and `until` is
    // either null or a timespec that outlives it. The kernel writes to neither.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            half.address(word),
            libc::FUTEX_WAIT_BITSET,
            expected,
            until.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null::<AtomicU32>(),
            bits.0,
        )
    };
    if answer == 0 {
        return Waited::Woken;
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Waited::Stale,
        Some(libc::ETIMEDOUT) => Waited::TimedOut,
        Some(libc::EINTR) => Waited::Woken,
        _ => panic!("cannot sleep on a lock word: {error}"),
    }
}

/// Wakes sleepers on `half` of `word` that wait for one of `bits`.
pub fn wake(word: &AtomicU64, half: Half, count: Count, bits: Bits) {
    let limit = match count {
        Count::One => 1,
        Count::All => i32::MAX,
    };
    // SAFETY: the address lies inside `word`, which is borrowed for the whole call. The kernel
    // only uses it as a key. Nothing is to be done about an error: there is none for a mapped,
    // aligned address and a non-empty set.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            half.address(word),
            libc::FUTEX_WAKE_BITSET,
            limit,
            ptr::null::<libc::timespec>(),
            ptr::null::<AtomicU32>(),
            bits.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::thread;

    #[test]
    fn another_value_than_expected_means_no_sleep() {
        let word = AtomicU64::new(7 << 32 | 3);
        assert_eq!(wait(&word, Half::Low, 7, Bits::ANY, None), Waited::Stale);
        assert_eq!(wait(&word, Half::High, 3, Bits::ANY, None), Waited::Stale);
    }

    #[test]
    fn the_instant_ends_the_sleep() {
        let word = AtomicU64::new(7 << 32 | 3);
        let past = Some(Nanos::now());
        assert_eq!(wait(&word, Half::Low, 3, Bits::ANY, past), Waited::TimedOut);
        assert_eq!(
            wait(&word, Half::High, 7, Bits::ANY, past),
            Waited::TimedOut
        );
    }

    #[test]
    fn a_wake_meets_only_sleepers_of_its_half_and_bits() {
        let word = AtomicU64::new(0);
        let woken = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while wait(&word, Half::High, 0, Bits(1), None) == Waited::Woken {
                    woken.fetch_add(1, Ordering::Relaxed);
                }
            });
            // Whether the sleeper is there yet is not known: so many calls, and until it answers.
            for _ in 0..100 {
                wake(&word, Half::Low, Count::All, Bits::ANY);
                wake(&word, Half::High, Count::All, Bits(2));
                thread::yield_now();
            }
            assert_eq!(woken.load(Ordering::Relaxed), 0);
            while woken.load(Ordering::Relaxed) == 0 {
                wake(&word, Half::High, Count::One, Bits(3));
                thread::yield_now();
            }
            word.store(1 << 32, Ordering::Relaxed);
            wake(&word, Half::High, Count::All, Bits::ANY);
        });
    }
}
