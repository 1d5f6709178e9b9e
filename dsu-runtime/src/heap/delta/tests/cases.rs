//! Single cases that random deeds do not come to: what is named in an error, parts that change places, items where they lie, types without tags, a fill that ends.

use super::super::indexed::IndexedItems;
use super::super::partitioned::PartitionedItems;
use super::super::prepare::{Prepare, PrepareItems, Progress};
use super::super::reshaped::Reshaped;
use super::super::shape::{Hashed, MapShape, Ordered};
use super::maps::ToOrdered;
use super::parts::{ByCount, HashedParts};
use super::world::{Side, Version, bind_twins, key, living, may_panic_after, row};
use super::{index, lists};
use crate::abi::{ErrorText, PrepareStatus};
use crate::error::AccessError;
use crate::expansion;
use crate::heap::testing::test_name;
use crate::heap::tests::lenses::{self, New, OLD, Old, text};
use crate::heap::tests::{Owned, as_worker};
use crate::heap::transaction::Transaction;
use crate::heap::{SharedBytes, SharedMap, SharedOrderedMap, SharedVec, live};
use crate::ids::Tag;
use crate::sys::time::Nanos;
use std::collections::BTreeMap;
use xform::Lens;

pub(super) const END: Nanos = Nanos(u64::MAX);

type TwoItems = PartitionedItems<ByCount, Hashed, SharedBytes, Old, New, 2>;
type WithIndex = IndexedItems<index::ByCount, Hashed, SharedBytes, Old, New>;

pub(super) fn with_all(name: &str, body: impl FnOnce()) {
    as_worker(name, || {
        lenses::bind();
        bind_twins();
        body();
        assert_eq!(living(), 0, "boxes or twins are counted that are not there");
    });
}

pub(super) fn old_map(keys: impl IntoIterator<Item = u64>) -> SharedMap<SharedBytes, Old> {
    let mut map = SharedMap::new();
    keys.into_iter()
        .for_each(|key| assert!(map.put(key, key, 0)));
    map
}

