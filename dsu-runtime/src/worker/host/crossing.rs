//! From one version to the next: runs them in turn, and keeps the old carry until the new code has
//! shown itself at an update point (R24).

use super::{Arrival, Host, TO_CLOSE, Turn, close, say, watch, with_host};
use crate::abi::{RunOutcome, WorkerContext, WorkerRecord};
use crate::heap::objects;
use crate::sys::time::Nanos;
use crate::worker::carry::{self, Parcel};
use crate::worker::cx::Surroundings;
use crate::worker::messages::FromWorker;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Runs versions from `digest` on, until the worker is to end: `Ok` with the reason when it was told to,
/// `Err` when it failed.
pub(in crate::worker) fn run(digest: String) -> Result<String, String> {
    let mut next = (digest, None::<Vec<u8>>);
    loop {
        let (digest, parcel) = next;
        let (library, surroundings) = with_host(|host| {
            let resumed_from = parcel
                .as_deref()
                .and_then(|parcel| Parcel::decode(parcel).ok())
                .map(|parcel| parcel.update_point);
            let context = WorkerContext::current();
            host.running.clone_from(&digest);
            host.arrival.get_or_insert(Arrival::Started);
            let version = host.builds[&digest].build.version;
            context.record().version.store(version.0, Ordering::Release);
            context.unconfirmed.set(1);
            context
                .record()
                .due
                .fetch_or(WorkerRecord::DUE_CONFIRM, Ordering::AcqRel);
            (
                host.builds[&digest].library(),
                host.surroundings(&digest, resumed_from),
            )
        });
        // What the run before leaked, and what the dead left, is released before the next begins.
        objects::end_run();
        let (outcome, answer) = library.run(&surroundings, parcel.as_deref());
        next = match with_host(|host| host.after_run(&digest, outcome, answer)) {
            Next::Run(digest, parcel) => (digest, parcel),
            Next::Drained(reason) => return Ok(reason),
            Next::Failed(reason) => return Err(reason),
        };
    }
}

/// What comes after a run.
enum Next {
    /// This build, from this carry.
    Run(String, Option<Vec<u8>>),
    /// The end that was asked for.
    Drained(String),
    /// The end of a worker that cannot go on.
    Failed(String),
}

impl Host {
    fn after_run(&mut self, digest: &str, outcome: RunOutcome, answer: Vec<u8>) -> Next {
        if outcome == RunOutcome::Crossed {
            return match self.turn.take() {
                Some(Turn::To(target)) => self.hand_over(digest, target, answer),
                Some(Turn::Exit(reason)) => Next::Drained(reason),
                None => Next::Failed(
                    "the worker function returned a crossing that nobody asked for".to_owned(),
                ),
            };
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        let reason = match outcome {
            RunOutcome::Panicked => format!("panicked: {text}"),
            _ => text,
        };
        match self.arrival.take() {
            Some(Arrival::Crossed { origin, parcel, .. }) => {
                say(&FromWorker::CrossingFailed {
                    digest: digest.to_owned(),
                    reason,
                });
                self.go_back(&origin, parcel)
            }
            _ => Next::Failed(reason),
        }
    }

    /// The old version left with `parcel`; readies it for `target`, or goes back at once.
    fn hand_over(&mut self, origin: &str, target: String, parcel: Vec<u8>) -> Next {
        let left_at = Nanos::now();
        let context = WorkerContext::current();
        context.unconfirmed.set(1);
        let converted = self.convert(origin, &target, &parcel);
        let update_point = Parcel::decode(&parcel)
            .map(|p| p.update_point)
            .unwrap_or_default();
        match converted {
            Ok(converted) => {
                let origin = origin.to_owned();
                self.arrival = Some(Arrival::Crossed {
                    origin,
                    parcel,
                    left_at,
                    update_point,
                });
                Next::Run(target, Some(converted))
            }
            Err(reason) => {
                say(&FromWorker::CrossingFailed {
                    digest: target,
                    reason,
                });
                self.go_back(origin, parcel)
            }
        }
    }

    /// The carry in the form that `target` takes.
    fn convert(&self, origin: &str, target: &str, parcel: &[u8]) -> Result<Vec<u8>, String> {
        let (origin, target) = (&self.builds[origin], &self.builds[target]);
        let wanted = &target.build.carry_digest;
        if Parcel::decode(parcel)?.digest == *wanted {
            return Ok(parcel.to_owned());
        }
        // The newer of the two has the lens.
        let newer = if origin.build.version > target.build.version {
            origin
        } else {
            target
        };
        newer.convert_carry(parcel, wanted)
    }

    /// The new code failed before it was confirmed: the old version goes on.
    fn go_back(&mut self, origin: &str, parcel: Vec<u8>) -> Next {
        let kept: HashSet<i32> = Parcel::decode(&parcel)
            .map(|parcel| parcel.fds.into_iter().collect())
            .unwrap_or_default();
        watch::undo();
        for fd in TO_CLOSE.take() {
            if !kept.contains(&fd) {
                close(fd);
            }
        }
        self.arrival = Some(Arrival::Resumed);
        Next::Run(origin.to_owned(), Some(parcel))
    }

    /// The new code is at its first update point: it has taken over.
    pub(super) fn confirm(&mut self, update_point: &str) {
        let context = WorkerContext::current();
        carry::confirm(context);
        watch::keep();
        for fd in TO_CLOSE.take() {
            close(fd);
        }
        let build_id = self.builds[&self.running].build_id.clone();
        match self.arrival.take() {
            Some(Arrival::Started) => {
                tracing::debug!(update_point, "ready");
                say(&FromWorker::Ready { build_id });
            }
            Some(Arrival::Crossed {
                left_at,
                update_point,
                ..
            }) => say(&FromWorker::Crossed {
                digest: self.running.clone(),
                build_id,
                update_point,
                pause_ns: Nanos::now().since(left_at).as_nanos() as u64,
            }),
            Some(Arrival::Resumed) | None => {}
        }
    }

    fn surroundings(&self, digest: &str, resumed_from: Option<String>) -> Surroundings {
        let build = &self.builds[digest].build;
        Surroundings {
            arguments: build.arguments.clone(),
            listeners: self.listeners.named(&build.listeners),
            resumed_from,
        }
    }
}
