//! Values that the older version has no form for: what it can do with them, what the sweep does, and that
//! the newer one finds the rest as it left them (R11, R13).

use super::world::*;
use crate::abi::{GuardCell, Parked};
use crate::error::AccessError;
use crate::heap::testing::test_name;
use crate::heap::{
    Element, SharedBytes, SharedDeque, SharedMap, SharedOrderedMap, SharedVec, Versioned, live,
};
use crate::ids::SweepId;
use crate::update::{SweepSlice, check_guards, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Version 1's.
#[derive(Shared)]
#[shared(name = "ParkedValue")]
pub struct OldValue {
    pub text: SharedBytes,
}

/// Version 2's.
#[derive(Shared)]
#[shared(name = "ParkedValue")]
#[repr(u8)]
pub enum NewValue {
    Text(SharedBytes),
    Many(SharedMap<u64, Piece>),
}

/// Part of a value of version 2, in a box of its own. Drops are counted.
#[derive(Shared)]
pub struct Piece {
    pub bytes: SharedBytes,
}

static DROPS: AtomicU32 = AtomicU32::new(0);

impl Drop for Piece {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

xform::variant! {
    struct ValueLens: OldValue => NewValue {
        { text } => Text(text);
        unrepresentable = foreign;
    }
}
crate::transformer!(ValueLens);

/// As version 1 knows it.
#[guards(
    map: SharedMap<u64, OldValue>,
    list: SharedVec<OldValue>,
    queue: SharedDeque<OldValue>,
    ordered: SharedOrderedMap<[u64; 16], OldValue>,
    maybe: Option<Versioned<OldValue>>,
    shelf: SharedVec<(Versioned<OldValue>, SharedVec<Piece>, Option<Versioned<Piece>>)>
)]
pub static PARKED_OLD: GuardMutex;

/// As version 2 knows it.
#[guards(
    map: SharedMap<u64, NewValue>,
    list: SharedVec<NewValue>,
    queue: SharedDeque<NewValue>,
    ordered: SharedOrderedMap<[u64; 16], NewValue>,
    maybe: Option<Versioned<NewValue>>,
    shelf: SharedVec<(Versioned<NewValue>, SharedVec<Piece>, Option<Versioned<Piece>>)>,
    renamed_from = "PARKED_OLD"
)]
pub static PARKED_NEW: GuardMutex;

/// A value in nothing that could drop it alone.
#[guards(
    value: Versioned<OldValue> = Versioned::new(old("one")).expect("room"),
    beside: SharedVec<Piece>
)]
pub static LONE_OLD: GuardMutex;

/// The same.
#[guards(
    value: Versioned<NewValue> = Versioned::new(text("one")).expect("room"),
    beside: SharedVec<Piece>,
    renamed_from = "LONE_OLD"
)]
pub static LONE_NEW: GuardMutex;

/// What a value is, in private memory.
#[derive(Clone, PartialEq, Debug)]
enum Model {
    Text(Vec<u8>),
    Many(BTreeMap<u64, Vec<u8>>),
}

fn bytes(content: &[u8]) -> SharedBytes {
    SharedBytes::from_slice(content).expect("room")
}

pub(super) fn old(content: &str) -> OldValue {
    let text = bytes(content.as_bytes());
    OldValue { text }
}

pub(super) fn text(content: &str) -> NewValue {
    NewValue::Text(bytes(content.as_bytes()))
}

/// So many pieces, some in blocks of their own.
pub(super) fn many(seed: u64, pieces: u64) -> NewValue {
    let mut map = SharedMap::new();
    for (key, content) in model_of_many(seed, pieces) {
        let bytes = bytes(&content);
        map.insert(key, Piece { bytes }).expect("room");
    }
    NewValue::Many(map)
}

fn model_of_many(seed: u64, pieces: u64) -> BTreeMap<u64, Vec<u8>> {
    let content = |n: u64| format!("piece {n} of {seed}").repeat((n % 3) as usize + 1);
    (0..pieces)
        .map(|n| (n * seed + 1, content(n).into_bytes()))
        .collect()
}

fn model(value: &NewValue) -> Model {
    match value {
        NewValue::Text(text) => Model::Text(text.as_slice().to_vec()),
        NewValue::Many(map) => {
            let pieces = map.iter().map(|(key, cell)| {
                let piece = cell.get().expect("of this version");
                (*key, piece.bytes.as_slice().to_vec())
            });
            Model::Many(pieces.collect())
        }
    }
}

