//! The process that plays a thread: it loads versions, runs them, waits, and crosses.

mod carried;
mod messages;

pub use carried::{Carried, Carry};
pub use messages::{Build, FromWorker, ToWorker};
