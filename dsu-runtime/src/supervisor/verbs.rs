//! What clients and signals ask for, and what they are told: from a request to events of the update's
//! life, and from its answers to verdicts and records.

use super::admission::lossy_text;
use super::control::ClientId;
use super::parked::ParkedType;
use super::plan::check_seconds;
use super::ports::Probing;
use super::protocol::{Reply, Request, UpdateRequest, Verdict};
use super::records::{CrossingRecord, Record, read_records, write_record};
use super::run::Supervisor;
use super::status;
use crate::ids::{SweepId, WorkerSlot};
use crate::update::{Answer, BuildIndex, Event, Stage, TimerKind};
use crate::worker::ToWorker;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DEFAULT_TIMEOUT_S: f64 = 30.0;
const DEFAULT_PROBATION_S: f64 = 1.0;
/// A canary that is in the middle of a command, or that a machine with too much to do keeps waiting, is
/// given so long to end it, whatever the probation.
const SHORTEST_LAST_ANSWER_S: f64 = 5.0;

/// An update that is under way, as far as people are concerned.
pub(super) struct Underway {
    pub(super) asked: UpdateRequest,
    /// Until it has answered.
    pub(super) probe: Option<Box<dyn Probing>>,
    /// Who asked, until they have their answer.
    client: Option<ClientId>,
    /// Who is told of progress.
    pub(super) watchers: Vec<ClientId>,
    /// Who asked for its rollback and waits for the end.
    rollback_clients: Vec<ClientId>,
    from: BuildIndex,
    began: Instant,
    pub(super) record: Record,
    /// The running build was given another binding: workers take it before they load the new one.
    pub(super) rebinds: bool,
    /// The filling that the update waits for, or waited for last, and when it began.
    pub(super) filling: Option<(SweepId, Instant)>,
    /// Which way the sweep goes, when it began, and what it had before it then.
    pub(super) sweep: Option<(Stage, Instant, u64)>,
}

impl Underway {
    /// Writes down how far it is.
    fn keep(&mut self, run_dir: &Path) {
        self.record.took_ms = self.began.elapsed().as_millis() as u64;
        if let Err(error) = write_record(run_dir, &self.record) {
            tracing::warn!("the update's record cannot be kept: {error}");
        }
    }
}

impl Supervisor {
    /// Takes one request in; it is answered now or when its time has come.
    pub(super) fn request(&mut self, client: ClientId, request: Request) {
        let changes = !matches!(request, Request::Status { .. } | Request::Blocking);
        if changes && self.draining.is_some() {
            return self.refuse(Some(client), "the server was told to end");
        }
        match request {
            Request::Update(asked) => self.update(Some(client), asked),
            Request::Rollback { wait } => self.rollback(client, wait),
            Request::Pause => self.simple(client, Event::Pause, "paused"),
            Request::Resume => self.simple(client, Event::Resume, "resumed"),
            Request::Status { check: false } => {
                let (text, data) = status::status(self);
                self.control.reply(client, &Reply::data(text, data));
            }
            Request::Status { check: true } => self.check(client),
            Request::Blocking => {
                let (text, data) = status::blocking(self);
                self.control.reply(client, &Reply::data(text, data));
            }
        }
    }

    /// SIGUSR2: what the path given to `dsu run` holds now.
    pub(super) fn update_by_signal(&mut self) {
        if self.draining.is_some() {
            return self.refuse(None, "the server was told to end");
        }
        let asked = UpdateRequest {
            path: self.config.application.clone(),
            ..UpdateRequest::default()
        };
        tracing::info!("update to {} by signal", asked.path.display());
        self.update(None, asked);
    }

    fn refuse(&mut self, client: Option<ClientId>, why: impl Into<String>) {
        let why = why.into();
        tracing::warn!("refused: {why}");
        if let Some(client) = client {
            self.control
                .reply(client, &Reply::answer(Verdict::Refused, why));
        }
    }

    /// Hands an event over that either is refused or has an effect at once.
    fn simple(&mut self, client: ClientId, event: Event, done: &str) {
        match self.try_event(event) {
            Ok(()) => self
                .control
                .reply(client, &Reply::answer(Verdict::Accepted, done)),
            Err(why) => self.refuse(Some(client), why),
        }
    }

    /// As `event`, but a refusal is the caller's to tell.
    fn try_event(&mut self, event: Event) -> Result<(), String> {
        use crate::update::Effect;
        let (_, effects) = self.life.clone().step(event.clone());
        match effects.into_iter().find_map(|effect| match effect {
            Effect::Refuse(why) => Some(why),
            _ => None,
        }) {
            Some(why) => Err(why),
            None => {
                self.event(event);
                Ok(())
            }
        }
    }

