//! The totals of all workers, behind one guard with two items.

use dsu_runtime::prelude::*;
use kv_engine::{Counters, Dues, Ledger, Snapshot};

/// Sums over all workers since the server started.
#[derive(Shared, Default)]
pub struct Stats {
    pub(crate) commands: u64,
    pub(crate) errors: u64,
    pub(crate) keyspace_hits: u64,
    pub(crate) keyspace_misses: u64,
    pub(crate) connections: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) expired_keys: u64,
}

/// What each worker says of itself, by its slot.
#[derive(Shared)]
pub struct Peers {
    clients: [u64; 128],
}

impl Default for Peers {
    fn default() -> Self {
        Peers { clients: [0; 128] }
    }
}

#[guards(stats: Stats, peers: Peers)]
pub static TOTALS: GuardMutex;

impl Ledger for TotalsItems {
    fn add(&mut self, dues: &Dues) {
        let stats = &mut self.stats;
        stats.commands += dues.counters.commands;
        stats.errors += dues.counters.errors;
        stats.keyspace_hits += dues.counters.hits;
        stats.keyspace_misses += dues.counters.misses;
        stats.expired_keys += dues.counters.expired;
        stats.connections += dues.connections;
        stats.bytes_in += dues.bytes_in;
        stats.bytes_out += dues.bytes_out;
        self.peers.clients[dues.slot] = dues.clients;
    }

    fn snapshot(&self, here: usize) -> Snapshot {
        let TotalsItems { stats, peers } = self;
        Snapshot {
            counters: Counters {
                commands: stats.commands,
                hits: stats.keyspace_hits,
                misses: stats.keyspace_misses,
                errors: stats.errors,
                expired: stats.expired_keys,
            },
            connections: stats.connections,
            clients_elsewhere: peers.clients.iter().sum::<u64>() - peers.clients[here],
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            ..Snapshot::default()
        }
    }
}
