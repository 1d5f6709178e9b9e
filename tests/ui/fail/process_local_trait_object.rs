//! A trait object points to one library's code.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: Box<dyn Send>,
}

fn main() {}