    fn begin(&mut self, client: Option<ClientId>, asked: UpdateRequest) -> Result<(), String> {
        check_seconds(asked.timeout, "--timeout")?;
        check_seconds(asked.probation, "--probation")?;
        self.try_event(Event::Begin)?;
        let from = self.life.running();
        let known = &self.builds.get(from).build;
        let last = read_records(&self.config.run_dir)
            .last()
            .map_or(0, |record| record.number);
        let record = Record {
            number: last + 1,
            began_unix_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_millis() as u64),
            path: asked.path.clone(),
            from_version: known.version.0,
            from_digest: known.digest.clone(),
            outcome: "under way".to_owned(),
            ..Record::default()
        };
        let watchers = client.filter(|_| asked.wait).into_iter().collect();
        self.underway = Some(Underway {
            asked,
            probe: None,
            client,
            watchers,
            rollback_clients: Vec::new(),
            from,
            began: Instant::now(),
            record,
            rebinds: false,
            filling: None,
            sweep: None,
        });
        self.keep_record();
        Ok(())
    }

    fn update(&mut self, client: Option<ClientId>, asked: UpdateRequest) {
        let path = asked.path.clone();
        if let Err(why) = self.begin(client, asked) {
            return self.refuse(client, why);
        }
        match self.ports.libraries.probe(&path) {
            Ok(probe) => {
                if let Some(underway) = &mut self.underway {
                    underway.probe = Some(probe);
                }
                self.progress("looking at the library");
            }
            Err(why) => self.event(Event::Probed(Err(why))),
        }
    }

    fn rollback(&mut self, client: ClientId, wait: bool) {
        if self.life.stage() != Stage::Idle {
            return match self.try_event(Event::Rollback("by the operator".to_owned())) {
                Err(why) => self.refuse(Some(client), why),
                Ok(()) => match &mut self.underway {
                    Some(underway) if wait => {
                        underway.rollback_clients.push(client);
                        underway.watchers.push(client);
                    }
                    Some(underway) => {
                        let text = format!(
                            "rolling back to v{}: see dsu status",
                            underway.record.from_version
                        );
                        self.control
                            .reply(client, &Reply::answer(Verdict::Accepted, text));
                    }
                    // It ended at once: it had not changed anything yet, or stopped at the barrier.
                    None => {
                        let version = self.builds.get(self.life.running()).build.version;
                        let text = format!("called off before any worker crossed: {version} runs");
                        self.control
                            .reply(client, &Reply::answer(Verdict::Accepted, text));
                    }
                },
            };
        }
        let Some(target) = self.previous else {
            return self.refuse(
                Some(client),
                "no update has been committed: there is nothing to go back to",
            );
        };
        let known = self.builds.get(target);
        let asked = UpdateRequest {
            path: known.build.path.clone(),
            wait,
            ..UpdateRequest::default()
        };
        if let Err(why) = self.begin(Some(client), asked) {
            return self.refuse(Some(client), why);
        }
        let keys = &self.builds.get(target).build.listeners;
        let opened = self.listeners.reopen(keys);
        let result = opened.and_then(|()| self.plan_for(target));
        self.event(Event::Probed(result));
    }

    pub(super) fn duration(&self, kind: TimerKind) -> Duration {
        let asked = self.underway.as_ref().map(|underway| &underway.asked);
        duration(
            kind,
            asked.and_then(|asked| asked.timeout),
            asked.and_then(|asked| asked.probation),
        )
    }

    pub(super) fn note_crossing(
        &mut self,
        slot: WorkerSlot,
        build: BuildIndex,
        update_point: String,
        pause_ns: u64,
    ) {
        self.ran.insert(build);
        let to = self.builds.get(build).build.version;
        self.progress(&format!(
            "{slot} crossed to {to} at {update_point:?} in {} µs",
            pause_ns / 1000
        ));
        if let Some(underway) = &mut self.underway {
            underway.record.crossings.push(CrossingRecord {
                worker: slot.0,
                to: to.0,
                update_point,
                pause_ns,
                after_ms: underway.began.elapsed().as_millis() as u64,
            });
        }
    }

    /// A refusal that `try_event` has not told.
    pub(super) fn refuse_request(&mut self, why: String) {
        tracing::warn!("refused: {why}");
    }

    /// The life of the update says how it stands.
    pub(super) fn answer(&mut self, answer: Answer) {
        if answer == Answer::Accepted {
            return self.answer_accepted();
        }
        self.timer = None;
        let Some(mut underway) = self.underway.take() else {
            return;
        };
        let version = self.builds.get(self.life.running()).build.version;
        let (outcome, verdict, text) = match &answer {
            Answer::Refused(why) => ("refused", Verdict::Refused, why.clone()),
            Answer::RolledBack(why) => (
                "rolled-back",
                Verdict::RolledBack,
                format!("to {version}: {why}"),
            ),
            _ => (
                "committed",
                Verdict::Accepted,
                format!("{version} committed"),
            ),
        };
        if answer == Answer::Committed {
            self.note_stop(Stage::Idle);
            self.previous = Some(underway.from);
        }
        if let Answer::Refused(why) | Answer::RolledBack(why) = &answer {
            underway.record.reason.clone_from(why);
        }
        underway.record.parked = self.parked();
        let text = match underway.record.parked.is_empty() || verdict == Verdict::Refused {
            true => text,
            false => format!(
                "{text}; parked: {}",
                ParkedType::list(&underway.record.parked)
            ),
        };
        let text = match verdict {
            Verdict::Accepted => text + &and_lossy(&underway.record.lossy),
            Verdict::Refused | Verdict::RolledBack => text,
        };
        underway.record.outcome = outcome.to_owned();
        tracing::info!("update {outcome}: {text}");
        underway.keep(&self.config.run_dir);
        let data = serde_json::to_value(&underway.record).unwrap_or_default();
        if let Some(client) = underway.client {
            let reply = Reply::Answer {
                verdict,
                text: text.clone(),
                data: data.clone(),
            };
            self.control.reply(client, &reply);
        }
        // Who asked for the rollback has what they wanted.
        for client in std::mem::take(&mut underway.rollback_clients) {
            let done = format!("{outcome}: {text}");
            self.control.reply(client, &Reply::data(done, data.clone()));
        }
        let running = self.builds.get(self.life.running());
        let now = Instant::now();
        let by = now + self.config.drain;
        self.listeners.keep(&running.build.listeners, now, by);
    }

    fn answer_accepted(&mut self) {
        let Some(underway) = &mut self.underway else {
            return;
        };
        let lossy = &underway.record.lossy;
        let text = format!(
            "v{} to v{}, {}: see dsu status{}",
            underway.record.from_version,
            underway.record.to_version.unwrap_or_default(),
            underway.record.strategy,
            and_lossy(lossy)
        );
        tracing::info!("update accepted: {text}");
        let data = serde_json::json!({ "lossy": lossy });
        if !underway.asked.wait
            && let Some(client) = underway.client.take()
        {
            self.control.reply(client, &Reply::data(text, data));
        }
        self.keep_record();
    }

    fn keep_record(&mut self) {
        if let Some(underway) = &mut self.underway {
            underway.keep(&self.config.run_dir);
        }
    }

    fn check(&mut self, client: ClientId) {
        let ready = |slot: &WorkerSlot| {
            self.fleet
                .process(*slot)
                .is_some_and(|process| process.ready)
        };
        match self.fleet.slots().find(ready) {
            None => self.refuse(
                Some(client),
                "no worker is ready to walk the heap: try again in a moment",
            ),
            Some(slot) => {
                self.checks.push((client, slot));
                self.fleet
                    .send(slot, &ToWorker::Check, &[], &*self.ports.memory);
            }
        }
    }

    pub(super) fn checked(&mut self, slot: WorkerSlot, walked: u64, findings: &[String]) {
        let waiting: Vec<ClientId> = self
            .checks
            .extract_if(.., |check| check.1 == slot)
            .map(|check| check.0)
            .collect();
        for client in waiting {
            let (text, mut data) = status::status(self);
            data["check"] = serde_json::json!({ "walked": walked, "findings": findings });
            let reply = match findings {
                [] => Reply::data(
                    format!("{text}\ncheck: {walked} blocks and boxes, nothing wrong"),
                    data,
                ),
                _ => Reply::Answer {
                    verdict: Verdict::Refused,
                    text: format!("the heap check says:\n{}", findings.join("\n")),
                    data,
                },
            };
            self.control.reply(client, &reply);
        }
    }

    pub(super) fn check_failed(&mut self, slot: WorkerSlot) {
        let waiting: Vec<ClientId> = self
            .checks
            .extract_if(.., |check| check.1 == slot)
            .map(|check| check.0)
            .collect();
        for client in waiting {
            self.refuse(
                Some(client),
                format!("{slot} died while it walked the heap: see its log"),
            );
        }
    }
}

