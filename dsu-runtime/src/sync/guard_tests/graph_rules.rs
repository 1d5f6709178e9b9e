//! What is promised of shared nodes one by one: who may edit, what a walk does, what a conversion leaves.
#![allow(unsafe_code)] // counts that processes share

use super::graph::*;
use super::world::*;
use crate::abi::{Parked, SUPERBLOCK_SIZE, WorkerRecord};
use crate::error::{AccessError, LockError, RcError};
use crate::heap::stepping::at_every_store_there;
use crate::heap::testing::{failing_after, shared_zeroed, test_name};
use crate::heap::{
    self, Activity, Element, HeapAccount, SharedRc, SharedVec, SharedWeak, Versioned, rc,
};
use crate::ids::WorkerSlot;
use crate::sync::{GuardSlot, erased, recover_worker};
use crate::worker::Worker;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

// R29: a node is converted once a direction, however many handles lead to it and whoever comes first.
#[test]
fn each_node_is_converted_once_a_flip_whatever_leads_to_it() {
    let name = test_name!("each_node_is_converted_once_a_flip_whatever_leads_to_it");
    in_world(name, |cx| {
        make_circle(cx, 40);
        let mut number = 1;
        for _ in 0..3 {
            for is_new in [false, true] {
                let before = conversions();
                if is_new {
                    // Some by an edit, the rest by the sweep.
                    let edit = |person: &Node| person.edit(|value| value.edits += 1);
                    NewPerson::in_town(cx, |roots| {
                        for place in 0..10 {
                            edit(roots.get(place).expect("inline").expect("there")).expect("form");
                        }
                    });
                }
                let slice = sweep(number, is_new, Parked::Kept);
                number += 1;
                let [forward, backward] = conversions();
                // Beside the people there is one whom the lens of the town makes in version 2's form.
                let expected = if is_new { [40, 0] } else { [0, 40] };
                assert_eq!([forward - before[0], backward - before[1]], expected);
                assert_eq!((slice.parked, slice.failed), (0, 0));
                assert_eq!(counts()[usize::from(!is_new)], 0);
                assert_eq!(sweep(number, is_new, Parked::Kept).converted, 0);
                number += 1;
                assert_eq!(findings(is_new), [""; 0]);
            }
        }
        open_circles(cx);
    });
}

// R29: what goes, comes and is moved between two slices harms no walk, and the next pass finds the rest.
#[test]
fn people_come_and_go_between_the_slices_of_a_sweep() {
    let name = test_name!("people_come_and_go_between_the_slices_of_a_sweep");
    in_world(name, |cx| {
        make_circle(cx, 12);
        open_circles(cx);
        let mut number = 0;
        for round in 0..4 {
            let is_new = round % 2 == 1;
            number += 1;
            let mut done = slice(number, is_new, Parked::Kept).is_done;
            for step in 0.. {
                match is_new {
                    true => stir::<NewPerson>(cx, round * 1_000 + step),
                    false => stir::<OldPerson>(cx, round * 1_000 + step),
                }
                assert_eq!(findings(is_new), [""; 0]);
                if std::mem::replace(&mut done, slice(number, is_new, Parked::Kept).is_done) {
                    break;
                }
            }
            // What was moved in front of the walk is met by the next pass.
            sweep(number, is_new, Parked::Kept);
            assert_eq!(counts()[usize::from(!is_new)], 0);
        }
    });
}

/// The first goes, after it has given what it leads to to the next; a new one comes to the last. All lead to
/// younger ones, so that nobody leaks.
fn stir<T: Person>(cx: &Worker, step: u64) {
    T::in_town(cx, |roots| {
        let first = roots.remove(0).expect("inline").expect("there");
        let heir = roots.get(0).expect("inline").expect("there");
        let links = first
            .edit(|value| std::mem::take(value.links_mut()))
            .expect("has a form");
        let inherit = |value: &mut T| {
            for link in links.iter().map(|link| link.expect("inline")) {
                if !link.ptr_eq(heir) {
                    let link = link.try_clone().expect("held");
                    value.links_mut().push(link).expect("room");
                }
            }
        };
        heir.edit(inherit).expect("has a form");
        let last = roots.get(roots.len() - 1).expect("inline").expect("there");
        let new = SharedRc::new(T::make(1 << 20 | step)).expect("room");
        let link = new.try_clone().expect("held");
        let linked = last.edit(|value| value.links_mut().push(link));
        linked.expect("has a form").expect("room");
        roots.push(new).expect("room");
    });
}

