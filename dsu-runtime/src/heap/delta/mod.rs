//! Delta granularity: lenses between containers of different shape, of which the runtime keeps both
//! forms while versions are mixed, so that a flip costs what was changed and not what is there.
//!
//! Owns the lenses and how they make and follow the other form. Knows nothing of guards or updates: who
//! calls holds the guard, and says until when.

mod prepare;

pub use prepare::{Items, Prepare, PrepareItems, Progress};
