//! A model of the lock word under a scheduler that may do anything: the source files that ship,
//! on simulated atomics, futex and clock. Mutants of the same files show that it can fail.
//!
//! `DSU_MODEL_FACTOR=100 cargo test -p dsu-tests --test lock_model --release` runs a hundred times
//! as many schedules as the default.

mod lock;
mod mutants;
mod platform;
mod scenario;
mod subject;

use lock::word::LockCell;
use platform::{Chance, Timers};
use scenario::{Impatience, Plan, run};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use subject::Subject;

subject!(crate::lock);

const BASE: Plan = Plan {
    odd: &[false, false, true],
    cells: 1,
    rounds: 2,
    deaths: 0,
    recovery_deaths: 0,
    lifetime: 60,
    timers: Timers::On,
    impatience: Impatience::Never,
    chance: Chance::Random,
};

/// One class, no deadline, no timer: only the chain of wake-ups keeps it going.
const WAKE_CHAIN: Plan = Plan {
    odd: &[false; 3],
    timers: Timers::Off,
    ..BASE
};
/// The same with deaths, recovered by wake-ups alone.
const WAKE_CHAIN_DEATHS: Plan = Plan {
    deaths: 2,
    recovery_deaths: 1,
    ..WAKE_CHAIN
};
const TWO_CLASSES: Plan = Plan {
    impatience: Impatience::Sometimes,
    ..BASE
};
const DEATHS: Plan = Plan {
    deaths: 1,
    recovery_deaths: 1,
    ..BASE
};
const EVERYTHING: Plan = Plan {
    odd: &[false, false, true, true],
    deaths: 3,
    recovery_deaths: 2,
    impatience: Impatience::Sometimes,
    ..BASE
};
const TWO_LOCKS: Plan = Plan {
    cells: 2,
    rounds: 3,
    ..EVERYTHING
};

fn factor() -> usize {
    std::env::var("DSU_MODEL_FACTOR")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

fn explore<S: Subject>(
    scheduler: impl Scheduler + 'static,
    plan: Plan,
    doom: Option<(usize, u32)>,
) -> usize {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::Print;
    config.max_steps = MaxSteps::FailAfter(20_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || run::<S>(plan, doom))
}

fn at_random<S: Subject>(plan: Plan, schedules: usize) {
    // A fixed seed: a failure is there again at the next run.
    explore::<S>(
        RandomScheduler::new_from_seed(0x10c4, schedules),
        plan,
        None,
    );
    explore::<S>(
        PctScheduler::new_from_seed(0x10c4, 4, schedules / 2),
        plan,
        None,
    );
}

#[test]
fn wake_ups_alone_keep_one_class_going() {
    at_random::<LockCell>(WAKE_CHAIN, 1500 * factor());
}

#[test]
fn recovery_alone_heals_the_chain_of_wake_ups() {
    at_random::<LockCell>(WAKE_CHAIN_DEATHS, 2500 * factor());
}

#[test]
fn two_classes_with_deadlines_exclude_each_other_and_all_get_through() {
    at_random::<LockCell>(TWO_CLASSES, 1500 * factor());
}

#[test]
fn two_classes_survive_a_death_and_a_death_of_recovery() {
    at_random::<LockCell>(DEATHS, 2500 * factor());
}

#[test]
fn four_workers_survive_deaths_deadlines_and_reused_slots() {
    at_random::<LockCell>(EVERYTHING, 2500 * factor());
}

#[test]
fn two_locks_share_one_busy_word_a_worker() {
    at_random::<LockCell>(TWO_LOCKS, 1500 * factor());
}

#[test]
fn a_death_at_each_step_of_two_workers_is_survived() {
    let plan = Plan {
        odd: &[false, false],
        rounds: 1,
        chance: Chance::None,
        ..BASE
    };
    for step in 0..25 {
        let dfs = DfsScheduler::new(Some(150 * factor()), false);
        explore::<LockCell>(dfs, plan, Some((0, step)));
    }
    let plan = Plan {
        odd: &[false, true],
        ..plan
    };
    for step in 0..25 {
        let dfs = DfsScheduler::new(Some(150 * factor()), false);
        explore::<LockCell>(dfs, plan, Some((1, step)));
    }
}
