//! Servers that others wrote, started beside ours for a measurement: redis-server and memcached.
//!
//! Each has a free port of the loopback, keeps nothing on disk, and ends with its handle.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ports that are tried: another process may take a free one before the server does.
const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server of another make.
pub struct Rival {
    process: Child,
    address: SocketAddr,
}

impl Rival {
    /// A `redis-server` without persistence. `None`, with the reason said, where there is none.
    pub fn redis() -> Option<Rival> {
        Rival::start("redis-server", |port| {
            let mut arguments = vec!["--port".to_owned(), port];
            let more = [
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                "/",
            ];
            arguments.extend(more.map(str::to_owned));
            arguments
        })
    }

    /// A `memcached` with so many threads and so much memory that nothing is evicted. `None`, with the
    /// reason said, where there is none.
    pub fn memcached(threads: usize) -> Option<Rival> {
        Rival::start("memcached", |port| {
            let mut arguments = vec!["-p".to_owned(), port];
            arguments.extend(["-l", "127.0.0.1", "-U", "0", "-m", "4096"].map(str::to_owned));
            arguments.extend(["-t".to_owned(), threads.to_string()]);
            if is_root() {
                arguments.extend(["-u", "nobody"].map(str::to_owned));
            }
            arguments
        })
    }

    fn start(program: &str, arguments: impl Fn(String) -> Vec<String>) -> Option<Rival> {
        if let Err(error) = Command::new(program).arg("--version").output() {
            println!("skipped: {program} cannot be started ({error})");
            return None;
        }
        let started = (0..ATTEMPTS).find_map(|_| Rival::try_start(program, &arguments));
        if started.is_none() {
            println!("skipped: {program} ends at once, or does not listen");
        }
        started
    }

    fn try_start(program: &str, arguments: &impl Fn(String) -> Vec<String>) -> Option<Rival> {
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = listener.local_addr().ok()?;
        drop(listener);
        let process = Command::new(program)
            .args(arguments(address.port().to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut rival = Rival { process, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let is_gone = !matches!(rival.process.try_wait(), Ok(None));
            if is_gone || Instant::now() > deadline {
                return None;
            }
            std::thread::yield_now();
        }
        Some(rival)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

/// Memcached refuses to run as root unless it is told who to be.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Drop for Rival {
    fn drop(&mut self) {
        // Both do nothing if it has ended and been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
