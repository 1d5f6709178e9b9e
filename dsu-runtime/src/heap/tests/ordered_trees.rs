//! The tree of an ordered map where something goes wrong: comparisons and destructors that panic, bytes that
//! make no sense, conversions that are taken back or find no room.

use super::super::Shared;
use super::super::{
    Activity, HeapAccount, SharedBytes, SharedOrderedMap, transaction::Transaction,
};
use super::{Owned, allocated, as_worker, failing_after, test_name};
use dsu_macros::Shared;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

thread_local! {
    /// Comparisons until one panics.
    static COMPARISONS: Cell<u64> = const { Cell::new(u64::MAX) };
    /// The key whose drop panics, once.
    static BOMB: Cell<u64> = const { Cell::new(u64::MAX) };
    static DROPPED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// A key that can panic when it is compared, and when it is dropped.
#[derive(Shared, PartialEq, Eq)]
#[shared(inline)]
struct Touchy {
    number: u64,
    text: SharedBytes,
    rest: [u64; 20],
}

impl PartialOrd for Touchy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Touchy {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = COMPARISONS.get();
        assert_ne!(left, 0, "as it was told");
        COMPARISONS.set(left.saturating_sub(u64::from(left != u64::MAX)));
        self.number.cmp(&other.number)
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.number));
        if BOMB.get() == self.number {
            BOMB.set(u64::MAX);
            panic!("as it was told");
        }
    }
}

fn touchy(number: u64) -> Touchy {
    Touchy {
        number,
        text: SharedBytes::from_slice(&[number as u8; 50]).expect("room"),
        rest: [0; 20],
    }
}

fn touchy_map(count: u64) -> SharedOrderedMap<Touchy, u64> {
    let mut map = SharedOrderedMap::new();
    for n in 0..count {
        map.insert(touchy(n * 10), n).expect("room");
    }
    map
}

#[test]
fn a_comparison_that_panics_leaves_an_ordered_map_as_it_was() {
    as_worker(
        test_name!("a_comparison_that_panics_leaves_an_ordered_map_as_it_was"),
        || {
            let mut map = touchy_map(100);
            let numbers = |map: &SharedOrderedMap<Touchy, u64>| -> Vec<u64> {
                map.keys().map(|key| key.number).collect()
            };
            let before = numbers(&map);
            let mut panics = 0;
            for at in 0..20 {
                for number in [500, 505] {
                    let key = touchy(number);
                    let mut tried = |deed: &mut dyn FnMut(&mut SharedOrderedMap<Touchy, u64>)| {
                        COMPARISONS.set(at);
                        let done = catch_unwind(AssertUnwindSafe(|| deed(&mut map)));
                        COMPARISONS.set(u64::MAX);
                        match done {
                            Ok(()) => {
                                map.remove(&touchy(505)).expect("inline");
                                map.insert(touchy(500), 50).expect("room");
                            }
                            Err(_) => panics += 1,
                        }
                        assert_eq!(numbers(&map), before);
                        Owned::of(&mut map);
                    };
                    tried(&mut |map| drop(map.insert(touchy(number), 1)));
                    tried(&mut |map| drop(map.remove(&key)));
                    tried(&mut |map| assert!(map.range::<Touchy>(&key..).len() >= 49));
                    tried(&mut |map| {
                        let made = || Ok((touchy(number), 1));
                        drop(map.get_or_insert_with(&key, made).map(|value| *value));
                    });
                }
            }
            assert!(panics > 40, "{panics}");
        },
    );
}

#[test]
fn a_destructor_that_panics_in_an_ordered_map_drops_the_others_once() {
    as_worker(
        test_name!("a_destructor_that_panics_in_an_ordered_map_drops_the_others_once"),
        || {
            const COUNT: u64 = 60;
            let deeds: [fn(&mut SharedOrderedMap<Touchy, u64>); 4] = [
                SharedOrderedMap::clear,
                |map| drop(std::mem::take(map)),
                |map| map.retain(|_, cell| cell.0 % 2 == 0).expect("in place"),
                |map| while map.remove_nth(0).expect("in place").is_some() {},
            ];
            for deed in deeds {
                for bomb in 0..COUNT {
                    let mut map = touchy_map(COUNT);
                    DROPPED.take();
                    BOMB.set(bomb * 10);
                    let _panicked_or_not = catch_unwind(AssertUnwindSafe(|| deed(&mut map)));
                    BOMB.set(u64::MAX);
                    Owned::of(&mut map);
                    let left: Vec<u64> = map.keys().map(|key| key.number).collect();
                    let mut all = [left, DROPPED.with_borrow(Vec::clone)].concat();
                    all.sort();
                    assert_eq!(all, (0..COUNT).map(|n| n * 10).collect::<Vec<_>>());
                    drop(map);
                    let account = HeapAccount::take(Activity::Live);
                    assert_eq!(account.findings, [""; 0]);
                    assert_eq!(account.used_bytes, 0, "{bomb}");
                }
            }
        },
    );
}

