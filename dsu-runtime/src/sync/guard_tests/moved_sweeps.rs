//! Containers that move into a new guard, some out of one that goes, while their elements are of both versions:
//! the sweep is cut off anywhere and everything goes back (R4, R6, R29).

use super::moved_new::as_it_is;
use super::world::*;
use crate::abi::{GuardCell, Parked};
use crate::heap::testing::test_name;
use crate::heap::{SharedBytes, SharedMap, SharedVec};
use crate::ids::SweepId;
use crate::update::{check_guards, move_items, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use xform::{Kept, Lens, LensError};

/// More than a slice of the sweep converts.
const SHEEP: u64 = 100;

/// Of version 1.
#[derive(Shared)]
#[shared(frozen = 1, name = "Sheep")]
pub struct OldSheep {
    wool: u64,
    /// Version 2 knows of none.
    bell: SharedBytes,
}

/// Of version 2.
#[derive(Shared)]
#[shared(name = "Sheep")]
pub struct NewSheep {
    wool: u64,
    /// Version 1 knows of none.
    shears: u64,
}

#[derive(Default)]
struct SheepLens;

impl Lens for SheepLens {
    type Left = OldSheep;
    type Right = NewSheep;
    type Complement = (Kept<u64>, Kept<SharedBytes>);

    fn forward(
        &self,
        left: OldSheep,
        kept: Option<Self::Complement>,
    ) -> Result<(NewSheep, Self::Complement), LensError> {
        let shears = kept.and_then(|(shears, _)| shears.value).unwrap_or(0);
        let wool = left.wool;
        let complement = (Kept::empty(), Kept::of(left.bell));
        Ok((NewSheep { wool, shears }, complement))
    }

    fn backward(
        &self,
        right: NewSheep,
        kept: Option<Self::Complement>,
    ) -> Result<(OldSheep, Self::Complement), LensError> {
        let bell = kept.and_then(|(_, bell)| bell.value);
        let bell = bell.ok_or_else(|| LensError::failed("no bell was kept"))?;
        let wool = right.wool;
        let complement = (Kept::of(right.shears), Kept::empty());
        Ok((OldSheep { wool, bell }, complement))
    }

    fn is_vacant(&self, (shears, bell): &Self::Complement) -> bool {
        shears.is_empty() && bell.is_empty()
    }
}

crate::transformer!(SheepLens);

#[guards(grass: u64 = 2, flock: SharedMap<u64, OldSheep>)]
pub static FOLD_OLD: GuardMutex;
#[guards(grass: u64, renamed_from = "FOLD_OLD")]
pub static FOLD_NEW: GuardMutex;

/// That goes.
#[guards(shorn: SharedVec<OldSheep>)]
pub static SHEAR_OLD: GuardMutex;

/// That is new.
#[guards(
    moved(flock: SharedMap<u64, NewSheep>, from = "FOLD_OLD.flock"),
    moved(shorn: SharedVec<NewSheep>, from = "SHEAR.shorn")
)]
pub static MEADOW_NEW: GuardMutex;

fn old_cells() -> Vec<&'static GuardCell> {
    FOLD_OLD.cells().iter().chain(SHEAR_OLD.cells()).collect()
}

fn new_cells() -> Vec<&'static GuardCell> {
    FOLD_NEW.cells().iter().chain(MEADOW_NEW.cells()).collect()
}

/// With what waits in the guard that this version lacks.
fn findings(is_new: bool) -> Vec<String> {
    let (own, other) = if is_new {
        (new_cells(), SHEAR)
    } else {
        (old_cells(), MEADOW)
    };
    check_guards(own.into_iter().chain(as_it_is(other)).collect()).findings
}

fn bell(number: u64) -> SharedBytes {
    let text = format!("{} of sheep {number}", String::from_utf8_lossy(NOTE));
    SharedBytes::from_slice(text.as_bytes()).expect("room")
}

fn make(cx: &Worker) {
    let sheep = |number| OldSheep {
        wool: number,
        bell: bell(number),
    };
    let mut fold = FOLD_OLD.lock(cx).unwrap();
    let mut shear = SHEAR_OLD.lock(cx).unwrap();
    for number in 0..SHEEP {
        fold.flock.insert(number, sheep(number)).unwrap();
        shear.shorn.push(sheep(number)).unwrap();
    }
}

/// All have their bells, and the wool that `wool` says.
fn assert_old(cx: &Worker, wool: impl Fn(u64) -> u64) {
    let fold = FOLD_OLD.lock(cx).unwrap();
    let shear = SHEAR_OLD.lock(cx).unwrap();
    assert_eq!(
        (fold.flock.len(), shear.shorn.len()),
        (SHEEP as usize, SHEEP as usize)
    );
    for number in 0..SHEEP {
        let flock = fold.flock.get(&number).unwrap().expect("in the fold");
        let shorn = shear.shorn.get(number as usize).unwrap().expect("shorn");
        for sheep in [flock, shorn] {
            assert_eq!(sheep.wool, wool(number), "sheep {number}");
            assert_eq!(sheep.bell.as_slice(), bell(number).as_slice());
        }
    }
}

/// Shears one sheep in both places, as version 2.
fn shear(cx: &Worker, number: u64) {
    let meadow = &mut *MEADOW_NEW.lock(cx).unwrap();
    let flock = meadow.flock.get_mut(&number).unwrap().expect("there");
    let shorn = meadow
        .shorn
        .get_mut(number as usize)
        .unwrap()
        .expect("there");
    for sheep in [flock, shorn] {
        sheep.shears += 1;
        sheep.wool = 1_000 + sheep.shears;
    }
}

/// At most so many slices of a pass; whether that was all of it.
fn sweep(number: u32, cells: fn() -> Vec<&'static GuardCell>, slices: usize) -> bool {
    (0..slices).any(|_| {
        let slice = sweep_guards(SweepId(number), Parked::Kept, cells, 1);
        assert_eq!(slice.failed, 0);
        slice.is_done
    })
}

// R4, R6, R29
#[test]
fn a_sweep_that_is_cut_off_anywhere_leaves_a_way_back_to_guards_that_it_lacks() {
    let name =
        test_name!("a_sweep_that_is_cut_off_anywhere_leaves_a_way_back_to_guards_that_it_lacks");
    with_world(name, || {
        play(0, |cx| {
            make(cx);
            let mut rounds = 0;
            loop {
                // Some slices more each time on the way there; half as many on the way back.
                let slices = 11 * rounds as usize;
                rounds += 1;
                assert_eq!(move_items(true), Ok(()));
                shear(cx, 7);
                let is_whole = sweep(2 * rounds, new_cells, slices);
                assert_eq!(findings(true), [""; 0]);
                assert_eq!(move_items(false), Ok(()));
                sweep(2 * rounds + 1, old_cells, slices / 2);
                assert_eq!(findings(false), [""; 0]);
                if is_whole {
                    break;
                }
            }
            assert!(rounds > 9, "cut off in its middle");
            // What version 2 counted was kept each time.
            let shorn = 1_000 + u64::from(rounds);
            assert_old(cx, |number| if number == 7 { shorn } else { number });
        });
    });
}
