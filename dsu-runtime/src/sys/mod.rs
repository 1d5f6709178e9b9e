//! System calls that need care, behind safe functions; each with its errors, no policy.
//!
//! Knows nothing of versions, guards, workers, or of what lies in the memory that it maps.

pub mod memory;
pub mod net;
pub mod process;
pub mod spawn;
