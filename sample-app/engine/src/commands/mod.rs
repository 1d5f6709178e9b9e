//! What each command does, one family a file. Handlers write replies and edit entries; which
//! keys are locked for them is in the table's specifications.

pub(crate) mod active_expiry;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod copy;
pub(crate) mod expiry;
pub(crate) mod hashes;
pub(crate) mod info;
pub(crate) mod introspection;
pub(crate) mod keyspace;
pub(crate) mod lists;
pub(crate) mod numbers;
pub(crate) mod object;
pub(crate) mod ranges;
pub(crate) mod scan;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod strings;
pub(crate) mod transactions;
