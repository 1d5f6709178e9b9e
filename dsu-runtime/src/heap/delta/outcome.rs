//! What comes of a step or a crossing: which element an error is about, and errors as lenses state them.

use super::prepare::Progress;
use crate::error::AccessError;
use std::fmt::Debug;
use xform::LensError;

/// Says of which key the element is.
pub(super) fn of_key(key: &impl Debug, error: AccessError) -> AccessError {
    match error {
        AccessError::HeapFull => AccessError::HeapFull,
        AccessError::Foreign => AccessError::Failed(format!(
            "the element of key {key:?} has no form in the newer version, which has to read it"
        )),
        AccessError::Failed(reason) => AccessError::Failed(format!("key {key:?}: {reason}")),
    }
}

/// Says at which place of a vector the element is.
pub(super) fn of_place(place: usize, error: AccessError) -> AccessError {
    match error {
        AccessError::HeapFull => AccessError::HeapFull,
        AccessError::Foreign => AccessError::Failed(format!(
            "the element at {place} has no form in the newer version, which has to read its key"
        )),
        AccessError::Failed(reason) => {
            AccessError::Failed(format!("the element at {place}: {reason}"))
        }
    }
}

/// Where a form has caught up and does not have as many elements as the other, a key is there twice, or is
/// not found: one box would have two owners. That happens only where an application puts an entry in under
/// another key than it said, or looks up by a type that does not compare as its keys do.
pub(super) fn as_many(
    progress: Progress,
    elements: usize,
    of_other: usize,
) -> Result<Progress, AccessError> {
    match progress == Progress::More || elements == of_other {
        true => Ok(progress),
        false => Err(AccessError::Failed(format!(
            "of {elements} elements {of_other} can be told apart by their keys: one is there twice, or is not found"
        ))),
    }
}

/// With the complement of a lens that keeps nothing.
pub(super) fn unit<T>(value: T) -> (T, ()) {
    (value, ())
}

/// `Failed` where a reason is to be read: what is unrepresentable is answered without one.
pub(super) fn failed(error: AccessError) -> LensError {
    match error {
        AccessError::HeapFull => LensError::no_room(error.to_string()),
        AccessError::Foreign => LensError::failed(error.to_string()),
        AccessError::Failed(reason) => LensError::failed(reason),
    }
}
