//! A handle keeps the object where it is; a guard cannot do without.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Room {
    visits: u64,
}

fn visit(cx: &Worker, key: Handle<Room>) -> Result<(), LockError> {
    let mut room = key.lock(cx)?;
    drop(key);
    room.visits += 1;
    Ok(())
}

fn main() {}
