//! R29: a cursor stays valid whatever happens to the map between two slices.

use super::super::{
    Inline, Shared, SharedDeque, SharedMap, SharedOrderedMap, SharedVec, Versioned, Visitor,
};
use super::lenses::{NOTE, New, bind, new};
use super::{as_worker, for_all, test_name};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use crate::ids::Tag;
use proptest::prelude::*;
use std::alloc::Layout;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ptr::NonNull;

// R29
#[test]
fn scan_sees_once_what_is_there_throughout() {
    for_all(
        test_name!("scan_sees_once_what_is_there_throughout"),
        60,
        (
            1..2_000u64,
            1..60usize,
            prop::collection::vec((any::<bool>(), 0..40u64, 1..120u64), 1..400),
        ),
        |(stable, budget, changes)| {
            let mut map: SharedMap<u64, u64> = SharedMap::new();
            for n in 0..stable {
                map.insert(n, 0).expect("room");
            }
            let mut seen: HashMap<u64, u32> = HashMap::new();
            let mut cursor = 0;
            let mut changes = changes.into_iter().cycle();
            loop {
                cursor = map.scan(cursor, budget, |key, _| *seen.entry(*key).or_default() += 1);
                if cursor == 0 {
                    break;
                }
                let (grows, block, count) = changes.next().expect("cycled");
                for n in 0..count {
                    let key = 1_000_000 + block * 100 + n;
                    if grows {
                        map.insert(key, 1).expect("room");
                    } else {
                        map.remove(&key).expect("inline");
                    }
                }
            }
            for n in 0..stable {
                prop_assert_eq!(seen.get(&n), Some(&1), "key {}", n);
            }

            Ok(())
        },
    );
}

#[test]
fn scan_keeps_to_its_budget() {
    as_worker(test_name!("scan_keeps_to_its_budget"), || {
        let mut map: SharedMap<u64, u64> = SharedMap::new();
        for n in 0..5_000 {
            map.insert(n, n).expect("room");
        }
        let (mut cursor, mut calls) = (0, 0);
        loop {
            let mut seen = 0;
            cursor = map.scan(cursor, 10, |_, _| seen += 1);
            assert!(seen <= 10);
            calls += 1;
            if cursor == 0 {
                break;
            }
        }
        assert!(calls >= 500);
    });
}

/// A key that owns a box, which is no part of what it is found by.
struct Tagged {
    id: u64,
    note: Versioned<New>,
}

impl Hash for Tagged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialEq for Tagged {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Tagged {}

impl PartialOrd for Tagged {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tagged {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

// SAFETY: made of shared types.
unsafe impl Shared for Tagged {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        let note = FieldSchema {
            name: "note".to_owned(),
            offset: 8,
            ty: <Versioned<New> as Shared>::schema(),
        };
        TypeSchema {
            kind: TypeKind::Struct(vec![note]),
            ..TypeSchema::leaf::<Self>("Tagged")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        Shared::visit(&mut self.note, visitor);
    }
}

/// Counts boxes and blocks, as one who wants no more than boxes.
#[derive(Default)]
struct Boxes {
    boxes: usize,
    /// Containers that were walked.
    containers: usize,
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Boxes {
    fn block(&mut self, _pointer: NonNull<u8>, _layout: Layout) {}

    fn versioned(&mut self, _word: &mut u64, _expected: Tag) {
        self.boxes += 1;
    }

    fn wants_boxes_only(&self) -> bool {
        true
    }

    fn enter(&mut self) -> u64 {
        self.containers += 1;
        0
    }

    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }
}

// R30: a walk that leaves keys out leaves none out that owns what it looks for.
#[test]
fn boxes_in_keys_are_shown_to_who_wants_nothing_else() {
    as_worker(
        test_name!("boxes_in_keys_are_shown_to_who_wants_nothing_else"),
        || {
            bind();
            let mut map: SharedMap<Tagged, u64> = SharedMap::new();
            for id in 0..300 {
                let note = new(1, NOTE);
                map.insert(Tagged { id, note }, 0).expect("room");
            }
            let mut boxes = Boxes::default();
            map.visit(&mut boxes);
            assert_eq!(boxes.boxes, 300, "one in each key");
            assert_eq!(
                boxes.containers,
                1 + 300,
                "the map and the parts of each entry"
            );
            let mut map: SharedOrderedMap<Tagged, u64> = SharedOrderedMap::new();
            for id in 0..300 {
                let note = new(1, NOTE);
                map.insert(Tagged { id, note }, 0).expect("room");
            }
            let mut boxes = Boxes::default();
            map.visit(&mut boxes);
            assert_eq!((boxes.boxes, boxes.containers), (300, 1 + 300));
        },
    );
}

// R29: however long they are, they cost the sweep nothing.
#[test]
fn containers_without_boxes_are_not_walked_by_who_wants_nothing_else() {
    as_worker(
        test_name!("containers_without_boxes_are_not_walked_by_who_wants_nothing_else"),
        || {
            let mut map: SharedMap<u64, SharedVec<u64>> = SharedMap::new();
            let mut queue: SharedDeque<u64> = SharedDeque::new();
            let mut ordered: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..300 {
                let mut vec = SharedVec::new();
                vec.push(n).expect("room");
                map.insert(n, vec).expect("room");
                ordered.insert(n, n).expect("room");
                queue.push_back(n).expect("room");
            }
            let mut boxes = Boxes::default();
            map.visit(&mut boxes);
            queue.visit(&mut boxes);
            ordered.visit(&mut boxes);
            let vec = map.get_mut(&7).expect("inline").expect("was put in");
            vec.visit(&mut boxes);
            assert_eq!((boxes.containers, boxes.boxes), (0, 0));
        },
    );
}

/// A walk in slices: spent after some elements, places kept by depth.
struct Slices {
    budget: usize,
    left: usize,
    places: Vec<u64>,
    depth: usize,
    stopped: bool,
    seen: BTreeSet<u64>,
}

impl Slices {
    fn of(budget: usize) -> Slices {
        Slices {
            budget,
            left: budget,
            places: Vec::new(),
            depth: 0,
            stopped: false,
            seen: BTreeSet::new(),
        }
    }

