//! The command layer over a store in private memory: by itself, and beside a real Redis.

#![forbid(unsafe_code)]

mod changes;
mod differential;
mod errors;
mod hashes;
mod lists;
mod memory;
mod names;
mod over_tcp;
mod peer;
mod reply_modes;
mod server;
mod session;
mod statistics;
mod store_errors;
mod transactions;
mod two_connections;
mod typed_errors;
mod undo;

use peer::{agreement, generator, redis, value};
