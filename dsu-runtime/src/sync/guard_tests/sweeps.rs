//! What a sweep does with guards that others hold, have gone through, or cannot convert.

use super::world::*;
use crate::abi::Parked;
use crate::heap::testing::test_name;
use crate::ids::{GuardIndex, SweepId};
use crate::sync::{GuardSlot, Name};
use crate::update::{SweepSlice, sweep};
use std::time::Duration;

const SWEEP: SweepId = SweepId(7);

/// Long enough for a slice to come to its end whatever it meets.
const BUDGET: Duration = Duration::from_secs(60);

fn slice() -> SweepSlice {
    sweep(SWEEP, Parked::Kept, BUDGET.as_nanos() as u64)
}

/// Slices until the pass is over. The two versions that are one guard here make each other wait.
fn pass() -> SweepSlice {
    let mut pass = SweepSlice::default();
    while !pass.is_done {
        pass.add(slice());
    }
    pass
}

// R29
#[test]
fn workers_share_the_guards_of_a_first_pass_and_go_over_all_in_the_next() {
    let name = test_name!("workers_share_the_guards_of_a_first_pass_and_go_over_all_in_the_next");
    with_world(name, || {
        play(0, |cx| {
            make_totals(cx);
            let slot = GuardSlot::at(FAMILY);
            drop(WORLD_FAMILY[0].lock(cx).expect("free and sound"));
            let other = Name::of_slot(1);
            assert!(slot.lock.try_acquire(other, slot.class()));
            assert!(!slice().is_done, "a guard that somebody holds was not seen");
            slot.set_swept(SWEEP);
            assert!(pass().is_shared);
            assert!(!slice().is_done, "the second pass left a guard to another");
            assert!(slot.lock.release_fast(other));
            assert!(!pass().is_shared);
            assert!(GuardSlot::at(TOTALS).is_swept(SWEEP));
            assert!(!GuardSlot::at(TOTALS).is_swept(SweepId(8)));
        });
    });
}

// R30: what one worker could not look into keeps every worker's pass from being clean.
#[test]
fn poisoned_guard_is_nobodys_to_leave_out() {
    let name = test_name!("poisoned_guard_is_nobodys_to_leave_out");
    with_world(name, || {
        play(0, |cx| {
            for guard in WORLD_FAMILY.iter() {
                drop(guard.lock(cx).expect("free and sound"));
            }
            GuardSlot::at(FAMILY).poison();
        });
        for worker in [0, 1] {
            play(worker, |_| {
                let pass = pass();
                assert_eq!(pass.poisoned, ["WORLD_FAMILY[0]"]);
            });
        }
        let is_swept = |place| GuardSlot::at(GuardIndex(FAMILY.0 + place)).is_swept(SWEEP);
        assert_eq!([0, 1, 2].map(is_swept), [false, true, true]);
    });
}
