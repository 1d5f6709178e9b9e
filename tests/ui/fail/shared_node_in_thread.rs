//! Handles to shared nodes belong to the worker's own thread.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Person {
    visits: u64,
}

fn give_away(person: SharedRc<Person>) {
    std::thread::spawn(move || drop(person));
}

fn main() {}
