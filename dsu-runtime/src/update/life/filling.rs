//! The steps of an update whose lenses are prepared: what they lead to is filled before anybody crosses,
//! and before they go back where that may be gone (R5).
//!
//! Owns what every worker is to be doing beside its requests: fill, sweep or neither.

use super::{Hand, Life, Phase, Stage};
use crate::ids::{SweepId, WorkerSlot};
use crate::update::events::{Effect, FillState, Order, TimerKind};

/// So many times as workers have to answer (`--timeout`) a filling has that moves all the time and comes
/// to no end, since writes outrun it.
const MOST_SPANS: u32 = 20;

/// The time that a filling was given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Given {
    /// Spans that are over.
    spans: u32,
    /// Something was filled in this one.
    has_moved: bool,
}

impl Life {
    /// Whether anything is filled in this update.
    pub(super) fn fills(&self) -> bool {
        self.plan
            .as_ref()
            .is_some_and(|plan| !plan.filled.is_empty())
    }

    /// Whether an update is under way that fills something.
    #[cfg(test)]
    pub(crate) fn is_filled(&self) -> bool {
        self.fills()
    }

    /// The filling that workers may go on with. Said before anybody is told anything, and looked at under
    /// each guard, so that nothing is filled behind a sweep by who has not heard of it yet.
    pub fn may_fill(&self) -> Option<SweepId> {
        matches!(self.walk(), Order::Fill(..)).then_some(self.sweep)
    }

    /// What a worker is to do beside its requests in this phase.
    pub(super) fn walk(&self) -> Order {
        let target = self.target().filter(|_| self.fills());
        let towards = match &self.phase {
            Phase::Sweeping { .. } | Phase::SweepingBack { .. } => {
                return Order::Sweep(self.sweep);
            }
            // Up to the sweep what writes mark is brought up.
            Phase::Filling
            | Phase::Canary(..)
            | Phase::Rolling
            | Phase::Gathering
            | Phase::Moving { .. }
            | Phase::Opened
            | Phase::Paused {
                from: Stage::Canary | Stage::Rolling | Stage::Barrier,
                ..
            } => target,
            Phase::FillingBack { .. } | Phase::GatheringBack { .. } | Phase::MovingBack { .. } => {
                target.map(|_| self.running)
            }
            _ => None,
        };
        towards.map_or(Order::Rest, |build| Order::Fill(self.sweep, build))
    }

    /// All workers begin what this phase has for them, under a number of its own.
    pub(super) fn begin_walk(&mut self, out: &mut Vec<Effect>) {
        self.sweep.0 += 1;
        let order = self.walk();
        self.tell_all(order, out);
    }

    /// Another phase, in which workers go on with the walk that they are at unless it has another.
    pub(super) fn turn_to(&mut self, phase: Phase, out: &mut Vec<Effect>) {
        let before = self.walk();
        self.phase = phase;
        let order = self.walk();
        if order != before {
            self.tell_all(order, out);
        }
    }

    /// Before the first worker crosses. With nothing to fill the crossing begins at once.
    pub(super) fn begin_filling(&mut self, out: &mut Vec<Effect>) {
        match self.plan.as_ref().map(|plan| plan.filled.join(", ")) {
            Some(items) if !items.is_empty() => {
                out.push(Effect::Progress(format!(
                    "filling the other form of {items}: workers cross when it is there"
                )));
                self.phase = Phase::Filling;
                self.given = Given::default();
                self.begin_walk(out);
                self.arm(TimerKind::Answer, out);
            }
            _ => self.begin_crossing(out),
        }
    }

    /// Somebody who fills says how it stands.
    pub(super) fn fill_state(&mut self, slot: WorkerSlot, state: FillState, out: &mut Vec<Effect>) {
        let Some(hand) = self.hands.get_mut(&slot) else {
            return;
        };
        hand.fills = self.sweep;
        match (&self.phase, state) {
            (Phase::Filling | Phase::FillingBack { .. }, FillState::Moving) => {
                self.given.has_moved = true;
            }
            (Phase::Filling, FillState::Whole) => {
                out.push(Effect::Progress("all of it is filled".to_owned()));
                self.begin_crossing(out);
            }
            (Phase::Filling, FillState::Failed(why)) => {
                self.fail(format!("{slot} cannot fill the other form: {why}"), out);
            }
            (Phase::FillingBack { reason, .. }, FillState::Whole) => {
                let reason = reason.clone();
                self.go_over_back(reason, out);
            }
            (Phase::FillingBack { .. }, FillState::Failed(why)) => {
                self.go_back_unfilled(&format!("{slot} cannot fill the older form: {why}"), out);
            }
            // What fails once workers cross shows at the flip that it makes fail.
            _ => {}
        }
    }

    /// Where workers have crossed, the way back is filled before they take it. Who was told to cross and
    /// has not said that it did is called back at once.
    pub(super) fn begin_return(&mut self, reason: String, out: &mut Vec<Effect>) {
        let target = self.target();
        let is_over = |build| Some(build) == target;
        let anybody = |hand: &Hand| is_over(hand.runs) || hand.asked.is_some_and(is_over);
        if !self.fills() || !self.hands.values().any(anybody) {
            return self.go_over_back(reason, out);
        }
        out.push(Effect::Progress(
            "filling the form of the version before: workers go back when it is there".to_owned(),
        ));
        self.phase = Phase::FillingBack { reason, losses: 0 };
        self.given = Given::default();
        self.begin_walk(out);
        let on_their_way: Vec<WorkerSlot> = self
            .hands
            .iter()
            // Where items have moved, it arrives first, and is called back then.
            .filter(|_| !self.moved)
            .filter(|(_, hand)| !is_over(hand.runs) && hand.asked.is_some_and(is_over))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in on_their_way {
            self.tell_to_cross(slot, self.running, false, out);
        }
        self.arm(TimerKind::Answer, out);
    }

    /// A span of time is over. One in which something was filled is followed by another, up to a point.
    pub(super) fn filling_is_late(&mut self, out: &mut Vec<Effect>) {
        let has_moved = std::mem::take(&mut self.given.has_moved);
        self.given.spans += 1;
        if has_moved && self.given.spans < MOST_SPANS {
            return self.arm(TimerKind::Answer, out);
        }
        let is_back = matches!(self.phase, Phase::FillingBack { .. });
        match (is_back, has_moved) {
            (true, false) => self.go_back_unfilled("nothing moves", out),
            (true, true) => self.go_back_unfilled("writes outrun the filling", out),
            (false, false) => self.fail(
                "nothing was filled for as long as workers have to answer: see dsu blocking"
                    .to_owned(),
                out,
            ),
            (false, true) => self.fail(
                format!(
                    "writes outrun the filling, for {MOST_SPANS} times as long as workers have to answer: try when there are fewer, or with a longer --timeout"
                ),
                out,
            ),
        }
    }

    /// The way back is right without a filling, and slow.
    pub(super) fn go_back_unfilled(&mut self, why: &str, out: &mut Vec<Effect>) {
        if let Phase::FillingBack { reason, .. } = &self.phase {
            let reason = reason.clone();
            out.push(Effect::Progress(format!(
                "{why}: workers go back though not all is filled"
            )));
            self.go_over_back(reason, out);
        }
    }
}
