//! Signatures that are not a worker's.
use dsu_runtime::prelude::*;

#[dsu::worker]
async fn is_async(cx: &mut Worker, local: ()) -> Step<()> {}

#[dsu::worker]
fn lacks_carry(cx: &mut Worker) -> Step<()> {}

#[dsu::worker]
fn takes_nothing() {}

#[dsu::worker]
fn worker_not_mutable(cx: &Worker, local: &str, more: u8) -> Result2<()> {}

#[dsu::worker]
fn other_carry_leaves(cx: &mut Worker, local: u32) -> Step<u64> {}

#[dsu::worker(begin = f)]
fn unknown_option<T>(cx: &mut Worker, local: T) -> Step<T> {}

#[dsu::worker]
struct NotAFunction;

fn main() {}
