#![allow(unsafe_code)] // takes ownership of a number that accept4 returned
//! Accepting connections.

use nix::sys::socket::{SockFlag, accept4};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Takes a waiting connection, non-blocking and closed on exec.
///
/// # Errors
/// `WouldBlock` if none waits, or what accept4(2) says.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = accept4(
        listener.as_raw_fd(),
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
    )?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
