//! A handle is one process's own: it neither lies in shared memory nor crosses.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Room {
    visits: u64,
}

#[derive(Shared)]
pub struct House {
    key: Handle<Room>,
}

#[derive(Carry)]
pub struct Local {
    key: Handle<Room>,
}

fn main() {}
