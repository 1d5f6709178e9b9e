//! The sample with two workers beside memcached with two threads: GET and SET of 64-byte values by one
//! load generator, whose loop is the same for both and knows only how requests are written and what a
//! reply must be. Prints ratios, ours over theirs, as the median over rounds with the range.
//!
//! Settings: `DSU_BENCH_VERSION` (2), `DSU_BENCH_ROUNDS`, `DSU_BENCH_REQUESTS` (of a run without
//! pipeline; four times as many with one), `DSU_BENCH_KEYS`, `DSU_BENCH_DEPTHS`.

use dsu_tests::settings::{number, or_quick, setting};
use dsu_tests::{Rival, Spread, cpu_time, host, library};
use sample_app::server::{Server, Settings};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Workers of ours, threads of theirs, threads of the load.
const THREADS: usize = 2;
const CONNECTIONS: usize = 50;
const VALUE: [u8; 64] = [b'x'; 64];
const FILL: usize = 500;
const NAMES: [&str; 2] = ["ours", "memcached"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Get,
    Set,
}

/// How a server is spoken to.
#[derive(Clone, Copy)]
enum Protocol {
    Redis,
    Memcached,
}

/// Digits of a key's number.
const DIGITS: usize = 12;

/// A request with its key left blank, and the one reply to it.
struct Exchange {
    request: Vec<u8>,
    /// Where the key's digits are in the request, and in the reply if it repeats them.
    digits: usize,
    reply: Vec<u8>,
    reply_digits: Option<usize>,
}

impl Protocol {
    fn exchange(self, task: Task) -> Exchange {
        let key = [b"key:".as_slice(), &[b'0'; DIGITS]].concat();
        let (key, line) = (key.as_slice(), b"\r\n".as_slice());
        let (request, reply): (Vec<u8>, Vec<u8>) = match (self, task) {
            (Protocol::Redis, Task::Get) => (
                [b"*2\r\n$3\r\nGET\r\n$16\r\n", key, line].concat(),
                [b"$64\r\n".as_slice(), &VALUE, line].concat(),
            ),
            (Protocol::Redis, Task::Set) => {
                let head = b"*3\r\n$3\r\nSET\r\n$16\r\n".as_slice();
                let request = [head, key, b"\r\n$64\r\n", &VALUE, line].concat();
                (request, b"+OK\r\n".to_vec())
            }
            (Protocol::Memcached, Task::Get) => (
                [b"get ".as_slice(), key, line].concat(),
                [b"VALUE ", key, b" 0 64\r\n", &VALUE, b"\r\nEND\r\n"].concat(),
            ),
            (Protocol::Memcached, Task::Set) => (
                [b"set ", key, b" 0 0 64\r\n", &VALUE, line].concat(),
                b"STORED\r\n".to_vec(),
            ),
        };
        let place = |bytes: &[u8]| {
            let found = bytes.windows(4).position(|part| part == b"key:");
            found.map(|at| at + 4)
        };
        Exchange {
            digits: place(&request).expect("every request names a key"),
            reply_digits: place(&reply),
            request,
            reply,
        }
    }
}

/// Writes a key's number.
fn write_digits(mut number: usize, to: &mut [u8]) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// One connection and what is under way on it.
struct Line {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    keys: Vec<usize>,
}

