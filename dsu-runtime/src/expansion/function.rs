//! What `#[dsu::function]` registers of a function, made from its type alone.

use crate::abi::FunctionSignature;
use crate::heap::{self, Function};

/// The type of a pointer to it.
pub fn function_signature<N: Function>() -> FunctionSignature {
    heap::signature_of::<N::Pointer>()
}

/// Where it is in this process.
pub fn function_pointer<N: Function>() -> *const () {
    heap::pointer_of::<N>()
}
