//! Each container beside its counterpart in std, with the heap failing at the n-th allocation: a
//! failed operation leaves the container as it was.

use super::super::{Inline, Shared, SharedBytes, SharedDeque, SharedMap, SharedVec, Visitor};
use super::{Owned, as_worker, failing_after, for_all, test_name};
use crate::abi::TypeSchema;
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

fn bytes(of: &[u8]) -> SharedBytes {
    SharedBytes::from_slice(of).expect("room")
}

/// Allocations that an operation may make; mostly no limit.
fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(u64::MAX), 1 => 0..3u64]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..16),
        prop::collection::vec(any::<u8>(), 0..200)
    ]
}

#[test]
fn bytes_do_what_a_vec_does() {
    for_all(
        test_name!("bytes_do_what_a_vec_does"),
        80,
        prop::collection::vec((0..7u8, text(), 0..300usize, limit()), 0..60),
        |ops| {
            let (mut ours, mut model) = (SharedBytes::new(), Vec::new());
            for (op, data, at, limit) in ops {
                let mut next = model.clone();
                match op {
                    0 | 1 => next.extend_from_slice(&data),
                    2 => next.resize(at, 7),
                    3 => {
                        let end = at + data.len();
                        if end > next.len() {
                            next.resize(end, 0);
                        }
                        next[at..end].copy_from_slice(&data);
                    }
                    4 => next.truncate(at),
                    5 => next = data.clone(),
                    _ => next.clear(),
                }
                let done = failing_after(limit, || match op {
                    0 | 1 => ours.append(&data),
                    2 => ours.resize(at, 7),
                    3 => ours.write_at(at, &data),
                    4 => {
                        ours.truncate(at);
                        Ok(())
                    }
                    5 => ours.set(&data),
                    _ => {
                        ours.clear();
                        Ok(())
                    }
                });
                if done.is_ok() {
                    model = next;
                }
                prop_assert_eq!(ours.as_slice(), &model[..]);
                prop_assert!(ours.capacity() >= ours.len());
                Owned::of(&mut ours);
            }

            Ok(())
        },
    );
}

#[test]
fn vec_does_what_a_vec_does() {
    for_all(
        test_name!("vec_does_what_a_vec_does"),
        80,
        prop::collection::vec((0..8u8, text(), 0..40usize, limit()), 0..120),
        |ops| {
            let mut ours: SharedVec<SharedBytes> = SharedVec::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (op, data, at, limit) in ops {
                match op {
                    0..=2 => {
                        let value = bytes(&data);
                        if failing_after(limit, || ours.push(value)).is_ok() {
                            model.push(data);
                        }
                    }
                    3 => {
                        let (value, at) = (bytes(&data), at.min(model.len()));
                        if failing_after(limit, || ours.insert(at, value)).is_ok() {
                            model.insert(at, data);
                        }
                    }
                    4 => {
                        let value =
                            failing_after(limit, || ours.remove(at)).expect("writes in place");
                        let expected = (at < model.len()).then(|| model.remove(at));
                        prop_assert_eq!(value.map(|v| v.to_vec()), expected);
                    }
                    5 => prop_assert_eq!(
                        ours.pop().expect("inline").map(|v| v.to_vec()),
                        model.pop()
                    ),
                    6 => {
                        if let Some(value) = ours.get_mut(at).expect("writes in place")
                            && failing_after(limit, || value.append(&data)).is_ok()
                        {
                            model[at].extend_from_slice(&data);
                        }
                    }
                    _ => {
                        ours.truncate(at);
                        model.truncate(at);
                    }
                }
                prop_assert_eq!(ours.len(), model.len());
                prop_assert!(
                    ours.iter()
                        .zip(&model)
                        .all(|(a, b)| a.expect("inline").as_slice() == &b[..])
                );
            }
            Owned::of(&mut ours);

            Ok(())
        },
    );
}

#[test]
fn deque_does_what_a_deque_does() {
    for_all(
        test_name!("deque_does_what_a_deque_does"),
        80,
        prop::collection::vec((0..12u8, text(), 0..40usize, limit()), 0..150),
        |ops| {
            let mut ours: SharedDeque<SharedBytes> = SharedDeque::new();
            let mut model: VecDeque<Vec<u8>> = VecDeque::new();
            for (op, data, at, limit) in ops {
                match op {
                    0..=2 => {
                        let value = bytes(&data);
                        if failing_after(limit, || ours.push_back(value)).is_ok() {
                            model.push_back(data);
                        }
                    }
                    3 | 4 => {
                        let value = bytes(&data);
                        if failing_after(limit, || ours.push_front(value)).is_ok() {
                            model.push_front(data);
                        }
                    }
                    5 => prop_assert_eq!(
                        ours.pop_front().expect("inline").map(|v| v.to_vec()),
                        model.pop_front()
                    ),
                    6 => prop_assert_eq!(
                        ours.pop_back().expect("inline").map(|v| v.to_vec()),
                        model.pop_back()
                    ),
                    7 | 8 => {
                        let (value, at) = (Inline(bytes(&data)), at.min(model.len()));
                        if failing_after(limit, || ours.insert_cell(at, value)).is_ok() {
                            model.insert(at, data);
                        }
                    }
                    9 => {
                        let at = at.min(model.len());
                        let range = at..model.len().min(at + data.len() % 8);
                        let removed = failing_after(limit, || ours.remove_cells(range.clone()));
                        removed.expect("writes in place");
                        model.drain(range);
                    }
                    _ => {
                        let _ = failing_after(limit, || ours.try_reserve(data.len()));
                    }
                }
                prop_assert_eq!(ours.len(), model.len());
                prop_assert!(
                    ours.iter()
                        .zip(&model)
                        .all(|(a, b)| a.expect("inline").as_slice() == &b[..])
                );
            }
            Owned::of(&mut ours);

            Ok(())
        },
    );
}

