//! Hashes.

use crate::heap::{Ballast, for_all, test_name, with_heap};
use kv_engine::{Hash, HashValue};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Debug)]
enum Deed {
    Set(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Copy,
}

/// Few names, some of them long.
fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..600u16).prop_map(|n| n.to_string().into_bytes()),
        1 => (0..5u8, 60..70usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        30 => (any::<u8>(), 0..65usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (any::<u8>(), 0..300usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (field(), value()).prop_map(|(field, value)| Deed::Set(field, value)),
        2 => field().prop_map(Deed::Remove),
        1 => Just(Deed::Copy),
    ]
}

fn room() -> impl Strategy<Value = Option<Vec<usize>>> {
    prop_oneof![
        12 => Just(None),
        1 => prop::collection::vec(prop_oneof![Just(4096), 16..1200usize], 0..4).prop_map(Some)
    ]
}

type Model = HashMap<Vec<u8>, Vec<u8>>;

fn shown(hash: &Hash) -> Model {
    let mut all = Model::new();
    hash.walk(&mut |field, value| {
        let twice = all.insert(field.to_vec(), value.to_vec());
        assert_eq!(twice, None, "a field is there twice");
    });
    all
}

#[test]
fn hash_does_what_a_map_does_on_a_heap_that_is_full_now_and_then() {
    let deeds = prop::collection::vec((deed(), room()), 0..150);
    for_all(
        test_name!("hash_does_what_a_map_does_on_a_heap_that_is_full_now_and_then"),
        150,
        (0..520u16, deeds),
        |(before, deeds), ballast: &mut Ballast| {
            let (mut hash, mut model) = (Hash::default(), Model::new());
            for n in 0..before {
                let field = n.to_string().into_bytes();
                hash.set(&field, b"before").expect("room");
                model.insert(field, b"before".to_vec());
            }
            let mut is_table = before > 512;
            for (deed, room) in deeds {
                if let Some(but) = &room {
                    ballast.fill(but);
                }
                let done = match &deed {
                    Deed::Set(field, value) => hash.set(field, value).map(|is_new| {
                        let old = model.insert(field.clone(), value.clone());
                        assert_eq!(is_new, old.is_none());
                        is_table |= field.len().max(value.len()) > 64 || model.len() > 512;
                    }),
                    Deed::Remove(field) => hash
                        .remove(field)
                        .map(|was| assert_eq!(was, model.remove(field).is_some())),
                    Deed::Copy => hash.try_clone().map(|copy| hash = copy).map_err(Into::into),
                };
                if room.is_some() {
                    ballast.empty();
                } else {
                    done.expect("room");
                }
                prop_assert_eq!(&shown(&hash), &model);
                prop_assert_eq!(hash.len(), model.len());
                let (Deed::Set(field, _) | Deed::Remove(field)) = &deed else {
                    continue;
                };
                prop_assert_eq!(hash.get(field), model.get(field).map(Vec::as_slice));
                let encoding = if is_table { "hashtable" } else { "listpack" };
                prop_assert_eq!(hash.encoding(), encoding);
            }
            Ok(())
        },
    );
}

#[test]
fn scan_shows_what_is_there_throughout_though_the_encoding_changes() {
    with_heap(
        test_name!("scan_shows_what_is_there_throughout_though_the_encoding_changes"),
        32 << 20,
        || {
            let mut hash = Hash::default();
            let name = |n: u32| format!("field {n}").into_bytes();
            for n in 0..500 {
                hash.set(&name(n), b"there").expect("room");
            }
            let mut seen = BTreeMap::new();
            let mut cursor = 0;
            for step in 0.. {
                cursor = hash.scan(cursor, 10, &mut |field, _| {
                    *seen.entry(field.to_vec()).or_insert(0) += 1;
                });
                if cursor == 0 {
                    // The packed ones came all at once; then once more, among many others.
                    if step == 0 {
                        assert_eq!((seen.len(), hash.encoding()), (500, "listpack"));
                        seen.clear();
                        for n in 500..600 {
                            hash.set(&name(n), b"new").expect("room");
                        }
                        assert_eq!(hash.encoding(), "hashtable");
                        continue;
                    }
                    break;
                }
                // Not for ever: what is added all the time would never be passed.
                for n in 0..200 * u32::from(step < 50) {
                    hash.set(&name(1000 + step * 200 + n), b"new")
                        .expect("room");
                    hash.remove(&name(500 + n % 100)).expect("no room needed");
                }
            }
            for n in 0..500 {
                assert!(seen.contains_key(&name(n)), "field {n} was not seen");
            }
        },
    );
}

#[test]
fn every_field_is_drawn_about_equally_often() {
    with_heap(
        test_name!("every_field_is_drawn_about_equally_often"),
        6 << 20,
        || {
            for fields in [1u32, 7, 700] {
                let mut hash = Hash::default();
                for n in 0..fields {
                    hash.set(&n.to_le_bytes(), &n.to_be_bytes()).expect("room");
                }
                let mut state = 1u64;
                let mut drawn = vec![0u32; fields as usize];
                for _ in 0..fields * 1000 {
                    let picked = hash.random(&mut || {
                        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                        state ^ state >> 29
                    });
                    let (field, value) = picked.expect("a field");
                    let n = u32::from_le_bytes(field.try_into().expect("four bytes"));
                    assert_eq!(value, n.to_be_bytes());
                    drawn[n as usize] += 1;
                }
                assert!(
                    drawn.iter().all(|times| (700..1300).contains(times)),
                    "{drawn:?}"
                );
            }
            assert!(Hash::default().random(&mut || 5).is_none());
        },
    );
}
