//! Any order of what three workers do to objects, beside a model.

use super::rooms::*;
use super::world::*;
use crate::error::LockError;
use crate::heap::objects;
use crate::heap::testing::{Actor, test_name};
use crate::sync::Handle;
use crate::worker::Worker;
use proptest::prelude::*;
use std::cell::RefCell;

/// One thing that a worker does; numbers pick among what there is.
#[derive(Clone, Debug)]
enum Deed {
    Make,
    TearDown(usize),
    Take(usize, bool),
    Clone(usize),
    Drop(usize),
    Forget(usize),
    Visit(usize),
    EndRun,
}

fn deeds() -> impl Strategy<Value = Vec<(u32, Deed)>> {
    let deed = prop_oneof![
        4 => Just(Deed::Make),
        2 => any::<usize>().prop_map(Deed::TearDown),
        4 => any::<(usize, bool)>().prop_map(|(place, is_old)| Deed::Take(place, is_old)),
        1 => any::<usize>().prop_map(Deed::Clone),
        3 => any::<usize>().prop_map(Deed::Drop),
        1 => any::<usize>().prop_map(Deed::Forget),
        6 => any::<usize>().prop_map(Deed::Visit),
        1 => Just(Deed::EndRun),
    ];
    prop::collection::vec((0..3_u32, deed), 1..120)
}

enum Either {
    Old(Handle<OldRoom>),
    New(Handle<NewRoom>),
}

impl Either {
    fn visit(&self, cx: &Worker) -> Result<u64, LockError> {
        Ok(match self {
            Either::Old(room) => {
                let mut room = room.lock(cx)?;
                room.visits += 1;
                room.visits
            }
            Either::New(room) => {
                let mut room = room.lock(cx)?;
                room.visits += 1;
                room.visits
            }
        })
    }
}

/// A room of the model.
struct Room {
    name: u64,
    visits: u64,
}

/// What a worker of the model has: handles with the name of their room and the run they are of.
#[derive(Default)]
struct Hands {
    run: u32,
    handles: Vec<(Either, u64, u32)>,
}

#[test]
fn any_order_of_deeds_agrees_with_the_model_and_loses_no_slot_and_no_block() {
    let name =
        test_name!("any_order_of_deeds_agrees_with_the_model_and_loses_no_slot_and_no_block");
    with_world(name, || {
        let actors = RefCell::new([0, 1, 2].map(Actor::start));
        proptest!(ProptestConfig::with_cases(150), |(deeds in deeds())| {
            let mut lobby: Vec<Room> = Vec::new();
            let mut hands: [Hands; 3] = Default::default();
            let mut names = 0..;
            for (worker, deed) in deeds {
                actors.borrow_mut()[worker as usize].act(|| {
                    let cx = &Worker::of_runtime();
                    act(cx, deed, &mut lobby, &mut hands[worker as usize], &mut names);
                });
            }
            for (worker, hands) in hands.into_iter().enumerate() {
                actors.borrow_mut()[worker].act(|| {
                    drop(hands);
                    objects::end_run();
                });
            }
            actors.borrow_mut()[0].act(|| {
                let cx = &Worker::of_runtime();
                assert_eq!(all_objects().len(), lobby.len());
                assert_sound();
                while !lobby.is_empty() {
                    lobby.pop();
                    tear_down(cx, 0);
                }
                assert_eq!(all_objects(), []);
                assert_sound();
            });
        });
    });
}

fn act(
    cx: &Worker,
    deed: Deed,
    lobby: &mut Vec<Room>,
    hands: &mut Hands,
    names: &mut std::ops::RangeFrom<u64>,
) {
    let run = hands.run;
    let pick = |at: usize, len: usize| (len != 0).then(|| at % len);
    match deed {
        Deed::Make => {
            let_in(cx, old_room(0));
            let name = names.next().expect("endless");
            lobby.push(Room { name, visits: 0 });
        }
        Deed::TearDown(at) => {
            if let Some(at) = pick(at, lobby.len()) {
                lobby.remove(at);
                tear_down(cx, at);
            }
        }
        Deed::Take(at, is_old) => {
            if let Some(at) = pick(at, lobby.len()) {
                let handle = match is_old {
                    true => Either::Old(old_handle(cx, at)),
                    false => Either::New(new_handle(cx, at)),
                };
                hands.handles.push((handle, lobby[at].name, run));
            }
        }
        Deed::Clone(at) => {
            if let Some(at) = pick(at, hands.handles.len()) {
                let (handle, name, run) = &hands.handles[at];
                let copy = match handle {
                    Either::Old(room) => Either::Old(room.clone()),
                    Either::New(room) => Either::New(room.clone()),
                };
                let copy = (copy, *name, *run);
                hands.handles.push(copy);
            }
        }
        Deed::Drop(at) => {
            if let Some(at) = pick(at, hands.handles.len()) {
                hands.handles.swap_remove(at);
            }
        }
        Deed::Forget(at) => {
            if let Some(at) = pick(at, hands.handles.len()) {
                std::mem::forget(hands.handles.swap_remove(at));
            }
        }
        Deed::Visit(at) => {
            if let Some(at) = pick(at, hands.handles.len()) {
                let (handle, name, of_run) = &hands.handles[at];
                let room = lobby.iter_mut().find(|room| room.name == *name);
                match room.filter(|_| *of_run == run) {
                    Some(room) => {
                        room.visits += 1;
                        assert_eq!(handle.visit(cx), Ok(room.visits));
                    }
                    None => assert!(is_retired(handle.visit(cx))),
                }
            }
        }
        Deed::EndRun => {
            hands.run += 1;
            objects::end_run();
        }
    }
}
