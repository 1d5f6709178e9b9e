//! Everything wrong with one declaration is reported at once, each at its place.
use dsu_runtime::prelude::*;

#[guards(untyped, count: u64, count: u64, chek = f, renamed_from = "")]
static mut FIRST: [Mutex<u64>; N] = 3;

#[guards()]
static SECOND: GuardMutex;

#[guards(count: u64)]
static THIRD: [GuardMutex; 0];

#[guards(count: u64)]
fn fourth() {}

#[guards(count: )]
static FIFTH: GuardMutex;

fn main() {}
