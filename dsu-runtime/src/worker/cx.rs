//! The worker as its application sees it: `cx`.
//!
//! Owns the application's way to guards, update points, waiting and listeners. Upholds: whoever holds
//! a guard has borrowed the worker, so that no update point can be passed and no wait begun.
#![allow(unsafe_code)] // calls through the host's table

use super::descriptor::Descriptor;
use super::events::Events;
use super::net::Listener;
use crate::abi::{
    Directive, FleetWord, HostCalls, NoticeUse, WatchChange, WorkerContext, WorkerRecord,
};
use crate::error::WorkerError;
use crate::heap;
use crate::ids::{VersionId, WorkerSlot};
use crate::sync::{self, Name, Seat};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::time::Nanos;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Tokens from here on are the runtime's own.
pub(super) const FIRST_RESERVED_TOKEN: u64 = u64::MAX - 15;
/// The supervisor has something to say.
pub(super) const DOORBELL: u64 = FIRST_RESERVED_TOKEN;
/// The supervisor is gone.
pub(super) const SUPERVISOR_DEATH: u64 = FIRST_RESERVED_TOKEN + 1;

/// What others have freed is taken back when the last time was this long ago.
const BETWEEN_COLLECTIONS: Duration = Duration::from_millis(10);

/// What a run of a version is told of its surroundings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// Arguments of this version (R33).
    pub arguments: Vec<String>,
    /// Listening sockets, by name.
    pub listeners: Vec<InheritedListener>,
    /// Name of the update point at which the version before left; `None` at a fresh start.
    pub resumed_from: Option<String>,
}

/// A listening socket that the supervisor opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InheritedListener {
    /// Its name: what stands before `=` in `--listen NAME=ADDR`, else `default`.
    pub name: String,
    /// The descriptor in this process.
    pub fd: i32,
}

/// The process that plays a thread, handed to the application's worker function.
///
/// Guards borrow it; `update_point!` and [`wait`](Worker::wait) need it mutably. So nobody crosses
/// or sleeps with a lock in hand.
pub struct Worker {
    record: &'static WorkerRecord,
    name: Name,
    surroundings: Surroundings,
    /// The last update point said that the worker is to end.
    is_leaving: bool,
    /// What the last wait asked for.
    notice_use: NoticeUse,
    /// When it last took back what others had freed.
    collected: Nanos,
    not_send: PhantomData<*mut ()>,
}

impl Worker {
    /// The worker that this thread is. Only the run of a bound library makes one.
    pub(crate) fn enter(surroundings: Surroundings) -> Worker {
        let context = WorkerContext::current();
        assert!(
            context.is_attached(),
            "only a worker's own thread runs application code"
        );
        Worker {
            record: context.record(),
            name: Name::of_owner(context.owner()),
            surroundings,
            is_leaving: false,
            notice_use: NoticeUse::Unknown,
            collected: Nanos(0),
            not_send: PhantomData,
        }
    }

    /// The worker, for the runtime's own sections at an update point.
    pub(crate) fn of_runtime() -> Worker {
        Worker::enter(Surroundings::default())
    }

    #[inline]
    pub(crate) fn name(&self) -> Name {
        self.name
    }

