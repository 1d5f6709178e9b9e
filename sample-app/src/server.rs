//! A server in processes of its own: starts it, asks it through the operator's command line, ends it.
//!
//! Owns a temporary folder with the control socket, the link that the server runs from, and its log.
//! Ends only the process that it started; workers end with their supervisor.

use dsu_runtime::supervisor::Record;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What to execute so that it behaves as `dsu`.
#[derive(Clone, Debug)]
pub struct Host {
    /// The executable.
    pub program: PathBuf,
    /// Arguments before those of `dsu`.
    pub prefix: Vec<OsString>,
}

impl Host {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.prefix);
        command
    }
}

/// How a server starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first version.
    pub library: PathBuf,
    /// Number of workers.
    pub workers: u32,
    /// `HOST:PORT`; none if the application listens on nothing.
    pub listen: Option<String>,
    /// More arguments of `dsu run`.
    pub more: Vec<OsString>,
}

impl Settings {
    /// Two workers on a free port of the loopback.
    pub fn new(library: PathBuf) -> Settings {
        Settings {
            library,
            workers: 2,
            listen: Some("127.0.0.1:0".to_owned()),
            more: Vec::new(),
        }
    }
}

/// What a `dsu` command said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it exited with; -1 if a signal ended it.
    pub code: i32,
    /// `accepted`, `refused`, `rolled-back` or `unreachable`.
    pub word: String,
    /// For people.
    pub text: String,
    /// For programs.
    pub data: Value,
}

impl Answer {
    /// The record of the update, if the answer is to one.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_value(self.data.clone()).ok()
    }

    fn read(code: i32, stdout: &[u8]) -> Result<Answer, String> {
        let json: Value = serde_json::from_slice(stdout).map_err(|error| {
            let said = String::from_utf8_lossy(stdout);
            format!("dsu exited with {code} and said {said:?}: {error}")
        })?;
        let field = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Ok(Answer {
            code,
            word: field("answer"),
            text: field("text"),
            data: json["data"].clone(),
        })
    }
}

/// One worker, as `dsu status` tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerStatus {
    /// Its slot.
    pub worker: u64,
    /// Its process; 0 while there is none.
    pub pid: u32,
    /// The version that it runs.
    pub version: Option<u64>,
    /// `serving` when all is well.
    pub state: String,
}

/// The server, as `dsu status` tells.
#[derive(Clone, Debug)]
pub struct Status {
    /// The version that the server runs, or goes back to.
    pub version: u64,
    /// How far an update is; `idle` if there is none.
    pub stage: String,
    /// Sorted by slot.
    pub workers: Vec<WorkerStatus>,
    /// Everything else.
    pub data: Value,
}

/// A running server. Dropping it kills it.
pub struct Server {
    host: Host,
    child: Child,
    folder: Folder,
    address: Option<SocketAddr>,
}

impl Server {
    /// Starts a server and returns when it listens.
    ///
    /// # Errors
    /// One sentence, with the end of its log.
    pub fn start(host: Host, settings: &Settings) -> Result<Server, String> {
        let folder = Folder::new()?;
        point(&folder.link(), &settings.library)?;
        let log = fs::File::create(folder.log()).map_err(|error| format!("no log: {error}"))?;
        let mut command = host.command();
        command.arg("run").arg(folder.link());
        command.arg("--control").arg(folder.control());
        command.args(["--workers", &settings.workers.to_string()]);
        if let Some(listen) = &settings.listen {
            command.args(["--listen", listen]);
        }
        command.args(&settings.more);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot execute {}: {error}", host.program.display()))?;
        let mut server = Server {
            host,
            child,
            folder,
            address: None,
        };
        server.read_greeting()?;
        Ok(server)
    }

