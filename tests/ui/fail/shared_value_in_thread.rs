//! Shared values stay on the worker's thread: the allocator knows no other.
use dsu_runtime::prelude::*;

#[derive(Shared, Default)]
pub struct Entry {
    value: SharedBytes,
}

#[guards(entry: Entry)]
static ENTRY: GuardMutex;

fn send(entry: Entry) {
    std::thread::spawn(move || drop(entry));
}

fn send_guard(cx: &Worker) {
    let guard = ENTRY.lock(cx);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
}

fn main() {}
