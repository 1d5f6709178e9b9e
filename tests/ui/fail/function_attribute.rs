//! What cannot be kept in shared memory by a name.
use dsu_runtime::prelude::*;

pub struct Person {
    visits: u64,
}

#[dsu::function]
const CLOSURE: fn(u64) -> u64 = |number| number + 1;

#[dsu::function]
fn generic<T: Copy>(value: T) -> T {
    value
}

#[dsu::function]
fn any(value: impl Copy) {}

#[dsu::function]
async fn later(value: u64) {}

#[dsu::function]
unsafe extern "C" fn foreign(value: u64) {}

#[dsu::function]
fn a_name_that_is_longer_than_the_room_for_it(value: u64) {}

#[dsu::function(name = "")]
fn nameless(value: u64) {}

#[dsu::function(renamed_from = "former")]
fn renamed(value: u64) {}

impl Person {
    #[dsu::function]
    fn visit(&mut self) {}
}

fn main() {}
