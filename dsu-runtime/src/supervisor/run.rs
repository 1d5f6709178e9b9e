//! The loop: what wakes the supervisor, and how what happens reaches the life of an update and back.

use super::builds::Builds;
use super::config::Config;
use super::control::{ClientId, Control};
use super::drain::Draining;
use super::fleet::Fleet;
use super::listeners::Listeners;
use super::patience::Patience;
use super::ports::{Candidate, Ports, Probing};
use super::protocol::Reply;
use super::verbs::Underway;
use crate::ids::WorkerSlot;
use crate::update::{Announced, BuildIndex, Effect, Event, Life, Order, TimerId};
use crate::worker::{Build, ToWorker};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Descriptors below which a busy server will run out.
const DESCRIPTORS_WANTED: u64 = 16_384;
/// Early deaths in one slot after which a version that never ran is given up.
const START_ATTEMPTS: u32 = 5;
/// How often is looked whether dead workers may be replaced again.
const HELD: Duration = Duration::from_millis(20);
/// A moment far enough away to be never.
const NEVER: Duration = Duration::from_secs(3600);

/// A running supervisor.
pub(super) struct Supervisor {
    pub(super) config: Config,
    pub(super) ports: Ports,
    pub(super) builds: Builds,
    pub(super) listeners: Listeners,
    pub(super) fleet: Fleet,
    pub(super) control: Control,
    pub(super) life: Life,
    /// What workers may run, as it was last said.
    pub(super) announced: Announced,
    /// Builds that some worker ran.
    pub(super) ran: BTreeSet<BuildIndex>,
    /// Who could not load what, and why.
    pub(super) lacking: BTreeMap<(WorkerSlot, BuildIndex), String>,
    /// Builds to whose forms values were brought, the last one last (R10).
    pub(super) stops: Vec<BuildIndex>,
    /// What the last committed update came from.
    pub(super) previous: Option<BuildIndex>,
    pub(super) underway: Option<Underway>,
    pub(super) timer: Option<(TimerId, Instant)>,
    /// Who has had a transformer in hand for how long.
    pub(super) patience: Patience,
    /// Clients that wait for a worker's walk over everything.
    pub(super) checks: Vec<(ClientId, WorkerSlot)>,
    pub(super) began: Instant,
    pub(super) draining: Option<Draining>,
    pub(super) has_served: bool,
    pub(super) last_death: String,
}

enum Wake {
    Signal,
    Connect,
    Client(ClientId),
    Probe,
    Channel(WorkerSlot),
    Process(WorkerSlot),
}

/// Runs a server until it is told to end.
///
/// Blocks for the life of the server. Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR2 in the calling thread.
///
/// # Errors
/// One sentence, when the server cannot be started.
pub fn serve(config: Config, mut ports: Ports) -> Result<(), String> {
    config.check()?;
    let signals = watch_signals()?;
    raise_descriptor_limit();
    let control = Control::bind(&config.control)?;
    let mut listeners = Listeners::default();
    let keys = listeners.open(&config.listen)?;
    let candidate = probe_first(&config, &ports)?;
    let binding = ports.libraries.admit(&candidate.manifest, None)?;
    let mut builds = Builds::default();
    let (app, version) = (candidate.manifest.app.clone(), candidate.manifest.version);
    let copy = candidate.copy.clone();
    let first = builds.add(
        candidate,
        copy,
        binding,
        config.arguments.clone(),
        keys.clone(),
    );
    let now = Instant::now();
    for address in listeners.addresses(&keys) {
        println!("listening {address}");
    }
    println!(
        "serving {} {} with {} workers, pid {}, control {}",
        app,
        version,
        config.workers,
        std::process::id(),
        config.control.display()
    );
    let mut supervisor = Supervisor {
        fleet: Fleet::new(config.workers, config.worker.clone(), first, now),
        life: Life::new(first),
        announced: Announced::default(),
        ran: BTreeSet::from([first]),
        lacking: BTreeMap::new(),
        stops: vec![first],
        previous: None,
        underway: None,
        timer: None,
        patience: Patience::default(),
        checks: Vec::new(),
        began: now,
        draining: None,
        has_served: false,
        last_death: String::new(),
        config,
        ports,
        builds,
        listeners,
        control,
    };
    supervisor.run(&signals)
}

