//! SipHash-1-3 (Aumasson, Bernstein: SipHash: a fast short-input PRF, INDOCRYPT 2012), small enough to be
//! inlined where keys are short: most of a lookup's time goes into memory, the rest into this.
//!
//! Owns the arithmetic. The words that make a map's hashes its own are the table's.

use std::hash::Hasher;

/// A hash in the making.
pub(in super::super) struct Sip13 {
    v: [u64; 4],
    /// Bytes that do not fill a word yet, the first lowest.
    tail: u64,
    /// Bytes of `tail`, below 8.
    tail_len: u32,
    len: u64,
}

impl Sip13 {
    #[inline]
    pub(in super::super) fn new(keys: [u64; 2]) -> Sip13 {
        Sip13 {
            v: [
                keys[0] ^ 0x736f_6d65_7073_6575,
                keys[1] ^ 0x646f_7261_6e64_6f6d,
                keys[0] ^ 0x6c79_6765_6e65_7261,
                keys[1] ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            tail_len: 0,
            len: 0,
        }
    }

    #[inline(always)]
    fn absorb(&mut self, word: u64) {
        self.v[3] ^= word;
        round(&mut self.v);
        self.v[0] ^= word;
    }

    /// Up to eight bytes, as if they stood in one word with zeros.
    #[inline(always)]
    fn word(bytes: &[u8]) -> u64 {
        // Two halves that overlap where there are fewer than both have: no call to copy so little.
        let beyond = |half: usize| 8 * (bytes.len() - half);
        if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << beyond(4)
        } else if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
            u64::from(u16::from_le_bytes(*low)) | u64::from(u16::from_le_bytes(*high)) << beyond(2)
        } else {
            bytes.first().map_or(0, |byte| u64::from(*byte))
        }
    }
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

impl Hasher for Sip13 {
    #[inline(always)] // what follows from a key's length is known where it is written
    fn write(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let mut rest = bytes;
        if self.tail_len > 0 {
            let missing = (8 - self.tail_len as usize).min(rest.len());
            self.tail |= Self::word(&rest[..missing]) << (8 * self.tail_len);
            self.tail_len += missing as u32;
            if self.tail_len < 8 {
                return;
            }
            self.absorb(self.tail);
            rest = &rest[missing..];
        }
        let (words, few) = rest.as_chunks::<8>();
        for word in words {
            self.absorb(u64::from_le_bytes(*word));
        }
        (self.tail, self.tail_len) = (Self::word(few), few.len() as u32);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write(&number.to_le_bytes());
    }

    #[inline]
    fn finish(&self) -> u64 {
        let last = self.len << 56 | self.tail;
        let mut v = self.v;
        v[3] ^= last;
        round(&mut v);
        v[0] ^= last;
        v[2] ^= 0xff;
        round(&mut v);
        round(&mut v);
        round(&mut v);
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    proptest! {
        #[test]
        fn it_is_siphash_in_whatever_pieces_bytes_come(
            keys: [u64; 2],
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            number: usize,
        ) {
            let mut ours = Sip13::new(keys);
            let mut theirs = SipHasher13::new_with_keys(keys[0], keys[1]);
            for part in &parts {
                ours.write(part);
                theirs.write(part);
                ours.write_usize(number);
                theirs.write_usize(number);
                prop_assert_eq!(ours.finish(), theirs.finish());
            }
            prop_assert_eq!(ours.finish(), theirs.finish());
        }
    }
}
