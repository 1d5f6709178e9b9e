//! Ends a test that hangs. Not a measure of speed: the limit is far beyond anything that a test needs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// While it lives, the test process ends with a message if this takes too long.
pub struct Watchdog {
    /// Dropped with the watchdog, which ends the thread.
    _alive: Sender<()>,
}

impl Watchdog {
    /// Starts to watch; `what` is said if the time is over.
    pub fn new(what: &str) -> Watchdog {
        let (alive, dropped) = channel();
        let what = what.to_owned();
        std::thread::spawn(move || {
            if dropped.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("watchdog: {what} hangs");
                std::process::abort();
            }
        });
        Watchdog { _alive: alive }
    }
}
