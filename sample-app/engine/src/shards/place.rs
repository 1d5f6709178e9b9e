//! Which shard a key lies in. Fixed for all versions.

/// Shards of every version; a key's place must never change.
pub const SHARDS: usize = 16;

/// The shard that `key` lies in: FNV-1a's step over words of eight bytes, folded. Fixed for all versions.
#[inline]
pub fn shard_of(key: &[u8]) -> usize {
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 32)
    };
    let (words, rest) = key.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let hash = words.chain([short(rest)]).fold(key.len() as u64, step);
    (hash >> 28) as usize % SHARDS
}

/// Fewer than eight bytes as a number, the first the lowest. Read from both ends, where they may overlap:
/// byte after byte takes as long as all the rest.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    let last = |size| 8 * (bytes.len() - size);
    if let (Some(first), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*end)) << last(4)
    } else if let (Some(first), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u64::from(u16::from_le_bytes(*first)) | u64::from(u16::from_le_bytes(*end)) << last(2)
    } else {
        bytes.first().map_or(0, |byte| u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::{shard_of, short};

    #[test]
    fn a_short_word_is_its_bytes_the_first_the_lowest() {
        let bytes: [u8; 8] = std::array::from_fn(|at| 0xf1 - 13 * at as u8);
        for length in 0..8 {
            let mut word = [0; 8];
            word[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(
                short(&bytes[..length]),
                u64::from_le_bytes(word),
                "{length}"
            );
        }
    }

    #[test]
    fn a_key_stays_where_every_version_looks_for_it() {
        let shards = [
            (&b""[..], 0),
            (b"k", 3),
            (b"mylist", 14),
            (b"12345678", 0),
            (b"key:000000000001", 7),
            (b"key:0000000000012", 3),
        ];
        for (key, shard) in shards {
            assert_eq!(shard_of(key), shard, "{}", key.escape_ascii());
        }
    }
}
