//! Wrap, re-key, partition, derived parts, watched parts and inverses, each against the laws.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xform::laws;
use xform::{
    Directions, ErrorKind, Inverse, Kept, Lens, LensError, Losses, Part, Partition, Rekey, Toward,
    Unrepresentable, Wrap, add, chain, compose, convert, derived, drop, each, exact, identity,
    inverse, partition, rekey, reset_when_written, total, wrap,
};

type Stand = fn() -> Result<u8, LensError>;

fn nobody() -> Result<u8, LensError> {
    Ok(7)
}

fn none() -> Result<u8, LensError> {
    Err(LensError::unrepresentable("nothing is in it"))
}

fn in_option(stand_in: Stand) -> Wrap<Option<u8>, Stand> {
    wrap(stand_in)
}

fn out_of_vector() -> Inverse<Wrap<Vec<u8>, Stand>> {
    inverse(wrap(nobody as Stand))
}

xform::lens_laws! {
    mod a_wrapped_value: in_option(nobody);
    older: any::<u8>();
    newer: any::<Option<u8>>();
    edit set(8..99_u8): |old, to| *old = *to, |new, to| *new = Some(*to);
}

xform::lens_laws! {
    mod a_wrapped_value_that_may_have_no_older_form: in_option(none);
    older: any::<u8>();
    newer: any::<Option<u8>>();
    edit set(8..99_u8): |old, to| *old = *to, |new, to| *new = Some(*to);
}

xform::lens_laws! {
    mod an_unwrapped_value: out_of_vector();
    older: prop::collection::vec(any::<u8>(), 0..4);
    newer: any::<u8>();
    edit first(8..99_u8): |old, to| match old.first_mut() {
        Some(first) => *first = *to,
        None => old.push(*to),
    }, |new, to| *new = *to;
}

type Names = BTreeMap<String, u8>;
type Key = fn(&String) -> Result<String, LensError>;

fn lower() -> Rekey<Names, Names, Key, Key> {
    rekey(|name| Ok(name.to_lowercase()), |name| Ok(name.clone()))
}

fn names() -> impl Strategy<Value = Names> {
    prop::collection::btree_map("[abAB]{0,2}", any::<u8>(), 0..4)
}

xform::lens_laws! {
    mod a_map_with_other_keys: lower();
    older: names();
    newer: names();
    edit insert(any::<u8>()): |old, to| { old.insert("c".into(), *to); },
        |new, to| { new.insert("c".into(), *to); };
    edit write_all(any::<u8>()): |old, to| for value in old.values_mut() { *value = *to },
        |new, to| for value in new.values_mut() { *value = *to };
}

type Numbers = BTreeMap<u8, i8>;
type Sign = fn(&u8, &i8) -> Part;

fn by_sign() -> Partition<Numbers, Numbers, Numbers, Sign> {
    partition(|_, value| match *value < 0 {
        true => Part::Second,
        false => Part::First,
    })
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop::collection::btree_map(any::<u8>(), any::<i8>(), 0..6)
}

xform::lens_laws! {
    mod a_map_that_becomes_two: by_sign();
    older: numbers();
    newer: (numbers(), numbers());
    edit remove(any::<u8>()): |old, to| { old.remove(to); },
        |(first, second), to| { first.remove(to); second.remove(to); };
    edit write_all(1..9_i8): |old, to| for value in old.values_mut() { *value = value.signum() * to },
        |(first, second), to| for value in first.values_mut().chain(second.values_mut()) { *value = value.signum() * to };
}

type Seconds = xform::Convert<u64, u64>;

fn seconds() -> Seconds {
    convert(|ms| Ok(ms / 1000), |s: &u64| Ok(s.wrapping_mul(1000)))
}

xform::lens_laws! {
    mod a_residual_beside_a_watched_part: reset_when_written::<u8, Seconds>(seconds());
    older: any::<(u8, u64)>();
    newer: (any::<u8>(), 0..u64::MAX / 1000);
    edit set(0..9_u64): |old, to| *old = (0, to * 1000), |new, to| *new = (0, *to);
}

proptest! {
    #[test]
    fn elements_may_be_rearranged_on_either_side(older: Vec<u64>, newer: Vec<u8>, a: usize, b: usize) {
        // R8: keyed by the value, which is unique
        let older: Vec<u64> = older.iter().enumerate().map(|(i, &x)| (x % 1000) + i as u64 * 1000).collect();
        let newer: Vec<u64> = (0..newer.len() as u64).collect();
        let lens = each::vec_by_key(seconds(), (|ms: &u64| ms / 1000, |s: &u64| *s));
        laws::rearranged(&lens, older, newer, a, b)?;
    }
}

#[test]
fn a_write_of_the_watched_part_ends_what_was_kept_and_one_of_another_does_not() {
    // R7
    let lens = reset_when_written::<u8, _>(seconds());
    let ((watched, s), kept) = lens.forward((1, 1_999), None).unwrap();
    assert_eq!((watched, s), (1, 1));
    let back = |watched, kept| lens.backward((watched, 1), kept).unwrap().0.1;
    assert_eq!(back(1, Some(kept.clone())), 1_999);
    assert_eq!(back(2, Some(kept)), 1_000);
}

