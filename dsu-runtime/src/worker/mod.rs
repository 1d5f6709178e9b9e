//! The process that plays a thread: it loads versions, runs them, waits, and crosses.
//!
//! Two halves that meet only in `abi`: what a version uses (`cx`, `events`, `net`, `carry`, `library`), and
//! what the host executable does around it (`main`, `host`, `loaded`).

mod carried;
mod carry;
mod cx;
mod descriptor;
mod events;
mod hooks;
mod host;
mod library;
mod loaded;
mod main;
mod messages;
mod net;
mod threads;

pub use carried::{Carried, Carry};
pub use carry::{Crossing, Step, run_application};
pub use cx::{InheritedListener, Surroundings, Worker};
pub use descriptor::Descriptor;
pub use events::{Event, Events, Notice};
pub use library::library_calls;
pub use main::{WorkerInheritance, main, meet_supervisor};
pub use messages::{Build, FromWorker, ToWorker};
pub use net::{Listener, Stream};
