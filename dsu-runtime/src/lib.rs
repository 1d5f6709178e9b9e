//! Live updates for multithreaded servers.

pub mod abi;
pub mod cli;
pub mod enter;
pub mod error;
pub mod heap;
pub mod ids;
pub mod supervisor;
pub mod sys;
pub mod update;
pub mod version;
pub mod worker;
