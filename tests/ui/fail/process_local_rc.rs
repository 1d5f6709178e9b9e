//! A count of references lies in one process's heap.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Holder {
    fine: u64,
    wrong: std::rc::Rc<u64>,
}

fn main() {}
