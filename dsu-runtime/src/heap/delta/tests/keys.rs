//! Maps in which keys are not what they should be, by a fault of an application that has no unsafe code.

use super::super::follow::Peek;
use super::super::keyed::{KeyOf, Keyed};
use super::super::partitioned::{Partitioned, Route};
use super::super::prepare::{Prepare, Progress};
use super::super::reshaped::Reshaped;
use super::super::shape::{Hashed, Ordered};
use super::cases::{END, reason, refused, with_all};
use super::world::{Version, twins};
use crate::error::AccessError;
use crate::heap::testing::test_name;
use crate::heap::tests::Owned;
use crate::heap::tests::lenses::New;
use crate::heap::{Shared, SharedMap, SharedOrderedMap};
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
