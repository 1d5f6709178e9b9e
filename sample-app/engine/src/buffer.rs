//! What a connection has received and not understood yet, and what it has to say and has
//! not sent yet. Both are written with their unfinished part alone when a session crosses
//! to another version.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Space for at least this much is offered to each read.
const READ_SIZE: usize = 16 << 10;

/// A buffer that has grown beyond this is given back once everything in it is understood.
const KEPT_INPUT: usize = 1 << 20;

/// Bytes from the peer. The storage is kept initialised to its end, so that offering space
/// for a read costs no clearing.
#[derive(Debug, Default)]
pub(crate) struct Input {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Passes over bytes that were understood.
    #[inline]
    pub(crate) fn consume(&mut self, length: usize) {
        self.start += length;
        debug_assert!(self.start <= self.end, "consumed more than was received");
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.storage.len() > KEPT_INPUT {
                self.storage = Vec::new();
            }
        }
    }

    /// Room for the next read; grows by doubling, never to an announced length.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.storage.len() - self.end < READ_SIZE {
            // Moving costs at most what was consumed since the last move.
            if self.start >= self.end - self.start {
                self.storage.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.storage.len() - self.end < READ_SIZE {
                let wanted = (self.storage.len() * 2).max(self.end + READ_SIZE);
                self.storage.resize(wanted, 0);
            }
        }
        &mut self.storage[self.end..]
    }

    /// The first `length` bytes of [`space`](Self::space) were filled.
    #[inline]
    pub(crate) fn filled(&mut self, length: usize) {
        assert!(
            length <= self.storage.len() - self.end,
            "more was filled than space was offered"
        );
        self.end += length;
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = self.space();
            let length = rest.len().min(space.len());
            space[..length].copy_from_slice(&rest[..length]);
            self.filled(length);
            rest = &rest[length..];
        }
    }

    pub(crate) fn trim(&mut self) {
        if self.len() == 0 {
            *self = Self::default();
        }
    }
}

/// Bytes for the peer.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

/// A buffer that has grown beyond this is given back once it is empty.
const KEPT_OUTPUT: usize = 64 << 10;

impl Output {
    #[inline]
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(crate) fn sent(&mut self, length: usize) {
        self.sent += length;
        assert!(self.sent <= self.bytes.len(), "sent more than there was");
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_OUTPUT {
                self.bytes = Vec::new();
            }
        }
    }

    /// To append replies to.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        self.tail_and_sent().0
    }

    /// To append replies to, and how much of it is sent already.
    #[inline]
    pub(crate) fn tail_and_sent(&mut self) -> (&mut Vec<u8>, usize) {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        (&mut self.bytes, self.sent)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn trim(&mut self) {
        if self.unsent().is_empty() {
            *self = Self::default();
        }
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.unread())
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let storage = deserializer.deserialize_byte_buf(Bytes)?;
        let end = storage.len();
        Ok(Self {
            storage,
            start: 0,
            end,
        })
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.unsent())
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_byte_buf(Bytes)?;
        Ok(Self { bytes, sent: 0 })
    }
}

/// Takes bytes as a format offers them: whole, or one by one.
struct Bytes;

impl<'de> serde::de::Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
