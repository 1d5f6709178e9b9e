//! A function pointer points to one library's code.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: fn(u64) -> u64,
}

fn main() {}