    /// Slices until the walk is at its end; how many there were.
    fn walk(&mut self, value: &mut impl Shared) -> usize {
        for slices in 1..10_000 {
            value.visit(self);
            if !self.stopped {
                return slices;
            }
        }
        panic!("the walk does not get on");
    }
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Slices {
    fn block(&mut self, _pointer: NonNull<u8>, _layout: Layout) {
        // Every vector in the map, beside its key, is one block: an element seen.
        if self.depth == 2 {
            self.left = self.left.saturating_sub(1);
        }
    }

    fn versioned(&mut self, word: &mut u64, _expected: Tag) {
        self.seen.insert(*word);
    }

    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }

    fn enter(&mut self) -> u64 {
        self.stopped = false;
        self.depth += 1;
        if self.places.len() < self.depth {
            self.places.push(0);
        }
        self.places[self.depth - 1]
    }

    fn begin_anew(&mut self) {
        self.places.truncate(self.depth);
    }

    fn is_spent(&self) -> bool {
        self.left == 0
    }

    fn stopped_inside(&self) -> bool {
        self.stopped
    }

    fn leave(&mut self, stopped_at: Option<u64>) {
        self.depth -= 1;
        if stopped_at.is_none() {
            self.places.truncate(self.depth + 1);
        }
        self.places[self.depth] = stopped_at.unwrap_or(0);
        self.stopped = stopped_at.is_some();
        if self.depth == 0 {
            self.left = self.budget;
        }
    }
}

// R29
#[test]
fn walk_in_slices_ends_and_reaches_every_nested_container() {
    as_worker(
        test_name!("walk_in_slices_ends_and_reaches_every_nested_container"),
        || {
            let mut map: SharedMap<u64, SharedVec<u64>> = SharedMap::new();
            for n in 0..1_000 {
                let mut vec = SharedVec::new();
                vec.push(n).expect("room");
                map.insert(n, vec).expect("room");
            }
            let mut ordered: SharedOrderedMap<u64, SharedVec<u64>> = SharedOrderedMap::new();
            for n in 0..1_000 {
                let mut vec = SharedVec::new();
                vec.push(n).expect("room");
                ordered.insert(n, vec).expect("room");
            }
            for budget in [1, 2, 17, 100_000] {
                let rounds = Slices::of(budget).walk(&mut map);
                assert!(rounds >= 900 / budget);
                let rounds = Slices::of(budget).walk(&mut ordered);
                assert!(rounds >= 900 / budget);
            }
        },
    );
}

// R29: a slice may end inside any of the parts that lie side by side, and every slice gets on.
#[test]
fn walk_in_slices_ends_where_several_containers_lie_side_by_side() {
    as_worker(
        test_name!("walk_in_slices_ends_where_several_containers_lie_side_by_side"),
        || {
            bind();
            let row = || {
                let mut row: SharedVec<New> = SharedVec::new();
                for n in 0..4 {
                    assert!(row.insert_cell(n, new(1, NOTE)).is_ok());
                }
                row
            };
            let mut map: SharedMap<u64, (SharedVec<New>, [SharedVec<New>; 2])> = SharedMap::new();
            for n in 0..20 {
                map.insert(n, (row(), [row(), row()])).expect("room");
            }
            let mut slices = Slices::of(0);
            slices.walk(&mut map);
            assert_eq!(slices.seen.len(), 20 * 3 * 4);
            let mut map: SharedOrderedMap<u64, (SharedVec<New>, [SharedVec<New>; 2])> =
                SharedOrderedMap::new();
            for n in 0..20 {
                map.insert(n, (row(), [row(), row()])).expect("room");
            }
            let mut slices = Slices::of(0);
            slices.walk(&mut map);
            assert_eq!(slices.seen.len(), 20 * 3 * 4);
        },
    );
}
