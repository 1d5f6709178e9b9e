//! A reference is valid in one process only.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: &'static u64,
}

fn main() {}
