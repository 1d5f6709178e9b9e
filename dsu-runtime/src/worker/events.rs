//! The buffer that `cx.wait` fills.

use super::cx::FIRST_RESERVED_TOKEN;
use crate::sys::epoll::{Epoll, Ready};
use crate::sys::time::Nanos;
use std::io;

/// Ready descriptors. Iterating borrows only this buffer, so the worker stays free for guards.
pub struct Events {
    ready: Box<[Ready]>,
    len: usize,
}

/// One ready descriptor.
pub type Event = Ready;

impl Events {
    /// Room for `capacity` events a wait, at least one.
    pub fn with_capacity(capacity: usize) -> Events {
        Events {
            ready: vec![Ready::EMPTY; capacity.max(1)].into_boxed_slice(),
            len: 0,
        }
    }

    /// Whether the last wait found nothing ready.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ready descriptors.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.ready[..self.len].iter()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
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
