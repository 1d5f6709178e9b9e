//! What an operator sets for all connections: the arguments that stand after `--`.
//!
//! Owns their words, defaults and forms, and how long a connection may lag. Knows no socket.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Redis's own limits of clients that are replicas or subscribers. There are none here; who reads the
/// setting expects all three classes.
const OTHER_CLASSES: &str = "slave 268435456 67108864 60 pubsub 33554432 8388608 60";

/// Bytes of a reply that the system's buffers, this side's and the peer's, may take before any wait.
const TAKEN_AT_ONCE: u64 = 8 << 20;

/// The limits of one version (R33); the same for all its workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections of all workers together.
    pub max_clients: u64,
    /// Without a command for so many seconds a connection is closed; 0 lets it be.
    pub timeout_s: u64,
    /// How much may wait for a client that does not read.
    pub output: OutputLimit,
}

/// A limit of unsent output, as Redis's `client-output-buffer-limit`; 0 is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// Beyond so many bytes the connection is closed at once.
    pub hard_bytes: u64,
    /// Beyond so many bytes for [`soft_seconds`](Self::soft_seconds) without a break it is closed.
    pub soft_bytes: u64,
    /// See [`soft_bytes`](Self::soft_bytes).
    pub soft_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_clients: 10_000,
            timeout_s: 0,
            output: OutputLimit::default(),
        }
    }
}

impl Limits {
    /// Reads `--maxclients N`, `--timeout S` and `--client-output-buffer-limit
    /// BYTES[:SOFTBYTES:SECONDS]`, each at most once; `--name=value` as well. Bytes may have one of
    /// Redis's units: `k`, `m` and `g` count in thousands, `kb`, `mb` and `gb` in 1024s.
    ///
    /// # Errors
    /// One sentence: what is wrong and what would be right.
    pub fn parse(arguments: &[String]) -> Result<Limits, String> {
        let mut limits = Limits::default();
        let mut seen: Vec<&str> = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument.as_str(), None),
            };
            let known = ["--maxclients", "--timeout", "--client-output-buffer-limit"];
            if !known.contains(&name) {
                return Err(format!(
                    "unknown argument {name:?}: there are {}",
                    known.join(", ")
                ));
            }
            if seen.contains(&name) {
                return Err(format!("{name} is given twice: leave one out"));
            }
            seen.push(name);
            let value = match value {
                Some(value) => value,
                None => rest.next().ok_or(format!("{name} needs a value"))?,
            };
            match name {
                "--maxclients" => limits.max_clients = number(name, value, 1)?,
                "--timeout" => limits.timeout_s = number(name, value, 0)?,
                _ => limits.output = OutputLimit::parse(name, value)?,
            }
        }
        Ok(limits)
    }

    /// Visits them as CONFIG GET shows them.
    pub fn settings(&self, visit: &mut dyn FnMut(&str, &str)) {
        visit("maxclients", &self.max_clients.to_string());
        visit("timeout", &self.timeout_s.to_string());
        visit("client-output-buffer-limit", &self.output.shown());
    }
}

impl OutputLimit {
    fn parse(name: &str, value: &str) -> Result<OutputLimit, String> {
        let wrong = || {
            format!(
                "{name} {value:?} is no limit: give BYTES or BYTES:SOFTBYTES:SECONDS, 0 for none, \
                 as in 64mb:16mb:60"
            )
        };
        let parts: Vec<&str> = value.split(':').collect();
        let (hard, soft, seconds) = match parts[..] {
            [hard] => (hard, "0", "0"),
            [hard, soft, seconds] => (hard, soft, seconds),
            _ => return Err(wrong()),
        };
        Ok(OutputLimit {
            hard_bytes: bytes(hard).ok_or_else(wrong)?,
            soft_bytes: bytes(soft).ok_or_else(wrong)?,
            soft_seconds: digits(seconds).ok_or_else(wrong)?,
        })
    }

