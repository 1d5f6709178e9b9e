//! What the worker's epoll set watches, and how it is put back when a crossing fails (R24).
//!
//! The set is the worker's: it stays through crossings, and all changes to it come through here. Owns a
//! table of what is watched, by descriptor number, and a journal of what it was before code that is
//! unconfirmed changed it. Never knows what a token means.
//!
//! | the code that runs is | a change that the kernel takes | a change that it refuses |
//! |---|---|---|
//! | confirmed | is in the table | is the caller's error, nothing else |
//! | unconfirmed, first change to this number | as above; what was before goes into the journal | the same |
//! | unconfirmed, later changes | is in the table; the journal keeps what was first | the same |
//! | confirmed now (`keep`) | the journal is forgotten | |
//! | failed (`undo`) | each number in the journal is as it was | |
//!
//! Why numbers suffice: no descriptor of the carry is closed while the code is unconfirmed, so where the
//! journal says that a number was watched it still names the same file. A number that was not watched
//! may have been closed and taken by another file since; what was added there is taken out, and if it
//! is gone with its file, there is nothing to do. A number in the table may be stale, its file closed
//! without a word; but the kernel changes or deletes only what it watches, and then the last change
//! that it took for this number is what is in the table. The kernel looks at a file anew when it is
//! added or modified, so readiness that the new code could not wait for reaches the old code.

#![allow(unsafe_code)] // borrows descriptors by the numbers that the running version lends

use crate::abi::{WatchChange, WorkerContext};
use crate::sys::accept::is_same_socket;
use crate::sys::epoll::{Epoll, Interest};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

/// How one descriptor is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Watched {
    token: u64,
    interest: Interest,
}

/// The table and the journal.
#[derive(Debug)]
struct Watches {
    /// By descriptor number.
    table: Vec<Option<Watched>>,
    /// What unconfirmed code has changed, as it was before.
    journal: HashMap<i32, Option<Watched>>,
}

thread_local! {
    static WATCHES: RefCell<Watches> = RefCell::new(Watches { table: Vec::new(), journal: HashMap::new() });
}

/// The worker's epoll set.
pub(super) fn epoll() -> Epoll<'static> {
    // SAFETY: opened before the host was set up, and never closed.
    Epoll(unsafe { BorrowedFd::borrow_raw(WorkerContext::current().epoll.get()) })
}

/// One change by the running version. What it undoes is noted if the version is unconfirmed.
pub(super) extern "C" fn watch(change: WatchChange, fd: i32, token: u64, interest: u32) -> i32 {
    let interest = Interest::from_bits(interest);
    let is_unconfirmed = WorkerContext::current().unconfirmed.get() != 0;
    let wanted = Watched { token, interest };
    match WATCHES.with_borrow_mut(|watches| watches.change(change, fd, wanted, is_unconfirmed)) {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}

/// The new code is confirmed: what it changed stays.
pub(super) fn keep() {
    WATCHES.with_borrow_mut(|watches| watches.journal.clear());
}

/// A socket is closed for good: nobody is to be woken on its account, whatever descriptors of it the
/// application has. Only while the code that runs is confirmed.
pub(super) fn forget(socket: BorrowedFd<'_>) {
    WATCHES.with_borrow_mut(|watches| {
        for (fd, watched) in (0..).zip(&mut watches.table) {
            if watched.is_some() && is_socket(fd, socket) {
                // Gone already, if the entry is stale.
                let _ = apply(WatchChange::Delete, fd, NOTHING);
                *watched = None;
            }
        }
    });
}

fn is_socket(fd: i32, socket: BorrowedFd<'_>) -> bool {
    // SAFETY: as in `apply`: a number that was closed is an error to the kernel, and no memory
    // depends on it.
    is_same_socket(unsafe { BorrowedFd::borrow_raw(fd) }, socket)
}

/// The new code failed: everything is watched as it was when it was entered. Comes before any
/// descriptor that it left is closed.
pub(super) fn undo() {
    WATCHES.with_borrow_mut(Watches::undo);
}

impl Watches {
    fn change(
        &mut self,
        change: WatchChange,
        fd: i32,
        wanted: Watched,
        is_unconfirmed: bool,
    ) -> io::Result<()> {
        apply(change, fd, wanted)?;
        let index = fd as usize; // the kernel took it: it is a descriptor
        if self.table.len() <= index {
            self.table.resize(index + 1, None);
        }
        let before = match change {
            // The kernel did not watch it, whatever a stale entry says.
            WatchChange::Add => None,
            WatchChange::Modify | WatchChange::Delete => self.table[index],
        };
        if is_unconfirmed {
            self.journal.entry(fd).or_insert(before);
        }
        self.table[index] = (change != WatchChange::Delete).then_some(wanted);
        Ok(())
    }

    fn undo(&mut self) {
        for (fd, before) in std::mem::take(&mut self.journal) {
            self.table[fd as usize] = before;
            let Some(watched) = before else {
                // Gone already, if its file was closed.
                let _ = apply(WatchChange::Delete, fd, NOTHING);
                continue;
            };
            let restored = match apply(WatchChange::Modify, fd, watched) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    apply(WatchChange::Add, fd, watched)
                }
                other => other,
            };
            if let Err(error) = restored {
                tracing::error!(fd, %error, "a descriptor cannot be watched as before the crossing");
            }
        }
    }
}

