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
    let tail = rest.iter().rev();
    let tail = tail.fold(0, |word, byte| word << 8 | u64::from(*byte));
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let hash = words.chain([tail]).fold(key.len() as u64, step);
    (hash >> 28) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::shard_of;

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
