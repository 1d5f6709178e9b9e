//! From the first look at a library to its commit or its rollback.
//!
//! ```text
//! Idle → Preparing → Loading ─→ Canary → Rolling ─→ Sweeping → Idle (committed)
//!   ↑        │          │  └──→ Gathering → Opened ───┘
//!   └────────┴──────────┘ refused     │ any failure, or the operator
//!   └─────── SweepingBack ← Returning ┘        (Paused stands beside Canary, Rolling, Sweeping)
//! ```
//! After the canaries, all other workers are told to cross at once. One after another would make the
//! mixed time, when guards are transformed to and fro, as long as the sum of all waits, and one slow
//! worker would hold back the rest; what one after another would guard against, a new version that
//! cannot serve, the canaries have shown already, and a worker whose crossing fails goes on with the
//! old code (R24).
//!
//! Invariants: at most the two builds `running` and `plan.target` are ever run; a worker that was told
//! anything has answered it before `Idle` is reached again, so that no late answer is taken for one of
//! the next update; a refusal leaves everybody where they were.

use super::events::{
    Answer, BuildIndex, Effect, Event, Manner, OnFailure, Order, Plan, TimerId, TimerKind,
};
use crate::ids::WorkerSlot;
use std::collections::{BTreeMap, BTreeSet};

/// Where an update is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // each is explained in the header's picture
pub enum Stage {
    Idle,
    Preparing,
    Loading,
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
    Canary(BTreeSet<WorkerSlot>, Watch),
    Rolling,
    Gathering,
    Opened,
    Paused {
        reason: String,
        from: Stage,
    },
    Sweeping {
        poisoned: Vec<String>,
    },
    Returning {
        reason: String,
    },
    SweepingBack {
        reason: String,
        poisoned: Vec<String>,
    },
}

/// The state: which build runs, who runs what, and where the update is, if there is one.
#[derive(Clone, Debug)]
pub struct Life {
    running: BuildIndex,
    /// The other build whose representations or complements live data may still have (R10, R13).
    companion: Option<BuildIndex>,
    plan: Option<Plan>,
    /// The one-way item of an update whose barrier has opened (R14).
    no_return: Option<String>,
    phase: Phase,
    hands: BTreeMap<WorkerSlot, Hand>,
    timer: TimerId,
}

impl Life {
    /// A server that is to run `build` and has no workers yet.
    pub fn new(build: BuildIndex) -> Life {
        Life {
            running: build,
            companion: None,
            plan: None,
            no_return: None,
            phase: Phase::Idle,
            hands: BTreeMap::new(),
            timer: TimerId(0),
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
            Phase::Canary(..) => Stage::Canary,
            Phase::Rolling => Stage::Rolling,
            Phase::Gathering | Phase::Opened => Stage::Barrier,
            Phase::Paused { .. } => Stage::Paused,
            Phase::Sweeping { .. } => Stage::Sweeping,
            Phase::Returning { .. } | Phase::SweepingBack { .. } => Stage::RollingBack,
        }
    }

