//! The ordered map beside std's, with the heap failing at the n-th allocation, in trees of one node and
//! of many; what its blocks follow, and what a panic leaves.

use super::super::{
    Activity, HeapAccount, Inline, OrderedEntries, Shared, SharedBytes, SharedOrderedMap,
    transaction::Transaction,
};
use super::{Owned, allocated, as_worker, failing_after, for_all, test_name};
use dsu_macros::Shared;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// An element so large that a node has room for the fewest there can be.
#[derive(Shared)]
#[shared(inline)]
struct Wide {
    bytes: SharedBytes,
    rest: [u64; 24],
}

trait Element: Shared<Cell = Inline<Self>> {
    fn of(bytes: &[u8]) -> Self;
    fn bytes(&self) -> &SharedBytes;
    fn bytes_mut(&mut self) -> &mut SharedBytes;
}

impl Element for SharedBytes {
    fn of(bytes: &[u8]) -> Self {
        SharedBytes::from_slice(bytes).expect("room")
    }

    fn bytes(&self) -> &SharedBytes {
        self
    }

    fn bytes_mut(&mut self) -> &mut SharedBytes {
        self
    }
}

impl Element for Wide {
    fn of(bytes: &[u8]) -> Self {
        Wide {
            bytes: Element::of(bytes),
            rest: [bytes.len() as u64; 24],
        }
    }

    fn bytes(&self) -> &SharedBytes {
        assert!(self.rest.iter().all(|word| *word == self.rest[0]));
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut SharedBytes {
        &mut self.bytes
    }
}

type Ours<V> = SharedOrderedMap<SharedBytes, V>;
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keys in the order of their numbers, most of them in blocks of their own.
fn name(number: u16) -> Vec<u8> {
    match number % 5 {
        0 => format!("key {number:05}").into_bytes(),
        _ => format!("key {number:05} that needs a block").into_bytes(),
    }
}

#[derive(Clone, Debug)]
struct Deed {
    op: u8,
    number: u16,
    other: u16,
    text: Vec<u8>,
    limit: u64,
}

fn deeds(keys: u16) -> impl Strategy<Value = Vec<Deed>> {
    let limit = prop_oneof![3 => Just(u64::MAX), 1 => 0..4u64];
    let text = prop::collection::vec(any::<u8>(), 0..40);
    // Few kinds of deeds in one case, so that maps grow large and small.
    let kinds = prop_oneof![
        Just((0u8, 10u8)),
        Just((0, 20)),
        Just((4, 20)),
        Just((0, 6))
    ];
    let deed = move |(from, to)| {
        (from..to, 0..keys, 0..keys, text.clone(), limit.clone()).prop_map(
            |(op, number, other, text, limit)| Deed {
                op,
                number,
                other,
                text,
                limit,
            },
        )
    };
    let run = kinds.prop_flat_map(move |kinds| prop::collection::vec(deed(kinds), 0..300));
    prop::collection::vec(run, 1..5).prop_map(|runs| runs.concat())
}

fn show<'a, V: Element>((key, cell): (&'a SharedBytes, &'a Inline<V>)) -> (&'a [u8], &'a [u8]) {
    (key.as_slice(), cell.0.bytes().as_slice())
}

fn model_entry<'a>((key, value): (&'a Vec<u8>, &'a Vec<u8>)) -> (&'a [u8], &'a [u8]) {
    (key, value)
}

