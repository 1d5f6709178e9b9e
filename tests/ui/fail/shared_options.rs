//! Options of the derive, and what cannot be shared whatever they say.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Generic<T>(T);

#[derive(Shared)]
pub struct Borrows<'a>(&'a u64);

#[derive(Shared)]
#[shared(inlined)]
pub struct Misspelt(u64);

#[derive(Shared)]
#[shared(name = "a", name = "b")]
pub struct Twice(u64);

#[derive(Shared)]
#[repr(C, packed)]
pub struct Packed(u8, u64);

#[derive(Shared)]
#[repr(C)]
pub union Either {
    left: u64,
    right: i64,
}

fn main() {}
