//! The process that plays a thread: it loads versions, runs them, waits, and crosses.

mod messages;

pub use messages::{Build, FromWorker, ToWorker};
