//! The end of a server, and of listeners that no version uses any more. Workers are told to drain, reminded when their time is up, and killed at last.
//!
//! | time | what happens |
//! |---|---|
//! | SIGTERM | new connections stay out, an update that is under way is off, workers are told to drain |
//! | a listener's queue is empty | it is closed: who connects now is refused |
//! | `--drain` later | each worker leaves at its next update point, by its own clock |
//! | [`GRACE`] later | who is still there is killed, by name |
//! | no worker is left | the supervisor exits with 0 |
//!
//! A second SIGTERM ends the time to drain at once.

use super::run::Supervisor;
use crate::sys::time::Nanos;
use crate::update::Answer;
use crate::worker::ToWorker;
use std::time::{Duration, Instant};

/// From the end of the time to drain until workers that are still there are killed.
const GRACE: Duration = Duration::from_secs(2);
/// Pause before workers that were killed are killed again: the kernel may hold one up.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// How far the end of a server is.
#[derive(Debug)]
pub(super) struct Draining {
    kill_at: Instant,
}

impl Draining {
    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        self.kill_at
    }
}

impl Supervisor {
    /// Begins the end of the server; a second time, ends the workers' time to drain.
    pub(super) fn drain(&mut self, now: Instant) {
        let time = if self.draining.is_some() {
            Duration::ZERO
        } else {
            self.config.drain
        };
        tracing::info!("draining, for {} ms at most", time.as_millis());
        // They go with the last worker at the latest.
        self.listeners
            .keep(&[], now, now + time + GRACE + KILL_AGAIN);
        if self.underway.is_some() {
            let why = "the server was told to end".to_owned();
            let has_crossed = self
                .underway
                .as_ref()
                .is_some_and(|underway| !underway.record.crossings.is_empty());
            self.answer(if has_crossed {
                Answer::RolledBack(why)
            } else {
                Answer::Refused(why)
            });
        }
        self.draining = Some(Draining {
            kill_at: now + time + GRACE,
        });
        self.tell_all(&ToWorker::Drain {
            until_ns: Nanos::now().after(time).0,
        });
    }

    /// What time alone brings about while the server ends.
    pub(super) fn hurry_drain(&mut self, now: Instant) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        if now >= draining.kill_at {
            draining.kill_at = now + KILL_AGAIN;
            self.fleet
                .slots()
                .for_each(|slot| self.fleet.kill(slot, "it did not drain in time"));
        }
    }

    /// Closes listeners that are to go and have nobody in their queues (R33).
    pub(super) fn close_listeners(&mut self, now: Instant) {
        let closed = self.listeners.close_left(now);
        for one in &closed {
            let bound = one.bound;
            if one.is_cut_off {
                tracing::warn!("{bound} is closed: nobody accepted those who waited there in time");
            } else {
                tracing::info!("{bound} is closed");
            }
        }
        if !closed.is_empty() {
            self.tell_all(&ToWorker::ListenersClosed);
        }
    }
}
