//! A `std` vector lies in one process's heap.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: Vec<u8>,
}

fn main() {}
