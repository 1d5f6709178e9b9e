//! Lists, one idea a file: their ends, their positions, their contents.

pub(crate) mod ends;
pub(crate) mod positions;
pub(crate) mod search;
