//! The running sample server as clients of Redis meet it, the ill-behaved ones included.

mod beside;
mod client;
mod conversation;
mod drain;
mod full_heap;
mod limits;
mod malformed;
mod peers;
mod spread;
mod statistics;

// What the command layer is compared with, here seen through sockets and processes.
#[allow(dead_code, unused_imports)] // The command layer's own tests use the rest.
#[path = "../../sample-app/engine/tests/engine/peer/mod.rs"]
mod peer;

use peer::{agreement, generator, redis as real, value};