#[test]
fn map_does_what_a_map_does() {
    for_all(
        test_name!("map_does_what_a_map_does"),
        40,
        prop::collection::vec((0..10u8, 0..600u16, text(), limit()), 0..1000),
        |ops| {
            let mut ours: SharedMap<SharedBytes, SharedBytes> = SharedMap::new();
            let mut model: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
            for (op, number, data, limit) in ops {
                let name = format!("a key that needs a block {number}").into_bytes();
                match op {
                    0..=4 => {
                        let (key, value) = (bytes(&name), bytes(&data));
                        if let Ok(old) = failing_after(limit, || ours.insert(key, value)) {
                            let expected = model.insert(name, data);
                            prop_assert_eq!(old.map(|Inline(v)| v.to_vec()), expected);
                        }
                    }
                    5 | 6 => {
                        let old = failing_after(limit, || ours.remove(&name[..]))
                            .expect("writes in place");
                        prop_assert_eq!(old.map(|v| v.to_vec()), model.remove(&name));
                    }
                    7 => {
                        let key = bytes(&name);
                        let done = failing_after(limit, || {
                            ours.get_or_insert_with(&name[..], || Ok((key, SharedBytes::new())))
                                .map_err(drop)
                                .and_then(|value| value.append(&data).map_err(drop))
                        });
                        if done.is_ok() {
                            model.entry(name).or_default().extend_from_slice(&data);
                        } else if ours.contains(&name[..]) {
                            model.entry(name).or_default();
                        }
                    }
                    8 => {
                        let value = bytes(&data);
                        let old = failing_after(limit, || ours.replace(&name[..], value))
                            .expect("inline");
                        prop_assert_eq!(old.is_some(), model.contains_key(&name));
                        model.entry(name).and_modify(|value| *value = data);
                    }
                    _ => {
                        let _ = failing_after(limit, || ours.try_reserve_for(&name[..]));
                        let found = ours.get(&name[..]).expect("inline").map(|v| v.to_vec());
                        prop_assert_eq!(found.as_ref(), model.get(&name));
                    }
                }
                prop_assert_eq!(ours.len(), model.len());
            }
            let all: HashMap<_, _> = ours
                .iter()
                .map(|(k, Inline(v))| (k.to_vec(), v.to_vec()))
                .collect();
            prop_assert_eq!(all, model);
            Owned::of(&mut ours);

            Ok(())
        },
    );
}

#[test]
fn map_grows_large_shrinks_to_nothing_and_gives_its_blocks_back() {
    as_worker(
        test_name!("map_grows_large_shrinks_to_nothing_and_gives_its_blocks_back"),
        || {
            let mut map: SharedMap<u64, u64> = SharedMap::new();
            for n in 0..50_000 {
                assert!(map.insert(n, n * 2).expect("room").is_none());
            }
            Owned::of(&mut map);
            for n in 0..50_000 {
                assert_eq!(map.get(&n).expect("inline"), Some(&(n * 2)));
            }
            for n in 0..50_000 {
                assert_eq!(map.remove(&n).expect("inline"), Some(n * 2));
                if n % 10_000 == 0 {
                    Owned::of(&mut map);
                }
            }
            assert!(Owned::of(&mut map).blocks.is_empty());
        },
    );
}

#[test]
fn reserved_map_has_its_segments_before_its_entries() {
    as_worker(
        test_name!("reserved_map_has_its_segments_before_its_entries"),
        || {
            let mut map: SharedMap<u64, u64> = SharedMap::new();
            map.insert(1, 1).expect("room");
            map.try_reserve(10_000).expect("room");
            assert!(Owned::of(&mut map).blocks.len() > 64);
            assert_eq!(map.get(&1).expect("inline"), Some(&1));
        },
    );
}

/// A key whose hashes are all equal.
#[derive(PartialEq, Eq)]
struct Flood(u64);

impl Hash for Flood {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(0);
    }
}

// SAFETY: transparent over a number.
unsafe impl Shared for Flood {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        u64::schema()
    }

    fn visit(&mut self, _visitor: &mut dyn Visitor) {}
}

#[test]
fn equal_hashes_enlarge_a_segment_and_not_the_directory() {
    as_worker(
        test_name!("equal_hashes_enlarge_a_segment_and_not_the_directory"),
        || {
            let mut map: SharedMap<Flood, u64> = SharedMap::new();
            for n in 0..3_000 {
                map.insert(Flood(n), n).expect("room");
            }
            assert_eq!(Owned::of(&mut map).blocks.len(), 1);
            let mut seen = 0;
            assert_eq!(map.scan(0, 10, |_, _| seen += 1), 0);
            assert_eq!(seen, 3_000);
            for n in 0..3_000 {
                assert_eq!(map.remove(&Flood(n)).expect("inline"), Some(n));
            }
            assert!(Owned::of(&mut map).blocks.is_empty());
        },
    );
}

#[test]
fn random_entries_come_equally_often() {
    as_worker(test_name!("random_entries_come_equally_often"), || {
        let mut map: SharedMap<u64, u64> = SharedMap::new();
        for n in 0..500 {
            map.insert(n, n).expect("room");
        }
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        };
        let mut counts = [0u32; 500];
        for _ in 0..50_000 {
            counts[*map.random(&mut random).expect("not empty").0 as usize] += 1;
        }
        // 100 each; ten standard deviations around it.
        assert!(counts.iter().all(|count| (1..200).contains(count)));
    });
}
