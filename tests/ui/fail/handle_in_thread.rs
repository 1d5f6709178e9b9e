//! A handle belongs to the worker's own thread.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Room {
    visits: u64,
}

fn give_away(key: Handle<Room>) {
    std::thread::spawn(move || drop(key));
}

fn main() {}
