//! A worker that keeps the contract of `Order`, in its own time, or dies of what it is told.

use super::World;
use crate::ids::{VersionId, WorkerSlot};
use crate::update::{BuildIndex, Event, FillState, Order};
use std::collections::VecDeque;

/// A worker that keeps the contract of `Order`, in its own time.
pub(super) struct Worker {
    pub(super) runs: BuildIndex,
    pub(super) started: bool,
    pub(super) hung: bool,
    pub(super) at_barrier: Option<BuildIndex>,
    crosses: u32,
    walk: Order,
    left: u64,
    pub(super) inbox: VecDeque<Order>,
    pub(super) outbox: VecDeque<Event>,
}

impl Worker {
    /// One that has yet to come to an update point.
    pub(super) fn starting(runs: BuildIndex) -> Worker {
        Worker {
            runs,
            started: false,
            hung: false,
            at_barrier: None,
            crosses: 0,
            walk: Order::Rest,
            left: 2,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
        }
    }
}

/// What code of an application can be that kills every worker that runs it, again and again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Deed {
    /// The new version, until its first update point.
    Start,
    /// The new version, wherever it runs after that.
    Serve,
    /// A lens, where its other form is made ahead.
    Fill,
    /// The same on the way back.
    FillBack,
    /// A lens of an item that moves.
    Move,
    /// The same on the way back.
    MoveBack,
    /// What a sweep back meets.
    SweepBack,
    /// Kills nobody: writes mark as much as is filled, for ever.
    Outrun,
    /// The same on the way back.
    OutrunBack,
}

impl Deed {
    pub(super) const ALL: [Deed; 9] = [
        Deed::Start,
        Deed::Serve,
        Deed::Fill,
        Deed::FillBack,
        Deed::Move,
        Deed::MoveBack,
        Deed::SweepBack,
        Deed::Outrun,
        Deed::OutrunBack,
    ];
}

