//! Maps of one shape that become maps of another.

use super::super::Prepare;
use super::super::reshaped::{Reshape, Reshaped};
use super::super::shape::{Hashed, MapShape, Ordered};
use super::world::{
    Row, Side, Tested, Version, deeds, key, number, row, run, trusted, twins, with_twins,
};
use crate::error::AccessError;
use crate::heap::testing::failing_after;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::twin::{Boxed, Weak, WordCell};
use crate::heap::{Shared, SharedBytes, SharedMap, SharedOrderedMap};
use std::collections::BTreeMap;

pub(super) type Rehashed = Reshaped<Hashed, Hashed, SharedBytes, Old, New>;
pub(super) type ToOrdered = Reshaped<Hashed, Ordered, SharedBytes, Old, New>;
type ToHashed = Reshaped<Ordered, Hashed, SharedBytes, Old, New>;

twins! {
    300: <Rehashed as Prepare>::LeftTwin;
    301: <ToOrdered as Prepare>::LeftTwin;
    302: <ToOrdered as Prepare>::RightTwin;
}

macro_rules! side {
    ($map:ident) => {
        impl<V: Version> Side for $map<SharedBytes, V> {
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

            fn erase(&mut self, at: u64) -> bool {
                self.remove_entry(&key(at)[..]).is_ok()
            }

            fn rename(&mut self, from: u64, to: u64) -> bool {
                match self.get_mut(&key(from)[..]) {
                    Ok(Some(value)) => value.set_key(to),
                    Err(AccessError::Foreign) => {}
                    _ => return false,
                }
                // A place for the key first, with something in it: no move may fail halfway.
                let spare = failing_after(u64::MAX, || V::make(to, 0, 0));
                let spare = failing_after(u64::MAX, || self.insert(key(to), spare));
                assert!(matches!(spare, Ok(None)));
                let (_, cell) = self
                    .remove_entry(&key(from)[..])
                    .expect("room")
                    .expect("there");
                let place = self
                    .get_cell_mut(&key(to)[..])
                    .expect("room")
                    .expect("put there");
                *place = cell;
                true
            }

            fn clear(&mut self) {
                $map::clear(self);
            }

            fn rows(&self) -> BTreeMap<u64, Row> {
                self.iter()
                    .map(|(key, cell)| (number(key), row(cell)))
                    .collect()
            }
        }
    };
}
side!(SharedMap);
side!(SharedOrderedMap);

/// All keys of a map with their words.
pub(super) fn words<S: MapShape<SharedBytes>, V: Shared<Cell: WordCell>>(
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

fn check<L, S, T, V>(map: &mut S::Map<V>)
where
    L: 'static,
    S: MapShape<SharedBytes>,
    T: MapShape<SharedBytes>,
    V: Boxed,
{
    let own = words::<S, V>(map);
    let Some(twin) = trusted::<L, S::Map<()>, Reshape<S, T, SharedBytes>>(S::twin::<V>(map)) else {
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
        check::<Self, A, B, Old>(left);
    }

    fn check_right(right: &mut B::Map<New>) {
        check::<Self, B, A, New>(right);
    }
}

macro_rules! agrees {
    ($($name:ident: $lens:ty;)*) => {$(
        // R5, R6, R11, D1, D2, D3
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            with_twins(name, 200, deeds(40), |deeds| {
                run::<$lens>(deeds);
                Ok(())
            });
        }
    )*};
}

agrees! {
    hashed_maps_agree_with_a_model_whichever_version_writes: Rehashed;
    a_hashed_map_that_becomes_ordered_agrees_with_a_model: ToOrdered;
    an_ordered_map_that_becomes_hashed_agrees_with_a_model: ToHashed;
}
