//! The store over guarded shards, for whatever entry a version has.
//!
//! Owns where a key lies, which locks a command takes, and what each operation does to a box: a
//! `replace` makes a new one, an `edit` keeps it, a `rename` moves it (so complements, and with them what
//! only another version knows of an entry, follow Redis's own rules). Never knows how an entry is laid out.

mod declare;
mod entry;
mod expiring;
mod keyspace;
mod locked;
mod place;
mod transaction;
mod typed;

pub use entry::{Entry, ExpiringEntry, FOREVER, StringHolder, TypedHolder};
pub use place::{SHARDS, shard_of};
pub use transaction::{ShardedStore, Shards, Transaction};
