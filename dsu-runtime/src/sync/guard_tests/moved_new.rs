//! Items that move into a guard that the older version does not have, and out of one that the newer
//! version does not have: there, back, failures, deaths (R4).
//!
//! ROOT is split: its peers go to FRESH, which is new. LEAVER is merged into others: its list goes to
//! HEIR, its deep to FRESH, and what it has left waits for the way back. Of families, LOTS give to BARNS,
//! which are new, and SHEDS, which are gone, to LOTS.

use super::world::*;
use crate::abi::{CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, GuardCell};
use crate::error::LockError;
use crate::heap::stepping::at_every_store;
use crate::heap::testing::test_name;
use crate::heap::{self, Activity, HeapAccount, SharedBytes};
use crate::ids::GuardIndex;
use crate::sync::{self, GuardSlot, Root, recover_worker};
use crate::update::{check_guards, move_items};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::cell::Cell;
use xform::{Kept, Lens, LensError};

fn text(text: &[u8]) -> SharedBytes {
    SharedBytes::from_slice(text).expect("room")
}

/// An item of ROOT in version 1.
#[derive(Shared)]
#[shared(inline)]
pub struct OldCrew {
    pub count: u32,
    pub odd: SharedBytes,
}

/// The same of FRESH in version 2, which knows of nothing odd.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct NewCrew {
    pub count: u64,
    pub limit: u64,
}

impl Default for OldCrew {
    fn default() -> Self {
        let odd = text(NOTE);
        OldCrew { count: 5, odd }
    }
}

thread_local! {
    static FAILS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Default)]
struct CrewLens;

impl Lens for CrewLens {
    type Left = OldCrew;
    type Right = NewCrew;
    type Complement = (Kept<u64>, Kept<SharedBytes>);

    fn forward(
        &self,
        left: OldCrew,
        kept: Option<Self::Complement>,
    ) -> Result<(NewCrew, Self::Complement), LensError> {
        if FAILS.get() {
            return Err(LensError::failed("as it was told"));
        }
        let right = NewCrew {
            count: left.count.into(),
            limit: kept.and_then(|(limit, _)| limit.value).unwrap_or(70),
        };
        Ok((right, (Kept::empty(), Kept::of(left.odd))))
    }

    fn backward(
        &self,
        right: NewCrew,
        kept: Option<Self::Complement>,
    ) -> Result<(OldCrew, Self::Complement), LensError> {
        let Some(odd) = kept.and_then(|(_, odd)| odd.value) else {
            return Err(LensError::failed("what was odd is lost"));
        };
        let count = right.count as u32;
        Ok((
            OldCrew { count, odd },
            (Kept::of(right.limit), Kept::empty()),
        ))
    }

    fn is_vacant(&self, (limit, odd): &Self::Complement) -> bool {
        limit.is_empty() && odd.is_empty()
    }
}

crate::transformer!(CrewLens);

#[guards(hits: u64 = 3, crew: OldCrew)]
pub static ROOT_OLD: GuardMutex;
#[guards(hits: u64, renamed_from = "ROOT_OLD")]
pub static ROOT_NEW: GuardMutex;

#[guards(list: SharedBytes = text(LABEL), deep: u64 = 21, spare: u64 = 9)]
pub static LEAVER_OLD: GuardMutex;

/// The same of another build, which has them in other places.
#[guards(first: u64 = 1, deep: u64 = 22, spare: u64 = 9, list: SharedBytes = text(NOTE))]
pub static LEAVER_OTHER: GuardMutex;

#[guards(open: u64 = 4)]
pub static HEIR_OLD: GuardMutex;
#[guards(open: u64, moved(list: SharedBytes, from = "LEAVER.list"), renamed_from = "HEIR_OLD")]
pub static HEIR_NEW: GuardMutex;

#[guards(
    moved(crew: NewCrew, from = "ROOT_OLD.crew"),
    opened: SharedBytes = text(NOTE),
    moved(deep: u64, from = "LEAVER.deep"),
    twice: u64 = |crew| crew.count * 2
)]
pub static FRESH_NEW: GuardMutex;

#[guards(notes: SharedBytes, hits: u64)]
pub static LOTS_OLD: [GuardMutex; 3];
#[guards(
    hits: u64,
    moved(tools: SharedBytes, from = "SHEDS.tools"),
    renamed_from = "LOTS_OLD"
)]
pub static LOTS_NEW: [GuardMutex; 3];

