//! Items that move member by member, between families of one length (R4).

use super::world::*;
use crate::abi::GuardCell;
use crate::heap::SharedBytes;
use crate::heap::testing::test_name;
use crate::ids::GuardIndex;
use crate::sync::GuardSlot;
use crate::update::{check_guards, move_items};
use crate::worker::Worker;
use dsu_macros::guards;

const MEMBERS: u32 = 3;

#[guards(notes: SharedBytes, hits: u64)]
pub static GIVERS_OLD: [GuardMutex; 3];
#[guards(hits: u64, renamed_from = "GIVERS_OLD")]
pub static GIVERS_NEW: [GuardMutex; 3];

#[guards(open: u64)]
pub static GETTERS_OLD: [GuardMutex; 3];
#[guards(
    open: u64,
    moved(texts: SharedBytes, from = "GIVERS_OLD.notes"),
    renamed_from = "GETTERS_OLD"
)]
pub static GETTERS_NEW: [GuardMutex; 3];

/// What member `n` has.
fn note(n: u32) -> SharedBytes {
    let text = format!("{} of member {n}", String::from_utf8_lossy(NOTE));
    SharedBytes::from_slice(text.as_bytes()).expect("room")
}

fn findings(is_new: bool) -> Vec<String> {
    let cells: Vec<&'static GuardCell> = match is_new {
        true => GIVERS_NEW
            .cells()
            .iter()
            .chain(GETTERS_NEW.cells())
            .collect(),
        false => GIVERS_OLD
            .cells()
            .iter()
            .chain(GETTERS_OLD.cells())
            .collect(),
    };
    check_guards(cells).findings
}

fn assert_old(cx: &Worker, n: u32, edits: usize) {
    let giver = GIVERS_OLD[n as usize].lock(cx).unwrap();
    assert_eq!(giver.hits, 10 + u64::from(n));
    let (found, made) = (giver.notes.as_slice(), note(n));
    assert_eq!(
        found.strip_suffix(&b"+".repeat(edits)[..]),
        Some(made.as_slice())
    );
    drop(giver);
    assert_eq!(
        GETTERS_OLD[n as usize].lock(cx).unwrap().open,
        20 + u64::from(n)
    );
}

// R4: each member gives to that of its number, also where only some of them have ever been acquired.
#[test]
fn items_of_a_family_go_to_the_members_of_their_numbers_and_back() {
    let name = test_name!("items_of_a_family_go_to_the_members_of_their_numbers_and_back");
    with_world(name, || {
        play(0, |cx| {
            let is_made = |guard: GuardIndex| GuardSlot::at(guard).root().items().is_some();
            // The second member of both stays as it is.
            for n in [0, 2] {
                let mut giver = GIVERS_OLD[n as usize].lock(cx).unwrap();
                (giver.notes, giver.hits) = (note(n), 10 + u64::from(n));
                drop(giver);
                GETTERS_OLD[n as usize].lock(cx).unwrap().open = 20 + u64::from(n);
            }
            for round in 0..2 {
                assert_eq!(move_items(true), Ok(()));
                let made = [GIVERS, GETTERS]
                    .map(|first| [0, 1, 2].map(|n| is_made(GuardIndex(first.0 + n))));
                // The heap check acquires everything.
                let all = round > 0;
                assert_eq!(made, [[true, all, true]; 2]);
                for n in [0, 2] {
                    assert_eq!(
                        GIVERS_NEW[n as usize].lock(cx).unwrap().hits,
                        10 + u64::from(n)
                    );
                    let mut getter = GETTERS_NEW[n as usize].lock(cx).unwrap();
                    assert!(getter.texts.starts_with(note(n).as_slice()), "member {n}");
                    assert_eq!(getter.open, 20 + u64::from(n));
                    getter.texts.append(b"+").unwrap();
                }
                assert_eq!(findings(true), [""; 0]);
                assert_eq!(move_items(false), Ok(()));
                for n in [0, 2] {
                    assert_old(cx, n, round + 1);
                }
                assert_eq!(findings(false), [""; 0]);
            }
        });
    });
}

// R4, R32: all or nothing, of a family as well.
#[test]
fn a_poisoned_member_keeps_all_from_moving() {
    let name = test_name!("a_poisoned_member_keeps_all_from_moving");
    with_world(name, || {
        play(0, |cx| {
            for n in 0..MEMBERS {
                GIVERS_OLD[n as usize].lock(cx).unwrap().notes = note(n);
            }
            let poisoned = GuardSlot::at(GuardIndex(GIVERS.0 + 1));
            poisoned.poison();
            let error = move_items(true).unwrap_err();
            assert!(error.contains("GIVERS_NEW[1]"), "{error}");
            let giver = GIVERS_OLD[0].lock(cx).unwrap();
            assert_eq!(giver.notes.as_slice(), note(0).as_slice());
        });
    });
}
