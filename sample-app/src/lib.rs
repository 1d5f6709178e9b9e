//! The parts of the live demo that tests use as well: a load that notices lost writes, and a server in
//! processes of its own.

#![forbid(unsafe_code)]

pub mod libraries;
pub mod load;
pub mod server;