const NOTHING: Watched = Watched {
    token: 0,
    interest: Interest::NONE,
};

fn apply(change: WatchChange, fd: i32, watched: Watched) -> io::Result<()> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the caller of `watch` lends an open descriptor for the call. In `undo` a number may have
    // been closed; then the kernel answers that it is none, and no memory depends on it.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let Watched { token, interest } = watched;
    match change {
        WatchChange::Add => epoll().add(fd, token, interest),
        WatchChange::Modify => epoll().modify(fd, token, interest),
        WatchChange::Delete => epoll().delete(fd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{ROOMY, test_name, with_regions};
    use crate::ids::WorkerSlot;
    use crate::sys::epoll::Ready;
    use crate::sys::time::Nanos;
    use std::cell::Cell;
    use std::io::{PipeReader, PipeWriter, Write, pipe};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    const ADD: WatchChange = WatchChange::Add;
    const MODIFY: WatchChange = WatchChange::Modify;
    const DELETE: WatchChange = WatchChange::Delete;

    fn set_up() {
        let context = WorkerContext::current();
        context.attach(WorkerSlot(0));
        let epoll = Epoll::create().expect("an epoll descriptor");
        context.epoll.set(epoll.into_raw_fd());
    }

    fn change(change: WatchChange, fd: &impl AsFd, token: u64, interest: Interest) -> i32 {
        watch(change, fd.as_fd().as_raw_fd(), token, interest.bits())
    }

    fn unconfirmed(is_so: bool) {
        WorkerContext::current().unconfirmed.set(u32::from(is_so));
    }

    /// What the kernel watches: descriptors, bits, tokens.
    fn watched() -> Vec<String> {
        let fd = WorkerContext::current().epoll.get();
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("/proc");
        let targets = text.lines().filter(|line| line.starts_with("tfd:"));
        let mut lines: Vec<String> = targets.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn ready() -> Vec<u64> {
        let mut ready = [Ready::EMPTY; 16];
        let count = epoll().wait(&mut ready, Some(Nanos(0))).expect("waited");
        let mut tokens: Vec<u64> = ready[..count].iter().map(Ready::token).collect();
        tokens.sort_unstable();
        tokens
    }

    fn pipes(count: usize) -> Vec<(PipeReader, PipeWriter)> {
        (0..count).map(|_| pipe().expect("a pipe")).collect()
    }

    // R24
    #[test]
    fn old_code_waits_for_what_it_waited_for_whatever_new_code_did() {
        let name = test_name!("old_code_waits_for_what_it_waited_for_whatever_new_code_did");
        with_regions(name, ROOMY, || {
            set_up();
            let mut pipes = pipes(4);
            for (token, (reader, _)) in (10..).zip(&pipes[..3]) {
                assert_eq!(change(ADD, reader, token, Interest::READABLE), 0);
            }
            let before = watched();
            unconfirmed(true);
            // Another token and interest; taken out; taken out and put back otherwise; a newcomer.
            assert_eq!(change(MODIFY, &pipes[0].0, 90, Interest::NONE), 0);
            assert_eq!(change(DELETE, &pipes[1].0, 0, Interest::NONE), 0);
            assert_eq!(change(DELETE, &pipes[2].0, 0, Interest::NONE), 0);
            assert_eq!(change(ADD, &pipes[2].0, 92, Interest::BOTH), 0);
            assert_eq!(change(ADD, &pipes[3].0, 93, Interest::READABLE), 0);
            // What comes meanwhile waits for the old code.
            for (_, writer) in &mut pipes {
                writer.write_all(b"x").expect("written");
            }
            undo();
            assert_eq!(watched(), before);
            assert_eq!(ready(), [10, 11, 12]);
        });
    }

    // R24
    #[test]
    fn confirmed_code_keeps_its_changes_and_errors_come_at_once() {
        let name = test_name!("confirmed_code_keeps_its_changes_and_errors_come_at_once");
        with_regions(name, ROOMY, || {
            set_up();
            let pipes = pipes(2);
            let file = std::fs::File::open("/proc/self/maps").expect("a file");
            unconfirmed(true);
            assert_eq!(change(ADD, &pipes[0].0, 1, Interest::READABLE), 0);
            let again = change(ADD, &pipes[0].0, 2, Interest::READABLE);
            assert_eq!(again, libc::EEXIST);
            for absent in [MODIFY, DELETE] {
                assert_eq!(
                    change(absent, &pipes[1].0, 3, Interest::READABLE),
                    libc::ENOENT
                );
            }
            assert_eq!(change(ADD, &file, 4, Interest::READABLE), libc::EPERM);
            assert_eq!(watch(ADD, -1, 5, Interest::READABLE.bits()), libc::EBADF);
            keep();
            unconfirmed(false);
            let kept = watched();
            assert_eq!(kept.len(), 1);
            // Confirmed code's changes are nobody's to undo.
            assert_eq!(change(MODIFY, &pipes[0].0, 6, Interest::BOTH), 0);
            let changed = watched();
            assert_ne!(changed, kept);
            undo();
            assert_eq!(watched(), changed);
        });
    }

    // R33
    #[test]
    fn a_listener_that_is_closed_wakes_nobody_under_any_descriptor() {
        let name = test_name!("a_listener_that_is_closed_wakes_nobody_under_any_descriptor");
        with_regions(name, ROOMY, || {
            set_up();
            let any = || std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let (kept, hosts) = (any(), any());
            let application = hosts.try_clone().expect("a descriptor");
            assert_eq!(change(ADD, &kept, 1, Interest::READABLE), 0);
            assert_eq!(change(ADD, &application, 2, Interest::READABLE), 0);
            crate::sys::accept::close_queue(hosts.as_fd());
            assert_eq!(ready(), [2], "it would be ready for ever");
            forget(hosts.as_fd());
            assert!(ready().is_empty());
            let address = kept.local_addr().expect("bound");
            let _client = std::net::TcpStream::connect(address).expect("it listens");
            assert_eq!(ready(), [1]);
            // The application deregisters what it drops: nothing is there any more.
            assert_eq!(
                change(DELETE, &application, 0, Interest::NONE),
                libc::ENOENT
            );
        });
    }

    // R24
    #[test]
    fn any_changes_are_undone_also_where_numbers_are_used_again() {
        let name = test_name!("any_changes_are_undone_also_where_numbers_are_used_again");
        with_regions(name, ROOMY, || {
            set_up();
            let pipes = pipes(8);
            let seed = Cell::new(0x9e37_79b9_7f4a_7c15_u64);
            let next = |below: u64| {
                let mut number = seed.get();
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                seed.set(number);
                number % below
            };
            let interests = [Interest::READABLE, Interest::NONE, Interest::BOTH];
            let any = |fd: &PipeReader| {
                let kind = [ADD, MODIFY, DELETE][next(3) as usize];
                let interest = interests[next(3) as usize];
                watch(kind, fd.as_raw_fd(), next(1000), interest.bits())
            };
            let mut undone = 0;
            for _ in 0..500 {
                // The old code, and descriptors that it closed without a word.
                for _ in 0..next(12) {
                    any(&pipes[next(8) as usize].0);
                    let passing = pipe().expect("a pipe");
                    any(&passing.0);
                }
                let before = watched();
                unconfirmed(true);
                let mut own = Vec::new();
                for _ in 0..next(12) {
                    undone += u32::from(any(&pipes[next(8) as usize].0) == 0);
                    let passing = pipe().expect("a pipe");
                    undone += u32::from(any(&passing.0) == 0);
                    if next(2) == 0 {
                        own.push(passing);
                    }
                }
                undo();
                unconfirmed(false);
                assert_eq!(watched(), before);
            }
            assert!(undone > 1000, "only {undone} changes were taken");
        });
    }
}
