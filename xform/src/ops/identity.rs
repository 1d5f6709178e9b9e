//! The lens that changes nothing.

use std::marker::PhantomData;

use crate::{Lens, LensError};

/// Both sides are the same type and the same value.
#[derive(Clone, Copy, Debug)]
pub struct Identity<T>(PhantomData<fn(T) -> T>);

/// Makes the lens that changes nothing.
pub fn identity<T>() -> Identity<T> {
    Identity(PhantomData)
}

impl<T> Default for Identity<T> {
    fn default() -> Self {
        identity()
    }
}

impl<T> Lens for Identity<T> {
    type Left = T;
    type Right = T;
    type Complement = ();

    fn forward(&self, left: T, _: Option<()>) -> Result<(T, ()), LensError> {
        Ok((left, ()))
    }

    fn backward(&self, right: T, _: Option<()>) -> Result<(T, ()), LensError> {
        Ok((right, ()))
    }
}