// I10
#[test]
fn nonsense_in_a_node_is_reported_and_not_followed() {
    as_worker(
        test_name!("nonsense_in_a_node_is_reported_and_not_followed"),
        || {
            let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..5_000 {
                map.insert(n * 2, n).expect("room");
            }
            let blocks = Owned::of(&mut map).blocks;
            let (start, layout) = *blocks
                .iter()
                .max_by_key(|(_, layout)| layout.size())
                .expect("a tree");
            let leaf = *blocks.iter().min_by_key(|(_, l)| l.size()).expect("leaves");
            let words = |bytes: usize| bytes / 8;
            let mut reported = 0;
            for (start, words) in [
                (start, words(layout.size())),
                (leaf.0, words(leaf.1.size())),
            ] {
                for word in 0..words {
                    for nonsense in [1, 0x10u64, u64::MAX, 0x7fff_0000_0010, 0x2000_0000_0000] {
                        // SAFETY: a word of a live block; it is put back before the map is used.
                        let place = unsafe { start.cast::<u64>().add(word) };
                        // SAFETY: as above.
                        let kept = unsafe { place.replace(nonsense) };
                        let mut owned = Owned::default();
                        map.visit(&mut owned);
                        // SAFETY: as above.
                        unsafe { place.write(kept) };
                        assert!(word > 0 || !owned.damage.is_empty(), "{nonsense:#x}");
                        reported += usize::from(!owned.damage.is_empty());
                    }
                }
            }
            // Heads, children and counts, and keys that are out of order.
            assert!(reported > 200, "{reported}");
            Owned::of(&mut map);
        },
    );
}

/// Copy before write copies a way through the tree, not the tree.
// R20
#[test]
fn a_write_inside_a_conversion_copies_the_way_to_it_and_no_more() {
    as_worker(
        test_name!("a_write_inside_a_conversion_copies_the_way_to_it_and_no_more"),
        || {
            let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..20_000 {
                map.insert(n * 2, n).expect("room");
            }
            let before = allocated().len();
            let transaction = Transaction::begin();
            // SAFETY: as a lens does it: moved out bit by bit, and the source is live again after the abort.
            let mut moved = ManuallyDrop::new(unsafe { ptr::read(&map) });
            *moved.get_mut(&10_000).expect("room").expect("there") = 1;
            moved.insert(10_001, 7).expect("room");
            moved.remove(&10_004).expect("room");
            assert_eq!(moved.get(&10_000).expect("inline"), Some(&1));
            assert!(allocated().len() <= before + 8);
            transaction.abort();
            assert_eq!(map.get(&10_000).expect("inline"), Some(&5_000));
            assert_eq!(map.rank_of(&10_001), Err(5_001));
            assert_eq!(allocated().len(), before);
            Owned::of(&mut map);
        },
    );
}

/// Every allocation of a removal that has to take entries from a neighbour may fail.
// I7
#[test]
fn a_removal_inside_a_conversion_fails_as_a_whole_or_not_at_all() {
    as_worker(
        test_name!("a_removal_inside_a_conversion_fails_as_a_whole_or_not_at_all"),
        || {
            let mut map: SharedOrderedMap<u16, [u64; 24]> = SharedOrderedMap::new();
            for n in 0..300 {
                map.insert(n, [0; 24]).expect("room");
            }
            let mut failed = 0;
            for removed in 0..300u16 {
                for limit in 0..12 {
                    let transaction = Transaction::begin();
                    // SAFETY: as above.
                    let mut moved = ManuallyDrop::new(unsafe { ptr::read(&map) });
                    let done = failing_after(limit, || moved.remove_entry(&removed).map(drop));
                    assert_eq!(moved.contains(&removed), done.is_err());
                    assert_eq!(moved.len(), 300 - usize::from(done.is_ok()));
                    Owned::of(&mut *moved);
                    failed += u32::from(done.is_err());
                    transaction.abort();
                }
            }
            assert!(failed > 900, "{failed}");
            Owned::of(&mut map);
        },
    );
}
