//! `each` over containers, with the edits that sequences and maps see: insert in front, delete, swap, duplicate (R8).

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use xform::laws::{self, Law};
use xform::{Lens, each};

/// What old code knows of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Old {
    id: u8,
    owner: String,
}

/// What new code knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct New {
    id: u8,
    priority: u16,
}

xform::record! {
    /// Each side has something that the other lacks.
    pub struct JobLens: Old => New {
        same id;
        add priority: u16 = 50;
        drop owner: String = "nobody".to_owned();
    }
}

fn by_id() -> impl Lens<Left = Vec<Old>, Right = Vec<New>, Complement: Clone + PartialEq> {
    each::vec_by_key(JobLens, (|old: &Old| old.id, |new: &New| new.id))
}

/// An edit that rearranges a sequence, whatever is in it. Positions are taken modulo the length.
#[derive(Clone, Copy, Debug)]
enum Rearrange {
    Delete(usize),
    Swap(usize, usize),
    Duplicate(usize),
}

impl Rearrange {
    fn apply<T: Clone>(self, items: &mut Vec<T>) {
        let len = items.len();
        if len == 0 {
            return;
        }
        match self {
            Rearrange::Delete(at) => drop(items.remove(at % len)),
            Rearrange::Swap(a, b) => items.swap(a % len, b % len),
            Rearrange::Duplicate(at) => items.push(items[at % len].clone()),
        }
    }
}

fn rearrange() -> impl Strategy<Value = Rearrange> {
    prop_oneof![
        any::<usize>().prop_map(Rearrange::Delete),
        any::<(usize, usize)>().prop_map(|(a, b)| Rearrange::Swap(a, b)),
        any::<usize>().prop_map(Rearrange::Duplicate),
    ]
}

fn olds(ids: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Old>> {
    prop::collection::vec((ids, "[a-z]{0,4}"), 0..8).prop_map(|all| {
        all.into_iter()
            .map(|(id, owner)| Old { id, owner })
            .collect()
    })
}

fn news(ids: std::ops::Range<u8>) -> impl Strategy<Value = Vec<New>> {
    prop::collection::vec((ids, any::<u16>()), 0..8).prop_map(|all| {
        all.into_iter()
            .map(|(id, priority)| New { id, priority })
            .collect()
    })
}

/// Leaves the first of each id, so that an id names one element.
fn distinct<T>(mut items: Vec<T>, id: impl Fn(&T) -> u8) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(id(item)));
    items
}

proptest! {
    #[test]
    fn elements_with_equal_keys_obey_the_laws_too(left in olds(0..3), right in news(0..3), edit in rearrange()) {
        // R8
        laws::from_left(&by_id(), left).restored()?.edit_kept(|right| edit.apply(right))?;
        laws::from_right(&by_id(), right).restored()?.edit_kept(|left| edit.apply(left))?;
    }

    #[test]
    fn an_element_keeps_its_complement_wherever_it_moves(
        left in olds(0..200), right in news(0..200), a: usize, b: usize, fresh in 200_u8..
    ) {
        // R8
        let left = distinct(left, |item| item.id);
        let right = distinct(right, |item| item.id);
        for edit in [Rearrange::Delete(a), Rearrange::Swap(a, b)] {
            laws::from_left(&by_id(), left.clone())
                .edits_agree(|there| edit.apply(there), |here| edit.apply(here))?;
            laws::from_right(&by_id(), right.clone())
                .edits_agree(|there| edit.apply(there), |here| edit.apply(here))?;
        }
        laws::from_left(&by_id(), left).edits_agree(
            |there| there.insert(0, New { id: fresh, priority: 1 }),
            |here| here.insert(0, Old { id: fresh, owner: "nobody".into() }),
        )?;
        laws::from_right(&by_id(), right).edits_agree(
            |there| there.insert(0, Old { id: fresh, owner: "me".into() }),
            |here| here.insert(0, New { id: fresh, priority: 50 }),
        )?;
    }

    #[test]
    fn positions_restore_what_nobody_rearranged(left in olds(0..3), right in news(0..3)) {
        let lens = each::vec_by_position(JobLens);
        laws::from_left(&lens, left).restored()?;
        laws::from_right(&lens, right)
            .restored()?
            .edits_agree(|there| { there.pop(); }, |here| { here.pop(); })?;
    }

    #[test]
    fn values_of_an_ordered_map_keep_their_complements(
        left in prop::collection::btree_map(any::<u8>(), any::<u8>(), 0..8), gone: u8
    ) {
        let left: BTreeMap<u8, Old> = left.into_iter()
            .map(|(key, id)| (key, Old { id, owner: format!("owner of {key}") }))
            .collect();
        let gone = left.keys().copied().nth(usize::from(gone) % (left.len() + 1)).unwrap_or(gone);
        laws::from_left(&each::btree_map(JobLens), left)
            .restored()?
            .edits_agree(|there| { there.remove(&gone); }, |here| { here.remove(&gone); })?
            .edits_agree(
                |there| for new in there.values_mut() { new.id ^= 1 },
                |here| for old in here.values_mut() { old.id ^= 1 },
            )?;
    }

    #[test]
    fn values_of_a_hash_map_keep_their_complements(
        right in prop::collection::hash_map("[a-c]{0,3}", any::<(u8, u16)>(), 0..8), added: u8
    ) {
        let right: HashMap<String, New> = right.into_iter()
            .map(|(key, (id, priority))| (key, New { id, priority }))
            .collect();
        laws::from_right(&each::hash_map(JobLens), right)
            .restored()?
            .edits_agree(
                |there| { there.insert("new".into(), Old { id: added, owner: "me".into() }); },
                |here| { here.insert("new".into(), New { id: added, priority: 50 }); },
            )?;
    }
}

#[test]
fn of_equal_keys_the_first_gets_the_first_complement_and_a_surplus_element_is_new() {
    // R8
    let right = [7, 8].map(|priority| New { id: 1, priority }).to_vec();
    let (mut left, kept) = by_id().backward(right, None).unwrap();
    left.insert(
        0,
        Old {
            id: 2,
            owner: "me".into(),
        },
    );
    left.push(left[1].clone());
    let (right, _) = by_id().forward(left, Some(kept)).unwrap();
    let priorities: Vec<u16> = right.iter().map(|new| new.priority).collect();
    assert_eq!(priorities, [50, 7, 8, 50]);
}

#[test]
fn positions_give_elements_their_neighbours_complement_which_the_laws_tell() {
    // R8: why `position` must be written
    let left = ["a", "b"].map(|owner| Old {
        id: owner.as_bytes()[0],
        owner: owner.into(),
    });
    let broken = laws::from_left(&each::vec_by_position(JobLens), left.to_vec())
        .edits_agree(
            |there| {
                there.remove(0);
            },
            |here| {
                here.remove(0);
            },
        )
        .unwrap_err();
    assert_eq!(broken.law, Law::EditsAgree);
}
