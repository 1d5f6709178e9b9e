//! Packets with descriptors between two processes, and who is at the other end of a socket.
//!
//! Owns how a message of any size crosses a packet socket; never looks into one.
#![allow(unsafe_code)] // descriptors that the kernel hands out become owned here

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Longer messages travel in a memfd: a packet has to fit into the socket's buffer.
const INLINE_LIMIT: usize = 60 << 10;
/// What a peer may make us read for one message.
const MESSAGE_LIMIT: u64 = 64 << 20;
/// The kernel takes at most 253 descriptors a packet.
pub const DESCRIPTORS_LIMIT: usize = 250;

const INLINE: u8 = b'i';
const IN_MEMFD: u8 = b'm';

/// One end of a socket that keeps the borders of messages and passes descriptors with them.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Packet {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// In the order in which they were sent; close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Two connected ends, both close-on-exec and non-blocking.
    ///
    /// # Errors
    /// Those of `socketpair`.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Channel(a), Channel(b)))
    }

    /// An end that was inherited.
    pub fn from_descriptor(descriptor: OwnedFd) -> Channel {
        Channel(descriptor)
    }

    /// Sends one message whole, or nothing of it.
    ///
    /// # Errors
    /// `WouldBlock` when the other end does not read; others are final.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut raw: Vec<RawFd> = Vec::with_capacity(descriptors.len() + 1);
        let memfd;
        let mut packet = Vec::new();
        if bytes.len() <= INLINE_LIMIT {
            packet.push(INLINE);
            packet.extend_from_slice(bytes);
        } else {
            packet.push(IN_MEMFD);
            let mut file = File::from(memfd_create(c"dsu-message", MFdFlags::MFD_CLOEXEC)?);
            file.write_all(bytes)?;
            memfd = file;
            raw.push(memfd.as_raw_fd());
        }
        raw.extend(descriptors.iter().map(|d| d.as_raw_fd()));
        if raw.len() > DESCRIPTORS_LIMIT {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            match sendmsg::<()>(
                self.0.as_raw_fd(),
                &[IoSlice::new(&packet)],
                rights,
                flags,
                None,
            ) {
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// The next message, or `None` when the other end is closed.
    ///
    /// # Errors
    /// `WouldBlock` when there is none yet; `InvalidData` when it is not one of ours.
    pub fn receive(&self) -> io::Result<Option<Packet>> {
        let mut buffer = vec![0u8; INLINE_LIMIT + 1];
        let mut space = cmsg_space!([RawFd; DESCRIPTORS_LIMIT + 1]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = loop {
            match recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut space), flags) {
                Err(Errno::EINTR) => continue,
                // The other end died with messages of ours unread.
                Err(Errno::ECONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                // SAFETY: the kernel has just installed these descriptors for us; nobody else has them.
                descriptors.extend(
                    raw.into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        let (len, cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
        if len == 0 {
            return Ok(None);
        }
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let bytes = match buffer[0] {
            _ if cut => return Err(bad("a message is longer than a packet may be")),
            INLINE => buffer[1..len].to_vec(),
            IN_MEMFD if !descriptors.is_empty() => {
                let mut file = File::from(descriptors.remove(0));
                file.rewind()?;
                let mut bytes = Vec::new();
                file.take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
                bytes
            }
            _ => return Err(bad("a packet does not begin as a message")),
        };
        Ok(Some(Packet { bytes, descriptors }))
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
    fn a_message_of_any_size_arrives_whole_with_its_descriptors() {
        let (a, b) = Channel::pair().expect("a pair");
        for size in [0, 1, INLINE_LIMIT, INLINE_LIMIT + 1, 3 << 20] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let mut file = File::from(memfd_create(c"test", MFdFlags::empty()).expect("a file"));
            file.write_all(b"inside").expect("written");
            a.send(&bytes, &[file.as_fd()]).expect("sent");
            let packet = b.receive().expect("received").expect("open");
            assert_eq!(packet.bytes, bytes);
            assert_eq!(packet.descriptors.len(), 1);
            let mut copy = File::from(packet.descriptors.into_iter().next().expect("one"));
            copy.rewind().expect("rewound");
            let mut text = String::new();
            copy.read_to_string(&mut text).expect("read");
            assert_eq!(text, "inside");
        }
    }

    #[test]
    fn a_full_channel_says_so_and_a_closed_one_ends() {
        let (a, b) = Channel::pair().expect("a pair");
        let full = (0..100_000).find_map(|_| a.send(&[7; 1000], &[]).err());
        assert_eq!(full.expect("it fills up").kind(), io::ErrorKind::WouldBlock);
        drop(a);
        while b.receive().expect("what was sent is read first").is_some() {}
        assert!(b.receive().expect("still closed").is_none());
    }
}
