//! The sample with one worker beside redis-server, both asked by `redis-benchmark`: requests a second,
//! the server's CPU time a request, and bytes a key. Prints ratios, ours over theirs, as the median over
//! rounds with the range; within a round the servers take turns, and each round another one begins.
//!
//! `-- speed` and `-- memory` do one half. Settings: `DSU_BENCH_VERSION` (the newest that is built),
//! `DSU_BENCH_ROUNDS`, `DSU_BENCH_COMMANDS` and `DSU_BENCH_DEPTHS` (comma separated),
//! `DSU_BENCH_REQUESTS` (a run without pipeline; four times as many with one), `DSU_BENCH_KEYS`.

use dsu_tests::settings::{number, or_quick, setting};
use dsu_tests::{Rival, Spread, cpu_time, host, memory_share};
use sample_app::load::{Value, Wire};
use sample_app::server::{Server, Settings};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const CONNECTIONS: &str = "50";
const VALUE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// Elements that LRANGE_600 reads.
const RANGE: usize = 600;
/// Commands in one batch of the filling.
const FILL: usize = 500;
const PATIENCE: Duration = Duration::from_secs(60);
/// The share of a core from which on the client, and not the server, sets the pace.
const BUSY: f64 = 0.95;
/// From one look at what the client has used to the next.
const LOOK: Duration = Duration::from_millis(10);
const NAMES: [&str; 2] = ["ours", "redis"];

/// The library to measure, and its version.
fn subject() -> (PathBuf, u32) {
    let built = |version| sample_app::libraries::kv(version).ok();
    match std::env::var("DSU_BENCH_VERSION") {
        Ok(text) => {
            let version = text.parse().expect("DSU_BENCH_VERSION is a number");
            (built(version).expect("built with the benchmark"), version)
        }
        Err(_) => (1..=3)
            .rev()
            .find_map(|version| Some((built(version)?, version)))
            .expect("built with the benchmark"),
    }
}

/// A server that is measured. What it owns ends with it.
struct Side {
    address: SocketAddr,
    /// Processes whose CPU time counts: the supervisor does not serve.
    serving: Vec<u32>,
    /// Processes whose memory counts.
    all: Vec<u32>,
    _owned: Owned,
}

#[expect(dead_code, reason = "held for their ends alone")]
enum Owned {
    Ours(Server),
    Redis(Rival),
}

impl Side {
    fn ours(library: PathBuf) -> Side {
        let mut settings = Settings::new(library);
        settings.workers = 1;
        settings.more = ["--heap", "4G"].map(Into::into).to_vec();
        let server = Server::start(host(), &settings).unwrap_or_else(|why| panic!("{why}"));
        let status = server.status().unwrap_or_else(|why| panic!("{why}"));
        let serving: Vec<u32> = status.workers.iter().map(|worker| worker.pid).collect();
        Side {
            address: server.address(),
            all: [&serving[..], &[server.pid()]].concat(),
            serving,
            _owned: Owned::Ours(server),
        }
    }

    fn redis() -> Option<Side> {
        let rival = Rival::redis()?;
        Some(Side {
            address: rival.address(),
            serving: vec![rival.pid()],
            all: vec![rival.pid()],
            _owned: Owned::Redis(rival),
        })
    }

    fn cpu_time(&self) -> Duration {
        self.serving.iter().map(|pid| cpu_time(*pid)).sum()
    }

    fn memory_share(&self) -> u64 {
        let shares = self.all.iter().map(|pid| memory_share(*pid));
        shares.map(|share| share.expect("it runs")).sum()
    }

    fn connect(&self) -> Wire {
        Wire::connect(self.address, PATIENCE).expect("the server takes connections")
    }

    /// Runs `make(n)` for each n, many at a time.
    fn fill(&self, count: usize, make: impl Fn(usize) -> Vec<String>) {
        let mut wire = self.connect();
        for first in (0..count).step_by(FILL) {
            let last = (first + FILL).min(count);
            (first..last).for_each(|n| wire.push(&make(n)));
            wire.flush().expect("sent");
            for _ in first..last {
                let reply = wire.reply().expect("an answer");
                assert!(!matches!(reply, Value::Error(_)), "{reply:?}");
            }
        }
    }

    fn set_keys(&self, count: usize) {
        self.fill(count, |n| {
            vec!["SET".into(), format!("key:{n:012}"), VALUE.into()]
        });
    }
}

/// What is measured: a name, the command for redis-benchmark, and whether version 3 alone has it.
struct Task {
    name: &'static str,
    command: &'static [&'static str],
    since: u32,
}

