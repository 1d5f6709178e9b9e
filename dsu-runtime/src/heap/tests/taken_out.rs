//! What a visitor takes out of a container: a panic in the middle leaves what is there, each once.

use super::super::{Activity, HeapAccount, SharedBytes, SharedDeque, SharedMap, SharedOrderedMap};
use super::super::{Inline, Shared, SharedVec, Visitor};
use super::{as_worker, test_name};
use crate::ids::Tag;
use dsu_macros::Shared;
use std::alloc::Layout;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

thread_local! {
    /// The element whose drop panics, once.
    static BOMB: Cell<u64> = const { Cell::new(u64::MAX) };
    static DROPS: std::cell::RefCell<BTreeMap<u64, u32>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

#[derive(Shared)]
#[shared(inline)]
struct Touchy {
    number: u64,
    text: SharedBytes,
}

impl Drop for Touchy {
    fn drop(&mut self) {
        DROPS.with_borrow_mut(|drops| *drops.entry(self.number).or_default() += 1);
        if BOMB.get() == self.number {
            BOMB.set(u64::MAX);
            panic!("as it was told");
        }
    }
}

fn touchy(number: u64) -> Touchy {
    let text = SharedBytes::from_slice(&[number as u8; 100]).expect("room");
    Touchy { number, text }
}

/// Takes out every third element that it is shown, or panics at one.
struct Taker {
    shown: u64,
    panics_at: u64,
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Taker {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}
    fn versioned(&mut self, _: &mut u64, _: Tag) {}
    fn changes_boxes(&self) -> bool {
        true
    }
    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }
    fn begin_element(&mut self) -> u64 {
        assert_ne!(self.shown, self.panics_at, "as it was told");
        self.shown += 1;
        0
    }
    fn takes_out(&mut self, _: u64) -> bool {
        self.shown % 3 == 1
    }
}

const COUNT: u64 = 12;

/// Tries every element's drop, and the visit of every element; `numbers` says what is there.
fn everywhere<C: Shared>(make: impl Fn() -> C, numbers: impl Fn(&C) -> Vec<u64>) {
    let moments = (0..=COUNT).flat_map(|at| [(at, u64::MAX), (u64::MAX, at)]);
    for (bomb, panics_at) in moments {
        DROPS.take();
        let mut container = make();
        BOMB.set(bomb);
        let mut taker = Taker {
            shown: 0,
            panics_at,
        };
        let walk = AssertUnwindSafe(|| container.visit(&mut taker));
        let _panicked_or_not = catch_unwind(walk);
        BOMB.set(u64::MAX);
        let left = numbers(&container);
        let dropped: Vec<u64> = DROPS.with_borrow(|drops| drops.keys().copied().collect());
        let mut all = [left, dropped].concat();
        all.sort();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>(), "{bomb} {panics_at}");
        drop(container);
        DROPS.with_borrow(|drops| assert!(drops.values().all(|n| *n == 1), "{drops:?}"));
        let account = HeapAccount::take(Activity::Live);
        assert_eq!(account.findings, [""; 0]);
        assert_eq!(account.used_bytes, 0, "{bomb} {panics_at}");
    }
}

// R13
#[test]
fn a_panic_while_elements_are_taken_out_leaves_the_others_once() {
    let name = test_name!("a_panic_while_elements_are_taken_out_leaves_the_others_once");
    as_worker(name, || {
        everywhere(
            || {
                let mut vec = SharedVec::new();
                (0..COUNT).for_each(|n| vec.push(touchy(n)).expect("room"));
                vec
            },
            |vec: &SharedVec<Touchy>| vec.cells().iter().map(|Inline(t)| t.number).collect(),
        );
        everywhere(
            || {
                let mut queue = SharedDeque::new();
                (COUNT / 2..COUNT).for_each(|n| queue.push_back(touchy(n)).expect("room"));
                let front = (0..COUNT / 2).rev();
                front.for_each(|n| queue.push_front(touchy(n)).expect("room"));
                queue
            },
            |queue: &SharedDeque<Touchy>| {
                let elements = queue.iter().map(|t| t.expect("inline").number);
                elements.collect()
            },
        );
        everywhere(
            || {
                let mut map = SharedMap::new();
                (0..COUNT).for_each(|n| drop(map.insert(n, touchy(n)).expect("room")));
                map
            },
            |map: &SharedMap<u64, Touchy>| map.iter().map(|(n, _)| *n).collect(),
        );
        everywhere(
            || {
                // Keys so wide that there are several nodes.
                let mut map = SharedOrderedMap::new();
                (0..COUNT).for_each(|n| drop(map.insert([n; 20], touchy(n)).expect("room")));
                map
            },
            |map: &SharedOrderedMap<[u64; 20], Touchy>| map.keys().map(|key| key[0]).collect(),
        );
    });
}
