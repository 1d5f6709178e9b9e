//! The small lenses and their combinations, each against the laws.

use proptest::prelude::*;
use xform::laws;
use xform::{
    Directions, ErrorKind, Kept, Lens, LensError, Residual, add, compose, convert, drop, each,
    exact, identity, one_way, total,
};

/// Milliseconds to seconds: loses something forward, may fail backward.
fn seconds() -> impl Lens<Left = u64, Right = u64, Complement = Residual<u64, u64>> {
    convert(total(|ms: &u64| ms / 1000), |s: &u64| {
        s.checked_mul(1000)
            .ok_or(LensError::unrepresentable("too far away"))
    })
}

/// A percentage to a fraction of 256: either way can lose something.
fn share() -> impl Lens<Left = u8, Right = u8, Complement = Residual<u8, u8>> {
    convert(
        total(|percent: &u8| (u16::from(*percent) * 256 / 100).min(255) as u8),
        total(|part: &u8| (u16::from(*part) * 100 / 256) as u8),
    )
}

fn negated() -> impl Lens<Left = i64, Right = i64, Complement = ()> {
    exact(|x: i64| Ok(!x), |x: i64| Ok(!x))
}

proptest! {
    #[test]
    fn identity_obeys_the_laws(value: String, edited: String) {
        let set = |value: &mut String| value.clone_from(&edited);
        laws::from_left(&identity(), value.clone())
            .restored()?.edit_kept(set)?.edits_agree(set, set)?;
        laws::from_right(&identity(), value)
            .restored()?.edit_kept(set)?.edits_agree(set, set)?;
    }

    #[test]
    fn an_added_part_keeps_its_value_over_a_trip_to_the_old_side(value: u32) {
        let lens = add(|| Ok(17_u32));
        laws::from_left(&lens, ()).restored()?.edit_kept(|right| *right = value)?;
        laws::from_right(&lens, value).restored()?;
    }

    #[test]
    fn a_dropped_part_keeps_its_value_over_a_trip_to_the_new_side(value: u32) {
        let lens = drop(|| Ok(17_u32));
        laws::from_left(&lens, value).restored()?;
        laws::from_right(&lens, ()).restored()?.edit_kept(|left| *left = value)?;
    }

    #[test]
    fn a_conversion_restores_what_it_lost(ms: u64, s: u64, to: u64) {
        // R7
        let lens = seconds();
        laws::from_left(&lens, ms).restored()?.edit_kept(|s| *s = to)?;
        laws::from_right(&lens, s).restored()?.edit_kept(|ms| *ms = to)?;
    }

    #[test]
    fn a_conversion_that_loses_either_way_obeys_the_laws(left: u8, right: u8, to: u8) {
        // R7
        let lens = share();
        laws::from_left(&lens, left).restored()?.edit_kept(|part| *part = to)?;
        laws::from_right(&lens, right).restored()?.edit_kept(|percent| *percent = to)?;
    }

    #[test]
    fn an_exact_conversion_obeys_the_laws(left: i64, right: i64, to: i64) {
        let lens = negated();
        laws::from_left(&lens, left)
            .restored()?.edit_kept(|x| *x = to)?.edits_agree(|x| *x = to, |x| *x = !to)?;
        laws::from_right(&lens, right)
            .restored()?.edit_kept(|x| *x = to)?.edits_agree(|x| *x = to, |x| *x = !to)?;
    }

    #[test]
    fn a_composition_obeys_the_laws_of_its_parts(
        left in 0..1_000_u64, right: u64, to in 0..1_000_u64
    ) {
        // Each of the three steps loses something.
        let lens = compose(compose(seconds(), seconds()), convert(total(|x: &u64| x / 7), total(|x: &u64| x.wrapping_mul(7))));
        laws::from_left(&lens, left * 123_456_789).restored()?.edit_kept(|x| *x = to)?;
        laws::from_right(&lens, right % (1 << 40)).restored()?.edit_kept(|x| *x = to)?;
    }

    #[test]
    fn parts_of_a_product_do_not_disturb_each_other(a: u64, b: u8, kept: String, to: u8) {
        let lens = (seconds(), share(), identity::<bool>(), drop(|| Ok(String::new())), add(|| Ok(1_u8)));
        laws::from_left(&lens, (a, b, true, kept, ()))
            .restored()?
            .edit_kept(|right| { right.1 = to; right.4 = to; })?
            .edits_agree(|right| right.2 = false, |left| left.2 = false)?;
        laws::from_right(&lens, (a % (1 << 40), b, true, (), to))
            .restored()?
            .edit_kept(|left| left.0 = u64::from(to))?
            .edits_agree(|left| left.2 = false, |right| right.2 = false)?;
    }

    #[test]
    fn what_may_be_absent_keeps_its_complement_while_it_is_there(value in prop::option::of(any::<u64>())) {
        // R6
        let lens = each::option(seconds());
        laws::from_left(&lens, value)
            .restored()?
            .edits_agree(|s| *s = None, |ms| *ms = None)?
            .edits_agree(|s| *s = Some(3), |ms| *ms = Some(match *ms {
                Some(same) if same / 1000 == 3 => same,
                _ => 3000,
            }))?;
        laws::from_right(&lens, value).restored()?;
    }
}

