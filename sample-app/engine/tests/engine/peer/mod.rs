//! What compares a server with a real Redis: one to compare with, random commands, and when replies agree.
//!
//! The tests of the command layer use it in one process, those of the running server over sockets. Whoever
//! takes this folder into a crate of tests uses its modules at the crate's root.

pub mod agreement;
pub mod generator;
pub mod redis;
pub mod value;