impl Line {
    fn connect(address: SocketAddr) -> Line {
        let stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_nodelay(true).expect("a TCP socket");
        Line {
            stream,
            output: Vec::new(),
            input: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn send(&mut self, exchange: &Exchange, keys: impl Iterator<Item = usize>) {
        self.output.clear();
        self.keys.clear();
        for key in keys {
            let digits = self.output.len() + exchange.digits;
            self.output.extend_from_slice(&exchange.request);
            write_digits(key, &mut self.output[digits..digits + DIGITS]);
            self.keys.push(key);
        }
        self.stream.write_all(&self.output).expect("sent");
    }

    /// Takes the replies, each of which must be the right one.
    fn receive(&mut self, exchange: &Exchange) {
        let length = exchange.reply.len();
        self.input.resize(length * self.keys.len(), 0);
        self.stream.read_exact(&mut self.input).expect("answered");
        for (reply, key) in self.input.chunks_exact_mut(length).zip(&self.keys) {
            if let Some(at) = exchange.reply_digits {
                let mut wanted = [0; DIGITS];
                write_digits(*key, &mut wanted);
                assert_eq!(reply[at..at + DIGITS], wanted, "another key's value");
                reply[at..at + DIGITS].fill(b'0');
            }
            assert!(
                reply == &exchange.reply[..],
                "{:?}",
                String::from_utf8_lossy(reply)
            );
        }
    }
}

/// A server that is measured. What it owns ends with it.
struct Side {
    protocol: Protocol,
    address: SocketAddr,
    serving: Vec<u32>,
    _owned: Owned,
}

#[expect(dead_code, reason = "held for their ends alone")]
enum Owned {
    Ours(Server),
    Memcached(Rival),
}

impl Side {
    fn ours() -> Side {
        let version = number("DSU_BENCH_VERSION", 2);
        let mut settings = Settings::new(library(&format!("kv_v{version}")));
        settings.workers = THREADS as u32;
        settings.more = ["--heap", "4G"].map(Into::into).to_vec();
        let server = Server::start(host(), &settings).unwrap_or_else(|why| panic!("{why}"));
        let status = server.status().unwrap_or_else(|why| panic!("{why}"));
        Side {
            protocol: Protocol::Redis,
            address: server.address(),
            serving: status.workers.iter().map(|worker| worker.pid).collect(),
            _owned: Owned::Ours(server),
        }
    }

    fn memcached(rival: Rival) -> Side {
        Side {
            protocol: Protocol::Memcached,
            address: rival.address(),
            serving: vec![rival.pid()],
            _owned: Owned::Memcached(rival),
        }
    }

    fn cpu_time(&self) -> Duration {
        self.serving.iter().map(|pid| cpu_time(*pid)).sum()
    }

    fn fill(&self, keys: usize) {
        let exchange = self.protocol.exchange(Task::Set);
        let mut line = Line::connect(self.address);
        for first in (0..keys).step_by(FILL) {
            line.send(&exchange, first..(first + FILL).min(keys));
            line.receive(&exchange);
        }
    }
}

/// One thread's part of a run: to all its connections, then from all of them, again and again.
fn drive(side: &Side, task: Task, depth: usize, keys: usize, requests: usize, mut chance: u64) {
    let exchange = side.protocol.exchange(task);
    let mut lines: Vec<Line> = (0..CONNECTIONS / THREADS)
        .map(|_| Line::connect(side.address))
        .collect();
    let mut next = || {
        // xorshift64*.
        chance ^= chance >> 12;
        chance ^= chance << 25;
        chance ^= chance >> 27;
        let high = chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * keys as u64) >> 32) as usize
    };
    for _ in 0..requests / (lines.len() * depth) {
        for line in &mut lines {
            line.send(&exchange, (0..depth).map(|_| next()));
        }
        for line in &mut lines {
            line.receive(&exchange);
        }
    }
}

/// Requests a second, and the server's microseconds of CPU a request.
fn run(side: &Side, task: Task, depth: usize, keys: usize, requests: usize) -> (f64, f64) {
    let before = side.cpu_time();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let chance = 0x9e37_79b9_7f4a_7c15 * (thread + 1);
            scope.spawn(move || drive(side, task, depth, keys, requests / THREADS, chance));
        }
    });
    let took = start.elapsed().as_secs_f64();
    let cpu = (side.cpu_time() - before).as_secs_f64();
    (requests as f64 / took, cpu * 1e6 / requests as f64)
}

fn main() {
    let Some(rival) = Rival::memcached(THREADS) else {
        return;
    };
    let keys = number("DSU_BENCH_KEYS", or_quick(1_000_000, 1000));
    let rounds = number("DSU_BENCH_ROUNDS", or_quick(7, 1));
    let requests = number("DSU_BENCH_REQUESTS", or_quick(200_000, 2000));
    let depths = setting("DSU_BENCH_DEPTHS", "1,16");
    let sides = [Side::ours(), Side::memcached(rival)];
    sides.iter().for_each(|side| side.fill(keys));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{THREADS} workers beside {THREADS} threads of memcached, {CONNECTIONS} connections, {keys} keys, \
         {rounds} rounds; {cores} cores for server and load together"
    );
    println!(
        "{:>5} {:>6} {:>22} {:>22} {:>10} {:>10}",
        "", "depth", "requests a second", "CPU time a request", NAMES[0], NAMES[1]
    );
    for depth in depths.split(',').map(|text| text.trim().parse::<usize>()) {
        let depth = depth.expect("DSU_BENCH_DEPTHS are numbers");
        for (name, task) in [("GET", Task::Get), ("SET", Task::Set)] {
            let many = if depth == 1 { requests } else { requests * 4 };
            let (mut rate, mut cpu) = (Spread::default(), Spread::default());
            let mut rates = [Spread::default(), Spread::default()];
            for round in 0..rounds {
                let first = round % 2;
                let one = run(&sides[first], task, depth, keys, many);
                let other = run(&sides[1 - first], task, depth, keys, many);
                let (ours, theirs) = if first == 0 {
                    (one, other)
                } else {
                    (other, one)
                };
                rate.push(ours.0 / theirs.0);
                cpu.push(ours.1 / theirs.1);
                rates[0].push(ours.0);
                rates[1].push(theirs.0);
            }
            println!(
                "{name:>5} {depth:>6} {rate:>22} {cpu:>22} {:>10.0} {:>10.0}",
                rates[0].median(),
                rates[1].median()
            );
        }
    }
}
