//! The host's side of a worker: what happens at an update point, and between two versions.
//!
//! Owns the loaded builds, the messages of the supervisor, and the carry while nobody has it.
//! Upholds R24: the old carry and its descriptors are kept until the new code is at its first update
//! point; whatever goes wrong before, the old version goes on with them.
#![allow(unsafe_code)] // serves the call table

use super::carry::{self, Parcel};
use super::cx::{InheritedListener, Surroundings};
use super::loaded::Loaded;
use super::messages::{Build, FromWorker, ToWorker};
use crate::abi::{
    Directive, HostCalls, ReportKind, Representation, RunOutcome, WorkerContext, WorkerRecord,
};
use crate::ids::Tag;
use crate::sys::net::Channel;
use crate::sys::time::Nanos;
use crate::update::SweepSlice;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The call table that every version in this process uses.
pub(super) static CALLS: HostCalls = HostCalls {
    at_update_point,
    load_representation,
    report,
    sweep,
    doorbell,
    close_when_confirmed,
};

/// A slice of the sweep at an update point ends after this long (R29).
const SLICE: Duration = Duration::from_micros(100);
/// At an update point a slice runs when the last ended this long ago (R29).
const BETWEEN_SLICES: Duration = Duration::from_millis(10);

/// Where the next run goes.
enum Turn {
    /// To the build with this digest.
    To(String),
    /// To the end of the worker.
    Exit(String),
}

/// How the running code came to be where it is, until it shows itself at an update point.
enum Arrival {
    /// A fresh start.
    Started,
    /// A crossing: the build that handed on the carry, and the carry as it left it.
    Crossed {
        origin: String,
        parcel: Vec<u8>,
        left_at: Nanos,
        update_point: String,
    },
    /// Back from a crossing that failed.
    Resumed,
}

/// Everything that the host's copy of the runtime keeps for its worker.
pub(super) struct Host {
    builds: HashMap<String, Loaded>,
    running: String,
    inbox: VecDeque<(ToWorker, Vec<OwnedFd>)>,
    turn: Option<Turn>,
    arrival: Option<Arrival>,
    listeners: Vec<(InheritedListener, OwnedFd)>,
    pass: SweepSlice,
    last_slice: Nanos,
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
    /// Apart from the host, for a library reports while the host is in use: it is called from there.
    static CHANNEL: OnceCell<Channel> = const { OnceCell::new() };
    /// Descriptors to be closed when the new code is confirmed; apart for the same reason.
    static TO_CLOSE: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

fn with_channel<T>(body: impl FnOnce(&Channel) -> T) -> T {
    CHANNEL.with(|channel| {
        body(
            channel
                .get()
                .expect("a worker's channel is set up before it runs"),
        )
    })
}

/// Tells the supervisor. Waits while it is slow; if it is gone, that is noticed where messages are read.
pub(super) fn say(message: &FromWorker) {
    let bytes = serde_json::to_vec(message).expect("a message is plain data");
    with_channel(|channel| {
        while let Err(error) = channel.send(&bytes, &[]) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return;
            }
            let _ = poll(
                &mut [PollFd::new(channel.as_fd(), PollFlags::POLLOUT)],
                PollTimeout::NONE,
            );
        }
    });
}

fn with_host<T>(body: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(|host| {
        body(
            host.as_mut()
                .expect("a worker's host is set up before it runs"),
        )
    })
}

impl Host {
    /// Sets up the host of this thread.
    pub(super) fn set_up(channel: Channel) {
        CHANNEL
            .with(|cell| cell.set(channel))
            .expect("a worker is set up once");
        HOST.set(Some(Host {
            builds: HashMap::new(),
            running: String::new(),
            inbox: VecDeque::new(),
            turn: None,
            arrival: None,
            listeners: Vec::new(),
            pass: SweepSlice::default(),
            last_slice: Nanos(0),
        }));
        WorkerContext::current().host.set(&raw const CALLS);
    }

