//! From the first look at a library to its commit or its rollback.
//!
//! ```text
//! Idle → Preparing → Loading → Filling ─→ Canary → Rolling ─→ Sweeping → Idle (committed)
//!   ↑        │          │         │ └──→ Gathering → Opened ───┘
//!   └────────┴──────────┘ refused └──────────┐      │ any failure, or the operator
//!   └────────────────── SweepingBack ← Returning ← FillingBack
//! ```
//! Paused stands beside Filling, Canary, Rolling and Sweeping. Without prepared lenses there is no
//! filling, neither way.
//!
//! What a prepared lens leads to is there before the first worker crosses, so that no guard's flip has to
//! make it while a request waits (R5). A flip without it is right too, and slow: so a filling that fails
//! takes the update back, since nobody has crossed, but the way back waits for a filling only as long as
//! that moves, up to a point. From the filling on, until the sweep, workers go on bringing up what writes have marked,
//! so that a long probation leaves no flip much to do.
//!
//! After the canaries, all other workers are told to cross at once. One after another would make the
//! mixed time, when guards are transformed to and fro, as long as the sum of all waits, and one slow
//! worker would hold back the rest; what one after another would guard against, a new version that
//! cannot serve, the canaries have shown already, and a worker whose crossing fails goes on with the
//! old code (R24).
//!
//! Invariants: at most the two builds `running` and `plan.target` are ever run; a worker that was told
//! anything has answered it before `Idle` is reached again, so that no late answer is taken for one of
//! the next update; a refusal leaves everybody where they were; nobody crosses forward before a pass
//! over everything found all filled; whatever was filled is swept away before `Idle`, or the answer names
//! what was left; every rollback ends, whatever kills the workers in it: what cannot be taken back then is
//! left, and the answer says so.

mod crossing;
mod filling;
mod held;
mod moving;
mod reactions;

use super::events::{Answer, BuildIndex, Effect, Event, Plan, TimerId, TimerKind};
use crate::ids::{SweepId, WorkerSlot};
use filling::Given;
use held::Held;
use moving::Way;
use std::collections::{BTreeMap, BTreeSet};

/// Where an update is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // each is explained in the header's picture
pub enum Stage {
    Idle,
    Preparing,
    Loading,
    Filling,
    Canary,
    Rolling,
    Barrier,
    Paused,
    Sweeping,
    RollingBack,
}

/// What a worker keeps an update waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names say it
pub enum Waiting {
    ToStart,
    ToLoad,
    ToFill,
    ToCross,
    ForTheBarrier,
    ToAnswer,
}

/// One worker, as far as an update is concerned.
#[derive(Clone, Debug)]
struct Hand {
    runs: BuildIndex,
    ready: bool,
    loaded: Option<BuildIndex>,
    /// Told to cross to this, not answered.
    asked: Option<BuildIndex>,
    at_barrier: bool,
    /// How often it was told to cross.
    crosses: u32,
    /// The last filling of which it has said something.
    fills: SweepId,
}

