//! Deliberately wrong lenses: the laws catch every one of them, and name the law that it breaks.
//!
//! One lens written by hand, which is right, and a list of faults that can be put into it.

use std::cell::Cell;

use xform::laws::{self, Broken, Edit, Law, Place};
use xform::{Kept, Lens, LensError, Residual};

#[derive(Clone, Debug, PartialEq)]
struct Old {
    hits: u64,
    misses: u64,
    millis: u64,
    owner: String,
}

#[derive(Clone, Debug, PartialEq)]
struct New {
    hits: u64,
    misses: u64,
    seconds: u64,
    flags: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    LosesDroppedField,
    ForgetsAddedField,
    ForgetsComplementForward,
    SwapsFieldsBackward,
    SwapsFieldsBothWays,
    OffByOneBackward,
    OffByOneForward,
    IgnoresResidual,
    RestoresStaleOriginal,
    ResetsUnrelatedField,
    TakesComplementOverValue,
    Impure,
    RefusesWhatItGave,
    FailsOverNothing,
    CallsAllVacant,
}

struct Hand {
    fault: Fault,
    calls: Cell<u64>,
}

type Complement = (Residual<u64, u64>, Kept<u16>, Kept<String>);

fn split(complement: Option<Complement>) -> Complement {
    complement.unwrap_or((Residual::empty(), Kept::empty(), Kept::empty()))
}

impl Lens for Hand {
    type Left = Old;
    type Right = New;
    type Complement = Complement;

    fn forward(
        &self,
        left: Old,
        complement: Option<Complement>,
    ) -> Result<(New, Complement), LensError> {
        let (times, flags, owner) = split(complement);
        let is = |fault| self.fault == fault;
        self.calls.set(self.calls.get() + 1);
        let (seconds, times) = match times.pair {
            Some(pair) if pair.left == left.millis => (pair.right, Residual::empty()),
            _ => {
                let seconds = left.millis / 1000 + u64::from(is(Fault::OffByOneForward));
                (seconds, Residual::of(left.millis, seconds))
            }
        };
        let (hits, misses) = if is(Fault::SwapsFieldsBothWays) {
            (left.misses, left.hits)
        } else {
            (left.hits, left.misses)
        };
        let right = New {
            hits: hits
                + if is(Fault::Impure) {
                    self.calls.get()
                } else {
                    0
                },
            misses,
            seconds,
            flags: flags.value.unwrap_or(0),
        };
        if is(Fault::ForgetsComplementForward) {
            return Ok((right, split(None)));
        }
        let kept = match owner.value {
            Some(stale) if is(Fault::TakesComplementOverValue) => stale,
            _ => left.owner,
        };
        Ok((right, (times, Kept::empty(), Kept::of(kept))))
    }

    fn backward(
        &self,
        right: New,
        complement: Option<Complement>,
    ) -> Result<(Old, Complement), LensError> {
        let (times, _, owner) = split(complement);
        let is = |fault| self.fault == fault;
        if is(Fault::RefusesWhatItGave) && right.seconds > 2 {
            return Err(LensError::unrepresentable("more than two seconds"));
        }
        if is(Fault::FailsOverNothing) && right.flags == 7 {
            return Err(LensError::failed("flags are seven"));
        }
        let (millis, times) = match times.pair {
            Some(pair)
                if !is(Fault::IgnoresResidual)
                    && (pair.right == right.seconds || is(Fault::RestoresStaleOriginal)) =>
            {
                (pair.left, Residual::empty())
            }
            _ => {
                let millis = right.seconds * 1000 + u64::from(is(Fault::OffByOneBackward)) * 1000;
                (millis, Residual::of(millis, right.seconds))
            }
        };
        let (hits, misses) = match self.fault {
            Fault::SwapsFieldsBackward | Fault::SwapsFieldsBothWays => (right.misses, right.hits),
            Fault::ResetsUnrelatedField if right.flags != 0 => (right.hits, 0),
            _ => (right.hits, right.misses),
        };
        let owner = match owner.value {
            Some(owner) if !is(Fault::LosesDroppedField) => owner,
            _ => "nobody".to_owned(),
        };
        let flags = if is(Fault::ForgetsAddedField) {
            Kept::empty()
        } else {
            Kept::of(right.flags)
        };
        let stale = if is(Fault::TakesComplementOverValue) {
            Kept::of(owner.clone())
        } else {
            Kept::empty()
        };
        let left = Old {
            hits,
            misses,
            millis,
            owner,
        };
        Ok((left, (times, flags, stale)))
    }

