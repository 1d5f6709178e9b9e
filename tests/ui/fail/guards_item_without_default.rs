//! An item starts as its initialiser or its `Default`.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Stats {
    commands: u64,
}

#[guards(stats: Stats)]
static TOTALS: GuardMutex;

fn main() {}
