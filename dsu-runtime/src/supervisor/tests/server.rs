//! A supervisor in a process of its own, and the questions that tests ask.

use super::scripted::Scripted;
use crate::supervisor::ports::Ports;
use crate::supervisor::{Config, Reply, Request, UpdateRequest, Verdict, serve};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The test that plays the other processes.
const PART: &str = "supervisor::tests::plays_a_part_when_told_to";
/// Only against hanging for ever.
pub(super) const WATCHDOG: Duration = Duration::from_secs(60);

/// Plays the supervisor.
pub(super) fn supervisor_under_test() {
    let folder = PathBuf::from(std::env::var("DSU_TEST_FOLDER").expect("a folder"));
    let mut config = Config::new(folder.join("app.so"), folder.join("s.sock"));
    config.workers = 3;
    config.listen = vec!["127.0.0.1:0".parse().expect("an address")];
    config.worker.arguments = [PART, "--exact", "--nocapture"].map(Into::into).to_vec();
    let ports = Ports {
        memory: Box::new(Scripted),
        libraries: Box::new(Scripted),
    };
    let code = match serve(config, ports) {
        Ok(()) => 0,
        Err(why) => {
            println!("failed {why}");
            1
        }
    };
    std::process::exit(code);
}

/// A supervisor that is asked.
pub(super) struct Server {
    pub(super) process: Child,
    /// Kept open: workers write there too, and would die of its end.
    output: Option<BufReader<ChildStdout>>,
    pub(super) folder: PathBuf,
}

impl Server {
    #[allow(unsafe_code)] // a step between fork and exec
    pub(super) fn start(name: &str, library: &str) -> Server {
        let folder = std::env::temp_dir().join(format!("dsu-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("app.so"), library).expect("written");
        let mut command = Command::new("/proc/self/exe");
        command
            .args([PART, "--exact", "--nocapture"])
            .env("DSU_ROLE", "supervisor-under-test")
            .env("DSU_TEST_FOLDER", &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // The supervisor is not the first thread of a test executable; a real one is, and blocks them itself.
        let block_signals = || {
            let mut set = SigSet::empty();
            set.add(Signal::SIGUSR2);
            set.add(Signal::SIGTERM);
            Ok(set.thread_block()?)
        };
        // SAFETY: the closure only calls sigprocmask, which is async-signal-safe.
        unsafe { command.pre_exec(block_signals) };
        let process = command.spawn().expect("started");
        Server {
            process,
            output: None,
            folder,
        }
    }

    /// Started, and all workers ready.
    pub(super) fn serving(name: &str) -> Server {
        let mut server = Server::start(name, "1 good");
        let stdout = server.process.stdout.take().expect("piped");
        let mut output = BufReader::new(stdout);
        let found = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .any(|line| line.starts_with("serving "));
        server.output = Some(output);
        assert!(found, "the supervisor says that it serves");
        server.until(|status| count(status, "serving") == 3);
        server
    }

    pub(super) fn library(&self, text: &str) -> PathBuf {
        let path = self.folder.join(format!("{}.so", text.replace(' ', "-")));
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(super) fn ask(&self, request: &Request) -> (Verdict, String, Value) {
        let mut stream = UnixStream::connect(self.folder.join("s.sock")).expect("it listens");
        stream.set_read_timeout(Some(WATCHDOG)).expect("set");
        let mut line = serde_json::to_vec(request).expect("json");
        line.push(b'\n');
        stream.write_all(&line).expect("sent");
        for line in BufReader::new(stream).lines() {
            match serde_json::from_str(&line.expect("a line")).expect("a reply") {
                Reply::Progress(_) => {}
                Reply::Answer {
                    verdict,
                    text,
                    data,
                } => return (verdict, text, data),
            }
        }
        panic!("no answer to {request:?}");
    }

    pub(super) fn update(
        &self,
        library: &str,
        change: impl FnOnce(&mut UpdateRequest),
    ) -> (Verdict, String) {
        let mut asked = UpdateRequest {
            path: self.library(library),
            probation: Some(0.0),
            wait: true,
            ..UpdateRequest::default()
        };
        change(&mut asked);
        let (verdict, text, _) = self.ask(&Request::Update(asked));
        (verdict, text)
    }

    pub(super) fn status(&self) -> Value {
        self.ask(&Request::Status { check: false }).2
    }

    pub(super) fn until(&self, test: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if test(&status) {
                return status;
            }
            assert!(
                began.elapsed() < WATCHDOG,
                "it never comes to that: {status}"
            );
            std::thread::yield_now();
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).expect("it lives");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn workers(status: &Value) -> &Vec<Value> {
    status["workers"].as_array().expect("a list")
}

pub(super) fn count(status: &Value, state: &str) -> usize {
    workers(status)
        .iter()
        .filter(|worker| worker["state"] == state)
        .count()
}

pub(super) fn on_version(status: &Value, version: u32) -> usize {
    workers(status)
        .iter()
        .filter(|worker| worker["version"] == version)
        .count()
}

pub(super) fn pids(status: &Value) -> Vec<u64> {
    workers(status)
        .iter()
        .map(|worker| worker["pid"].as_u64().expect("a number"))
        .collect()
}