// A path of many nodes costs no stack: not to the sweep, nor to the check, nor when it is dropped.
#[test]
fn a_long_path_is_swept_checked_and_dropped_without_a_call_for_each_step() {
    let name = test_name!("a_long_path_is_swept_checked_and_dropped_without_a_call_for_each_step");
    in_world(name, |cx| {
        const STEPS: u64 = 60_000;
        let mut guard = GRAPH_NEW.lock(cx).expect("free and sound");
        let mut last = node(0);
        for id in 1..STEPS {
            let next = node(id);
            next.edit(|value| value.links.push(last))
                .expect("form")
                .expect("room");
            last = next;
        }
        guard.town.roots.push(last).expect("room");
        drop(guard);
        assert_eq!(sweep(1, false, Parked::Kept).converted, STEPS + 1);
        assert_eq!(findings(false), [""; 0]);
        assert_eq!(sweep(2, true, Parked::Kept).converted, STEPS + 1);
    });
}

// I36
#[test]
fn nobody_edits_what_is_read_or_edited_and_a_panic_ends_both() {
    let name = test_name!("nobody_edits_what_is_read_or_edited_and_a_panic_ends_both");
    in_world(name, |cx| {
        let guard = GRAPH_NEW.lock(cx).expect("free and sound");
        let (one, other) = (node(1), node(2));
        let same = one.try_clone().expect("held");
        one.read(|value| {
            assert_eq!(same.edit(|_| ()), Err(RcError::Borrowed));
            assert_eq!(same.replace(NewPerson::make(9)), Err(RcError::Borrowed));
            assert_eq!(same.read(|again| again.id), Ok(value.id));
            assert_eq!(other.edit(|value| value.edits += 1), Ok(()));
        })
        .expect("its own form");
        one.edit(|_| {
            assert_eq!(same.edit(|_| ()), Err(RcError::Borrowed));
            assert_eq!(same.read(|_| ()), Err(RcError::Borrowed));
            assert_eq!(same.strong_count(), Ok(2));
            assert_eq!(other.read(|value| value.edits), Ok(1));
        })
        .expect("its own form");
        for _ in 0..2 {
            let panicked = catch_unwind(AssertUnwindSafe(|| one.edit(|_| panic!("in the edit"))));
            assert!(panicked.is_err());
        }
        assert_eq!(same.edit(|value| value.id), Ok(1));
        drop(guard);
    });
}

// R20
#[test]
fn a_reader_of_another_version_gets_a_copy_and_changes_nothing() {
    let name = test_name!("a_reader_of_another_version_gets_a_copy_and_changes_nothing");
    in_world(name, |cx| {
        make_circle(cx, 5);
        drop(GRAPH_OLD.lock(cx).expect("free and sound"));
        let account = |what: &str| {
            let account = HeapAccount::take(Activity::Live);
            assert_eq!(account.findings, [""; 0], "{what}");
            account.used_bytes
        };
        let (before, of_people) = (account("before"), counts());
        OldPerson::in_town(cx, |roots| {
            let first = roots.get(0).expect("inline").expect("there");
            let strong = first.strong_count().expect("held");
            let friend = first
                .read(|value| {
                    assert_eq!((value.id, value.links.len()), (0, 5));
                    assert_eq!(first.strong_count(), Ok(strong), "a copy is no handle");
                    let friend = value.links.get(3).expect("inline").expect("there");
                    assert_eq!(friend.read(|value| value.id), Ok(3));
                    friend.try_clone().expect("held")
                })
                .expect("has an old form");
            assert!(friend.ptr_eq(roots.get(3).expect("inline").expect("there")));
        });
        assert_eq!((account("after"), counts()), (before, of_people));
        open_circles(cx);
    });
}

