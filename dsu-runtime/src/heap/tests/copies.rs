//! R20: converted copies for readers: one a box and section, bounded, gone with the last guard.

use super::super::testing::{begin_section, with_regions};
use super::super::transaction::end_guard;
use super::super::{HeapLimits, SharedVec, Versioned, release_scratch};
use super::lenses::{NOTE, New, Old, bind, new};
use super::{Owned, allocated, as_worker, failing_after, test_name};
use crate::abi::WorkerContext;
use crate::error::AccessError;
use crate::ids::WorkerSlot;
use std::ptr;

// R20
#[test]
fn reading_a_foreign_box_again_converts_it_no_second_time() {
    let name = test_name!("reading_a_foreign_box_again_converts_it_no_second_time");
    as_worker(name, || {
        bind();
        let boxes: Vec<Versioned<Old>> = (0..500).map(|n| new(n, NOTE).rebind()).collect();
        let copies: Vec<*const Old> = boxes
            .iter()
            .map(|stored| ptr::from_ref(stored.get().expect("has an old form")))
            .collect();
        let after_one = allocated();
        for _ in 0..50 {
            for (stored, copy) in boxes.iter().zip(&copies) {
                assert!(ptr::eq(stored.get().expect("has an old form"), *copy));
            }
        }
        assert_eq!(allocated(), after_one);
        drop(boxes);
    });
}

// R20
#[test]
fn copy_stays_readable_but_is_not_given_again_once_a_guard_is_released() {
    let name = test_name!("copy_stays_readable_but_is_not_given_again_once_a_guard_is_released");
    as_worker(name, || {
        bind();
        let mut stored = new(5, NOTE);
        let before = allocated();
        let reader = |stored: &mut Versioned<New>| -> *const Old {
            // SAFETY: the same box, seen by an older version; never dropped as such.
            let same = unsafe { ptr::read(stored) }.rebind::<Old>();
            let copy = ptr::from_ref(same.get().expect("has an old form"));
            std::mem::forget(same);
            copy
        };
        let first = reader(&mut stored);
        end_guard(1);
        // Another worker takes the guard that was released, and edits.
        stored.get_mut().expect("its own form").count = 99;
        let second = reader(&mut stored);
        // SAFETY: scratch copies, which live until the last guard goes.
        unsafe { assert_eq!(((*first).count, (*second).count), (1, 99)) };
        end_guard(0);
        assert_eq!(allocated(), before);
    });
}

// R20
#[test]
fn box_that_was_edited_or_dropped_is_not_read_from_a_copy() {
    let name = test_name!("box_that_was_edited_or_dropped_is_not_read_from_a_copy");
    as_worker(name, || {
        bind();
        let mut stored = new(5, NOTE).rebind::<Old>();
        assert_eq!(stored.get().expect("has an old form").count, 1);
        stored.get_mut().expect("has an old form").count = 2;
        assert_eq!(stored.get().expect("its own form").count, 2);
        // The next box may lie where the one before lay.
        for count in 3..50 {
            let mut next = new(5, NOTE);
            next.get_mut().expect("its own form").count = count;
            let next = next.rebind::<Old>();
            assert_eq!(next.get().expect("has an old form").count, count);
        }
    });
}

// R20: whatever type the box has meanwhile.
#[test]
fn box_that_was_edited_in_its_own_form_is_not_read_from_a_copy() {
    let name = test_name!("box_that_was_edited_in_its_own_form_is_not_read_from_a_copy");
    as_worker(name, || {
        bind();
        let mut stored = new(5, NOTE);
        let mut many: SharedVec<New> = SharedVec::new();
        many.push(New::default()).expect("room");
        for count in 1..9 {
            stored.get_mut().expect("its own form").count = count;
            many.get_mut(0).expect("its own form").expect("there").count = count;
            let (old, all) = (stored.rebind::<Old>(), many.rebind::<Old>());
            assert_eq!(old.get().expect("has an old form").count, count);
            let first = all.get(0).expect("has an old form").expect("there");
            assert_eq!(first.count, count);
            (stored, many) = (old.rebind(), all.rebind());
        }
        drop((stored, many));
    });
}

// R20
#[test]
fn no_copy_is_made_for_who_holds_no_guard() {
    let name = test_name!("no_copy_is_made_for_who_holds_no_guard");
    as_worker(name, || {
        bind();
        let mut taken_out: SharedVec<New> = SharedVec::new();
        taken_out.push(New::default()).expect("room");
        let mut taken_out = taken_out.rebind::<Old>();
        assert!(taken_out.get(0).is_ok());
        end_guard(0);
        WorkerContext::current().end_section();
        let before = allocated();
        let refused = taken_out.get(0).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|reason| reason.contains("hold a guard")));
        assert_eq!(allocated(), before);
        assert!(taken_out.get_mut(0).is_ok_and(|value| value.is_some()));
        assert!(taken_out.get(0).is_ok(), "it is in this version's form now");
    });
}

// R20
#[test]
fn copies_are_read_on_a_full_heap_and_only_a_process_without_memory_has_none() {
    let name =
        test_name!("copies_are_read_on_a_full_heap_and_only_a_process_without_memory_has_none");
    let limits = HeapLimits {
        heap_bytes: 2 << 20,
        reserve_bytes: 0,
    };
    with_regions(name, limits, || {
        WorkerContext::current().attach(WorkerSlot(0));
        begin_section();
        bind();
        let mut boxes: SharedVec<New> = SharedVec::new();
        boxes.try_reserve(10_000).expect("room");
        let full = loop {
            let value = New {
                count: boxes.len() as u64,
                ..New::default()
            };
            if let Err(full) = boxes.push(value) {
                break full;
            }
        };
        assert_eq!(AccessError::from(full), AccessError::HeapFull);
        let mut boxes = boxes.rebind::<Old>();
        let before = Owned::of(&mut boxes).bytes();
        let count = |n: usize| boxes.get(n).map(|value| value.expect("is there").count);
        assert_eq!(
            failing_after(0, || count(0)),
            Err(AccessError::HeapFull),
            "without memory there is no copy"
        );
        for n in 0..boxes.len() {
            assert_eq!(count(n), Ok(n as u64));
        }
        release_scratch();
        assert_eq!(count(0), Ok(0));
        release_scratch();
        assert_eq!(Owned::of(&mut boxes).bytes(), before);
        drop(boxes);
        assert_eq!(allocated(), []);
    });
}
