//! What clients and signals ask for, and what they are told: from a request to events of the update's
//! life, and from its answers to verdicts and records.

use super::config::ListenAddress;
use super::control::ClientId;
use super::ports::{Advice, Candidate, Probing};
use super::protocol::{FailurePolicy, Mode, Reply, Request, UpdateRequest, Verdict};
use super::records::{CrossingRecord, Record, read_records, write_record};
use super::run::Supervisor;
use super::status;
use crate::ids::WorkerSlot;
use crate::update::{Answer, BuildIndex, Event, Manner, OnFailure, Plan, Stage, TimerKind};
use crate::worker::ToWorker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DEFAULT_TIMEOUT_S: f64 = 30.0;
const DEFAULT_PROBATION_S: f64 = 1.0;

/// An update that is under way, as far as people are concerned.
pub(super) struct Underway {
    asked: UpdateRequest,
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
    record: Record,
}

impl Supervisor {
    /// Takes one request in; it is answered now or when its time has come.
    pub(super) fn request(&mut self, client: ClientId, request: Request) {
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
                    _ => self
                        .control
                        .reply(client, &Reply::answer(Verdict::Accepted, "rolling back")),
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
        let result = self.plan_for(target);
        self.event(Event::Probed(result));
    }

    /// What the probe made of the library that an update goes to.
    pub(super) fn probed(&mut self, result: Result<Candidate, String>) {
        if let Some(underway) = &mut self.underway {
            underway.probe = None;
        }
        let result = result.and_then(|candidate| {
            let target = self.admit(&candidate)?;
            self.plan_for(target)
        });
        self.event(Event::Probed(result));
    }

    fn admit(&mut self, candidate: &Candidate) -> Result<BuildIndex, String> {
        let Some(underway) = &self.underway else {
            return Err("nobody wants it any more".to_owned());
        };
        let asked = underway.asked.clone();
        let running = self.builds.get(self.life.running());
        let arguments = asked
            .arguments
            .unwrap_or_else(|| running.build.arguments.clone());
        if running.build.digest == candidate.digest
            && running.build.arguments == arguments
            && asked.listen.is_none()
        {
            return Err(format!(
                "{} runs already, this very file",
                running.build.version
            ));
        }
        // Compared before anything is given out or opened: a refusal changes nothing.
        self.ports
            .libraries
            .compare(&running.manifest, &candidate.manifest)
            .map_err(|reasons| reasons.join("\n"))?;
        let listeners = match asked.listen {
            None => running.build.listeners.clone(),
            Some(texts) => {
                let wanted: Result<Vec<ListenAddress>, String> =
                    texts.iter().map(|text| text.parse()).collect();
                self.listeners.open(&wanted?)?
            }
        };
        let binding = self.ports.libraries.admit(&candidate.manifest)?;
        let running = self.life.running();
        let known = self.builds.get(running);
        if known.manifest.from == Some(candidate.manifest.version) {
            // The newer of the two lays out the transformers, and it was admitted when the older one
            // was not known yet: it is bound again.
            let again = self.ports.libraries.admit(&known.manifest)?;
            self.builds.bind_again(running, again);
        }
        Ok(self.builds.add(candidate, binding, arguments, listeners))
    }

    fn plan_for(&mut self, target: BuildIndex) -> Result<Plan, String> {
        let (running, new) = (
            self.builds.get(self.life.running()),
            self.builds.get(target),
        );
        let advice = self
            .ports
            .libraries
            .compare(&running.manifest, &new.manifest)
            .map_err(|reasons| reasons.join("\n"))?;
        let Some(underway) = &mut self.underway else {
            return Err("nobody wants it any more".to_owned());
        };
        underway.record.to_version = Some(new.build.version.0);
        underway.record.to_digest = Some(new.build.digest.clone());
        let (plan, strategy) = plan(&underway.asked, target, &advice, self.config.workers)?;
        underway.record.strategy.clone_from(&strategy);
        for note in advice.notes.iter().chain([&strategy]) {
            self.progress(note);
        }
        Ok(plan)
    }

    pub(super) fn duration(&self, kind: TimerKind) -> Duration {
        let asked = self.underway.as_ref().map(|underway| &underway.asked);
        let seconds = match kind {
            TimerKind::Answer => asked
                .and_then(|asked| asked.timeout)
                .unwrap_or(DEFAULT_TIMEOUT_S),
            TimerKind::Probation => asked
                .and_then(|asked| asked.probation)
                .unwrap_or(DEFAULT_PROBATION_S),
        };
        Duration::from_secs_f64(seconds)
    }

