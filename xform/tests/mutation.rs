//! Faults put into derived lenses, by a wrapper that any lens fits in and by attributes that say the wrong thing:
//! the laws catch all of them.

use std::cell::Cell;
use std::fmt::Debug;

use xform::laws::{self, Broken, Law, Touch};
use xform::{Directions, Image, Lens, LensError, each};

#[derive(Clone, Debug, PartialEq, Lens)]
struct Old {
    hits: u64,
    misses: u64,
    millis: u64,
    owner: String,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = Old, drop(owner))]
struct New {
    hits: u64,
    misses: u64,
    #[lens(rename = millis, convert(|ms| Ok(ms / 1000), |s| Ok(s * 1000)))]
    seconds: u64,
    #[lens(add)]
    flags: u8,
}

#[derive(Clone, Debug, PartialEq, Lens)]
enum OldValue {
    Timed(Old),
    Yes,
    Sure,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = OldValue)]
#[lens(unrepresentable = placeholder(|_| OldValue::Yes))]
enum NewValue {
    Timed(#[lens(nested)] New),
    #[lens(merge(Yes, Sure))]
    Yes,
    #[lens(add)]
    Maybe(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    ForgetsOnTheWayThere,
    ForgetsOnTheWayBack,
    LosesWhatItMade,
    HandsOutWhatItGot,
    CallsAllVacant,
    TakesTurns,
    RefusesWhatItGave,
}

/// Any lens, and something wrong with it.
struct Mutant<L> {
    lens: L,
    fault: Fault,
    turn: Cell<u32>,
}

impl<L> Lens for Mutant<L>
where
    L: Lens,
    L::Complement: Clone,
{
    type Left = L::Left;
    type Right = L::Right;
    type Complement = Option<L::Complement>;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(
        &self,
        left: L::Left,
        kept: Option<Self::Complement>,
    ) -> Result<(L::Right, Self::Complement), LensError> {
        let mut kept = kept.flatten();
        self.turn.set(self.turn.get() + 1);
        if self.fault == Fault::ForgetsOnTheWayThere
            || self.fault == Fault::TakesTurns && self.turn.get().is_multiple_of(2)
        {
            kept = None;
        }
        let got = kept.clone();
        let (right, made) = self.lens.forward(left, kept)?;
        Ok((right, self.hand_out(got, made)))
    }

    fn backward(
        &self,
        right: L::Right,
        kept: Option<Self::Complement>,
    ) -> Result<(L::Left, Self::Complement), LensError> {
        let mut kept = kept.flatten();
        if self.fault == Fault::RefusesWhatItGave && kept.is_some() {
            return Err(LensError::unrepresentable("it has been there before"));
        }
        if self.fault == Fault::ForgetsOnTheWayBack {
            kept = None;
        }
        let got = kept.clone();
        let (left, made) = self.lens.backward(right, kept)?;
        Ok((left, self.hand_out(got, made)))
    }

    fn is_vacant(&self, kept: &Self::Complement) -> bool {
        self.fault == Fault::CallsAllVacant
            || kept.as_ref().is_none_or(|kept| self.lens.is_vacant(kept))
    }

    fn unrepresentable(&self) -> xform::Unrepresentable {
        self.lens.unrepresentable()
    }
}

impl<L: Lens> Mutant<L> {
    fn hand_out(&self, got: Option<L::Complement>, made: L::Complement) -> Option<L::Complement> {
        match self.fault {
            Fault::LosesWhatItMade => None,
            Fault::HandsOutWhatItGot => got,
            _ => Some(made),
        }
    }
}

const FAULTS: [Fault; 7] = [
    Fault::ForgetsOnTheWayThere,
    Fault::ForgetsOnTheWayBack,
    Fault::LosesWhatItMade,
    Fault::HandsOutWhatItGot,
    Fault::CallsAllVacant,
    Fault::TakesTurns,
    Fault::RefusesWhatItGave,
];

fn every_fault_is_caught<L>(lens: impl Fn() -> L, older: &[L::Left], newer: &[L::Right])
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image + Clone + PartialEq,
{
    let check = |fault| {
        let turn = Cell::new(0);
        let lens = lens();
        laws::every(&Mutant { lens, fault, turn }, older, newer)
    };
    check(Fault::None).unwrap();
    for fault in FAULTS {
        assert!(check(fault).is_err(), "{fault:?} goes unnoticed");
    }
}

fn old(hits: u64, owner: &str) -> Old {
    Old {
        hits,
        misses: hits + 7,
        millis: hits * 100 + 1,
        owner: owner.to_owned(),
    }
}

fn new(hits: u64, flags: u8) -> New {
    New {
        hits,
        misses: hits + 9,
        seconds: hits,
        flags,
    }
}

#[test]
fn faults_in_the_lens_of_a_struct_are_caught() {
    every_fault_is_caught(
        || NewLens,
        &[old(12, "ann"), old(34, "")],
        &[new(5, 0), new(6, 3)],
    );
}

#[test]
fn faults_in_the_lens_of_an_enum_are_caught() {
    let older = [
        OldValue::Timed(old(12, "ann")),
        OldValue::Sure,
        OldValue::Yes,
    ];
    let newer = [
        NewValue::Timed(new(5, 1)),
        NewValue::Maybe(3),
        NewValue::Yes,
    ];
    every_fault_is_caught(|| NewValueLens, &older, &newer);
}

#[test]
fn faults_in_the_lens_of_a_container_are_caught() {
    let lens = || each::vec_by_key(NewLens, (|old: &Old| old.hits, |new: &New| new.hits));
    let older = [vec![old(1, "ann"), old(2, "bob")], vec![]];
    let newer = [vec![new(1, 4), new(3, 9)], vec![new(2, 1)]];
    every_fault_is_caught(lens, &older, &newer);
}

#[test]
fn faults_in_a_composition_are_caught() {
    // Each step loses something either way.
    let share = || {
        xform::convert(
            |part: &u64| Ok(part * 100 / 256),
            |percent: &u64| Ok(percent * 256 / 100),
        )
    };
    every_fault_is_caught(
        || xform::chain!(share(), share(), share()),
        &[255, 7],
        &[3, 14],
    );
}

// ---- attributes that say the wrong thing

macro_rules! wrong {
    ($name:ident: $law:ident { $($new:tt)* } $check:expr) => {
        #[test]
        fn $name() {
            #[derive(Clone, Debug, PartialEq, Lens)]
            $($new)*
            fn check(lens: &WrongLens, check: impl FnOnce(&WrongLens) -> Result<laws::Tally, Broken>) -> Broken {
                check(lens).expect_err("it goes unnoticed")
            }
            assert_eq!(check(&WrongLens, $check).law, Law::$law);
        }
    };
}

wrong! {
    two_fields_that_are_exchanged: EditsAgree
    { #[lens(from = Old, drop(owner), drop(millis))]
      struct Wrong { #[lens(rename = misses)] hits: u64, #[lens(rename = hits)] misses: u64 } }
    |lens| laws::agree(lens, old(1, ""), Wrong { hits: 1, misses: 2 }, |old| old.hits = 5, |new| new.hits = 5)
}

wrong! {
    an_exact_conversion_that_is_off_by_one: Restored
    { #[lens(from = Old, drop(owner), drop(millis), drop(misses))]
      struct Wrong { #[lens(exact(|hits: u64| Ok(hits + 1), |hits: u64| Ok(hits)))] hits: u64 } }
    |lens| laws::rehearse(lens, [old(1, "")])
}

wrong! {
    a_conversion_that_is_off_by_one: EditsAgree
    { #[lens(from = Old, drop(owner), drop(hits), drop(misses))]
      struct Wrong { #[lens(rename = millis, convert(|ms| Ok(ms / 1000 + 1), |s| Ok(s * 1000)))] seconds: u64 } }
    |lens| laws::agree(lens, old(1, ""), Wrong { seconds: 3 }, |old| old.millis = 9_000, |new| new.seconds = 9)
}

wrong! {
    a_field_dropped_and_added_instead_of_renamed: EditsAgree
    { #[lens(from = Old, drop(owner), drop(hits), drop(misses), drop(millis))]
      struct Wrong { #[lens(add)] hits: u64 } }
    |lens| laws::agree(lens, old(1, ""), Wrong { hits: 3 }, |old| old.hits = 9, |new| new.hits = 9)
}

wrong! {
    a_default_that_is_not_the_same_twice: Repeatable
    { #[lens(from = Old, drop(owner), drop(misses), drop(millis))]
      struct Wrong { hits: u64, #[lens(add = {
          static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
          COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
      })] id: u64 } }
    |lens| laws::rehearse(lens, [old(1, "")])
}

#[test]
fn positions_where_a_key_is_needed_are_caught() {
    // R8
    let lens = each::vec_by_position(NewLens);
    let older = vec![old(1, "ann"), old(2, "bob")];
    let broken = laws::rearranged(&lens, older, vec![], 0, 1).unwrap_err();
    assert_eq!(broken.law, Law::EditsAgree);
}

#[test]
fn what_a_crossing_changes_unseen_is_caught() {
    // R36: each crossing by itself looks right, and the value wears off
    let wears_off = xform::exact(
        |x: u64| Ok(x),
        |x: u64| Ok(x.saturating_sub(u64::from(x % 10 == 3))),
    );
    let add = |x: &mut u64| *x += 1;
    let touches = [(0, Touch::EditNewer(&add)), (1, Touch::EditOlder(&add))];
    let broken = laws::mixed(&wears_off, &[12, 20, 33], &touches).unwrap_err();
    assert_eq!(broken.law, Law::LazyIsEager);
}
