//! Live updates for multithreaded servers.

// Expansions name this crate by its own name, inside it as well.
extern crate self as dsu_runtime;

pub mod abi;
pub mod error;
#[doc(hidden)]
pub mod expansion;
pub mod heap;
pub mod ids;
mod macros;
pub mod version;
pub mod worker;

#[doc(hidden)]
pub use expansion as __private;
