//! The supervisor as a process, with scripted workers and scripted libraries: this test executable plays
//! all three. A library is a text file, `VERSION BEHAVIOUR`; workers behave as the file that they load says.

use super::ports::{Advice, Candidate, HeapFigures, Libraries, Memory, Ports, Probing};
use super::{Config, Mode, Reply, Request, UpdateRequest, Verdict, read_records, serve};
use crate::ids::{GuardIndex, Tag, VersionId, WorkerSlot};
use crate::sys::net::Channel;
use crate::version::{Binding, CarryManifest, Manifest};
use crate::worker::{Build, FromWorker, ToWorker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const PART: &str = "supervisor::tests::plays_a_part_when_told_to";
/// Only against hanging for ever.
const WATCHDOG: Duration = Duration::from_secs(60);

// ---- libraries and memory

struct Scripted;

struct Read(Option<Result<Candidate, String>>);

impl Probing for Read {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }
    fn timeout(&self) -> Duration {
        Duration::ZERO
    }
    fn poll(&mut self) -> Option<Result<Candidate, String>> {
        self.0.take()
    }
}

impl Libraries for Scripted {
    fn probe(&self, path: &Path) -> Result<Box<dyn Probing>, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let (number, _) = text.split_once(' ').ok_or("no library")?;
        // Like the real copy: the file may be replaced under its name while workers run it.
        let copy = path.with_file_name(format!("{}.copy", text.replace(' ', "-")));
        std::fs::write(&copy, &text).map_err(|error| error.to_string())?;
        let manifest = Manifest {
            app: "scripted".to_owned(),
            version: VersionId(number.parse().map_err(|_| "no number")?),
            from: None,
            build_id: text.clone(),
            rustc: String::new(),
            guards: Vec::new(),
            types: Vec::new(),
            frozen: Vec::new(),
            lenses: Vec::new(),
            removed: Vec::new(),
            update_points: vec!["loop".to_owned()],
            carry: CarryManifest {
                worker: "serve".to_owned(),
                schema: crate::abi::TypeSchema::leaf::<()>("()"),
                path: "()".to_owned(),
            },
            carry_lenses: Vec::new(),
        };
        Ok(Box::new(Read(Some(Ok(Candidate {
            digest: text,
            copy,
            manifest,
        })))))
    }

    fn compare(&self, running: &Manifest, new: &Manifest) -> Result<Advice, Vec<String>> {
        match running.version.0.abs_diff(new.version.0) {
            0 | 1 => Ok(Advice::default()),
            _ => Err(vec![format!(
                "{} is not next to {}",
                new.version, running.version
            )]),
        }
    }

    fn twin(&self, copy: &Path, number: usize) -> Result<PathBuf, String> {
        let twin = copy.with_extension(format!("twin-{number}"));
        std::fs::copy(copy, &twin).map_err(|error| error.to_string())?;
        Ok(twin)
    }

    fn admit(&mut self, manifest: &Manifest) -> Result<Binding, String> {
        let version = manifest.version;
        Ok(Binding {
            version,
            guards: Vec::new(),
            representations: Vec::new(),
            older: None,
        })
    }

    fn frozen_types(&self, _: &Manifest, _: &Manifest) -> Result<String, String> {
        Err("nothing to freeze".to_owned())
    }
}

impl Memory for Scripted {
    fn descriptors(&self) -> Vec<(&'static str, RawFd)> {
        Vec::new()
    }
    fn starting(&self, _: WorkerSlot, _: u32) {}
    fn set_due(&self, _: WorkerSlot, _: u64) {}
    fn is_waiting(&self, _: WorkerSlot) -> bool {
        false
    }
    fn recover(&self, _: WorkerSlot) {}
    fn at_guard(&self, _: WorkerSlot) -> Option<GuardIndex> {
        None
    }
    fn is_poisoned(&self, _: GuardIndex) -> bool {
        false
    }

    fn poisoned_objects(&self, _: u32) -> Vec<GuardIndex> {
        Vec::new()
    }
    fn boxes(&self, _: Tag) -> u64 {
        0
    }
    fn heap(&self) -> HeapFigures {
        HeapFigures::default()
    }
}

// ---- the other processes

#[test]
fn plays_a_part_when_told_to() {
    match std::env::var("DSU_ROLE").as_deref() {
        Ok("worker") => scripted_worker(),
        Ok("supervisor-under-test") => supervisor_under_test(),
        _ => {}
    }
}

