//! The command layer of the sample store: connections, the command table, and what every
//! command does, over whatever store a version plugs in.
//!
//! Owns no socket, no clock, no lock and no key. A version of the application supplies a
//! [`Store`] (its guarded shards), a [`Server`] (time, chance, facts for INFO), and a
//! [`CommandTable`] made from the lists in [`tables`]; it feeds bytes to a [`Session`] and
//! writes out what the session has to say.

#![forbid(unsafe_code)]

mod ahead;
mod buffer;
mod call;
mod changes;
mod command;
mod commands;
mod door;
mod error;
mod expiry;
mod ledger;
mod limits;
mod metrics;
mod net;
mod place;
mod rates;
mod room;
mod server;
mod session;
mod shards;
mod spec;
mod store;
mod table;
mod transactions;
mod typed;
mod values;
mod walk;

pub mod tables;

pub use ahead::{Upcoming, Wanted};
pub use call::{Call, Client, Outcome, ReplyMode};
pub use changes::Changes;
pub use command::{Command, Handler};
pub use commands::active_expiry::{ExpiryCycle, ExpiryProgress};
pub use error::{CommandError, StoreError};
pub use expiry::Expiry;
pub use ledger::{Dues, Ledger, Settler, Snapshot};
pub use limits::{Limits, OutputLimit};
pub use metrics::{CommandRow, Metrics};
pub use net::Connections;
pub use resp::{Args, Protocol, Reply};
pub use server::{Counters, Facts, Rates, Server, config_defaults};
pub use session::{Progress, Session};
pub use shards::{
    Entry, ExpiringEntry, FOREVER, SHARDS, ShardedStore, Shards, StringHolder, Transaction,
    TypedHolder, shard_of,
};
pub use spec::{Access, CommandSpec, Flags, Group, KeySpec};
pub use store::{
    Edit, Expiring, ExpiringStore, ExpirySlice, KeySet, Keys, Keyspace, Kind, Lifetime, ShardSet,
    Stamp, Store, StringValue, Totals, UnixMs,
};
pub use table::CommandTable;
pub use transactions::Pending;
pub use typed::{End, HashValue, ListValue, Typed, TypedStore};
pub use values::{Hash, List, Origin, Text};
pub use walk::Doors;
