//! Sockets that cross in a carry: std's, over a [`Descriptor`].

use super::carried::Carried;
use super::descriptor::Descriptor;
use crate::abi::TypeSchema;
use crate::sys::accept::{accept, is_listening, is_same_socket};
use crate::sys::stream;
use nix::sys::socket::{
    MsgFlags, Shutdown, SockaddrIn, SockaddrIn6, getpeername, getsockname, recv, send, setsockopt,
    shutdown, sockopt,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A listening TCP socket, non-blocking.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listener(Descriptor);

/// A TCP connection, non-blocking.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stream(Descriptor);

impl Listener {
    /// Takes a waiting connection, made non-blocking and without Nagle's delay.
    ///
    /// # Errors
    /// `WouldBlock` if none waits, or what accept(2) says.
    pub fn accept(&self) -> io::Result<Stream> {
        let socket = accept(self.as_fd())?;
        // A socket that is no TCP socket (a Unix listener) has no such delay.
        let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
        Ok(Stream(Descriptor::from(socket)))
    }

    /// Whether it listens: false once the supervisor has closed it for all processes
    /// ([`Notice::ListenersClosed`](super::Notice::ListenersClosed)).
    pub fn is_open(&self) -> bool {
        is_listening(self.as_fd())
    }

    /// Whether both are of one socket, under whatever descriptors and names.
    pub fn is_same(&self, other: &Listener) -> bool {
        is_same_socket(self.as_fd(), other.as_fd())
    }
}

impl From<Descriptor> for Listener {
    fn from(descriptor: Descriptor) -> Self {
        Listener(descriptor)
    }
}

impl Stream {
    /// Address and port of the peer; empty where it has none or is gone.
    pub fn peer_address(&self) -> String {
        let fd = self.number();
        shown(getpeername::<SockaddrIn>(fd), || {
            getpeername::<SockaddrIn6>(fd)
        })
    }

    /// Address and port of this end; empty where it has none.
    pub fn local_address(&self) -> String {
        let fd = self.number();
        shown(getsockname::<SockaddrIn>(fd), || {
            getsockname::<SockaddrIn6>(fd)
        })
    }

    /// Bytes that have arrived and were not read yet.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub fn arrived(&self) -> io::Result<usize> {
        stream::arrived(self.as_fd())
    }

    /// Ends the sending side: the peer reads the end of the stream behind all that was written.
    ///
    /// # Errors
    /// The connection is over.
    pub fn end_output(&self) -> io::Result<()> {
        Ok(shutdown(self.number(), Shutdown::Write)?)
    }

    /// Whether the peer's system has everything that was written, the end of the stream included. A
    /// connection that is closed before, or with bytes that were not read, may take replies that are
    /// on their way with it.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub fn is_delivered(&self) -> io::Result<bool> {
        Ok(stream::unacknowledged(self.as_fd())? == 0)
    }

    /// The descriptor's number in this process, to be shown.
    pub fn number(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }
}

/// An address of either family, as text.
fn shown(four: nix::Result<SockaddrIn>, six: impl FnOnce() -> nix::Result<SockaddrIn6>) -> String {
    match four {
        Ok(address) => address.to_string(),
        Err(_) => six().map(|address| address.to_string()).unwrap_or_default(),
    }
}

impl From<OwnedFd> for Stream {
    fn from(fd: OwnedFd) -> Self {
        Stream(Descriptor::from(fd))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.number(), buffer, MsgFlags::empty())?)
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(
            self.as_fd().as_raw_fd(),
            bytes,
            MsgFlags::MSG_NOSIGNAL,
        )?)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(nix::sys::uio::writev(self, parts)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Carried for Listener {
    fn schema() -> TypeSchema {
        TypeSchema::leaf::<()>("Listener")
    }
}

impl Carried for Stream {
    fn schema() -> TypeSchema {
        TypeSchema::leaf::<()>("Stream")
    }
}
