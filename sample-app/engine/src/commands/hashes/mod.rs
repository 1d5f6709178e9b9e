//! Hashes, one idea a file: single fields, fields that are numbers, all fields, any field.

pub(crate) mod fields;
pub(crate) mod numbers;
pub(crate) mod random;
pub(crate) mod whole;

mod undo;
