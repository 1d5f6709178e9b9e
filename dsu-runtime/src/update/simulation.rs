//! Random schedules of workers that are slow, die, hang and fail, under a seed.
//!
//! Whatever happens, an update ends; then all live workers run one version, and of what was filled, and of
//! items that had moved, nothing is left that the answer does not speak of; at no time do two run that
//! are not neighbours; and where something is to be filled nobody crosses before it was. That holds also
//! where a deed kills every worker that does it, for ever. A failing seed is printed and replays by itself.

mod dice;
mod ends;
mod filling;
mod moving;
mod rules;
mod twins;
mod worker;
mod world;

use super::Answer;
use world::World;

// R12
#[test]
fn whoever_kept_the_epoch_knows_that_no_older_version_has_run_since() {
    let (mut raised, mut deaths) = (0, 0);
    for seed in 0..3_000 {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.may_die = seed % 2 == 1;
            let mut raised = 0;
            for _ in 0..500 {
                let before = world.fleet;
                world.disturb();
                let is_raised = world.fleet.floor > before.floor;
                raised += u32::from(is_raised && world.fleet.epoch == before.epoch);
            }
            (raised, world.orphaned)
        });
        let (more, orphaned) = result.unwrap_or_else(|_| panic!("seed {seed} fails"));
        raised += more;
        deaths += u32::from(orphaned);
    }
    assert!(raised > 300, "all_at became true {raised} times");
    assert!(deaths > 300, "the supervisor died {deaths} times");
}

/// The answers of one schedule, and how many requests were refused in it.
fn play(seed: u64, may_be_deadly: bool) -> (Vec<Answer>, u32) {
    let result = std::panic::catch_unwind(|| {
        let mut world = World::new(seed);
        world.may_be_deadly = may_be_deadly;
        for _ in 0..500 {
            world.disturb();
        }
        world.settle();
        (world.answers, world.refused)
    });
    result.unwrap_or_else(|_| panic!("seed {seed} fails"))
}

// R14, R16, R28, R30, R32
#[test]
fn every_update_ends_with_all_workers_on_one_version() {
    let (mut committed, mut rolled_back, mut refused, mut requests) = (0, 0, 0, 0);
    for seed in 0..3_000 {
        let (answers, refusals) = play(seed, false);
        requests += refusals;
        for answer in answers {
            match answer {
                Answer::Committed => committed += 1,
                Answer::RolledBack(_) => rolled_back += 1,
                Answer::Refused(_) => refused += 1,
                Answer::Accepted => {}
            }
        }
    }
    // The schedules are worth something only if they reach every end often.
    assert!(committed > 300, "{committed} committed");
    assert!(rolled_back > 300, "{rolled_back} rolled back");
    assert!(
        refused > 300 && requests > 300,
        "{refused} refused, {requests} requests refused"
    );
}

// R4, R5, R28: what kills one worker after the other.
#[test]
fn an_update_ends_whatever_kills_who_does_it_and_says_what_is_left() {
    let mut left = [
        ("outrun", 0),
        ("not all items could move back", 0),
        ("not all is swept", 0),
        ("the new version cannot start", 0),
        ("do not come to the barrier", 0),
    ];
    for seed in 0..3_000 {
        let (answers, _) = play(seed, true);
        for answer in answers {
            let Answer::RolledBack(reason) = answer else {
                continue;
            };
            for (text, count) in &mut left {
                *count += u32::from(reason.contains(*text));
            }
        }
    }
    for (text, count) in left {
        assert!(count > 2, "{text}: {count}");
    }
}
