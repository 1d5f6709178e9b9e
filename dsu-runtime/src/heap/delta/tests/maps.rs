//! Maps of one shape that become maps of another.

use super::super::Prepare;
use super::super::reshaped::{Reshape, Reshaped};
use super::super::shape::{Hashed, MapShape};
use super::world::{
    Row, Side, Tested, Version, deeds, key, number, row, run, trusted, twins, with_twins,
};
use crate::heap::testing::test_name;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::twin::{Boxed, Weak, WordCell};
use crate::heap::{Shared, SharedBytes, SharedMap};
use std::collections::BTreeMap;

type Rehashed = Reshaped<Hashed, Hashed, SharedBytes, Old, New>;

twins! {
    300: <Rehashed as Prepare>::LeftTwin;
}

impl<V: Version> Side for SharedMap<SharedBytes, V> {
    fn put(&mut self, at: u64, count: u64, extra: u32) -> bool {
        self.insert(key(at), V::make(at, count, extra)).is_ok()
    }

    fn edit(&mut self, at: u64, count: u64) -> bool {
        match self.get_mut(&key(at)[..]) {
            Ok(Some(value)) => {
                value.set_count(count);
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, at: u64) -> bool {
        self.remove_entry(&key(at)[..]).is_ok()
    }

    fn rename(&mut self, from: u64, to: u64) -> bool {
        if self.try_reserve_for(&key(to)[..]).is_err() {
            return false;
        }
        let Ok(Some((_, cell))) = self.remove_entry(&key(from)[..]) else {
            return false;
        };
        self.insert_cell(key(to), cell).expect("room was made");
        true
    }

    fn clear(&mut self) {
        SharedMap::clear(self);
    }

    fn rows(&self) -> BTreeMap<u64, Row> {
        self.iter()
            .map(|(key, cell)| (number(key), row(cell)))
            .collect()
    }
}

/// All keys of a map with their words.
fn words<S: MapShape<SharedBytes>, V: Shared<Cell: WordCell>>(
    map: &S::Map<V>,
) -> BTreeMap<u64, u64> {
    let mut all = BTreeMap::new();
    S::batch::<V>(map, &S::Place::default(), usize::MAX, &mut |key, cell| {
        all.insert(number(key), cell.word());
    })
    .expect("no key is copied");
    all
}

/// Fails where an unmarked key has another word in the twin (D1).
pub(super) fn check_words(
    own: &BTreeMap<u64, u64>,
    twin: &BTreeMap<u64, u64>,
    is_marked: impl Fn(u64) -> bool,
    is_filled: bool,
) {
    for key in own
        .keys()
        .chain(twin.keys())
        .filter(|key| !is_marked(**key))
    {
        match (own.get(key), twin.get(key)) {
            (Some(_), None) => assert!(!is_filled, "key {key} was forgotten"),
            (own, twin) => assert_eq!(own, twin, "key {key}"),
        }
    }
}

fn check<S, T, V>(map: &mut S::Map<V>)
where
    S: MapShape<SharedBytes>,
    T: MapShape<SharedBytes>,
    V: Boxed,
{
    let own = words::<S, V>(map);
    let Some(twin) = trusted::<S::Map<()>, Reshape<S, T, SharedBytes>>(S::twin::<V>(map)) else {
        return;
    };
    let is_marked = |at: u64| S::cell::<()>(&twin.front.marks, &key(at)).is_some();
    let other = words::<T, Weak>(&twin.body.other);
    check_words(&own, &other, is_marked, twin.body.fill.is_done);
}

impl<A, B> Tested for Reshaped<A, B, SharedBytes, Old, New>
where
    A: MapShape<SharedBytes, Map<Old>: Side>,
    B: MapShape<SharedBytes, Map<New>: Side>,
{
    fn check_left(left: &mut A::Map<Old>) {
        check::<A, B, Old>(left);
    }

    fn check_right(right: &mut B::Map<New>) {
        check::<B, A, New>(right);
    }
}

// R5, R6, R11, D1, D2, D3
#[test]
fn hashed_maps_agree_with_a_model_whichever_version_writes() {
    with_twins(
        test_name!("hashed_maps_agree_with_a_model_whichever_version_writes"),
        300,
        deeds(40),
        |deeds| {
            run::<Rehashed>(deeds);
            Ok(())
        },
    );
}
