//! Live updates for multithreaded servers.
//!
//! A server is a versioned library that runs in several processes, its *workers*, on one shared heap.
//! Workers change version one by one, each at its own update point; whoever acquires a guard whose
//! items are in another version's form has them transformed first.
//!
//! | who you are | start at |
//! |---|---|
//! | author of an application | [`prelude`], and the README's example |
//! | author of a host executable | [`enter`](fn@enter) as the first line of `main`, [`cli::main`] for the `dsu` command, [`supervisor`] |
//! | about to change the runtime | `DESIGN.md` beside this crate: code map, byte maps, protocols, invariants |
//! | in doubt what holds while versions are mixed | `SEMANTICS.md`, rules R1 to R36 |
//!
//! Rooms, each with its contract in its `mod.rs`; dependencies point down this list: [`cli`],
//! [`supervisor`], [`mod@worker`], [`update`], [`mod@version`], [`sync`], [`heap`], [`sys`], [`abi`], beside
//! them [`error`] and [`ids`]. Linux on x86-64 only.

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

pub use dsu_macros::{Carry, Shared, function, guards, private, version, worker};
pub use enter::{enter, main};
#[doc(hidden)]
pub use expansion as __private;
#[doc(hidden)]
pub use worker::library_calls;