#[guards(tools: SharedBytes)]
pub static SHEDS_OLD: [GuardMutex; 3];

#[guards(moved(notes: SharedBytes, from = "LOTS_OLD.notes"))]
pub static BARNS_NEW: [GuardMutex; 3];

/// New, and nothing moves there.
#[guards(first: SharedBytes = text(LABEL), second: u64 = 8)]
pub static LATE_NEW: GuardMutex;

const MOVERS: [GuardIndex; 4] = [ROOT, HEIR, LEAVER, FRESH];

/// A guard in the form that it is in, as a version that does not declare it has it; `None` where nobody
/// has made it.
pub fn as_it_is(guard: GuardIndex) -> Option<&'static GuardCell> {
    GuardSlot::at(guard).root().items()?;
    let cell: &'static GuardCell = Box::leak(Box::new(GuardCell::new()));
    let slot = CONTROL_ADDR + GUARDS_OFFSET + guard.0 as usize * GUARD_STRIDE;
    cell.bind(slot as u64, GuardSlot::at(guard).root().tag());
    Some(cell)
}

/// With all that waits in complements. Where a guard is gone or new, it is looked at as it is.
fn findings(is_new: bool) -> Vec<String> {
    let other = if is_new { LEAVER } else { FRESH };
    let mut cells: Vec<&'static GuardCell> = as_it_is(other).into_iter().collect();
    let own = match is_new {
        true => [ROOT_NEW.cells(), HEIR_NEW.cells(), FRESH_NEW.cells()],
        false => [ROOT_OLD.cells(), HEIR_OLD.cells(), LEAVER_OLD.cells()],
    };
    cells.extend(own.into_iter().flatten());
    check_guards(cells).findings
}

fn make_old(cx: &Worker) {
    drop(ROOT_OLD.lock(cx).unwrap());
    drop(HEIR_OLD.lock(cx).unwrap());
    drop(LEAVER_OLD.lock(cx).unwrap());
}

/// As they are made, after `rounds` there and back in which each side edited.
fn assert_old(cx: &Worker, rounds: usize) {
    let root = ROOT_OLD.lock(cx).unwrap();
    assert_eq!((root.hits, root.crew.count), (3, 5 + rounds as u32));
    assert_eq!(root.crew.odd.len(), NOTE.len() + rounds);
    let leaver = LEAVER_OLD.lock(cx).unwrap();
    assert_eq!(leaver.list.len(), LABEL.len() + rounds);
    assert_eq!((leaver.deep, leaver.spare), (21, 9 + rounds as u64));
    assert_eq!(HEIR_OLD.lock(cx).unwrap().open, 4);
}

fn assert_new(cx: &Worker, rounds: usize) {
    assert_eq!(ROOT_NEW.lock(cx).unwrap().hits, 3);
    let heir = HEIR_NEW.lock(cx).unwrap();
    assert_eq!((heir.list.len(), heir.open), (LABEL.len() + rounds, 4));
    let fresh = FRESH_NEW.lock(cx).unwrap();
    assert_eq!(fresh.crew.count, 5 + rounds as u64);
    assert_eq!(fresh.crew.limit, 70 + rounds as u64);
    assert_eq!(fresh.deep, 21);
    // What only the new guard has began once, of what had moved in, and was kept for it.
    assert_eq!((fresh.opened.len(), fresh.twice), (NOTE.len() + rounds, 10));
}

fn play_alone(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || play(0, |cx| body(cx)));
}

// R4, R6
#[test]
fn a_guard_is_split_and_another_merged_there_and_back_with_all_edits() {
    let name = test_name!("a_guard_is_split_and_another_merged_there_and_back_with_all_edits");
    play_alone(name, |cx| {
        make_old(cx);
        for round in 0..3 {
            assert_old(cx, round);
            ROOT_OLD.lock(cx).unwrap().crew.odd.append(b"?").unwrap();
            LEAVER_OLD.lock(cx).unwrap().spare += 1;
            assert_eq!(move_items(true), Ok(()));
            assert_new(cx, round);
            assert_eq!(findings(true), [""; 0]);
            assert_eq!(move_items(true), Ok(()), "done already");
            assert_new(cx, round);
            let mut fresh = FRESH_NEW.lock(cx).unwrap();
            fresh.crew.count += 1;
            fresh.crew.limit += 1;
            fresh.opened.append(b"+").unwrap();
            drop(fresh);
            HEIR_NEW.lock(cx).unwrap().list.append(b"+").unwrap();
            assert_eq!(move_items(false), Ok(()));
            assert_eq!(findings(false), [""; 0]);
            assert_eq!(move_items(false), Ok(()), "done already");
        }
        assert_old(cx, 3);
    });
}

