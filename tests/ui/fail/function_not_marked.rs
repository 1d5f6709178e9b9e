//! Shared memory names functions that are marked, of the type that it says.
use dsu_runtime::prelude::*;

pub enum NotAFunction {}

#[dsu::function]
fn double(number: u64) -> u64 {
    number * 2
}

fn main() {
    let offset = 3_u64;
    let _: SharedFn<fn(u64) -> u64> = SharedFn::of::<NotAFunction>();
    let _: SharedFn<fn(u32) -> u32> = SharedFn::of::<double>();
    let _: SharedFn<fn(u64) -> u64> = SharedFn::of(|number| number + offset);
}