const TASKS: [Task; 7] = [
    Task {
        name: "GET",
        command: &["GET", "key:__rand_int__"],
        since: 1,
    },
    Task {
        name: "SET",
        command: &["SET", "key:__rand_int__", VALUE],
        since: 1,
    },
    Task {
        name: "INCR",
        command: &["INCR", "counter:__rand_int__"],
        since: 1,
    },
    Task {
        name: "LPUSH",
        command: &["LPUSH", "mylist", VALUE],
        since: 3,
    },
    Task {
        name: "LPOP",
        command: &["LPOP", "mylist"],
        since: 3,
    },
    Task {
        name: "HSET",
        command: &["HSET", "myhash", "element:__rand_int__", VALUE],
        since: 3,
    },
    Task {
        name: "LRANGE_600",
        command: &["LRANGE", "range", "0", "599"],
        since: 3,
    },
];

/// One run of redis-benchmark.
struct Run {
    per_second: f64,
    /// Of the server, in microseconds a request.
    cpu_us: f64,
    /// Share of a core that the client used while it asked.
    client: f64,
}

fn run(side: &Side, task: &Task, depth: usize, keys: usize, requests: usize) -> Run {
    let before = side.cpu_time();
    let start = Instant::now();
    let mut client = Command::new("redis-benchmark")
        .args(["-h", "127.0.0.1", "-p", &side.address.port().to_string()])
        .args(["-c", CONNECTIONS, "-P", &depth.to_string(), "--csv"])
        .args(["-n", &requests.to_string(), "-r", &keys.to_string()])
        .args(task.command)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-benchmark --version just ran");
    let mut output = client.stdout.take().expect("a pipe");
    let output = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let mut looks = Vec::new();
    while !output.is_finished() {
        looks.push((start.elapsed(), cpu_time(client.id())));
        thread::sleep(LOOK);
    }
    let text = output.join().expect("it only reads").expect("text");
    let ended = client.wait().expect("a child of ours");
    assert!(ended.success(), "redis-benchmark failed: {text}");
    let last = text.lines().last().unwrap_or_default();
    let mut fields = last.rsplit("\",\"");
    // The name may hold anything; behind it are the rate and six latencies.
    let per_second = fields.nth(6).and_then(|field| field.parse().ok());
    Run {
        per_second: per_second.unwrap_or_else(|| panic!("redis-benchmark says {text}")),
        cpu_us: (side.cpu_time() - before).as_secs_f64() * 1e6 / requests as f64,
        client: share(&looks),
    }
}

/// Share of a core that was used in the middle of a run, by moments and the time used until then: at the ends
/// connections are made and closed. 0 if it was too short to say.
fn share(looks: &[(Duration, Duration)]) -> f64 {
    let end = looks.len() / 8;
    let [first, .., last] = &looks[end..looks.len() - end] else {
        return 0.0;
    };
    (last.1 - first.1).as_secs_f64() / (last.0 - first.0).as_secs_f64()
}

/// What two servers gave in all rounds.
#[derive(Default)]
struct Compared {
    rates: [Spread; 2],
    cpu: [Spread; 2],
    client: [Spread; 2],
    rate_ratio: Spread,
    cpu_ratio: Spread,
}

impl Compared {
    fn add(&mut self, runs: [Run; 2]) {
        self.rate_ratio
            .push(runs[0].per_second / runs[1].per_second);
        self.cpu_ratio.push(runs[0].cpu_us / runs[1].cpu_us);
        for (side, run) in runs.into_iter().enumerate() {
            self.rates[side].push(run.per_second);
            self.cpu[side].push(run.cpu_us);
            self.client[side].push(run.client);
        }
    }

    fn print(&self, task: &str, depth: usize) {
        // A client that is busy all the time hides how fast the server is.
        let hidden = self.client.iter().any(|share| share.median() > BUSY);
        println!(
            "{task:>10} {depth:>3} {:>22}{} {:>22} {:>9.0} {:>9.0} {:>6.2} {:>6.2} {:>5.2} {:>5.2}",
            self.rate_ratio,
            if hidden { '*' } else { ' ' },
            self.cpu_ratio,
            self.rates[0].median(),
            self.rates[1].median(),
            self.cpu[0].median(),
            self.cpu[1].median(),
            self.client[0].median(),
            self.client[1].median(),
        );
    }
}