    fn read_greeting(&mut self) -> Result<(), String> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err("the server has no output".to_owned());
        };
        let mut said = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, address)) = line
                .strip_prefix("listening ")
                .and_then(|rest| rest.split_once('='))
            {
                let parsed = address
                    .parse()
                    .map_err(|error| format!("{address} is no address: {error}"))?;
                self.address.get_or_insert(parsed);
            }
            if line.starts_with("serving ") {
                return Ok(());
            }
            said.push_str(&line);
            said.push('\n');
        }
        let log = self.log();
        Err(format!("the server did not start: {said}{log}")
            .trim()
            .to_owned())
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it was started without a listener.
    pub fn address(&self) -> SocketAddr {
        self.address
            .expect("the server was started with a listener")
    }

    /// The supervisor's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The link that it runs from.
    pub fn link(&self) -> PathBuf {
        self.folder.link()
    }

    /// A folder for this server's files.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.log()).unwrap_or_default()
    }

    /// Lets the link hold another version, in one step.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn point_link_at(&self, library: &Path) -> Result<(), String> {
        point(&self.folder.link(), library)
    }

    /// Runs a `dsu` command against this server and hands each line of progress over.
    ///
    /// # Errors
    /// The command could not be run, or gave no answer.
    pub fn dsu_with_progress<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        mut progress: impl FnMut(&str),
    ) -> Result<Answer, String> {
        let mut command = self.command(arguments);
        command.stderr(Stdio::piped()).stdout(Stdio::piped());
        let failed = |error| format!("cannot run dsu: {error}");
        let mut child = command.spawn().map_err(failed)?;
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                progress(&line);
            }
        }
        let output = child.wait_with_output().map_err(failed)?;
        Answer::read(output.status.code().unwrap_or(-1), &output.stdout)
    }

    /// Runs a `dsu` command against this server.
    ///
    /// # Errors
    /// The command could not be run, or gave no answer.
    pub fn dsu<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Answer, String> {
        self.dsu_with_progress(arguments, |_| {})
    }

    /// The command line of a `dsu` command against this server.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.host.command();
        command.arg("--json").arg("--control");
        command.arg(self.folder.control()).stdin(Stdio::null());
        // Whatever follows `--` is the application's.
        command.args(arguments);
        command
    }

    /// How it stands.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> Result<Status, String> {
        let answer = self.dsu(&["status"])?;
        match answer.code {
            0 => Ok(Status::read(answer.data)),
            _ => Err(format!("{} {}", answer.word, answer.text)),
        }
    }

    /// Sends a signal to the supervisor.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, signal).map_err(|error| format!("{signal} cannot be sent: {error}"))
    }

    /// SIGTERM, and its end.
    ///
    /// # Errors
    /// It could not be waited for.
    pub fn stop(self) -> Result<ExitStatus, String> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    /// Its end, whatever brings it about.
    ///
    /// # Errors
    /// It could not be waited for.
    pub fn wait(mut self) -> Result<ExitStatus, String> {
        self.child.wait().map_err(|error| error.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both do nothing if it has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Status {
    fn read(data: Value) -> Status {
        let list = data["workers"].as_array().cloned().unwrap_or_default();
        let workers = list.iter().map(|one| WorkerStatus {
            worker: one["worker"].as_u64().unwrap_or_default(),
            pid: one["pid"].as_u64().unwrap_or_default() as u32,
            version: one["version"].as_u64(),
            state: one["state"].as_str().unwrap_or_default().to_owned(),
        });
        Status {
            version: data["version"].as_u64().unwrap_or_default(),
            stage: data["stage"].as_str().unwrap_or_default().to_owned(),
            workers: workers.collect(),
            data,
        }
    }
}

/// Makes `link` a symbolic link to `library`, replacing what was there without a moment in between.
///
/// # Errors
/// One sentence.
pub fn point(link: &Path, library: &Path) -> Result<(), String> {
    let draft = link.with_extension("draft");
    std::os::unix::fs::symlink(library, &draft)
        .and_then(|()| fs::rename(&draft, link))
        .map_err(|error| format!("cannot make the link {}: {error}", link.display()))
}

/// A temporary folder of its own, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one that only this user can enter.
    ///
    /// # Errors
    /// One sentence.
    pub fn new() -> Result<Folder, String> {
        use std::os::unix::fs::DirBuilderExt;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dsu-sample-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left by an earlier process of the same number.
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("cannot make the folder {}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The link that a server in this folder runs from.
    pub fn link(&self) -> PathBuf {
        self.0.join("app.so")
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.0.join("dsu.sock")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
