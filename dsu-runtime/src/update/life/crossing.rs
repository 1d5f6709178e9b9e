//! The steps of an update: workers are sent over, stopped, sent back, and an end is put to it.

use super::{Hand, Held, Life, Phase, Watch, names};
use crate::ids::WorkerSlot;
use crate::update::events::{
    Answer, BuildIndex, Effect, Manner, OnFailure, Order, TimerId, TimerKind,
};

impl Life {
    pub(super) fn kill_late(&mut self, blockers: &[WorkerSlot], out: &mut Vec<Effect>) {
        for slot in blockers {
            let why = format!("{slot} passed no update point in time and is replaced");
            out.push(Effect::Progress(why.clone()));
            out.push(Effect::Kill(*slot, why));
        }
        self.arm(TimerKind::Answer, out);
    }

    pub(super) fn begin_crossing(&mut self, out: &mut Vec<Effect>) {
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

    pub(super) fn roll(&mut self, out: &mut Vec<Effect>) {
        let Some(target) = self.target() else { return };
        out.push(Effect::Progress(
            "all workers cross, each at its next update point".to_owned(),
        ));
        self.phase = Phase::Rolling;
        let slots: Vec<WorkerSlot> = self.hands.keys().copied().collect();
        self.cross(&slots, target, false, out);
        self.arm(TimerKind::Answer, out);
    }

    pub(super) fn sweep(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Progress("all workers crossed: sweeping".to_owned()));
        self.phase = Phase::Sweeping {
            held: Held::default(),
        };
        self.disarm();
        self.begin_walk(out);
    }

    pub(super) fn fail(&mut self, reason: String, out: &mut Vec<Effect>) {
        if let Some(item) = &self.no_return {
            out.push(Effect::Progress(format!(
                "{reason}; there is no way back (one-way: {item}): going on"
            )));
            return;
        }
        let on_failure = self.plan.as_ref().map(|plan| plan.on_failure);
        match (&self.phase, on_failure) {
            // Nobody has crossed: there is nothing to look at, and the barrier stops everybody.
            // Where items have moved nobody can stay in between.
            (Phase::Opened, _) if self.moved => self.go_back(reason, out),
            (Phase::Filling | Phase::Gathering, _) | (_, Some(OnFailure::Rollback) | None) => {
                self.go_back(reason, out)
            }
            (_, Some(OnFailure::Pause)) => self.pause(reason, out),
        }
    }

    pub(super) fn pause(&mut self, reason: String, out: &mut Vec<Effect>) {
        let from = self.stage();
        out.push(Effect::Progress(format!(
            "paused: {reason}; dsu resume or dsu rollback"
        )));
        self.turn_to(Phase::Paused { reason, from }, out);
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

    pub(super) fn go_back(&mut self, reason: String, out: &mut Vec<Effect>) {
        if self.phase == Phase::Gathering {
            self.tell_all(Order::Revert, out);
            for hand in self.hands.values_mut() {
                hand.asked = None;
                hand.at_barrier = false;
            }
            if !self.fills() {
                let target = self.target();
                return self.end(Answer::RolledBack(reason), target, out);
            }
        }
        out.push(Effect::Progress(format!("rolling back: {reason}")));
        self.begin_return(reason, out);
    }

    /// All who are not there yet go back.
    pub(super) fn go_over_back(&mut self, reason: String, out: &mut Vec<Effect>) {
        if self.moved {
            return self.gather_back(reason, out);
        }
        self.turn_to(Phase::Returning { reason }, out);
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

    pub(super) fn refuse(&mut self, reason: String, out: &mut Vec<Effect>) {
        let target = self.target();
        self.end(Answer::Refused(reason), target, out);
    }

    pub(super) fn end(
        &mut self,
        answer: Answer,
        forgotten: Option<BuildIndex>,
        out: &mut Vec<Effect>,
    ) {
        self.turn_to(Phase::Idle, out);
        // A build that live data may still need is kept, also when an attempt to reach it anew failed.
        if let Some(build) = forgotten.filter(|b| *b != self.running && Some(*b) != self.companion)
        {
            self.tell_all(Order::Forget(build), out);
        }
        for hand in self.hands.values_mut() {
            hand.loaded = None;
        }
        self.plan = None;
        self.no_return = None;
        self.moved = false;
        self.disarm();
        out.push(Effect::Answer(answer));
    }

    /// Tells those that are ready and not there yet; the others are told when they are ready.
    pub(super) fn cross(
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

    pub(super) fn tell_to_cross(
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
            hand.crosses = hand.crosses.wrapping_add(1);
            out.push(Effect::Send(slot, Order::Cross { build, together }));
        }
    }

    pub(super) fn tell_all(&self, order: Order, out: &mut Vec<Effect>) {
        let ready = self.hands.iter().filter(|(_, hand)| hand.ready);
        out.extend(ready.map(|(slot, _)| Effect::Send(*slot, order)));
    }

    pub(super) fn arm(&mut self, kind: TimerKind, out: &mut Vec<Effect>) {
        self.disarm();
        out.push(Effect::Arm(self.timer, kind));
    }

    pub(super) fn disarm(&mut self) {
        self.timer = TimerId(self.timer.0.wrapping_add(1));
    }
}
