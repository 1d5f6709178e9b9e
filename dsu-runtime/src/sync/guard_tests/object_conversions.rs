//! Objects that a lens makes, drops or passes on: they come and go with the conversion.

use super::rooms::*;
use super::world::*;
use crate::error::AccessError;
use crate::heap::testing::test_name;
use crate::heap::{SharedVec, Transaction, Versioned};
use crate::sync::Guarded;
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use xform::{Lens, LensError};

/// A hall of version 1: it has a room at the door.
#[derive(Shared)]
#[shared(frozen = 1, name = "Hall")]
pub struct OldHall {
    pub seats: u64,
    pub door: Guarded<OldRoom>,
}

/// A hall of version 2: the same, and a stage, which an older worker never hears of.
#[derive(Shared)]
#[shared(name = "Hall")]
pub struct NewHall {
    pub seats: u64,
    pub door: Guarded<OldRoom>,
    pub stage: Guarded<NewRoom>,
}

#[derive(Default)]
struct HallLens;

impl Lens for HallLens {
    type Left = OldHall;
    type Right = NewHall;
    type Complement = SharedVec<Guarded<NewRoom>>;

    fn forward(
        &self,
        left: OldHall,
        kept: Option<SharedVec<Guarded<NewRoom>>>,
    ) -> Result<(NewHall, SharedVec<Guarded<NewRoom>>), LensError> {
        let full = |_| LensError::no_room("no room");
        let kept = kept.and_then(|mut kept| kept.pop().ok().flatten());
        let stage = match kept {
            Some(stage) => stage,
            None => old_room_for_stage().map_err(full)?.rebind(),
        };
        if left.seats == 13 {
            return Err(LensError::failed("an unlucky number"));
        }
        let OldHall { seats, door } = left;
        Ok((NewHall { seats, door, stage }, SharedVec::default()))
    }

    fn backward(
        &self,
        right: NewHall,
        _: Option<SharedVec<Guarded<NewRoom>>>,
    ) -> Result<(OldHall, SharedVec<Guarded<NewRoom>>), LensError> {
        let NewHall { seats, door, stage } = right;
        let mut kept = SharedVec::default();
        kept.push(stage)
            .map_err(|_| LensError::no_room("no room"))?;
        Ok((OldHall { seats, door }, kept))
    }
}

fn old_room_for_stage() -> Result<Guarded<OldRoom>, crate::error::HeapFull> {
    Guarded::new(old_value(77))
}

crate::transformer!(HallLens);

/// Halls, which own objects that only their content leads to.
#[guards(halls: SharedVec<NewHall>)]
pub static WORLD_HALLS: GuardMutex;

fn assert_halls_sound() {
    let cells = WORLD_HALLS.cells().iter().chain(lobby_cells()).collect();
    assert_eq!(crate::update::check_guards(cells).findings, [""; 0]);
}

fn play_alone(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || play(0, |cx| body(cx)));
}

