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
#[path = "../../sample-app/engine/tests/engine/agreement.rs"]
mod agreement;
#[path = "../../sample-app/engine/tests/engine/generator.rs"]
mod generator;
#[path = "../../sample-app/engine/tests/engine/redis.rs"]
mod real;
#[allow(dead_code)] // The command layer's own tests use the rest.
#[path = "../../sample-app/engine/tests/engine/value.rs"]
mod value;
