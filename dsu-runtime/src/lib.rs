//! Live updates for multithreaded servers.

// Expansions name this crate by its own name, inside it as well.
extern crate self as dsu_runtime;

pub mod abi;
pub mod cli;
mod enter;
pub mod error;
#[doc(hidden)]
pub mod expansion;
pub mod heap;
pub mod ids;
mod macros;
pub mod prelude;
pub mod supervisor;
pub mod sync;
pub mod sys;
pub mod update;
pub mod version;
pub mod worker;

pub use dsu_macros::{Carry, Shared, guards, private, version, worker};
pub use enter::{enter, main};
#[doc(hidden)]
pub use expansion as __private;
#[doc(hidden)]
pub use worker::library_calls;
