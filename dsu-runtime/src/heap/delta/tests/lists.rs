//! A vector that becomes a map.

use super::super::Prepare;
use super::super::follow::Peek;
use super::super::keyed::{AsList, AsMap, Index, KeyOf, Keyed};
use super::super::shape::{Hashed, MapShape, Ordered};
use super::maps::words;
use super::world::{
    Row, Side, Tested, Version, deeds, key, may_panic, number, row, run, trusted, twins, with_twins,
};
use crate::error::AccessError;
use crate::heap::testing::failing_after;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::transaction::ScratchScope;
use crate::heap::twin::{Boxed, Weak, WordCell};
use crate::heap::vec::VecMarks;
use crate::heap::{SharedBytes, SharedVec, Versioned};
use std::collections::BTreeMap;

/// The four digits that a name begins with.
pub(super) struct ByName;

impl KeyOf<SharedBytes, New> for ByName {
    fn key(element: &Peek<'_, New>) -> Result<SharedBytes, AccessError> {
        may_panic();
        // All names begin with the digits of the key.
        let digits = &element.get()?.name[..4];
        Ok(key(number_of(digits)))
    }
}

fn number_of(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits)
        .expect("digits")
        .parse()
        .expect("digits")
}

/// The key of an element, whatever form it is in.
fn key_of<V: Boxed>(cell: &Versioned<V>) -> u64 {
    let _scope = ScratchScope::begin();
    let element = Peek::<New>::of(cell);
    failing_after(u64::MAX, || {
        number_of(&element.get().expect("has a new form").name[..4])
    })
}

pub(super) type ToHashed = Keyed<ByName, Hashed, SharedBytes, Old, New>;
pub(super) type ToOrdered = Keyed<ByName, Ordered, SharedBytes, Old, New>;

twins! {
    320: <ToHashed as Prepare>::LeftTwin;
    321: <ToHashed as Prepare>::RightTwin;
    322: <ToOrdered as Prepare>::LeftTwin;
    323: <ToOrdered as Prepare>::RightTwin;
}

fn place_of<V: Boxed>(list: &SharedVec<V>, at: u64) -> Option<usize> {
    list.cells().iter().position(|cell| key_of(cell) == at)
}

impl<V: Version> Side for SharedVec<V> {
    fn put(&mut self, at: u64, count: u64, extra: u32) -> bool {
        let value = V::make(at, count, extra);
        match place_of(self, at) {
            Some(place) => self.replace(place, value).is_ok(),
            None if at.is_multiple_of(3) => self.insert(self.len() / 2, value).is_ok(),
            None => self.push(value).is_ok(),
        }
    }

    fn edit(&mut self, at: u64, count: u64) -> bool {
        let Some(place) = place_of(self, at) else {
            return false;
        };
        match self.get_mut(place) {
            Ok(Some(value)) => {
                value.set_count(count);
                true
            }
            _ => false,
        }
    }

    fn erase(&mut self, at: u64) -> bool {
        match place_of(self, at) {
            Some(place) if place + 1 == self.len() => {
                self.truncate(place);
                true
            }
            Some(place) => self.remove_cell(place).is_ok(),
            None => true,
        }
    }

    /// The element moves to the end with its new key.
    fn rename(&mut self, from: u64, to: u64) -> bool {
        let Some(place) = place_of(self, from) else {
            return false;
        };
        match self.get_mut(place) {
            Ok(Some(value)) => value.set_key(to),
            _ => return false,
        }
        if to.is_multiple_of(2) {
            self.cells_mut().expect("in place").swap(place, 0);
        }
        true
    }

    fn clear(&mut self) {
        SharedVec::clear(self);
    }

    fn rows(&self) -> BTreeMap<u64, Row> {
        let cells = self.cells().iter();
        let rows: BTreeMap<_, _> = cells.map(|cell| (key_of(cell), row(cell))).collect();
        assert_eq!(rows.len(), self.len(), "a key is there twice");
        rows
    }
}

fn check_index(index: &Index<SharedBytes>, is_known: impl Fn(usize) -> bool) {
    let keys = index.keys.cells().iter().enumerate();
    let mut with_key = 0;
    for (place, cell) in keys {
        match &cell.0 {
            Some(key) => {
                with_key += 1;
                let at = index.places.get_cell(key).map(|cell| cell.0);
                assert_eq!(at, Some(place as u64));
            }
            None => assert!(!is_known(place), "place {place} has no key"),
        }
    }
    assert_eq!(with_key, index.places.len());
}

impl<S> Tested for Keyed<ByName, S, SharedBytes, Old, New>
where
    S: MapShape<SharedBytes, Map<New>: Side>,
{
    fn check_left(left: &mut SharedVec<Old>) {
        let own: Vec<u64> = left.cells().iter().map(WordCell::word).collect();
        let Some(twin) = trusted::<Self, VecMarks, AsMap<S, SharedBytes>>(left.twin()) else {
            return;
        };
        let (marks, body) = (&twin.front.marks, &twin.body);
        let is_waiting = |place: usize| body.waiting.cells().iter().any(|w| w.0 == place as u64);
        let is_known = |place: usize| {
            (place as u64) < marks.known
                && !marks.changed.contains(&(place as u64))
                && !is_waiting(place)
        };
        assert!(marks.known as usize <= own.len());
        check_index(&body.index, is_known);
        let map = words::<S, Weak>(&body.map);
        for (place, word) in own.iter().enumerate().filter(|(place, _)| is_known(*place)) {
            let key = body.index.keys.cells()[place].0.as_ref().expect("checked");
            assert_eq!(map.get(&number(key)), Some(word), "place {place}");
        }
        for at in map.keys() {
            assert!(
                body.index.places.contains(&key(*at)),
                "key {at} is nobody's"
            );
        }
    }

    fn check_right(right: &mut S::Map<New>) {
        let own = words::<S, New>(right);
        let Some(twin) = trusted::<Self, S::Map<()>, AsList<S, SharedBytes>>(S::twin::<New>(right))
        else {
            return;
        };
        let (marks, body) = (&twin.front.marks, &twin.body);
        check_index(&body.index, |place| place < body.list.len());
        assert_eq!(body.index.places.len(), body.list.len());
        for (place, key) in body.index.keys.cells().iter().enumerate() {
            let Some(key) = &key.0 else { continue };
            if S::cell::<()>(marks, key).is_none() {
                let word = body.list.cells()[place].word();
                assert_eq!(own.get(&number(key)), Some(&word), "place {place}");
            }
        }
        for at in own.keys() {
            let is_known = body.index.places.contains(&key(*at));
            let is_marked = S::cell::<()>(marks, &key(*at)).is_some();
            assert!(
                is_known || is_marked || !body.fill.is_done,
                "key {at} was forgotten"
            );
        }
    }
}

macro_rules! agrees {
    ($($name:ident: $lens:ty;)*) => {$(
        // R5, R6, R11, R15, D1, D2, D3
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            with_twins(name, 200, deeds(30), |deeds| {
                run::<$lens>(deeds);
                Ok(())
            });
        }
    )*};
}

agrees! {
    a_vector_that_becomes_a_hashed_map_agrees_with_a_model: ToHashed;
    a_vector_that_becomes_an_ordered_map_agrees_with_a_model: ToOrdered;
}