// R4: whoever has the wrong version's code finds nothing, and harms nothing.
#[test]
fn a_guard_that_a_version_lacks_changes_form_at_the_barrier_only() {
    let name = test_name!("a_guard_that_a_version_lacks_changes_form_at_the_barrier_only");
    play_alone(name, |cx| {
        make_old(cx);
        move_items(true).unwrap();
        let refused = |error: LockError| {
            assert!(error.to_string().contains("at a barrier only"), "{error}");
        };
        refused(LEAVER_OLD.lock(cx).err().expect("refused"));
        move_items(false).unwrap();
        refused(FRESH_NEW.lock(cx).err().expect("refused"));
        assert_old(cx, 0);
    });
}

// R4
#[test]
fn where_a_move_into_a_new_guard_fails_nothing_is_made() {
    let name = test_name!("where_a_move_into_a_new_guard_fails_nothing_is_made");
    play_alone(name, |cx| {
        make_old(cx);
        FAILS.set(true);
        let error = move_items(true).unwrap_err();
        assert!(error.contains("guard FRESH"), "{error}");
        assert!(error.contains("item crew: as it was told"), "{error}");
        FAILS.set(false);
        assert_old(cx, 0);
        assert_eq!(findings(false), [""; 0]);
        move_items(true).unwrap();
        assert_new(cx, 0);
    });
}

// R4, R32: named by the name that the older version has for it.
#[test]
fn a_poisoned_guard_that_is_to_go_keeps_its_items_from_moving() {
    let name = test_name!("a_poisoned_guard_that_is_to_go_keeps_its_items_from_moving");
    play_alone(name, |cx| {
        make_old(cx);
        GuardSlot::at(LEAVER).poison();
        let error = move_items(true).unwrap_err();
        assert!(
            error.contains("LEAVER is poisoned") || error.contains("guard LEAVER"),
            "{error}"
        );
        assert_eq!(ROOT_OLD.lock(cx).unwrap().crew.count, 5);
        assert!(GuardSlot::at(FRESH).root().items().is_none());
    });
}

// R4, R32: what is locked away with the guard that has it is not made anew.
#[test]
fn a_poisoned_new_guard_keeps_what_it_has_and_the_others_go_back() {
    let name = test_name!("a_poisoned_new_guard_keeps_what_it_has_and_the_others_go_back");
    play_alone(name, |cx| {
        for n in 0..3 {
            LOTS_OLD[n].lock(cx).unwrap().hits = n as u64;
            drop(SHEDS_OLD[n].lock(cx).unwrap());
        }
        make_old(cx);
        move_items(true).unwrap();
        GuardSlot::at(FRESH).poison();
        let error = move_items(false).unwrap_err();
        assert!(error.contains("FRESH"), "{error}");
        assert!(ROOT_OLD.lock(cx).is_err());
        assert_eq!(LOTS_OLD[2].lock(cx).unwrap().hits, 2);
    });
}

// R3
#[test]
fn a_new_guard_is_made_where_somebody_has_what_it_gets() {
    let name = test_name!("a_new_guard_is_made_where_somebody_has_what_it_gets");
    play_alone(name, |cx| {
        let is_made = || MOVERS.map(|guard| GuardSlot::at(guard).root().items().is_some());
        move_items(true).unwrap();
        assert_eq!(is_made(), [false; 4]);
        HEIR_OLD.lock(cx).unwrap().open = 4;
        // For the heir the leaver is made as its own version says, for that the new guard, for that the root.
        move_items(true).unwrap();
        assert_eq!(is_made(), [true; 4]);
        assert_new(cx, 0);
        move_items(false).unwrap();
        assert_old(cx, 0);
        assert_eq!(findings(false), [""; 0]);
    });
}

// R3: a server that began with the newer version, which has never seen the guard that is to be there.
#[test]
fn a_guard_that_only_the_older_version_has_is_made_on_the_way_to_it() {
    let name = test_name!("a_guard_that_only_the_older_version_has_is_made_on_the_way_to_it");
    play_alone(name, |cx| {
        HEIR_NEW.lock(cx).unwrap().list = text(LABEL);
        let mut lot = LOTS_NEW[1].lock(cx).unwrap();
        (lot.hits, lot.tools) = (11, text(NOTE));
        drop(lot);
        // Nothing is kept of the crew, since it has never been odd.
        let error = move_items(false).unwrap_err();
        assert!(error.contains("what was odd is lost"), "{error}");
        assert_eq!(SHEDS_OLD[1].lock(cx).unwrap().tools.as_slice(), NOTE);
        assert_eq!(LOTS_OLD[1].lock(cx).unwrap().hits, 11);
    });
}

