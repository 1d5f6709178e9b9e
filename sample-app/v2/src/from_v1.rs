//! Version 1's types as they were, and the lenses between them and this version's.

use dsu_runtime::prelude::*;
use kv_engine::{Connections, Expiry, FOREVER};
use serde::{Deserialize, Serialize};

/// Version 1's entry.
#[derive(Shared)]
#[shared(frozen = 1)]
pub struct Entry {
    value: Versioned<crate::entry::Value>,
}

xform::record! {
    /// A key of version 1 has no deadline; one that version 2 gave it waits in the complement.
    pub struct EntryLens: Entry => crate::entry::Entry {
        same value;
        add expires_at_ms: u64 = FOREVER;
    }
}

dsu::transformer!(EntryLens);

/// Version 1's totals.
#[derive(Shared)]
#[shared(frozen = 1)]
pub struct Stats {
    commands: u64,
    errors: u64,
    get_hits: u64,
    get_misses: u64,
    connections: u64,
    bytes_in: u64,
    bytes_out: u64,
}

xform::record! {
    /// Two totals have other names, and one is new.
    pub struct StatsLens: Stats => crate::totals::Stats {
        same commands;
        same errors;
        rename get_hits => keyspace_hits;
        rename get_misses => keyspace_misses;
        same connections;
        same bytes_in;
        same bytes_out;
        add expired_keys: u64 = 0;
    }
}

dsu::transformer!(StatsLens);

/// Version 1's private state.
#[derive(Serialize, Deserialize, Carry)]
pub struct Local {
    connections: Connections,
}

xform::record! {
    /// The search for expired keys is new; its place waits while version 1 runs.
    pub struct LocalLens: Local => crate::Local {
        same connections;
        add expiry: Expiry = Expiry::default();
    }
}

dsu::carry_lens!(LocalLens);
