//! What a crossing allocates: what the target type needs, once, and nothing else.
#![allow(unsafe_code)] // counts allocations, which only a global allocator sees

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use xform::{Lens, chain, each};

thread_local! {
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does the work; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTED.set(COUNTED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNTED.set(COUNTED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNTED.get();
    let result = work();
    (result, COUNTED.get() - before)
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct Old {
    name: String,
    hits: u32,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = Old)]
struct Middle {
    name: String,
    #[lens(rename = hits)]
    reads: u32,
    #[lens(add)]
    writes: u32,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = Middle, drop(reads))]
struct New {
    name: String,
    writes: u32,
    #[lens(add = 7)]
    class: u8,
}

fn olds(count: u32) -> Vec<Old> {
    let each = |hits| Old {
        name: format!("name {hits}"),
        hits,
    };
    (0..count).map(each).collect()
}

#[test]
fn an_element_allocates_nothing() {
    let old = olds(1).remove(0);
    let ((right, kept), there) = counted(|| MiddleLens.forward(old, None).unwrap());
    let ((left, _), back) = counted(|| MiddleLens.backward(right, Some(kept)).unwrap());
    assert_eq!((there, back), (0, 0));
    let chained = chain!(MiddleLens, NewLens);
    let ((right, kept), there) = counted(|| chained.forward(left, None).unwrap());
    let (_, back) = counted(|| chained.backward(right, Some(kept)).unwrap());
    assert_eq!((there, back), (0, 0));
}

#[test]
fn a_vector_allocates_the_new_one_and_where_something_is_kept_one_place_for_it() {
    let lens = each::vec_by_position(MiddleLens);
    let old = olds(1000);
    let ((right, kept), there) = counted(|| lens.forward(old, None).unwrap());
    assert_eq!(there, 1);
    let ((_, kept), back) = counted(|| lens.backward(right, Some(kept)).unwrap());
    assert_eq!((back, kept.len()), (2, 1000));
}

#[test]
fn a_map_allocates_what_the_same_map_built_by_hand_does() {
    let named = |all: Vec<Old>| -> BTreeMap<u32, Old> {
        all.into_iter().map(|old| (old.hits, old)).collect()
    };
    let (by_hand, through) = (named(olds(1000)), named(olds(1000)));
    let (expected, expected_count) = counted(|| {
        let mut all = BTreeMap::new();
        for (key, old) in by_hand {
            let new = Middle {
                name: old.name,
                reads: old.hits,
                writes: 0,
            };
            all.insert(key, new);
        }
        all
    });
    let lens = each::btree_map(MiddleLens);
    let ((found, _), count) = counted(|| lens.forward(through, None).unwrap());
    assert_eq!(found, expected);
    assert_eq!(count, expected_count);
}
