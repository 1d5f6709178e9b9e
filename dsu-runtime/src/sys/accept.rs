#![allow(unsafe_code)] // takes ownership of a number that accept4 returned; a socket option with a pointer
//! Accepting connections, and the end of accepting them.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, SockFlag, accept4, getsockopt, shutdown, sockopt};
use nix::sys::stat::fstat;
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

/// Lets the kernel drop every packet that asks the listener for a connection. Connections that were made
/// stay in its queue and work, and who has been answered already can still complete one. Who is not
/// answered sends the packet again later.
///
/// # Errors
/// What setsockopt(2) says.
pub fn drop_arrivals(listener: BorrowedFd<'_>) -> io::Result<()> {
    /// In a TCP header: where the flags are, and the one of a packet that begins a connection.
    const FLAGS: u32 = 13;
    const SYN: u32 = 2;
    const fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
        let code = code as u16;
        libc::sock_filter { code, jt, jf, k }
    }
    // Classic BPF (McCanne and Jacobson, USENIX 1993); it sees the packet from the TCP header on.
    let mut program = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, FLAGS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, SYN, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, u32::MAX, 0, 0),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies filter and program during the call; both outlive it, and the length
    // given is that of the structure.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes connections again after [`drop_arrivals`]. Who tried meanwhile tries again, and gets in.
///
/// # Errors
/// What setsockopt(2) says; nothing was dropped before.
pub fn take_arrivals(listener: BorrowedFd<'_>) -> io::Result<()> {
    let unused: libc::c_int = 0;
    // SAFETY: the kernel reads one integer during the call, and does not use it.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            (&raw const unused).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether two descriptors are of one socket.
pub fn is_same_socket(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let place = |fd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether a socket listens: one that [`close_queue`] has ended does not.
pub fn is_listening(listener: BorrowedFd<'_>) -> bool {
    getsockopt(&listener, sockopt::AcceptConn).unwrap_or(false)
}

/// Whether a connection waits to be accepted.
pub fn has_queued(listener: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::POLLIN)];
    let found = poll(&mut fds, PollTimeout::ZERO);
    found.is_ok()
        && fds[0]
            .revents()
            .is_some_and(|r| r.contains(PollFlags::POLLIN))
}

/// Ends listening in every process that has the socket; connections still in its queue are reset.
pub fn close_queue(listener: BorrowedFd<'_>) {
    // It fails for a socket that listens no more: then there is nothing to end.
    let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
}