/// The end of an answer, where an update loses something.
fn and_lossy(lossy: &[String]) -> String {
    match lossy.is_empty() {
        true => String::new(),
        false => format!("; {}", lossy_text(lossy)),
    }
}

/// How long a timer runs, with what the operator asked for in seconds.
fn duration(kind: TimerKind, timeout: Option<f64>, probation: Option<f64>) -> Duration {
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT_S);
    let probation = probation.unwrap_or(DEFAULT_PROBATION_S);
    Duration::from_secs_f64(match kind {
        TimerKind::Answer => timeout,
        TimerKind::Probation => probation,
        TimerKind::LastAnswer => probation.max(SHORTEST_LAST_ANSWER_S).min(timeout),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // R28
    #[test]
    fn a_canary_that_hangs_is_found_out_long_before_the_timeout() {
        let last = |timeout, probation| {
            let time = duration(TimerKind::LastAnswer, timeout, probation);
            time.as_secs_f64()
        };
        assert_eq!(last(None, None), 5.0);
        assert_eq!(last(None, Some(0.0)), 5.0);
        assert_eq!(last(None, Some(7.0)), 7.0);
        assert_eq!(last(None, Some(3600.0)), DEFAULT_TIMEOUT_S);
        assert_eq!(last(Some(0.2), Some(5.0)), 0.2);
    }
}
