#![allow(unsafe_code)] // one vDSO call
//! The clock that every process of a server reads alike.
//!
//! Owns the unit of time; must never know what is being timed. `CLOCK_MONOTONIC` is one clock for
//! the whole machine, so an instant written by one worker means the same to the next.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An instant of `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The present instant, by the vDSO: about 20 ns and no system call.
    #[must_use]
    pub fn now() -> Self {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a valid place for one timespec and outlives the call. The clock exists
        // on every Linux, so the call cannot fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        // Both fields of a monotonic instant are non-negative.
        Self(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
    }

    /// The instant `span` later; the end of time if there is none.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Std's instants are of the same clock and do not say what it shows. One of them is found out, by the
/// closest of several looks, as anything may come between two; the others are so much earlier or later.
impl From<Instant> for Nanos {
    fn from(instant: Instant) -> Self {
        static KNOWN: OnceLock<(Instant, Nanos)> = OnceLock::new();
        let &(first, at) = KNOWN.get_or_init(|| {
            let looks = std::array::from_fn::<_, 8, _>(|_| {
                let (before, instant) = (Nanos::now(), Instant::now());
                (Nanos::now().since(before), instant, before)
            });
            let (_, instant, before) = looks.into_iter().min().expect("there are several");
            (instant, before)
        });
        match instant.checked_duration_since(first) {
            Some(later) => at.after(later),
            None => Nanos(0).after(at.since(Nanos(0)).saturating_sub(first - instant)),
        }
    }
}

impl From<Nanos> for libc::timespec {
    fn from(instant: Nanos) -> Self {
        libc::timespec {
            tv_sec: (instant.0 / 1_000_000_000).cast_signed(),
            tv_nsec: (instant.0 % 1_000_000_000).cast_signed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_instants_are_greater_and_spans_saturate() {
        let first = Nanos::now();
        assert!(Nanos::now() >= first);
        assert_eq!(
            first.after(Duration::from_nanos(7)).since(first),
            Duration::from_nanos(7)
        );
        assert_eq!(
            first.since(first.after(Duration::from_secs(1))),
            Duration::ZERO
        );
        assert_eq!(first.after(Duration::MAX), Nanos(u64::MAX));
    }

    #[test]
    fn an_instant_of_std_is_where_the_clock_then_was() {
        for _ in 0..2 {
            let before = Nanos::now();
            let instant = Instant::now();
            let after = Nanos::now();
            let slack = Duration::from_secs(1);
            assert!(Nanos::from(instant).after(slack) >= before);
            assert!(after.after(slack) >= Nanos::from(instant));
            let (earlier, later) = (instant - slack, instant + slack);
            assert_eq!(Nanos::from(later).since(Nanos::from(earlier)), 2 * slack);
        }
    }

    #[test]
    fn a_timespec_keeps_seconds_and_nanoseconds_apart() {
        let time = libc::timespec::from(Nanos(3_000_000_041));
        assert_eq!((time.tv_sec, time.tv_nsec), (3, 41));
    }
}
