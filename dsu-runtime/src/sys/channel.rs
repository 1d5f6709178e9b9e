#![allow(unsafe_code)] // takes ownership of descriptors that a message brought
//! Packets with descriptors between two processes, on a socket pair.
//!
//! Owns framing: one packet a message; a message that is too long for a packet travels as a memory
//! file beside it. Must never know what the bytes mean.

use nix::cmsg_space;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Bytes that go into a packet; below every default of the socket buffer.
const PACKET: usize = 32 << 10;
/// Bytes of a message at the most: what the other side claims is not believed beyond that.
const LONGEST: u64 = 64 << 20;
/// Descriptors of a message at the most.
const MOST_DESCRIPTORS: usize = 64;

const INLINE: u8 = 0;
const IN_FILE: u8 = 1;

/// One end. Non-blocking.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A message that arrived.
#[derive(Debug)]
pub struct Packet {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its descriptors, in the sender's order.
    pub fds: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends, closed on exec.
    ///
    /// # Errors
    /// Too many descriptors.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (here, there) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        )?;
        Ok((Channel(here), Channel(there)))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// `WouldBlock` while the other side does not read, `BrokenPipe` when it is gone; `InvalidInput`
    /// for more than 60 descriptors.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if fds.len() >= MOST_DESCRIPTORS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        if bytes.len() <= PACKET {
            return self.send_packet(&[INLINE], bytes, &numbers);
        }
        let mut file = File::from(memfd_create(c"dsu-message", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(bytes)?;
        numbers.insert(0, file.as_raw_fd());
        self.send_packet(&[IN_FILE], &[], &numbers)
    }

    fn send_packet(&self, kind: &[u8], bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
        let parts = [IoSlice::new(kind), IoSlice::new(bytes)];
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights[..] };
        sendmsg::<()>(self.0.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }

    /// Takes the next message; `None` while there is none.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other side is gone, `InvalidData` for what no [`Channel`] sends.
    pub fn receive(&self) -> io::Result<Option<Packet>> {
        let mut bytes = vec![0; PACKET + 1];
        let mut space = cmsg_space!([RawFd; MOST_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg::<()>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
        );
        let message = match received {
            Ok(message) => message,
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut fds = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just opened these descriptors in this process for us.
                fds.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let (length, is_cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
        bytes.truncate(length);
        match bytes.first() {
            None => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(&INLINE) if !is_cut => {
                bytes.remove(0);
                Ok(Some(Packet { bytes, fds }))
            }
            Some(&IN_FILE) if !fds.is_empty() => {
                let bytes = read_whole(File::from(fds.remove(0)))?;
                Ok(Some(Packet { bytes, fds }))
            }
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn read_whole(mut file: File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
}

impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Self {
        Channel(fd)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_longer_than_a_packet_arrives_whole_with_its_descriptors() {
        let (here, there) = Channel::pair().unwrap();
        let long: Vec<u8> = (0..1_000_000u32).map(|i| i as u8).collect();
        here.send(&long, &[here.as_fd()]).unwrap();
        here.send(b"short", &[]).unwrap();
        let first = there.receive().unwrap().unwrap();
        assert_eq!(first.bytes, long);
        assert_eq!(first.fds.len(), 1);
        assert_eq!(there.receive().unwrap().unwrap().bytes, b"short");
        assert!(there.receive().unwrap().is_none());
    }

    #[test]
    fn a_peer_that_is_gone_is_an_end_of_file() {
        let (here, there) = Channel::pair().unwrap();
        drop(here);
        let error = there.receive().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
