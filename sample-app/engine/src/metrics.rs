//! What a worker has counted about each command and each error, on its way to the totals of all workers.
//!
//! Owns when a command is timed, and the counts that are not shared yet; they cross an update under the
//! commands' names. `shared` has the totals behind their guard, and what a worker saw of them last.
//!
//! Every call is counted. A clock is read for the first [`ALWAYS_TIMED`] calls of a command since the
//! worker last added to the totals, which is ten times a second, and for each [`STRIDE`]th after those;
//! one that is timed stands for those since the last that was. So a rare command is timed whenever it
//! runs, and a frequent one costs a clock now and then: 4 to 6 ns a call where reading a clock takes 40.

mod histogram;
mod shared;

pub(crate) use shared::View;

use crate::error::CommandError;
use histogram::{BUCKETS, bucket};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Instant;

/// Calls of a command that are timed all.
const ALWAYS_TIMED: u32 = 8;
/// Of later ones each so many: a prime, so that no pipeline has the same command timed every time.
const STRIDE: u32 = 31;
/// Words that errors begin with, which are counted each for itself; there are far fewer.
const MOST_WORDS: usize = 128;

/// Where a command's counts are, in one version's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Meter(pub(crate) usize);

/// What a worker has counted since it last added to the totals.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By [`Meter`].
    commands: Vec<Tally>,
    /// Meters whose tallies are not empty.
    touched: Vec<Meter>,
    /// What another version's run left.
    carried: Vec<(String, Tally)>,
    errors: BTreeMap<String, u64>,
}

/// Connections that the server has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ends {
    /// Turned away at the limit of connections.
    pub(crate) rejected: u64,
    /// Closed because they did not read.
    pub(crate) deaf: u64,
    /// Closed because they were idle.
    pub(crate) idle: u64,
}

impl AddAssign for Ends {
    fn add_assign(&mut self, other: Self) {
        self.rejected += other.rejected;
        self.deaf += other.deaf;
        self.idle += other.idle;
    }
}

/// The counts of one command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    #[serde(skip)]
    name: &'static str,
    #[serde(skip)]
    is_touched: bool,
    /// Since the last that was timed.
    untimed: u32,
    pub(crate) calls: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    /// Nanoseconds of all calls, from those that were timed.
    pub(crate) ns: u64,
    /// Buckets and how many calls they have, those timed for all.
    pub(crate) timed: Vec<(u16, u64)>,
}

/// Begun before a command runs.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Timer(Option<Instant>);

impl Metrics {
    /// What this worker alone has counted about each command.
    pub fn rows(&self) -> Vec<CommandRow> {
        View::default().rows(self)
    }

    /// What this worker alone has counted about each kind of error.
    pub fn errors(&self) -> Vec<(String, u64)> {
        View::default().errors(self)
    }

    /// A command is about to run.
    #[inline]
    pub(crate) fn begin(&mut self, meter: Meter) -> Timer {
        let is_timed = match self.commands.get(meter.0) {
            Some(tally) => tally.is_next_timed(),
            None => true,
        };
        Timer(is_timed.then(Instant::now))
    }

    /// It has run. A full heap refuses a command before it does anything, as in Redis.
    #[inline]
    pub(crate) fn end(
        &mut self,
        meter: Meter,
        name: &'static str,
        timer: Timer,
        outcome: &Result<(), CommandError>,
    ) {
        let tally = self.tally(meter, name);
        match outcome {
            Ok(()) => {}
            Err(CommandError::HeapFull) => {
                tally.rejected += 1;
                return;
            }
            Err(_) => tally.failed += 1,
        }
        tally.calls += 1;
        tally.untimed += 1;
        if let Timer(Some(began)) = timer {
            tally.time(began.elapsed().as_nanos() as u64);
        }
    }

    /// A command was not run at all.
    pub(crate) fn reject(&mut self, meter: Meter, name: &'static str) {
        self.tally(meter, name).rejected += 1;
    }

    /// A client was answered with an error.
    pub(crate) fn error(&mut self, text: &[u8]) {
        let end = text.iter().position(|&byte| byte == b' ');
        let word = String::from_utf8_lossy(&text[..end.unwrap_or(text.len())]);
        if let Some(count) = self.errors.get_mut(&*word) {
            *count += 1;
        } else if self.errors.len() < MOST_WORDS {
            self.errors.insert(word.into_owned(), 1);
        }
    }

    #[inline]
    fn tally(&mut self, meter: Meter, name: &'static str) -> &mut Tally {
        if meter.0 >= self.commands.len() {
            self.commands.resize_with(meter.0 + 1, Tally::default);
        }
        let tally = &mut self.commands[meter.0];
        if !tally.is_touched {
            (tally.is_touched, tally.name) = (true, name);
            self.touched.push(meter);
        }
        tally
    }

    /// Every tally that is not empty, with its command's name.
    fn tallies(&self) -> impl Iterator<Item = (&str, &Tally)> {
        let own = self.touched.iter().map(|meter| {
            let tally = &self.commands[meter.0];
            (tally.name, tally)
        });
        let carried = self.carried.iter();
        own.chain(carried.map(|(name, tally)| (name.as_str(), tally)))
    }

    /// Forgets what was counted, all of it being shared now.
    fn clear(&mut self) {
        for meter in self.touched.drain(..) {
            let tally = &mut self.commands[meter.0];
            let timed = std::mem::take(&mut tally.timed);
            *tally = Tally {
                untimed: tally.untimed,
                timed,
                ..Tally::default()
            };
            tally.timed.clear();
        }
        self.carried.clear();
        self.errors.clear();
    }

    fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.carried.is_empty() && self.errors.is_empty()
    }
}

impl Tally {
    #[inline]
    fn is_next_timed(&self) -> bool {
        self.calls < u64::from(ALWAYS_TIMED) || self.untimed + 1 >= STRIDE
    }

    /// The call that has just ended, and those before it that were not timed, took so long each.
    fn time(&mut self, ns: u64) {
        let calls = u64::from(std::mem::take(&mut self.untimed));
        self.ns += ns * calls;
        let bucket = bucket(ns) as u16;
        match self.timed.iter_mut().find(|(other, _)| *other == bucket) {
            Some((_, count)) => *count += calls,
            None => self.timed.push((bucket, calls)),
        }
    }
}

/// With what is counted under the commands' names: another version's table has other meters.
impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let commands: Vec<(&str, &Tally)> = self.tallies().collect();
        (commands, &self.errors).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (carried, errors): (Vec<(String, Tally)>, _) = Deserialize::deserialize(deserializer)?;
        Ok(Metrics {
            carried,
            errors,
            ..Metrics::default()
        })
    }
}

/// A row of INFO commandstats and latencystats.
#[derive(Clone, PartialEq, Debug)]
pub struct CommandRow {
    /// The command's full name.
    pub name: String,
    /// How often it ran.
    pub calls: u64,
    /// How often it was refused before it ran.
    pub rejected: u64,
    /// How often it ran and failed.
    pub failed: u64,
    /// Microseconds of all calls.
    pub usec: u64,
    /// Nanoseconds that half of the calls, 99 % and 99.9 % did not exceed; `None` if none ran.
    pub percentiles: Option<[u64; 3]>,
}

/// Everything counted about one command so far.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    calls: u64,
    rejected: u64,
    failed: u64,
    ns: u64,
    seen: Box<[u64; BUCKETS]>,
}

impl Default for Sums {
    fn default() -> Self {
        Sums {
            calls: 0,
            rejected: 0,
            failed: 0,
            ns: 0,
            seen: Box::new([0; BUCKETS]),
        }
    }
}

impl Sums {
    fn add(&mut self, tally: &Tally) {
        self.calls += tally.calls;
        self.rejected += tally.rejected;
        self.failed += tally.failed;
        self.ns += tally.ns;
        for (bucket, count) in &tally.timed {
            self.seen[usize::from(*bucket)] += count;
        }
    }

    fn row(&self, name: &str) -> CommandRow {
        let percentile = |share| histogram::percentile(&self.seen, share);
        CommandRow {
            name: name.to_owned(),
            calls: self.calls,
            rejected: self.rejected,
            failed: self.failed,
            usec: self.ns / 1000,
            percentiles: (self.calls > 0).then(|| [0.5, 0.99, 0.999].map(percentile)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Meter = Meter(3);

    fn run(metrics: &mut Metrics, outcome: Result<(), CommandError>) -> bool {
        let timer = metrics.begin(GET);
        let is_timed = timer.0.is_some();
        metrics.end(GET, "get", timer, &outcome);
        is_timed
    }

    #[test]
    fn a_rare_command_is_always_timed_and_a_frequent_one_now_and_then() {
        let mut metrics = Metrics::default();
        let timed = (0..10_000).filter(|_| run(&mut metrics, Ok(()))).count();
        let wanted = ALWAYS_TIMED as usize + (10_000 - ALWAYS_TIMED as usize) / STRIDE as usize;
        assert_eq!(timed, wanted);
        let row = &metrics.rows()[0];
        assert_eq!((row.name.as_str(), row.calls), ("get", 10_000));
        let tally = &metrics.commands[GET.0];
        let stood_for: u64 = tally.timed.iter().map(|(_, count)| count).sum();
        assert_eq!(stood_for + u64::from(tally.untimed), 10_000);
        assert!(tally.untimed < STRIDE);
        metrics.clear();
        assert!(metrics.is_empty());
        assert!(run(&mut metrics, Ok(())), "the first since it was shared");
    }

    #[test]
    fn what_failed_and_what_was_refused_are_told_apart() {
        let mut metrics = Metrics::default();
        run(&mut metrics, Ok(()));
        run(&mut metrics, Err(CommandError::SYNTAX));
        run(&mut metrics, Err(CommandError::HeapFull));
        metrics.reject(GET, "get");
        let row = &metrics.rows()[0];
        assert_eq!((row.calls, row.failed, row.rejected), (2, 1, 2));
        metrics.error(b"ERR syntax error");
        metrics.error(b"ERR no such key");
        metrics.error(b"OOM");
        let errors = metrics.errors();
        assert_eq!(errors, [("ERR".to_owned(), 2), ("OOM".to_owned(), 1)]);
    }

    #[test]
    fn counts_cross_under_the_commands_names() {
        // R24
        let mut metrics = Metrics::default();
        for _ in 0..100 {
            run(&mut metrics, Ok(()));
        }
        metrics.error(b"ERR");
        let carry = serde_json::to_string(&metrics).expect("it is serialisable");
        let mut crossed: Metrics = serde_json::from_str(&carry).expect("and back");
        assert_eq!(crossed.rows(), metrics.rows());
        assert_eq!(crossed.errors()[0].1, 1);
        // In the new table it is another number.
        let timer = crossed.begin(Meter(0));
        crossed.end(Meter(0), "get", timer, &Ok(()));
        let again = serde_json::to_string(&crossed).expect("it is serialisable");
        let twice: Metrics = serde_json::from_str(&again).expect("and back");
        let row = &twice.rows()[0];
        assert_eq!((twice.rows().len(), row.calls), (1, 101));
    }
}
