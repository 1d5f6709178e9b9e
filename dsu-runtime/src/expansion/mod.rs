//! What the expansions of this crate's macros call, reached as `dsu_runtime::__private`.
//!
//! Not for applications: names and signatures change with the macros, which are of the same release.
//! Everything here is generic over the application's types, so that macros need to emit no bodies.

mod carry;
mod function;
mod lens;
mod prepare;
mod sample;
mod shape;
mod thunks;
mod visit;

pub use carry::{
    Carriable, carried, carried_enum, carried_field, carried_type, carried_variant, carry_backward,
    carry_forward, carry_schema, decode, encode, numbered, start_with_default,
};
pub use function::{function_pointer, function_signature};
pub use inventory;
pub use lens::{admit, backward, directions, forward, losses, policy, represents};
pub use prepare::{
    discard_left, discard_left_items, discard_right, discard_right_items, prepare_backward,
    prepare_forward, prepare_items_backward, prepare_items_forward, twin_schema,
};
pub use sample::sample;
pub use shape::{
    Body, Field, Shape, Shaped, Shareable, Variant, assert_mirrored, noting_names, schema_of,
    within,
};
pub use std::vec::Vec;
pub use thunks::{ItemInit, Siblings, drop_value, item, visit_value};
pub use visit::visit_fields;
pub use xform::Lens;