impl Supervisor {
    fn run(&mut self, signals: &SignalFd) -> Result<(), String> {
        loop {
            let now = Instant::now();
            self.housekeeping(now)?;
            if self.draining.is_some() && self.fleet.watched().next().is_none() {
                return Ok(());
            }
            for wake in self.wait(signals, now)? {
                self.handle(wake, signals);
            }
        }
    }

    /// Everything that time alone brings about.
    fn housekeeping(&mut self, now: Instant) -> Result<(), String> {
        match self.draining {
            None if self.life.holds_replacements() => {}
            None => self.fill_seats(now)?,
            Some(_) => self.hurry_drain(now),
        }
        self.close_listeners(now);
        self.fleet.ping(&*self.ports.memory, now);
        self.watch_transformers(now);
        self.control.tidy(now);
        self.poll_probe();
        if let Some((id, _)) = self.timer.take_if(|(_, at)| *at <= now) {
            self.event(Event::Elapsed(id));
        }
        Ok(())
    }

    fn fill_seats(&mut self, now: Instant) -> Result<(), String> {
        for (slot, ran) in self.fleet.vacant(now) {
            if !self.has_served && self.fleet.failures(slot) >= START_ATTEMPTS {
                self.fleet
                    .slots()
                    .for_each(|slot| self.fleet.kill(slot, "the server does not start"));
                return Err(format!(
                    "the application does not start: a worker {}",
                    self.last_death
                ));
            }
            let (build, others) = self.life.replacement(ran);
            let loaded: Vec<_> = others.iter().copied().chain([build]).collect();
            // In the order in which a worker that was always there has them: of two ways between the same
            // forms the one that was bound last is taken.
            let mut neighbours = self.needed_beside(&loaded);
            neighbours.extend(others);
            self.lacking.retain(|(lacks, _), _| *lacks != slot);
            match self.fleet.start(slot, ran, &*self.ports.memory, now) {
                Ok(pid) => tracing::debug!("{slot} started, pid {pid}"),
                Err(error) => {
                    tracing::error!("{slot} cannot be started: {error}");
                    self.last_death = format!("cannot be started: {error}");
                    continue;
                }
            }
            self.event(Event::Spawned {
                slot,
                build,
                neighbours: neighbours.clone(),
            });
            let known = self.for_worker(build);
            let others = neighbours.iter().map(|i| self.for_worker(*i));
            let others: Vec<_> = others.collect();
            let mut keys = known.listeners.clone();
            keys.extend(others.iter().flat_map(|build| build.listeners.clone()));
            let message = ToWorker::Start {
                build: Box::new(known),
                neighbours: others,
                drain_ms: self.config.drain.as_millis() as u64,
            };
            self.fleet.send(
                slot,
                &message,
                &self.listeners.descriptors(&keys),
                &*self.ports.memory,
            );
        }
        Ok(())
    }

