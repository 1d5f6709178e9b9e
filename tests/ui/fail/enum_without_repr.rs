//! Another build may lay such an enum out otherwise (R2).
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub enum State {
    Idle,
    Busy(u64),
}

#[derive(Shared)]
#[repr(C)]
pub enum Half {
    Idle,
}

fn main() {}