    #[inline]
    pub(crate) fn context(&self) -> &'static WorkerContext {
        WorkerContext::current()
    }

    pub(crate) fn seat(&self) -> Seat<'static> {
        Seat {
            name: self.name,
            busy: &self.record.busy,
        }
    }

    fn host(&self) -> &'static HostCalls {
        // SAFETY: set by the host before it runs any library, to a table that is never freed.
        unsafe { &*self.context().host.get() }
    }

    /// The slot of this worker.
    pub fn slot(&self) -> WorkerSlot {
        WorkerSlot(self.name.slot())
    }

    /// The version that runs.
    pub fn version(&self) -> VersionId {
        VersionId(self.record.version.load(Ordering::Relaxed))
    }

    /// Whether every worker runs this version or a later one, and none will run an earlier one until
    /// [`version_epoch`](Self::version_epoch) has changed (R12). One load of shared memory.
    ///
    /// So what only this version knows may be used from now on, as far as nobody may go back: an update
    /// to an earlier version makes this false before its first worker crosses, canaries and
    /// replacements included, and it becomes true again when the last worker that could run the
    /// earlier one has crossed or died. While a death of the supervisor goes unrepaired it may be false
    /// though it could be true.
    ///
    /// For more than a moment it takes the epoch beside it: **if the epoch is the same at two moments,
    /// and this was true at the first, no worker of an earlier version has run a section in between.**
    /// **Read the epoch first**, then ask this: an update backward that begins between the two is seen then
    /// by whoever compares, and is not if the epoch was read after it.
    /// For two moments inside sections of one guard that is exact; outside of them a section of an
    /// earlier version may have begun that has not been waited for.
    #[inline]
    pub fn all_at(&self, version: u32) -> bool {
        FleetWord::get().load().floor >= VersionId(version)
    }

    /// A number that is another one whenever a worker may have begun to run code that no worker ran
    /// before; see [`all_at`](Self::all_at). It never comes back within a server's life.
    #[inline]
    pub fn version_epoch(&self) -> u64 {
        u64::from(FleetWord::get().load().epoch)
    }

    /// What was given after `--`, for this version (R33).
    pub fn arguments(&self) -> &[String] {
        &self.surroundings.arguments
    }

    /// Name of the update point at which the version before left; `None` at a fresh start.
    pub fn resumed_from(&self) -> Option<&str> {
        self.surroundings.resumed_from.as_deref()
    }

    /// The listening sockets of the version that runs, with their names, in the order of `--listen`.
    /// Each call duplicates their descriptors.
    ///
    /// They belong to the version, and an update may change them; the carry has those of the version
    /// before. So code that comes out of a crossing compares the two (by [`Listener::is_same`]) before
    /// its first update point, and registers what is new. What it does not find here was another
    /// version's. That socket stays open and watched until the update is over, and whoever has it should
    /// go on accepting: should the update be taken back, nobody was turned away. When it has committed,
    /// the kernel lets no newcomers in, those that wait are to be accepted, and then, at the latest
    /// when the time to drain is up, the socket is closed in all processes:
    /// [`Notice::ListenersClosed`](super::Notice::ListenersClosed). Connections that were accepted live on.
    /// Code that ignores all this serves the listeners that it began with, as long as they are open.
    ///
    /// # Errors
    /// Too many descriptors.
    pub fn listeners(&self) -> Result<Vec<(String, Listener)>, WorkerError> {
        let mut listeners = Vec::new();
        for inherited in &self.surroundings.listeners {
            // SAFETY: the host keeps these descriptors open as long as it lives.
            let fd = unsafe { BorrowedFd::borrow_raw(inherited.fd) };
            let descriptor = Descriptor::from(fd.try_clone_to_owned()?);
            listeners.push((inherited.name.clone(), Listener::from(descriptor)));
        }
        Ok(listeners)
    }

    /// Whether something is due at the next update point. One relaxed load.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        self.record.due.load(Ordering::Relaxed) != 0
    }

    /// The slow half of `update_point!`: takes in what is due and says what is to be done.
    ///
    /// # Errors
    /// [`WorkerError::GuardLeaked`] if a guard was forgotten (R18).
    #[cold]
    pub fn update_point(&mut self, name: &'static str) -> Result<Directive, WorkerError> {
        if !self.context().held().is_empty() {
            return Err(WorkerError::GuardLeaked(name.to_owned()));
        }
        // SAFETY: the name is borrowed for the call.
        let directive =
            unsafe { (self.host().at_update_point)(name.as_ptr(), name.len(), self.notice_use) };
        self.is_leaving = directive == Directive::Exit;
        Ok(directive)
    }

    /// Whether the last update point said that the worker is to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Makes something due at the next update point.
    pub(super) fn come_again(&self) {
        (self.host().doorbell)();
    }

    /// Waits until a registered descriptor is ready, `deadline` has passed, there is a notice, or
    /// something is due; in the last case it returns with no events, and the update point should come
    /// next (R19). While the worker drains it waits no longer than it has time.
    ///
    /// # Errors
    /// [`WorkerError::WaitBeforeUpdatePoint`] in new code that has not passed an update point (R24),
    /// [`WorkerError::GuardLeaked`] if a guard was forgotten (R18), or the failure of the system call.
    pub fn wait(
        &mut self,
        events: &mut Events,
        deadline: Option<Instant>,
    ) -> Result<(), WorkerError> {
        events.clear();
        if self.context().unconfirmed.get() != 0 {
            return Err(WorkerError::WaitBeforeUpdatePoint);
        }
        if !self.context().held().is_empty() {
            return Err(WorkerError::GuardLeaked("(in wait)".to_owned()));
        }
        self.notice_use = events.notice_use();
        let wanted = deadline.map(Nanos::from);
        let deadline = wanted.into_iter().chain(self.leave_by()).min();
        if self.is_due_for(WorkerRecord::DUE_NOTICE) && self.notice_use == NoticeUse::Takes {
            let notices = (self.host().take_notices)();
            let left = self.leave_by().map(|by| by.since(Nanos::now()));
            events.put(notices, left.map(|left| Instant::now() + left));
            // With what is ready at this moment.
            events.fill(self.epoll(), Some(Nanos(0)))?;
            self.answer_doorbell(events);
            return Ok(());
        }
        self.idle_work(events, deadline)?;
        if !events.is_empty() {
            return Ok(());
        }
        sync::settle_handles(self);
        loop {
            let chore = self.collect();
            self.record.waiting.store(1, Ordering::SeqCst);
            let outcome = if self.is_due_for(!WorkerRecord::DUE_AWAKE_ONLY) {
                Ok(())
            } else {
                events.fill(self.epoll(), deadline.into_iter().chain(chore).min())
            };
            self.record.waiting.store(0, Ordering::Relaxed);
            outcome?;
            self.answer_doorbell(events);
            let is_for_chore = events.is_empty()
                && !self.is_due_for(!WorkerRecord::DUE_AWAKE_ONLY)
                && chore.is_some_and(|chore| {
                    deadline.is_none_or(|deadline| chore < deadline) && chore <= Nanos::now()
                });
            if !is_for_chore {
                return Ok(());
            }
        }
    }

    /// Says that a drain is over: nothing is left to finish, and the next update point returns the
    /// crossing that ends the worker. Without a [`Notice::Drain`](super::Notice::Drain) it says nothing.
    pub fn drained(&mut self) {
        (self.host().drained)();
    }

    fn is_due_for(&self, bits: u32) -> bool {
        self.record.due.load(Ordering::SeqCst) & bits != 0
    }

    /// When a worker that drains has to leave.
    fn leave_by(&self) -> Option<Nanos> {
        let by = self.record.leave_by_ns.load(Ordering::Relaxed);
        (by != 0).then_some(Nanos(by))
    }

    /// While there is nothing to serve, the sweep has half of the time (R29): a worker that never rests
    /// loses its place before others that wake up, and is interrupted with a guard in its hands.
    fn idle_work(
        &mut self,
        events: &mut Events,
        deadline: Option<Nanos>,
    ) -> Result<(), WorkerError> {
        let mut rest = Nanos(0);
        while self.context().sweeping.get() != 0 {
            events.fill(
                self.epoll(),
                Some(deadline.map_or(rest, |end| rest.min(end))),
            )?;
            self.answer_doorbell(events);
            let is_due = self.is_due_for(!WorkerRecord::DUE_AWAKE_ONLY);
            let is_late = deadline.is_some_and(|deadline| Nanos::now() >= deadline);
            let began = Nanos::now();
            if !events.is_empty() || is_due || is_late || !(self.host().walk)() {
                break;
            }
            self.collect();
            let ended = Nanos::now();
            rest = ended.after(ended.since(began));
        }
        Ok(())
    }

    /// Takes back what others have freed, for nobody else can use it; not too often. What nobody has used
    /// for seconds goes back to the machine. When there is more of either to do.
    fn collect(&mut self) -> Option<Nanos> {
        let again = heap::give_back_old();
        if !heap::has_freed_blocks() {
            return again;
        }
        let (now, next) = (Nanos::now(), self.collected.after(BETWEEN_COLLECTIONS));
        if now < next {
            return again.into_iter().chain([next]).min();
        }
        heap::collect();
        self.collected = now;
        again
    }

    fn answer_doorbell(&mut self, events: &mut Events) {
        if events.take_reserved() {
            (self.host().doorbell)();
        }
    }

    /// Adds a descriptor to what [`wait`](Worker::wait) watches, under a token of the application's
    /// choice. It stays watched across versions until it is closed or deregistered.
    ///
    /// # Errors
    /// It is watched already, or cannot be watched.
    ///
    /// # Panics
    /// If the token is one of the runtime's own, the last sixteen.
    pub fn register(
        &mut self,
        fd: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> Result<(), WorkerError> {
        assert!(
            token < FIRST_RESERVED_TOKEN,
            "token {token} is one of the runtime's own"
        );
        self.watch(WatchChange::Add, fd.as_fd(), token, interest)
    }

    /// Changes what a registered descriptor is watched for.
    ///
    /// # Errors
    /// It is not registered.
    ///
    /// # Panics
    /// If the token is one of the runtime's own, the last sixteen.
    pub fn modify(
        &mut self,
        fd: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> Result<(), WorkerError> {
        assert!(
            token < FIRST_RESERVED_TOKEN,
            "token {token} is one of the runtime's own"
        );
        self.watch(WatchChange::Modify, fd.as_fd(), token, interest)
    }

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// It is not registered.
    pub fn deregister(&mut self, fd: impl AsFd) -> Result<(), WorkerError> {
        self.watch(WatchChange::Delete, fd.as_fd(), 0, Interest::NONE)
    }

    /// Through the host, which can undo it if this code is unconfirmed and fails (R24).
    fn watch(
        &mut self,
        change: WatchChange,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> Result<(), WorkerError> {
        match (self.host().watch)(change, fd.as_raw_fd(), token, interest.bits()) {
            0 => Ok(()),
            number => Err(std::io::Error::from_raw_os_error(number).into()),
        }
    }

    fn epoll(&self) -> Epoll<'static> {
        // SAFETY: the host opened it before it ran any library and never closes it.
        Epoll(unsafe { BorrowedFd::borrow_raw(self.context().epoll.get()) })
    }
}
