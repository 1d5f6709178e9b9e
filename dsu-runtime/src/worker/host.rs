//! The host's side of a worker: what happens at an update point, and between two versions.
//!
//! Owns the loaded builds, the messages of the supervisor, and the carry while nobody has it.
//! Upholds R24: the old carry and its descriptors are kept until the new code is at its first update
//! point; whatever goes wrong before, the old version goes on with them.
#![allow(unsafe_code)] // serves the call table

mod channel;
mod crossing;
mod inherited;
mod notices;
mod orphan;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

pub(super) use channel::say;
pub(super) use crossing::run;
pub(super) use orphan::{attend, watch_supervisor};

use super::loaded::Loaded;
use super::messages::{Build, FromWorker, ToWorker};
use super::threads::Threads;
use crate::abi::{
    Directive, HostCalls, NoticeUse, ReportKind, Representation, WorkerContext, WorkerRecord,
};
use crate::ids::Tag;
use crate::sys::net::Channel;
use crate::sys::process::PidFd;
use crate::sys::time::Nanos;
use inherited::Inherited;
use notices::Notices;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;
use walk::Walk;

/// The call table that every version in this process uses.
pub(super) static CALLS: HostCalls = HostCalls {
    at_update_point,
    load_representation,
    report,
    walk: walk::walk,
    doorbell,
    close_when_confirmed,
    take_notices,
    drained,
    watch: watch::watch,
};

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
    /// How often it was told to cross.
    crosses: u32,
    arrival: Option<Arrival>,
    listeners: Inherited,
    /// Those that ran before any library was loaded.
    threads: Threads,
    walk: Walk,
    notices: Notices,
    /// How long to drain when the supervisor dies.
    drain: Duration,
    /// The supervisor is dead.
    is_orphan: bool,
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
    /// Descriptors to be closed when the new code is confirmed. Apart from the host, for a library
    /// drops descriptors while the host is in use: it is called from there.
    static TO_CLOSE: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
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
    pub(super) fn set_up(channel: Channel, supervisor: PidFd) {
        channel::set_up(channel, supervisor);
        HOST.set(Some(Host {
            builds: HashMap::new(),
            running: String::new(),
            inbox: VecDeque::new(),
            turn: None,
            crosses: 0,
            arrival: None,
            listeners: Inherited::default(),
            threads: Threads::now(),
            walk: Walk::none(),
            notices: Notices::default(),
            drain: Duration::ZERO,
            is_orphan: false,
        }));
        WorkerContext::current().host.set(&raw const CALLS);
    }

    /// Takes in every message that is there. A supervisor that is gone is a drain.
    fn read_messages(&mut self) {
        let record = WorkerContext::current().record();
        record
            .due
            .fetch_and(!WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
        while !self.is_orphan {
            match channel::receive() {
                Ok(Some(packet)) => match serde_json::from_slice(&packet.bytes) {
                    Ok(message) => self.inbox.push_back((message, packet.descriptors)),
                    Err(error) => {
                        tracing::error!(%error, "a message of the supervisor makes no sense")
                    }
                },
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && !channel::is_supervisor_dead() =>
                {
                    return;
                }
                Ok(None) | Err(_) => {
                    self.is_orphan = true;
                    channel::stop_watching(watch::epoll());
                    self.begin_drain(Nanos::now().after(self.drain));
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
            if self.is_orphan {
                return None;
            }
            channel::wait_for_message();
            self.read_messages();
        }
    }

    /// Waits for `Start` and says what to run first. `None` if the supervisor went away.
    pub(super) fn await_start() -> Option<String> {
        with_host(|host| {
            loop {
                let (message, fds) = host.wait_for_message()?;
                if let ToWorker::Start {
                    build,
                    neighbours,
                    drain_ms,
                    ..
                } = message
                {
                    host.drain = Duration::from_millis(drain_ms);
                    let mut keys = build.listeners.clone();
                    keys.extend(neighbours.iter().flat_map(|n| n.listeners.clone()));
                    host.listeners.take(&keys, fds);
                    for neighbour in neighbours {
                        let digest = neighbour.digest.clone();
                        if let Some(reason) = host.load(neighbour) {
                            let error = Some(reason);
                            say(&FromWorker::Loaded { digest, error });
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

    /// Loads and binds a build; the reason if that failed.
    fn load(&mut self, build: Build) -> Option<String> {
        // The same file twice is the same code (its loader gives one image), perhaps with other
        // arguments or another neighbour: it is bound again.
        if let Some(loaded) = self.builds.get_mut(&build.digest) {
            return loaded.rebind(build).err();
        }
        match Loaded::load(build) {
            Ok(loaded) => {
                self.builds.insert(loaded.build.digest.clone(), loaded);
                None
            }
            Err(reason) => Some(reason),
        }
    }

    fn load_and_answer(&mut self, build: Build, fds: Vec<OwnedFd>) {
        let digest = build.digest.clone();
        self.listeners.take(&build.listeners, fds);
        let error = self.load(build);
        say(&FromWorker::Loaded { digest, error });
    }

    /// What is due at this update point.
    fn at_update_point(&mut self, name: &str, notices: NoticeUse) -> Directive {
        let context = WorkerContext::current();
        let record = context.record();
        record
            .update_point_ns
            .store(Nanos::now().0, Ordering::Relaxed);
        let is_first = context.unconfirmed.get() != 0;
        if is_first {
            self.confirm(name);
        }
        if let Some(Turn::To(digest)) = self.turn.take_if(|turn| matches!(turn, Turn::To(_))) {
            // It was told to leave and is here still.
            let reason = "its carry cannot be encoded: see the log".to_owned();
            say(&FromWorker::CrossingFailed { digest, reason });
        }
        // Before: what comes behind the look is due from then on.
        record.due_since_ns.store(0, Ordering::Relaxed);
        self.read_messages();
        while let Some((message, fds)) = self.inbox.pop_front() {
            if let Some(digest) = self.obey(message, fds, name) {
                self.wait_at_barrier(digest, name);
            }
        }
        if let Some(why) = self.notices.settle(notices, is_first, Nanos::now()) {
            self.turn = Some(Turn::Exit(why));
        }
        self.notices.publish(record);
        match &self.turn {
            Some(Turn::To(_)) => return Directive::Cross,
            Some(Turn::Exit(_)) => return Directive::Exit,
            None => {}
        }
        self.walk_at_update_point();
        Directive::Continue
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
        if !self.inbox.is_empty() || self.turn.is_some() {
            let record = WorkerContext::current().record();
            record
                .due
                .fetch_or(WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
        }
    }

    /// Takes one message in; of several crossings the last counts. The digest of the build if it is
    /// to be crossed to together with the other workers.
    fn obey(&mut self, message: ToWorker, fds: Vec<OwnedFd>, update_point: &str) -> Option<String> {
        match message {
            ToWorker::Load(build) => self.load_and_answer(*build, fds),
            ToWorker::Cross { digest, together } => {
                self.crosses = self.crosses.wrapping_add(1);
                self.turn = None;
                if self.may_cross(&digest, update_point) {
                    if together {
                        return Some(digest);
                    }
                    self.turn = Some(Turn::To(digest));
                }
            }
            ToWorker::Sweep(sweep, parked) => self.set_walk(Walk::sweep(sweep, parked)),
            ToWorker::Fill { fill, digest } => self.set_walk(Walk::fill(fill, digest)),
            ToWorker::Rest => self.set_walk(Walk::none()),
            ToWorker::Drain { until_ns } => self.begin_drain(Nanos(until_ns)),
            ToWorker::Check => say(&self.builds[&self.running].check()),
            ToWorker::Ping => say(&FromWorker::Pong {
                update_point: update_point.to_owned(),
            }),
            // A barrier that is over, a first message that came twice; what is loaded stays loaded.
            ToWorker::Go | ToWorker::Revert | ToWorker::Start { .. } | ToWorker::Forget { .. } => {}
            // Nobody else runs only while this worker waits as well.
            ToWorker::Move { .. } => say(&FromWorker::Moved {
                error: Some("the worker is not at a barrier".to_owned()),
            }),
            ToWorker::Reconfigure => self.notices.reconfigure(),
            ToWorker::ListenersClosed => {
                for socket in self.listeners.take_closed() {
                    watch::forget(socket.as_fd());
                }
                self.notices.listeners_closed();
            }
        }
        None
    }

    /// The worker is to end: a crossing that it was told of is off.
    fn begin_drain(&mut self, until: Nanos) {
        self.notices.drain(until);
        self.notices.publish(WorkerContext::current().record());
        if let Some(Turn::To(digest)) = self.turn.take_if(|turn| matches!(turn, Turn::To(_))) {
            let reason = "the worker is about to end".to_owned();
            say(&FromWorker::CrossingFailed { digest, reason });
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
        let threads = self.threads.others();
        let reason = if self.notices.is_draining() {
            Some("the worker is about to end".to_owned())
        } else if !self.builds.contains_key(digest) {
            Some("the build is not loaded in this worker".to_owned())
        } else if !threads.is_empty() {
            // R26: they run code, and hold state, of the version that is left.
            let names = threads.join(", ");
            Some(format!(
                "threads of the application are running: {names}; end them before the update point"
            ))
        } else {
            None
        };
        if let Some(reason) = reason {
            say(&FromWorker::CrossingFailed {
                digest: digest.to_owned(),
                reason,
            });
            return false;
        }
        true
    }

    fn move_items(&self, newer: &str, forward: bool) {
        let moved = match self.builds.get(newer) {
            Some(build) => build.move_items(forward),
            None => Err("the newer version is not loaded in this worker".to_owned()),
        };
        say(&FromWorker::Moved { error: moved.err() });
    }

    /// Stops until all workers are at their update points, or the barrier is off.
    fn wait_at_barrier(&mut self, digest: String, update_point: &str) {
        say(&FromWorker::AtBarrier {
            crosses: self.crosses,
            update_point: update_point.to_owned(),
        });
        while self.turn.is_none() && !self.notices.is_draining() {
            match self.wait_for_message() {
                Some((ToWorker::Go, _)) => self.turn = Some(Turn::To(digest.clone())),
                Some((ToWorker::Revert, _)) | None => return,
                Some((ToWorker::Move { newer, forward }, _)) => self.move_items(&newer, forward),
                Some((message @ ToWorker::Cross { .. }, fds)) => {
                    // This barrier is over; whoever called takes in what comes instead.
                    self.inbox.push_front((message, fds));
                    return;
                }
                Some((message, fds)) => {
                    self.obey(message, fds, update_point);
                }
            }
        }
    }
}

fn close(fd: i32) {
    // SAFETY: the number came from a `Descriptor` that was dropped and whose closing was left to us.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

unsafe extern "C" fn at_update_point(name: *const u8, len: usize, notices: NoticeUse) -> Directive {
    // SAFETY: the library lends a UTF-8 name for this call.
    let name = unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(name, len)) };
    with_host(|host| host.at_update_point(name, notices))
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

extern "C" fn doorbell() {
    let record = WorkerContext::current().record();
    record
        .due
        .fetch_or(WorkerRecord::DUE_MESSAGE, Ordering::AcqRel);
}

extern "C" fn close_when_confirmed(fd: i32) {
    TO_CLOSE.with_borrow_mut(|fds| fds.push(fd));
}

extern "C" fn take_notices() -> u32 {
    with_host(|host| {
        let notices = host.notices.take();
        host.notices.publish(WorkerContext::current().record());
        notices
    })
}

extern "C" fn drained() {
    with_host(|host| {
        host.notices.drained();
        host.notices.publish(WorkerContext::current().record());
    });
}
