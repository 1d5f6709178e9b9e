//! Lenses to enums that have more variants, against the laws, and what becomes of values without an older form (R12).

use proptest::prelude::*;
use std::cell::Cell;
use xform::laws::{self, Law};
use xform::{ErrorKind, Lens, LensError, Residual, Unrepresentable};

#[derive(Clone, Debug, PartialEq)]
struct Old {
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
enum New {
    Str(Vec<u8>),
    List(Vec<Vec<u8>>),
}

xform::variant! {
    struct Foreign: Old => New {
        { bytes } => Str(bytes);
        unrepresentable = foreign;
    }
}

xform::variant! {
    struct Forbidden: Old => New {
        { bytes } => Str(bytes);
        unrepresentable = forbid;
    }
}

xform::variant! {
    struct StoodFor: Old => New {
        { bytes } => Str(bytes);
        unrepresentable = placeholder(|value| match value {
            New::List(items) => Ok(Old { bytes: items.concat() }),
            New::Str(_) => Err(LensError::failed("has a form")),
        });
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Two {
    Number(i64),
    Pair { left: u8, right: u8 },
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
enum Three {
    Integer { value: i64 },
    Pair(u8, u8),
    Nothing,
    Text(String),
}

xform::variant! {
    struct Grown: Two => Three {
        Number(value) => Integer { value };
        Pair { left, right } => Pair(left, right);
        Nothing => Nothing;
    }
}

#[derive(Debug, PartialEq)]
struct OldEntry {
    value: Old,
}

#[derive(Debug, PartialEq)]
struct NewEntry {
    value: New,
    hits: u64,
}

xform::record! {
    struct EntryLens: OldEntry => NewEntry {
        same value via Forbidden;
        add hits: u64 = 0;
    }
}

fn new() -> impl Strategy<Value = New> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(New::Str),
        prop::collection::vec(any::<Vec<u8>>(), 0..4).prop_map(New::List),
    ]
}

proptest! {
    #[test] // R12
    fn what_has_a_form_on_both_sides_obeys_the_laws(bytes: Vec<u8>, edited: Vec<u8>, right in new()) {
        let there = |value: &mut New| *value = New::Str(edited.clone());
        let here = |value: &mut Old| value.bytes.clone_from(&edited);
        laws::from_left(&Foreign, Old { bytes: bytes.clone() })
            .restored()?.edit_kept(there)?.edits_agree(there, here)?;
        laws::from_left(&StoodFor, Old { bytes })
            .restored()?.edit_kept(there)?.edits_agree(there, here)?;
        laws::from_right(&Foreign, right).restored()?.edit_kept(here)?;
    }

    #[test] // R7, R12
    fn a_stand_in_gives_its_value_back_unless_it_is_edited(right in new(), edited: Vec<u8>) {
        let here = |value: &mut Old| value.bytes.push(1);
        let set = |value: &mut Old| value.bytes.clone_from(&edited);
        let check = laws::from_right(&StoodFor, right).restored()?.edit_kept(here)?.edit_kept(set)?;
        prop_assert_eq!(check.declined(), 0);
    }

    #[test] // R12
    fn every_lens_does_what_it_declares(right in new()) {
        laws::as_declared(&Foreign, right.clone())?;
        laws::as_declared(&Forbidden, right.clone())?;
        laws::as_declared(&StoodFor, right)?;
    }
}

#[test] // R12
fn an_enum_may_gain_variants_and_rename_others() {
    for old in [
        Two::Number(-3),
        Two::Pair { left: 1, right: 2 },
        Two::Nothing,
    ] {
        laws::from_left(&Grown, old).restored().unwrap();
    }
    let number = Grown.forward(Two::Number(7), None).unwrap().0;
    assert_eq!(number, Three::Integer { value: 7 });
    let text = Three::Text("a".into());
    assert!(!Grown.represents(&text) && Grown.represents(&number));
    let error = Grown.backward(text, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
}

#[test] // R12
fn a_record_declares_what_the_strictest_of_its_fields_does() {
    assert_eq!(Foreign.unrepresentable(), Unrepresentable::Foreign);
    assert_eq!(EntryLens.unrepresentable(), Unrepresentable::Forbid);
    assert_eq!(
        (Foreign, StoodFor).unrepresentable(),
        Unrepresentable::Placeholder
    );
    let entry = |value| NewEntry { value, hits: 0 };
    assert!(EntryLens.represents(&entry(New::Str(vec![]))));
    assert!(!EntryLens.represents(&entry(New::List(vec![]))));
    assert!(!(Foreign, Forbidden).represents(&(New::Str(vec![]), New::List(vec![]))));
}

/// A lens with a stand-in by hand, and faults that can be put into it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    ForgetsTheValue,
    TakesTheValueOverAnEdit,
    DeclinesInstead,
    KnowsNotWhich,
    StandsInThoughForbidden,
}

struct Hand(Fault, Cell<Unrepresentable>);

impl Lens for Hand {
    type Left = Old;
    type Right = New;
    type Complement = Residual<Old, New>;

    fn forward(
        &self,
        left: Old,
        kept: Option<Self::Complement>,
    ) -> Result<(New, Self::Complement), LensError> {
        let right = match kept.and_then(|kept| kept.pair) {
            Some(pair) if left == pair.left || self.0 == Fault::TakesTheValueOverAnEdit => {
                pair.right
            }
            _ => New::Str(left.bytes),
        };
        Ok((right, Residual::empty()))
    }

    fn backward(
        &self,
        right: New,
        _: Option<Self::Complement>,
    ) -> Result<(Old, Self::Complement), LensError> {
        match right {
            New::Str(bytes) => Ok((Old { bytes }, Residual::empty())),
            New::List(_) if self.0 == Fault::DeclinesInstead => {
                Err(LensError::unrepresentable("a list"))
            }
            New::List(items) => {
                let stand_in = Old {
                    bytes: items.concat(),
                };
                let kept = match self.0 {
                    Fault::ForgetsTheValue => Residual::empty(),
                    _ => Residual::of(stand_in.clone(), New::List(items)),
                };
                Ok((stand_in, kept))
            }
        }
    }

    fn is_vacant(&self, kept: &Self::Complement) -> bool {
        kept.pair.is_none()
    }

    fn unrepresentable(&self) -> Unrepresentable {
        self.1.get()
    }

    fn represents(&self, right: &New) -> bool {
        matches!(right, New::Str(_)) || self.0 == Fault::KnowsNotWhich
    }
}

fn check(fault: Fault) -> Result<(), laws::Broken> {
    let lens = Hand(fault, Cell::new(Unrepresentable::Placeholder));
    let list = || New::List(vec![b"ab".to_vec(), b"c".to_vec()]);
    laws::as_declared(&lens, list())?;
    laws::from_right(&lens, list())
        .restored()?
        .edit_kept(|old| old.bytes.push(b'd'))?;
    lens.1.set(Unrepresentable::Forbid);
    match fault {
        Fault::KnowsNotWhich => laws::as_declared(&Forgetful, list()),
        Fault::StandsInThoughForbidden => laws::as_declared(&lens, list()),
        _ => Ok(()),
    }
}

/// Forbids lists, and says that every value has a form.
struct Forgetful;

impl Lens for Forgetful {
    type Left = Old;
    type Right = New;
    type Complement = ();

    fn forward(&self, left: Old, kept: Option<()>) -> Result<(New, ()), LensError> {
        Forbidden.forward(left, kept)
    }

    fn backward(&self, right: New, kept: Option<()>) -> Result<(Old, ()), LensError> {
        Forbidden.backward(right, kept)
    }

    fn unrepresentable(&self) -> Unrepresentable {
        Unrepresentable::Forbid
    }
}

#[test] // R12
fn every_wrong_way_with_values_without_a_form_is_caught_by_the_law_it_breaks() {
    check(Fault::None).unwrap();
    let faults = [
        (Fault::ForgetsTheValue, Law::Restored),
        (Fault::TakesTheValueOverAnEdit, Law::EditKept),
        (Fault::DeclinesInstead, Law::AsDeclared),
        (Fault::KnowsNotWhich, Law::AsDeclared),
        (Fault::StandsInThoughForbidden, Law::AsDeclared),
    ];
    for (fault, law) in faults {
        let broken = check(fault).expect_err(&format!("{fault:?} goes unnoticed"));
        assert_eq!(broken.law, law, "{fault:?}: {broken}");
    }
}
