//! Maps in which keys are not what they should be, by a fault of an application that has no unsafe code.

use super::super::follow::Peek;
use super::super::key::DeltaKey;
use super::super::key::sealed::Sealed;
use super::super::keyed::{KeyOf, Keyed};
use super::super::partitioned::{Partitioned, Route};
use super::super::prepare::{Prepare, Progress};
use super::super::reshaped::Reshaped;
use super::super::shape::{Hashed, Ordered};
use super::cases::{END, reason, refused, with_all};
use super::world::{Version, twins};
use crate::abi::TypeSchema;
use crate::error::{AccessError, HeapFull};
use crate::heap::testing::test_name;
use crate::heap::tests::Owned;
use crate::heap::tests::lenses::New;
use crate::heap::{Inline, Shared, SharedMap, SharedOrderedMap, Visitor};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use xform::Lens;

type ToOrdered = Reshaped<Hashed, Ordered, u64, New, New>;

/// All in the first.
struct Here;

impl Route<u64, New> for Here {
    fn part(_: &u64, _: &Peek<'_, New>) -> Result<usize, AccessError> {
        Ok(0)
    }
}

impl KeyOf<u64, New> for Here {
    fn key(element: &Peek<'_, New>) -> Result<u64, AccessError> {
        Ok(element.get()?.count)
    }
}

type Parts = Partitioned<Here, Hashed, u64, New, New, 2>;
type FromList = Keyed<Here, Ordered, u64, New, New>;

twins! {
    360: <ToOrdered as Prepare>::LeftTwin;
    361: <ToOrdered as Prepare>::RightTwin;
    362: <Parts as Prepare>::LeftTwin;
    363: <Parts as Prepare>::RightTwin;
    364: <FromList as Prepare>::RightTwin;
    365: <StartlingToOrdered as Prepare>::LeftTwin;
    366: <StartlingToOrdered as Prepare>::RightTwin;
}

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// A key of which no more than so many comparisons and hashes come out well.
#[derive(Debug)]
struct Startling(u64);

impl Startling {
    fn startle() {
        match LEFT.get() {
            u64::MAX => {}
            0 => panic!("no more of this key"),
            left => LEFT.set(left - 1),
        }
    }
}

impl PartialEq for Startling {
    fn eq(&self, other: &Self) -> bool {
        Self::startle();
        self.0 == other.0
    }
}

impl Eq for Startling {}

impl Ord for Startling {
    fn cmp(&self, other: &Self) -> Ordering {
        Self::startle();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Startling {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Startling {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::startle();
        self.0.hash(state);
    }
}

// SAFETY: a number.
unsafe impl Shared for Startling {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema::leaf::<Self>("Startling")
    }

    fn visit(&mut self, _: &mut dyn Visitor) {}

    fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
        Some(self.copy())
    }
}

impl Sealed for Startling {}

impl DeltaKey for Startling {
    fn copy(&self) -> Result<Self, HeapFull> {
        Ok(Startling(self.0))
    }
}

type StartlingToOrdered = Reshaped<Hashed, Ordered, Startling, New, New>;

/// Does `deed` to a map whose other form is there, with a panic at every use of a key in turn. Each leaves
/// an other form that agrees with the map once it has caught up.
macro_rules! startled {
    ($map:ident, $prepare:ident, $cross:ident, $deed:expr) => {
        for uses in 0.. {
            let mut map = $map::<Startling, New>::new();
            for at in 0..60 {
                map.insert(Startling(at), New::make(at, at, 0))
                    .expect("room");
            }
            let whole = StartlingToOrdered::$prepare(&mut map, END);
            assert_eq!(whole, Ok(Progress::Done));
            // There are marks, with which the next is compared.
            for at in [3, 20, 41] {
                map.get_mut(&Startling(at))
                    .expect("room")
                    .expect("there")
                    .count = 0;
            }
            LEFT.set(uses);
            let done = catch_unwind(AssertUnwindSafe(|| $deed(&mut map)));
            LEFT.set(u64::MAX);
            assert_eq!(Owned::of(&mut map).damage(), [""; 0]);
            let before: BTreeSet<u64> = map.iter().map(|(key, _)| key.0).collect();
            let (mut map, ()) = StartlingToOrdered::default()
                .$cross(map, None)
                .expect("agrees");
            let after: BTreeSet<u64> = map.iter().map(|(key, _)| key.0).collect();
            assert_eq!(before, after, "after {uses} uses");
            assert_eq!(Owned::of(&mut map).damage(), [""; 0]);
            if done.is_ok() {
                break;
            }
        }
    };
}

