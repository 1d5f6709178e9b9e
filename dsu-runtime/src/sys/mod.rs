//! Thin, safe fronts of system calls: the only room below the runtime's own ideas.
//!
//! Owns the unsafe that a call into the kernel needs; knows nothing of locks, workers or versions.

pub mod accept;
pub mod epoll;
pub mod futex;
pub mod memory;
pub mod net;
pub mod process;
pub mod spawn;
pub mod stream;
pub mod time;
