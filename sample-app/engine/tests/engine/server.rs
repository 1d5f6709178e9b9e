//! The server around the commands under test, and a connection to it without a socket.

use std::time::{SystemTime, UNIX_EPOCH};

use kv_engine::{
    Client, CommandRow, CommandTable, Counters, Facts, Metrics, Progress, Server, Session, UnixMs,
    config_defaults,
};

use crate::memory::{InMemory, Memory};
use crate::value::{Value, encode};

pub struct TestServer {
    /// A fixed time, or the machine's.
    pub clock: Option<UnixMs>,
    pub counted: Counters,
    pub others: Vec<(u64, String)>,
    /// Bytes that a reply may have.
    pub most_reply: usize,
    /// Connections that were to get more.
    pub cut: usize,
    metrics: Metrics,
    chance: u64,
}

impl TestServer {
    pub fn new() -> Self {
        Self {
            clock: None,
            counted: Counters::default(),
            others: Vec::new(),
            most_reply: usize::MAX,
            cut: 0,
            metrics: Metrics::default(),
            chance: 1,
        }
    }
}

impl Server for TestServer {
    fn now(&self) -> UnixMs {
        self.clock.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            UnixMs(since.expect("the clock is past 1970").as_millis() as u64)
        })
    }

    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005) + 1;
        self.chance >> 16
    }

    fn count(&mut self, counters: Counters) {
        self.counted += counters;
    }

    fn lend_metrics(&mut self) -> Metrics {
        std::mem::take(&mut self.metrics)
    }

    fn return_metrics(&mut self, metrics: Metrics) {
        self.metrics = metrics;
    }

    fn command_rows(&self, own: &Metrics) -> Vec<CommandRow> {
        own.rows()
    }

    fn error_rows(&self, own: &Metrics) -> Vec<(String, u64)> {
        own.errors()
    }

    fn most_reply(&self) -> usize {
        self.most_reply
    }

    fn count_cut(&mut self) {
        self.cut += 1;
    }

    fn facts(&self) -> Facts {
        Facts {
            redis_version: "7.0.15".into(),
            counters: self.counted,
            connected_clients: 1,
            extra: vec![("Worker".into(), vec![("slot".into(), "3".into())])],
            ..Facts::default()
        }
    }

    fn settings(&self, visit: &mut dyn FnMut(&str, &str)) {
        for (name, value) in config_defaults() {
            visit(name, value);
        }
    }

    fn other_clients(&self, asking: u64, visit: &mut dyn FnMut(u64, &str)) {
        for (id, line) in self.others.iter().filter(|(id, _)| *id != asking) {
            visit(*id, line);
        }
    }
}

/// A connection to a store of its own.
pub struct Local {
    pub table: CommandTable<InMemory>,
    pub memory: Memory,
    pub server: TestServer,
    pub session: Session,
}

impl Local {
    pub fn new(table: CommandTable<InMemory>) -> Self {
        Self {
            table,
            memory: Memory::new(),
            server: TestServer::new(),
            session: Session::new(client(7)),
        }
    }

    pub fn process(&mut self, budget: usize) -> Progress {
        self.session
            .process(&self.table, &mut self.memory, &mut self.server, budget)
    }

    /// Sends bytes and takes what comes back.
    pub fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.session.feed(bytes);
        let mut received = Vec::new();
        loop {
            let progress = self.process(usize::MAX);
            received.extend_from_slice(self.session.unsent());
            self.session.sent(self.session.unsent().len());
            if progress != Progress::OutputFull {
                return received;
            }
        }
    }

    /// Runs one command.
    pub fn run(&mut self, args: &[&[u8]]) -> Value {
        let received = self.exchange(&encode(args));
        let mut values = Value::parse_all(&received);
        assert_eq!(values.len(), 1, "one command, one reply");
        values.remove(0)
    }

    /// Runs one command whose arguments have no spaces.
    pub fn line(&mut self, line: &str) -> Value {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.run(&args)
    }
}

pub fn client(id: u64) -> Client {
    Client {
        id,
        address: "127.0.0.1:50000".into(),
        local_address: "127.0.0.1:6379".into(),
        descriptor: 9,
        ..Client::default()
    }
}
