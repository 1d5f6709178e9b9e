//! Containers that change places, with all that hangs on them, while both forms are kept: between items of
//! one lens, of several lenses, and of families of several lengths.

use super::super::follow::Peek;
use super::super::keyed::{KeyOf, Keyed};
use super::super::partitioned::{Partitioned, Route};
use super::super::prepare::{Prepare, Progress};
use super::super::shape::Hashed;
use super::cases::{END, old_map, with_all};
use super::index::HashedIndexed;
use super::lists;
use super::maps::{Rehashed, ToOrdered};
use super::parts::HashedParts;
use super::world::{Deed, Tested, Version, World, deeds, key, number, row, twins, with_twins};
use crate::error::AccessError;
use crate::heap::testing::test_name;
use crate::heap::tests::Owned;
use crate::heap::tests::lenses::{New, Old};
use crate::heap::{Shared, SharedBytes, SharedMap, SharedVec};
use proptest::prelude::*;
use std::mem;
use xform::Lens;

/// As `ByCount`, the other way round.
struct ByOther;

impl Route<SharedBytes, New> for ByOther {
    fn part(_: &SharedBytes, element: &Peek<'_, New>) -> Result<usize, AccessError> {
        Ok(((element.get()?.count + 1) % 2) as usize)
    }
}

type OtherParts = Partitioned<ByOther, Hashed, SharedBytes, Old, New, 2>;

struct ByThird;

impl Route<SharedBytes, New> for ByThird {
    fn part(_: &SharedBytes, element: &Peek<'_, New>) -> Result<usize, AccessError> {
        Ok((element.get()?.count % 3) as usize)
    }
}

type ThreeParts = Partitioned<ByThird, Hashed, SharedBytes, Old, New, 3>;

/// As `ByName`, the last ones first.
struct ByRest;

impl KeyOf<SharedBytes, New> for ByRest {
    fn key(element: &Peek<'_, New>) -> Result<SharedBytes, AccessError> {
        let digits = std::str::from_utf8(&element.get()?.name[..4]).expect("digits");
        Ok(key(9999 - digits.parse::<u64>().expect("digits")))
    }
}

type ByRestKeyed = Keyed<ByRest, Hashed, SharedBytes, Old, New>;

twins! {
    340: <OtherParts as Prepare>::LeftTwin;
    341: <OtherParts as Prepare>::RightTwin;
    342: <ThreeParts as Prepare>::LeftTwin;
    343: <ThreeParts as Prepare>::RightTwin;
    344: <ByRestKeyed as Prepare>::LeftTwin;
    345: <ByRestKeyed as Prepare>::RightTwin;
}

type NewMap = SharedMap<SharedBytes, New>;

fn counts(map: &NewMap) -> Vec<u64> {
    let rows = map.iter().map(|(_, cell)| row(cell).expect("has a form").0);
    let mut counts: Vec<u64> = rows.collect();
    counts.sort_unstable();
    counts
}

#[test] // D2, D3
fn what_one_function_has_divided_is_not_taken_for_what_another_would() {
    let name = test_name!("what_one_function_has_divided_is_not_taken_for_what_another_would");
    with_all(name, || {
        let (mut one, mut other) = (old_map(0..10), old_map(10..20));
        assert_eq!(
            HashedParts::prepare_forward(&mut one, END),
            Ok(Progress::Done)
        );
        assert_eq!(
            OtherParts::prepare_forward(&mut other, END),
            Ok(Progress::Done)
        );
        mem::swap(&mut one, &mut other);
        let ([even, odd], ()) = HashedParts::default().forward(one, None).expect("room");
        assert_eq!(counts(&even), [10, 12, 14, 16, 18]);
        assert_eq!(counts(&odd), [11, 13, 15, 17, 19]);
        let ([odd, even], ()) = OtherParts::default().forward(other, None).expect("room");
        assert_eq!(counts(&even), [0, 2, 4, 6, 8]);
        assert_eq!(counts(&odd), [1, 3, 5, 7, 9]);
    });
}

#[test] // D2, D3
fn a_vector_that_another_function_has_read_is_read_again() {
    let name = test_name!("a_vector_that_another_function_has_read_is_read_again");
    with_all(name, || {
        let mut list = SharedVec::<Old>::new();
        (0..10).for_each(|at| list.push(Old::make(at, at, 0)).expect("room"));
        let prepared = ByRestKeyed::prepare_forward(&mut list, END);
        assert_eq!(prepared, Ok(Progress::Done));
        let (map, ()) = lists::ToHashed::default()
            .forward(list, None)
            .expect("room");
        assert!(map.iter().all(|(key, _)| number(key) < 10));
        // Back by the other lens, and there again by the first.
        let (list, ()) = ByRestKeyed::default().backward(map, None).expect("room");
        let (map, ()) = lists::ToHashed::default()
            .forward(list, None)
            .expect("room");
        assert!(map.iter().all(|(key, _)| number(key) < 10));
    });
}

