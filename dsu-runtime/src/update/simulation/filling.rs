//! An update that fills before anybody crosses, and before they go back: what each way out of it leads to.

use super::World;
use crate::ids::{SweepId, WorkerSlot};
use crate::update::{Answer, BuildIndex, Event, FillState, Manner, OnFailure, Order, Plan, Stage};

/// An update of two workers, of which nobody has crossed, that has something to fill.
fn filling(manner: Manner) -> World {
    let mut world = World::new(1);
    world.troubled = false;
    world.down = (0..2).map(|n| (WorkerSlot(n), BuildIndex(10))).collect();
    for n in 0..2 {
        world.respawn(WorkerSlot(n));
        world.event(Event::Ready(WorkerSlot(n)));
    }
    world.event(Event::Begin);
    world.event(Event::Probed(Ok(Plan {
        target: BuildIndex(11),
        manner,
        on_failure: OnFailure::Pause,
        one_way: None,
        filled: vec!["SHARD.entries".to_owned()],
        moves: Vec::new(),
    })));
    for n in 0..2 {
        world.event(Event::Loaded(WorkerSlot(n), BuildIndex(11), Ok(())));
    }
    assert_eq!(world.life().stage(), Stage::Filling);
    assert_eq!(world.life().mixed(), None);
    world
}

impl World {
    /// What this worker says of the filling that is on.
    fn fill(&mut self, slot: u32, state: FillState) {
        let fill = self.life().filling().expect("one is on");
        let slot = WorkerSlot(slot);
        self.event(Event::Filling { slot, fill, state });
    }
}

const ROLLING: Manner = Manner::Rolling { canaries: 1 };

// R5
#[test]
fn nobody_crosses_before_somebody_found_everything_filled() {
    for manner in [ROLLING, Manner::Barrier] {
        let mut world = filling(manner);
        assert_eq!(world.life().waiting_for().len(), 2);
        world.fill(0, FillState::Moving);
        assert_eq!(world.life().waiting_for().len(), 1);
        // That of an order which is over means nothing.
        world.event(Event::Filling {
            slot: WorkerSlot(1),
            fill: SweepId(0),
            state: FillState::Whole,
        });
        assert_eq!(world.life().stage(), Stage::Filling);
        world.fill(1, FillState::Whole);
        let is_cross = |order| matches!(order, Some(Order::Cross { .. }));
        assert!(is_cross(world.last_order(0)));
        // They go on filling what writes mark, also those that come later.
        let fill = world.life().may_fill();
        assert!(fill.is_some());
        world.kill(WorkerSlot(1), "killed");
        world.respawn(WorkerSlot(1));
        if manner == ROLLING {
            world.event(Event::Ready(WorkerSlot(1)));
            let order = Order::Fill(fill.expect("it is"), BuildIndex(11));
            assert_eq!(world.last_order(1), Some(order));
        }
    }
}

// R5: nobody has crossed, so there is nothing to look at, and the sweep discards what is there.
#[test]
fn a_filling_that_fails_or_is_not_wanted_leaves_nothing_behind() {
    let ends: [fn(&mut World); 6] = [
        |world| world.fill(0, FillState::Failed("no room".to_owned())),
        |world| world.event(Event::TransformFailed(WorkerSlot(1), "no".to_owned())),
        |world| world.event(Event::Rollback("asked".to_owned())),
        |world| world.kill(WorkerSlot(0), "killed"),
        |world| {
            let timer = world.armed.expect("a filling has its time");
            world.event(Event::Elapsed(timer));
        },
        |world| {
            world.event(Event::Pause);
            assert_eq!(world.life().may_fill(), None);
            assert_eq!(world.last_order(0), Some(Order::Rest));
            world.event(Event::Rollback("asked".to_owned()));
        },
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let mut world = filling(ROLLING);
        end(&mut world);
        assert_eq!(world.life().stage(), Stage::RollingBack, "end {n}");
        assert_eq!(world.life().may_fill(), None, "end {n}");
        assert!(matches!(world.last_order(1), Some(Order::Sweep(_))));
        world.event(Event::Swept {
            slot: WorkerSlot(1),
            is_last: true,
            failed: 0,
            is_full: false,
            poisoned: Vec::new(),
        });
        assert!(matches!(world.answers.last(), Some(Answer::RolledBack(_))));
    }
}

#[test]
fn a_filling_that_moves_is_given_time_and_a_pause_begins_it_anew() {
    let mut world = filling(ROLLING);
    let first = world.armed;
    world.fill(0, FillState::Moving);
    world.event(Event::Elapsed(first.expect("a filling has its time")));
    assert_ne!(world.armed, first);
    assert_eq!(world.life().stage(), Stage::Filling);
    let before = world.life().filling();
    world.event(Event::Pause);
    assert_eq!(world.life().stage(), Stage::Paused);
    world.event(Event::Resume);
    assert_ne!(world.life().filling(), before);
    world.fill(0, FillState::Whole);
    assert_eq!(world.life().stage(), Stage::Canary);
}

// R5, R28: where workers have crossed they go back when the older form is there, or when nothing moves.
#[test]
fn the_way_back_is_filled_first_as_long_as_that_moves() {
    let back = || {
        let mut world = filling(ROLLING);
        world.fill(0, FillState::Whole);
        world.event(Event::Crossed(WorkerSlot(0), BuildIndex(11)));
        world.event(Event::Rollback("asked".to_owned()));
        let fill = world.life().filling().expect("the older form first");
        assert_eq!(
            world.last_order(0),
            Some(Order::Fill(fill, BuildIndex(10))),
            "who has crossed stays"
        );
        world
    };
    let ends: [fn(&mut World); 4] = [
        |world| world.fill(1, FillState::Whole),
        // One more may die of something else.
        |world| {
            for _ in 0..2 {
                assert!(world.life().filling().is_some());
                world.kill(WorkerSlot(1), "of the lens");
                world.respawn(WorkerSlot(1));
                world.event(Event::Ready(WorkerSlot(1)));
            }
        },
        |world| world.fill(1, FillState::Failed("no room".to_owned())),
        |world| {
            let timer = world.armed.expect("a filling has its time");
            world.event(Event::Elapsed(timer));
        },
    ];
    for end in ends {
        let mut world = back();
        end(&mut world);
        assert_eq!(world.life().filling(), None);
        let home = Order::Cross {
            build: BuildIndex(10),
            together: false,
        };
        assert_eq!(world.last_order(0), Some(home));
        world.event(Event::Crossed(WorkerSlot(0), BuildIndex(10)));
        assert!(matches!(world.last_order(1), Some(Order::Sweep(_))));
    }
}

// R5, R28: it moves all the time and comes to no end.
#[test]
fn a_filling_that_writes_outrun_ends_either_way() {
    let outrun = |world: &mut World| {
        let mut spans = 0;
        while world.life().filling().is_some() {
            world.fill(0, FillState::Moving);
            spans += 1;
            let timer = world.armed.expect("a filling has its time");
            world.event(Event::Elapsed(timer));
        }
        assert!(spans > 10, "{spans}");
    };
    let mut world = filling(ROLLING);
    outrun(&mut world);
    let said = world.life().remark().expect("it is taken back");
    assert!(said.contains("outrun"), "{said}");

    let mut world = filling(ROLLING);
    world.fill(0, FillState::Whole);
    world.event(Event::Crossed(WorkerSlot(0), BuildIndex(11)));
    world.event(Event::Rollback("asked".to_owned()));
    outrun(&mut world);
    let home = Order::Cross {
        build: BuildIndex(10),
        together: false,
    };
    assert_eq!(world.last_order(0), Some(home));
}