    /// Takes in every message that is there. A supervisor that is gone is a drain.
    fn read_messages(&mut self) {
        let record = WorkerContext::current().record();
        record
            .due
            .fetch_and(!WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
        loop {
            match with_channel(Channel::receive) {
                Ok(Some(packet)) => match serde_json::from_slice(&packet.bytes) {
                    Ok(message) => self.inbox.push_back((message, packet.descriptors)),
                    Err(error) => {
                        tracing::error!(%error, "a message of the supervisor makes no sense")
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => {
                    self.turn = Some(Turn::Exit("the supervisor is gone".to_owned()));
                    return;
                }
            }
        }
    }

    /// The next message; `None` when the supervisor is gone.
    fn wait_for_message(&mut self) -> Option<(ToWorker, Vec<OwnedFd>)> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Some(message);
            }
            if self.turn.is_some() {
                return None;
            }
            with_channel(|channel| {
                let _ = poll(
                    &mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)],
                    PollTimeout::NONE,
                );
            });
            self.read_messages();
        }
    }

    /// Waits for `Start` and says what to run first. `None` if the supervisor went away.
    pub(super) fn await_start() -> Option<String> {
        with_host(|host| {
            loop {
                let (message, fds) = host.wait_for_message()?;
                if let ToWorker::Start {
                    build, neighbours, ..
                } = message
                {
                    let mut names = build.listeners.clone();
                    names.extend(neighbours.iter().flat_map(|n| n.listeners.clone()));
                    host.take_listeners(&names, fds);
                    for neighbour in neighbours {
                        if let Some(reason) = host.load(neighbour) {
                            tracing::error!(reason, "a neighbouring version cannot be loaded");
                        }
                    }
                    let digest = build.digest.clone();
                    if let Some(reason) = host.load(*build) {
                        say(&FromWorker::Exiting { reason });
                        return None;
                    }
                    return Some(digest);
                }
            }
        })
    }

    fn take_listeners(&mut self, names: &[String], fds: Vec<OwnedFd>) {
        for (name, fd) in names.iter().zip(fds) {
            // Each message about a build brings its listeners; the same socket is kept once.
            let known = self
                .listeners
                .iter()
                .position(|(known, held)| known.name == *name && is_same_file(held, &fd));
            if known.is_some() {
                continue;
            }
            self.listeners.retain(|(known, _)| known.name != *name);
            let listener = InheritedListener {
                name: name.clone(),
                fd: fd.as_raw_fd(),
            };
            self.listeners.push((listener, fd));
        }
    }

    /// Loads and binds a build; the reason if that failed.
    fn load(&mut self, build: Build) -> Option<String> {
        // The same file twice is the same code (its loader gives one image), perhaps with other
        // arguments or another neighbour: it is bound again.
        let loaded = match self.builds.remove(&build.digest) {
            Some(loaded) => loaded.rebind(build),
            None => Loaded::load(build),
        };
        match loaded {
            Ok(loaded) => {
                self.builds.insert(loaded.build.digest.clone(), loaded);
                None
            }
            Err(reason) => Some(reason),
        }
    }

    fn load_and_answer(&mut self, build: Build, fds: Vec<OwnedFd>) {
        let digest = build.digest.clone();
        self.take_listeners(&build.listeners, fds);
        let error = self.load(build);
        say(&FromWorker::Loaded { digest, error });
    }

    /// What is due at this update point.
    fn at_update_point(&mut self, name: &str) -> Directive {
        let context = WorkerContext::current();
        let record = context.record();
        record
            .update_point_ns
            .store(Nanos::now().0, Ordering::Relaxed);
        if context.unconfirmed.get() != 0 {
            self.confirm(name);
        }
        let mut barrier = None;
        self.obey_all(name, &mut barrier);
        record.due_since_ns.store(0, Ordering::Relaxed);
        if let Some(digest) = barrier.take() {
            self.wait_at_barrier(digest, name);
        }
        match &self.turn {
            Some(Turn::To(_)) => return Directive::Cross,
            Some(Turn::Exit(_)) => return Directive::Exit,
            None => {}
        }
        if context.sweeping.get() != 0 && Nanos::now().since(self.last_slice) >= BETWEEN_SLICES {
            self.sweep();
        }
        Directive::Continue
    }

    /// Takes in all messages that wait; of several crossings the last counts.
    fn obey_all(&mut self, update_point: &str, barrier: &mut Option<String>) {
        self.read_messages();
        while let Some((message, fds)) = self.inbox.pop_front() {
            self.obey(message, fds, update_point, barrier);
        }
    }

    /// Takes in the loads that are on their way; whatever else is due waits for the update point.
    fn load_what_is_sent(&mut self) {
        self.read_messages();
        for (message, fds) in std::mem::take(&mut self.inbox) {
            match message {
                ToWorker::Load(build) => self.load_and_answer(*build, fds),
                other => self.inbox.push_back((other, fds)),
            }
        }
        if !self.inbox.is_empty() {
            let record = WorkerContext::current().record();
            record
                .due
                .fetch_or(WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
        }
    }

    fn obey(
        &mut self,
        message: ToWorker,
        fds: Vec<OwnedFd>,
        update_point: &str,
        barrier: &mut Option<String>,
    ) {
        match message {
            ToWorker::Load(build) => self.load_and_answer(*build, fds),
            ToWorker::Cross { digest, together } => {
                *barrier = None;
                if !matches!(self.turn, Some(Turn::Exit(_))) {
                    self.turn = None;
                }
                if self.may_cross(&digest, update_point) {
                    if together {
                        *barrier = Some(digest);
                    } else if self.turn.is_none() {
                        self.turn = Some(Turn::To(digest));
                    }
                }
            }
            ToWorker::Revert => *barrier = None,
            ToWorker::Sweep(is_on) => self.set_sweep(is_on),
            ToWorker::Drain => self.turn = Some(Turn::Exit("drained".to_owned())),
            ToWorker::Check => say(&self.builds[&self.running].check()),
            ToWorker::Ping => say(&FromWorker::Pong {
                update_point: update_point.to_owned(),
            }),
            // A barrier that is over, a first message that came twice; what is loaded stays loaded.
            ToWorker::Go | ToWorker::Start { .. } | ToWorker::Forget { .. } => {}
            ToWorker::Reconfigure => tracing::info!("configuration event"),
        }
    }

    /// Whether there is anything to cross to; answers if not.
    fn may_cross(&self, digest: &str, update_point: &str) -> bool {
        if digest == self.running {
            say(&FromWorker::Crossed {
                digest: digest.to_owned(),
                build_id: self.builds[digest].build_id.clone(),
                update_point: update_point.to_owned(),
                pause_ns: 0,
            });
            return false;
        }
        if !self.builds.contains_key(digest) {
            let reason = "the build is not loaded in this worker".to_owned();
            say(&FromWorker::CrossingFailed {
                digest: digest.to_owned(),
                reason,
            });
            return false;
        }
        true
    }

    /// Stops until all workers are at their update points, or the barrier is off.
    fn wait_at_barrier(&mut self, digest: String, update_point: &str) {
        say(&FromWorker::AtBarrier {
            update_point: update_point.to_owned(),
        });
        let mut barrier = Some(digest);
        while barrier.is_some() && self.turn.is_none() {
            match self.wait_for_message() {
                Some((ToWorker::Go, _)) => self.turn = barrier.take().map(Turn::To),
                Some((message, fds)) => self.obey(message, fds, update_point, &mut barrier),
                None => return,
            }
        }
    }

    fn set_sweep(&mut self, is_on: bool) {
        let context = WorkerContext::current();
        context.sweeping.set(u32::from(is_on));
        self.pass = SweepSlice::default();
        if is_on {
            context
                .record()
                .due
                .fetch_or(WorkerRecord::DUE_SWEEP, Ordering::AcqRel);
        } else {
            context
                .record()
                .due
                .fetch_and(!WorkerRecord::DUE_SWEEP, Ordering::AcqRel);
        }
    }

    /// One slice; true if the pass is not over.
    fn sweep(&mut self) -> bool {
        let slice = self.builds[&self.running].sweep(SLICE);
        self.last_slice = Nanos::now();
        self.pass.add(slice);
        if !self.pass.is_done {
            return true;
        }
        let pass = std::mem::take(&mut self.pass);
        // A pass that changed nothing is the last; see `FromWorker::Swept`.
        if pass.converted == 0 {
            self.set_sweep(false);
        }
        let is_on = pass.converted != 0;
        say(&FromWorker::Swept {
            converted: pass.converted,
            parked: pass.parked,
            poisoned: pass.poisoned,
        });
        is_on
    }

    /// The new code is at its first update point: it has taken over.
    fn confirm(&mut self, update_point: &str) {
        let context = WorkerContext::current();
        carry::confirm(context);
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
            listeners: self
                .listeners
                .iter()
                .map(|(listener, _)| listener.clone())
                .filter(|listener| build.listeners.contains(&listener.name))
                .collect(),
            resumed_from,
            version: Some(build.version),
        }
    }
}