pub(super) fn reason<T: std::fmt::Debug>(result: Result<T, AccessError>) -> String {
    match result {
        Err(AccessError::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Fails with the reason of a crossing that was undone.
pub(super) fn refused<F, T>(
    value: &F,
    lens: impl FnOnce(F) -> Result<(T, ()), xform::LensError>,
) -> String {
    let transaction = Transaction::begin();
    // SAFETY: the crossing is undone, and the value is as it was.
    let bits = unsafe { std::ptr::read(value) };
    let error = lens(bits).err().expect("it cannot cross");
    transaction.abort();
    error.to_string()
}

#[test] // R15
fn two_elements_of_one_key_are_named_and_all_stays_as_it_was() {
    with_all(
        test_name!("two_elements_of_one_key_are_named_and_all_stays_as_it_was"),
        || {
            let mut list = SharedVec::<Old>::new();
            for (count, key) in [0, 1, 2, 1, 3].into_iter().enumerate() {
                list.push(Old::make(key, count as u64, 0)).expect("room");
            }
            let named = reason(lists::ToHashed::prepare_forward(&mut list, END));
            assert!(
                named.contains("key 0001") && named.contains("at 1 and 3"),
                "{named}"
            );
            let crossed = refused(&list, |list| lists::ToHashed::default().forward(list, None));
            assert!(crossed.contains("at 1 and 3"), "{crossed}");
            let counts: Vec<_> = list
                .cells()
                .iter()
                .map(|cell| row(cell).map(|row| row.0))
                .collect();
            assert_eq!(counts, (0..5).map(Some).collect::<Vec<_>>());
            // Whichever goes, the other one has room.
            list.remove_cell(1).expect("room");
            let prepared = lists::ToHashed::prepare_forward(&mut list, END);
            assert_eq!(prepared, Ok(Progress::Done));
            let (map, ()) = lists::ToHashed::default()
                .forward(list, None)
                .expect("no key is there twice");
            assert_eq!(map.rows()[&1].map(|row| row.0), Some(3));
        },
    );
}

#[test] // R15
fn a_key_in_two_parts_is_named_and_all_stays_as_it_was() {
    with_all(
        test_name!("a_key_in_two_parts_is_named_and_all_stays_as_it_was"),
        || {
            let mut parts = <HashedParts as Lens>::Right::default();
            assert!(parts[0].put(4, 2, 0) && parts[1].put(4, 1, 0) && parts[1].put(5, 1, 0));
            for _ in 0..2 {
                let named = reason(HashedParts::prepare_backward(&mut parts, END));
                assert!(
                    named.contains("key 0004") && named.contains("parts 0 and 1"),
                    "{named}"
                );
            }
            assert!(parts[0].erase(4));
            assert_eq!(
                HashedParts::prepare_backward(&mut parts, END),
                Ok(Progress::Done)
            );
            let (map, ()) = HashedParts::default()
                .backward(parts, None)
                .expect("no key is there twice");
            assert_eq!(map.rows().into_keys().collect::<Vec<_>>(), [4, 5]);
        },
    );
}

#[test] // R11, R15
fn an_element_that_the_lens_cannot_read_is_named() {
    with_all(
        test_name!("an_element_that_the_lens_cannot_read_is_named"),
        || {
            let bad = || Old {
                count: 1,
                name: text("bad"),
            };
            let mut list = SharedVec::<Old>::new();
            list.push(Old::make(0, 0, 0)).expect("room");
            list.push(bad()).expect("room");
            let named = reason(lists::ToHashed::prepare_forward(&mut list, END));
            assert!(
                named.contains("element at 1") && named.contains("bad name"),
                "{named}"
            );
            let mut map = old_map(0..3);
            map.insert(key(7), bad()).expect("room");
            let named = reason(HashedParts::prepare_forward(&mut map, END));
            assert!(
                named.contains("key 0007") && named.contains("bad name"),
                "{named}"
            );
            assert_eq!(map.len(), 4);
        },
    );
}

#[test] // D3
fn parts_that_change_places_are_not_taken_for_the_family_that_they_were() {
    let name = test_name!("parts_that_change_places_are_not_taken_for_the_family_that_they_were");
    with_all(name, || {
        let two = |keys| {
            let (parts, ()) = HashedParts::default()
                .forward(old_map(keys), None)
                .expect("room");
            parts
        };
        let rows = |parts: &<HashedParts as Lens>::Right| {
            let each = parts.iter().flat_map(|part| part.rows());
            each.collect::<BTreeMap<_, _>>()
                .into_keys()
                .collect::<Vec<_>>()
        };
        let (mut one, mut other) = (two(0..10), two(10..20));
        let [first, _] = &mut one;
        std::mem::swap(first, &mut other[0]);
        one.swap(0, 1);
        for parts in [one, other] {
            let keys = rows(&parts);
            assert_eq!(keys.len(), 10);
            let (map, ()) = HashedParts::default()
                .backward(parts, None)
                .expect("no key is there twice");
            assert_eq!(map.rows().into_keys().collect::<Vec<_>>(), keys);
        }
    });
}

#[test]
fn items_of_a_guard_are_prepared_where_they_lie() {
    with_all(
        test_name!("items_of_a_guard_are_prepared_where_they_lie"),
        || {
            let mut error = ErrorText::default();
            let mut map = old_map(0..20);
            let mut place = [(&raw mut map).cast::<u8>()];
            let places = (&raw mut place).cast::<u8>();
            // SAFETY: the address of an item of this type, which nobody else refers to.
            let status = unsafe {
                expansion::prepare_items_forward::<TwoItems>(places, u64::MAX, &mut error)
            };
            assert_eq!(status, PrepareStatus::Done);
            assert!(Hashed::twin::<Old>(&mut map).is_set());
            let ((mut even, mut odd), ()) =
                TwoItems::default().forward((map,), None).expect("room");
            assert_eq!((even.len(), odd.len()), (10, 10));
            even.remove_entry(&key(4)[..]).expect("room");
            let mut place = [(&raw mut even).cast::<u8>(), (&raw mut odd).cast::<u8>()];
            let places = (&raw mut place).cast::<u8>();
            // SAFETY: as above.
            let status = unsafe {
                expansion::prepare_items_backward::<TwoItems>(places, u64::MAX, &mut error)
            };
            assert_eq!(status, PrepareStatus::Done);
            let ((map,), ()) = TwoItems::default()
                .backward((even, odd), None)
                .expect("room");
            assert_eq!(map.len(), 19);

            let mut item = map;
            assert_eq!(
                WithIndex::prepare_forward((&mut item,), END),
                Ok(Progress::Done)
            );
            let ((mut map, mut listed), ()) =
                WithIndex::default().forward((item,), None).expect("room");
            assert_eq!(listed.len(), 18, "all but the one of count 0");
            let back = WithIndex::prepare_backward((&mut map, &mut listed), END);
            assert_eq!(back, Ok(Progress::Done));
            assert_eq!(
                WithIndex::discard_right((&mut map, &mut listed), END),
                Ok(Progress::Done)
            );
            assert!(!Hashed::twin::<New>(&mut map).is_set());
        },
    );
}

#[test] // I19
fn a_panic_in_a_lens_is_a_status_with_its_message() {
    with_all(
        test_name!("a_panic_in_a_lens_is_a_status_with_its_message"),
        || {
            let mut map = old_map(0..20);
            let mut error = ErrorText::default();
            may_panic_after(7);
            let value = (&raw mut map).cast::<u8>();
            // SAFETY: the address of a left value, which nobody else refers to.
            let status =
                unsafe { expansion::prepare_forward::<HashedParts>(value, u64::MAX, &mut error) };
            assert_eq!(status, PrepareStatus::Panicked);
            assert_eq!(error.get(), "the function of the lens panics");
            may_panic_after(u64::MAX);
            // SAFETY: as above.
            let status =
                unsafe { expansion::prepare_forward::<HashedParts>(value, u64::MAX, &mut error) };
            assert_eq!(status, PrepareStatus::Done);
            // SAFETY: as above.
            let status =
                unsafe { expansion::discard_left::<HashedParts>(value, u64::MAX, &mut error) };
            assert_eq!(status, PrepareStatus::Done);
        },
    );
}

#[test]
fn containers_of_a_lens_that_is_not_registered_cross_without_twins() {
    let name = test_name!("containers_of_a_lens_that_is_not_registered_cross_without_twins");
    with_all(name, || {
        type Unknown = Reshaped<Hashed, Ordered, u64, Old, New>;
        let mut map = SharedMap::<u64, Old>::new();
        (0..100).for_each(|key| drop(map.insert(key, Old::make(key, key, 0)).expect("room")));
        assert_eq!(Unknown::prepare_forward(&mut map, END), Ok(Progress::Done));
        assert!(!Hashed::twin::<Old>(&mut map).is_set());
        let (mut ordered, ()) = Unknown::default().forward(map, None).expect("room");
        assert!(!<Ordered as MapShape<u64>>::twin::<New>(&mut ordered).is_set());
        assert!(ordered.keys().copied().eq(0..100));
        let (map, ()) = Unknown::default().backward(ordered, None).expect("room");
        assert_eq!(map.len(), 100);
    });
}

#[test]
fn a_fill_ends_under_writes_of_the_side_that_has_the_container() {
    let name = test_name!("a_fill_ends_under_writes_of_the_side_that_has_the_container");
    with_all(name, || {
        const ELEMENTS: u64 = 3_000;
        let mut map = old_map(0..ELEMENTS);
        let mut slices = 0;
        // Each slice is as short as can be: one look at the clock.
        while ToOrdered::prepare_forward(&mut map, Nanos(0)) == Ok(Progress::More) {
            slices += 1;
            for n in 0..8 {
                let at = (slices * 7 + n * 131) % ELEMENTS;
                match n % 3 {
                    0 => assert!(map.erase(at)),
                    _ => assert!(map.put(at, slices, 0)),
                }
            }
            assert!(slices < 600, "the fill does not come to its end");
        }
        let rows = map.rows();
        let (ordered, ()) = ToOrdered::default().forward(map, None).expect("room");
        assert!(ordered.rows().into_keys().eq(rows.into_keys()));
    });
}

#[test]
fn a_twin_is_discarded_in_slices_and_the_container_goes_on() {
    with_all(
        test_name!("a_twin_is_discarded_in_slices_and_the_container_goes_on"),
        || {
            let mut map = old_map(0..3_000);
            assert_eq!(
                ToOrdered::prepare_forward(&mut map, END),
                Ok(Progress::Done)
            );
            let twins = live::count(Tag(301));
            assert_eq!(twins, 1);
            let mut slices = 1;
            while ToOrdered::discard_left(&mut map, Nanos(0)) == Ok(Progress::More) {
                slices += 1;
                assert!(map.put(slices, 1, 0));
                assert_eq!(Owned::of(&mut map).damage(), [""; 0]);
            }
            assert!(slices > 10, "{slices}");
            assert_eq!(live::count(Tag(301)), 0);
            // The other direction as well, where it is a hashed map that goes.
            let (mut ordered, ()) = ToOrdered::default().forward(map, None).expect("room");
            while ToOrdered::discard_right(&mut ordered, Nanos(0)) == Ok(Progress::More) {
                assert_eq!(Owned::of(&mut ordered).damage(), [""; 0]);
            }
            assert_eq!(live::count(Tag(302)), 0);
            assert_eq!(ordered.len(), 3_000);
        },
    );
}

#[test] // R5, R6
fn rebinding_a_container_with_a_twin_takes_the_twin_along() {
    let name = test_name!("rebinding_a_container_with_a_twin_takes_the_twin_along");
    with_all(name, || {
        let mut map = old_map(0..10);
        assert_eq!(
            ToOrdered::prepare_forward(&mut map, END),
            Ok(Progress::Done)
        );
        let mut map = map.rebind::<New>();
        assert!(Hashed::twin::<New>(&mut map).is_set());
        let mut ordered = SharedOrderedMap::<SharedBytes, Old>::new();
        assert!(ordered.put(1, 1, 0));
        let ordered = ordered.rebind::<New>();
        assert_eq!(ordered.rows()[&1], Some((1, Some(7))));
        assert_eq!((live::count(OLD), map.len()), (11, 10));
    });
}

#[test]
fn a_container_with_half_a_twin_is_dropped_with_all_of_it() {
    with_all(
        test_name!("a_container_with_half_a_twin_is_dropped_with_all_of_it"),
        || {
            for discards in [false, true] {
                for is_ordered in [false, true] {
                    let mut map = old_map(0..3_000);
                    let until = if discards { END } else { Nanos(0) };
                    let again = |progress| assert_eq!(progress, Ok(Progress::More));
                    if is_ordered {
                        let (mut map, ()) = ToOrdered::default().forward(map, None).expect("room");
                        if !discards {
                            assert!(ToOrdered::discard_right(&mut map, END).is_ok());
                        }
                        let _whole = ToOrdered::prepare_backward(&mut map, until);
                        if discards {
                            again(ToOrdered::discard_right(&mut map, Nanos(0)));
                        }
                        drop(map);
                    } else {
                        let _whole = ToOrdered::prepare_forward(&mut map, until);
                        if discards {
                            again(ToOrdered::discard_left(&mut map, Nanos(0)));
                        }
                        drop(map);
                    }
                }
            }
        },
    );
}