#[test]
fn a_watched_part_is_not_copied_while_nothing_waits() {
    let lens = reset_when_written::<u8, _>(add(|| Ok(0_u64)));
    let (_, kept) = lens.forward((1, ()), None).unwrap();
    assert!(lens.is_vacant(&kept));
    assert_eq!(kept.1, (Kept::empty(), Kept::empty()));
}

#[test]
fn what_is_derived_is_computed_anew_and_never_kept() {
    // R9
    let entries = [1, 2, 3];
    let count = derived(|| Ok(entries.len()));
    assert_eq!(count.forward((), None).unwrap(), (3, ()));
    assert_eq!(count.backward(99, None).unwrap(), ((), ()));
    assert_eq!(count.forward((), Some(())).unwrap().0, 3);
}

#[test]
fn two_keys_that_become_one_are_unrepresentable_and_both_are_named() {
    // R15
    let map = [("A".to_owned(), 1), ("a".to_owned(), 2)].into();
    let error = lower().forward(map, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    let text = r#"the keys "A" and "a" would both become "a""#;
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_key_in_both_maps_cannot_be_joined_and_is_named() {
    let both = ([(3, 1)].into(), [(3, -1)].into());
    let error = by_sign().backward(both, None).unwrap_err();
    assert_eq!(error.to_string(), "[3]: the key is in both maps");
}

#[test]
fn a_map_may_become_several_and_come_together_again() {
    let parts = compose(by_sign(), (identity::<Numbers>(), by_sign()));
    let left: Numbers = [(1, 5), (2, -5), (3, 0)].into();
    let (right, kept) = parts.forward(left.clone(), None).unwrap();
    assert_eq!(right.0.len(), 2);
    assert_eq!(parts.backward(right, Some(kept)).unwrap().0, left);
}

#[test]
fn a_container_declares_what_its_elements_do() {
    // R12
    mod types {
        #[derive(Clone, Debug, PartialEq)]
        pub enum One {
            A,
        }
        #[derive(Clone, Debug, PartialEq)]
        pub enum Two {
            A,
            B,
        }
        xform::variant! {
            pub struct Grown: One => Two { A => A; unrepresentable = forbid; }
        }
    }
    use types::{Grown, Two};
    let rows = each::vec_by_position(Grown);
    assert_eq!(rows.unrepresentable(), Unrepresentable::Forbid);
    assert!(rows.represents(&vec![Two::A]));
    assert!(!rows.represents(&vec![Two::A, Two::B]));
    let map = each::btree_map::<u8, _>(Grown);
    assert!(!map.represents(&[(1, Two::B)].into()));
    assert!(!each::option(Grown).represents(&Some(Two::B)));
    laws::as_declared(&rows, vec![Two::B]).unwrap();
}

#[test]
fn the_ways_of_a_lens_stand_in_its_type() {
    // R14
    const fn ways<L: Lens>(_: &L) -> Directions {
        L::DIRECTIONS
    }
    let one_way = chain!(
        exact(|x: u8| Ok(u16::from(x)), |x: u16| Ok(x as u8)),
        xform::one_way(|x: u16| Ok(x.to_string())),
    );
    assert_eq!(ways(&one_way), Directions::ForwardOnly);
    assert_eq!(ways(&each::vec_by_position(seconds())), Directions::Both);
}

#[test]
fn what_goes_back_without_a_complement_is_lossy_and_said_before() {
    // R10
    let entry = (
        drop(|| Ok(0_u8)),
        add(|| Ok(0_u64)),
        each::vec_by_position((identity::<u8>(), seconds())),
        convert(total(|x: &u8| *x), total(|x: &u8| *x)),
    );
    let back = Losses::of(&entry, "Entry", Toward::Older);
    assert_eq!(back.to_string(), "lossy: Entry.0, Entry.2[].1, Entry.3");
    let on = Losses::of(&entry, "Entry", Toward::Newer);
    assert_eq!(on.to_string(), "lossy: Entry.1, Entry.2[].1, Entry.3");
    let turned = Losses::of(&inverse(add(|| Ok(0_u64))), "Flags", Toward::Older);
    assert_eq!(turned.to_string(), "lossy: Flags");
    assert_eq!(
        Losses::of(&identity::<u8>(), "x", Toward::Older).to_string(),
        "lossy: nothing"
    );
}

#[test]
fn live_values_are_checked_as_they_are_met() {
    let lens = exact(
        |x: u64| u8::try_from(x).map_err(|_| LensError::unrepresentable("more than a byte")),
        |x: u8| Ok(u64::from(x)),
    );
    let tally = laws::rehearse(&lens, [1, 2, 300]).unwrap();
    assert_eq!((tally.held, tally.declined), (2, 1));
    let wrong = exact(|x: u8| Ok(x.wrapping_add(1)), |x: u8| Ok(x));
    assert!(laws::rehearse(&wrong, [1]).is_err());
}
