//! How often which duration was seen, in a fixed number of buckets.
//!
//! The buckets are those of HdrHistogram (Gil Tene): each power of two is cut into sixteen, so that a
//! bucket is at most a sixteenth of its durations wide, from single nanoseconds to 17 seconds.

/// A sixteenth of a power of two.
const SUB_BITS: u32 = 4;
const SUBS: usize = 1 << SUB_BITS;
/// The power of two from which on all is one bucket.
const TOP_BIT: u32 = 34;
/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = (TOP_BIT - SUB_BITS + 1) as usize * SUBS;

/// The bucket of a duration.
pub(crate) fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << TOP_BIT) - 1);
    if ns < SUBS as u64 {
        return ns as usize;
    }
    let shift = ns.ilog2() - SUB_BITS;
    (shift as usize) * SUBS + (ns >> shift) as usize
}

/// The longest duration of a bucket.
pub(crate) fn longest(bucket: usize) -> u64 {
    if bucket < 2 * SUBS {
        return bucket as u64;
    }
    let shift = bucket / SUBS - 1;
    let first = (SUBS + bucket % SUBS) as u64;
    ((first + 1) << shift) - 1
}

/// The duration that no more than `1 - share` of what was seen exceed; 0 if nothing was seen.
pub(crate) fn percentile(seen: &[u64; BUCKETS], share: f64) -> u64 {
    let all: u64 = seen.iter().sum();
    let wanted = ((all as f64 * share).ceil() as u64).max(1);
    let mut below = 0;
    for (bucket, count) in seen.iter().enumerate() {
        below += count;
        if below >= wanted {
            return longest(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for bucket_now in 1..BUCKETS {
            let first = longest(bucket_now - 1) + 1;
            assert_eq!(bucket(first), bucket_now);
            assert_eq!(bucket(longest(bucket_now)), bucket_now);
            assert!(first > last);
            last = first;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_bucket_is_a_sixteenth_of_its_durations_wide() {
        for ns in [17, 100, 999, 12_345, 1_000_000, 999_999_999] {
            let longest = longest(bucket(ns));
            assert!(longest >= ns && longest - ns <= ns / 16, "{ns} {longest}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_seen() {
        let mut seen = [0; BUCKETS];
        assert_eq!(percentile(&seen, 0.5), 0);
        seen[bucket(1000)] = 989;
        seen[bucket(50_000)] = 10;
        seen[bucket(9_000_000)] = 1;
        assert_eq!(percentile(&seen, 0.5), longest(bucket(1000)));
        assert_eq!(percentile(&seen, 0.99), longest(bucket(50_000)));
        assert_eq!(percentile(&seen, 0.999), longest(bucket(50_000)));
        assert_eq!(percentile(&seen, 0.9999), longest(bucket(9_000_000)));
    }
}