    fn wait(&self, signals: &SignalFd, now: Instant) -> Result<Vec<Wake>, String> {
        let mut watched: Vec<(BorrowedFd<'_>, PollFlags, Wake)> = Vec::new();
        watched.push((signals.as_fd(), PollFlags::POLLIN, Wake::Signal));
        if let Some(listener) = self.control.listener() {
            watched.push((listener, PollFlags::POLLIN, Wake::Connect));
        }
        let flags = |write: bool| {
            if write {
                PollFlags::POLLIN | PollFlags::POLLOUT
            } else {
                PollFlags::POLLIN
            }
        };
        for (id, fd, write) in self.control.clients() {
            watched.push((fd, flags(write), Wake::Client(id)));
        }
        let probe = self
            .underway
            .as_ref()
            .and_then(|underway| underway.probe.as_ref());
        let probe_fds = probe.map(|probe| probe.descriptors()).unwrap_or_default();
        for fd in probe_fds {
            watched.push((fd, PollFlags::POLLIN, Wake::Probe));
        }
        for (slot, channel, process) in self.fleet.watched() {
            // The channel first: a worker's last words count before its death.
            if let Some((fd, write)) = channel {
                watched.push((fd, flags(write), Wake::Channel(slot)));
            }
            watched.push((process, PollFlags::POLLIN, Wake::Process(slot)));
        }
        let mut until = self.fleet.deadline(now).min(now + NEVER);
        if self.life.holds_replacements() {
            // A seat that is to be filled is due all the time.
            until = until.max(now + HELD);
        }
        if let Some(probe) = probe {
            until = until.min(now + probe.timeout());
        }
        let drained = self.draining.as_ref().map(Draining::next);
        let look = self.listeners.next_look(now);
        let slow = self.patience.next(self.config.transform_timeout);
        // One that waits for the processor is looked at now and then.
        let slow = slow.map(|at| at.max(now + Duration::from_millis(100)));
        let moments = [self.timer.map(|t| t.1), drained, look, slow];
        for moment in moments.into_iter().flatten() {
            until = until.min(moment);
        }
        let millis = until.saturating_duration_since(now).as_millis() as u64 + 1;
        let mut fds: Vec<PollFd<'_>> = watched
            .iter()
            .map(|(fd, flags, _)| PollFd::new(*fd, *flags))
            .collect();
        match poll(
            &mut fds,
            PollTimeout::try_from(millis.min(1000)).unwrap_or(PollTimeout::ZERO),
        ) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("the supervisor cannot wait: {error}")),
        }
        let hit: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        Ok(watched
            .into_iter()
            .zip(hit)
            .filter(|(_, hit)| *hit)
            .map(|((_, _, wake), _)| wake)
            .collect())
    }

    fn handle(&mut self, wake: Wake, signals: &SignalFd) {
        match wake {
            Wake::Signal => {
                while let Ok(Some(info)) = signals.read_signal() {
                    self.signal(info.ssi_signo as i32);
                }
            }
            Wake::Connect => self.control.accept(),
            Wake::Client(id) => {
                if let Some(request) = self.control.serve(id) {
                    self.request(id, request);
                }
            }
            Wake::Probe => self.poll_probe(),
            Wake::Channel(slot) => {
                self.fleet.flush(slot, &*self.ports.memory);
                self.hear(slot);
            }
            Wake::Process(slot) => {
                self.hear(slot);
                self.mourn(slot);
            }
        }
    }

    fn signal(&mut self, number: i32) {
        match Signal::try_from(number) {
            Ok(Signal::SIGUSR2) => self.update_by_signal(),
            Ok(Signal::SIGHUP) => {
                tracing::info!("configuration event: all workers are told");
                self.tell_all(&ToWorker::Reconfigure);
            }
            Ok(Signal::SIGTERM | Signal::SIGINT) => self.drain(Instant::now()),
            _ => {}
        }
    }

    pub(super) fn tell_all(&mut self, message: &ToWorker) {
        for slot in self.fleet.slots() {
            self.fleet.send(slot, message, &[], &*self.ports.memory);
        }
    }

    fn poll_probe(&mut self) {
        let probe = self
            .underway
            .as_mut()
            .and_then(|underway| underway.probe.as_mut());
        if let Some(result) = probe.and_then(|probe| probe.poll()) {
            self.probed(result);
        }
    }

    /// Feeds the life of the update and carries out what it asks for.
    pub(super) fn event(&mut self, event: Event) {
        if self.draining.is_some() {
            // Whatever happens now is the end: nobody is to be sent, killed or waited for on account
            // of an update.
            return;
        }
        let (life, effects) = self.life.clone().step(event);
        self.life = life;
        self.announce_mixed();
        self.announce_fleet();
        self.ports.memory.set_filling(self.life.may_fill());
        self.watch_sweep();
        self.watch_filling();
        for effect in effects {
            match effect {
                Effect::Send(slot, order) => self.order(slot, order),
                Effect::Kill(slot, why) => self.fleet.kill(slot, &why),
                Effect::Arm(id, kind) => {
                    self.timer = Some((id, Instant::now() + self.duration(kind)))
                }
                Effect::Refuse(why) => self.refuse_request(why),
                Effect::Answer(answer) => self.answer(answer),
                Effect::Progress(text) => self.progress(&text),
            }
        }
    }

    fn order(&mut self, slot: WorkerSlot, order: Order) {
        let running = self.life.running();
        let rebinds = self.underway.as_ref().is_some_and(|u| u.rebinds);
        if rebinds && matches!(order, Order::Load(index) if index != running) {
            self.send_order(slot, Order::Load(running));
        }
        self.send_order(slot, order);
    }

    /// A build as a worker is told of it: with the listeners that are open, so that each has its
    /// descriptor. A neighbour's may be closed; it is told anew before anybody crosses to it.
    fn for_worker(&self, index: BuildIndex) -> Build {
        let mut build = self.builds.get(index).build.clone();
        build.listeners.retain(|key| self.listeners.is_open(key));
        build
    }

    fn send_order(&mut self, slot: WorkerSlot, order: Order) {
        let build = |index: BuildIndex| self.builds.get(index).build.clone();
        let mut listeners = Vec::new();
        let message = match order {
            Order::Load(index) => {
                let build = self.for_worker(index);
                listeners.clone_from(&build.listeners);
                ToWorker::Load(Box::new(build))
            }
            Order::Cross {
                build: index,
                together,
            } => ToWorker::Cross {
                digest: build(index).digest,
                together,
            },
            Order::Go => ToWorker::Go,
            Order::Revert => ToWorker::Revert,
            Order::Move { from, to } => {
                let (from, to) = (build(from), build(to));
                let forward = to.version > from.version;
                ToWorker::Move {
                    newer: if forward { to.digest } else { from.digest },
                    forward,
                }
            }
            Order::Sweep(sweep) => ToWorker::Sweep(sweep, self.parked_in_sweep()),
            Order::Fill(fill, index) => ToWorker::Fill {
                fill,
                digest: build(index).digest,
            },
            Order::Rest => ToWorker::Rest,
            Order::Forget(index) => ToWorker::Forget {
                digest: build(index).digest,
            },
            Order::Ping => ToWorker::Ping,
        };
        self.fleet.send(
            slot,
            &message,
            &self.listeners.descriptors(&listeners),
            &*self.ports.memory,
        );
    }

    /// Tells the log and whoever waits for the update.
    pub(super) fn progress(&mut self, text: &str) {
        tracing::info!("update: {text}");
        let watchers = self
            .underway
            .as_ref()
            .map(|underway| underway.watchers.clone())
            .unwrap_or_default();
        for id in watchers {
            self.control.reply(id, &Reply::Progress(text.to_owned()));
        }
    }
}