fn number(n: usize) -> SharedBytes {
    let text = format!("{} of member {n}", String::from_utf8_lossy(NOTE));
    SharedBytes::from_slice(text.as_bytes()).expect("room")
}

// R4: each member gives to that of its number, also where only some have ever been acquired.
#[test]
fn families_are_split_and_merged_member_by_member() {
    let name = test_name!("families_are_split_and_merged_member_by_member");
    play_alone(name, |cx| {
        for n in [0, 2] {
            let mut lot = LOTS_OLD[n].lock(cx).unwrap();
            (lot.notes, lot.hits) = (number(n), 10 + n as u64);
            drop(lot);
            SHEDS_OLD[n].lock(cx).unwrap().tools = number(10 + n);
        }
        for round in 0..2 {
            assert_eq!(move_items(true), Ok(()));
            let middle = [LOTS, SHEDS, BARNS].map(|first| GuardSlot::at(GuardIndex(first.0 + 1)));
            assert!(middle.iter().all(|slot| slot.root().items().is_none()));
            for n in [0, 2] {
                let lot = LOTS_NEW[n].lock(cx).unwrap();
                assert_eq!(lot.hits, 10 + n as u64);
                assert_eq!(lot.tools.as_slice(), number(10 + n).as_slice());
                drop(lot);
                let mut barn = BARNS_NEW[n].lock(cx).unwrap();
                assert!(barn.notes.starts_with(number(n).as_slice()));
                barn.notes.append(b"+").unwrap();
            }
            assert_eq!(move_items(false), Ok(()));
            for n in [0, 2] {
                let lot = LOTS_OLD[n].lock(cx).unwrap();
                assert_eq!(lot.hits, 10 + n as u64);
                assert_eq!(lot.notes.len(), number(n).len() + round + 1);
                drop(lot);
                let shed = SHEDS_OLD[n].lock(cx).unwrap();
                assert_eq!(shed.tools.as_slice(), number(10 + n).as_slice());
            }
        }
    });
}

// R4: what has all moved out of a guard leaves nothing for a heap check to wonder at.
#[test]
fn a_guard_that_gave_everything_keeps_nothing() {
    let name = test_name!("a_guard_that_gave_everything_keeps_nothing");
    play_alone(name, |cx| {
        SHEDS_OLD[0].lock(cx).unwrap().tools = text(NOTE);
        drop(LEAVER_OLD.lock(cx).unwrap());
        move_items(true).unwrap();
        let keeps = |guard| heap::keeps_complements(GuardSlot::at(guard).root().word());
        assert!(!keeps(SHEDS));
        assert!(keeps(LEAVER));
        let names: Vec<&str> = sync::emptied().iter().map(|guard| guard.name).collect();
        assert_eq!(names, ["LEAVER", "SHEDS", "SHEAR"]);
    });
}

// R3, R4: another build of the newer version moved something there, and was taken back.
#[test]
fn a_guard_that_another_version_left_empty_begins_as_this_one_says() {
    let name = test_name!("a_guard_that_another_version_left_empty_begins_as_this_one_says");
    play_alone(name, |cx| {
        let slot = GuardSlot::at(LATE);
        let left = heap::make_root(
            empty_tag("LATE_NEW"),
            slot.root_address(),
            |_| Ok(()),
            |word| slot.publish(Root::from_word(word)),
        );
        left.unwrap();
        assert!(matches!(
            LATE_NEW.try_lock(cx),
            Err(LockError::WouldTransform)
        ));
        let mut late = LATE_NEW.lock(cx).unwrap();
        assert_eq!((late.first.as_slice(), late.second), (LABEL, 8));
        late.second = 9;
        drop(late);
        assert_eq!(LATE_NEW.lock(cx).unwrap().second, 9);
        assert_eq!(
            check_guards(LATE_NEW.cells().iter().collect()).findings,
            [""; 0]
        );
    });
}

