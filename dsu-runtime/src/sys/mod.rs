//! System calls, each with its errors; no policy.
//!
//! Knows nothing of versions, workers or of what lies in the memory that it maps.

pub mod memory;
