//! A server under test, with the questions that tests ask.

use crate::Watchdog;
use sample_app::load::{Value, Wire};
use sample_app::server::{Answer, Server, Settings, Status};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(120);
/// Connections made until one is at the wanted worker.
const ATTEMPTS: usize = 2000;

/// Asks until the answer is something. The watchdog of the test ends what never comes.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = ask() {
            return found;
        }
        std::thread::sleep(POLL);
    }
}

/// A running server.
pub struct Fleet {
    server: Server,
    _watchdog: Watchdog,
}

impl Deref for Fleet {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Fleet {
    /// Starts a server and waits until all its workers serve.
    pub fn start(test: &str, settings: &Settings) -> Fleet {
        let watchdog = Watchdog::new(test);
        let server = Server::start(crate::host(), settings).unwrap_or_else(|why| panic!("{why}"));
        let fleet = Fleet {
            server,
            _watchdog: watchdog,
        };
        fleet.until_serving(settings.workers as usize);
        fleet
    }

    /// Waits until this many workers serve.
    pub fn until_serving(&self, workers: usize) -> Status {
        until(|| {
            let status = self
                .status()
                .unwrap_or_else(|why| panic!("{why}\n{}", self.log()));
            let serve = status.workers.iter().filter(|one| one.state == "serving");
            (serve.count() == workers).then_some(status)
        })
    }

    /// Waits until no update is under way.
    pub fn until_idle(&self) -> Status {
        until(|| self.status().ok().filter(|status| status.stage == "idle"))
    }

    /// How it stands now.
    pub fn now(&self) -> Status {
        self.status()
            .unwrap_or_else(|why| panic!("{why}\n{}", self.log()))
    }

    /// A `dsu` command, whatever it answers.
    pub fn ask(&self, arguments: &[&str]) -> Answer {
        self.dsu(arguments)
            .unwrap_or_else(|why| panic!("dsu {arguments:?}: {why}\n{}", self.log()))
    }

    /// A `dsu` command that must be accepted.
    pub fn accepted(&self, arguments: &[&str]) -> Answer {
        let answer = self.ask(arguments);
        let log = if answer.code == 0 {
            String::new()
        } else {
            self.log()
        };
        assert_eq!(
            (answer.code, &*answer.word),
            (0, "accepted"),
            "dsu {arguments:?}: {}\n{log}",
            answer.text
        );
        answer
    }

    /// `dsu update` with these flags.
    pub fn update(&self, library: &Path, flags: &[&str]) -> Answer {
        let path = library.to_string_lossy();
        self.ask(&[&["update", &*path], flags].concat())
    }

    /// `dsu update` that must be accepted.
    pub fn updated(&self, library: &Path, flags: &[&str]) -> Answer {
        let path = library.to_string_lossy();
        self.accepted(&[&["update", &*path], flags].concat())
    }

    /// A connection.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address(), PATIENCE).expect("the server takes connections")
    }

    /// A connection that this worker serves.
    pub fn connect_to(&self, pid: u32) -> Wire {
        // Kept open meanwhile: a worker with fewer connections is no likelier to take the next.
        let mut others = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut wire = self.connect();
            if process_of(&mut wire) == pid {
                return wire;
            }
            others.push(wire);
        }
        panic!("of {ATTEMPTS} connections none is at process {pid}");
    }

    /// Its end after a signal that was sent before, and what it had logged by then.
    pub fn until_ended(self) -> (Option<i32>, String) {
        let log = self.folder().join("log");
        let file = std::fs::File::open(log).expect("every server logs");
        let ended = self.server.wait().expect("it was running");
        let text = std::io::read_to_string(file).expect("a log in text");
        (ended.code(), text)
    }

    /// Checks all shared memory, ends the server, and demands that it ends well. The last line of a test.
    pub fn finish(self) {
        let check = self.ask(&["status", "--check"]);
        assert_eq!(check.code, 0, "{}\n{}", check.text, self.log());
        self.end();
    }

    /// As [`finish`](Self::finish), where workers were killed: what they had just allocated or unlinked
    /// is lost, and nothing else.
    pub fn finish_after_deaths(self) {
        let check = self.ask(&["status", "--check"]);
        let findings = check.data["check"]["findings"].as_array().expect("a list");
        for finding in findings {
            let finding = finding.as_str().expect("a sentence");
            assert!(finding.contains("nobody reaches"), "{finding}");
        }
        self.end();
    }

    fn end(self) {
        let log = self.log();
        let ended = self.server.stop().expect("it was running");
        assert_eq!(ended.code(), Some(0), "{log}");
    }
}

/// The process that serves this connection.
pub fn process_of(wire: &mut Wire) -> u32 {
    let reply = wire.ask(&["INFO", "server"]).expect("an answer");
    let Value::Bulk(Some(text)) = reply else {
        panic!("INFO answers {reply:?}");
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let pid = field.and_then(|pid| pid.trim().parse().ok());
    pid.unwrap_or_else(|| panic!("no process_id in {text}"))
}
