//! The totals of all workers, behind one guard: what was asked, what went over the wire, and what each
//! worker says of itself.

use dsu_runtime::prelude::*;
use kv_engine::{Counters, Dues, Ledger, Snapshot};

/// What clients asked for since the server started.
#[derive(Shared, Default)]
pub struct Usage {
    pub(crate) commands: u64,
    pub(crate) errors: u64,
    pub(crate) keyspace_hits: u64,
    pub(crate) keyspace_misses: u64,
    pub(crate) expired_keys: u64,
}

/// What went over the wire since the server started.
#[derive(Shared, Default)]
pub struct Traffic {
    pub(crate) connections: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
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

#[guards(usage: Usage, traffic: Traffic, peers: Peers)]
pub static TOTALS: GuardMutex;

impl Ledger for TotalsItems {
    fn add(&mut self, dues: &Dues) {
        let TotalsItems {
            usage,
            traffic,
            peers,
        } = self;
        usage.commands += dues.counters.commands;
        usage.errors += dues.counters.errors;
        usage.keyspace_hits += dues.counters.hits;
        usage.keyspace_misses += dues.counters.misses;
        usage.expired_keys += dues.counters.expired;
        traffic.connections += dues.connections;
        traffic.bytes_in += dues.bytes_in;
        traffic.bytes_out += dues.bytes_out;
        peers.clients[dues.slot] = dues.clients;
    }

    fn snapshot(&self, here: usize) -> Snapshot {
        let TotalsItems {
            usage,
            traffic,
            peers,
        } = self;
        Snapshot {
            counters: Counters {
                commands: usage.commands,
                hits: usage.keyspace_hits,
                misses: usage.keyspace_misses,
                errors: usage.errors,
                expired: usage.expired_keys,
            },
            connections: traffic.connections,
            clients_elsewhere: peers.clients.iter().sum::<u64>() - peers.clients[here],
            bytes_in: traffic.bytes_in,
            bytes_out: traffic.bytes_out,
            ..Snapshot::default()
        }
    }
}
