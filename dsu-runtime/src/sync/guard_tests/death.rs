//! What is left of a guard when its worker dies or panics.

use super::world::*;
use crate::error::LockError;
use crate::heap::testing::{fork_worker, reap, test_name};
use crate::heap::{Activity, HeapAccount, recover};
use crate::ids::WorkerSlot;
use crate::sync::GuardSlot;
use crate::worker::Worker;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lets a worker die in the middle of what it does.
fn killed_in(slot: u32, body: impl FnOnce(&Worker)) {
    let child = fork_worker(slot, || {
        watch();
        body(&Worker::of_runtime());
    });
    assert_eq!(reap(child), None, "it was to be killed");
}

fn poisoned(guard: &str) -> Option<LockError> {
    Some(LockError::Poisoned(guard.to_owned()))
}

#[test]
fn a_death_inside_a_section_poisons_every_guard_of_it_and_no_other() {
    let name = test_name!("a_death_inside_a_section_poisons_every_guard_of_it_and_no_other");
    with_world(name, || {
        killed_in(1, |cx| {
            drop(WORLD_FAMILY[1].lock(cx));
            let _first = WORLD_FAMILY[0].lock(cx).expect("free and sound");
            let _second = WORLD_FAMILY[2].lock(cx).expect("free and sound");
            die();
        });
        let last = crate::ids::GuardIndex(FAMILY.0 + 2);
        assert_eq!(poisoned_by_death_of(1), [FAMILY, last]);
        assert_eq!(poisoned_by_death_of(1), [], "recovery is idempotent");
        recover(WorkerSlot(1));
        play(0, |cx| {
            assert_eq!(WORLD_FAMILY[0].lock(cx).err(), poisoned("WORLD_FAMILY[0]"));
            assert_eq!(
                WORLD_FAMILY[2].try_lock(cx).err(),
                poisoned("WORLD_FAMILY[2]")
            );
            assert!(WORLD_FAMILY[1].lock(cx).is_ok());
            assert!(GuardSlot::at(FAMILY).lock.is_at_rest());
        });
    });
}

// R3
#[test]
fn a_death_inside_a_transformer_leaves_the_guard_sound_in_its_old_form() {
    let name = test_name!("a_death_inside_a_transformer_leaves_the_guard_sound_in_its_old_form");
    with_world(name, || {
        play(0, |cx| make_totals(cx));
        let root = GuardSlot::at(TOTALS).root();
        killed_in(1, |cx| {
            lens_shall(Manner::Die);
            let _never = WORLD_NEW.lock(cx);
        });
        assert_eq!(poisoned_by_death_of(1), []);
        recover(WorkerSlot(1));
        assert_eq!(GuardSlot::at(TOTALS).root(), root);
        play(2, |cx| {
            {
                let guard = WORLD_OLD.lock(cx).expect("sound");
                assert_eq!((guard.totals.hits, guard.count), (5, 5));
                assert_eq!(guard.totals.label.as_slice(), LABEL);
            }
            let guard = WORLD_NEW.lock(cx).expect("sound");
            assert_eq!(guard.totals.note.as_slice(), NOTE);
        });
        assert_eq!(HeapAccount::take(Activity::Live).findings, [""; 0]);
    });
}

#[test]
fn a_panic_inside_a_section_poisons_its_guard_and_the_worker_goes_on() {
    let name = test_name!("a_panic_inside_a_section_poisons_its_guard_and_the_worker_goes_on");
    with_world(name, || {
        play(0, |cx| {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut guard = WORLD_FAMILY[0].lock(cx).expect("free and sound");
                guard.count += 1;
                panic!("in the middle");
            }));
            assert!(outcome.is_err());
            assert_eq!(WORLD_FAMILY[0].lock(cx).err(), poisoned("WORLD_FAMILY[0]"));
            // The unwind is over: a section that ends now ends well.
            drop(WORLD_FAMILY[1].lock(cx));
            assert!(WORLD_FAMILY[1].lock(cx).is_ok());
            assert_eq!(crate::abi::WorkerContext::current().held().count(), 0);
        });
    });
}
