//! Sums over connections and phases.

use super::COMMON_COUNTERS;
use super::wire::Value;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Errors that are kept as text; the rest is only counted.
const TEXTS_KEPT: usize = 20;

/// One named stretch of time.
#[derive(Clone, Debug)]
pub struct Phase {
    /// As the caller called it.
    pub name: String,
    latency_ns: Histogram<u64>,
}

impl Phase {
    /// Requests answered in it.
    pub fn requests(&self) -> u64 {
        self.latency_ns.len()
    }

    /// The longest that any request of the phase took.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.latency_ns.max())
    }

    /// The time within which this share (0 to 1) of the requests were answered.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.latency_ns.value_at_quantile(share))
    }
}

/// What a load came to.
#[derive(Clone, Debug)]
pub struct Results {
    /// In their order.
    pub phases: Vec<Phase>,
    /// Requests answered.
    pub requests: u64,
    /// Writes that the server acknowledged.
    pub acknowledged_writes: u64,
    /// Replies that were not the right one, and requests that were never answered.
    pub errors: u64,
    /// Connections that broke.
    pub disconnects: u64,
    /// Keys read back at the end.
    pub keys_verified: u64,
    /// Keys that then did not hold what they must.
    pub lost: u64,
    /// The first errors and losses in words.
    pub texts: Vec<String>,
    /// Per common counter: raises that were acknowledged, and raises of unknown fate.
    common: [(u64, u64); COMMON_COUNTERS],
}

impl Results {
    pub(super) fn add_up(names: &[String], tallies: Vec<Tally>) -> Results {
        let mut sum = Tally::default();
        for tally in tallies {
            sum.merge(tally);
        }
        sum.phases.resize_with(names.len(), empty_histogram);
        let phases = names
            .iter()
            .zip(sum.phases)
            .map(|(name, latency_ns)| Phase {
                name: name.clone(),
                latency_ns,
            });
        Results {
            phases: phases.collect(),
            requests: sum.requests,
            acknowledged_writes: sum.acknowledged_writes,
            errors: sum.errors,
            disconnects: sum.disconnects,
            keys_verified: sum.keys_verified,
            lost: sum.lost,
            texts: sum.texts,
            common: sum.common,
        }
    }

    /// Compares a common counter with the raises that were acknowledged.
    pub(super) fn check_common(&mut self, index: usize, key: &str, found: Value) {
        self.keys_verified += 1;
        let (raised, doubtful) = self.common[index];
        let number = match &found {
            Value::Bulk(None) => Some(0),
            Value::Bulk(Some(text)) => String::from_utf8_lossy(text).parse::<u64>().ok(),
            _ => None,
        };
        if !number.is_some_and(|number| (raised..=raised + doubtful).contains(&number)) {
            self.lost += 1;
            self.texts.push(format!(
                "{key}: {raised} raises, the server holds {found:?}"
            ));
        }
    }

    /// No error, no disconnect, nothing lost.
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.disconnects == 0 && self.lost == 0
    }

    /// The first phase of this name.
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }
}

/// What one connection counted.
#[derive(Default)]
pub(super) struct Tally {
    phases: Vec<Histogram<u64>>,
    pub requests: u64,
    pub acknowledged_writes: u64,
    pub errors: u64,
    pub disconnects: u64,
    pub keys_verified: u64,
    pub lost: u64,
    pub texts: Vec<String>,
    pub common: [(u64, u64); COMMON_COUNTERS],
}

impl Tally {
    /// Of a thread that did not live to tell: not clean.
    pub fn of_a_panic() -> Tally {
        let mut tally = Tally::default();
        tally.error("a thread of the load panicked".to_owned());
        tally
    }

    pub fn latency(&mut self, phase: usize, latency: Duration) {
        if self.phases.len() <= phase {
            self.phases.resize_with(phase + 1, empty_histogram);
        }
        self.phases[phase].saturating_record(latency.as_nanos() as u64);
    }

    pub fn error(&mut self, text: String) {
        self.errors += 1;
        self.say(text);
    }

    pub fn loss(&mut self, text: String) {
        self.lost += 1;
        self.say(text);
    }

    fn say(&mut self, text: String) {
        if self.texts.len() < TEXTS_KEPT {
            self.texts.push(text);
        }
    }

    fn merge(&mut self, other: Tally) {
        self.phases
            .resize_with(self.phases.len().max(other.phases.len()), empty_histogram);
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            // Equal settings: nothing can be out of range.
            mine.add(theirs).unwrap_or_default();
        }
        self.requests += other.requests;
        self.acknowledged_writes += other.acknowledged_writes;
        self.errors += other.errors;
        self.disconnects += other.disconnects;
        self.keys_verified += other.keys_verified;
        self.lost += other.lost;
        other.texts.into_iter().for_each(|text| self.say(text));
        for (mine, theirs) in self.common.iter_mut().zip(other.common) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
    }
}

/// One microsecond to ten minutes, three digits.
fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).unwrap_or_else(|_| {
        unreachable!(
            "constant bounds are valid: the low one is at least 1, the high one twice that"
        )
    })
}