    /// Why it is paused, going back or unable to commit, for people.
    pub fn remark(&self) -> Option<String> {
        match &self.phase {
            Phase::Paused { reason, .. } | Phase::Returning { reason } => Some(reason.clone()),
            Phase::Sweeping { poisoned } | Phase::SweepingBack { poisoned, .. }
                if !poisoned.is_empty() =>
            {
                Some(poisoned_text(poisoned))
            }
            Phase::SweepingBack { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Build and neighbour for the replacement of a worker that ran `dead` (R32).
    pub fn replacement(&self, dead: BuildIndex) -> (BuildIndex, Option<BuildIndex>) {
        let Some(target) = self.target() else {
            return (self.running, self.companion);
        };
        let build = match &self.phase {
            _ if self.no_return.is_some() => target,
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
        };
        (
            build,
            Some(if build == target {
                self.running
            } else {
                target
            }),
        )
    }

    /// Who keeps the update from going on, and how.
    pub fn waiting_for(&self) -> Vec<(WorkerSlot, Waiting)> {
        let target = self.target();
        let of = |slot: &WorkerSlot, hand: &Hand| match &self.phase {
            Phase::Loading if !hand.ready => Some(Waiting::ToStart),
            Phase::Loading if hand.loaded != target => Some(Waiting::ToLoad),
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
            Phase::Gathering if !hand.at_barrier => Some(Waiting::ForTheBarrier),
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
                neighbour,
            } => {
                let loaded = self
                    .target()
                    .filter(|t| build == *t || neighbour == Some(*t));
                let hand = Hand {
                    runs: build,
                    ready: false,
                    loaded,
                    asked: None,
                    at_barrier: false,
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
            Event::AtBarrier(slot) if self.phase == Phase::Gathering => {
                if let Some(hand) = self.hands.get_mut(&slot) {
                    hand.at_barrier = hand.asked.is_some();
                }
            }
            Event::Swept {
                slot,
                converted,
                poisoned,
            } => self.swept(slot, converted, poisoned, out),
            Event::Pong(slot) => {
                if let Phase::Canary(_, Watch::Answering(silent)) = &mut self.phase {
                    silent.remove(&slot);
                }
            }
            Event::TransformFailed(slot, what) => {
                if matches!(
                    self.phase,
                    Phase::Canary(..) | Phase::Rolling | Phase::Opened | Phase::Sweeping { .. }
                ) {
                    self.fail(format!("a transformation failed in {slot}: {what}"), out);
                }
            }
            Event::Rollback(why) => self.rollback_request(why, out),
            Event::Pause => self.pause_request(out),
            Event::Resume => self.resume_request(out),
            Event::Elapsed(timer) if timer == self.timer => self.elapsed(out),
            Event::Probed(_) | Event::AtBarrier(_) | Event::Elapsed(_) => {}
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
                self.begin_crossing(out);
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
            Phase::Gathering if all(&self.hands, &|hand| hand.at_barrier) => {
                out.push(Effect::Progress(
                    "all workers are at the barrier: crossing together".to_owned(),
                ));
                self.tell_all(Order::Go, out);
                self.no_return = self.plan.as_ref().and_then(|plan| plan.one_way.clone());
                self.phase = Phase::Opened;
                self.arm(TimerKind::Answer, out);
            }
            Phase::Returning { reason }
                if self.hands.values().all(|h| h.is_settled_on(self.running)) =>
            {
                let reason = reason.clone();
                out.push(Effect::Progress(
                    "all workers are back: sweeping".to_owned(),
                ));
                self.phase = Phase::SweepingBack {
                    reason,
                    poisoned: Vec::new(),
                };
                self.disarm();
                self.tell_all(Order::Sweep(true), out);
            }
            _ => {}
        }
    }

    fn probed(&mut self, result: Result<Plan, String>, out: &mut Vec<Effect>) {
        match result {
            Err(reason) => self.refuse(reason, out),
            Ok(plan) => {
                out.push(Effect::Progress(
                    "checked: workers load the new version".to_owned(),
                ));
                self.phase = Phase::Loading;
                let order = Order::Load(plan.target);
                self.plan = Some(plan);
                self.tell_all(order, out);
                self.arm(TimerKind::Answer, out);
            }
        }
    }

    fn ready(&mut self, slot: WorkerSlot, out: &mut Vec<Effect>) {
        let target = self.target();
        let Some(hand) = self.hands.get_mut(&slot) else {
            return;
        };
        hand.ready = true;
        match (&self.phase, target) {
            (Phase::Loading, Some(target)) if hand.loaded.is_none() => {
                out.push(Effect::Send(slot, Order::Load(target)));
            }
            (Phase::Gathering, Some(target)) => self.tell_to_cross(slot, target, true, out),
            (Phase::Sweeping { .. } | Phase::SweepingBack { .. }, _) => {
                out.push(Effect::Send(slot, Order::Sweep(true)));
            }
            _ => self.catch_up(slot, out),
        }
    }

    /// Tells a worker that was not ready, or had something to take back, where all others go.
    fn catch_up(&mut self, slot: WorkerSlot, out: &mut Vec<Effect>) {
        let to = match &self.phase {
            Phase::Rolling | Phase::Opened => self.target(),
            Phase::Canary(canaries, Watch::Crossing) if canaries.contains(&slot) => self.target(),
            Phase::Returning { .. } => Some(self.running),
            _ => None,
        };
        let idle = self
            .hands
            .get(&slot)
            .is_some_and(|hand| hand.asked.is_none() && Some(hand.runs) != to);
        if let Some(to) = to.filter(|_| idle) {
            self.tell_to_cross(slot, to, false, out);
        }
    }

    fn died(&mut self, slot: WorkerSlot, how: String, out: &mut Vec<Effect>) {
        let Some(hand) = self.hands.remove(&slot) else {
            return;
        };
        let target = self.target();
        // A worker on the old version that was told nothing has died of something else.
        let concerned = target.is_some() && (Some(hand.runs) == target || hand.asked == target);
        match &self.phase {
            Phase::Loading if hand.ready && hand.loaded != target => {
                self.refuse(
                    format!("{slot} died while it loaded the new version: {how}"),
                    out,
                );
            }
            Phase::Canary(..) | Phase::Rolling | Phase::Opened | Phase::Sweeping { .. }
                if concerned =>
            {
                self.fail(
                    format!("{slot} died in the new version or on its way there: {how}"),
                    out,
                );
            }
            Phase::Gathering => self.fail(format!("{slot} died at the barrier: {how}"), out),
            _ => {}
        }
    }

    fn loaded(
        &mut self,
        slot: WorkerSlot,
        build: BuildIndex,
        result: Result<(), String>,
        out: &mut Vec<Effect>,
    ) {
        if self.target() != Some(build) {
            return;
        }
        let Some(hand) = self.hands.get_mut(&slot) else {
            return;
        };
        match result {
            Ok(()) => hand.loaded = Some(build),
            Err(reason) if self.phase == Phase::Loading => {
                self.refuse(format!("{slot} cannot load it: {reason}"), out);
            }
            Err(_) => {}
        }
    }

    fn crossing_failed(
        &mut self,
        slot: WorkerSlot,
        build: BuildIndex,
        reason: String,
        out: &mut Vec<Effect>,
    ) {
        let Some(hand) = self.hands.get_mut(&slot) else {
            return;
        };
        if hand.asked != Some(build) {
            return; // taken back meanwhile: the answer to what it was told last is on its way
        }
        hand.asked = None;
        hand.at_barrier = false;
        let text = format!("{slot} could not cross and goes on as before: {reason}");
        let back = matches!(self.phase, Phase::Returning { .. });
        if back || self.no_return.is_some() {
            // It is in the version that the server leaves for good; a fresh process is the only way.
            hand.asked = Some(build);
            out.push(Effect::Kill(slot, text));
        } else if self.target() == Some(build)
            && matches!(
                self.phase,
                Phase::Canary(..) | Phase::Rolling | Phase::Opened | Phase::Gathering
            )
        {
            self.fail(text, out);
        }
    }

    fn swept(
        &mut self,
        slot: WorkerSlot,
        converted: u64,
        found: Vec<String>,
        out: &mut Vec<Effect>,
    ) {
        if converted > 0 || !self.hands.contains_key(&slot) {
            return; // another pass follows by itself
        }
        match &mut self.phase {
            Phase::Sweeping { poisoned } | Phase::SweepingBack { poisoned, .. }
                if !found.is_empty() =>
            {
                if *poisoned != found {
                    out.push(Effect::Progress(poisoned_text(&found)));
                    *poisoned = found;
                }
            }
            Phase::Sweeping { .. } => {
                let old = self.running;
                let forgotten = self
                    .companion
                    .filter(|c| Some(*c) != self.target() && *c != old);
                self.running = self.target().unwrap_or(old);
                self.companion = Some(old);
                self.end(Answer::Committed, forgotten, out);
            }
            Phase::SweepingBack { reason, .. } => {
                let reason = reason.clone();
                let target = self.target();
                let forgotten = self.companion.filter(|c| Some(*c) != target);
                self.companion = target;
                self.end(Answer::RolledBack(reason), forgotten, out);
            }
            _ => {}
        }
    }

    fn rollback_request(&mut self, why: String, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Idle => out.push(Effect::Refuse("no update is under way".to_owned())),
            Phase::Preparing | Phase::Loading => self.refuse(why, out),
            Phase::Returning { .. } | Phase::SweepingBack { .. } => {
                out.push(Effect::Refuse(
                    "it is rolling back already: see dsu status".to_owned(),
                ));
            }
            _ => match &self.no_return {
                Some(item) => out.push(Effect::Refuse(format!("one-way: {item}"))),
                None => self.go_back(why, out),
            },
        }
    }

    fn pause_request(&mut self, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Canary(..) | Phase::Rolling | Phase::Sweeping { .. } => {
                self.pause("by the operator".to_owned(), out)
            }
            Phase::Idle => out.push(Effect::Refuse("no update is under way".to_owned())),
            Phase::Paused { .. } => out.push(Effect::Refuse("it is paused already".to_owned())),
            _ => out.push(Effect::Refuse(format!(
                "an update cannot be paused while {}: wait, or roll it back",
                stage_text(self.stage())
            ))),
        }
    }

    fn resume_request(&mut self, out: &mut Vec<Effect>) {
        let Phase::Paused { from, .. } = &self.phase else {
            out.push(Effect::Refuse("nothing is paused".to_owned()));
            return;
        };
        out.push(Effect::Progress("resumed".to_owned()));
        match from {
            Stage::Canary => self.begin_crossing(out),
            // Somebody may have been replaced meanwhile: rolling ends at once if nobody has.
            _ => self.roll(out),
        }
    }

    fn elapsed(&mut self, out: &mut Vec<Effect>) {
        let blockers: Vec<WorkerSlot> = self
            .waiting_for()
            .into_iter()
            .map(|(slot, _)| slot)
            .collect();
        let late = format!(
            "{} passed no update point in time: see dsu blocking",
            if blockers.is_empty() {
                "no worker is up, and so none".to_owned()
            } else {
                names(blockers.iter())
            }
        );
        match &self.phase {
            Phase::Loading => self.refuse(late, out),
            Phase::Canary(canaries, Watch::Probation) => {
                let canaries = canaries.clone();
                for slot in &canaries {
                    out.push(Effect::Send(*slot, Order::Ping));
                }
                self.phase = Phase::Canary(canaries.clone(), Watch::Answering(canaries));
                self.arm(TimerKind::Answer, out);
            }
            Phase::Canary(..) | Phase::Rolling | Phase::Gathering | Phase::Opened => {
                match self.no_return {
                    Some(_) => self.kill_late(&blockers, out),
                    None => self.fail(late, out),
                }
            }
            Phase::Returning { .. } => self.kill_late(&blockers, out),
            _ => {}
        }
    }

    fn kill_late(&mut self, blockers: &[WorkerSlot], out: &mut Vec<Effect>) {
        for slot in blockers {
            let why = format!("{slot} passed no update point in time and is replaced");
            out.push(Effect::Progress(why.clone()));
            out.push(Effect::Kill(*slot, why));
        }
        self.arm(TimerKind::Answer, out);
    }

    fn begin_crossing(&mut self, out: &mut Vec<Effect>) {
        let Some(plan) = &self.plan else { return };
        let target = plan.target;
        match plan.manner {
            Manner::Barrier => {
                out.push(Effect::Progress(
                    "waiting for all workers at the barrier".to_owned(),
                ));
                self.phase = Phase::Gathering;
                let slots: Vec<WorkerSlot> = self.hands.keys().copied().collect();
                self.cross(&slots, target, true, out);
                self.arm(TimerKind::Answer, out);
            }
            Manner::Rolling { canaries } => {
                // After a pause some may be over already; they count.
                let mut ready: Vec<(bool, WorkerSlot)> = self
                    .hands
                    .iter()
                    .filter(|(_, hand)| hand.ready)
                    .map(|(slot, hand)| (hand.runs != target, *slot))
                    .collect();
                ready.sort();
                let slots: Vec<WorkerSlot> =
                    ready.iter().map(|r| r.1).take(canaries as usize).collect();
                if slots.is_empty() {
                    return self.roll(out);
                }
                out.push(Effect::Progress(format!("{} first", names(slots.iter()))));
                self.phase = Phase::Canary(slots.iter().copied().collect(), Watch::Crossing);
                self.cross(&slots, target, false, out);
                self.arm(TimerKind::Answer, out);
            }
        }
    }

    fn roll(&mut self, out: &mut Vec<Effect>) {
        let Some(target) = self.target() else { return };
        out.push(Effect::Progress(
            "all workers cross, each at its next update point".to_owned(),
        ));
        self.phase = Phase::Rolling;
        let slots: Vec<WorkerSlot> = self.hands.keys().copied().collect();
        self.cross(&slots, target, false, out);
        self.arm(TimerKind::Answer, out);
    }

    fn sweep(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Progress("all workers crossed: sweeping".to_owned()));
        self.phase = Phase::Sweeping {
            poisoned: Vec::new(),
        };
        self.disarm();
        self.tell_all(Order::Sweep(true), out);
    }

    fn fail(&mut self, reason: String, out: &mut Vec<Effect>) {
        if let Some(item) = &self.no_return {
            out.push(Effect::Progress(format!(
                "{reason}; there is no way back (one-way: {item}): going on"
            )));
            return;
        }
        let on_failure = self.plan.as_ref().map(|plan| plan.on_failure);
        match (&self.phase, on_failure) {
            // Nobody has crossed: there is nothing to look at, and the barrier stops everybody.
            (Phase::Gathering, _) | (_, Some(OnFailure::Rollback) | None) => {
                self.go_back(reason, out)
            }
            (_, Some(OnFailure::Pause)) => self.pause(reason, out),
        }
    }

    fn pause(&mut self, reason: String, out: &mut Vec<Effect>) {
        let from = self.stage();
        out.push(Effect::Progress(format!(
            "paused: {reason}; dsu resume or dsu rollback"
        )));
        if from == Stage::Sweeping {
            self.tell_all(Order::Sweep(false), out);
        }
        self.phase = Phase::Paused { reason, from };
        self.disarm();
        let running = self.running;
        let on_their_way: Vec<WorkerSlot> = self
            .hands
            .iter()
            .filter(|(_, hand)| hand.asked.is_some())
            .map(|(slot, _)| *slot)
            .collect();
        for slot in on_their_way {
            self.tell_to_cross(slot, running, false, out);
        }
    }

    fn go_back(&mut self, reason: String, out: &mut Vec<Effect>) {
        if self.phase == Phase::Gathering {
            self.tell_all(Order::Revert, out);
            for hand in self.hands.values_mut() {
                hand.asked = None;
                hand.at_barrier = false;
            }
            let target = self.target();
            return self.end(Answer::RolledBack(reason), target, out);
        }
        out.push(Effect::Progress(format!("rolling back: {reason}")));
        if matches!(self.phase, Phase::Sweeping { .. }) {
            self.tell_all(Order::Sweep(false), out);
        }
        self.phase = Phase::Returning { reason };
        let running = self.running;
        let slots: Vec<WorkerSlot> = self
            .hands
            .iter()
            .filter(|(_, hand)| hand.ready && !hand.is_settled_on(running))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            self.tell_to_cross(slot, running, false, out);
        }
        self.arm(TimerKind::Answer, out);
    }

