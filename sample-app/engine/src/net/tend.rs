//! What is done for connections that nothing happens to: idle ones give back their buffers or are closed,
//! and so are those that do not read.
//!
//! Owns the round over all of them, once a second however many events there are.

use super::{Connection, Connections};
use crate::store::UnixMs;
use serde::{Deserialize, Serialize};

/// Milliseconds without a command after which the buffers of a connection are given back.
const IDLE_MS: u64 = 2000;
/// Milliseconds from one look at a connection to the next.
const ROUND_MS: u64 = 1000;

/// How a connection was found in the last round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    unread: usize,
    unsent: usize,
    /// When that was new.
    since_ms: u64,
}

/// Why a connection is closed from this side.
enum Close {
    Idle,
    Deaf,
}

impl Connections {
    /// Looks at the connections whose turn it is in this round, and names those that are over.
    pub(super) fn tend(&mut self, closed: &mut Vec<usize>) {
        let now = UnixMs::now();
        let since = now.0.saturating_sub(self.tended.at_ms);
        let all = self.slots.len() as u64;
        let due = (all * since / ROUND_MS).min(all);
        if due == 0 {
            // A clock that was set back starts anew.
            if since == 0 || all == 0 {
                self.tended.at_ms = now.0;
            }
            return;
        }
        self.tended.at_ms = now.0;
        for _ in 0..due {
            self.tended.slot = (self.tended.slot + 1) % self.slots.len();
            let slot = self.tended.slot;
            // Each end is counted once.
            if closed.contains(&slot) {
                continue;
            }
            if let Some(why) = self.look_after(slot, now) {
                match why {
                    Close::Idle => self.ends.idle += 1,
                    Close::Deaf => self.ends.deaf += 1,
                }
                closed.push(slot);
            }
        }
    }

    fn look_after(&mut self, slot: usize, now: UnixMs) -> Option<Close> {
        let limits = self.limits;
        let connection = self.slots[slot].as_mut()?;
        let quiet_ms = connection.quiet_ms(now);
        if quiet_ms > IDLE_MS {
            connection.session.trim();
        }
        // A worker that drains brings its connections to their ends itself.
        if self.draining.is_some() {
            return None;
        }
        if connection.is_deaf(limits.output) {
            return Some(Close::Deaf);
        }
        let is_idle = limits.timeout_s != 0 && quiet_ms > limits.timeout_s * 1000;
        is_idle.then_some(Close::Idle)
    }
}

impl Connection {
    /// For how long nothing came and nothing went, as far as the rounds can tell.
    fn quiet_ms(&mut self, now: UnixMs) -> u64 {
        let (unread, unsent) = (self.session.unread(), self.session.unsent().len());
        if (self.seen.unread, self.seen.unsent) != (unread, unsent) {
            self.seen = Seen {
                unread,
                unsent,
                since_ms: now.0,
            };
        }
        let last = self.session.client().active_at.0.max(self.seen.since_ms);
        now.0.saturating_sub(last)
    }
}
