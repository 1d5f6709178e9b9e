//! A container in the hands of two versions, and what it should hold.

use super::super::prepare::{Prepare, Progress};
use super::super::twins::{Part, tag_of};
use crate::abi::{Representation, TagCell};
use crate::error::{AccessError, HeapFull};
use crate::expansion::{drop_value, visit_value};
use crate::heap::testing::failing_after;
use crate::heap::tests::lenses::{self, NEW, New, OLD, Old, text};
use crate::heap::tests::{Owned, for_all};
use crate::heap::transaction::Transaction;
use crate::heap::twin::{Boxed, Twin, TwinWord};
use crate::heap::{Shared, SharedBytes, Versioned, Visitor, live, release_scratch};
use crate::ids::Tag;
use crate::sys::time::Nanos;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The tags of twins, as a library that was bound has them.
pub(super) struct TestTwin {
    pub(super) tag: Tag,
    pub(super) bind: fn(Tag),
}
inventory::collect!(TestTwin);

/// Tells the table of representations of a twin's type.
pub(super) fn bind_twin<T: Shared>(cell: &TagCell, tag: Tag) {
    cell.set(tag);
    // SAFETY: the table is mapped and this thread is the worker; all zero is an entry.
    unsafe {
        let entry = Representation::pointer(tag);
        entry.write_bytes(0, 1);
        (*entry).size = size_of::<T>() as u32;
        (*entry).align = align_of::<T>() as u32;
        (*entry).drop = Some(drop_value::<T>);
        (*entry).visit = Some(visit_value::<T>);
    }
}

/// Registers the types of twins under tags of their own.
macro_rules! twins {
    ($($tag:literal: $twin:ty;)*) => {$(
        const _: () = {
            static CELL: crate::abi::TagCell = crate::abi::TagCell::new();
            inventory::submit! {
                crate::abi::TwinRegistration {
                    type_id: std::any::TypeId::of::<$twin>,
                    tag: &CELL,
                }
            }
            inventory::submit! {
                super::world::TestTwin {
                    tag: crate::ids::Tag($tag),
                    bind: |tag| super::world::bind_twin::<$twin>(&CELL, tag),
                }
            }
        };
    )*};
}
pub(super) use twins;

/// Runs `test` on values of the strategy, as a worker to whom all types are known; no box and no twin may
/// be left.
pub(super) fn with_twins<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    for_all(name, cases, strategy, |value| {
        lenses::bind();
        bind_twins();
        test(value)?;
        prop_assert_eq!(living(), 0, "boxes or twins are counted that are not there");
        Ok(())
    });
}

pub(super) fn bind_twins() {
    for twin in inventory::iter::<TestTwin> {
        (twin.bind)(twin.tag);
    }
}

/// Boxes and twins that are counted.
pub(super) fn living() -> i64 {
    let twins = inventory::iter::<TestTwin>.into_iter().map(|twin| twin.tag);
    twins.chain([OLD, NEW]).map(live::count).sum()
}

/// A key with a block of its own, or without.
pub(super) fn key(number: u64) -> SharedBytes {
    failing_after(u64::MAX, || key_of(number))
}

fn key_of(number: u64) -> SharedBytes {
    let pad = if number.is_multiple_of(2) {
        ""
    } else {
        ", which has a block of its own"
    };
    text(&format!("key {number:04}{pad}"))
}

pub(super) fn number(key: &[u8]) -> u64 {
    let digits = std::str::from_utf8(&key[4..8]).expect("digits");
    digits.parse().expect("digits")
}

/// What one side sees of an element; `None` of one that has no form there.
pub(super) type Row = Option<(u64, Option<u32>)>;

/// An element type as its version uses it.
pub(super) trait Version: Boxed<Refusal = HeapFull> {
    fn make(key: u64, count: u64, extra: u32) -> Self;
    fn row(&self) -> (u64, Option<u32>);
    fn set_count(&mut self, count: u64);
    fn set_key(&mut self, key: u64);
}

const SUFFIX: &str = " (new)";

impl Version for Old {
    fn make(key: u64, count: u64, _: u32) -> Self {
        failing_after(u64::MAX, || Old {
            count,
            name: text(&format!("{key:04} has a name in a block")),
        })
    }

    fn row(&self) -> (u64, Option<u32>) {
        (self.count, None)
    }

    fn set_count(&mut self, count: u64) {
        self.count = count;
    }

    fn set_key(&mut self, key: u64) {
        failing_after(u64::MAX, || self.name = Self::make(key, 0, 0).name);
    }
}

