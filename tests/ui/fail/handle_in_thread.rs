//! A handle belongs to the worker's own thread, and so does an object's owner.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Room {
    visits: u64,
}

fn give_away(key: Handle<Room>, room: Guarded<Room>) {
    std::thread::spawn(move || drop(key));
    std::thread::spawn(move || drop(room));
}

fn main() {}
