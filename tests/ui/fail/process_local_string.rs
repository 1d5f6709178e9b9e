//! A `std` string lies in one process's heap.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: String,
}

fn main() {}
