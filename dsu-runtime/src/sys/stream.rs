#![allow(unsafe_code)] // ioctls that fill an integer
//! What the kernel still holds of a stream of bytes.
//!
//! Knows nothing of who sends and why it matters.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes that have arrived and were not read.
///
/// # Errors
/// The descriptor is no stream.
pub fn arrived(stream: BorrowedFd<'_>) -> io::Result<usize> {
    ask(stream, libc::FIONREAD)
}

/// Bytes that were written and that the peer's system has not acknowledged; the end of the stream, once
/// it was sent, counts as one.
///
/// # Errors
/// The descriptor is no stream.
pub fn unacknowledged(stream: BorrowedFd<'_>) -> io::Result<usize> {
    // SIOCOUTQ has the number of TIOCOUTQ.
    ask(stream, libc::TIOCOUTQ)
}

fn ask(stream: BorrowedFd<'_>, question: libc::Ioctl) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: both questions write one integer to a place that outlives the call.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), question, &raw mut count) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}
