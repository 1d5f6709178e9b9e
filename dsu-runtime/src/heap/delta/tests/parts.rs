//! A map that becomes several.

use super::super::Prepare;
use super::super::follow::Peek;
use super::super::partitioned::{Apart, Partitioned, Route, Together};
use super::super::shape::{Hashed, MapShape, Ordered};
use super::maps::{check_words, words};
use super::world::{Row, Side, Tested, deeds, key, may_panic, run, trusted, twins, with_twins};
use crate::error::AccessError;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::twin::Weak;
use crate::heap::{SharedBytes, SharedMap, SharedOrderedMap};
use std::collections::BTreeMap;

/// By what is in the element: whoever writes it may move it.
pub(super) struct ByCount;

impl Route<SharedBytes, New> for ByCount {
    fn part(_: &SharedBytes, element: &Peek<'_, New>) -> Result<usize, AccessError> {
        may_panic();
        Ok((element.get()?.count % 2) as usize)
    }
}

pub(super) type HashedParts = Partitioned<ByCount, Hashed, SharedBytes, Old, New, 2>;
type OrderedParts = Partitioned<ByCount, Ordered, SharedBytes, Old, New, 2>;

twins! {
    310: <HashedParts as Prepare>::LeftTwin;
    311: <HashedParts as Prepare>::RightTwin;
    312: <OrderedParts as Prepare>::LeftTwin;
    313: <OrderedParts as Prepare>::RightTwin;
}

macro_rules! side {
    ($map:ident) => {
        /// As the newer version keeps it: an element of an odd count in the second.
        impl Side for [$map<SharedBytes, New>; 2] {
            fn put(&mut self, at: u64, count: u64, extra: u32) -> bool {
                let [own, other] = order(self, count);
                if !own.put(at, count, extra) {
                    return false;
                }
                other.erase(at)
            }

            fn edit(&mut self, at: u64, count: u64) -> bool {
                let [own, other] = order(self, count);
                if own.contains(&key(at)[..]) {
                    return own.edit(at, count);
                }
                if !other.edit(at, count) {
                    return false;
                }
                let (moved, cell) = other
                    .remove_entry(&key(at)[..])
                    .expect("room")
                    .expect("there");
                crate::heap::testing::failing_after(u64::MAX, || own.insert_cell(moved, cell))
                    .expect("room");
                true
            }

            fn erase(&mut self, at: u64) -> bool {
                self.iter_mut().all(|part| part.erase(at))
            }

            fn rename(&mut self, from: u64, to: u64) -> bool {
                let mut parts = self.iter_mut();
                let part = parts.find(|part| part.contains(&key(from)[..]));
                part.is_some_and(|part| part.rename(from, to))
            }

            fn clear(&mut self) {
                self.iter_mut().for_each(Side::clear);
            }

            fn rows(&self) -> BTreeMap<u64, Row> {
                let mut rows = BTreeMap::new();
                for (index, part) in self.iter().enumerate() {
                    for (key, row) in part.rows() {
                        let count = row.expect("the newer version's own").0;
                        assert_eq!(count as usize % 2, index, "key {key} is in the wrong part");
                        assert!(
                            rows.insert(key, row).is_none(),
                            "key {key} is in both parts"
                        );
                    }
                }
                rows
            }
        }
    };
}
side!(SharedMap);
side!(SharedOrderedMap);

/// The part that an element of this count belongs to, and the other.
fn order<M>(parts: &mut [M; 2], count: u64) -> [&mut M; 2] {
    let [even, odd] = parts;
    match count % 2 {
        0 => [even, odd],
        _ => [odd, even],
    }
}

impl<S> Tested for Partitioned<ByCount, S, SharedBytes, Old, New, 2>
where
    S: MapShape<SharedBytes, Map<Old>: Side>,
    [S::Map<New>; 2]: Side,
{
    fn check_left(left: &mut S::Map<Old>) {
        let own = words::<S, Old>(left);
        let Some(twin) =
            trusted::<Self, S::Map<()>, Apart<S, SharedBytes, 2>>(S::twin::<Old>(left))
        else {
            return;
        };
        let is_marked = |at: u64| S::cell::<()>(&twin.front.marks, &key(at)).is_some();
        let parts = twin
            .body
            .parts
            .0
            .each_ref()
            .map(|part| words::<S, Weak>(part));
        let mut all = BTreeMap::new();
        for (at, word) in parts.into_iter().flatten() {
            assert!(
                all.insert(at, word).is_none() || is_marked(at),
                "key {at} is in both parts"
            );
        }
        check_words(&own, &all, is_marked, twin.body.fill.is_done);
    }

    fn check_right(right: &mut [S::Map<New>; 2]) {
        let own = right.each_ref().map(|part| words::<S, New>(part));
        let mut joined = None;
        let mut marked = Vec::new();
        let mut is_filled = true;
        let mut places = Vec::new();
        for part in right {
            let Some(twin) =
                trusted::<Self, S::Map<()>, Together<S, SharedBytes>>(S::twin::<New>(part))
            else {
                return;
            };
            let of_part = |at: &u64| S::cell::<()>(&twin.front.marks, &key(*at)).is_some();
            marked.extend((0..100).filter(of_part));
            is_filled &= twin.body.fill.is_done;
            joined.get_or_insert_with(|| words::<S, Weak>(&twin.body.joined));
            places.push(twin.body.place);
        }
        // Whether they belong together is asked before anything is trusted.
        if !super::super::partitioned::belong_together(&places) {
            return;
        }
        let own: BTreeMap<_, _> = own.into_iter().flatten().collect();
        let joined = joined.expect("there are two");
        check_words(&own, &joined, |at| marked.contains(&at), is_filled);
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
    a_hashed_map_that_becomes_two_agrees_with_a_model: HashedParts;
    an_ordered_map_that_becomes_two_agrees_with_a_model: OrderedParts;
}
