//! What an event means in each phase. Decides; the steps themselves are in `crossing`.

use super::{
    Held, Life, MOST_LOSSES, MOST_LOSSES_ON_THE_WAY_BACK, Phase, Stage, Watch, Way, names,
    stage_text,
};
use crate::ids::WorkerSlot;
use crate::update::events::{Answer, BuildIndex, Effect, Order, Plan, TimerKind};

impl Life {
    pub(super) fn probed(&mut self, result: Result<Plan, String>, out: &mut Vec<Effect>) {
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

    pub(super) fn ready(&mut self, slot: WorkerSlot, out: &mut Vec<Effect>) {
        let target = self.target();
        let Some(hand) = self.hands.get_mut(&slot) else {
            return;
        };
        hand.ready = true;
        match (&self.phase, target) {
            (Phase::Loading, Some(target)) if hand.loaded.is_none() => {
                out.push(Effect::Send(slot, Order::Load(target)));
            }
            (
                Phase::Gathering
                | Phase::Moving { .. }
                | Phase::MovingBack {
                    way: Way::Revert, ..
                },
                Some(target),
            ) => self.tell_to_cross(slot, target, true, out),
            _ => self.catch_up(slot, out),
        }
        let walk = self.walk();
        if walk != Order::Rest {
            out.push(Effect::Send(slot, walk));
        }
    }

    /// Tells a worker that was not ready, or had something to take back, where all others go.
    pub(super) fn catch_up(&mut self, slot: WorkerSlot, out: &mut Vec<Effect>) {
        let is_called_back = matches!(
            self.phase,
            Phase::GatheringBack { .. }
                | Phase::MovingBack {
                    way: Way::Return,
                    ..
                }
        );
        if is_called_back {
            return self.call_back(slot, out);
        }
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

    pub(super) fn died(&mut self, slot: WorkerSlot, how: String, out: &mut Vec<Effect>) {
        let Some(hand) = self.hands.remove(&slot) else {
            return;
        };
        let target = self.target();
        // A worker on the old version that was told nothing has died of something else.
        // But where every worker fills, it runs lenses of the new version.
        let fills = hand.ready && self.may_fill().is_some();
        let concerned =
            target.is_some() && (fills || Some(hand.runs) == target || hand.asked == target);
        match &mut self.phase {
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
            Phase::Moving { .. } | Phase::GatheringBack { .. } | Phase::MovingBack { .. } => {
                self.died_in_moves((slot, &hand), &how, out);
            }
            Phase::Filling if concerned => {
                self.fail(
                    format!("{slot} died while the new version's form was filled: {how}"),
                    out,
                );
            }
            Phase::FillingBack { losses, .. } if concerned => {
                *losses += 1;
                if *losses >= MOST_LOSSES {
                    let why =
                        format!("{slot} died, as another before, while that was filled: {how}");
                    self.go_back_unfilled(&why, out);
                }
            }
            // What kills who sweeps stays as it is, and the version before goes on.
            Phase::SweepingBack { reason, losses } if hand.ready => {
                *losses += 1;
                if *losses >= MOST_LOSSES_ON_THE_WAY_BACK {
                    let reason = format!(
                        "{reason}; not all is swept: {slot} died in it, as {} before: {how}",
                        MOST_LOSSES_ON_THE_WAY_BACK - 1
                    );
                    self.end_back(reason, out);
                }
            }
            _ => {}
        }
    }

    pub(super) fn loaded(
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

    pub(super) fn crossing_failed(
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
        let back = matches!(
            self.phase,
            Phase::FillingBack { .. } | Phase::Returning { .. }
        );
        let back = back || self.moved;
        if back || self.no_return.is_some() {
            // It is in the version that the server leaves for good; a fresh process is the only way.
            hand.asked = Some(build);
            out.push(Effect::Kill(slot, text.clone()));
            if self.phase == Phase::Opened && self.moved {
                self.fail(text, out);
            }
        } else if self.target() == Some(build)
            && matches!(
                self.phase,
                Phase::Canary(..) | Phase::Rolling | Phase::Opened | Phase::Gathering
            )
        {
            self.fail(text, out);
        }
    }

    pub(super) fn swept(&mut self, slot: WorkerSlot, found: Held, out: &mut Vec<Effect>) {
        if !self.hands.contains_key(&slot) {
            return;
        }
        if let Some(list) = found.list() {
            match &mut self.phase {
                // R30 is about a commit. A rollback always ends: what is left stays locked away.
                Phase::SweepingBack { reason, .. } => {
                    *reason = format!("{reason}; left as it is: {list}");
                }
                Phase::Sweeping { held } => {
                    if found.is_news(held) {
                        out.extend(found.text().map(Effect::Progress));
                    }
                    *held = found;
                    return;
                }
                _ => return,
            }
        }
        match &self.phase {
            Phase::Sweeping { .. } => {
                let old = self.running;
                let forgotten = self
                    .companion
                    .filter(|c| Some(*c) != self.target() && *c != old);
                self.running = self.target().unwrap_or(old);
                self.companion = Some(old);
                self.end(Answer::Committed, forgotten, out);
            }
            Phase::SweepingBack { reason, .. } => self.end_back(reason.clone(), out),
            _ => {}
        }
    }

    fn end_back(&mut self, reason: String, out: &mut Vec<Effect>) {
        let target = self.target();
        let forgotten = self.companion.filter(|c| Some(*c) != target);
        self.companion = target;
        self.end(Answer::RolledBack(reason), forgotten, out);
    }

    pub(super) fn rollback_request(&mut self, why: String, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Idle => out.push(Effect::Refuse("no update is under way".to_owned())),
            Phase::Preparing | Phase::Loading => self.refuse(why, out),
            Phase::Moving { .. } => out.push(Effect::Refuse(
                "items move between guards at this moment: ask again when that is done".to_owned(),
            )),
            Phase::FillingBack { .. }
            | Phase::GatheringBack { .. }
            | Phase::MovingBack { .. }
            | Phase::Returning { .. }
            | Phase::SweepingBack { .. } => {
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

    pub(super) fn pause_request(&mut self, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Filling | Phase::Canary(..) | Phase::Rolling | Phase::Sweeping { .. } => {
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

    pub(super) fn resume_request(&mut self, out: &mut Vec<Effect>) {
        let Phase::Paused { from, .. } = &self.phase else {
            out.push(Effect::Refuse("nothing is paused".to_owned()));
            return;
        };
        out.push(Effect::Progress("resumed".to_owned()));
        match from {
            Stage::Filling => self.begin_filling(out),
            Stage::Canary => self.begin_crossing(out),
            // Somebody may have been replaced meanwhile: rolling ends at once if nobody has.
            _ => self.roll(out),
        }
    }

    pub(super) fn elapsed(&mut self, out: &mut Vec<Effect>) {
        let blockers: Vec<WorkerSlot> = self
            .waiting_for()
            .into_iter()
            .map(|(slot, _)| slot)
            .collect();
        let late = match blockers.is_empty() {
            true => "no worker is up: see the log".to_owned(),
            false => format!(
                "{} passed no update point in time: see dsu blocking",
                names(blockers.iter())
            ),
        };
        match &self.phase {
            Phase::Loading => self.refuse(late, out),
            Phase::Filling | Phase::FillingBack { .. } => self.filling_is_late(out),
            Phase::Canary(canaries, Watch::Probation) => {
                let canaries = canaries.clone();
                for slot in &canaries {
                    out.push(Effect::Send(*slot, Order::Ping));
                }
                self.phase = Phase::Canary(canaries.clone(), Watch::Answering(canaries));
                self.arm(TimerKind::LastAnswer, out);
            }
            Phase::Canary(_, Watch::Answering(silent)) => {
                // They have had their time, and will not cross back either.
                let silent: Vec<WorkerSlot> = silent.iter().copied().collect();
                self.fail(
                    format!("{} does not answer after probation", names(silent.iter())),
                    out,
                );
                if matches!(
                    self.phase,
                    Phase::FillingBack { .. } | Phase::Returning { .. }
                ) {
                    for slot in silent {
                        let why = "it did not answer after probation".to_owned();
                        out.push(Effect::Kill(slot, why));
                    }
                }
            }
            Phase::Canary(..) | Phase::Rolling | Phase::Gathering | Phase::Opened => {
                match self.no_return {
                    Some(_) => self.kill_late(&blockers, out),
                    None => self.fail(late, out),
                }
            }
            Phase::Returning { .. } | Phase::GatheringBack { .. } => self.kill_late(&blockers, out),
            Phase::Moving { .. } | Phase::MovingBack { .. } => self.moves_are_late(out),
            _ => {}
        }
    }
}
