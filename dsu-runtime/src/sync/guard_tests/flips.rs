//! From one version's representation to the other's.

use super::world::*;
use crate::error::LockError;
use crate::heap::testing::test_name;
use crate::sync::{Class, GuardSlot};
use crate::worker::Worker;

fn assert_old(cx: &Worker, hits: u64) {
    let guard = WORLD_OLD.lock(cx).expect("free and sound");
    assert_eq!((guard.totals.hits, guard.count), (hits, 5));
    assert_eq!(guard.totals.label.as_slice(), LABEL);
}

// R3
#[test]
fn one_store_publishes_all_items_and_each_version_sees_the_others_edits() {
    let name = test_name!("one_store_publishes_all_items_and_each_version_sees_the_others_edits");
    with_world(name, || {
        play(0, |cx| {
            make_totals(cx);
            {
                let mut guard = WORLD_NEW.lock(cx).expect("free and sound");
                assert_eq!((guard.totals.hits, guard.count), (5, 5));
                assert_eq!(guard.totals.note.as_slice(), NOTE);
                guard.totals.hits = 6;
            }
            assert_old(cx, 6);
        });
    });
}

// R3
#[test]
fn a_transformer_that_fails_or_panics_leaves_root_items_and_heap_as_they_were() {
    let name =
        test_name!("a_transformer_that_fails_or_panics_leaves_root_items_and_heap_as_they_were");
    with_world(name, || {
        play(0, |cx| {
            make_totals(cx);
            let before = state();
            for manner in [Manner::Fail, Manner::Panic] {
                lens_shall(manner);
                match WORLD_NEW.lock(cx).err() {
                    Some(LockError::TransformFailed(what)) => {
                        // R28: guard, direction, item, reason
                        let named = "guard WORLD_NEW, forward: item totals: ";
                        assert!(
                            what.contains(named) && what.contains("as it was told"),
                            "{what}"
                        );
                    }
                    other => panic!("it did not fail: {other:?}"),
                }
                assert_eq!(state(), before);
                assert!(
                    GuardSlot::at(TOTALS).lock.welcomes(Class::Odd),
                    "the item stays where it is"
                );
                assert_old(cx, 5);
            }
            lens_shall(Manner::Succeed);
            assert_eq!(WORLD_NEW.lock(cx).expect("sound").totals.hits, 5);
        });
    });
}

// R3
#[test]
fn a_failure_on_the_way_back_leaves_the_newer_form() {
    let name = test_name!("a_failure_on_the_way_back_leaves_the_newer_form");
    with_world(name, || {
        play(0, |cx| {
            make_totals(cx);
            drop(WORLD_NEW.lock(cx));
            let before = state();
            lens_shall(Manner::Fail);
            assert!(matches!(
                WORLD_OLD.lock(cx).err(),
                Some(LockError::TransformFailed(_))
            ));
            assert_eq!(state(), before);
            assert!(WORLD_NEW.lock(cx).is_ok(), "it needs no transformer");
        });
    });
}
