//! From a library that passed its probe to a plan: compared, bound, given arguments and listeners.
//!
//! Everything that can be refused is refused before anything is given out or opened.

use super::builds::KnownBuild;
use super::config::{ListenAddress, check_names};
use super::plan::plan;
use super::ports::{Advice, Candidate};
use super::run::Supervisor;
use crate::update::{BuildIndex, Event, Plan};
use crate::version::Manifest;

impl Supervisor {
    /// What the probe made of the library that an update goes to.
    pub(super) fn probed(&mut self, result: Result<Candidate, String>) {
        if let Some(underway) = &mut self.underway {
            underway.probe = None;
        }
        let result = result.and_then(|candidate| {
            let target = self.admit(candidate)?;
            self.plan_for(target)
        });
        self.event(Event::Probed(result));
    }

    fn admit(&mut self, candidate: Candidate) -> Result<BuildIndex, String> {
        let asked = match &self.underway {
            Some(underway) => underway.asked.clone(),
            None => return Err("nobody wants it any more".to_owned()),
        };
        let running = self.builds.get(self.life.running());
        let (arguments, listeners) = (
            running.build.arguments.clone(),
            running.build.listeners.clone(),
        );
        let wanted: Option<Vec<ListenAddress>> = match &asked.listen {
            None => None,
            Some(texts) => Some(
                texts
                    .iter()
                    .map(|text| text.parse())
                    .collect::<Result<_, _>>()?,
            ),
        };
        check_names(wanted.as_deref().unwrap_or_default())?;
        let keys = wanted.as_ref().map_or(listeners, |wanted| {
            wanted.iter().map(ListenAddress::to_string).collect()
        });
        let arguments = asked.arguments.unwrap_or(arguments);
        if running.file == candidate.digest
            && running.build.arguments == arguments
            && running.build.listeners == keys
        {
            return Err(format!(
                "{} runs already, this very file with these arguments and listeners: build another version, or give others after --",
                running.build.version
            ));
        }
        self.compare(running, &candidate.digest, &candidate.manifest)?;
        candidate
            .statics
            .judge()
            .map_err(|refusal| refusal.to_string())?;
        if let Some(wanted) = &wanted {
            self.listeners.open(wanted)?;
        }
        let path = match self.builds.is_taken(&candidate.digest, &arguments, &keys) {
            false => candidate.copy.clone(),
            true => self
                .ports
                .libraries
                .twin(&candidate.copy, self.builds.count())?,
        };
        let running = Some(running.build.version);
        let binding = self.ports.libraries.admit(&candidate.manifest, running)?;
        Ok(self.builds.add(candidate, path, binding, arguments, keys))
    }

    fn compare(&self, running: &KnownBuild, file: &str, new: &Manifest) -> Result<Advice, String> {
        // The same code with other arguments: nothing is transformed (R33).
        if running.file == file {
            return Ok(Advice::default());
        }
        self.ports
            .libraries
            .compare(&running.manifest, new)
            .map_err(|reasons| reasons.join("\n"))
    }

    /// The plan for an update to a build that is known.
    pub(super) fn plan_for(&mut self, target: BuildIndex) -> Result<Plan, String> {
        self.bind_both(target)?;
        let (running, new) = (
            self.builds.get(self.life.running()),
            self.builds.get(target),
        );
        let mut advice = self.compare(running, &new.file, &new.manifest)?;
        if let Some(conflict) = self.order_conflict(running, new) {
            let reasons = advice.barrier.into_iter().chain([conflict]);
            advice.barrier = Some(reasons.collect::<Vec<_>>().join("; "));
        }
        advice.notes.extend(self.order_blind_spot(target));
        let discards = self
            .underway
            .as_ref()
            .is_some_and(|u| u.asked.discard_parked);
        advice.notes.extend(self.judge_parked(target, discards)?);
        self.judge_code(target)?;
        let lossy = self.losses_to(target);
        let Some(underway) = &mut self.underway else {
            return Err("nobody wants it any more".to_owned());
        };
        underway.record.to_version = Some(new.build.version.0);
        underway.record.to_digest = Some(new.file.clone());
        let (forgets, version) = (new.build.binding.forgets.clone(), new.build.version);
        let (plan, strategy) = plan(&underway.asked, target, &advice, self.config.workers)?;
        underway.record.strategy.clone_from(&strategy);
        underway.record.lossy.clone_from(&lossy);
        underway.record.lossy.extend(forgets.iter().cloned());
        underway.record.filled.clone_from(&advice.filled);
        for note in advice.notes.iter().chain([&strategy]) {
            self.progress(note);
        }
        if !lossy.is_empty() {
            self.progress(&lossy_text(&lossy));
        }
        if !forgets.is_empty() {
            self.progress(&format!(
                "lossy: {}: what another build of {version} has kept of it is not read by this one's lens, which keeps something else",
                forgets.join(", ")
            ));
        }
        let poisoned = self.poisoned_guards();
        if !poisoned.is_empty() {
            self.progress(&format!(
                "{} poisoned: workers will cross, but the update cannot be committed",
                poisoned.join(", ")
            ));
        }
        Ok(plan)
    }

    /// Both sides of an update know each other. The registry has met the one that runs, so the target
    /// comes first: whichever is newer, and has the lenses, is bound when the older one is known.
    fn bind_both(&mut self, target: BuildIndex) -> Result<(), String> {
        let running = self.life.running();
        let stays = self.builds.get(running).build.version;
        for index in [target, running] {
            let manifest = self.builds.get(index).manifest.clone();
            let binding = self.ports.libraries.admit(&manifest, Some(stays))?;
            let is_new = self.builds.rebind(index, binding);
            if let Some(underway) = self.underway.as_mut().filter(|_| index == running) {
                underway.rebinds |= is_new;
            }
        }
        Ok(())
    }
}

/// What is said of parts that take defaults.
pub(super) fn lossy_text(lossy: &[String]) -> String {
    format!("lossy: {}", lossy.join(", "))
}