fn old_cells() -> Vec<&'static GuardCell> {
    PARKED_OLD.cells().iter().chain(LONE_OLD.cells()).collect()
}

/// One whole pass towards version 1.
pub(super) fn sweep_to_old(sweep: u32, parked: Parked) -> SweepSlice {
    let mut pass = SweepSlice::default();
    while !pass.is_done {
        pass.add(sweep_guards(
            SweepId(sweep),
            parked,
            old_cells,
            u64::MAX >> 1,
        ));
    }
    pass
}

fn is_sound() {
    let cells = PARKED_OLD.cells().iter().chain(LONE_OLD.cells());
    assert_eq!(check_guards(cells.collect()).findings, [""; 0]);
}

pub(super) fn parked() -> i64 {
    live::count(NewValue::tag().get())
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // Knuth's multiplier; the high bits are good enough to pick from.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }
}

/// What version 2 does between two updates.
fn play_new(cx: &Worker, dice: &mut Dice, expected: &mut BTreeMap<u64, Model>) {
    let mut guard = PARKED_NEW.lock(cx).expect("sound");
    for _ in 0..dice.below(20) {
        let (key, seed) = (dice.below(12), dice.below(100) + 1);
        let (value, image) = match dice.below(3) {
            0 => (
                text(&seed.to_string()),
                Model::Text(seed.to_string().into_bytes()),
            ),
            _ => {
                let pieces = dice.below(40);
                (many(seed, pieces), Model::Many(model_of_many(seed, pieces)))
            }
        };
        guard.map.insert(key, value).expect("room");
        expected.insert(key, image);
    }
    let key = dice.below(12);
    if let Some(NewValue::Many(map)) = guard.map.get_mut(&key).expect("of this version") {
        let bytes = bytes(b"edited");
        map.insert(7, Piece { bytes }).expect("room");
        let Some(Model::Many(image)) = expected.get_mut(&key) else {
            panic!("{expected:?}")
        };
        image.insert(7, b"edited".to_vec());
    }
}

/// What version 1 does with what it finds, half of which it cannot read.
fn play_old(cx: &Worker, dice: &mut Dice, expected: &mut BTreeMap<u64, Model>) {
    let mut guard = PARKED_OLD.lock(cx).expect("sound");
    let map = &mut guard.map;
    for _ in 0..dice.below(15) {
        let (key, other) = (dice.below(12), dice.below(12));
        match dice.below(5) {
            0 => {
                let removed = map.remove_entry(&key).expect("room");
                assert_eq!(removed.is_some(), expected.remove(&key).is_some());
            }
            1 => {
                if let Some((_, cell)) = map.remove_entry(&key).expect("room") {
                    let Ok(_) = map.insert_cell(other, cell) else {
                        panic!("no room")
                    };
                    let moved = expected.remove(&key).expect("it was there");
                    expected.insert(other, moved);
                }
            }
            2 => {
                map.insert(key, old("over")).expect("room");
                expected.insert(key, Model::Text(b"over".to_vec()));
            }
            3 => match (map.get(&key), expected.get(&key)) {
                (Err(AccessError::Foreign), Some(Model::Many(_))) | (Ok(None), None) => {}
                (Ok(Some(value)), Some(Model::Text(text))) => {
                    assert_eq!(value.text.as_slice(), text);
                }
                (found, wanted) => panic!("{} for {wanted:?}", found.is_ok()),
            },
            _ => match (map.get_mut(&key), expected.get_mut(&key)) {
                (Err(AccessError::Foreign), Some(Model::Many(_))) | (Ok(None), None) => {}
                (Ok(Some(value)), Some(Model::Text(text))) => {
                    value.text.append(b"+").expect("room");
                    text.push(b'+');
                }
                (found, wanted) => panic!("{} for {wanted:?}", found.is_ok()),
            },
        }
        assert_eq!(map.len(), expected.len());
        assert_eq!(map.contains(&key), expected.contains_key(&key));
    }
}