/// One deed in both; a deed that fails for want of room leaves the map as it was.
fn does_the_same<V: Element>(ours: &mut Ours<V>, model: &mut Model, deed: Deed) {
    let Deed {
        op,
        number,
        other,
        text,
        limit,
    } = deed;
    let name = name(number);
    let rank = model.range(..name.clone()).count();
    match op {
        0..=5 => {
            let (key, value) = (SharedBytes::of(&name), V::of(&text));
            if let Ok(old) = failing_after(limit, || ours.insert(key, value)) {
                let old = old.map(|Inline(v)| v.bytes().to_vec());
                assert_eq!(old, model.insert(name, text));
            }
        }
        6..=9 => {
            let old = failing_after(limit, || ours.remove(&name[..])).expect("writes in place");
            assert_eq!(old.map(|v| v.bytes().to_vec()), model.remove(&name));
        }
        10 => {
            let entry = failing_after(limit, || ours.remove_nth(rank)).expect("writes in place");
            let there = model.keys().nth(rank).cloned();
            let expected = there.and_then(|name| model.remove_entry(&name));
            let entry = entry.map(|(key, Inline(v))| (key.to_vec(), v.bytes().to_vec()));
            assert_eq!(entry, expected);
        }
        11 => {
            let key = SharedBytes::of(&name);
            let done = failing_after(limit, || {
                let value = ours.get_or_insert_with(&name[..], || Ok((key, V::of(b""))));
                let edited = value.map(|value| value.bytes_mut().append(&text));
                edited.map_err(drop).and_then(|done| done.map_err(drop))
            });
            if done.is_ok() {
                model.entry(name).or_default().extend_from_slice(&text);
            } else if ours.contains(&name[..]) {
                model.entry(name).or_default();
            }
        }
        12 => {
            let old = ours.replace(&name[..], V::of(&text)).expect("inline");
            assert_eq!(old.is_some(), model.contains_key(&name));
            model.entry(name).and_modify(|value| *value = text);
        }
        13 => {
            let first = ours.pop_first().expect("inline");
            let first = first.map(|(key, value)| (key.to_vec(), value.bytes().to_vec()));
            assert_eq!(first, model.pop_first());
            let last = ours.pop_last().expect("inline");
            let last = last.map(|(key, value)| (key.to_vec(), value.bytes().to_vec()));
            assert_eq!(last, model.pop_last());
        }
        14 if other % 8 == 0 => {
            let keeps = |key: &[u8]| key[7] % 3 != 0;
            let kept = ours.retain(|key, cell| {
                let is_kept = keeps(key);
                cell.0.bytes_mut().clear();
                is_kept
            });
            kept.expect("writes in place");
            model.retain(|key, value| {
                value.clear();
                keeps(key)
            });
        }
        15 if other % 32 == 0 => {
            ours.clear();
            model.clear();
        }
        16 => {
            let cell = ours.get_cell_mut(&name[..]).expect("in place");
            assert_eq!(cell.is_some(), model.contains_key(&name));
            if let Some((key, cell)) = ours.nth_mut(rank).expect("in place") {
                let value = model.get_mut(key.as_slice()).expect("the same keys");
                assert_eq!(cell.0.bytes().as_slice(), &value[..]);
                if cell.0.bytes_mut().set(&text).is_ok() {
                    *value = text;
                }
            }
        }
        _ => {
            let found = ours.get(&name[..]).expect("inline");
            assert_eq!(found.map(|v| v.bytes().to_vec()), model.get(&name).cloned());
            assert_eq!(ours.current(&name[..]).is_some(), model.contains_key(&name));
            let expected = match model.contains_key(&name) {
                true => Ok(rank),
                false => Err(rank),
            };
            assert_eq!(ours.rank_of(&name[..]), expected);
            let there = model.iter().nth(rank).map(model_entry);
            assert_eq!(ours.nth(rank).map(show), there);
        }
    }
    assert_eq!(ours.len(), model.len());
    assert_eq!(
        ours.first().map(show),
        model.first_key_value().map(model_entry)
    );
    assert_eq!(
        ours.last().map(show),
        model.last_key_value().map(model_entry)
    );
}

fn play<V: Element>(deeds: Vec<Deed>) -> proptest::test_runner::TestCaseResult {
    let (mut ours, mut model) = (Ours::<V>::new(), Model::new());
    for (count, deed) in deeds.into_iter().enumerate() {
        does_the_same(&mut ours, &mut model, deed);
        if count % 64 == 0 {
            Owned::of(&mut ours);
        }
    }
    Owned::of(&mut ours);
    prop_assert!(ours.iter().map(show).eq(model.iter().map(model_entry)));
    prop_assert!(
        ours.iter()
            .rev()
            .map(show)
            .eq(model.iter().rev().map(model_entry))
    );
    prop_assert!(ours.keys().eq(ours.iter().map(|(key, _)| key)));
    prop_assert_eq!(ours.values().len(), model.len());
    Ok(())
}

// I7
#[test]
fn ordered_map_does_what_a_btree_map_does() {
    for_all(
        test_name!("ordered_map_does_what_a_btree_map_does"),
        60,
        deeds(600),
        play::<SharedBytes>,
    );
}

// I7: each division, loan and merger there is, on several levels.
#[test]
fn ordered_map_of_many_levels_does_what_a_btree_map_does() {
    for_all(
        test_name!("ordered_map_of_many_levels_does_what_a_btree_map_does"),
        60,
        deeds(600),
        play::<Wide>,
    );
}

fn bound(kind: u8, number: u16) -> Bound<u16> {
    match kind {
        0 => Bound::Included(number),
        1 => Bound::Excluded(number),
        _ => Bound::Unbounded,
    }
}

/// Takes from both ends as the bits say.
fn from_both_ends<T>(mut items: impl DoubleEndedIterator<Item = T>, bits: u64) -> Vec<T> {
    let mut taken = Vec::new();
    for turn in 0.. {
        let next = match bits >> (turn % 64) & 1 {
            0 => items.next(),
            _ => items.next_back(),
        };
        match next {
            Some(item) => taken.push(item),
            None => break,
        }
    }
    taken
}