    fn is_vacant(&self, (times, flags, owner): &Complement) -> bool {
        self.fault == Fault::CallsAllVacant
            || times.pair.is_none() && flags.is_empty() && owner.is_empty()
    }
}

/// What anyone would check of a lens between these two types.
fn check(fault: Fault) -> Result<(), Broken> {
    let lens = Hand {
        fault,
        calls: Cell::new(0),
    };
    let old = Old {
        hits: 5,
        misses: 2,
        millis: 3_456,
        owner: "ann".into(),
    };
    let new = New {
        hits: 5,
        misses: 2,
        seconds: 3,
        flags: 7,
    };
    laws::from_left(&lens, old)
        .restored()?
        .edit_kept(|right| right.flags = 9)?
        .edit_kept(|right| right.seconds += 1)?
        .edits_agree(|right| right.hits += 1, |left| left.hits += 1)?
        .edits_agree(|right| right.seconds = 8, |left| left.millis = 8_000)?
        .edits_agree(|right| right.flags = 1, |_| ())?;
    laws::from_right(&lens, new)
        .restored()?
        .edit_kept(|left| left.owner.push('e'))?
        .edits_agree(|left| left.misses += 1, |right| right.misses += 1)?
        .edits_agree(|left| left.millis = 8_000, |right| right.seconds = 8)?
        .history(&[
            Edit {
                made: Place::There,
                here: &|right: &mut New| right.hits += 10,
                there: &|left: &mut Old| left.hits += 10,
            },
            Edit {
                made: Place::Here,
                here: &|right: &mut New| right.flags = 30,
                there: &|_: &mut Old| (),
            },
        ])?;
    Ok(())
}

#[test]
fn the_right_lens_passes() {
    check(Fault::None).unwrap();
}

#[test]
fn every_wrong_lens_is_caught_by_the_law_it_breaks() {
    let faults = [
        (Fault::LosesDroppedField, Law::Restored),
        (Fault::ForgetsAddedField, Law::EditKept),
        (Fault::ForgetsComplementForward, Law::Restored),
        (Fault::SwapsFieldsBackward, Law::Restored),
        (Fault::SwapsFieldsBothWays, Law::EditsAgree),
        (Fault::OffByOneBackward, Law::EditsAgree),
        (Fault::OffByOneForward, Law::EditsAgree),
        (Fault::IgnoresResidual, Law::Restored),
        (Fault::RestoresStaleOriginal, Law::EditKept),
        (Fault::ResetsUnrelatedField, Law::EditKept),
        (Fault::TakesComplementOverValue, Law::EditKept),
        (Fault::Impure, Law::Repeatable),
        (Fault::RefusesWhatItGave, Law::Defined),
        (Fault::FailsOverNothing, Law::Defined),
        (Fault::CallsAllVacant, Law::VacantIsNone),
    ];
    for (fault, law) in faults {
        let broken = check(fault).expect_err(&format!("{fault:?} goes unnoticed"));
        assert_eq!(broken.law, law, "{fault:?}: {broken}");
    }
}

#[test]
fn a_broken_law_shows_the_values() {
    let broken = check(Fault::LosesDroppedField).unwrap_err();
    let text = broken.to_string();
    assert!(
        text.starts_with("law Restored broken for Left value Old"),
        "{text}"
    );
    assert!(broken.expected.contains("ann") && broken.found.contains("nobody"));
}

#[test]
fn declining_a_made_value_is_no_fault_and_is_counted() {
    let bytes = xform::exact(
        |x: u64| u8::try_from(x).map_err(|_| LensError::unrepresentable("more than a byte")),
        |x: u8| Ok(u64::from(x)),
    );
    let check = laws::from_left(&bytes, 256).restored().unwrap();
    assert_eq!(check.declined(), 1);
    let check = laws::from_right(&bytes, 5)
        .restored()
        .unwrap()
        .edit_kept(|x| *x = 256)
        .unwrap();
    assert_eq!(check.declined(), 1);
}
