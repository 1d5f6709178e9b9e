//! Each mutant of the lock, and the proof that the model finds what is wrong with it.

use crate::scenario::Plan;
use crate::subject::Subject;
use crate::{DEATHS, EVERYTHING, TWO_CLASSES, TWO_LOCKS, WAKE_CHAIN, WAKE_CHAIN_DEATHS, explore};
use shuttle::scheduler::RandomScheduler;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[allow(missing_docs, unused, clippy::all)]
#[macro_use]
mod made {
    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

/// Schedules that a plan gets before the next is tried. A fault that only shows once in more is
/// too well hidden to trust the model with.
const PATIENCE: usize = 30_000;

/// What the model says when it finds a fault; anything else is a fault of the model.
const VERDICTS: [&str; 7] = [
    "deadlock",
    "exceeded max_steps",
    "two in one section",
    "the holder is not the owner",
    "abandoned, but another is inside",
    "a word is not 0 at the end",
    "released by another than the owner",
];

fn assert_caught<S: Subject>() {
    let plans = [
        EVERYTHING,
        WAKE_CHAIN_DEATHS,
        WAKE_CHAIN,
        TWO_CLASSES,
        DEATHS,
        TWO_LOCKS,
    ];
    let verdict = plans.into_iter().find_map(|plan: Plan| {
        let scheduler = RandomScheduler::new_from_seed(0x10c4, PATIENCE);
        catch_unwind(AssertUnwindSafe(|| explore::<S>(scheduler, plan, None))).err()
    });
    let verdict = verdict.expect("the model does not see this mutant");
    let text = verdict.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| verdict.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(
        VERDICTS.iter().any(|known| text.contains(known)),
        "not a verdict: {text}"
    );
    println!("{text}");
}

macro_rules! mutant {
    ($name:ident) => {
        crate::subject!(crate::mutants::made::$name);
        #[test]
        fn $name() {
            assert_caught::<made::$name::word::LockCell>();
        }
    };
}

for_each_mutant!(mutant);
