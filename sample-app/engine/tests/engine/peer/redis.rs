//! A real Redis, started for one test on a free port, without persistence.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::value::{Value, encode};

pub struct Redis {
    process: Child,
    folder: PathBuf,
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Redis {
    /// None, with the reason said, where there is no Redis 7.0 to compare with.
    pub fn start() -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output();
        let version = match &version {
            Ok(output) => String::from_utf8_lossy(&output.stdout),
            Err(error) => {
                eprintln!("skipped: redis-server cannot be started ({error})");
                return None;
            }
        };
        if !version.contains("v=7.0.") {
            eprintln!("skipped: this compares with redis-server 7.0, and here is {version}");
            return None;
        }
        // Another process may take the free port before Redis does; then try another.
        (0..5).find_map(|_| Self::try_start())
    }

    fn try_start() -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let folder = std::env::temp_dir().join(format!("kv-engine-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--databases", "1"])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server --version just ran");
        // Redis loads nothing, so it listens or exits soon; the deadline is for a hang.
        let deadline = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                break stream;
            }
            let gone = process.try_wait().expect("a child of ours").is_some();
            if gone || Instant::now() > deadline {
                let _ = process.kill();
                let _ = process.wait();
                let _ = std::fs::remove_dir_all(&folder);
                return None;
            }
            std::thread::yield_now();
        };
        let mut redis = Self {
            process,
            folder,
            port,
            stream: BufReader::new(stream),
        };
        // Expired keys go when they are looked at, as in the store under test.
        redis.run(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        Some(redis)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let sent = self.stream.get_mut().write_all(bytes);
        sent.expect("Redis takes what it is sent");
    }

    pub fn receive(&mut self) -> Value {
        Value::read(&mut self.stream).expect("Redis answers")
    }

    pub fn run(&mut self, args: &[&str]) -> Value {
        self.send(&encode(args));
        self.receive()
    }

    /// One more connection.
    pub fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Redis listens");
        // Requests come alone and wait for their answers.
        stream.set_nodelay(true).expect("a TCP connection");
        BufReader::new(stream)
    }

    /// Everything that a new connection gets for these bytes, which must end it.
    pub fn conversation(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Redis listens");
        stream
            .write_all(bytes)
            .expect("Redis takes what it is sent");
        let mut received = Vec::new();
        // A connection that Redis closes with bytes unread ends in a reset.
        let _ = stream.read_to_end(&mut received);
        received
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