// R11, R13
#[test]
fn whatever_the_older_version_does_the_rest_is_equal_to_the_bit_afterwards() {
    let name =
        test_name!("whatever_the_older_version_does_the_rest_is_equal_to_the_bit_afterwards");
    with_world(name, || {
        play(0, |cx| {
            let mut expected = BTreeMap::new();
            let mut dice = Dice(42);
            for round in 1..200 {
                play_new(cx, &mut dice, &mut expected);
                if dice.below(2) == 0 {
                    play_old(cx, &mut dice, &mut expected);
                }
                let pass = sweep_to_old(round, Parked::Kept);
                assert_eq!((pass.failed, pass.discarded), (0, 0));
                play_old(cx, &mut dice, &mut expected);
                let foreign = expected
                    .values()
                    .filter(|value| matches!(value, Model::Many(_)));
                assert_eq!(parked(), foreign.count() as i64);
                if round % 20 == 0 {
                    is_sound();
                }
                let guard = PARKED_NEW.lock(cx).expect("sound");
                for (key, cell) in guard.map.iter() {
                    let found = model(cell.get().expect("has a form here"));
                    assert_eq!(Some(&found), expected.get(key), "round {round}");
                }
                assert_eq!(guard.map.len(), expected.len());
            }
        });
    });
}

// R13
#[test]
fn every_container_drops_what_is_discarded_and_keeps_the_rest_in_order() {
    let name = test_name!("every_container_drops_what_is_discarded_and_keeps_the_rest_in_order");
    with_world(name, || {
        play(0, |cx| {
            let mut guard = PARKED_NEW.lock(cx).expect("sound");
            for n in 0..1_000_u64 {
                let value = || match n % 3 {
                    0 => many(n + 1, 2),
                    _ => text(&n.to_string()),
                };
                guard.map.insert(n, value()).expect("room");
                guard.ordered.insert([n; 16], value()).expect("room");
                guard.list.push(value()).expect("room");
                // Around the end of its ring.
                match n % 2 {
                    0 => guard.queue.push_back(value()).expect("room"),
                    _ => guard.queue.push_front(value()).expect("room"),
                }
            }
            guard.maybe = Some(Versioned::new(many(3, 3)).expect("room"));
            drop(guard);
            let before = parked();
            // In slices of the shortest kind, so that each ends in the middle of something.
            let mut pass = SweepSlice::default();
            while !pass.is_done {
                pass.add(sweep_guards(SweepId(1), Parked::Discarded, old_cells, 1));
            }
            assert_eq!((pass.discarded, pass.failed), (334 * 4 + 1, 0));
            assert_eq!(parked(), 0, "of {before}");
            is_sound();
            let guard = PARKED_OLD.lock(cx).expect("sound");
            let shown =
                |value: &OldValue| String::from_utf8_lossy(value.text.as_slice()).into_owned();
            let kept: Vec<String> = (0..1_000)
                .filter(|n| n % 3 != 0)
                .map(|n: u64| n.to_string())
                .collect();
            let list: Vec<_> = guard
                .list
                .iter()
                .map(|v| shown(v.expect("a form")))
                .collect();
            assert_eq!(list, kept);
            let ordered: Vec<_> = guard
                .ordered
                .values()
                .map(|v| shown(v.expect("a form")))
                .collect();
            assert_eq!(ordered, kept);
            assert_eq!(
                (guard.map.len(), guard.queue.len()),
                (kept.len(), kept.len())
            );
            let queue: Vec<u64> = guard
                .queue
                .iter()
                .map(|v| shown(v.expect("a form")).parse().expect("a number"))
                .collect();
            let odd = (0..1_000).rev().filter(|n| n % 3 != 0 && n % 2 == 1);
            let even = (0..1_000).filter(|n| n % 3 != 0 && n % 2 == 0);
            assert_eq!(queue, odd.chain(even).collect::<Vec<_>>());
            assert!(guard.maybe.is_none());
        });
    });
}

// R13: where nothing can be taken away the sweep says so, and leaves it.
#[test]
fn what_lies_in_nothing_that_can_drop_it_stays_and_counts_as_failed() {
    let name = test_name!("what_lies_in_nothing_that_can_drop_it_stays_and_counts_as_failed");
    with_world(name, || {
        play(0, |cx| {
            let mut guard = LONE_NEW.lock(cx).expect("sound");
            guard.value.replace(many(1, 3)).expect("room");
            drop(guard);
            let pass = sweep_to_old(1, Parked::Discarded);
            assert_eq!((pass.parked, pass.discarded, pass.failed), (1, 0, 1));
            let mut guard = LONE_OLD.lock(cx).expect("sound");
            assert_eq!(guard.value.get().map(|_| ()), Err(AccessError::Foreign));
            guard.value.replace(old("another")).expect("room");
            drop(guard);
            assert_eq!(sweep_to_old(2, Parked::Discarded).failed, 0);
            is_sound();
        });
    });
}

