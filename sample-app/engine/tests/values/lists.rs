//! Lists.

use crate::heap::{Ballast, for_all, test_name, with_heap};
use kv_engine::{End, List, ListValue, StoreError};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

#[derive(Clone, Debug)]
enum Deed {
    Push(End, Vec<u8>),
    Pop(End),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(Range<usize>),
    RemoveEqual(Vec<u8>, End, usize),
    Copy,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Head), Just(End::Tail)]
}

/// Of all sizes that matter: equal ones, lengths of one and two bytes, too large to share a chunk, larger
/// than a chunk.
fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..4u8).prop_map(|byte| vec![byte; 3]),
        6 => (any::<u8>(), 0..70usize).prop_map(|(byte, length)| vec![byte; length]),
        3 => (any::<u8>(), 100..1100usize).prop_map(|(byte, length)| vec![byte; length]),
        2 => (any::<u8>(), 1000..9000usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (any::<u8>(), 9000..40_000usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    // Positions are taken modulo a little more than the length.
    prop_oneof![
        4 => (end(), element()).prop_map(|(end, element)| Deed::Push(end, element)),
        3 => end().prop_map(Deed::Pop),
        3 => (any::<usize>(), element()).prop_map(|(index, element)| Deed::Set(index, element)),
        5 => (any::<usize>(), element()).prop_map(|(index, element)| Deed::Insert(index, element)),
        1 => (any::<usize>(), 0..300usize).prop_map(|(at, count)| Deed::Remove(at..at.saturating_add(count))),
        2 => (any::<usize>(), 0..3usize).prop_map(|(at, count)| Deed::Remove(at..at.saturating_add(count))),
        1 => (element(), end(), prop_oneof![1..4usize, Just(usize::MAX)])
            .prop_map(|(element, from, most)| Deed::RemoveEqual(element, from, most)),
        1 => Just(Deed::Copy),
    ]
}

/// The sizes of blocks that are left on a heap that is full otherwise; mostly it is not.
fn room() -> impl Strategy<Value = Option<Vec<usize>>> {
    prop_oneof![
        12 => Just(None),
        1 => prop::collection::vec(prop_oneof![Just(8192), 16..1200usize], 0..4).prop_map(Some)
    ]
}

type Model = VecDeque<Vec<u8>>;

fn shown(list: &List, from: usize, towards: End) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    list.walk(from, towards, &mut |element| {
        all.push(element.to_vec());
        ControlFlow::Continue(())
    });
    all
}

/// Does it to both; whether there was room.
fn act(list: &mut List, model: &mut Model, deed: &Deed) -> Result<(), StoreError> {
    let len = model.len();
    match deed {
        Deed::Push(end, element) => {
            list.push(*end, element)?;
            match end {
                End::Head => model.push_front(element.clone()),
                End::Tail => model.push_back(element.clone()),
            }
        }
        Deed::Pop(end) => {
            let mut taken = None;
            let is_taken = list.pop(*end, &mut |element| taken = Some(element.to_vec()));
            assert_eq!(is_taken, len > 0);
            let expected = match end {
                End::Head => model.pop_front(),
                End::Tail => model.pop_back(),
            };
            assert_eq!(taken, expected);
        }
        Deed::Set(index, element) => {
            let index = index % (len + 1);
            list.set(index, element)?;
            if index < len {
                model[index] = element.clone();
            }
        }
        Deed::Insert(index, element) => {
            let index = index % (len + 1);
            list.insert(index, element)?;
            model.insert(index, element.clone());
        }
        Deed::Remove(range) => {
            let start = range.start % (len + 1);
            let range = start..start + range.len();
            list.remove(range.clone())?;
            model.drain(range.start..range.end.min(len));
        }
        Deed::RemoveEqual(wanted, from, most) => {
            let removed = list.remove_equal(wanted, *from, *most)?;
            let mut left = *most;
            let mut keep = |element: &Vec<u8>| {
                let goes = element == wanted && left > 0;
                left -= usize::from(goes);
                !goes
            };
            let kept: Model = match from {
                End::Head => model.drain(..).filter(&mut keep).collect(),
                End::Tail => {
                    let mut kept: Model = model.drain(..).rev().filter(&mut keep).collect();
                    kept.make_contiguous().reverse();
                    kept
                }
            };
            *model = kept;
            assert_eq!(removed, len - model.len());
        }
        Deed::Copy => *list = list.try_clone()?,
    }
    Ok(())
}

fn check(list: &List, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert!(shown(list, 0, End::Tail).iter().eq(model));
    let mut backwards = shown(list, model.len().saturating_sub(1), End::Head);
    backwards.reverse();
    assert!(backwards.iter().eq(model));
}

#[test]
fn list_does_what_a_deque_does_on_a_heap_that_is_full_now_and_then() {
    let deeds = prop::collection::vec((deed(), room(), any::<usize>()), 0..80);
    for_all(
        test_name!("list_does_what_a_deque_does_on_a_heap_that_is_full_now_and_then"),
        150,
        (0..500usize, end(), deeds),
        |(before, end, deeds), ballast: &mut Ballast| {
            let (mut list, mut model) = (List::new(), Model::new());
            for n in 0..before {
                let element = format!("{n:0>60}").into_bytes();
                act(&mut list, &mut model, &Deed::Push(end, element)).expect("room");
            }
            for (deed, room, index) in deeds {
                if let Some(but) = &room {
                    ballast.fill(but);
                }
                let done = act(&mut list, &mut model, &deed);
                if room.is_some() {
                    ballast.empty();
                } else {
                    done.expect("room");
                }
                check(&list, &model);
                let index = index % (model.len() + 2);
                prop_assert_eq!(list.get(index), model.get(index).map(Vec::as_slice));
                let rest = shown(&list, index, End::Tail);
                prop_assert!(rest.iter().eq(model.iter().skip(index)));
            }
            Ok(())
        },
    );
}

#[test]
fn popping_the_last_element_and_removing_all_leaves_no_block() {
    with_heap(
        test_name!("popping_the_last_element_and_removing_all_leaves_no_block"),
        6 << 20,
        || {
            for round in 0..3 {
                let mut list = List::new();
                for n in 0..5000u32 {
                    let end = if n % 3 == 0 { End::Head } else { End::Tail };
                    list.push(end, &n.to_le_bytes()).expect("room");
                }
                match round {
                    0 => while list.pop(End::Head, &mut |_| {}) {},
                    1 => while list.pop(End::Tail, &mut |_| {}) {},
                    _ => list.remove(0..usize::MAX).expect("needs no room"),
                }
                assert_eq!(list.len(), 0);
                assert!(list.get(0).is_none());
                std::mem::forget(list.try_clone().expect("no block"));
            }
        },
    );
}