impl Hand {
    fn is_settled_on(&self, build: BuildIndex) -> bool {
        self.runs == build && self.asked.is_none()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Watch {
    Crossing,
    Probation,
    /// Probation is over; these have yet to answer.
    Answering(BTreeSet<WorkerSlot>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Preparing,
    Loading,
    Filling,
    Canary(BTreeSet<WorkerSlot>, Watch),
    Rolling,
    Gathering,
    /// Items move between guards: by whom, and how many have died in it or were too late.
    Moving {
        by: Option<WorkerSlot>,
        losses: u32,
    },
    Opened,
    Paused {
        reason: String,
        from: Stage,
    },
    Sweeping {
        held: Held,
    },
    /// The older form is made: how many have died in it.
    FillingBack {
        reason: String,
        losses: u32,
    },
    /// Workers that have crossed stop at a barrier, so that items can move back: how many have died
    /// before they were up.
    GatheringBack {
        reason: String,
        losses: u32,
    },
    MovingBack {
        by: Option<WorkerSlot>,
        losses: u32,
        way: Way,
        reason: String,
    },
    Returning {
        reason: String,
    },
    /// How many have died while it was swept.
    SweepingBack {
        reason: String,
        losses: u32,
    },
}

/// Workers that may be lost in a step that another can take up: then it is given up.
const MOST_LOSSES: u32 = 2;

/// The same where what is given up stays locked away, or left: some die of other things.
const MOST_LOSSES_ON_THE_WAY_BACK: u32 = 8;

/// The state: which build runs, who runs what, and where the update is, if there is one.
#[derive(Clone, Debug)]
pub struct Life {
    running: BuildIndex,
    /// The other build whose representations or complements live data may still have (R10, R13).
    companion: Option<BuildIndex>,
    plan: Option<Plan>,
    /// The one-way item of an update whose barrier has opened (R14).
    no_return: Option<String>,
    /// Items may be where the target has them: nobody but its workers may run.
    moved: bool,
    phase: Phase,
    hands: BTreeMap<WorkerSlot, Hand>,
    timer: TimerId,
    /// The sweep or filling that runs, or ran last.
    sweep: SweepId,
    /// What the filling that runs has had.
    given: Given,
}

impl Life {
    /// A server that is to run `build` and has no workers yet.
    pub fn new(build: BuildIndex) -> Life {
        Life {
            running: build,
            companion: None,
            plan: None,
            no_return: None,
            moved: false,
            phase: Phase::Idle,
            hands: BTreeMap::new(),
            timer: TimerId(0),
            sweep: SweepId(0),
            given: Given::default(),
        }
    }

    /// The build that all workers run when no update is under way.
    pub fn running(&self) -> BuildIndex {
        self.running
    }

    /// The build that an update under way goes to.
    pub fn target(&self) -> Option<BuildIndex> {
        self.plan.as_ref().map(|plan| plan.target)
    }

    /// The two builds of which workers may run at the same time: from before the first one crosses
    /// until all are on one side again. When a barrier has opened nobody runs the old one but a
    /// replacement that has yet to cross.
    pub fn mixed(&self) -> Option<(BuildIndex, BuildIndex)> {
        let plan = self.plan.as_ref()?;
        let is_behind = |hand: &Hand| !hand.at_barrier && hand.runs != plan.target;
        let may_mix = match &self.phase {
            Phase::Canary(..)
            | Phase::Rolling
            | Phase::FillingBack { .. }
            | Phase::Returning { .. } => true,
            Phase::Opened | Phase::GatheringBack { .. } | Phase::MovingBack { .. } => {
                self.hands.values().any(is_behind)
            }
            Phase::Paused { from, .. } => !matches!(from, Stage::Filling | Stage::Sweeping),
            _ => false,
        };
        may_mix.then_some((self.running, plan.target))
    }

    /// Every build that a worker may run from now until the next event: what each runs or was told to
    /// cross to, and what a replacement would run (R12).
    pub fn may_run(&self) -> BTreeSet<BuildIndex> {
        let hands = self.hands.values();
        let mut builds: BTreeSet<_> = hands
            .flat_map(|hand| [Some(hand.runs), hand.asked])
            .flatten()
            .collect();
        // While workers are on their way, what one says may be older than what it does.
        let (running, target) = match &self.phase {
            Phase::Sweeping { .. }
            | Phase::Paused {
                from: Stage::Sweeping,
                ..
            } => (None, self.target()),
            Phase::Paused {
                from: Stage::Filling,
                ..
            } => (Some(self.running), None),
            Phase::Canary(..)
            | Phase::Rolling
            | Phase::Opened
            | Phase::Paused { .. }
            | Phase::FillingBack { .. }
            | Phase::GatheringBack { .. }
            | Phase::MovingBack { .. }
            | Phase::Returning { .. } => (Some(self.running), self.target()),
            _ => (Some(self.running), None),
        };
        builds.extend(running.into_iter().chain(target));
        builds
    }

    /// What a worker runs, as far as it has said.
    pub fn runs(&self, slot: WorkerSlot) -> Option<BuildIndex> {
        self.hands.get(&slot).map(|hand| hand.runs)
    }

    /// Where the update is.
    pub fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Idle => Stage::Idle,
            Phase::Preparing => Stage::Preparing,
            Phase::Loading => Stage::Loading,
            Phase::Filling => Stage::Filling,
            Phase::Canary(..) => Stage::Canary,
            Phase::Rolling => Stage::Rolling,
            Phase::Gathering | Phase::Moving { .. } | Phase::Opened => Stage::Barrier,
            Phase::Paused { .. } => Stage::Paused,
            Phase::Sweeping { .. } => Stage::Sweeping,
            Phase::FillingBack { .. }
            | Phase::GatheringBack { .. }
            | Phase::MovingBack { .. }
            | Phase::Returning { .. }
            | Phase::SweepingBack { .. } => Stage::RollingBack,
        }
    }

    /// Whether all workers are where they are to be, and convert what nobody has touched.
    pub fn is_sweeping(&self) -> bool {
        matches!(
            self.phase,
            Phase::Sweeping { .. } | Phase::SweepingBack { .. }
        )
    }

    /// The filling whose end the update waits for, if it does.
    pub fn filling(&self) -> Option<SweepId> {
        let fills = matches!(self.phase, Phase::Filling | Phase::FillingBack { .. });
        fills.then_some(self.sweep)
    }

    /// Why it is paused, going back or unable to commit, for people.
    pub fn remark(&self) -> Option<String> {
        match &self.phase {
            Phase::Paused { reason, .. }
            | Phase::FillingBack { reason, .. }
            | Phase::GatheringBack { reason, .. }
            | Phase::MovingBack { reason, .. }
            | Phase::Returning { reason }
            | Phase::SweepingBack { reason, .. } => Some(reason.clone()),
            Phase::Sweeping { held } => held.text(),
            _ => None,
        }
    }

    /// Build for the replacement of a worker that ran `dead` (R32), and all others that it may meet
    /// representations of: the other side of the update, and where the last one came from (R13).
    pub fn replacement(&self, dead: BuildIndex) -> (BuildIndex, Vec<BuildIndex>) {
        let build = self.replacement_build(dead);
        let mut others = Vec::new();
        for other in [Some(self.running), self.target(), self.companion] {
            others.extend(other.filter(|o| *o != build && !others.contains(o)));
        }
        (build, others)
    }

    fn replacement_build(&self, dead: BuildIndex) -> BuildIndex {
        let Some(target) = self.target() else {
            return self.running;
        };
        match &self.phase {
            _ if self.no_return.is_some() => target,
            Phase::GatheringBack { .. }
            | Phase::MovingBack {
                way: Way::Return, ..
            } => target,
            Phase::Opened | Phase::FillingBack { .. } if self.moved => target,
            Phase::Sweeping { .. }
            | Phase::Paused {
                from: Stage::Sweeping,
                ..
            } => target,
            Phase::Rolling
            | Phase::Opened
            | Phase::Paused {
                from: Stage::Rolling | Stage::Barrier,
                ..
            } if dead == target => target,
            _ => self.running,
        }
    }

    /// Who keeps the update from going on, and how.
    pub fn waiting_for(&self) -> Vec<(WorkerSlot, Waiting)> {
        let target = self.target();
        let of = |slot: &WorkerSlot, hand: &Hand| match &self.phase {
            Phase::Loading if !hand.ready => Some(Waiting::ToStart),
            Phase::Loading if hand.loaded != target => Some(Waiting::ToLoad),
            Phase::Filling | Phase::FillingBack { .. } if !hand.ready => Some(Waiting::ToStart),
            Phase::Filling | Phase::FillingBack { .. } if hand.fills != self.sweep => {
                Some(Waiting::ToFill)
            }
            Phase::Canary(canaries, Watch::Crossing)
                if canaries.contains(slot) && Some(hand.runs) != target =>
            {
                Some(Waiting::ToCross)
            }
            Phase::Canary(_, Watch::Answering(silent)) if silent.contains(slot) => {
                Some(Waiting::ToAnswer)
            }
            Phase::Rolling | Phase::Opened if !hand.ready => Some(Waiting::ToStart),
            Phase::Rolling | Phase::Opened if Some(hand.runs) != target => Some(Waiting::ToCross),
            _ if self.is_stopping() && !self.stands(hand) => Some(Waiting::ForTheBarrier),
            Phase::Returning { .. } if !hand.is_settled_on(self.running) => Some(Waiting::ToCross),
            _ => None,
        };
        self.hands
            .iter()
            .filter_map(|(slot, hand)| Some((*slot, of(slot, hand)?)))
            .collect()
    }

    /// Takes one event in and says what is to be done, in order.
    pub fn step(mut self, event: Event) -> (Life, Vec<Effect>) {
        let mut out = Vec::new();
        self.take(event, &mut out);
        // A phase whose work is done already passes on at once; each move asks for something.
        let mut said = usize::MAX;
        while said != out.len() {
            said = out.len();
            self.advance(&mut out);
        }
        (self, out)
    }

    fn take(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Begin => match self.busy_text() {
                None => self.phase = Phase::Preparing,
                Some(why) => out.push(Effect::Refuse(why)),
            },
            Event::Probed(result) if self.phase == Phase::Preparing => self.probed(result, out),
            Event::Spawned {
                slot,
                build,
                neighbours,
            } => {
                let loaded = self
                    .target()
                    .filter(|t| build == *t || neighbours.contains(t));
                let hand = Hand {
                    runs: build,
                    ready: false,
                    loaded,
                    asked: None,
                    at_barrier: false,
                    crosses: 0,
                    fills: SweepId(0),
                };
                self.hands.insert(slot, hand);
            }
            Event::Ready(slot) => self.ready(slot, out),
            Event::Died(slot, how) => self.died(slot, how, out),
            Event::Loaded(slot, build, result) => self.loaded(slot, build, result, out),
            Event::Crossed(slot, build) => {
                if let Some(hand) = self.hands.get_mut(&slot) {
                    hand.runs = build;
                    hand.at_barrier = false;
                    if hand.asked == Some(build) {
                        hand.asked = None;
                    }
                }
                self.catch_up(slot, out);
            }
            Event::CrossingFailed(slot, build, reason) => {
                self.crossing_failed(slot, build, reason, out)
            }
            Event::AtBarrier(slot, crosses) if self.is_stopping() => {
                if let Some(hand) = self.hands.get_mut(&slot) {
                    hand.at_barrier = hand.asked.is_some() && hand.crosses == crosses;
                }
            }
            Event::Moved(slot, result) => self.items_moved(slot, result, out),
            Event::Swept {
                slot,
                is_last,
                failed,
                is_full,
                poisoned,
            } => {
                let found = Held {
                    failed,
                    is_full,
                    poisoned,
                };
                if is_last {
                    self.swept(slot, found, out);
                }
            }
            Event::Filling { slot, fill, state } if fill == self.sweep => {
                self.fill_state(slot, state, out);
            }
            Event::Pong(slot) => {
                if let Phase::Canary(_, Watch::Answering(silent)) = &mut self.phase {
                    silent.remove(&slot);
                }
            }
            Event::TransformFailed(slot, what) => {
                if matches!(
                    self.phase,
                    Phase::Filling
                        | Phase::Canary(..)
                        | Phase::Rolling
                        | Phase::Opened
                        | Phase::Sweeping { .. }
                ) {
                    self.fail(format!("a transformation failed in {slot}: {what}"), out);
                }
            }
            // Once all have crossed, nobody is in anybody's way any more.
            Event::OrdersDisagree(slot, what) => {
                if matches!(self.phase, Phase::Canary(..) | Phase::Rolling) {
                    self.fail(
                        format!("lock orders disagree, as met by {slot}: {what}"),
                        out,
                    );
                }
            }
            Event::Rollback(why) => self.rollback_request(why, out),
            Event::Pause => self.pause_request(out),
            Event::Resume => self.resume_request(out),
            Event::Elapsed(timer) if timer == self.timer => self.elapsed(out),
            Event::Probed(_) | Event::AtBarrier(..) | Event::Filling { .. } | Event::Elapsed(_) => {
            }
        }
    }