// I35, R3
#[test]
fn what_a_failing_transformer_did_to_the_counts_is_undone() {
    let name = test_name!("what_a_failing_transformer_did_to_the_counts_is_undone");
    in_world(name, |cx| {
        make_circle(cx, 3);
        let strong = |is_new: bool| match is_new {
            true => NewPerson::in_town(cx, |roots| all_strong(roots)),
            false => OldPerson::in_town(cx, |roots| all_strong(roots)),
        };
        for is_new in [true, false, true] {
            let before = strong(is_new);
            for ending in [Ending::Failure, Ending::Panic] {
                town_lens_shall(ending);
                match is_new {
                    true => assert!(GRAPH_OLD.lock(cx).is_err(), "{ending:?}"),
                    false => assert!(GRAPH_NEW.lock(cx).is_err(), "{ending:?}"),
                }
            }
            town_lens_shall(Ending::Good);
            for allocations in 0.. {
                let outcome = failing_after(allocations, || match is_new {
                    true => GRAPH_OLD.lock(cx).map(drop),
                    false => GRAPH_NEW.lock(cx).map(drop),
                });
                match outcome {
                    Ok(()) => break,
                    Err(error) => assert_eq!(error, LockError::HeapFull),
                }
                assert_eq!(findings(is_new), [""; 0]);
                assert_eq!(strong(is_new), before);
            }
            assert_eq!(findings(!is_new), [""; 0]);
            // Back, for the same again.
            drop(strong(is_new));
            drop(strong(!is_new));
        }
        open_circles(cx);
    });
}

fn all_strong<T: Person>(roots: &SharedVec<SharedRc<T>>) -> Vec<usize> {
    let strong = |root: Result<&SharedRc<T>, AccessError>| {
        root.expect("inline").strong_count().expect("held")
    };
    roots.iter().map(strong).collect()
}

// I7, R20
#[test]
fn an_edit_that_finds_no_room_leaves_the_node_as_it_was() {
    let name = test_name!("an_edit_that_finds_no_room_leaves_the_node_as_it_was");
    in_world(name, |cx| {
        make_circle(cx, 2);
        OldPerson::in_town(cx, |roots| {
            let first = roots.get(0).expect("inline").expect("there");
            let before = counts();
            for allocations in 0.. {
                let edit = || first.edit(|value| value.edits += 1);
                match failing_after(allocations, edit) {
                    Ok(()) => break,
                    Err(error) => assert_eq!(error, RcError::Access(AccessError::HeapFull)),
                }
                assert_eq!(counts(), before);
                assert_eq!(first.read(|value| (value.id, value.edits)), Ok((0, 0)));
            }
            assert_eq!(first.read(|value| (value.id, value.edits)), Ok((0, 1)));
        });
        open_circles(cx);
    });
}

// I6, I35: wherever a worker dies in a flip whose lens counts up and down, the counts are not too low, but
// for one handle they are right when whoever takes its slot has had the guard, and the guard is sound.
#[test]
fn worker_may_die_at_every_store_of_a_flip_that_counts() {
    let name = test_name!("worker_may_die_at_every_store_of_a_flip_that_counts");
    with_world(name, || {
        // Counts change in the heap: the superblock that nodes lie in is watched as well.
        let nodes = play(2, |cx| {
            make_circle(cx, 2);
            // Leaves a queue, out of which goes who is dropped in the flip.
            drop(GRAPH_OLD.lock(cx).expect("free and sound"));
            for _ in 0..5 {
                assert!(!slice(1, true, Parked::Kept).is_done);
            }
            NewPerson::in_town(cx, |roots| {
                let first = roots.get(0).expect("inline").expect("there");
                first.node.address() / SUPERBLOCK_SIZE * SUPERBLOCK_SIZE
            })
        });
        const DEAD: WorkerSlot = WorkerSlot(1);
        let points = at_every_store_there(
            DEAD.0,
            nodes..nodes + SUPERBLOCK_SIZE,
            || {
                let cx = &Worker::of_runtime();
                drop(GRAPH_OLD.lock(cx).expect("free and sound"));
                drop(GRAPH_NEW.lock(cx).expect("free and sound"));
                NewPerson::in_town(cx, |roots| {
                    let first = roots.get(0).expect("inline").expect("there");
                    first
                        .edit(|value| value.links.clear())
                        .expect("its own form");
                    let new = node(7);
                    roots.push(new).expect("room");
                });
            },
            || {
                let flipped = WorkerRecord::at(DEAD).flipping.load(Ordering::Acquire);
                for dead in [DEAD, WorkerSlot(2)] {
                    recover_worker(dead, GUARDS);
                    heap::recover(dead);
                }
                if GuardSlot::at(GRAPH).is_poisoned() {
                    assert_ne!(flipped, GRAPH.0 + 1, "a transformer harms nothing");
                    return;
                }
                play(DEAD.0, |cx| {
                    rc::inherit();
                    for is_new in [true, false] {
                        // Whoever has held the guard once owes nothing any more.
                        cells(is_new)
                            .into_iter()
                            .for_each(|cell| drop(erased(cell).lock(cx)));
                        let found = findings(is_new);
                        let is_loss = |finding: &&String| finding.contains("nobody reaches");
                        let of_nodes = found.iter().filter(|finding| !is_loss(finding));
                        let too_many: u64 = of_nodes.map(|finding| too_many(finding)).sum();
                        assert!(too_many <= 1, "{found:?}");
                    }
                    for _ in 0..2 {
                        assert_eq!(sweep(1, true, Parked::Kept).failed, 0);
                    }
                    open_circles(cx);
                    leave_town(cx);
                });
            },
        );
        assert!(points > 100, "{points}");
    });
}

