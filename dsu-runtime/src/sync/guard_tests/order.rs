//! Several guards at once (R16).

use super::world::*;
use crate::heap::testing::{fork_worker, kill, reap, test_name};
use crate::ids::{GuardIndex, WorkerSlot};
use crate::lock_all;
use crate::sync::{GuardSlot, recover_worker};
use crate::worker::Worker;

/// Two workers that name the guards in opposite order, many times.
fn cross_swords(first: fn(&Worker), second: fn(&Worker)) {
    const ROUNDS: usize = 3000;
    let children = [first, second].map(|once| (0..ROUNDS, once));
    let children: Vec<_> = (1..)
        .zip(children)
        .map(|(slot, (rounds, once))| {
            fork_worker(slot, || {
                watch();
                let cx = Worker::of_runtime();
                rounds.for_each(|_| once(&cx));
            })
        })
        .collect();
    for child in children {
        assert_eq!(reap(child), Some(0), "the workers wait for each other");
    }
    for slot in [1, 2] {
        assert_eq!(poisoned_by_death_of(slot), []);
        crate::heap::recover(WorkerSlot(slot));
    }
    play(0, |cx| {
        let counts = [0, 2].map(|member| WORLD_FAMILY[member].lock(cx).expect("sound").count);
        assert_eq!(counts, [2 * ROUNDS as u64; 2]);
    });
}

// R16
#[test]
fn opposite_orders_of_arguments_do_not_deadlock() {
    let name = test_name!("opposite_orders_of_arguments_do_not_deadlock");
    with_world(name, || {
        cross_swords(
            |cx| {
                let (mut a, mut b) =
                    lock_all!(cx, WORLD_FAMILY[0], WORLD_FAMILY[2]).expect("sound");
                (a.count, b.count) = (a.count + 1, b.count + 1);
            },
            |cx| {
                let (mut b, mut a) =
                    lock_all!(cx, WORLD_FAMILY[2], WORLD_FAMILY[0]).expect("sound");
                (a.count, b.count) = (a.count + 1, b.count + 1);
            },
        );
    });
}

// R16
#[test]
fn opposite_orders_of_members_do_not_deadlock() {
    let name = test_name!("opposite_orders_of_members_do_not_deadlock");
    with_world(name, || {
        fn add(cx: &Worker, wanted: [usize; 3]) {
            let mut guards = WORLD_FAMILY.lock_many(cx, wanted).expect("sound");
            assert!(guards[1].is_none(), "nobody asked for it");
            guards
                .iter_mut()
                .flatten()
                .for_each(|guard| guard.count += 1);
        }
        cross_swords(|cx| add(cx, [0, 2, 0]), |cx| add(cx, [2, 0, 2]));
    });
}

// R16
#[test]
fn who_waits_for_the_lower_slot_does_not_hold_the_higher() {
    let name = test_name!("who_waits_for_the_lower_slot_does_not_hold_the_higher");
    with_world(name, || {
        play(0, |cx| {
            let held = WORLD_FAMILY[0].lock(cx).expect("free and sound");
            let child = fork_worker(1, || {
                watch();
                let cx = Worker::of_runtime();
                let _both = lock_all!(&cx, WORLD_FAMILY[2], WORLD_FAMILY[0]);
                unreachable!("the lower one is held until this worker is killed");
            });
            await_busy(1, FAMILY);
            let higher = GuardSlot::at(GuardIndex(FAMILY.0 + 2));
            assert!(higher.lock.is_at_rest());
            kill(child);
            assert_eq!(reap(child), None);
            assert_eq!(recover_worker(WorkerSlot(1), GUARDS).poisoned, []);
            drop(held);
        });
    });
}