#[test] // D1: whatever sealed keys cannot do
fn a_key_that_panics_while_it_is_marked_leaves_both_forms_in_agreement() {
    let name = test_name!("a_key_that_panics_while_it_is_marked_leaves_both_forms_in_agreement");
    with_all(name, || {
        let ways: [fn(&mut SharedOrderedMap<Startling, New>); 8] = [
            |map| drop(map.remove_entry(&Startling(7))),
            |map| drop(map.remove_nth(30)),
            |map| drop(map.remove(&Startling(9))),
            |map| drop(map.pop_first()),
            |map| drop(map.pop_last()),
            |map| drop(map.insert(Startling(70), New::make(70, 70, 0))),
            |map| drop(map.replace(&Startling(11), New::make(11, 12, 0))),
            |map| map.retain(|key, _| key.0 % 2 == 0).expect("in place"),
        ];
        for deed in ways {
            startled!(SharedOrderedMap, prepare_backward, backward, deed);
        }
        let ways: [fn(&mut SharedMap<Startling, New>); 5] = [
            |map| drop(map.remove_entry(&Startling(7))),
            |map| drop(map.remove(&Startling(9))),
            |map| drop(map.insert(Startling(70), New::make(70, 70, 0))),
            |map| drop(map.replace(&Startling(11), New::make(11, 12, 0))),
            |map| {
                let made = || Ok((Startling(71), New::make(71, 71, 0)));
                drop(map.get_or_insert_with(&Startling(71), made).map(|_| ()));
            },
        ];
        for deed in ways {
            startled!(SharedMap, prepare_forward, forward, deed);
        }
    });
}

/// A map with an entry of key 7 where 7 is looked for, and one where 400 is.
macro_rules! doubled {
    ($map:ident) => {{
        let mut map = $map::<u64, New>::new();
        for at in 0..300 {
            map.insert(at, New::make(at, at, 0)).expect("room");
        }
        map.get_or_insert_with(&400, || Ok((7, New::make(7, 400, 0))))
            .expect("room");
        assert_eq!(map.len(), 301);
        map
    }};
}

/// Says that one is there twice, ahead and when it is to cross, whatever is written in between.
fn is_named<T, U>(
    value: &mut T,
    prepare: impl Fn(&mut T) -> Result<Progress, AccessError>,
    cross: impl Fn(T) -> Result<(U, ()), xform::LensError>,
    write: impl FnOnce(&mut T),
) where
    T: Shared,
{
    let is_refused = |value: &mut T| {
        let named = reason(prepare(value));
        assert!(named.contains("there twice"), "{named}");
        let crossed = refused(value, &cross);
        assert!(crossed.contains("there twice"), "{crossed}");
        let mut owned = Owned::default();
        value.visit(&mut owned);
        let is_known = |what: &String| {
            what.contains("not where the hash of its key says") || what.contains("not in order")
        };
        assert!(owned.damage().iter().all(is_known), "{:?}", owned.damage());
    };
    is_refused(value);
    write(value);
    is_refused(value);
}

#[test] // D2, R15
fn a_map_that_has_a_key_twice_does_not_change_its_shape() {
    let name = test_name!("a_map_that_has_a_key_twice_does_not_change_its_shape");
    with_all(name, || {
        let edit = |map: &mut SharedMap<u64, New>| {
            map.get_mut(&7).expect("room").expect("there").count = 1;
        };
        let mut map = doubled!(SharedMap);
        let prepare = |map: &mut _| ToOrdered::prepare_forward(map, END);
        is_named(
            &mut map,
            prepare,
            |map| ToOrdered::default().forward(map, None),
            edit,
        );
        let prepare = |map: &mut _| Parts::prepare_forward(map, END);
        is_named(
            &mut map,
            prepare,
            |map| Parts::default().forward(map, None),
            edit,
        );

        let mut parts = [doubled!(SharedMap), SharedMap::new()];
        let prepare = |parts: &mut _| Parts::prepare_backward(parts, END);
        let cross = |parts| Parts::default().backward(parts, None);
        is_named(&mut parts, prepare, cross, |parts| edit(&mut parts[0]));

        let mut map = doubled!(SharedOrderedMap);
        let edit = |map: &mut SharedOrderedMap<u64, New>| {
            map.get_mut(&7).expect("room").expect("there").count = 1;
        };
        let prepare = |map: &mut _| ToOrdered::prepare_backward(map, END);
        is_named(
            &mut map,
            prepare,
            |map| ToOrdered::default().backward(map, None),
            edit,
        );
        let prepare = |map: &mut _| FromList::prepare_backward(map, END);
        is_named(
            &mut map,
            prepare,
            |map| FromList::default().backward(map, None),
            edit,
        );
        // Taken out of where it should not be, all is well.
        let last = map.len() - 1;
        let taken = map.remove_nth(last).expect("room").expect("there");
        assert_eq!(taken.0, 7);
        drop(taken);
        let (map, ()) = ToOrdered::default().backward(map, None).expect("room");
        assert_eq!(map.len(), 300);
    });
}
