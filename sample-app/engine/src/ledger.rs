//! What workers count together: dues on their way into the shared totals, and what came back.

use crate::net::Connections;
use crate::server::Counters;
use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What a worker has counted since it last added to the shared totals.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Dues {
    /// The worker.
    pub slot: usize,
    /// Its connections now; not a sum.
    pub clients: u64,
    /// Connections that it accepted.
    pub connections: u64,
    /// What its commands counted.
    pub counters: Counters,
    /// Bytes that it received.
    pub bytes_in: u64,
    /// Bytes that it sent.
    pub bytes_out: u64,
}

impl Dues {
    /// Whether there is nothing new to add, `clients` being what it was.
    pub fn is_settled(&self) -> bool {
        *self
            == Dues {
                slot: self.slot,
                clients: self.clients,
                ..Dues::default()
            }
    }

    /// They were added.
    pub fn clear(&mut self) {
        *self = Dues::default();
    }
}

/// The shared totals as a worker saw them last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// What all workers' commands counted.
    pub counters: Counters,
    /// Connections that all workers ever accepted.
    pub connections: u64,
    /// Connections now of the other workers.
    pub clients_elsewhere: u64,
    /// Bytes that all workers received.
    pub bytes_in: u64,
    /// Bytes that all workers sent.
    pub bytes_out: u64,
    /// The worker that answers.
    pub worker: u32,
    /// The version that it runs.
    pub version: u32,
}

impl Snapshot {
    /// What INFO says of the live update.
    pub fn extra_fields(&self) -> Vec<(String, String)> {
        vec![
            ("dsu_worker".to_owned(), self.worker.to_string()),
            ("dsu_version".to_owned(), self.version.to_string()),
        ]
    }
}

/// A version's shared totals: the items behind one guard.
pub trait Ledger: Sized + 'static {
    /// Adds what a worker counted.
    fn add(&mut self, dues: &Dues);

    /// The totals as the worker in slot `here` shows them.
    fn snapshot(&self, here: usize) -> Snapshot;
}

/// Brings what a worker counted into the totals.
pub struct Settler {
    every: Duration,
    /// `None` at first: new code has not seen the totals yet.
    settled_at: Option<Instant>,
    /// When the rest was shared, which is done by time alone: the totals of a busy worker are never late.
    shared_at: Option<Instant>,
}

impl Settler {
    /// One that lets nothing wait longer than `every`.
    pub fn new(every: Duration) -> Settler {
        Settler {
            every,
            settled_at: None,
            shared_at: None,
        }
    }

    /// Adds the dues if the totals are free and in this version's form; when they have waited long
    /// enough, waits for the totals itself. What cannot be added now is added later.
    ///
    /// Returns when to come again at the latest, for this or for what the connections have to do.
    pub fn settle<L: Ledger>(
        &mut self,
        cx: &Worker,
        totals: &'static GuardMutex<L>,
        connections: &mut Connections,
    ) -> Instant {
        // One look at the clock for all of it: this is done in every turn.
        let now = Instant::now();
        let is_late = |since: Option<Instant>| since.is_none_or(|at| now - at >= self.every);
        if is_late(self.shared_at) {
            connections.share(cx);
            self.shared_at = Some(now);
        }
        let is_late = is_late(self.settled_at);
        if is_late || !connections.dues(cx).is_settled() {
            self.add(cx, totals, connections, now, is_late);
        }
        connections.come_again(now, self.every)
    }

    fn add<L: Ledger>(
        &mut self,
        cx: &Worker,
        totals: &'static GuardMutex<L>,
        connections: &mut Connections,
        now: Instant,
        is_late: bool,
    ) {
        let locked = match totals.try_lock(cx) {
            Err(_) if is_late => totals.lock(cx),
            other => other,
        };
        if let Ok(mut totals) = locked {
            let dues = connections.dues(cx);
            totals.add(dues);
            dues.clear();
            let here = cx.slot().0;
            let snapshot = totals.snapshot(here as usize);
            let snapshot = Snapshot {
                worker: here,
                version: cx.version().0,
                ..snapshot
            };
            connections.set_totals(now, snapshot);
            self.settled_at = Some(now);
        }
    }
}
