//! How much is done in a second, lately: from the totals as they were in the last moments.
//!
//! As Redis does, over sixteen looks at the totals of at least a tenth of a second each.

use crate::ledger::Snapshot;
use crate::server::Rates;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered.
const LOOKS: usize = 16;
/// From one look to the next.
const BETWEEN: Duration = Duration::from_millis(100);

/// The totals at some moments, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Looks(VecDeque<(Instant, [u64; 3])>);

impl Looks {
    /// The totals at this moment.
    pub(crate) fn look(&mut self, now: Instant, totals: &Snapshot) {
        let is_early = |(last, _): &(Instant, _)| now.saturating_duration_since(*last) < BETWEEN;
        if self.0.back().is_some_and(is_early) {
            return;
        }
        if self.0.len() > LOOKS {
            self.0.pop_front();
        }
        let sums = [totals.counters.commands, totals.bytes_in, totals.bytes_out];
        self.0.push_back((now, sums));
    }

    /// What was done in a second between the first look and the last.
    pub(crate) fn rates(&self) -> Rates {
        let (Some((first, old)), Some((last, new))) = (self.0.front(), self.0.back()) else {
            return Rates::default();
        };
        let seconds = last.saturating_duration_since(*first).as_secs_f64();
        let rate = |at: usize| match seconds {
            0.0 => 0.0,
            _ => new[at].saturating_sub(old[at]) as f64 / seconds,
        };
        Rates {
            commands: rate(0),
            bytes_in: rate(1),
            bytes_out: rate(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Counters;

    #[test]
    fn rates_are_those_of_the_last_looks() {
        let began = Instant::now();
        let mut looks = Looks::default();
        assert_eq!(looks.rates(), Rates::default());
        let mut totals = Snapshot::default();
        for n in 0..200 {
            // A thousand a second, ten thousand in the last two.
            let each = if n < 180 { 100 } else { 1000 };
            totals.counters += Counters {
                commands: each,
                ..Counters::default()
            };
            totals.bytes_in += 5 * each;
            looks.look(began + n * BETWEEN, &totals);
            looks.look(began + n * BETWEEN + BETWEEN / 2, &Snapshot::default());
            if n == 100 {
                assert_eq!(looks.rates().commands.round(), 1000.0);
            }
        }
        let rates = looks.rates();
        assert_eq!(rates.commands.round(), 10_000.0);
        assert_eq!(rates.bytes_in.round(), 50_000.0);
        assert_eq!(rates.bytes_out, 0.0);
    }
}
