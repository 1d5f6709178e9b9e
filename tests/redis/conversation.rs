//! A connection that understands RESP3, and what tests ask the server about itself.

use crate::value::{Value, encode};
use dsu_tests::Fleet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// No reply is waited for longer: a guard against hangs, far beyond what any reply needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Connections made until each worker has one.
const ATTEMPTS: usize = 2000;

pub struct Conversation(BufReader<TcpStream>);

impl Conversation {
    pub fn new(fleet: &Fleet) -> Self {
        let stream = TcpStream::connect(fleet.address()).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a socket");
        stream.set_write_timeout(patience).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// A connection, unless there are too many: then it must be told so, as Redis words it.
    pub fn if_let_in(fleet: &Fleet) -> Option<Self> {
        const TOO_MANY: &str = "-ERR max number of clients reached\r\n";
        let mut one = Self::new(fleet);
        // Who is refused may be reset before all of that is read: its bytes are not.
        let _ = one.0.get_mut().write_all(b"PING\r\n");
        let mut said = String::new();
        let _ = one.0.read_line(&mut said);
        if said == "+PONG\r\n" {
            return Some(one);
        }
        assert!(said.is_empty() || said == TOO_MANY, "{said}");
        None
    }

    /// One connection at each worker.
    pub fn at_each_worker(fleet: &Fleet) -> Vec<Self> {
        let workers = fleet.now().workers;
        let mut found: Vec<Option<Self>> = workers.iter().map(|_| None).collect();
        // Kept open meanwhile: a worker with fewer connections is no likelier to take the next.
        let mut others = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut one = Self::new(fleet);
            let pid = one.process();
            let place = workers.iter().position(|worker| worker.pid == pid);
            let place = place.expect("the process of a worker");
            match &mut found[place] {
                Some(_) => others.push(one),
                empty => *empty = Some(one),
            }
            if found.iter().all(Option::is_some) {
                return found.into_iter().flatten().collect();
            }
        }
        panic!("of {ATTEMPTS} connections none is at one of the workers");
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let sent = self.0.get_mut().write_all(bytes);
        sent.expect("the server takes what it is sent");
    }

    pub fn receive(&mut self) -> Value {
        Value::read(&mut self.0).expect("the server answers")
    }

    pub fn run(&mut self, args: &[impl AsRef<[u8]>]) -> Value {
        self.send(&encode(args));
        self.receive()
    }

    /// Nothing more is sent; replies can still be received.
    pub fn shut(&mut self) {
        let shut = self.0.get_ref().shutdown(Shutdown::Write);
        shut.expect("a connection");
    }

    /// Everything up to the end of the connection, which the server must bring about.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes);
        end.unwrap_or_else(|error| panic!("{error} after {} bytes", bytes.len()));
        bytes
    }

    /// A number that INFO tells.
    pub fn fact(&mut self, section: &str, name: &str) -> u64 {
        let text = self.run(&["INFO", section]).text();
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let field = fields.find(|(field, _)| *field == name);
        let number = field.and_then(|(_, number)| number.trim().parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// The worker that serves it.
    pub fn process(&mut self) -> u32 {
        self.fact("server", "process_id") as u32
    }
}

/// Bytes of memory that all workers together have resident.
pub fn resident_bytes(fleet: &Fleet) -> u64 {
    let workers = fleet.now().workers;
    let kib = workers.iter().map(|worker| {
        let path = format!("/proc/{}/status", worker.pid);
        let status = std::fs::read_to_string(path).expect("the worker runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a process has memory");
        let digits = line.trim().trim_end_matches(" kB");
        digits.parse::<u64>().expect("a number")
    });
    kib.sum::<u64>() * 1024
}
