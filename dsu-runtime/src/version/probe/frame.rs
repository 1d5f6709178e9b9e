//! The one message that goes up each pipe of the probe: magic, length, digest, JSON.
//!
//! A stray write of a library into a descriptor that it guessed does not look like this.

use super::Probed;
use crate::version::refusal::Refusal;
use sha2::{Digest, Sha256};

const MAGIC: [u8; 8] = *b"dsuprobe";
const HEAD: usize = 8 + 8 + 32;

/// Longest message that is read, in bytes; a manifest of 10,000 types fits.
pub const LIMIT: usize = 16 << 20;

/// The message for a result.
pub fn encode(result: &Result<Probed, Refusal>) -> Vec<u8> {
    let body = serde_json::to_vec(result).unwrap_or_else(|error| {
        let refusal = Refusal::ProbeFailed {
            reason: error.to_string(),
        };
        serde_json::to_vec(&Err::<(), _>(refusal)).unwrap_or_default()
    });
    let mut message = Vec::with_capacity(HEAD + body.len());
    message.extend(MAGIC);
    message.extend((body.len() as u64).to_le_bytes());
    message.extend(Sha256::digest(&body));
    message.extend(body);
    message
}

/// The result in a whole message; `None` if it is anything else.
pub fn decode(message: &[u8]) -> Option<Result<Probed, Refusal>> {
    let (head, body) = message.split_at_checked(HEAD)?;
    let len = (body.len() as u64).to_le_bytes();
    let is_ours = head[..8] == MAGIC && head[8..16] == len && head[16..] == *Sha256::digest(body);
    is_ours.then(|| serde_json::from_slice(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_untouched_message_is_read() {
        let refusal = Refusal::NeedsLibrary {
            name: "libssl.so.3".into(),
        };
        let message = encode(&Err(refusal.clone()));
        assert_eq!(decode(&message), Some(Err(refusal)));
        assert_eq!(decode(&message[..message.len() - 1]), None);
        for at in 0..message.len() {
            let mut damaged = message.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {at}");
        }
        let mut longer = message;
        longer.push(b'\n');
        assert_eq!(decode(&longer), None);
    }
}