fn supervisor_under_test() {
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

struct ScriptedWorker {
    channel: Channel,
    slot: u32,
    known: Vec<Build>,
    runs: usize,
    at_barrier: Option<String>,
}

#[allow(unsafe_code)] // takes over an inherited descriptor
fn scripted_worker() {
    let number = |name| {
        std::env::var(name)
            .expect("set")
            .parse::<i32>()
            .expect("a number")
    };
    // SAFETY: the supervisor passed this descriptor for us alone, and this is the only use of its number.
    let inherited = unsafe { OwnedFd::from_raw_fd(number("DSU_CHANNEL_FD")) };
    let mut worker = ScriptedWorker {
        channel: Channel::from_descriptor(inherited),
        slot: number("DSU_SLOT") as u32,
        known: Vec::new(),
        runs: 0,
        at_barrier: None,
    };
    loop {
        let mut fds = [PollFd::new(worker.channel.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        match worker.channel.receive() {
            Ok(Some(packet)) => {
                let message = serde_json::from_slice(&packet.bytes).expect("a message");
                if let ToWorker::Start { .. } | ToWorker::Load(_) = &message {
                    assert!(!packet.descriptors.is_empty(), "listeners come along");
                }
                worker.act(message);
            }
            Ok(None) => std::process::exit(0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

impl ScriptedWorker {
    fn say(&self, message: &FromWorker) {
        let bytes = serde_json::to_vec(message).expect("json");
        self.channel
            .send(&bytes, &[])
            .expect("the supervisor listens");
    }

    fn find(&self, digest: &str) -> usize {
        self.known
            .iter()
            .position(|build| build.digest == digest)
            .expect("loaded before")
    }

    fn act(&mut self, message: ToWorker) {
        match message {
            ToWorker::Start {
                build, neighbours, ..
            } => {
                if build.digest.contains("never-starts") {
                    std::process::exit(7);
                }
                let build_id = build.build_id.clone();
                self.known = [*build].into_iter().chain(neighbours).collect();
                self.say(&FromWorker::Ready { build_id });
            }
            ToWorker::Load(build) => {
                let digest = build.digest.clone();
                let fails = digest.contains("unloadable") && self.slot == 1;
                self.known.push(*build);
                self.say(&FromWorker::Loaded {
                    digest,
                    error: fails.then(|| "no room".to_owned()),
                });
            }
            ToWorker::Cross {
                digest,
                together: true,
            } => {
                if !(digest.contains("late") && self.slot == 2) {
                    self.at_barrier = Some(digest);
                    self.say(&FromWorker::AtBarrier {
                        update_point: "loop".to_owned(),
                    });
                }
            }
            ToWorker::Cross {
                digest,
                together: false,
            } => self.cross(&digest),
            ToWorker::Go => {
                if let Some(digest) = self.at_barrier.take() {
                    self.cross(&digest);
                }
            }
            ToWorker::Revert => self.at_barrier = None,
            ToWorker::Sweep(true) => {
                self.say(&FromWorker::Swept {
                    converted: 0,
                    parked: 0,
                    failed: 0,
                    poisoned: Vec::new(),
                });
            }
            ToWorker::Ping if self.known[self.runs].digest.contains("dies-on-probation") => {
                std::process::exit(9)
            }
            ToWorker::Ping => self.say(&FromWorker::Pong {
                update_point: "loop".to_owned(),
            }),
            ToWorker::Check => self.say(&FromWorker::Checked {
                walked: 7,
                findings: Vec::new(),
            }),
            ToWorker::Drain => std::process::exit(0),
            ToWorker::Sweep(false) | ToWorker::Forget { .. } | ToWorker::Reconfigure => {}
        }
    }

    fn cross(&mut self, digest: &str) {
        let to = self.find(digest);
        if digest.contains("dies-on-crossing") {
            std::process::exit(9);
        }
        if digest.contains("refuses") && self.slot == 2 {
            let reason = "carry of another shape".to_owned();
            return self.say(&FromWorker::CrossingFailed {
                digest: digest.to_owned(),
                reason,
            });
        }
        self.runs = to;
        let build_id = self.known[to].build_id.clone();
        let update_point = "loop".to_owned();
        self.say(&FromWorker::Crossed {
            digest: digest.to_owned(),
            build_id,
            update_point,
            pause_ns: 1000,
        });
    }
}

// ---- the harness

struct Server {
    process: Child,
    /// Kept open: workers write there too, and would die of its end.
    output: Option<BufReader<ChildStdout>>,
    folder: PathBuf,
}

impl Server {
    #[allow(unsafe_code)] // a step between fork and exec
    fn start(name: &str, library: &str) -> Server {
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
    fn serving(name: &str) -> Server {
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

    fn library(&self, text: &str) -> PathBuf {
        let path = self.folder.join(format!("{}.so", text.replace(' ', "-")));
        std::fs::write(&path, text).expect("written");
        path
    }

    fn ask(&self, request: &Request) -> (Verdict, String, Value) {
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

    fn update(&self, library: &str, change: impl FnOnce(&mut UpdateRequest)) -> (Verdict, String) {
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

    fn status(&self) -> Value {
        self.ask(&Request::Status { check: false }).2
    }

    fn until(&self, test: impl Fn(&Value) -> bool) -> Value {
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

    fn signal(&self, signal: Signal) {
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

fn workers(status: &Value) -> &Vec<Value> {
    status["workers"].as_array().expect("a list")
}

fn count(status: &Value, state: &str) -> usize {
    workers(status)
        .iter()
        .filter(|worker| worker["state"] == state)
        .count()
}

fn on_version(status: &Value, version: u32) -> usize {
    workers(status)
        .iter()
        .filter(|worker| worker["version"] == version)
        .count()
}

fn pids(status: &Value) -> Vec<u64> {
    workers(status)
        .iter()
        .map(|worker| worker["pid"].as_u64().expect("a number"))
        .collect()
}

// ---- what it shows

#[test]
fn an_update_commits_in_the_same_processes_and_a_rollback_from_there_is_an_update_back() {
    let server = Server::serving("commit");
    let before = server.status();
    let (verdict, text) = server.update("2 good", |_| {});
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v2 committed")
    );
    let after = server.status();
    assert_eq!(
        (on_version(&after, 2), &after["stage"]),
        (3, &Value::from("idle"))
    );
    assert_eq!(pids(&before), pids(&after));
    assert_eq!(before["listeners"], after["listeners"]);

    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v1 committed")
    );
    assert_eq!(on_version(&server.status(), 1), 3);

    let records = read_records(&server.folder.join("s.sock.run"));
    let ends: Vec<(u32, Option<u32>, &str, usize)> = records
        .iter()
        .map(|r| {
            (
                r.from_version,
                r.to_version,
                r.outcome.as_str(),
                r.crossings.len(),
            )
        })
        .collect();
    assert_eq!(
        ends,
        [(1, Some(2), "committed", 3), (2, Some(1), "committed", 3)]
    );
    let (verdict, text, data) = server.ask(&Request::Status { check: true });
    assert_eq!(
        (verdict, &data["check"]["walked"]),
        (Verdict::Accepted, &Value::from(7)),
        "{text}"
    );
}

#[test]
fn what_cannot_be_loaded_or_compared_is_refused_and_changes_nothing() {
    let server = Server::serving("refuse");
    let before = server.status();
    for (library, why) in [
        ("2 unloadable", "worker 1 cannot load it: no room"),
        ("3 good", "not next to"),
        ("1 good", "runs already"),
    ] {
        let (verdict, text) = server.update(library, |_| {});
        assert_eq!(verdict, Verdict::Refused, "{library}");
        assert!(text.contains(why), "{library}: {text}");
    }
    let (verdict, _) = server.update("2 good", |asked| asked.path = "/nowhere.so".into());
    assert_eq!(verdict, Verdict::Refused);
    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Refused, "{text}");
    let after = server.status();
    assert_eq!(
        (pids(&before), on_version(&after, 1), &after["stage"]),
        (pids(&after), 3, &Value::from("idle"))
    );
}

// R28, R32
#[test]
fn a_canary_that_dies_takes_the_update_back_and_its_replacement_runs_the_old_version() {
    for (name, library) in [
        ("dies-now", "2 dies-on-crossing"),
        ("dies-soon", "2 dies-on-probation"),
    ] {
        let server = Server::serving(name);
        let before = server.status();
        let (verdict, text) = server.update(library, |_| {});
        assert_eq!(verdict, Verdict::RolledBack, "{text}");
        assert!(text.contains("worker 0 died"), "{text}");
        let after = server.until(|status| count(status, "serving") == 3);
        assert_eq!(on_version(&after, 1), 3);
        assert_ne!(pids(&before)[0], pids(&after)[0]);
        assert_eq!(
            pids(&before)[1..],
            pids(&after)[1..],
            "nobody else was disturbed"
        );
    }
}

// R24, R28
#[test]
fn a_crossing_that_fails_rolls_back_or_pauses_as_told() {
    let server = Server::serving("refuses");
    let (verdict, text) = server.update("2 refuses", |_| {});
    assert_eq!(verdict, Verdict::RolledBack);
    assert!(
        text.contains("worker 2 could not cross") && text.contains("carry"),
        "{text}"
    );
    assert_eq!(on_version(&server.status(), 1), 3);

    let pause = super::FailurePolicy::Pause;
    server.update("2 refuses", |asked| {
        (asked.wait, asked.on_failure) = (false, pause)
    });
    let paused = server.until(|status| status["stage"] == "paused");
    // The canary stays over; worker 1 does too if it was there before worker 2 failed.
    assert!(
        on_version(&paused, 1) >= 1 && on_version(&paused, 2) >= 1,
        "{paused}"
    );
    let (verdict, text) = server.update("2 good", |_| {});
    assert_eq!(verdict, Verdict::Refused);
    assert!(text.contains("under way (paused)"), "{text}");
    let (verdict, text, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Accepted, "{text}");
    assert_eq!(on_version(&server.status(), 1), 3);
}

// R14, R16: all together, or nobody
#[test]
fn a_barrier_crosses_together_and_one_that_is_missed_names_the_late() {
    let server = Server::serving("barrier");
    let (verdict, text) = server.update("2 late", |asked| {
        (asked.mode, asked.timeout) = (Mode::Barrier, Some(0.2));
    });
    assert_eq!(verdict, Verdict::RolledBack);
    assert!(text.contains("worker 2 passed no update point"), "{text}");
    assert_eq!(on_version(&server.status(), 1), 3);
    let (verdict, text) = server.update("2 good", |asked| asked.mode = Mode::Barrier);
    assert_eq!(
        (verdict, text.as_str()),
        (Verdict::Accepted, "v2 committed")
    );
}

#[test]
fn a_paused_update_serves_both_versions_until_it_is_resumed() {
    let server = Server::serving("pause");
    server.update("2 good", |asked| {
        (asked.wait, asked.probation) = (false, Some(3600.0))
    });
    server.until(|status| on_version(status, 2) == 1);
    assert_eq!(server.ask(&Request::Pause).0, Verdict::Accepted);
    assert_eq!(server.ask(&Request::Pause).0, Verdict::Refused);
    let paused = server.status();
    assert_eq!((on_version(&paused, 1), on_version(&paused, 2)), (2, 1));
    assert_eq!(server.ask(&Request::Resume).0, Verdict::Accepted);
    server.until(|status| status["stage"] == "canary");
    let (verdict, _, _) = server.ask(&Request::Rollback { wait: true });
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(on_version(&server.status(), 1), 3);
}

#[test]
fn a_killed_worker_is_replaced_a_signal_updates_and_another_drains() {
    let mut server = Server::serving("signals");
    let before = pids(&server.status());
    kill(Pid::from_raw(before[1] as i32), Signal::SIGKILL).expect("it lives");
    let after =
        server.until(|status| count(status, "serving") == 3 && pids(status)[1] != before[1]);
    assert_eq!(on_version(&after, 1), 3);

    std::fs::write(server.folder.join("app.so"), "2 good").expect("written");
    server.signal(Signal::SIGUSR2);
    server.until(|status| status["version"] == 2);
    server.signal(Signal::SIGTERM);
    let status = server.process.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(
        !server.folder.join("s.sock").exists(),
        "the socket is removed"
    );
}

#[test]
fn an_application_that_never_starts_is_given_up() {
    let mut server = Server::start("never", "1 never-starts");
    let stdout = server.process.stdout.take().expect("piped");
    let lines: Vec<String> = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .collect();
    let why = lines
        .iter()
        .find(|line| line.starts_with("failed"))
        .expect("it says why");
    assert!(why.contains("exited with status 7"), "{why}");
    assert_eq!(server.process.wait().expect("it ends").code(), Some(1));
}
