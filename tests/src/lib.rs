//! Harness of the tests that need real processes, libraries and clients.
//!
//! A test starts servers of its own on free ports in folders of its own, waits for conditions, never for
//! time, and ends only what it started.

#![forbid(unsafe_code)]

mod fleet;
mod host;
mod lines;
mod patch;
mod process;
mod rival;
pub mod settings;
mod spread;
mod watchdog;

pub use fleet::{Fleet, process_of, until};
pub use host::{echo, host, journey, kv, ledger, library, order, shelf};
pub use lines::LineClient;
pub use patch::{Patch, behave};
pub use process::{cpu_time, memory_share};
pub use rival::Rival;
pub use spread::Spread;
pub use watchdog::Watchdog;
