//! What comes of a step or a crossing: which element an error is about, and errors as lenses state them.

use super::prepare::Progress;
use crate::error::AccessError;
use crate::heap::{Shared, named};
use xform::LensError;

/// Says of which key the element is.
pub(super) fn of_key(key: &impl Shared, error: AccessError) -> AccessError {
    match error {
        AccessError::HeapFull => AccessError::HeapFull,
        AccessError::Foreign => AccessError::Failed(format!(
            "the element of {} has no form in the newer version, which has to read it",
            named::key(key)
        )),
        AccessError::Failed(reason) => {
            AccessError::Failed(format!("{}: {reason}", named::key(key)))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    // R28
    #[test]
    fn no_error_of_an_element_is_as_long_as_its_key() {
        let long = (u128::MAX, u128::MAX - 1, u128::MAX - 2, u128::MAX - 3);
        for error in [AccessError::Foreign, AccessError::Failed("no".to_owned())] {
            let said = of_key(&long, error).to_string();
            assert!(said.contains(&u128::MAX.to_string()), "{said}");
            assert!(!said.contains(&(u128::MAX - 3).to_string()), "{said}");
        }
    }
}