// R13: what is dropped is what contains the value, and not what happens to be shown after it.
#[test]
fn what_lies_beside_a_discarded_value_is_kept_or_goes_with_its_element() {
    let name = test_name!("what_lies_beside_a_discarded_value_is_kept_or_goes_with_its_element");
    with_world(name, || {
        play(0, |cx| {
            let pieces = |n: u64| {
                let mut vec = SharedVec::new();
                for n in 0..n {
                    let bytes = bytes(&[n as u8; 20]);
                    vec.push(Piece { bytes }).expect("room");
                }
                vec
            };
            let mut guard = PARKED_NEW.lock(cx).expect("sound");
            for n in 0..30_u64 {
                let value = match n % 3 {
                    0 => many(n + 1, 2),
                    _ => text(&n.to_string()),
                };
                let piece = Piece {
                    bytes: bytes(&[9; 20]),
                };
                let maybe = Versioned::new(piece).expect("room");
                let element = (Versioned::new(value).expect("room"), pieces(n), Some(maybe));
                guard.shelf.push(element).unwrap_or_else(|_| panic!("room"));
            }
            drop(guard);
            let mut guard = LONE_NEW.lock(cx).expect("sound");
            guard.value.replace(many(1, 3)).expect("room");
            guard.beside = pieces(5_000);
            drop(guard);
            let (mut pass, mut slices) = (SweepSlice::default(), 0);
            while !pass.is_done {
                pass.add(sweep_guards(SweepId(1), Parked::Discarded, old_cells, 1));
                slices += 1;
            }
            assert_eq!((pass.discarded, pass.failed), (10, 1));
            // What stays does not keep the slices from ending.
            assert!(slices > 5_000 / 100, "{slices} slices");
            is_sound();
            let guard = PARKED_OLD.lock(cx).expect("sound");
            let found: Vec<(String, usize, bool)> = guard
                .shelf
                .iter()
                .map(|element| {
                    let (value, beside, maybe) = element.expect("inline");
                    let value = value.get().expect("a form").text.as_slice();
                    let shown = String::from_utf8_lossy(value).into_owned();
                    (shown, beside.len(), maybe.is_some())
                })
                .collect();
            let kept = (0..30_usize).filter(|n| n % 3 != 0);
            let kept: Vec<_> = kept.map(|n| (n.to_string(), n, true)).collect();
            assert_eq!(found, kept);
            drop(guard);
            let guard = LONE_OLD.lock(cx).expect("sound");
            assert_eq!(guard.beside.len(), 5_000);
        });
    });
}

// R11, R29: a look at a foreign value takes a moment whatever its size, and the sweep goes through it in
// slices.
#[test]
fn a_large_foreign_value_is_neither_taken_apart_nor_walked_at_once() {
    let name = test_name!("a_large_foreign_value_is_neither_taken_apart_nor_walked_at_once");
    with_world(name, || {
        play(0, |cx| {
            const PIECES: u64 = 5_000;
            let mut guard = PARKED_NEW.lock(cx).expect("sound");
            guard.map.insert(1, many(1, PIECES)).expect("room");
            drop(guard);
            let mut guard = PARKED_OLD.lock(cx).expect("sound");
            for _ in 0..10 {
                assert!(matches!(guard.map.get(&1), Err(AccessError::Foreign)));
                assert!(matches!(guard.map.get_mut(&1), Err(AccessError::Foreign)));
            }
            drop(guard);
            assert_eq!(DROPS.load(Ordering::Relaxed), 0);
            let (mut pass, mut slices) = (SweepSlice::default(), 0);
            while !pass.is_done {
                pass.add(sweep_guards(SweepId(1), Parked::Kept, old_cells, 1));
                slices += 1;
            }
            assert!(slices > PIECES / 100, "{slices} slices");
            assert_eq!(DROPS.load(Ordering::Relaxed), 0);
            let mut guard = PARKED_OLD.lock(cx).expect("sound");
            assert!(guard.map.remove_entry(&1).expect("room").is_some());
            drop(guard);
            assert_eq!(DROPS.load(Ordering::Relaxed), PIECES as u32);
            is_sound();
        });
    });
}
