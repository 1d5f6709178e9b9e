#![allow(unsafe_code)] // epoll system calls on a descriptor that several copies of the runtime share
//! Epoll, on a descriptor that lives as long as its worker and is known only by number.
//!
//! Owns the translation to the kernel's structures; must never know what a token means.

use super::time::Nanos;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// What to be told of. Level-triggered: told again until it is no longer so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest(u32);

impl Interest {
    /// Nothing but errors and hang-ups.
    pub const NONE: Interest = Interest(0);
    /// There is something to read, or the other side has closed.
    pub const READABLE: Interest = Interest((libc::EPOLLIN | libc::EPOLLRDHUP) as u32);
    /// There is room to write.
    pub const WRITABLE: Interest = Interest(libc::EPOLLOUT as u32);
    /// Both.
    pub const BOTH: Interest = Interest(Self::READABLE.0 | Self::WRITABLE.0);

    /// The kernel's bits, to pass an interest from one copy of the runtime to another.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// What [`bits`](Self::bits) said.
    pub(crate) fn from_bits(bits: u32) -> Interest {
        Interest(bits)
    }
}

/// One ready descriptor.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Ready(libc::epoll_event);

impl Ready {
    /// Room for one.
    pub const EMPTY: Ready = Ready(libc::epoll_event { events: 0, u64: 0 });

    /// The token under which it was added.
    pub fn token(&self) -> u64 {
        self.0.u64
    }

    /// Something to read, the end of the stream, or an error to be found by reading.
    pub fn is_readable(&self) -> bool {
        self.has(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR)
    }

    /// Room to write, or an error to be found by writing.
    pub fn is_writable(&self) -> bool {
        self.has(libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR)
    }

    /// Both directions are over, or the descriptor is in error.
    pub fn is_closed(&self) -> bool {
        self.has(libc::EPOLLHUP | libc::EPOLLERR)
    }

    fn has(&self, bits: i32) -> bool {
        self.0.events & bits as u32 != 0
    }
}

/// An epoll descriptor.
#[derive(Clone, Copy)]
pub struct Epoll<'a>(pub BorrowedFd<'a>);

impl Epoll<'_> {
    /// A new one, closed on exec.
    ///
    /// # Errors
    /// Too many descriptors.
    pub fn create() -> io::Result<OwnedFd> {
        // SAFETY: no memory is passed; the descriptor is new and nobody else's.
        unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(OwnedFd::from_raw_fd(fd))
            }
        }
    }

    /// Watches `fd` under `token`.
    ///
    /// # Errors
    /// It is watched already, or cannot be watched.
    pub fn add(self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes token and interest of a watched `fd`.
    ///
    /// # Errors
    /// It is not watched.
    pub fn modify(self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Stops watching `fd`.
    ///
    /// # Errors
    /// It is not watched.
    pub fn delete(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::NONE)
    }

    fn control(
        self,
        operation: i32,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest.0,
            u64: token,
        };
        // SAFETY: both descriptors are borrowed and so open; the event is read during the call only.
        let result = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                operation,
                fd.as_raw_fd(),
                &raw mut event,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Waits until something is ready or `deadline` has passed; `None` waits without end. A signal
    /// ends the wait with nothing ready. Returns how many places of `ready` are filled.
    ///
    /// # Errors
    /// The descriptor is not an epoll descriptor.
    pub fn wait(self, ready: &mut [Ready], deadline: Option<Nanos>) -> io::Result<usize> {
        let timeout = deadline.map(|deadline| {
            let left = deadline.since(Nanos::now());
            libc::timespec {
                tv_sec: left.as_secs() as libc::time_t,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `Ready` is transparent over `epoll_event`; the kernel fills at most `ready.len()`
        // places and only reads the timeout, which lives until then. No signal mask is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                ready.as_mut_ptr(),
                ready.len(),
                timeout,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        match count {
            0.. => Ok(count as usize),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                error => Err(error),
            },
        }
    }
}