fn speed(library: &Path, version: u32) {
    let keys = number("DSU_BENCH_KEYS", or_quick(1_000_000, 1000));
    let rounds = number("DSU_BENCH_ROUNDS", or_quick(7, 1));
    let requests = number("DSU_BENCH_REQUESTS", or_quick(200_000, 1000));
    let depths = setting("DSU_BENCH_DEPTHS", "1,16");
    let chosen = setting("DSU_BENCH_COMMANDS", "");
    let sides = [
        Side::ours(library.to_path_buf()),
        Side::redis().expect("redis-server --version just ran"),
    ];
    for side in &sides {
        side.set_keys(keys);
        // What the commands work on is there: they measure a server that holds its keys.
        side.fill(keys, |n| {
            vec!["SET".into(), format!("counter:{n:012}"), "0".into()]
        });
        if version >= 3 {
            side.fill(keys, |n| {
                let field = format!("element:{n:012}");
                vec!["HSET".into(), "myhash".into(), field, VALUE.into()]
            });
            side.fill(RANGE, |_| {
                vec!["RPUSH".into(), "range".into(), VALUE.into()]
            });
        }
    }
    println!(
        "version {version}, one worker, beside redis-server: {CONNECTIONS} connections, {keys} keys, {rounds} rounds"
    );
    println!(
        "ratios are ours over theirs; * the client's core was over 95 % busy: CPU time decides"
    );
    println!(
        "{:>10} {:>3} {:>22}  {:>22} {:>19} {:>13} {:>11}",
        "",
        "-P",
        "requests a second",
        "CPU time a request",
        "requests a second",
        "CPU µs",
        "client"
    );
    println!(
        "{:>10} {:>3} {:>22}  {:>22} {:>9} {:>9} {:>6} {:>6} {:>5} {:>5}",
        "", "", "ratio", "ratio", NAMES[0], NAMES[1], NAMES[0], NAMES[1], NAMES[0], NAMES[1]
    );
    for depth in depths.split(',').map(|text| text.trim().parse::<usize>()) {
        let depth = depth.expect("DSU_BENCH_DEPTHS are numbers");
        for task in TASKS.iter().filter(|task| task.since <= version) {
            let is_chosen = chosen.is_empty() || chosen.split(',').any(|name| name == task.name);
            if !is_chosen {
                continue;
            }
            let many = match (task.name, depth) {
                ("LRANGE_600", _) => requests / 8,
                (_, 1) => requests,
                _ => requests * 4,
            };
            let mut compared = Compared::default();
            for round in 0..rounds {
                if task.name == "LPUSH" {
                    // Not with the elements of the rounds before.
                    let delete = |_| vec!["DEL".into(), "mylist".into()];
                    sides.iter().for_each(|side| side.fill(1, delete));
                }
                if task.name == "LPOP" {
                    let push = |_| vec!["LPUSH".into(), "mylist".into(), VALUE.into()];
                    sides.iter().for_each(|side| side.fill(many, push));
                }
                let one = |side: usize| run(&sides[side], task, depth, keys, many);
                compared.add(if round % 2 == 0 {
                    let ours = one(0);
                    [ours, one(1)]
                } else {
                    let theirs = one(1);
                    [one(0), theirs]
                });
            }
            compared.print(task.name, depth);
        }
    }
}

fn memory(library: &Path) {
    let counts = setting(
        "DSU_BENCH_KEYS",
        or_quick("600000,1000000,1600000", "10000"),
    );
    println!("bytes a key: growth of the sum of PSS, 64-byte values");
    println!(
        "{:>10} {:>8} {:>8} {:>8}",
        "keys", NAMES[0], NAMES[1], "ratio"
    );
    let mut ratios = Spread::default();
    for count in counts
        .split(',')
        .filter_map(|text| text.trim().parse::<usize>().ok())
    {
        let bytes = [0, 1].map(|which| {
            let side = match which {
                0 => Side::ours(library.to_path_buf()),
                _ => Side::redis().expect("redis-server --version just ran"),
            };
            // What a first connection costs is not the keys'.
            side.set_keys(1);
            let before = side.memory_share();
            side.set_keys(count);
            (side.memory_share() - before) as f64 / count as f64
        });
        let ratio = bytes[0] / bytes[1];
        println!(
            "{count:>10} {:>8.1} {:>8.1} {ratio:>8.3}",
            bytes[0], bytes[1]
        );
        ratios.push(ratio);
    }
    println!("{:>10} {:>8} {:>8} {:>8.3}", "mean", "", "", ratios.mean());
}

fn main() {
    let asked = |half: &str| {
        let mut halves = std::env::args()
            .filter(|a| a == "speed" || a == "memory")
            .peekable();
        halves.peek().is_none() || halves.any(|asked| asked == half)
    };
    if let Err(error) = Command::new("redis-benchmark").arg("--version").output() {
        println!("skipped: redis-benchmark cannot be started ({error})");
        return;
    }
    if Rival::redis().is_none() {
        return;
    }
    let (library, version) = subject();
    if asked("speed") {
        speed(&library, version);
    }
    if asked("memory") {
        memory(&library);
    }
}