    fn shown(&self) -> String {
        let mut text = String::new();
        let OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        } = self;
        let _ = write!(
            text,
            "normal {hard_bytes} {soft_bytes} {soft_seconds} {OTHER_CLASSES}"
        );
        text
    }

    /// Bytes that the reply to one request may have: more of it would wait than may, whatever the system
    /// takes. It can be far larger than what is stored: the same value, asked for a thousand times.
    pub(crate) fn most_reply(&self) -> usize {
        match self.hard_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes.saturating_add(TAKEN_AT_ONCE)).unwrap_or(usize::MAX),
        }
    }

    /// Whether a connection with so much unsent output is to be closed. `lags_since` is when it went
    /// over the soft limit, and is kept for the next time.
    pub(crate) fn is_passed(&self, unsent: usize, lags_since: &mut Option<Instant>) -> bool {
        let unsent = unsent as u64;
        if self.hard_bytes != 0 && unsent > self.hard_bytes {
            return true;
        }
        if self.soft_bytes == 0 || unsent <= self.soft_bytes {
            *lags_since = None;
            return false;
        }
        let since = lags_since.get_or_insert_with(Instant::now);
        since.elapsed() > Duration::from_secs(self.soft_seconds)
    }
}

fn number(name: &str, value: &str, least: u64) -> Result<u64, String> {
    digits(value)
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("{name} {value:?} is no number from {least} to {}", u32::MAX))
}

/// A whole number without a sign, small enough to be added up and multiplied.
fn digits(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain)?;
    (number <= u64::from(u32::MAX)).then_some(number)
}

/// A size with or without a unit.
fn bytes(text: &str) -> Option<u64> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit());
    let (count, unit) = text.split_at(unit.unwrap_or(text.len()));
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    let is_plain = !count.is_empty();
    let count: u64 = count.parse().ok().filter(|_| is_plain)?;
    count.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Limits, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Limits::parse(&words)
    }

    #[test]
    fn limits_are_redis_s_unless_said_otherwise() {
        let limits = parse("").expect("nothing is wrong with nothing");
        assert_eq!(limits, Limits::default());
        let mut shown = Vec::new();
        limits.settings(&mut |name, value| shown.push(format!("{name} {value}")));
        assert_eq!(
            shown,
            [
                "maxclients 10000",
                "timeout 0",
                "client-output-buffer-limit normal 0 0 0 slave 268435456 67108864 60 pubsub \
                 33554432 8388608 60"
            ]
        );
    }

    #[test]
    fn each_limit_is_read_in_either_form() {
        let line = "--maxclients 5 --timeout=60 --client-output-buffer-limit 32mb:8m:30";
        let limits = parse(line).expect("all is known");
        let output = OutputLimit {
            hard_bytes: 32 << 20,
            soft_bytes: 8_000_000,
            soft_seconds: 30,
        };
        let wanted = Limits {
            max_clients: 5,
            timeout_s: 60,
            output,
        };
        assert_eq!(limits, wanted);
        let hard_alone = parse("--client-output-buffer-limit 1GB").expect("a size");
        assert_eq!(hard_alone.output.hard_bytes, 1 << 30);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("--maxclient 5", "\"--maxclient\""),
            ("5", "\"5\""),
            ("--maxclients", "needs a value"),
            ("--maxclients 0", "from 1"),
            ("--maxclients -1", "from 1"),
            ("--maxclients +1", "from 1"),
            ("--maxclients 1e3", "from 1"),
            ("--maxclients 99999999999999999999", "from 1"),
            ("--timeout never", "from 0"),
            ("--timeout 1 --timeout=2", "twice"),
            (
                "--client-output-buffer-limit 1:2",
                "BYTES:SOFTBYTES:SECONDS",
            ),
            ("--client-output-buffer-limit mb", "BYTES:SOFTBYTES:SECONDS"),
            (
                "--client-output-buffer-limit 1tb",
                "BYTES:SOFTBYTES:SECONDS",
            ),
            (
                "--client-output-buffer-limit 99999999999gb",
                "BYTES:SOFTBYTES:SECONDS",
            ),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn a_soft_limit_counts_only_without_a_break() {
        let limit = OutputLimit {
            hard_bytes: 100,
            soft_bytes: 10,
            soft_seconds: 60,
        };
        let long_ago = Instant::now().checked_sub(Duration::from_secs(61));
        let mut since = None;
        assert!(limit.is_passed(101, &mut since), "hard");
        assert!(!limit.is_passed(100, &mut since), "just gone over");
        assert!(since.is_some());
        since = long_ago;
        assert!(!limit.is_passed(10, &mut since), "not over");
        assert_eq!(since, None);
        since = long_ago;
        assert_eq!(limit.is_passed(11, &mut since), long_ago.is_some());
        assert!(!OutputLimit::default().is_passed(usize::MAX, &mut since));
    }
}
