//! What the operator decided at `dsu run`, checked.

use crate::abi::{HEAP_SIZE, MAX_SERVING_WORKERS};
use crate::sys::spawn::Program;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A listener: the application finds it by name, its address may change from version to version (R33).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenAddress {
    /// Its name.
    pub name: String,
    /// `host:port`; port 0 lets the system choose.
    pub address: String,
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    /// `ADDR` or `NAME=ADDR`; a nameless one is called `default`.
    fn from_str(text: &str) -> Result<ListenAddress, String> {
        let (name, address) = text.split_once('=').unwrap_or(("default", text));
        if name.is_empty() || !address.contains(':') {
            return Err(format!(
                "{text} is no address: write HOST:PORT or NAME=HOST:PORT"
            ));
        }
        Ok(ListenAddress {
            name: name.to_owned(),
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

/// Each worker takes superblocks of its own, and a part is in reserve.
const LEAST_HEAP: u64 = 4 << 20;

/// Everything that a supervisor needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The library to run, usually a symbolic link: SIGUSR2 looks again at what it holds.
    pub application: PathBuf,
    /// Number of workers.
    pub workers: u32,
    /// Limit of the shared heap, in bytes.
    pub heap_bytes: u64,
    /// What to listen on.
    pub listen: Vec<ListenAddress>,
    /// Arguments of the application.
    pub arguments: Vec<String>,
    /// Path of the control socket.
    pub control: PathBuf,
    /// Folder for library copies and records of updates.
    pub run_dir: PathBuf,
    /// What to execute as a worker; role, slot and descriptors are added to the environment.
    pub worker: Program,
    /// How long workers may drain before they have to leave.
    pub drain: Duration,
    /// How long one transformer may take before its worker is ended (R28).
    pub transform_timeout: Duration,
}

impl Config {
    /// Defaults for `application` and the control socket at `control`; the run directory is beside it.
    pub fn new(application: PathBuf, control: PathBuf) -> Config {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut run_dir = OsString::from(&control);
        run_dir.push(".run");
        Config {
            application,
            workers: cores.min(MAX_SERVING_WORKERS) as u32,
            heap_bytes: half_of_memory(),
            listen: Vec::new(),
            arguments: Vec::new(),
            control,
            run_dir: run_dir.into(),
            worker: Program {
                path: "/proc/self/exe".into(),
                name: "dsu-worker".to_owned(),
                arguments: Vec::new(),
                environment: Vec::new(),
            },
            drain: Duration::from_secs(10),
            transform_timeout: Duration::from_secs(5),
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.workers == 0 || self.workers as usize > MAX_SERVING_WORKERS {
            return Err(format!(
                "{} workers cannot be served: give --workers 1 to {MAX_SERVING_WORKERS}",
                self.workers
            ));
        }
        if self.transform_timeout.is_zero() {
            return Err(
                "no transformer ends within 0 s: give --transform-timeout a second or more"
                    .to_owned(),
            );
        }
        if self.heap_bytes < LEAST_HEAP {
            return Err(format!(
                "a heap of {} bytes holds next to nothing: give --heap 4M or more",
                self.heap_bytes
            ));
        }
        if self.heap_bytes > HEAP_SIZE as u64 {
            return Err(format!(
                "a heap of {} bytes does not fit into the {HEAP_SIZE} that are reserved for it: give --heap 1T or less",
                self.heap_bytes
            ));
        }
        check_names(&self.listen)
    }
}

/// Refuses listeners that an application cannot tell apart.
///
/// # Errors
/// One sentence that says what to change.
pub fn check_names(listen: &[ListenAddress]) -> Result<(), String> {
    for (n, one) in listen.iter().enumerate() {
        if listen[..n].iter().any(|other| other.name == one.name) {
            return Err(format!(
                "two listeners are called {}: write --listen NAME=ADDR",
                one.name
            ));
        }
    }
    Ok(())
}

fn half_of_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(1 << 30, |kib| kib * 1024 / 2)
}

/// Bytes from `512M`, `4G`, `65536`; K, M, G and T are powers of 1024, `B` and `iB` may follow.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is no size: write bytes, or 512M, 4G");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_units() {
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
        assert_eq!(parse_size("1t"), Ok(1 << 40));
        assert_eq!(parse_size("65536"), Ok(65536));
        for wrong in ["", "G", "0", "-1", "4X", "1.5G", "99999999999T"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn too_many_workers_are_a_clear_error() {
        let mut config = Config::new("a.so".into(), "/tmp/x.sock".into());
        config.workers = MAX_SERVING_WORKERS as u32;
        assert_eq!(config.check(), Ok(()));
        config.workers += 1;
        assert_eq!(
            config.check(),
            Err("113 workers cannot be served: give --workers 1 to 112".to_owned())
        );
    }

    // R33
    #[test]
    fn listeners_have_names_and_no_two_the_same() {
        let mut config = Config::new("a.so".into(), "/tmp/x.sock".into());
        for text in ["127.0.0.1:0", "admin=127.0.0.1:0"] {
            config.listen.push(text.parse().expect("an address"));
        }
        assert_eq!(config.check(), Ok(()));
        config.listen.push("[::1]:7".parse().expect("an address"));
        assert!(config.check().expect_err("twice").contains("default"));
        assert!("6379".parse::<ListenAddress>().is_err());
    }
}
