//! A supervisor, its workers and all that goes wrong with them.

use super::dice::Dice;
use super::twins::Twins;
use super::worker::{Deed, Worker};
use crate::abi::FleetState;
use crate::ids::{VersionId, WorkerSlot};
use crate::update::{
    Announced, Answer, BuildIndex, Effect, Event, Life, Manner, OnFailure, Order, Plan, Stage,
    TimerId,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) twins: Twins,
    pub(super) life: Option<Life>,
    pub(super) workers: BTreeMap<WorkerSlot, Worker>,
    pub(super) down: BTreeMap<WorkerSlot, BuildIndex>,
    pub(super) armed: Option<TimerId>,
    /// Rounds since the timer was armed.
    waited: u32,
    pub(super) answers: Vec<Answer>,
    pub(super) refused: u32,
    pub(super) begun: u32,
    pub(super) troubled: bool,
    /// What shared memory says of the builds that may run, and the rule by which it is said.
    pub(super) fleet: FleetState,
    pub(super) announced: Announced,
    /// What somebody has once read of it.
    pub(super) watch: FleetState,
    pub(super) may_die: bool,
    /// Where the items are that move in this update; of one that was interrupted in the middle, either.
    pub(super) items: Option<BuildIndex>,
    /// What kills who does it in the update that is under way.
    pub(super) deadly: BTreeSet<Deed>,
    /// Whether such things happen.
    pub(super) may_be_deadly: bool,
    /// The supervisor is dead: workers do what they were told last, and that is all.
    pub(super) orphaned: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(6) as u32;
        let build = BuildIndex(10);
        World {
            twins: Twins::default(),
            life: Some(Life::new(build)),
            workers: BTreeMap::new(),
            down: (0..count).map(|n| (WorkerSlot(n), build)).collect(),
            armed: None,
            waited: 0,
            answers: Vec::new(),
            refused: 0,
            begun: 0,
            troubled: true,
            fleet: FleetState::default(),
            announced: Announced::default(),
            watch: FleetState::default(),
            may_die: false,
            items: None,
            deadly: BTreeSet::new(),
            may_be_deadly: false,
            orphaned: false,
            dice,
        }
    }

    pub(super) fn life(&self) -> &Life {
        self.life.as_ref().expect("put back after each step")
    }

    pub(super) fn event(&mut self, event: Event) {
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
        self.hear_what_is_left(&effects);
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
                Effect::Arm(id, _) => {
                    self.armed = Some(id);
                    self.waited = 0;
                }
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

    /// Where the supervisor says that something cannot be taken back, that is so.
    fn hear_what_is_left(&mut self, effects: &[Effect]) {
        let answers = effects.iter().filter_map(|effect| match effect {
            Effect::Answer(Answer::RolledBack(reason)) => Some(reason.clone()),
            _ => None,
        });
        for said in self.life().remark().into_iter().chain(answers) {
            if said.contains("not all items could move back") {
                self.items = None;
            }
            if said.contains("not all is swept") {
                self.twins.filled = 0;
            }
        }
    }

    pub(super) fn kill(&mut self, slot: WorkerSlot, why: &str) {
        if let Some(worker) = self.workers.remove(&slot) {
            self.down.insert(slot, worker.runs);
            self.event(Event::Died(slot, why.to_owned()));
        }
    }

    pub(super) fn respawn(&mut self, slot: WorkerSlot) {
        if self.life().holds_replacements() {
            return;
        }
        if let Some(dead) = self.down.remove(&slot) {
            let (build, neighbours) = self.life().replacement(dead);
            if let Some(items) = self.items.filter(|_| !self.workers.is_empty()) {
                assert_eq!(items, build, "{slot} starts where the items are not");
            }
            let worker = Worker::starting(build);
            self.workers.insert(slot, worker);
            self.event(Event::Spawned {
                slot,
                build,
                neighbours,
            });
        }
    }

    /// The last order that this worker was told.
    pub(super) fn last_order(&self, slot: u32) -> Option<Order> {
        self.workers[&WorkerSlot(slot)].inbox.back().copied()
    }

    pub(super) fn deliver(&mut self, slot: WorkerSlot) {
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
        if self.may_be_deadly {
            let dice = &mut self.dice;
            let deeds = Deed::ALL.into_iter().filter(|_| dice.once_in(4));
            // Where there is no way back nothing can be done about a version that does not start.
            self.deadly = deeds
                .filter(|deed| one_way.is_none() || !matches!(deed, Deed::Start | Deed::Serve))
                .collect();
        }
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

    pub(super) fn disturb(&mut self) {
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

    /// No more trouble: what is under way has to end by itself. What hangs, hangs on.
    pub(super) fn settle(&mut self) {
        self.troubled = false;
        for _ in 0..800 {
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
            // One that is armed again and again never runs out.
            self.waited += 1;
            if self.waited >= 8
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