#[test] // D2, D3
fn two_of_three_parts_are_not_a_family_of_two() {
    let name = test_name!("two_of_three_parts_are_not_a_family_of_two");
    with_all(name, || {
        let (mut three, ()) = ThreeParts::default()
            .forward(old_map(0..9), None)
            .expect("room");
        let mut two = <HashedParts as Lens>::Right::default();
        mem::swap(&mut three[0], &mut two[0]);
        mem::swap(&mut three[1], &mut two[1]);
        let (mut map, ()) = HashedParts::default()
            .backward(two, None)
            .expect("no key twice");
        assert_eq!(map.len(), 6);
        assert_eq!(counts(&three[2]), [2, 5, 8]);
        let mut owned = Owned::default();
        map.visit(&mut owned);
        three[2].visit(&mut owned);
        assert_eq!(owned.damage(), [""; 0]);
    });
}

/// What happens to three items, of which the first two are of one lens and the third is of another.
#[derive(Clone, Copy, Debug)]
enum Step {
    Act(usize, Deed, u64),
    /// The first two, in whichever form they are.
    Exchange,
    /// The first and the third, as the older version has them.
    ExchangeOther,
    /// One of the parts of the first two, as the newer version has them.
    ExchangePart(usize),
}

fn steps(keys: u64) -> impl Strategy<Value = Vec<Step>> {
    let acts = deeds(keys).prop_flat_map(|deeds| {
        let count = deeds.len();
        let exchange = prop_oneof![
            Just(Step::Exchange),
            Just(Step::ExchangeOther),
            (0..2usize).prop_map(Step::ExchangePart),
        ];
        let at = prop::collection::vec((0..3usize, prop::option::weighted(0.25, exchange)), count);
        (Just(deeds), at)
    });
    acts.prop_map(|(deeds, at)| {
        let steps = deeds
            .into_iter()
            .zip(at)
            .flat_map(|((deed, limit), (item, exchange))| {
                [Some(Step::Act(item, deed, limit)), exchange]
            });
        steps.flatten().collect()
    })
}

/// Exchanges one of the parts of two values.
type SwapParts<T> = fn(usize, &mut T, &mut T);

fn exchange<L, M>(steps: Vec<Step>, swap_parts: Option<SwapParts<L::Right>>)
where
    L: Tested,
    M: Tested<Left = L::Left>,
{
    let (mut one, mut other, mut third) = (World::<L>::new(), World::<L>::new(), World::<M>::new());
    let end = (0..3).flat_map(|_| (0..3).map(|item| Step::Act(item, Deed::Flip, u64::MAX)));
    for step in steps.into_iter().chain(end) {
        match step {
            Step::Act(0, deed, limit) => one.act(deed, limit),
            Step::Act(1, deed, limit) => other.act(deed, limit),
            Step::Act(_, deed, limit) => third.act(deed, limit),
            Step::Exchange => one.exchange(&mut other),
            Step::ExchangeOther => one.exchange_left(&mut third),
            Step::ExchangePart(part) => {
                if let Some(swap) = swap_parts {
                    let is_in_it = |count| count % 2 == part as u64;
                    one.exchange_parts(&mut other, is_in_it, |one, other| swap(part, one, other));
                }
            }
        }
        // Nothing that one of them has is another's too.
        let mut owned = Owned::default();
        one.show(&mut owned);
        other.show(&mut owned);
        third.show(&mut owned);
        assert_eq!(owned.damage(), [""; 0]);
    }
}

macro_rules! agrees {
    ($($name:ident: $lens:ty, $other:ty, $swap:expr;)*) => {$(
        // R5, R6, D1, D2, D3, D4
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            with_twins(name, 150, steps(24), |steps| {
                exchange::<$lens, $other>(steps, $swap);
                Ok(())
            });
        }
    )*};
}

agrees! {
    maps_that_change_places_agree_with_models: ToOrdered, Rehashed, None;
    maps_and_parts_that_change_places_agree_with_models: HashedParts, ToOrdered,
        Some(|part, one, other| mem::swap(&mut one[part], &mut other[part]));
    vectors_that_change_places_agree_with_models: lists::ToHashed, lists::ToOrdered, None;
    maps_with_an_index_that_change_places_agree_with_models: HashedIndexed, HashedParts, None;
}
