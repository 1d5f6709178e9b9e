//! What workers say, and that they have died: turned into events of the update's life.
//!
//! A worker is not trusted: what it claims to run is held against what it was told to run.

use super::builds::Builds;
use super::run::Supervisor;
use crate::abi::ReportKind;
use crate::ids::WorkerSlot;
use crate::update::{Event, FillState};
use crate::worker::FromWorker;
use std::collections::BTreeSet;
use std::time::Instant;

impl Supervisor {
    pub(super) fn hear(&mut self, slot: WorkerSlot) {
        for message in self.fleet.receive(slot) {
            self.fleet.heard(slot, None);
            self.understand(slot, message);
        }
    }

    fn understand(&mut self, slot: WorkerSlot, message: FromWorker) {
        let among = [Some(self.life.running()), self.life.target()];
        let index = |builds: &Builds, digest: &str| builds.by_digest(digest, among);
        match message {
            FromWorker::Ready { build_id } => {
                let runs = self.life.runs(slot);
                if runs.is_some_and(|runs| self.builds.get(runs).build.build_id != build_id) {
                    return self
                        .fleet
                        .kill(slot, "it runs other code than it was told to");
                }
                self.has_served = true;
                self.fleet.set_ready(slot);
                tracing::info!("{slot} is ready");
                self.event(Event::Ready(slot));
            }
            FromWorker::Loaded { digest, error } => {
                self.note_loaded(slot, &digest, error.as_ref());
                // One that runs was bound anew, for the sake of the one that is to follow.
                let build = index(&self.builds, &digest).map(|build| match &error {
                    Some(_) => self.life.target().unwrap_or(build),
                    None => build,
                });
                if let Some(build) = build {
                    self.event(Event::Loaded(slot, build, error.map_or(Ok(()), Err)));
                }
            }
            FromWorker::Crossed {
                digest,
                build_id,
                update_point,
                pause_ns,
            } => {
                let Some(build) = index(&self.builds, &digest) else {
                    return;
                };
                if self.builds.get(build).build.build_id != build_id {
                    return self
                        .fleet
                        .kill(slot, "it crossed to other code than it was told to");
                }
                self.fleet.heard(slot, Some(&update_point));
                if self.life.runs(slot) != Some(build) {
                    self.note_crossing(slot, build, update_point, pause_ns);
                }
                self.event(Event::Crossed(slot, build));
            }
            FromWorker::CrossingFailed { digest, reason } => {
                if let Some(build) = index(&self.builds, &digest) {
                    self.event(Event::CrossingFailed(slot, build, reason));
                }
            }
            FromWorker::AtBarrier {
                update_point,
                crosses,
            } => {
                self.fleet.heard(slot, Some(&update_point));
                self.event(Event::AtBarrier(slot, crosses));
            }
            FromWorker::Moved { error } => {
                self.event(Event::Moved(slot, error.map_or(Ok(()), Err)));
            }
            FromWorker::Swept {
                is_whole,
                converted,
                parked,
                failed,
                poisoned,
            } => {
                tracing::debug!(
                    "{slot} swept: {converted} converted, {parked} parked, {failed} failed"
                );
                // The counts tell it too, and save the pass that would only look. A worker that died in
                // the middle of a conversion may have left them a little wrong.
                let is_counted = self.last_death.is_empty() && self.left_to_sweep() == 0;
                let is_last = is_whole && converted == 0 || is_counted;
                // One that was poisoned behind the sweep holds the commit up as well (R30).
                let mut poisoned: BTreeSet<String> = poisoned.into_iter().collect();
                if is_last {
                    poisoned.extend(self.poisoned_guards());
                }
                self.event(Event::Swept {
                    slot,
                    is_last,
                    failed,
                    is_full: failed > 0 && self.ports.memory.heap().is_full(),
                    poisoned: poisoned.into_iter().collect(),
                });
            }
            FromWorker::Filling {
                fill,
                is_whole,
                failure,
            } => {
                let state = match failure {
                    Some(why) => FillState::Failed(why),
                    None if is_whole => FillState::Whole,
                    None => FillState::Moving,
                };
                self.event(Event::Filling { slot, fill, state });
            }
            FromWorker::Checked { walked, findings } => self.checked(slot, walked, &findings),
            FromWorker::Pong { update_point } => {
                self.fleet.heard(slot, Some(&update_point));
                self.event(Event::Pong(slot));
            }
            FromWorker::Report { kind, text } => self.report(slot, kind, text),
            FromWorker::Exiting { reason } => {
                tracing::info!("{slot} exits: {reason}");
                self.fleet.says_why(slot, reason);
            }
        }
    }

    fn report(&mut self, slot: WorkerSlot, kind: u32, text: String) {
        if kind == ReportKind::TransformFailed as u32 {
            let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let part = |name: &str| report[name].as_str().unwrap_or("?").to_owned();
            let direction = part("direction");
            let text = format!("{}, {direction}: {}", part("what"), part("reason"));
            tracing::error!("{slot}: a transformation failed: {text}");
            if self.is_towards_target(&direction) {
                self.event(Event::TransformFailed(slot, text));
            }
        } else if kind == ReportKind::LockOrder as u32 {
            tracing::error!("{slot}: lock orders disagree: {text}");
            let what = self.explain_disagreement(&text);
            self.event(Event::OrdersDisagree(slot, what));
        } else if kind == ReportKind::Panic as u32 {
            tracing::error!("{slot} panicked: {text}");
        } else {
            tracing::info!("{slot}: {text}");
        }
    }

    /// R28: only a failure on the way to the new version counts against the update.
    fn is_towards_target(&self, direction: &str) -> bool {
        let Some(target) = self.life.target() else {
            return false;
        };
        let version = |index| self.builds.get(index).build.version;
        let way = if version(target) >= version(self.life.running()) {
            "forward"
        } else {
            "backward"
        };
        direction == way
    }

    pub(super) fn mourn(&mut self, slot: WorkerSlot) {
        let Some(how) = self.fleet.ended(slot) else {
            return;
        };
        let ran = self.life.runs(slot).unwrap_or(self.life.running());
        let pause = self
            .fleet
            .bury(slot, ran, &*self.ports.memory, Instant::now());
        if self.draining.is_none() {
            tracing::warn!("{slot} {how}; it is replaced in {} ms", pause.as_millis());
        }
        self.last_death.clone_from(&how);
        self.check_failed(slot);
        self.event(Event::Died(slot, how));
    }
}