    fn refuse(&mut self, reason: String, out: &mut Vec<Effect>) {
        let target = self.target();
        self.end(Answer::Refused(reason), target, out);
    }

    fn end(&mut self, answer: Answer, forgotten: Option<BuildIndex>, out: &mut Vec<Effect>) {
        if !matches!(answer, Answer::Refused(_)) && self.phase != Phase::Gathering {
            self.tell_all(Order::Sweep(false), out);
        }
        // A build that live data may still need is kept, also when an attempt to reach it anew failed.
        if let Some(build) = forgotten.filter(|b| *b != self.running && Some(*b) != self.companion)
        {
            self.tell_all(Order::Forget(build), out);
        }
        for hand in self.hands.values_mut() {
            hand.loaded = None;
        }
        self.phase = Phase::Idle;
        self.plan = None;
        self.no_return = None;
        self.disarm();
        out.push(Effect::Answer(answer));
    }

    /// Tells those that are ready and not there yet; the others are told when they are ready.
    fn cross(
        &mut self,
        slots: &[WorkerSlot],
        build: BuildIndex,
        together: bool,
        out: &mut Vec<Effect>,
    ) {
        for slot in slots {
            if self
                .hands
                .get(slot)
                .is_some_and(|hand| hand.ready && !hand.is_settled_on(build))
            {
                self.tell_to_cross(*slot, build, together, out);
            }
        }
    }

