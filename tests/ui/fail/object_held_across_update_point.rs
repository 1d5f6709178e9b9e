//! A guard of an object borrows the worker as well as its handle, an update point needs the worker
//! mutably (R18).
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Room {
    visits: u64,
}

#[guards(rooms: SharedVec<Guarded<Room>>)]
static LOBBY: GuardMutex;

fn key(cx: &Worker) -> Result<Handle<Room>, LockError> {
    let lobby = LOBBY.lock(cx)?;
    let Ok(Some(room)) = lobby.rooms.get(0) else { return Err(LockError::WouldBlock) };
    room.handle(cx)
}

#[dsu::worker]
fn serve(cx: &mut Worker, local: ()) -> Step<()> {
    loop {
        let Ok(key) = key(cx) else { continue };
        update_point!(cx, "with a handle", local);
        let Ok(mut room) = key.lock(cx) else { continue };
        update_point!(cx, "with a guard", local);
        room.visits += 1;
    }
}

fn main() {}