/// Runs versions from `digest` on, until the worker is to end: `Ok` with the reason when it was told to,
/// `Err` when it failed.
pub(super) fn run(digest: String) -> Result<String, String> {
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
        let kept = Parcel::decode(&parcel)
            .map(|parcel| parcel.fds)
            .unwrap_or_default();
        for fd in TO_CLOSE.take() {
            if !kept.contains(&fd) {
                close(fd);
            }
        }
        self.turn = None;
        self.arrival = Some(Arrival::Resumed);
        Next::Run(origin.to_owned(), Some(parcel))
    }
}

/// Whether two descriptors name one socket.
fn is_same_file(a: &OwnedFd, b: &OwnedFd) -> bool {
    match (nix::sys::stat::fstat(a), nix::sys::stat::fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

fn close(fd: i32) {
    // SAFETY: the number came from a `Descriptor` that was dropped and whose closing was left to us.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

unsafe extern "C" fn at_update_point(name: *const u8, len: usize) -> Directive {
    // SAFETY: the library lends a UTF-8 name for this call.
    let name = unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(name, len)) };
    with_host(|host| host.at_update_point(name))
}

extern "C" fn load_representation(tag: u16) -> bool {
    // In the middle of the host's own work nothing can be loaded; what is known then has to do.
    HOST.with(|host| {
        if let Ok(mut host) = host.try_borrow_mut()
            && let Some(host) = host.as_mut()
        {
            host.load_what_is_sent();
        }
    });
    Representation::of(Tag(tag)).is_known()
}

unsafe extern "C" fn report(kind: ReportKind, text: *const u8, len: usize) {
    // SAFETY: the library lends the text for this call.
    let text = unsafe { String::from_utf8_lossy(std::slice::from_raw_parts(text, len)) };
    say(&FromWorker::report(kind, text.into_owned()));
}

extern "C" fn sweep() -> bool {
    with_host(Host::sweep)
}

extern "C" fn doorbell() {
    let record = WorkerContext::current().record();
    record
        .due
        .fetch_or(WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
}

extern "C" fn close_when_confirmed(fd: i32) {
    TO_CLOSE.with_borrow_mut(|fds| fds.push(fd));
}
