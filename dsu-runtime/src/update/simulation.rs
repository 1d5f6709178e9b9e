//! Random schedules of workers that are slow, die, hang and fail, under a seed.
//!
//! Whatever happens, an update ends; then all live workers run one version and nothing is left of what
//! was filled; at no time do two run that are not neighbours; and where something is to be filled nobody
//! crosses before it was. A failing seed is printed and replays by itself.

use super::{
    Announced, Answer, BuildIndex, Effect, Event, FillState, Life, Manner, OnFailure, Order, Plan,
    Stage, TimerId,
};
use crate::abi::FleetState;
use crate::ids::{SweepId, VersionId, WorkerSlot};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod ends;
mod filling;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, seedable, good enough to pick from.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A worker that keeps the contract of `Order`, in its own time.
struct Worker {
    runs: BuildIndex,
    started: bool,
    hung: bool,
    at_barrier: Option<BuildIndex>,
    crosses: u32,
    walk: Order,
    left: u64,
    inbox: VecDeque<Order>,
    outbox: VecDeque<Event>,
}

/// What all guards hold of the other form, in slices of work.
#[derive(Default)]
struct Twins {
    towards: Option<BuildIndex>,
    filled: u32,
    /// All of it was there once, since the update began.
    were_whole: bool,
    /// The filling that may go on.
    allowed: Option<SweepId>,
}

impl Twins {
    const ALL: u32 = 3;

    /// One slice of a filling; whether all is there.
    fn fill(&mut self, towards: BuildIndex) -> bool {
        if self.towards.replace(towards) != Some(towards) {
            self.filled = 0;
        }
        self.filled = (self.filled + 1).min(Self::ALL);
        let is_whole = self.filled == Self::ALL;
        self.were_whole |= is_whole;
        is_whole
    }
}