// R6, R20
#[test]
fn a_lens_makes_an_object_once_and_keeps_it_in_its_complement() {
    let name = test_name!("a_lens_makes_an_object_once_and_keeps_it_in_its_complement");
    play_alone(name, |cx| {
        let door = old_room(1);
        let old = Versioned::new(OldHall { seats: 4, door }).unwrap();
        let mut halls = WORLD_HALLS.lock(cx).unwrap();
        halls.halls.insert_cell(0, old.rebind()).ok().unwrap();
        let cell = &mut halls.halls.cells_mut().unwrap()[0];

        // A reader's copy cannot have objects of its own.
        assert!(matches!(cell.get(), Err(AccessError::HeapFull)));
        assert_eq!(all_objects().len(), 1);
        let refused = drops();
        let hall = cell.get_mut().unwrap();
        let stage = hall.stage.handle(cx).unwrap();
        assert_eq!(all_objects().len(), 2);
        stage.lock(cx).unwrap().visits += 1;

        // Whoever reads it as version 1 has the door that everybody has, and owns nothing.
        let as_old = unsafe_as_old(cell);
        let door = as_old.get().unwrap().door.handle(cx).unwrap();
        assert_eq!(door.lock(cx).unwrap().visits, 1);
        assert_eq!(as_old.get_mut().unwrap().seats, 4);
        assert!(stage.is_owned(), "by the complement");
        let cell = &mut halls.halls.cells_mut().unwrap()[0];
        let again = cell.get_mut().unwrap().stage.handle(cx).unwrap();
        assert_eq!((again.slot(), drops()), (stage.slot(), refused));
        assert_eq!(again.lock(cx).unwrap().visits, 78);
        drop((stage, again, door));
        drop(halls);
        assert_halls_sound();

        let mut halls = WORLD_HALLS.lock(cx).unwrap();
        unsafe_as_old(&mut halls.halls.cells_mut().unwrap()[0])
            .get_mut()
            .unwrap();
        drop(halls);
        assert_halls_sound();
        WORLD_HALLS.lock(cx).unwrap().halls.clear();
        assert_eq!((all_objects().len(), drops()), (0, refused + 2));
        assert_halls_sound();
    });
}

/// The box as version 1 knows it.
#[allow(unsafe_code)] // one box under the types of both versions
fn unsafe_as_old(cell: &mut Versioned<NewHall>) -> &mut Versioned<OldHall> {
    // SAFETY: a box is one word, and its tag says what it holds.
    unsafe { &mut *std::ptr::from_mut(cell).cast() }
}

#[test]
fn a_lens_that_fails_leaves_no_object_and_takes_none_away() {
    let name = test_name!("a_lens_that_fails_leaves_no_object_and_takes_none_away");
    play_alone(name, |cx| {
        let door = old_room(1);
        let old = Versioned::new(OldHall { seats: 13, door }).unwrap();
        let mut halls = WORLD_HALLS.lock(cx).unwrap();
        halls.halls.insert_cell(0, old.rebind()).ok().unwrap();
        let cell = &mut halls.halls.cells_mut().unwrap()[0];
        assert!(matches!(cell.get_mut(), Err(AccessError::Failed(_))));
        assert_eq!(all_objects().len(), 1);
        let door = unsafe_as_old(cell).get_mut().unwrap().door.handle(cx);
        assert_eq!(door.unwrap().lock(cx).unwrap().visits, 1);
        drop(halls);
        assert_halls_sound();
    });
}

#[test]
fn what_a_conversion_makes_or_drops_stands_or_falls_with_it() {
    let name = test_name!("what_a_conversion_makes_or_drops_stands_or_falls_with_it");
    play_alone(name, |cx| {
        for stands in [false, true] {
            for inner_stands in [false, true] {
                let_in(cx, old_room(1));
                let kept = old_handle(cx, 0).owner();
                let before = all_objects().len();
                let outer = Transaction::begin();
                let made = old_room(2);
                drop(old_room(3));
                drop(kept);
                let inner = Transaction::begin();
                let made_inside = old_room(4);
                drop(old_room(5));
                // Older than the inner one, so that it only makes a note.
                drop(made);
                match inner_stands {
                    true => inner.commit(),
                    false => inner.abort(),
                }
                std::mem::forget(made_inside);
                match stands {
                    true => outer.commit(),
                    false => outer.abort(),
                }
                let made_inside = usize::from(stands && inner_stands);
                let made = usize::from(stands && !inner_stands);
                let dropped = usize::from(stands);
                let after = before + made + made_inside - dropped;
                assert_eq!(all_objects().len(), after, "{stands} {inner_stands}");
                let mut lobby = WORLD_LOBBY.lock(cx).unwrap();
                lobby.rooms.clear();
                for (_, id) in all_objects() {
                    crate::heap::objects::retire(id);
                }
                drop(lobby);
                assert_sound();
            }
        }
    });
}