// R29, I35: a worker that dies while it converts for a sweep leaves a graph that another one sweeps, and
// counts that are right but for one handle when whoever takes its slot has had the guard.
#[test]
fn whoever_sweeps_a_graph_may_die_at_every_store() {
    let name = test_name!("whoever_sweeps_a_graph_may_die_at_every_store");
    with_world(name, || {
        const DEAD: WorkerSlot = WorkerSlot(1);
        let nodes = play(2, |cx| {
            make_circle(cx, 3);
            drop(GRAPH_OLD.lock(cx).expect("free and sound"));
            OldPerson::in_town(cx, |roots| {
                let first = roots.get(0).expect("inline").expect("there");
                first.node.address() / SUPERBLOCK_SIZE * SUPERBLOCK_SIZE
            })
        });
        // SAFETY: atomics. How many points left the guard sound, and how many of those a handle too many.
        let seen: &[AtomicU32; 2] = unsafe { shared_zeroed() };
        let points = at_every_store_there(
            DEAD.0,
            nodes..nodes + SUPERBLOCK_SIZE,
            || assert_eq!(sweep(1, false, Parked::Kept).converted, 3),
            || {
                for dead in [DEAD, WorkerSlot(2)] {
                    recover_worker(dead, GUARDS);
                    heap::recover(dead);
                }
                if GuardSlot::at(GRAPH).is_poisoned() {
                    return;
                }
                play(DEAD.0, |cx| {
                    rc::inherit();
                    drop(GRAPH_OLD.lock(cx).expect("free and sound"));
                    let found = findings(false);
                    let of_nodes = found.iter().filter(|f| !f.contains("nobody reaches"));
                    let too_many: u64 = of_nodes.map(|finding| too_many(finding)).sum();
                    assert!(too_many <= 1, "{found:?}");
                    seen[0].fetch_add(1, Ordering::Relaxed);
                    seen[1].fetch_add(too_many as u32, Ordering::Relaxed);
                    let rest = sweep(1, false, Parked::Kept);
                    assert_eq!((rest.failed, rest.parked), (0, 0));
                    OldPerson::in_town(cx, |roots| {
                        let all = everybody(roots);
                        let is_old = |one: &SharedRc<OldPerson>| {
                            one.node.holds() == Some(OldPerson::tag().get())
                        };
                        assert!(all.len() == 3 && all.values().all(is_old));
                    });
                    open_circles(cx);
                    leave_town(cx);
                });
            },
        );
        let [sound, off] = seen.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert!(
            sound > 50 && off * 5 < sound,
            "{points}: {sound}, {off} off"
        );
    });
}