// R1, R4: where the guard that gets an item is in the same form in two builds of the older version, and what gives
// it is not.
#[test]
fn what_moves_is_found_where_the_build_that_runs_has_it() {
    let name = test_name!("what_moves_is_found_where_the_build_that_runs_has_it");
    play_alone(name, |cx| {
        bind(Older::Other);
        let leaver = LEAVER_OTHER.lock(cx).unwrap();
        assert_eq!((leaver.first, leaver.deep), (1, 22));
        drop(leaver);
        move_items(true).unwrap();
        assert_eq!(FRESH_NEW.lock(cx).unwrap().deep, 22);
        assert_eq!(HEIR_NEW.lock(cx).unwrap().list.as_slice(), NOTE);
        move_items(false).unwrap();
        let leaver = LEAVER_OTHER.lock(cx).unwrap();
        assert_eq!((leaver.deep, leaver.list.as_slice()), (22, NOTE));
    });
}

fn recover() {
    for dead in [DEAD, MAKER] {
        recover_worker(dead, GUARDS);
        heap::recover(dead);
    }
}

fn assert_nothing_but_lost(is_new: bool) {
    let is_lost = |finding: &String| finding.contains("nobody reaches");
    let found = findings(is_new);
    assert!(found.iter().all(is_lost), "{found:?}");
}

/// What must hold when whoever moved has died somewhere: another one can end it, either way.
fn assert_ends_either_way(forward: bool) {
    recover();
    for guard in MOVERS {
        let slot = GuardSlot::at(guard);
        assert!(slot.lock.is_at_rest());
        assert!(!slot.is_poisoned(), "a move harms nothing");
    }
    assert_eq!(HeapAccount::take(Activity::Quiescent).findings, [""; 0]);
    play(5, |cx| {
        for forward in [forward, !forward] {
            move_items(forward).unwrap();
            assert_nothing_but_lost(forward);
            match forward {
                true => assert_new(cx, 0),
                false => assert_old(cx, 0),
            }
        }
    });
}

// I5, I38, R4
#[test]
fn whoever_moves_into_a_new_guard_may_die_at_every_store_and_another_goes_on() {
    let name =
        test_name!("whoever_moves_into_a_new_guard_may_die_at_every_store_and_another_goes_on");
    die_in_moves(name, make_old, || assert_ends_either_way(true));
}

// I5, I38, R4
#[test]
fn whoever_moves_into_a_new_guard_may_die_at_every_store_and_another_takes_it_back() {
    let name = test_name!(
        "whoever_moves_into_a_new_guard_may_die_at_every_store_and_another_takes_it_back"
    );
    die_in_moves(name, make_old, || assert_ends_either_way(false));
}

// I38, R4: moves back that nobody ends, after which the version before goes on with what it has.
#[test]
fn a_new_guard_that_was_not_emptied_is_no_match_for_what_the_version_before_wrote() {
    let name = test_name!(
        "a_new_guard_that_was_not_emptied_is_no_match_for_what_the_version_before_wrote"
    );
    with_world(name, || {
        play(MAKER.0, |cx| {
            make_old(cx);
            move_items(true).unwrap();
        });
        let judge = || {
            recover();
            play(5, |cx| {
                let root = ROOT_OLD.lock(cx).map(|mut root| {
                    root.crew.odd = text(b"fresh");
                    root.crew.count = 8;
                });
                let leaver = LEAVER_OLD.lock(cx).map(|mut leaver| {
                    leaver.list = text(b"short");
                    leaver.deep = 22;
                });
                let others: Vec<SharedBytes> = (0..40).map(|_| text(NOTE)).collect();
                drop(others);
                move_items(true).unwrap();
                let fresh = FRESH_NEW.lock(cx).unwrap();
                assert_eq!(fresh.crew.count, if root.is_ok() { 8 } else { 5 });
                assert_eq!(fresh.deep, if leaver.is_ok() { 22 } else { 21 });
                assert_eq!((fresh.crew.limit, fresh.twice), (70, 10));
                assert_eq!(fresh.opened.as_slice(), NOTE);
                drop(fresh);
                let list = if leaver.is_ok() { &b"short"[..] } else { LABEL };
                assert_eq!(HEIR_NEW.lock(cx).unwrap().list.as_slice(), list);
                assert_nothing_but_lost(true);
                move_items(false).unwrap();
                assert_eq!(LEAVER_OLD.lock(cx).unwrap().spare, 9);
                assert_eq!(HEIR_OLD.lock(cx).unwrap().open, 4);
            });
        };
        let points = at_every_store(DEAD.0, || move_items(false).unwrap(), judge);
        assert!(points > 20, "{points}");
    });
}
