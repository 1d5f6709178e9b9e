//! The command layer over a store in private memory: by itself, and beside a real Redis.

#![forbid(unsafe_code)]

mod agreement;
mod differential;
mod errors;
mod generator;
mod memory;
mod over_tcp;
mod redis;
mod server;
mod session;
mod statistics;
mod store_errors;
mod value;
