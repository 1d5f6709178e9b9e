//! The process that runs a server's workers and updates them, and never executes application code.
//!
//! One thread. Owns the control socket, the listeners, the workers' processes and channels, the table of
//! builds and the records of updates; decides nothing about an update itself (`update::Life` does).
//! Trusts no byte from a worker, a library or a client.

mod admission;
mod builds;
mod config;
mod control;
mod drain;
mod figures;
mod fleet;
mod hearing;
mod listeners;
mod losses;
mod needed;
mod orders;
mod parked;
mod patience;
mod plan;
pub mod ports;
mod protocol;
pub mod real;
mod records;
mod run;
mod status;
#[cfg(test)]
mod tests;
mod verbs;

pub use config::{Config, ListenAddress, parse_size};
pub use ports::Ports;
pub use protocol::{FailurePolicy, LINE_LIMIT, Mode, Reply, Request, UpdateRequest, Verdict};
pub use records::{Record, read_records};
pub(crate) use run::finish_probe;
pub use run::serve;