impl World {
    /// One passage of an update point.
    pub(super) fn update_point(&mut self, slot: WorkerSlot) {
        let (fails, stalls) = (
            self.troubled && self.dice.once_in(12),
            self.troubled && self.dice.once_in(40),
        );
        let coalesce = self.dice.once_in(2);
        let (running, is_filled) = (self.life().running(), self.life().is_filled());
        let deadly = self.deadly.clone();
        let kills = |deed: Deed| deadly.contains(&deed);
        let Some(worker) = self.workers.get_mut(&slot) else {
            return;
        };
        // R12: it runs sections up to here, those of code that it left again included.
        let runs = VersionId(worker.runs.0);
        assert!(runs >= self.fleet.floor, "{runs} runs unannounced");
        if self.watch.epoch == self.fleet.epoch {
            assert!(runs >= self.watch.floor, "{runs} ran behind a watch");
        }
        worker.hung |= stalls;
        if worker.hung {
            return;
        }
        if !worker.started {
            if worker.runs != running && kills(Deed::Start) {
                return self.kill(slot, "died where it starts");
            }
            worker.started = true;
            return worker.outbox.push_back(Event::Ready(slot));
        }
        if worker.runs != running && worker.at_barrier.is_none() && kills(Deed::Serve) {
            return self.kill(slot, "died of what it served");
        }
        let mut last = worker.at_barrier.map(|build| (build, true));
        let mut go = false;
        let mut moved = None;
        let gathered = self
            .workers
            .values()
            .all(|worker| worker.at_barrier.is_some() || !worker.started);
        let Some(worker) = self.workers.get_mut(&slot) else {
            return;
        };
        let count = if coalesce {
            worker.inbox.len()
        } else {
            1.min(worker.inbox.len())
        };
        for order in worker.inbox.drain(..count) {
            match order {
                Order::Load(build) => {
                    let result = if fails { Err("no".to_owned()) } else { Ok(()) };
                    worker.outbox.push_back(Event::Loaded(slot, build, result));
                }
                Order::Cross { build, together } => {
                    worker.crosses += 1;
                    worker.at_barrier = None;
                    last = Some((build, together));
                }
                Order::Go => go = true,
                Order::Move { to, .. } => moved = Some(to),
                Order::Revert => {
                    worker.at_barrier = None;
                    last = None;
                }
                Order::Sweep(_) | Order::Fill(..) | Order::Rest => worker.walk = order,
                Order::Forget(build) => {
                    assert_ne!(build, worker.runs, "a running build is not forgotten")
                }
                Order::Ping => worker.outbox.push_back(Event::Pong(slot)),
            }
        }
        if let Some(to) = moved {
            assert!(gathered, "items move while somebody runs");
            if kills(if to == running {
                Deed::MoveBack
            } else {
                Deed::Move
            }) {
                return self.kill(slot, "died of a lens of what moves");
            }
            // Whoever died before has left them here or there.
            let result = match fails && to != running {
                true => Err("no".to_owned()),
                false => {
                    self.items = Some(to);
                    Ok(())
                }
            };
            worker.outbox.push_back(Event::Moved(slot, result));
        }
        match last {
            Some((build, true)) if !go => {
                if worker.at_barrier.is_none() {
                    worker
                        .outbox
                        .push_back(Event::AtBarrier(slot, worker.crosses));
                }
                worker.at_barrier = Some(build);
            }
            Some((build, _)) => {
                worker.at_barrier = None;
                let fails = fails || build != running && kills(Deed::Start);
                if fails && build != worker.runs {
                    worker
                        .outbox
                        .push_back(Event::CrossingFailed(slot, build, "no".to_owned()));
                } else {
                    let is_forward = build != running && build != worker.runs;
                    assert!(
                        !is_forward || self.twins.were_whole || !is_filled,
                        "{slot} crosses to what is not filled"
                    );
                    if let Some(items) = self.items.filter(|_| build != worker.runs) {
                        assert_eq!(items, build, "{slot} crosses to where the items are not");
                    }
                    worker.runs = build;
                    worker.left = 2;
                    worker.outbox.push_back(Event::Crossed(slot, build));
                }
            }
            None => {}
        }
        if !worker.outbox.is_empty() {
            return;
        }
        match worker.walk {
            Order::Sweep(_) if worker.runs == running && kills(Deed::SweepBack) => {
                self.kill(slot, "died of what it swept");
            }
            Order::Sweep(_) => {
                let is_last = worker.left == 0 && self.twins.filled == 0;
                worker.left = worker.left.saturating_sub(1);
                self.twins.filled = self.twins.filled.saturating_sub(1);
                worker.outbox.push_back(Event::Swept {
                    slot,
                    is_last,
                    failed: 0,
                    is_full: false,
                    poisoned: Vec::new(),
                });
            }
            // One that has not heard yet that it is over does nothing more.
            Order::Fill(fill, towards) if self.twins.allowed == Some(fill) => {
                if towards != running && kills(Deed::Fill) {
                    return self.kill(slot, "died of a lens that fills");
                }
                // Some of it can be filled.
                let is_back = towards == running;
                if is_back && kills(Deed::FillBack) && self.dice.once_in(2) {
                    return self.kill(slot, "died of a lens that fills");
                }
                let outrun = match is_back {
                    true => kills(Deed::FillBack) || kills(Deed::OutrunBack),
                    false => kills(Deed::Outrun),
                };
                if outrun {
                    let state = FillState::Moving;
                    let said = Event::Filling { slot, fill, state };
                    return worker.outbox.push_back(said);
                }
                let state = match fails {
                    true => FillState::Failed("no".to_owned()),
                    false if self.twins.fill(towards) => FillState::Whole,
                    false => FillState::Moving,
                };
                worker
                    .outbox
                    .push_back(Event::Filling { slot, fill, state });
            }
            _ => {}
        }
    }
}