#[test]
fn ranges_of_an_ordered_map_are_those_of_a_btree_map_from_both_ends() {
    let range = (0..3u8, 0..1_100u16, 0..3u8, 0..1_100u16, any::<u64>());
    for_all(
        test_name!("ranges_of_an_ordered_map_are_those_of_a_btree_map_from_both_ends"),
        60,
        (
            prop::collection::btree_set(0..1_000u16, 0..600),
            prop::collection::vec(range, 1..40),
        ),
        |(numbers, ranges)| {
            let mut ours: SharedOrderedMap<u16, [u64; 24]> = SharedOrderedMap::new();
            for number in &numbers {
                ours.insert(*number, [0; 24]).expect("room");
            }
            for (kind, from, other, to, bits) in ranges {
                let range = (bound(kind, from), bound(other, to));
                let found = ours.range(range);
                // As for two maps of std, which panics where the ends are the wrong way round.
                let expected = || {
                    let numbers = numbers.iter().copied();
                    numbers.filter(move |n| std::ops::RangeBounds::contains(&range, n))
                };
                prop_assert_eq!(found.len(), expected().count());
                let found = found.map(|(number, _)| *number);
                prop_assert_eq!(
                    from_both_ends(found, bits),
                    from_both_ends(expected().collect::<Vec<_>>().into_iter(), bits)
                );
            }
            Ok(())
        },
    );
}

fn block_bytes<K: Shared + Ord, V: Shared>(map: &mut SharedOrderedMap<K, V>) -> usize {
    let blocks = Owned::of(map).blocks;
    blocks.iter().map(|(_, layout)| layout.size()).sum()
}

#[test]
fn blocks_of_an_ordered_map_follow_its_entries_down_to_none() {
    as_worker(
        test_name!("blocks_of_an_ordered_map_follow_its_entries_down_to_none"),
        || {
            const MANY: u64 = 30_000;
            let scattered = |n: u64| n * 7_919 % MANY;
            let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..MANY {
                assert!(map.insert(scattered(n), n).expect("room").is_none());
            }
            let mut left = MANY;
            for n in 0..MANY {
                // Every node has a third of what it has room for.
                if n % 3_000 == 0 || left < 40 {
                    let most = 16 * left * 7 / 2 + 4_096;
                    assert!(block_bytes(&mut map) as u64 <= most, "of {left}");
                }
                assert!(map.remove(&scattered(n)).expect("inline").is_some());
                left -= 1;
            }
            assert_eq!(block_bytes(&mut map), 0);
        },
    );
}

#[test]
fn an_ordered_map_that_is_appended_to_fills_its_nodes() {
    as_worker(
        test_name!("an_ordered_map_that_is_appended_to_fills_its_nodes"),
        || {
            let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..20_000 {
                map.insert(n, n).expect("room");
            }
            let each = block_bytes(&mut map) as f64 / 20_000.0;
            assert!(each < 16.0 * 1.15, "{each} bytes an entry");
            // As a queue: what goes at the front comes in at the back.
            for n in 20_000..60_000 {
                map.insert(n, n).expect("room");
                assert_eq!(
                    map.pop_first().expect("inline"),
                    Some((n - 20_000, n - 20_000))
                );
            }
            assert!(block_bytes(&mut map) as f64 / 20_000.0 < 16.0 * 1.2);
        },
    );
}

#[test]
fn a_small_ordered_map_has_a_small_block() {
    as_worker(test_name!("a_small_ordered_map_has_a_small_block"), || {
        let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
        for n in 0..40 {
            map.insert(n, n).expect("room");
            assert!(block_bytes(&mut map) as u64 <= (n + 1) * 32 + 48, "{n}");
        }
        for n in (0..40).rev() {
            assert_eq!(map.pop_last().expect("inline"), Some((n, n)));
            assert!(block_bytes(&mut map) as u64 <= n * 64 + 64, "{n}");
        }
    });
}

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
        text: SharedBytes::of(&[number as u8; 50]),
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
                    tried(&mut |map| drop(map.range::<Touchy>(&key..)));
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

#[test]
fn entries_can_be_counted_and_gone_through_again() {
    as_worker(
        test_name!("entries_can_be_counted_and_gone_through_again"),
        || {
            let mut map: SharedOrderedMap<u64, u64> = SharedOrderedMap::new();
            for n in 0..500 {
                map.insert(n, n).expect("room");
            }
            let mut entries: OrderedEntries<'_, u64, Inline<u64>> = map.range(100..200);
            entries.next();
            entries.next_back();
            assert_eq!(entries.len(), 98);
            let again: Vec<u64> = entries.clone().map(|(key, _)| *key).collect();
            assert_eq!(again, (101..199).collect::<Vec<_>>());
            assert_eq!(entries.map(|(key, _)| *key).collect::<Vec<_>>(), again);
        },
    );
}