// R13: what lies in a node goes with the elements that its handles lie in.
#[test]
fn a_parked_node_is_foreign_to_all_and_discarded_with_its_handles() {
    let name = test_name!("a_parked_node_is_foreign_to_all_and_discarded_with_its_handles");
    in_world(name, |cx| {
        make_circle(cx, 4);
        NewPerson::in_town(cx, |roots| {
            let second = roots.get(1).expect("inline").expect("there");
            let edit = |value: &mut NewPerson| {
                value.note = FOREIGN;
                // Its handle to itself, with which it would be a leak.
                value.links.remove(1)
            };
            drop(second.edit(edit).expect("its own form"));
        });
        let kept = sweep(1, false, Parked::Kept);
        assert_eq!((kept.parked, kept.failed), (1, 0));
        OldPerson::in_town(cx, |roots| {
            let second = roots.get(1).expect("inline").expect("there");
            let foreign = Err(RcError::Access(AccessError::Foreign));
            assert_eq!(second.read(|_| ()), foreign);
            assert_eq!(second.edit(|_| ()), foreign);
            assert_eq!(second.try_clone().expect("held").strong_count(), Ok(5));
            let third = roots.get(2).expect("inline").expect("there");
            let ids = third.read(|value| {
                let ids = value
                    .links
                    .iter()
                    .map(|link| link.expect("inline").read(|v| v.id));
                ids.collect::<Vec<_>>()
            });
            assert_eq!(ids, Ok(vec![Ok(0), foreign_id(), Ok(2), Ok(3)]));
        });
        assert_eq!(findings(false), [""; 0]);
        // Handles that lie in elements of vectors: a root, and the links of the others.
        let gone = sweep(2, false, Parked::Discarded);
        assert_eq!((gone.discarded, gone.failed), (4, 0));
        assert_eq!(
            counts()[1],
            0,
            "with the last handle that leads there from outside"
        );
        OldPerson::in_town(cx, |roots| {
            assert_eq!(everybody(roots).into_keys().collect::<Vec<_>>(), [0, 2, 3]);
        });
        assert_eq!(findings(false), [""; 0]);
        open_circles(cx);
    });
}

fn foreign_id() -> Result<u64, RcError> {
    Err(RcError::Access(AccessError::Foreign))
}

#[test]
fn weak_handles_lead_to_nothing_before_a_node_is_made_and_after_it_is_gone() {
    let name =
        test_name!("weak_handles_lead_to_nothing_before_a_node_is_made_and_after_it_is_gone");
    in_world(name, |cx| {
        let _guard = GRAPH_NEW.lock(cx).expect("free and sound");
        let own = |weak: &SharedWeak<NewPerson>| -> Result<NewPerson, RcError> {
            assert!(weak.upgrade()?.is_none());
            let mut value = NewPerson::make(1);
            value.weak.push(weak.try_clone()?)?;
            Ok(value)
        };
        let person = SharedRc::new_cyclic(own).expect("room");
        assert_eq!((person.strong_count(), person.weak_count()), (Ok(1), Ok(1)));
        let weak = person
            .read(|value| {
                value
                    .weak
                    .get(0)
                    .expect("inline")
                    .expect("there")
                    .try_clone()
            })
            .expect("its own form")
            .expect("held");
        let again = weak.upgrade().expect("held").expect("alive");
        assert!(again.ptr_eq(&person));
        let again = again.try_unwrap().err().expect("there are two");
        drop(person);
        let content: Versioned<NewPerson> = again.try_unwrap().expect("the only one");
        assert!(weak.upgrade().expect("held").is_none());
        let moved = SharedRc::from_box(content).expect("room");
        assert_eq!(moved.read(|value| value.id), Ok(1));
        drop(moved);
        let failed = SharedRc::<NewPerson>::new_cyclic(|_| Err(RcError::TooMany));
        assert_eq!(failed.map(drop), Err(RcError::TooMany));
        let panicked = catch_unwind(|| {
            SharedRc::<NewPerson>::new_cyclic::<RcError>(|_| panic!("while it is made"))
        });
        assert!(panicked.is_err());
        for allocations in 0..2 {
            let full = failing_after(allocations, || {
                let empty = new_person(1, 1);
                SharedRc::new(empty).map(drop)
            });
            assert_eq!(full, Err(RcError::Access(AccessError::HeapFull)));
        }
    });
}
