//! Live updates.

pub mod sync;
pub mod sys;