struct World {
    dice: Dice,
    twins: Twins,
    life: Option<Life>,
    workers: BTreeMap<WorkerSlot, Worker>,
    down: BTreeMap<WorkerSlot, BuildIndex>,
    armed: Option<TimerId>,
    answers: Vec<Answer>,
    refused: u32,
    begun: u32,
    troubled: bool,
    /// What shared memory says of the builds that may run, and the rule by which it is said.
    fleet: FleetState,
    announced: Announced,
    /// What somebody has once read of it.
    watch: FleetState,
    may_die: bool,
    /// Where the items are that move in this update; of one that was interrupted in the middle, either.
    items: Option<BuildIndex>,
    /// The supervisor is dead: workers do what they were told last, and that is all.
    orphaned: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(6) as u32;
        let build = BuildIndex(10);
        World {
            twins: Twins::default(),
            life: Some(Life::new(build)),
            workers: BTreeMap::new(),
            down: (0..count).map(|n| (WorkerSlot(n), build)).collect(),
            armed: None,
            answers: Vec::new(),
            refused: 0,
            begun: 0,
            troubled: true,
            fleet: FleetState::default(),
            announced: Announced::default(),
            watch: FleetState::default(),
            may_die: false,
            items: None,
            orphaned: false,
            dice,
        }
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("put back after each step")
    }

    fn event(&mut self, event: Event) {
        if self.orphaned {
            return;
        }
        let before = self.life().clone();
        let (life, effects) = before.clone().step(event);
        self.fleet = self
            .announced
            .announce(life.may_run(), |build| VersionId(build.0));
        self.twins.allowed = life.may_fill();
        self.life = Some(life);
        for effect in effects {
            // At any point between what it says of the builds and the last of those whom it tells.
            self.orphaned |= self.may_die && self.dice.once_in(200);
            if self.orphaned {
                return;
            }
            match effect {
                Effect::Send(slot, order) => {
                    if let Some(worker) = self.workers.get_mut(&slot) {
                        worker.inbox.push_back(order);
                    }
                }
                Effect::Kill(slot, why) => self.kill(slot, &why),
                Effect::Arm(id, _) => self.armed = Some(id),
                Effect::Refuse(_) => {
                    self.refused += 1;
                    assert_eq!(
                        format!("{before:?}"),
                        format!("{:?}", self.life()),
                        "a refusal changes nothing"
                    );
                }
                Effect::Answer(answer) => {
                    if matches!(answer, Answer::Refused(_)) {
                        assert_eq!(self.life().running(), before.running());
                    }
                    self.answers.push(answer);
                }
                Effect::Progress(_) => {}
            }
        }
    }

    fn kill(&mut self, slot: WorkerSlot, why: &str) {
        if let Some(worker) = self.workers.remove(&slot) {
            self.down.insert(slot, worker.runs);
            self.event(Event::Died(slot, why.to_owned()));
        }
    }

    fn respawn(&mut self, slot: WorkerSlot) {
        if self.life().holds_replacements() {
            return;
        }
        if let Some(dead) = self.down.remove(&slot) {
            let (build, neighbours) = self.life().replacement(dead);
            if let Some(items) = self.items.filter(|_| !self.workers.is_empty()) {
                assert_eq!(items, build, "{slot} starts where the items are not");
            }
            let worker = Worker {
                runs: build,
                started: false,
                hung: false,
                at_barrier: None,
                crosses: 0,
                walk: Order::Rest,
                left: 2,
                inbox: VecDeque::new(),
                outbox: VecDeque::new(),
            };
            self.workers.insert(slot, worker);
            self.event(Event::Spawned {
                slot,
                build,
                neighbours,
            });
        }
    }

    /// One passage of an update point.
    fn update_point(&mut self, slot: WorkerSlot) {
        let (fails, stalls) = (
            self.troubled && self.dice.once_in(12),
            self.troubled && self.dice.once_in(40),
        );
        let coalesce = self.dice.once_in(2);
        let (running, is_filled) = (self.life().running(), self.life().is_filled());
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
            worker.started = true;
            return worker.outbox.push_back(Event::Ready(slot));
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

    fn deliver(&mut self, slot: WorkerSlot) {
        if let Some(event) = self
            .workers
            .get_mut(&slot)
            .and_then(|worker| worker.outbox.pop_front())
        {
            self.event(event);
        }
    }

    fn begin(&mut self) {
        let idle = self.life().stage() == Stage::Idle;
        self.event(Event::Begin);
        if idle {
            self.begun += 1;
            self.twins.were_whole = false;
        }
    }

    fn probe_answers(&mut self) {
        if self.life().stage() != Stage::Preparing {
            return;
        }
        let running = self.life().running().0;
        let target = BuildIndex(if self.dice.once_in(3) {
            running - 1
        } else {
            running + 1
        });
        let manner = match self.dice.below(3) {
            0 => Manner::Barrier,
            n => Manner::Rolling {
                canaries: n as u32 - 1 + self.dice.below(2) as u32,
            },
        };
        let one_way = (manner == Manner::Barrier && self.dice.once_in(2)).then(|| "A.b".to_owned());
        let on_failure = if self.dice.once_in(3) {
            OnFailure::Pause
        } else {
            OnFailure::Rollback
        };
        let filled = match self.dice.once_in(2) {
            true => vec!["A.c".to_owned()],
            false => Vec::new(),
        };
        let moves = match manner == Manner::Barrier && self.dice.once_in(2) {
            true => vec!["item d moves from A to B".to_owned()],
            false => Vec::new(),
        };
        self.items = (!moves.is_empty()).then_some(self.life().running());
        let plan = Plan {
            target,
            manner,
            on_failure,
            one_way,
            filled,
            moves,
        };
        let result = if self.troubled && self.dice.once_in(8) {
            Err("bad".to_owned())
        } else {
            Ok(plan)
        };
        self.event(Event::Probed(result));
    }

    fn some_slot(&mut self) -> WorkerSlot {
        let n = self.workers.len() + self.down.len();
        WorkerSlot(self.dice.below(n) as u32)
    }

    fn disturb(&mut self) {
        let slot = self.some_slot();
        if self.dice.once_in(10) {
            self.watch = self.fleet;
        }
        match self.dice.below(60) {
            0..=19 => self.update_point(slot),
            20..=39 => self.deliver(slot),
            40..=44 => self.respawn(slot),
            45 => self.kill(slot, "killed"),
            46..=47 => self.begin(),
            48..=51 => self.probe_answers(),
            52 => self.event(Event::Pause),
            53..=54 => self.event(Event::Resume),
            55 => self.event(Event::Rollback("asked".to_owned())),
            56 if self.dice.once_in(2) => {
                self.event(Event::TransformFailed(slot, "no".to_owned()));
            }
            56 => self.event(Event::OrdersDisagree(slot, "no".to_owned())),
            57..=58 => {
                if let Some(id) = self.armed.take() {
                    self.event(Event::Elapsed(id));
                }
            }
            _ => {
                // Mostly one that was dropped long ago.
                let id = TimerId(self.dice.below(100) as u32);
                self.event(Event::Elapsed(id));
            }
        }
        self.check();
    }

    /// Never more than two versions, and those two neighbours.
    fn check(&self) {
        if self.orphaned {
            return;
        }
        let runs: Vec<u32> = self.workers.values().map(|worker| worker.runs.0).collect();
        let (low, high) = (runs.iter().min().copied(), runs.iter().max().copied());
        if let (Some(low), Some(high)) = (low, high) {
            assert!(high - low <= 1, "versions {low} and {high} at once");
        }
        // R16: who is told nothing more and waits for nobody runs what it runs.
        let free = self
            .workers
            .values()
            .filter(|worker| worker.at_barrier.is_none() && worker.outbox.is_empty());
        let free: BTreeSet<BuildIndex> = free.map(|worker| worker.runs).collect();
        if free.len() > 1 {
            let (from, to) = self.life().mixed().expect("nobody was told of the mixture");
            assert_eq!(free, BTreeSet::from([from, to]));
        }
        if self.life().stage() == Stage::Idle {
            assert_eq!(self.life().mixed(), None);
            assert_eq!(self.twins.filled, 0, "what was filled is left");
            let running = self.life().running();
            assert!(self.items.is_none_or(|items| items == running));
            for (slot, worker) in &self.workers {
                assert_eq!(worker.runs, running, "{slot} is left behind");
            }
        }
    }

    /// No more trouble: what is under way has to end by itself. What hangs, hangs on.
    fn settle(&mut self) {
        self.troubled = false;
        for _ in 0..400 {
            self.probe_answers();
            if self.life().stage() == Stage::Paused {
                let event = if self.dice.once_in(2) {
                    Event::Resume
                } else {
                    Event::Rollback("asked".to_owned())
                };
                self.event(event);
            }
            for n in 0..(self.workers.len() + self.down.len()) as u32 {
                self.respawn(WorkerSlot(n));
                self.update_point(WorkerSlot(n));
                self.deliver(WorkerSlot(n));
                self.deliver(WorkerSlot(n));
                self.check();
            }
            if self.dice.once_in(8)
                && let Some(id) = self.armed.take()
            {
                self.event(Event::Elapsed(id));
            }
            let done = self.life().stage() == Stage::Idle;
            if done
                && self
                    .workers
                    .values()
                    .all(|w| w.inbox.is_empty() && w.outbox.is_empty())
            {
                break;
            }
            if matches!(
                self.life().stage(),
                Stage::RollingBack | Stage::Sweeping | Stage::Filling
            ) {
                // With everybody hung there is nobody to sweep: the operator ends such a server's workers.
                let hung: Vec<WorkerSlot> = self
                    .workers
                    .iter()
                    .filter(|w| w.1.hung)
                    .map(|w| *w.0)
                    .collect();
                if hung.len() == self.workers.len() {
                    for slot in hung {
                        self.kill(slot, "hung");
                    }
                }
            }
        }
        assert_eq!(
            self.life().stage(),
            Stage::Idle,
            "the update never ends: {:?}",
            self.life()
        );
        self.check();
        let ends = self
            .answers
            .iter()
            .filter(|answer| **answer != Answer::Accepted)
            .count();
        assert_eq!(
            ends, self.begun as usize,
            "every update ends exactly once: {:?}",
            self.answers
        );
    }
}

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

// R14, R16, R28, R30, R32
#[test]
fn every_update_ends_with_all_workers_on_one_version() {
    let (mut committed, mut rolled_back, mut refused, mut requests) = (0, 0, 0, 0);
    for seed in 0..3_000 {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..500 {
                world.disturb();
            }
            world.settle();
            (world.answers, world.refused)
        });
        let (answers, refusals) = result.unwrap_or_else(|_| panic!("seed {seed} fails"));
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
