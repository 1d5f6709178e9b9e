//! The payload of a variant is checked like a field.
use dsu_runtime::prelude::*;

#[derive(Shared)]
#[repr(u8)]
pub enum Value {
    Fine(u64),
    Wrong { text: Option<String> },
}

fn main() {}
