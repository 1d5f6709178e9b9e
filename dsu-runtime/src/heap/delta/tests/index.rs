//! A map that gains an index.

use super::super::Prepare;
use super::super::follow::Peek;
use super::super::indexed::{IndexMap, IndexOf, Indexed, Listed, ListedAs};
use super::super::shape::{Hashed, MapShape, Ordered};
use super::world::{
    Row, Side, Tested, deeds, key, may_panic, number, run, trusted, twins, with_twins,
};
use crate::error::AccessError;
use crate::heap::testing::failing_after;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::{SharedBytes, SharedMap, SharedOrderedMap};
use std::collections::{BTreeMap, BTreeSet};

/// Elements by their counts; those of count 0 are not listed.
pub(super) struct ByCount;

impl IndexOf<SharedBytes, New> for ByCount {
    type By = u64;

    fn by(_: &SharedBytes, element: &Peek<'_, New>) -> Result<Option<u64>, AccessError> {
        may_panic();
        let count = element.get()?.count;
        Ok((count != 0).then_some(count))
    }
}

pub(super) type HashedIndexed = Indexed<ByCount, Hashed, SharedBytes, Old, New>;
type OrderedIndexed = Indexed<ByCount, Ordered, SharedBytes, Old, New>;

twins! {
    330: <HashedIndexed as Prepare>::LeftTwin;
    331: <HashedIndexed as Prepare>::RightTwin;
    332: <OrderedIndexed as Prepare>::LeftTwin;
    333: <OrderedIndexed as Prepare>::RightTwin;
}

type Index = IndexMap<u64, SharedBytes>;

fn entries(index: &Index) -> BTreeSet<(u64, u64)> {
    index
        .keys()
        .map(|(count, key)| (*count, number(key)))
        .collect()
}

fn listed(rows: &BTreeMap<u64, Row>) -> BTreeSet<(u64, u64)> {
    let counts = rows
        .iter()
        .map(|(key, row)| (row.expect("the newer version's own").0, *key));
    counts.filter(|(count, _)| *count != 0).collect()
}

/// The index again as it should be, whatever room there is.
fn keep(index: &mut Index, rows: &BTreeMap<u64, Row>) {
    failing_after(u64::MAX, || {
        let wanted = listed(rows);
        for (count, at) in entries(index).difference(&wanted) {
            index.remove_entry(&(*count, key(*at))).expect("room");
        }
        for (count, at) in &wanted {
            index.insert((*count, key(*at)), ()).expect("room");
        }
    });
}

macro_rules! side {
    ($map:ident) => {
        /// As the newer version has it, which keeps the index by itself.
        impl Side for ($map<SharedBytes, New>, Index) {
            fn put(&mut self, at: u64, count: u64, extra: u32) -> bool {
                let done = self.0.put(at, count, extra);
                keep(&mut self.1, &self.0.rows());
                done
            }

            fn edit(&mut self, at: u64, count: u64) -> bool {
                let done = self.0.edit(at, count);
                keep(&mut self.1, &self.0.rows());
                done
            }

            fn erase(&mut self, at: u64) -> bool {
                let done = self.0.erase(at);
                keep(&mut self.1, &self.0.rows());
                done
            }

            fn rename(&mut self, from: u64, to: u64) -> bool {
                let done = self.0.rename(from, to);
                keep(&mut self.1, &self.0.rows());
                done
            }

            fn clear(&mut self) {
                self.0.clear();
                self.1.clear();
            }

            // R9
            fn rows(&self) -> BTreeMap<u64, Row> {
                let rows = self.0.rows();
                assert_eq!(
                    entries(&self.1),
                    listed(&rows),
                    "the index is not of this map"
                );
                rows
            }
        }
    };
}
side!(SharedMap);
side!(SharedOrderedMap);

impl<S> Tested for Indexed<ByCount, S, SharedBytes, Old, New>
where
    S: MapShape<SharedBytes, Map<Old>: Side, Map<New>: Side>,
    (S::Map<New>, Index): Side,
{
    fn check_left(left: &mut S::Map<Old>) {
        if let Some(twin) =
            trusted::<Self, S::Map<()>, Listed<S, SharedBytes, u64>>(S::twin::<Old>(left))
        {
            let index = entries(&twin.body.index);
            for (count, at) in &index {
                let by = S::cell::<u64>(&twin.body.by, &key(*at)).map(|cell| cell.0);
                assert_eq!(by, Some(*count), "key {at}");
            }
        }
    }

    fn check_right(right: &mut (S::Map<New>, Index)) {
        let rows = right.0.rows();
        if let Some(twin) =
            trusted::<Self, S::Map<()>, ListedAs<S, SharedBytes, u64>>(S::twin::<New>(&mut right.0))
        {
            for (at, row) in rows {
                let by = S::cell::<u64>(&twin.body.by, &key(at)).map(|cell| cell.0);
                let count = row.expect("the newer version's own").0;
                let is_marked = S::cell::<()>(&twin.front.marks, &key(at)).is_some();
                let is_known = twin.body.fill.is_done && !is_marked;
                assert!(!is_known || by.unwrap_or(0) == count, "key {at}");
            }
        }
    }
}

macro_rules! agrees {
    ($($name:ident: $lens:ty;)*) => {$(
        // R6, R9, R11, D1, D2, D3
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            with_twins(name, 150, deeds(30), |deeds| {
                run::<$lens>(deeds);
                Ok(())
            });
        }
    )*};
}

agrees! {
    a_hashed_map_that_gains_an_index_agrees_with_a_model: HashedIndexed;
    an_ordered_map_that_gains_an_index_agrees_with_a_model: OrderedIndexed;
}
