//! Items that move between guards, there and back, and what failures and deaths leave (R4).
//!
//! The giver's peers go to the passer, changing on the way; the passer's names go to the getter as they
//! are. Nobody else runs, as at a barrier.

use super::world::*;
use crate::abi::GuardCell;
use crate::error::LockError;
use crate::heap::stepping::at_every_store;
use crate::heap::testing::test_name;
use crate::heap::{self, Activity, HeapAccount, SharedBytes};
use crate::ids::GuardIndex;
use crate::sync::{GuardSlot, recover_worker};
use crate::update::{check_guards, move_items};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::cell::Cell;
use xform::{Kept, Lens, LensError};

/// An item of version 1.
#[derive(Shared)]
#[shared(inline)]
pub struct OldPeers {
    pub count: u32,
    pub label: SharedBytes,
    pub odd: SharedBytes,
}

/// The same of version 2, which knows of a limit and of nothing odd.
#[derive(Shared)]
#[shared(inline)]
pub struct NewPeers {
    pub label: SharedBytes,
    pub count: u64,
    pub limit: u64,
}

fn text(text: &[u8]) -> SharedBytes {
    SharedBytes::from_slice(text).expect("room")
}

impl Default for OldPeers {
    fn default() -> Self {
        OldPeers {
            count: 5,
            label: text(LABEL),
            odd: text(NOTE),
        }
    }
}

impl Default for NewPeers {
    fn default() -> Self {
        NewPeers {
            label: text(NOTE),
            count: 0,
            limit: 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Conduct {
    Works,
    Fails,
    Panics,
}

thread_local! {
    static LENS: Cell<Conduct> = const { Cell::new(Conduct::Works) };
}

#[derive(Default)]
struct PeersLens;

impl Lens for PeersLens {
    type Left = OldPeers;
    type Right = NewPeers;
    type Complement = (Kept<u64>, Kept<SharedBytes>);

    fn forward(
        &self,
        left: OldPeers,
        kept: Option<Self::Complement>,
    ) -> Result<(NewPeers, Self::Complement), LensError> {
        let OldPeers {
            count,
            mut label,
            odd,
        } = left;
        label.append(b"!").map_err(|_| LensError::no_room("full"))?;
        match LENS.get() {
            Conduct::Works => {}
            Conduct::Fails => return Err(LensError::failed("as it was told")),
            Conduct::Panics => panic!("as it was told"),
        }
        let limit = kept.and_then(|(limit, _)| limit.value).unwrap_or(70);
        let right = NewPeers {
            label,
            count: count.into(),
            limit,
        };
        Ok((right, (Kept::empty(), Kept::of(odd))))
    }

    fn backward(
        &self,
        right: NewPeers,
        kept: Option<Self::Complement>,
    ) -> Result<(OldPeers, Self::Complement), LensError> {
        let NewPeers {
            mut label,
            count,
            limit,
        } = right;
        label.truncate(LABEL.len());
        let odd = match kept.and_then(|(_, odd)| odd.value) {
            Some(odd) => odd,
            None => return Err(LensError::failed("what was odd is lost")),
        };
        let left = OldPeers {
            count: count as u32,
            label,
            odd,
        };
        Ok((left, (Kept::of(limit), Kept::empty())))
    }

    fn is_vacant(&self, (limit, odd): &Self::Complement) -> bool {
        limit.is_empty() && odd.is_empty()
    }
}

crate::transformer!(PeersLens);

#[guards(hits: u64 = 3, peers: OldPeers)]
pub static GIVER_OLD: GuardMutex;
#[guards(hits: u64, renamed_from = "GIVER_OLD")]
pub static GIVER_NEW: GuardMutex;

#[guards(names: SharedBytes = text(NOTE), gone: u64 = 9)]
pub static PASSER_OLD: GuardMutex;
#[guards(
    moved(peers: NewPeers, from = "GIVER_OLD.peers"),
    added: u64 = |peers| peers.count + 1,
    renamed_from = "PASSER_OLD"
)]
pub static PASSER_NEW: GuardMutex;

#[guards(open: u64 = 4)]
pub static GETTER_OLD: GuardMutex;
#[guards(open: u64, moved(list: SharedBytes, from = "PASSER_OLD.names"), renamed_from = "GETTER_OLD")]
pub static GETTER_NEW: GuardMutex;

const MOVERS: [GuardIndex; 3] = [GIVER, PASSER, GETTER];

fn cells(is_new: bool) -> Vec<&'static GuardCell> {
    let cells = match is_new {
        true => [GIVER_NEW.cells(), PASSER_NEW.cells(), GETTER_NEW.cells()],
        false => [GIVER_OLD.cells(), PASSER_OLD.cells(), GETTER_OLD.cells()],
    };
    cells.into_iter().flatten().collect()
}

