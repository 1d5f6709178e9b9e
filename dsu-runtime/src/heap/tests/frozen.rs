//! Copy before write: whatever a transformer does with a value, an abort leaves the old one intact to
//! the last byte.

use super::super::{
    Inline, SharedBox, SharedBytes, SharedDeque, SharedMap, SharedOrderedMap, SharedVec,
    transaction::Transaction,
};
use super::{Owned, failing_after, for_all, test_name};
use crate::error::HeapFull;
use proptest::prelude::*;
use std::mem::ManuallyDrop;
use std::ptr;

type Value = (
    SharedMap<SharedBytes, SharedVec<SharedBytes>>,
    SharedDeque<SharedBytes>,
    SharedBytes,
    Option<SharedBox<SharedBytes>>,
    Ordered,
);

/// Of elements so wide that its tree has several levels.
type Ordered = SharedOrderedMap<SharedBytes, (SharedBytes, [u64; 20])>;

fn bytes(n: u16) -> Result<SharedBytes, HeapFull> {
    SharedBytes::from_slice(format!("a text that needs a block of its own {n}").as_bytes())
}

fn change(value: &mut Value, op: u8, n: u16) -> Option<()> {
    let (map, deque, text, boxed, ordered) = value;
    let key = bytes(n).ok()?;
    match op {
        0 | 1 => drop(map.insert(key, SharedVec::new()).ok()?),
        2 => drop(map.remove(&key[..]).ok()?),
        3..=5 => map
            .get_or_insert_with(&key[..], || Ok((bytes(n)?, SharedVec::new())))
            .ok()?
            .push(bytes(n).ok()?)
            .ok()?,
        6 => {
            let list = map.get_mut(&key[..]).ok()??;
            list.get_mut(0).ok()??.append(b"more").ok()?;
            list.get_mut(0).ok()??.as_mut_slice().ok()?[0] = b'!';
        }
        7 => drop(map.get_mut(&key[..]).ok()??.remove(0).ok()?),
        8 => deque.push_back(key).ok()?,
        9 => deque.push_front(key).ok()?,
        10 => drop(deque.pop_front().ok()?),
        11 => deque.get_mut(n as usize % 8).ok()??.as_mut_slice().ok()?[3] = b'?',
        12 => text.append(&key).ok()?,
        13 => text.write_at(n as usize % 100, b"written").ok()?,
        14 => boxed.as_mut()?.get_mut().ok()?.append(&key).ok()?,
        15 => *boxed = Some(SharedBox::new(key).ok()?),
        16 => text.truncate(n as usize % 60),
        17 => {
            let at = n as usize % (deque.len() + 1);
            deque.insert_cell(at, Inline(key)).ok()?;
        }
        18 => {
            let (one, other) = (
                n as usize % (deque.len() + 1),
                n as usize / 7 % (deque.len() + 1),
            );
            deque.remove_cells(one.min(other)..one.max(other)).ok()?;
        }
        19 if n == 0 => map.clear(),
        19 => drop(map.try_reserve(n as usize)),
        _ => change_ordered(ordered, op, n)?,
    }
    Some(())
}

fn change_ordered(map: &mut Ordered, op: u8, n: u16) -> Option<()> {
    let key = bytes(n).ok()?;
    match op {
        20..=22 => drop(map.insert(key, (SharedBytes::new(), [0; 20])).ok()?),
        23..=24 => drop(map.remove(&key[..]).ok()?),
        25 => map.get_mut(&key[..]).ok()??.0.append(b"more").ok()?,
        26 => drop(map.remove_nth(n as usize / 4).ok()?),
        27 => {
            let made = || Ok((bytes(n)?, (bytes(n)?, [1; 20])));
            map.get_or_insert_with(&key[..], made).ok()?.1[3] = 7;
        }
        28 => map.nth_mut(n as usize / 4).ok()??.1.0.1[0] = n.into(),
        _ if n == 0 => map.clear(),
        _ => map.retain(|_, cell| cell.0.1[0] % 16 != 5).ok()?,
    }
    Some(())
}

/// What makes values rather than takes them apart.
fn before() -> impl Strategy<Value = u8> {
    prop_oneof![0..16u8, 20..23u8]
}

// R20
#[test]
fn an_aborted_transformer_leaves_the_old_bytes() {
    for_all(
        test_name!("an_aborted_transformer_leaves_the_old_bytes"),
        150,
        (
            prop::collection::vec((before(), 0..250u16), 0..400),
            prop::collection::vec((0..30u8, 0..250u16), 0..200),
            prop_oneof![Just(u64::MAX), 0..60u64],
            any::<bool>(),
        ),
        |(before, inside, limit, drops_what_it_made)| {
            let mut value = Value::default();
            for (op, n) in before {
                change(&mut value, op, n);
            }
            let old = Owned::of(&mut value);
            let old_bytes = old.bytes();

            let transaction = Transaction::begin();
            // SAFETY: as a lens does it: moved out bit by bit, and the source is live again after the abort.
            let mut moved = ManuallyDrop::new(unsafe { ptr::read(&value) });
            failing_after(limit, || {
                for (op, n) in inside {
                    change(&mut moved, op, n);
                }
            });
            Owned::of(&mut *moved);
            if drops_what_it_made {
                ManuallyDrop::into_inner(moved);
            }
            transaction.abort();

            let now = Owned::of(&mut value);
            prop_assert_eq!(&now.blocks, &old.blocks);
            prop_assert_eq!(now.bytes(), old_bytes);

            Ok(())
        },
    );
}

#[test]
fn a_committed_transformer_leaves_what_it_made() {
    for_all(
        test_name!("a_committed_transformer_leaves_what_it_made"),
        150,
        (
            prop::collection::vec((before(), 0..250u16), 0..400),
            prop::collection::vec((prop_oneof![0..18u8, 20..30u8], 0..250u16), 0..200),
        ),
        |(before, inside)| {
            let (mut value, mut other) = (Value::default(), Value::default());
            for (op, n) in before {
                change(&mut value, op, n);
                change(&mut other, op, n);
            }
            let transaction = Transaction::begin();
            for (op, n) in &inside {
                change(&mut value, *op, *n);
            }
            transaction.commit();
            for (op, n) in &inside {
                change(&mut other, *op, *n);
            }
            Owned::of(&mut value);
            prop_assert_eq!(value.0.len(), other.0.len());
            for (key, list) in other.0.iter() {
                let ours = value.0.get_cell(&key[..]).expect("there");
                prop_assert!(ours.0.iter().eq(list.0.iter()));
            }
            prop_assert!(value.1.iter().eq(other.1.iter()));
            prop_assert_eq!(&value.2, &other.2);
            prop_assert_eq!(value.3.as_deref(), other.3.as_deref());
            let entries = |map: &Ordered| -> Vec<(Vec<u8>, Vec<u8>, [u64; 20])> {
                let entries = map.iter();
                let entries =
                    entries.map(|(key, cell)| (key.to_vec(), cell.0.0.to_vec(), cell.0.1));
                entries.collect()
            };
            prop_assert_eq!(entries(&value.4), entries(&other.4));

            Ok(())
        },
    );
}
