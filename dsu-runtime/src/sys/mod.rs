//! System calls that need care, behind safe functions. Knows nothing of versions, guards or workers.

pub mod net;
pub mod spawn;
pub mod process;
