//! Objects of the small application: rooms in a lobby, in two versions.
#![allow(unsafe_code)] // one object under the types of both versions

use super::world::{LABEL, NOTE};
use crate::abi::GuardCell;
use crate::error::LockError;
use crate::heap::objects::{self, Fate, ObjectId};
use crate::heap::{SharedBytes, SharedVec};
use crate::ids::{GuardIndex, Tag};
use crate::sync::{GuardSlot, Guarded, Handle};
use crate::update;
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::sync::atomic::{AtomicU32, Ordering};
use xform::{Lens, LensError};

/// A room of version 1.
#[derive(Shared)]
#[shared(frozen = 1, name = "Room")]
pub struct OldRoom {
    pub visits: u64,
    pub label: SharedBytes,
    pub fuse: Fuse,
}

/// A room of version 2.
#[derive(Shared)]
#[shared(name = "Room")]
pub struct NewRoom {
    pub visits: u64,
    pub label: SharedBytes,
    pub note: SharedBytes,
    pub fuse: Fuse,
}

/// Something whose drop a test can see, or use to die in.
#[derive(Shared)]
#[shared(inline)]
pub struct Fuse {
    pub is_live: u64,
}

static DROPS: AtomicU32 = AtomicU32::new(0);

impl Drop for Fuse {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::Relaxed);
        if self.is_live != 0 {
            super::world::die();
        }
    }
}

/// Rooms that this process has dropped.
pub fn drops() -> u32 {
    DROPS.load(Ordering::Relaxed)
}

static LENS: AtomicU32 = AtomicU32::new(0);

/// From here on the lens of this process does this.
pub fn room_lens_shall(fail: Fails) {
    LENS.store(fail as u32, Ordering::Relaxed);
}

#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
pub enum Fails {
    Not = 0,
    Failing = 1,
    Dying = 2,
}

#[derive(Default)]
struct RoomLens;

impl Lens for RoomLens {
    type Left = OldRoom;
    type Right = NewRoom;
    type Complement = SharedBytes;

    fn forward(
        &self,
        left: OldRoom,
        kept: Option<SharedBytes>,
    ) -> Result<(NewRoom, SharedBytes), LensError> {
        match LENS.load(Ordering::Relaxed) {
            1 => return Err(LensError::failed("as it was told")),
            2 => super::world::die(),
            _ => {}
        }
        let note = match kept {
            Some(kept) => kept,
            None => SharedBytes::from_slice(NOTE).map_err(|_| LensError::no_room("no room"))?,
        };
        let OldRoom {
            visits,
            label,
            fuse,
        } = left;
        let right = NewRoom {
            visits,
            label,
            note,
            fuse,
        };
        Ok((right, SharedBytes::default()))
    }

    fn backward(
        &self,
        right: NewRoom,
        _: Option<SharedBytes>,
    ) -> Result<(OldRoom, SharedBytes), LensError> {
        let NewRoom {
            visits,
            label,
            note,
            fuse,
        } = right;
        let left = OldRoom {
            visits,
            label,
            fuse,
        };
        Ok((left, note))
    }
}

crate::transformer!(RoomLens);

/// What owns the rooms.
#[guards(rooms: SharedVec<Guarded<OldRoom>>)]
pub static WORLD_LOBBY: GuardMutex;

/// Slots of static guards in this test binary, for recovery.
pub const ALL_GUARDS: u32 = 64;

pub fn lobby_cells() -> Vec<&'static GuardCell> {
    WORLD_LOBBY.cells().iter().collect()
}

/// A new room in the old form.
pub fn old_room(visits: u64) -> Guarded<OldRoom> {
    Guarded::new(old_value(visits)).expect("there is room")
}

pub fn old_value(visits: u64) -> OldRoom {
    OldRoom {
        visits,
        label: SharedBytes::from_slice(LABEL).expect("there is room"),
        fuse: Fuse { is_live: 0 },
    }
}

/// The object as version 2 knows it.
pub fn as_new(room: &Guarded<OldRoom>) -> &Guarded<NewRoom> {
    // SAFETY: an owner is one word, whatever the type; versions know the object by their own.
    unsafe { &*std::ptr::from_ref(room).cast() }
}

/// Puts a room into the lobby; its place.
pub fn let_in(cx: &Worker, room: Guarded<OldRoom>) -> usize {
    let mut lobby = WORLD_LOBBY.lock(cx).expect("free and sound");
    lobby.rooms.push(room).expect("there is room");
    lobby.rooms.len() - 1
}

/// Drops the room at this place.
pub fn tear_down(cx: &Worker, place: usize) {
    let mut lobby = WORLD_LOBBY.lock(cx).expect("free and sound");
    drop(lobby.rooms.remove(place).expect("inline"));
}

/// What is to be had of the room at this place, under the lobby's guard.
fn of_room<R>(cx: &Worker, place: usize, body: impl FnOnce(&Guarded<OldRoom>) -> R) -> R {
    let lobby = WORLD_LOBBY.lock(cx).expect("free and sound");
    let room = lobby.rooms.get(place).expect("inline");
    body(room.expect("it is there"))
}

/// A handle of version 1 to the room at this place.
pub fn old_handle(cx: &Worker, place: usize) -> Handle<OldRoom> {
    of_room(cx, place, |room| room.handle(cx).expect("it is there"))
}

/// A handle of version 2.
pub fn new_handle(cx: &Worker, place: usize) -> Handle<NewRoom> {
    of_room(cx, place, |room| {
        as_new(room).handle(cx).expect("it is there")
    })
}

/// The form that an object's value is in.
pub fn form_of(index: GuardIndex) -> Tag {
    GuardSlot::at(index).form()
}

/// What has become of the object in a slot.
pub fn fate_of(index: GuardIndex) -> Fate {
    objects::fate(index).0
}

/// Objects that are in a slot.
pub fn all_objects() -> Vec<(Fate, ObjectId)> {
    objects::known_slots()
        .map(|index| objects::fate(GuardIndex(index)))
        .filter(|(fate, _)| *fate != Fate::None)
        .collect()
}

/// Whether an object was not to be had because its owner is gone, or the run that the handle was of.
pub fn is_retired<T>(outcome: Result<T, LockError>) -> bool {
    matches!(outcome, Err(LockError::Retired(_)))
}

/// The last line of a test: everything is reached, or free, and the locks are at rest.
pub fn assert_sound() {
    assert_eq!(findings(), [""; 0]);
    for index in objects::known_slots().map(GuardIndex) {
        assert!(GuardSlot::at(index).lock.is_at_rest());
    }
}

/// What the heap check says of the lobby.
pub fn findings() -> Vec<String> {
    update::check_guards(lobby_cells()).findings
}