    fn tell_to_cross(
        &mut self,
        slot: WorkerSlot,
        build: BuildIndex,
        together: bool,
        out: &mut Vec<Effect>,
    ) {
        let running = self.running;
        // One that has an order to take back is told anew when it has answered, so that the answer to
        // an older order to the same build is never taken for the answer to this one.
        let free = |hand: &&mut Hand| hand.asked != Some(running);
        if let Some(hand) = self.hands.get_mut(&slot).filter(free) {
            hand.asked = Some(build);
            hand.at_barrier = false;
            out.push(Effect::Send(slot, Order::Cross { build, together }));
        }
    }

    fn tell_all(&self, order: Order, out: &mut Vec<Effect>) {
        let ready = self.hands.iter().filter(|(_, hand)| hand.ready);
        out.extend(ready.map(|(slot, _)| Effect::Send(*slot, order)));
    }

    fn arm(&mut self, kind: TimerKind, out: &mut Vec<Effect>) {
        self.disarm();
        out.push(Effect::Arm(self.timer, kind));
    }

    fn disarm(&mut self) {
        self.timer = TimerId(self.timer.0.wrapping_add(1));
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

fn poisoned_text(guards: &[String]) -> String {
    format!(
        "commit is held up by poisoned guards: {}",
        guards.join(", ")
    )
}

fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Idle => "idle",
        Stage::Preparing => "preparing",
        Stage::Loading => "loading",
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