/// The first version passes the same probe as any other.
fn probe_first(config: &Config, ports: &Ports) -> Result<Candidate, String> {
    let probe = ports.libraries.probe(&config.application)?;
    let first = finish_probe(probe)?;
    first
        .statics
        .judge()
        .map_err(|refusal| refusal.to_string())?;
    Ok(first)
}

/// Waits for a probe's end. Blocks until its deadline at the longest.
pub(crate) fn finish_probe(mut probe: Box<dyn Probing>) -> Result<Candidate, String> {
    loop {
        if let Some(result) = probe.poll() {
            return result;
        }
        let watched = probe.descriptors();
        let mut fds: Vec<PollFd<'_>> = watched
            .iter()
            .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
            .collect();
        let millis = probe.timeout().as_millis().min(1000) as u16 + 1;
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("cannot wait for the probe: {error}")),
        }
    }
}

fn watch_signals() -> Result<SignalFd, String> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR2,
    ] {
        set.add(signal);
    }
    let failed = |error: Errno| format!("cannot watch signals: {error}");
    set.thread_block().map_err(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)
}

/// Workers inherit the limit: every connection is a descriptor.
fn raise_descriptor_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        tracing::warn!("the limit of open files stays at {soft}");
    }
    if hard < DESCRIPTORS_WANTED {
        tracing::warn!(
            "a worker may open {hard} files at most, one a connection: raise it with ulimit -Hn or LimitNOFILE="
        );
    }
}
