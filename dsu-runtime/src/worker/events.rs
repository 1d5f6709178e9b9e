//! The buffer that `cx.wait` fills.

use super::cx::FIRST_RESERVED_TOKEN;
use crate::abi::{HostCalls, NoticeUse};
use crate::sys::epoll::{Epoll, Ready};
use crate::sys::time::Nanos;
use std::io;
use std::time::Instant;

/// Ready descriptors, and notices if they are wanted. Iterating borrows only this buffer, so the worker
/// stays free for guards.
pub struct Events {
    ready: Box<[Ready]>,
    len: usize,
    notice_use: NoticeUse,
    /// Bits of `HostCalls`.
    notices: u32,
    /// When a drain has to be over.
    until: Option<Instant>,
}

/// One ready descriptor.
pub type Event = Ready;

/// Something that has happened to the worker rather than to a descriptor. Each comes once, in one wait,
/// whichever version then runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The worker is to end: the server was told to, or its supervisor is gone. Take no new work, finish
    /// what was begun, then call [`Worker::drained`](super::Worker::drained); the next update point
    /// returns the crossing that ends the worker. It does so at `until` in any case.
    Drain {
        /// When the worker leaves, finished or not.
        until: Instant,
    },
    /// The configuration may have changed (SIGHUP to the supervisor).
    Reconfigure,
    /// Listeners that the version does not have are closed: they were another's, and the update that
    /// took them away has committed, or the one that brought them was taken back. They are watched no
    /// more. Drop each of which [`Listener::is_open`](super::Listener::is_open) says so.
    ListenersClosed,
}

impl Events {
    /// Room for `capacity` events a wait, at least one.
    pub fn with_capacity(capacity: usize) -> Events {
        Events {
            ready: vec![Ready::EMPTY; capacity.max(1)].into_boxed_slice(),
            len: 0,
            notice_use: NoticeUse::Ignores,
            notices: 0,
            until: None,
        }
    }

    /// With notices as well. A version whose waits do not ask for them ends at its next update point
    /// when it is told to, and never learns of a new configuration.
    pub fn with_notices(mut self) -> Events {
        self.notice_use = NoticeUse::Takes;
        self
    }

    /// Whether the last wait brought neither a ready descriptor nor a notice.
    pub fn is_empty(&self) -> bool {
        self.len == 0 && self.notices == 0
    }

    /// What has happened to the worker.
    pub fn notices(&self) -> impl Iterator<Item = Notice> + use<> {
        let bits = self.notices;
        let drain = self.until.filter(|_| bits & HostCalls::NOTICE_DRAIN != 0);
        let drain = drain.map(|until| Notice::Drain { until });
        let plain = [
            (HostCalls::NOTICE_RECONFIGURE, Notice::Reconfigure),
            (HostCalls::NOTICE_LISTENERS_CLOSED, Notice::ListenersClosed),
        ];
        let plain = plain.into_iter().filter(move |(bit, _)| bits & bit != 0);
        plain.map(|(_, notice)| notice).chain(drain)
    }

    /// The ready descriptors.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.ready[..self.len].iter()
    }

    pub(super) fn clear(&mut self) {
        (self.len, self.notices, self.until) = (0, 0, None);
    }

    pub(super) fn notice_use(&self) -> NoticeUse {
        self.notice_use
    }

    pub(super) fn put(&mut self, notices: u32, until: Option<Instant>) {
        (self.notices, self.until) = (notices, until);
    }

    pub(super) fn fill(&mut self, epoll: Epoll<'_>, deadline: Option<Nanos>) -> io::Result<()> {
        self.len = epoll.wait(&mut self.ready, deadline)?;
        Ok(())
    }

    /// Removes the runtime's own events; true if there were any.
    pub(super) fn take_reserved(&mut self) -> bool {
        let all = self.len;
        let mut kept = 0;
        for i in 0..all {
            if self.ready[i].token() < FIRST_RESERVED_TOKEN {
                self.ready.swap(i, kept);
                kept += 1;
            }
        }
        self.len = kept;
        kept != all
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
