//! What is recorded of the order of locks, and who gives way in a circle (R16).

use super::world::*;
use crate::abi::{Node, WorkerRecord};
use crate::error::{DeadlockCause, LockError};
use crate::heap::testing::{fork_worker, reap, test_name};
use crate::ids::{GuardIndex, VersionId, WorkerSlot};
use crate::lock_all;
use crate::sync::{Edge, Edges, GuardSlot, Mixed, record_into, recorded, set_mixed};
use crate::worker::Worker;
use std::sync::atomic::Ordering;

const FAMILY_NODE: Node = Node(FAMILY.0 as u16);
const HARD_NODE: Node = Node(HARD.0 as u16);
const TOTALS_NODE: Node = Node(TOTALS.0 as u16);
/// Of a code that is not this one's.
const OTHER_TABLE: u32 = 8;
const TARGET: VersionId = VersionId(2);
const GAVE_WAY: i32 = 7;

fn edges(list: &[Edge]) -> Edges {
    let mut edges = Edges::NONE;
    list.iter().for_each(|edge| edges.insert(*edge));
    edges
}

// R16
#[test]
fn only_guards_taken_inside_others_are_recorded() {
    let name = test_name!("only_guards_taken_inside_others_are_recorded");
    with_world(name, || {
        play(0, |cx| {
            for member in [2, 0, 1] {
                drop(WORLD_FAMILY[member].lock(cx));
            }
            let family = WORLD_FAMILY[1].lock(cx).expect("free and sound");
            assert!(WORLD_FAMILY[1].lock(cx).is_err());
            // Neither waits for others as an application does.
            drop(WORLD_HARD.try_lock(cx));
            drop(WORLD_FAMILY[0].lock_for_visit(cx));
            assert!(recorded(ORDER_TABLE).is_empty());

            let mut wanted = vec![Edge::Between(FAMILY_NODE, HARD_NODE)];
            let hard = WORLD_HARD.lock(cx).expect("free and sound");
            assert_eq!(recorded(ORDER_TABLE), edges(&wanted));
            assert!(WORLD_FAMILY[1].lock(cx).is_err(), "this worker holds it");
            assert_eq!(recorded(ORDER_TABLE), edges(&wanted));
            // Released in the order of their taking.
            drop(family);
            drop(WORLD_OLD.lock(cx));
            wanted.push(Edge::Between(HARD_NODE, TOTALS_NODE));
            assert_eq!(recorded(ORDER_TABLE), edges(&wanted));
            drop(hard);
            drop(WORLD_OLD.lock(cx));
            drop(lock_all!(cx, WORLD_FAMILY[2], WORLD_FAMILY[0]));
            drop(WORLD_FAMILY.lock_many(cx, [2, 1, 0]));
            wanted.push(Edge::Ascending(FAMILY_NODE));
            assert_eq!(recorded(ORDER_TABLE), edges(&wanted));
            let tried = WORLD_FAMILY[2].try_lock(cx).expect("free and sound");
            drop(WORLD_FAMILY[1].lock_timeout(cx, PATIENCE));
            drop(tried);
            wanted.push(Edge::Descending(FAMILY_NODE));
            assert_eq!(recorded(ORDER_TABLE), edges(&wanted));
        });
        assert!(recorded(OTHER_TABLE).is_empty());
    });
}

// R16
#[test]
fn edges_of_the_dead_stay_and_guards_without_a_declaration_have_none() {
    let name = test_name!("edges_of_the_dead_stay_and_guards_without_a_declaration_have_none");
    with_world(name, || {
        let child = fork_worker(1, || {
            watch();
            let cx = Worker::of_runtime();
            let _family = WORLD_FAMILY[1].lock(&cx).expect("free and sound");
            let _hard = WORLD_HARD.lock(&cx).expect("free and sound");
            die();
        });
        assert_eq!(reap(child), None);
        let wanted = edges(&[Edge::Between(FAMILY_NODE, HARD_NODE)]);
        assert_eq!(recorded(ORDER_TABLE), wanted);
        play(0, |cx| {
            GuardSlot::at(TOTALS).set_node(Node(u16::MAX));
            let _free = WORLD_FAMILY[2].lock(cx).expect("free and sound");
            drop(WORLD_OLD.lock(cx));
            assert_eq!(recorded(ORDER_TABLE), wanted);
        });
    });
}

fn order_error(error: Option<LockError>) -> String {
    match error {
        Some(LockError::Deadlock(deadlock)) => match deadlock.cause {
            DeadlockCause::Order(text) => text,
            other => panic!("another cause: {other:?}"),
        },
        other => panic!("it was taken, or failed otherwise: {other:?}"),
    }
}

// R16
#[test]
fn while_mixed_the_newer_version_is_kept_from_an_order_that_goes_round_with_the_older_ones() {
    let name = test_name!(
        "while_mixed_the_newer_version_is_kept_from_an_order_that_goes_round_with_the_older_ones"
    );
    with_world(name, || {
        play(0, |cx| {
            let family_then_hard = |cx: &Worker| {
                let _family = WORLD_FAMILY[0].lock(cx).expect("free and sound");
                WORLD_HARD.lock(cx).err()
            };
            let hard_then_family = |cx: &Worker| {
                let _hard = WORLD_HARD.lock(cx).expect("free and sound");
                WORLD_FAMILY[0].lock(cx).err()
            };
            // The older version's table, and then this code's again.
            record_into(Some(OTHER_TABLE));
            assert_eq!(family_then_hard(cx), None);
            record_into(Some(ORDER_TABLE));
            set_mixed(Some(Mixed {
                from: OTHER_TABLE,
                to: ORDER_TABLE,
                target: TARGET,
            }));
            let wanted = "this version takes WORLD_HARD, then WORLD_FAMILY; \
                          the other takes WORLD_FAMILY, then WORLD_HARD";
            for _ in 0..2 {
                assert_eq!(order_error(hard_then_family(cx)), wanted);
                assert!(GuardSlot::at(FAMILY).lock.is_at_rest());
            }
            let backward = Edge::Between(HARD_NODE, FAMILY_NODE);
            assert_eq!(
                recorded(ORDER_TABLE),
                edges(&[backward]),
                "for the next attempt"
            );
            // What the older does as well is allowed, unless it goes round with what the newer wants.
            assert!(family_then_hard(cx).is_some());
            // The older is never refused, and what it begins to do counts at once.
            record_into(Some(OTHER_TABLE));
            assert_eq!(hard_then_family(cx), None);
            assert_eq!(family_then_hard(cx), None);
            record_into(Some(ORDER_TABLE));
            // Both versions go both ways now: whatever keeps them apart does so still.
            assert_eq!(family_then_hard(cx), None);
            assert_eq!(hard_then_family(cx), None);
        });
    });
}