fn findings(is_new: bool) -> Vec<String> {
    check_guards(cells(is_new)).findings
}

fn make_old(cx: &Worker) {
    drop(GIVER_OLD.lock(cx).unwrap());
    drop(PASSER_OLD.lock(cx).unwrap());
    drop(GETTER_OLD.lock(cx).unwrap());
}

/// As they are made, after `rounds` there and back in which each side edited.
fn assert_old(cx: &Worker, rounds: usize) {
    let giver = GIVER_OLD.lock(cx).unwrap();
    assert_eq!((giver.hits, giver.peers.count), (3, 5 + rounds as u32));
    assert_eq!(giver.peers.label.as_slice(), LABEL);
    assert_eq!(giver.peers.odd.len(), NOTE.len() + rounds);
    let passer = PASSER_OLD.lock(cx).unwrap();
    assert_eq!((passer.names.len(), passer.gone), (NOTE.len() + rounds, 9));
    assert_eq!(GETTER_OLD.lock(cx).unwrap().open, 4);
}

fn assert_new(cx: &Worker, rounds: usize) {
    assert_eq!(GIVER_NEW.lock(cx).unwrap().hits, 3);
    let passer = PASSER_NEW.lock(cx).unwrap();
    assert_eq!(passer.peers.count, 5 + rounds as u64);
    assert_eq!(passer.peers.limit, 70 + rounds as u64);
    assert_eq!(passer.peers.label.len(), LABEL.len() + 1);
    assert_eq!(passer.added, 6, "made once, of what had moved in");
    let getter = GETTER_NEW.lock(cx).unwrap();
    assert_eq!((getter.list.len(), getter.open), (NOTE.len() + rounds, 4));
}

fn play_alone(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || play(0, |cx| body(cx)));
}

// R4, R6
#[test]
fn items_move_there_and_back_with_what_either_side_keeps_and_edits() {
    let name = test_name!("items_move_there_and_back_with_what_either_side_keeps_and_edits");
    play_alone(name, |cx| {
        make_old(cx);
        for round in 0..3 {
            assert_old(cx, round);
            GIVER_OLD.lock(cx).unwrap().peers.odd.append(b"?").unwrap();
            assert_eq!(move_items(true), Ok(()));
            assert_new(cx, round);
            assert_eq!(findings(true), [""; 0]);
            assert_eq!(move_items(true), Ok(()), "done already");
            assert_new(cx, round);
            let mut passer = PASSER_NEW.lock(cx).unwrap();
            passer.peers.count += 1;
            passer.peers.limit += 1;
            drop(passer);
            GETTER_NEW.lock(cx).unwrap().list.append(b"+").unwrap();
            assert_eq!(move_items(false), Ok(()));
            assert_eq!(findings(false), [""; 0]);
            assert_eq!(move_items(false), Ok(()), "done already");
        }
        assert_old(cx, 3);
    });
}

// R4: what a version cannot see it cannot lose.
#[test]
fn a_guard_whose_items_move_changes_form_in_no_other_way() {
    let name = test_name!("a_guard_whose_items_move_changes_form_in_no_other_way");
    play_alone(name, |cx| {
        make_old(cx);
        let refused = |error: LockError| {
            assert!(error.to_string().contains("at a barrier only"), "{error}");
        };
        refused(GIVER_NEW.lock(cx).err().expect("refused"));
        refused(PASSER_NEW.lock(cx).err().expect("refused"));
        refused(GETTER_NEW.lock(cx).err().expect("refused"));
        assert_old(cx, 0);
        move_items(true).unwrap();
        refused(GIVER_OLD.lock(cx).err().expect("refused"));
        refused(GETTER_OLD.lock(cx).err().expect("refused"));
        assert_new(cx, 0);
    });
}

// R4
#[test]
fn where_one_move_fails_none_is_made_and_guard_item_and_reason_are_named() {
    let name = test_name!("where_one_move_fails_none_is_made_and_guard_item_and_reason_are_named");
    play_alone(name, |cx| {
        make_old(cx);
        let roots = || MOVERS.map(|guard| GuardSlot::at(guard).root());
        let before = roots();
        for (manner, reason) in [
            (Conduct::Fails, "as it was told"),
            (Conduct::Panics, "as it was told"),
        ] {
            LENS.set(manner);
            let error = move_items(true).unwrap_err();
            assert!(error.contains("guard PASSER"), "{error}");
            assert!(error.contains("item peers"), "{error}");
            assert!(error.contains(reason), "{error}");
            assert_eq!(roots(), before);
            assert_eq!(findings(false), [""; 0]);
        }
        LENS.set(Conduct::Works);
        assert_old(cx, 0);
        move_items(true).unwrap();
        assert_new(cx, 0);
    });
}