impl Version for New {
    fn make(key: u64, count: u64, extra: u32) -> Self {
        failing_after(u64::MAX, || New {
            count,
            name: text(&format!("{key:04} has a name in a block{SUFFIX}")),
            extra,
            note: text("what only the newer version knows"),
        })
    }

    fn row(&self) -> (u64, Option<u32>) {
        (self.count, Some(self.extra))
    }

    fn set_count(&mut self, count: u64) {
        self.count = count;
    }

    fn set_key(&mut self, key: u64) {
        failing_after(u64::MAX, || self.name = Self::make(key, 0, 0).name);
    }
}

pub(super) fn row<V: Version>(cell: &Versioned<V>) -> Row {
    match failing_after(u64::MAX, || cell.get()) {
        Ok(value) => Some(value.row()),
        Err(AccessError::Foreign) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A container as one version uses it. `false`: nothing was done, for want of room or of a form.
pub(super) trait Side: Shared + Default {
    fn put(&mut self, key: u64, count: u64, extra: u32) -> bool;
    fn edit(&mut self, key: u64, count: u64) -> bool;
    fn erase(&mut self, key: u64) -> bool;
    /// Moves the box, with all that it keeps, to another key.
    fn rename(&mut self, from: u64, to: u64) -> bool;
    fn clear(&mut self);
    fn rows(&self) -> BTreeMap<u64, Row>;
}

/// The twin behind a word, if it says anything (D3).
pub(super) fn trusted<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
) -> Option<&mut Twin<L, M, B>> {
    if !word.is_set() || word.is_broken() || Some(word.tag()) != tag_of::<L, M, B>() {
        return None;
    }
    // SAFETY: of this type by its tag.
    let twin = unsafe { word.get_mut::<L, M, B>() }.expect("no conversion is open");
    (!twin.is_discarding()).then_some(twin)
}

/// What an element should be. `FOREIGN` has no older form.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Expected {
    count: u64,
    extra: u32,
}

const FOREIGN: u32 = 666;
/// What the lens gives an element that the older version made.
const DEFAULT: u32 = 7;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Put(u64, u64, u32),
    Edit(u64, u64),
    Remove(u64),
    Rename(u64, u64),
    Clear,
    /// Another container in its place.
    Swap,
    /// A slice of preparation, of so many nanoseconds.
    Prepare(u64),
    Discard(u64),
    Flip,
    /// A flip that does not stand, since something else failed.
    Undone,
    /// The function of the lens panics at its n-th call in the next of those.
    Startle(u64),
}