// R16
#[test]
fn what_the_older_version_begins_to_do_counts_at_once_and_nothing_when_it_is_gone() {
    let name = test_name!(
        "what_the_older_version_begins_to_do_counts_at_once_and_nothing_when_it_is_gone"
    );
    with_world(name, || {
        play(0, |cx| {
            let downwards = |cx: &Worker| {
                let _last = WORLD_FAMILY[2].lock(cx).expect("free and sound");
                WORLD_FAMILY[0].lock(cx).err()
            };
            set_mixed(Some(Mixed {
                from: OTHER_TABLE,
                to: ORDER_TABLE,
                target: TARGET,
            }));
            assert_eq!(downwards(cx), None);
            let older = fork_worker(1, || {
                watch();
                record_into(Some(OTHER_TABLE));
                let cx = Worker::of_runtime();
                drop(lock_all!(&cx, WORLD_FAMILY[0], WORLD_FAMILY[2]).expect("sound"));
            });
            assert_eq!(reap(older), Some(0));
            let wanted = "this version takes members of WORLD_FAMILY downwards; \
                          the other takes members of WORLD_FAMILY upwards";
            assert_eq!(order_error(downwards(cx)), wanted);
            set_mixed(None);
            assert_eq!(downwards(cx), None);
        });
    });
}

/// Two workers, each of which takes one member and then, when the other has its own, that one.
/// Who gives way ends with `GAVE_WAY`; it lets go first, so that the other goes on.
fn cross_over(versions: [VersionId; 2]) -> [Option<i32>; 2] {
    let worker = |slot: u32, own: u32, version: VersionId| {
        fork_worker(slot, move || {
            watch();
            // Only waiting is what this is about.
            record_into(None);
            let record = WorkerRecord::at(WorkerSlot(slot));
            record.version.store(version.0, Ordering::Relaxed);
            let cx = Worker::of_runtime();
            let (other_slot, other) = (3 - slot, 1 - own);
            let held = WORLD_FAMILY[own as usize]
                .lock(&cx)
                .expect("free and sound");
            await_owner(other_slot, GuardIndex(FAMILY.0 + other));
            match WORLD_FAMILY[other as usize].lock(&cx) {
                Ok(mut second) => second.count += 1,
                Err(LockError::Deadlock(deadlock)) => {
                    assert!(
                        matches!(deadlock.cause, DeadlockCause::Circle(_)),
                        "{deadlock}"
                    );
                    drop(held);
                    leave(GAVE_WAY);
                }
                Err(error) => panic!("{error}"),
            }
        })
    };
    [worker(1, 0, versions[0]), worker(2, 1, versions[1])].map(reap)
}

// R16
#[test]
fn of_two_workers_that_wait_for_each_other_one_gives_way() {
    let name = test_name!("of_two_workers_that_wait_for_each_other_one_gives_way");
    with_world(name, || {
        let ends = cross_over([VersionId(1); 2]);
        assert_eq!(ends, [Some(0), Some(GAVE_WAY)]);
        let slot = |member| GuardSlot::at(GuardIndex(FAMILY.0 + member));
        assert!(slot(0).lock.is_at_rest() && slot(1).lock.is_at_rest());
    });
}

// R16
#[test]
fn of_two_versions_that_wait_for_each_other_the_newer_gives_way() {
    let name = test_name!("of_two_versions_that_wait_for_each_other_the_newer_gives_way");
    with_world(name, || {
        set_mixed(Some(Mixed {
            from: OTHER_TABLE,
            to: ORDER_TABLE,
            target: TARGET,
        }));
        let ends = cross_over([TARGET, VersionId(1)]);
        assert_eq!(ends, [Some(GAVE_WAY), Some(0)]);
    });
}

// R16
#[test]
fn a_visit_of_the_runtime_gives_way_to_the_application() {
    let name = test_name!("a_visit_of_the_runtime_gives_way_to_the_application");
    with_world(name, || {
        let application = fork_worker(2, || {
            watch();
            let cx = Worker::of_runtime();
            let _second = WORLD_FAMILY[1].lock(&cx).expect("free and sound");
            await_owner(1, FAMILY);
            drop(
                WORLD_FAMILY[0]
                    .lock_timeout(&cx, std::time::Duration::MAX)
                    .expect("in the end"),
            );
        });
        play(1, |cx| {
            await_owner(2, GuardIndex(FAMILY.0 + 1));
            let first = WORLD_FAMILY[0].lock_for_visit(cx).expect("free and sound");
            let second = WORLD_FAMILY[1].lock_for_visit(cx);
            assert!(matches!(second.err(), Some(LockError::Deadlock(_))));
            drop(first);
        });
        assert_eq!(reap(application), Some(0));
    });
}