    pub(super) fn note_crossing(
        &mut self,
        slot: WorkerSlot,
        build: BuildIndex,
        update_point: String,
        pause_ns: u64,
    ) {
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
            self.previous = Some(underway.from);
        }
        if let Answer::Refused(why) | Answer::RolledBack(why) = &answer {
            underway.record.reason.clone_from(why);
        }
        underway.record.outcome = outcome.to_owned();
        tracing::info!("update {outcome}: {text}");
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
        self.underway = Some(underway);
        self.keep_record();
        self.underway = None;
        let kept = [Some(self.life.running()), self.previous];
        let kept: Vec<&[String]> = kept
            .into_iter()
            .flatten()
            .map(|index| &self.builds.get(index).build.listeners[..])
            .collect();
        self.listeners.keep(&kept);
    }

    fn answer_accepted(&mut self) {
        let Some(underway) = &mut self.underway else {
            return;
        };
        let text = format!(
            "v{} to v{}, {}: see dsu status",
            underway.record.from_version,
            underway.record.to_version.unwrap_or_default(),
            underway.record.strategy
        );
        tracing::info!("update accepted: {text}");
        if !underway.asked.wait
            && let Some(client) = underway.client.take()
        {
            self.control
                .reply(client, &Reply::answer(Verdict::Accepted, text));
        }
        self.keep_record();
    }

    fn keep_record(&mut self) {
        let Some(underway) = &mut self.underway else {
            return;
        };
        underway.record.took_ms = underway.began.elapsed().as_millis() as u64;
        if let Err(error) = write_record(&self.config.run_dir, &underway.record) {
            tracing::warn!("the update's record cannot be kept: {error}");
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
                    text: format!("{} findings\n{}", findings.len(), findings.join("\n")),
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

fn check_seconds(seconds: Option<f64>, flag: &str) -> Result<(), String> {
    match seconds {
        Some(s) if !(0.0..=86_400.0).contains(&s) => Err(format!(
            "{flag} {s} is no time: give seconds, at most a day"
        )),
        _ => Ok(()),
    }
}

/// The operator's wishes against what is possible; the plan, and the strategy with its reason.
fn plan(
    asked: &UpdateRequest,
    target: BuildIndex,
    advice: &Advice,
    workers: u32,
) -> Result<(Plan, String), String> {
    let (barrier, why) = match (asked.mode, &advice.barrier) {
        (Mode::Rolling, Some(why)) => {
            return Err(format!(
                "rolling is not possible ({why}): use --mode barrier or auto"
            ));
        }
        (Mode::Barrier, None) => (true, "as asked".to_owned()),
        (_, Some(why)) => (true, why.clone()),
        (Mode::Rolling, None) => (false, "as asked".to_owned()),
        (Mode::Auto, None) => (false, "every change goes both ways".to_owned()),
    };
    let manner = match (barrier, asked.canary) {
        (true, Some(1..)) => {
            return Err(format!(
                "no canary can cross alone, all workers cross together ({why}): leave --canary out"
            ));
        }
        (false, Some(canaries)) if canaries > workers => {
            return Err(format!(
                "{canaries} canaries are more than the {workers} workers: give a smaller --canary"
            ));
        }
        (true, _) => Manner::Barrier,
        (false, canary) => Manner::Rolling {
            canaries: canary.unwrap_or(u32::from(workers >= 2)),
        },
    };
    let on_failure = match asked.on_failure {
        FailurePolicy::Rollback => OnFailure::Rollback,
        FailurePolicy::Pause => OnFailure::Pause,
    };
    let name = if barrier { "barrier" } else { "rolling" };
    let plan = Plan {
        target,
        manner,
        on_failure,
        one_way: advice.one_way.clone(),
    };
    Ok((plan, format!("{name} ({why})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mode: Mode, canary: Option<u32>) -> UpdateRequest {
        UpdateRequest {
            mode,
            canary,
            ..UpdateRequest::default()
        }
    }

    fn one_way() -> Advice {
        let why = "the lens of TOTALS.stats goes forward only".to_owned();
        Advice {
            barrier: Some(why),
            one_way: Some("TOTALS.stats".to_owned()),
            notes: Vec::new(),
        }
    }

    // R14
    #[test]
    fn a_one_way_lens_takes_the_barrier_and_refuses_rolling_and_canaries() {
        let target = BuildIndex(1);
        let (auto, strategy) =
            plan(&asked(Mode::Auto, None), target, &one_way(), 4).expect("possible");
        assert_eq!(auto.manner, Manner::Barrier);
        assert_eq!(auto.one_way.as_deref(), Some("TOTALS.stats"));
        assert!(strategy.contains("forward only"), "{strategy}");
        let error = plan(&asked(Mode::Rolling, None), target, &one_way(), 4).expect_err("refused");
        assert!(error.contains("--mode barrier"), "{error}");
        let error = plan(&asked(Mode::Auto, Some(1)), target, &one_way(), 4).expect_err("refused");
        assert!(error.contains("--canary"), "{error}");
    }

    #[test]
    fn one_canary_goes_first_where_there_are_two_workers() {
        let manner = |canary, workers| {
            plan(
                &asked(Mode::Auto, canary),
                BuildIndex(1),
                &Advice::default(),
                workers,
            )
            .map(|(plan, _)| plan.manner)
        };
        assert_eq!(manner(None, 1), Ok(Manner::Rolling { canaries: 0 }));
        assert_eq!(manner(None, 2), Ok(Manner::Rolling { canaries: 1 }));
        assert_eq!(manner(Some(0), 2), Ok(Manner::Rolling { canaries: 0 }));
        assert!(manner(Some(3), 2).is_err());
    }

    #[test]
    fn times_are_bounded() {
        assert!(check_seconds(Some(f64::NAN), "--timeout").is_err());
        assert!(check_seconds(Some(-1.0), "--timeout").is_err());
        assert!(check_seconds(Some(1e300), "--timeout").is_err());
        assert!(check_seconds(Some(0.5), "--timeout").is_ok());
    }
}