thread_local! {
    static CALLS_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Has a function of a lens panic at its n-th call.
pub(super) fn may_panic_after(calls: u64) {
    CALLS_LEFT.set(calls);
}

/// What each function of a tested lens begins with.
pub(super) fn may_panic() {
    match CALLS_LEFT.get() {
        u64::MAX => {}
        0 => panic!("the function of the lens panics"),
        left => CALLS_LEFT.set(left - 1),
    }
}

pub(super) fn deeds(keys: u64) -> impl Strategy<Value = Vec<(Deed, u64)>> {
    let key = 0..keys;
    let deed = prop_oneof![
        12 => (key.clone(), 0..9u64, prop_oneof![8 => 0..600u32, 1 => Just(FOREIGN)])
            .prop_map(|(key, count, extra)| Deed::Put(key, count, extra)),
        6 => (key.clone(), 0..9u64).prop_map(|(key, count)| Deed::Edit(key, count)),
        5 => key.clone().prop_map(Deed::Remove),
        2 => (key.clone(), key).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => prop_oneof![Just(Deed::Clear), Just(Deed::Swap)],
        5 => prop_oneof![Just(0), 0..50_000u64, Just(u64::MAX)].prop_map(Deed::Prepare),
        1 => prop_oneof![Just(0), Just(u64::MAX)].prop_map(Deed::Discard),
        3 => Just(Deed::Flip),
        1 => Just(Deed::Undone),
        1 => (0..20u64).prop_map(Deed::Startle),
    ];
    let limit = prop_oneof![6 => Just(u64::MAX), 1 => 0..12u64];
    prop::collection::vec((deed, limit), 1..150)
}

/// A lens over containers, as these tests use it.
pub(super) trait Tested:
    Prepare<Left: Side, Right: Side, Complement = ()> + Default
{
    /// Fails where D1 does not hold.
    fn check_left(left: &mut Self::Left);
    fn check_right(right: &mut Self::Right);
}

enum Value<L, R> {
    Left(L),
    Right(R),
    /// In the middle of a flip.
    Nowhere,
}

pub(super) struct World<L: Tested> {
    value: Value<L::Left, L::Right>,
    model: BTreeMap<u64, Expected>,
}

/// A conversion as `heap::convert` does it: of bits that stay, in a transaction.
pub(super) fn convert<F, T>(
    from: &F,
    stands: bool,
    lens: impl FnOnce(F) -> Result<(T, ()), xform::LensError>,
) -> Option<T> {
    // SAFETY: the bits are forgotten if the conversion stands, and the result if not.
    let bits = unsafe { ptr::read(from) };
    let transaction = Transaction::begin();
    match catch_unwind(AssertUnwindSafe(|| lens(bits))) {
        Ok(Ok((to, ()))) if stands => {
            transaction.commit();
            Some(to)
        }
        Ok(Ok((to, ()))) => {
            std::mem::forget(to);
            transaction.abort();
            None
        }
        Ok(Err(_)) | Err(_) => {
            transaction.abort();
            None
        }
    }
}

impl<L: Tested> World<L> {
    pub(super) fn new() -> Self {
        World {
            value: Value::Left(L::Left::default()),
            model: BTreeMap::new(),
        }
    }

    /// Does it with so many allocations to be had, and checks everything.
    pub(super) fn act(&mut self, deed: Deed, limit: u64) {
        let is_left = matches!(self.value, Value::Left(_));
        let World { value, model } = self;
        let known = |key: u64| model.get(&key).copied();
        macro_rules! side {
            ($name:ident => $call:expr) => {
                match value {
                    Value::Left($name) => failing_after(limit, || $call),
                    Value::Right($name) => failing_after(limit, || $call),
                    Value::Nowhere => unreachable!(),
                }
            };
        }
        match deed {
            Deed::Put(key, count, extra) => {
                if side!(it => it.put(key, count, extra)) {
                    let extra = if is_left { DEFAULT } else { extra };
                    model.insert(key, Expected { count, extra });
                }
            }
            Deed::Edit(key, count) => {
                if side!(it => it.edit(key, count)) {
                    assert!(!(is_left && known(key).is_some_and(|e| e.extra == FOREIGN)));
                    model
                        .get_mut(&key)
                        .expect("it was there to be edited")
                        .count = count;
                }
            }
            Deed::Remove(key) => {
                if side!(it => it.erase(key)) {
                    model.remove(&key);
                }
            }
            Deed::Rename(from, to) => {
                if from != to
                    && known(from).is_some()
                    && known(to).is_none()
                    && side!(it => it.rename(from, to))
                {
                    let moved = model.remove(&from).expect("known");
                    model.insert(to, moved);
                }
            }
            Deed::Clear => {
                side!(it => it.clear());
                model.clear();
            }
            Deed::Swap => {
                match value {
                    Value::Left(it) => drop(std::mem::take(it)),
                    Value::Right(it) => drop(std::mem::take(it)),
                    Value::Nowhere => unreachable!(),
                }
                model.clear();
            }
            Deed::Prepare(span) => {
                let until = Nanos(Nanos::now().0.saturating_add(span));
                let is_startled = CALLS_LEFT.get() != u64::MAX;
                let prepared = catch_unwind(AssertUnwindSafe(|| match value {
                    Value::Left(it) => failing_after(limit, || L::prepare_forward(it, until)),
                    Value::Right(it) => failing_after(limit, || L::prepare_backward(it, until)),
                    Value::Nowhere => unreachable!(),
                }));
                CALLS_LEFT.set(u64::MAX);
                assert!(is_startled || prepared.is_ok());
                match prepared.unwrap_or(Err(AccessError::HeapFull)) {
                    Ok(Progress::More) => assert_ne!(span, u64::MAX),
                    Ok(Progress::Done) | Err(AccessError::HeapFull) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Deed::Discard(span) => {
                let until = Nanos(Nanos::now().0.saturating_add(span));
                let discarded = match value {
                    Value::Left(it) => failing_after(limit, || L::discard_left(it, until)),
                    Value::Right(it) => failing_after(limit, || L::discard_right(it, until)),
                    Value::Nowhere => unreachable!(),
                };
                assert!(discarded.is_ok());
            }
            Deed::Startle(calls) => {
                CALLS_LEFT.set(calls);
                return;
            }
            Deed::Flip => self.flip(limit, true),
            Deed::Undone => self.flip(limit, false),
        }
        self.check();
        release_scratch();
    }

    fn flip(&mut self, limit: u64, stands: bool) {
        let may_fail = limit != u64::MAX || CALLS_LEFT.get() != u64::MAX;
        let old = std::mem::replace(&mut self.value, Value::Nowhere);
        self.value = match old {
            Value::Left(left) => {
                let made = failing_after(limit, || {
                    convert(&left, stands, |left| L::default().forward(left, None))
                });
                assert!(made.is_some() == stands || may_fail, "it can be flipped");
                match made {
                    Some(right) => {
                        std::mem::forget(left);
                        Value::Right(right)
                    }
                    None => Value::Left(left),
                }
            }
            Value::Right(right) => {
                let made = failing_after(limit, || {
                    convert(&right, stands, |right| L::default().backward(right, None))
                });
                assert!(made.is_some() == stands || may_fail, "it can be flipped");
                match made {
                    Some(left) => {
                        std::mem::forget(right);
                        Value::Left(left)
                    }
                    None => Value::Right(right),
                }
            }
            Value::Nowhere => unreachable!(),
        };
        CALLS_LEFT.set(u64::MAX);
    }

    /// The side that has it holds what the model says, D1 holds, and every block has one owner.
    fn check(&mut self) {
        let (rows, is_left) = match &mut self.value {
            Value::Left(left) => {
                L::check_left(left);
                let owned = Owned::of(left);
                assert_eq!(owned.damage(), [""; 0]);
                (left.rows(), true)
            }
            Value::Right(right) => {
                L::check_right(right);
                let owned = Owned::of(right);
                assert_eq!(owned.damage(), [""; 0]);
                (right.rows(), false)
            }
            Value::Nowhere => unreachable!(),
        };
        let expected: BTreeMap<u64, Row> = self
            .model
            .iter()
            .map(|(key, Expected { count, extra })| {
                let row = match (is_left, *extra) {
                    (true, FOREIGN) => None,
                    (true, _) => Some((*count, None)),
                    (false, extra) => Some((*count, Some(extra))),
                };
                (*key, row)
            })
            .collect();
        assert_eq!(rows, expected);
    }
}

impl<L: Tested> World<L> {
    /// Its container and that of another lens change places, if both are the older version's.
    pub(super) fn exchange_left<M: Tested<Left = L::Left>>(&mut self, other: &mut World<M>) {
        if let (Value::Left(one), Value::Left(another)) = (&mut self.value, &mut other.value) {
            std::mem::swap(one, another);
            std::mem::swap(&mut self.model, &mut other.model);
        }
    }

    /// The containers of two items of one lens change places.
    pub(super) fn exchange(&mut self, other: &mut World<L>) {
        std::mem::swap(&mut self.value, &mut other.value);
        std::mem::swap(&mut self.model, &mut other.model);
    }

    /// Parts of two items of one lens change places, those that have the elements of which `is_in_it` is
    /// true of the count, unless a key would be in two parts then.
    pub(super) fn exchange_parts(
        &mut self,
        other: &mut World<L>,
        is_in_it: impl Fn(u64) -> bool,
        swap: impl FnOnce(&mut L::Right, &mut L::Right),
    ) {
        let (Value::Right(one), Value::Right(another)) = (&mut self.value, &mut other.value) else {
            return;
        };
        let divided = |model: &BTreeMap<u64, Expected>| -> [BTreeMap<u64, Expected>; 2] {
            let all = model.iter().map(|(key, expected)| (*key, *expected));
            let (goes, stays) = all.partition(|(_, expected)| is_in_it(expected.count));
            [goes, stays]
        };
        let ([mine, own], [theirs, left]) = (divided(&self.model), divided(&other.model));
        let is_twice = |goes: &BTreeMap<u64, Expected>, stays: &BTreeMap<u64, Expected>| {
            goes.keys().any(|key| stays.contains_key(key))
        };
        if !is_twice(&theirs, &own) && !is_twice(&mine, &left) {
            swap(one, another);
            self.model = own.into_iter().chain(theirs).collect();
            other.model = left.into_iter().chain(mine).collect();
        }
    }

    /// Shows all that it has.
    pub(super) fn show(&mut self, visitor: &mut dyn Visitor) {
        match &mut self.value {
            Value::Left(left) => left.visit(visitor),
            Value::Right(right) => right.visit(visitor),
            Value::Nowhere => unreachable!(),
        }
    }
}

/// Any deeds, then there and back, so that everything is seen from both sides.
pub(super) fn run<L: Tested>(deeds: Vec<(Deed, u64)>) {
    let mut world = World::<L>::new();
    for (deed, limit) in deeds {
        world.act(deed, limit);
    }
    CALLS_LEFT.set(u64::MAX);
    for _ in 0..3 {
        world.act(Deed::Flip, u64::MAX);
    }
}