    /// Moves on where all that a phase waits for is there.
    fn advance(&mut self, out: &mut Vec<Effect>) {
        let Some(target) = self.target() else { return };
        let all = |hands: &BTreeMap<WorkerSlot, Hand>, test: &dyn Fn(&Hand) -> bool| {
            !hands.is_empty() && hands.values().all(|hand| hand.ready && test(hand))
        };
        match &self.phase {
            Phase::Loading if all(&self.hands, &|hand| hand.loaded == Some(target)) => {
                out.push(Effect::Answer(Answer::Accepted));
                self.begin_filling(out);
            }
            Phase::Canary(canaries, watch) => match watch {
                Watch::Crossing
                    if canaries.iter().all(|slot| {
                        self.hands
                            .get(slot)
                            .is_some_and(|h| h.is_settled_on(target))
                    }) =>
                {
                    let canaries = canaries.clone();
                    out.push(Effect::Progress(format!(
                        "{} crossed and on probation",
                        names(canaries.iter())
                    )));
                    self.phase = Phase::Canary(canaries, Watch::Probation);
                    self.arm(TimerKind::Probation, out);
                }
                Watch::Answering(silent) if silent.is_empty() => self.roll(out),
                _ => {}
            },
            Phase::Rolling | Phase::Opened
                if all(&self.hands, &|hand| hand.is_settled_on(target)) =>
            {
                self.sweep(out);
            }
            Phase::Gathering if all(&self.hands, &|hand| self.stands(hand)) => match self.moves() {
                true => self.begin_moves(out),
                false => self.open_barrier(out),
            },
            Phase::Moving { by: None, .. } | Phase::MovingBack { by: None, .. }
                if all(&self.hands, &|hand| self.stands(hand)) =>
            {
                self.choose_mover(out);
            }
            Phase::GatheringBack { reason, .. } if all(&self.hands, &|hand| self.stands(hand)) => {
                let reason = reason.clone();
                self.begin_moves_back(reason, Way::Return, out);
            }
            Phase::Returning { reason }
                if self.hands.values().all(|h| h.is_settled_on(self.running)) =>
            {
                let reason = reason.clone();
                out.push(Effect::Progress(
                    "all workers are back: sweeping".to_owned(),
                ));
                self.phase = Phase::SweepingBack { reason, losses: 0 };
                self.disarm();
                self.begin_walk(out);
            }
            _ => {}
        }
    }

    fn busy_text(&self) -> Option<String> {
        let stage = self.stage();
        match (stage, self.remark()) {
            (Stage::Idle, _) => None,
            (_, None) => Some(format!(
                "an update is under way ({}): wait for it, or dsu rollback",
                stage_text(stage)
            )),
            (_, Some(remark)) => Some(format!(
                "an update is under way ({}): {remark}",
                stage_text(stage)
            )),
        }
    }
}

fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Idle => "idle",
        Stage::Preparing => "preparing",
        Stage::Loading => "loading",
        Stage::Filling => "filling",
        Stage::Canary => "canary",
        Stage::Rolling => "rolling",
        Stage::Barrier => "at the barrier",
        Stage::Paused => "paused",
        Stage::Sweeping => "sweeping",
        Stage::RollingBack => "rolling back",
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(stage_text(*self))
    }
}

/// `worker 1, 2, 5`.
fn names<'a>(slots: impl Iterator<Item = &'a WorkerSlot>) -> String {
    let list: Vec<String> = slots.map(|slot| slot.0.to_string()).collect();
    format!("worker {}", list.join(", "))
}