#[test]
fn an_image_that_comes_back_unchanged_gives_the_original_and_a_changed_one_does_not() {
    // R7
    let (s, kept) = seconds().forward(1_999, None).unwrap();
    assert_eq!((s, &kept), (1, &Residual::of(1_999, 1)));
    assert_eq!(
        seconds().backward(1, Some(kept.clone())).unwrap(),
        (1_999, Residual::empty())
    );
    assert_eq!(seconds().backward(5, Some(kept)).unwrap().0, 5_000);
}

#[test]
fn a_replaced_value_takes_defaults() {
    // R6: the box has no complement for it
    assert_eq!(add(|| Ok(17)).forward((), None).unwrap().0, 17);
    assert_eq!(drop(|| Ok(17)).backward((), None).unwrap().0, 17);
    assert_eq!(seconds().backward(1, None).unwrap().0, 1_000);
}

#[test]
fn a_removed_value_takes_its_complement_with_it() {
    // R6
    let lens = each::option(seconds());
    let (_, kept) = lens.forward(Some(1_999), None).unwrap();
    let (none, kept) = lens.backward(None, Some(kept)).unwrap();
    assert_eq!(none, None);
    let (_, kept) = lens.forward(none, Some(kept)).unwrap();
    assert_eq!(lens.backward(Some(1), Some(kept)).unwrap().0, Some(1_000));
}

#[test]
fn a_value_moves_and_its_memory_with_it() {
    let lens = (identity::<String>(), drop(|| Ok(String::new())));
    let (a, b) = ("moved".to_owned(), "kept".to_owned());
    let (at_a, at_b) = (a.as_ptr(), b.as_ptr());
    let ((a, ()), kept) = lens.forward((a, b), None).unwrap();
    let ((a, b), _) = lens.backward((a, ()), Some(kept)).unwrap();
    assert_eq!((a.as_ptr(), b.as_ptr()), (at_a, at_b));
}

#[test]
fn a_complement_that_says_nothing_takes_no_room() {
    fn size<L: Lens>(_: &L) -> usize {
        size_of::<L::Complement>()
    }
    assert_eq!(size(&compose(negated(), identity())), 0);
    assert_eq!(size(&(negated(), identity::<String>())), 0);
    let (_, kept) = each::btree_map(negated())
        .forward([("a", 1), ("b", 2)].into(), None)
        .unwrap();
    assert!(kept.is_empty());
}

#[test]
fn a_fallible_way_says_what_stopped_it_and_where() {
    let lens = each::vec_by_position((identity::<u8>(), seconds()));
    let error = lens
        .backward(vec![(1, 1), (2, u64::MAX)], None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    assert_eq!(error.to_string(), "[1].1: too far away");

    let error = each::hash_map(seconds())
        .backward([("far", u64::MAX)].into(), None)
        .unwrap_err();
    assert_eq!(error.to_string(), "[\"far\"]: too far away");
}

#[test]
fn a_lens_goes_only_the_ways_that_all_its_parts_go() {
    // R14
    let hashed = || one_way(|name: String| Ok(name.len()));
    assert_eq!(hashed().directions(), Directions::ForwardOnly);
    assert_eq!(
        compose(identity(), hashed()).directions(),
        Directions::ForwardOnly
    );
    assert_eq!(
        (identity::<u8>(), each::option(hashed())).directions(),
        Directions::ForwardOnly
    );
    assert_eq!(
        each::vec_by_position(seconds()).directions(),
        Directions::Both
    );
    let error = hashed().backward(3, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    laws::from_left(&hashed(), "abc".to_owned())
        .restored()
        .unwrap();
    laws::from_right(&hashed(), 3).restored().unwrap();
}

#[test]
fn a_default_may_borrow_what_it_is_computed_from() {
    let rest = String::from("four");
    let lens = add(|| Ok(rest.len()));
    assert_eq!(lens.forward((), None).unwrap(), (4, Kept::empty()));
    assert_eq!(lens.forward((), Some(Kept::of(9))).unwrap().0, 9);
}
