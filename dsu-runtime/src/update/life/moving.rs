//! The steps of an update whose items move between guards: one worker moves them while all stand at the
//! barrier, before anybody crosses; the way back gathers them again (R4).
//!
//! Upholds: from the order to move until they are back, or that is given up, nobody runs the application's
//! code of the older version, which would find guards in a form that it has no way to. So whoever starts
//! runs the newer one; but for who comes to a barrier to move them back where nobody else is left. Who
//! cannot cross is replaced.

use super::{Hand, Life, MOST_LOSSES, MOST_LOSSES_ON_THE_WAY_BACK, Phase};
use crate::ids::WorkerSlot;
use crate::update::events::{Effect, Order, TimerKind};

/// What comes when items are back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Nobody has crossed: the barrier is off.
    Revert,
    /// All cross back together.
    Return,
}

impl Life {
    /// Whether items move in this update.
    pub(super) fn moves(&self) -> bool {
        self.plan
            .as_ref()
            .is_some_and(|plan| !plan.moves.is_empty())
    }

    /// Whether workers are to stop and wait for all others.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(
            self.phase,
            Phase::Gathering
                | Phase::Moving { .. }
                | Phase::GatheringBack { .. }
                | Phase::MovingBack { .. }
        )
    }

    /// Whether it stands at the barrier that is called: not still at the one before, on its way from there.
    pub(super) fn stands(&self, hand: &Hand) -> bool {
        let goes_back = matches!(
            self.phase,
            Phase::GatheringBack { .. }
                | Phase::MovingBack {
                    way: Way::Return,
                    ..
                }
        );
        let to = if goes_back {
            Some(self.running)
        } else {
            self.target()
        };
        hand.at_barrier && hand.asked == to
    }

    /// Whether dead workers are replaced later: items move at this moment, and there is somebody to move
    /// them.
    pub fn holds_replacements(&self) -> bool {
        let moving = matches!(self.phase, Phase::Moving { .. } | Phase::MovingBack { .. });
        moving && !self.hands.is_empty()
    }

    pub(super) fn open_barrier(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Progress(
            "all workers are at the barrier: crossing together".to_owned(),
        ));
        self.tell_all(Order::Go, out);
        self.no_return = self.plan.as_ref().and_then(|plan| plan.one_way.clone());
        self.turn_to(Phase::Opened, out);
        self.arm(TimerKind::Answer, out);
    }

    /// All stand at the barrier.
    pub(super) fn begin_moves(&mut self, out: &mut Vec<Effect>) {
        let texts = self.plan.as_ref().map(|plan| plan.moves.join(", "));
        out.push(Effect::Progress(format!(
            "all workers are at the barrier: {}",
            texts.unwrap_or_default()
        )));
        self.moved = true;
        self.turn_to(
            Phase::Moving {
                by: None,
                losses: 0,
            },
            out,
        );
        self.choose_mover(out);
        self.arm(TimerKind::Answer, out);
    }

    /// All stand at a barrier, or those that are left.
    pub(super) fn begin_moves_back(&mut self, reason: String, way: Way, out: &mut Vec<Effect>) {
        out.push(Effect::Progress(
            "items move back to where the version before has them".to_owned(),
        ));
        let phase = Phase::MovingBack {
            by: None,
            losses: 0,
            way,
            reason,
        };
        self.turn_to(phase, out);
        self.choose_mover(out);
        self.arm(TimerKind::Answer, out);
    }

    /// The first who stands there.
    pub(super) fn choose_mover(&mut self, out: &mut Vec<Effect>) {
        let mut hands = self.hands.iter();
        let chosen = hands
            .find(|(_, hand)| self.stands(hand))
            .map(|(slot, _)| *slot);
        let (Some(slot), Some(target)) = (chosen, self.target()) else {
            return;
        };
        let (from, to) = match &mut self.phase {
            Phase::Moving { by, .. } => {
                *by = chosen;
                (self.running, target)
            }
            Phase::MovingBack { by, .. } => {
                *by = chosen;
                (target, self.running)
            }
            _ => return,
        };
        out.push(Effect::Send(slot, Order::Move { from, to }));
    }

    /// The one who was to move them answers.
    pub(super) fn items_moved(
        &mut self,
        slot: WorkerSlot,
        result: Result<(), String>,
        out: &mut Vec<Effect>,
    ) {
        match &self.phase {
            Phase::Moving { by, losses } if *by == Some(slot) => match (result, *losses) {
                (Ok(()), _) => self.open_barrier(out),
                // It was all or nothing, and nobody had tried before.
                (Err(why), 0) => self.give_up_moves(why, out),
                (Err(why), _) => self.begin_moves_back(why, Way::Revert, out),
            },
            Phase::MovingBack { by, .. } if *by == Some(slot) => {
                self.end_moves_back(result.err(), out);
            }
            _ => {}
        }
    }

    /// Items are back, or as far back as they can be: a rollback always ends, and a guard that cannot have
    /// what it had stays locked away. An update to the version that has it finds it there.
    fn end_moves_back(&mut self, left: Option<String>, out: &mut Vec<Effect>) {
        let Phase::MovingBack { way, reason, .. } = &self.phase else {
            return;
        };
        let way = *way;
        let reason = match left {
            Some(why) => {
                let moves = self.plan.as_ref().map(|plan| plan.moves.join(", "));
                format!(
                    "{reason}; not all items could move back: {why}; {}: what is not back is locked away, and there again after `dsu update` to that version, but for what is poisoned",
                    moves.unwrap_or_default()
                )
            }
            None => reason.clone(),
        };
        match way {
            Way::Revert => self.give_up_moves(reason, out),
            Way::Return => {
                self.moved = false;
                self.tell_all(Order::Go, out);
                self.turn_to(Phase::Returning { reason }, out);
                self.arm(TimerKind::Answer, out);
            }
        }
    }

    /// All items are where they were and nobody has crossed.
    fn give_up_moves(&mut self, reason: String, out: &mut Vec<Effect>) {
        self.moved = false;
        self.turn_to(Phase::Gathering, out);
        self.fail(reason, out);
    }

    /// A worker is gone while items move, or are to move back. Whoever moves them is followed by another,
    /// and one that is to come to the barrier is started anew, up to a point: what kills one may kill them
    /// all.
    pub(super) fn died_in_moves(
        &mut self,
        dead: (WorkerSlot, &Hand),
        how: &str,
        out: &mut Vec<Effect>,
    ) {
        let (slot, hand) = dead;
        let (running, target) = (self.running, self.target());
        match &mut self.phase {
            Phase::Moving { by, losses } if *by == Some(slot) => {
                *by = None;
                *losses += 1;
                if *losses >= MOST_LOSSES {
                    let reason = format!("{slot} died while items moved between guards: {how}");
                    return self.begin_moves_back(reason, Way::Revert, out);
                }
            }
            // Who runs a version that is left was ended.
            Phase::MovingBack {
                by, losses, way, ..
            } if *way == Way::Return && Some(hand.runs) == target
                || *way == Way::Revert && hand.runs == running =>
            {
                let is_mover = by.take_if(|mover| *mover == slot).is_some();
                *losses += 1;
                if *losses >= MOST_LOSSES_ON_THE_WAY_BACK {
                    let others = MOST_LOSSES_ON_THE_WAY_BACK - 1;
                    let why = format!("{slot} died in it, as {others} before: {how}");
                    return self.end_moves_back(Some(why), out);
                }
                if !is_mover {
                    return;
                }
            }
            Phase::GatheringBack { reason, losses } => {
                *losses += 1;
                let nobody_is_up = !self.hands.values().any(|hand| hand.ready);
                let cannot_start = !hand.ready && *losses >= MOST_LOSSES && nobody_is_up;
                if cannot_start {
                    let reason = format!("{reason}; the new version cannot start: {how}");
                    self.move_back_from_the_start(reason, out);
                } else if *losses >= MOST_LOSSES_ON_THE_WAY_BACK {
                    let reason = format!(
                        "{reason}; workers of the new version do not come to the barrier: {how}"
                    );
                    self.move_back_from_the_start(reason, out);
                }
                return;
            }
            _ => return,
        }
        out.push(Effect::Progress(format!(
            "{slot} died while items moved between guards: another worker goes on"
        )));
        self.arm(TimerKind::Answer, out);
    }

    /// Nobody can start in the version that items have moved to, or come to a barrier in it. The version
    /// before does, as where all have died in the moves: it comes to a barrier, without what has moved.
    fn move_back_from_the_start(&mut self, reason: String, out: &mut Vec<Effect>) {
        let left: Vec<WorkerSlot> = self.hands.keys().copied().collect();
        self.begin_moves_back(reason, Way::Revert, out);
        for slot in left {
            let why = "it runs a version that is left".to_owned();
            out.push(Effect::Kill(slot, why));
        }
    }

    /// Whoever moves them takes too long: it is ended, and what it has done is taken back.
    pub(super) fn moves_are_late(&mut self, out: &mut Vec<Effect>) {
        let by = match &mut self.phase {
            Phase::Moving { by, losses } => {
                *losses = MOST_LOSSES - 1;
                *by
            }
            Phase::MovingBack { by, .. } => *by,
            _ => None,
        };
        match by {
            Some(slot) => {
                let why = "it did not move items between guards in time".to_owned();
                out.push(Effect::Kill(slot, why));
                self.arm(TimerKind::Answer, out);
            }
            // Not all are at the barrier again.
            None => {
                let late = self.waiting_for().into_iter();
                let late: Vec<WorkerSlot> = late.map(|(slot, _)| slot).collect();
                self.kill_late(&late, out);
            }
        }
    }

    /// Workers that have crossed come to a barrier, so that items can move back. Who is on its way is
    /// called when it has arrived.
    pub(super) fn gather_back(&mut self, reason: String, out: &mut Vec<Effect>) {
        self.turn_to(Phase::GatheringBack { reason, losses: 0 }, out);
        let slots: Vec<WorkerSlot> = self.hands.keys().copied().collect();
        for slot in slots {
            self.call_back(slot, out);
        }
        self.arm(TimerKind::Answer, out);
    }

    /// Tells one worker to come to the barrier of the way back, if it is where that begins.
    pub(super) fn call_back(&mut self, slot: WorkerSlot, out: &mut Vec<Effect>) {
        let target = self.target();
        let is_over = self
            .hands
            .get(&slot)
            .is_some_and(|hand| hand.ready && hand.asked.is_none() && Some(hand.runs) == target);
        if is_over {
            self.tell_to_cross(slot, self.running, true, out);
        }
    }
}