// R4, R32
#[test]
fn a_poisoned_guard_keeps_its_items_from_moving() {
    let name = test_name!("a_poisoned_guard_keeps_its_items_from_moving");
    play_alone(name, |cx| {
        make_old(cx);
        GuardSlot::at(GIVER).poison();
        let error = move_items(true).unwrap_err();
        assert!(error.contains("GIVER"), "{error}");
        assert_eq!(PASSER_OLD.lock(cx).unwrap().names.len(), NOTE.len());
    });
}

// R3: a guard that nobody has acquired begins as the version says that meets it first; with one that it
// gives to or gets from it is made for the moves.
#[test]
fn guards_that_nobody_has_made_begin_as_their_version_says() {
    let name = test_name!("guards_that_nobody_has_made_begin_as_their_version_says");
    play_alone(name, |cx| {
        move_items(true).unwrap();
        assert!(
            MOVERS
                .iter()
                .all(|guard| GuardSlot::at(*guard).root().items().is_none())
        );
        GETTER_OLD.lock(cx).unwrap().open = 4;
        // The getter is there, so the passer is made for it, and the giver for the passer.
        move_items(true).unwrap();
        assert_new(cx, 0);
        move_items(false).unwrap();
        assert_old(cx, 0);
        assert_eq!(findings(false), [""; 0]);
    });
}

/// What must hold when whoever moved has died somewhere: another one can end it, either way.
fn assert_ends_either_way(forward: bool) {
    for dead in [DEAD, MAKER] {
        recover_worker(dead, GUARDS);
        heap::recover(dead);
    }
    for guard in MOVERS {
        let slot = GuardSlot::at(guard);
        assert!(slot.lock.is_at_rest());
        assert!(!slot.is_poisoned(), "a move harms nothing");
    }
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    // What was in the hands of the dead is lost, and nothing else is wrong.
    let is_lost = |finding: &String| finding.contains("nobody reaches");
    play(5, |cx| {
        move_items(forward).unwrap();
        let sound = |found: Vec<String>| assert!(found.iter().all(is_lost), "{found:?}");
        sound(findings(forward));
        match forward {
            true => assert_new(cx, 0),
            false => assert_old(cx, 0),
        }
        move_items(!forward).unwrap();
        sound(findings(!forward));
        match forward {
            true => assert_old(cx, 0),
            false => assert_new(cx, 0),
        }
    });
}

// I5, R4
#[test]
fn whoever_moves_may_die_at_every_store_and_another_goes_on() {
    let name = test_name!("whoever_moves_may_die_at_every_store_and_another_goes_on");
    die_in_moves(name, make_old, || assert_ends_either_way(true));
}

// I5, R4
#[test]
fn whoever_moves_may_die_at_every_store_and_another_takes_it_back() {
    let name = test_name!("whoever_moves_may_die_at_every_store_and_another_takes_it_back");
    die_in_moves(name, make_old, || assert_ends_either_way(false));
}

// R4: moves back that nobody ends, after which the version before goes on with what it has.
#[test]
fn what_is_written_after_moves_back_were_given_up_is_there_after_the_next_moves() {
    let name =
        test_name!("what_is_written_after_moves_back_were_given_up_is_there_after_the_next_moves");
    with_world(name, || {
        play(MAKER.0, |cx| {
            make_old(cx);
            move_items(true).unwrap();
        });
        let judge = || {
            for dead in [DEAD, MAKER] {
                recover_worker(dead, GUARDS);
                heap::recover(dead);
            }
            play(5, |cx| {
                let is_back = match GIVER_OLD.lock(cx) {
                    Ok(mut giver) => {
                        // What it was made of is freed, and used again.
                        giver.peers.label = text(b"fresh");
                        giver.peers.odd = text(b"too");
                        giver.peers.count = 8;
                        true
                    }
                    Err(_) => false,
                };
                let others: Vec<SharedBytes> = (0..40).map(|_| text(NOTE)).collect();
                drop(others);
                move_items(true).unwrap();
                let passer = PASSER_NEW.lock(cx).unwrap();
                let label = passer.peers.label.as_slice();
                match is_back {
                    true => assert_eq!((label, passer.peers.count), (&b"fresh!"[..], 8)),
                    false => assert_eq!((label.len(), passer.peers.count), (LABEL.len() + 1, 5)),
                }
                assert_eq!(passer.peers.limit, 70);
                drop(passer);
                let found = findings(true);
                let is_lost = |finding: &String| finding.contains("nobody reaches");
                assert!(found.iter().all(is_lost), "{found:?}");
                move_items(false).unwrap();
                assert_eq!(GETTER_OLD.lock(cx).unwrap().open, 4);
            });
        };
        let points = at_every_store(DEAD.0, || move_items(false).unwrap(), judge);
        assert!(points > 20, "{points}");
    });
}
