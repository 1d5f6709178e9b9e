//! The longest time that a request waits: without an update, in a rolling one, in a barrier one, both up
//! and down; between versions 1 and 2, and 2 and 3, the latter beside a list of a million elements and a
//! hash of a million fields. Prints the median over rounds of each round's longest, in milliseconds.
//!
//! The ways alternate within a round, so that a noisy minute meets all of them.
//! `DSU_BENCH_KEYS` (comma separated), `DSU_BENCH_ELEMENTS`, `DSU_BENCH_ROUNDS`, `DSU_BENCH_CONNECTIONS`,
//! `DSU_BENCH_SECONDS` (of a round's stretch without an update; updates take what they take) change the
//! setting.

use dsu_tests::settings::{median_ms, number, or_quick, setting};
use dsu_tests::{Watchdog, host, library};
use sample_app::load::{Load, Plan, Value, Wire};
use sample_app::server::{Server, Settings};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Commands in one batch of the filling.
const FILL: usize = 500;

/// What happens in a stretch of load.
#[derive(Clone, Copy)]
enum Way {
    None,
    /// To the newer version, or back to the older one.
    Update {
        mode: &'static str,
        is_up: bool,
    },
}

/// In an order that ends at the version at which it begins.
const WAYS: [(&str, Way); 5] = [
    ("none", Way::None),
    ("rolling up", update("rolling", true)),
    ("rolling down", update("rolling", false)),
    ("barrier up", update("barrier", true)),
    ("barrier down", update("barrier", false)),
];

const fn update(mode: &'static str, is_up: bool) -> Way {
    Way::Update { mode, is_up }
}

/// Requests every few milliseconds, so that the load leaves the processors some air.
const REST: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let rounds = number("DSU_BENCH_ROUNDS", or_quick(10, 1));
    let keys = setting("DSU_BENCH_KEYS", or_quick("10000,1000000", "1000"));
    println!(
        "median over {rounds} rounds of the longest wait, in ms (each round's p99.9 likewise)"
    );
    println!(
        "{:>10} {:>8} {:>14} {:>12} {:>12} {:>12}",
        "keys", "versions", "update", "longest", "p99.9", "took"
    );
    for keys in keys.split(',').filter_map(|text| text.trim().parse().ok()) {
        for older in [1, 2] {
            measure(keys, older, rounds);
        }
    }
}

#[derive(Clone, Default)]
struct Samples {
    longest: Vec<Duration>,
    p999: Vec<Duration>,
    took: Vec<Duration>,
}

/// Between this version and the next one.
fn measure(keys: usize, older: u64, rounds: u64) {
    let mut settings = Settings::new(kv(older + 1));
    settings.more = ["--heap", "2G"].map(Into::into).to_vec();
    let server = Server::start(host(), &settings).unwrap_or_else(|why| panic!("{why}"));
    fill(&server, keys, older + 1);
    change(&server, &kv(older), "barrier");
    let mut samples = vec![Samples::default(); WAYS.len()];
    for round in 0..rounds {
        for (turn, (_, way)) in WAYS.iter().enumerate() {
            let _watchdog = Watchdog::new("longest_wait");
            // Keys of its own for each stretch: a load expects to find none.
            let prefix = format!("load:{round}:{turn}");
            one(&server, older, *way, prefix, &mut samples[turn]);
        }
    }
    let versions = format!("{older}, {}", older + 1);
    for ((name, _), samples) in WAYS.iter().zip(samples) {
        println!(
            "{keys:>10} {versions:>8} {name:>14} {:>12.3} {:>12.3} {:>12.1}",
            median_ms(samples.longest),
            median_ms(samples.p999),
            median_ms(samples.took)
        );
    }
    let ended = server.stop();
    assert!(
        ended.is_ok_and(|status| status.success()),
        "the server ended badly"
    );
}

fn kv(version: u64) -> PathBuf {
    library(&format!("kv_v{version}"))
}

/// One stretch of load.
fn one(server: &Server, older: u64, way: Way, prefix: String, samples: &mut Samples) {
    let mut plan = Plan::new(server.address());
    plan.prefix = prefix;
    plan.connections = number("DSU_BENCH_CONNECTIONS", 20);
    plan.rest = REST;
    let load = Load::start(plan, "before").expect("the server takes connections");
    wait_answers(&load, 500);
    load.phase("measured");
    let start = Instant::now();
    match way {
        Way::None => {
            std::thread::sleep(Duration::from_secs(number("DSU_BENCH_SECONDS", 2)));
        }
        Way::Update { mode, is_up } => change(server, &kv(older + u64::from(is_up)), mode),
    }
    let took = start.elapsed();
    load.phase("after");
    wait_answers(&load, 500);
    let results = load.finish().expect("the server is there");
    assert!(results.is_clean(), "{:#?}", results.texts);
    let phase = results.phase("measured").expect("it was begun");
    samples.longest.push(phase.longest());
    samples.p999.push(phase.quantile(0.999));
    samples.took.push(took);
}

fn change(server: &Server, library: &Path, mode: &str) {
    let path = library.to_string_lossy();
    let mut arguments = vec!["update", &*path, "--mode", mode, "--wait"];
    if mode == "rolling" {
        arguments.extend(["--probation", "0.2"]);
    }
    let answer = server.dsu(&arguments).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(answer.code, 0, "{}\n{}", answer.text, server.log());
}

fn wait_answers(load: &Load, more: u64) {
    let wanted = load.answered() + more;
    while load.answered() < wanted {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Strings, and where the version has them one large list and one large hash.
fn fill(server: &Server, keys: usize, version: u64) {
    let mut wire = Wire::connect(server.address(), PATIENCE).expect("connected");
    in_batches(&mut wire, keys, |n| {
        let value = format!("value of key {n}");
        vec!["SET".to_owned(), format!("filled:{n}"), value]
    });
    if version < 3 {
        return;
    }
    let elements = number("DSU_BENCH_ELEMENTS", or_quick(1_000_000, 1000));
    in_batches(&mut wire, elements, |n| {
        ["RPUSH", "list", &format!("element {n}")]
            .map(Into::into)
            .to_vec()
    });
    in_batches(&mut wire, elements, |n| {
        let (field, value) = (format!("field {n}"), format!("value {n}"));
        ["HSET", "hash", &field, &value].map(Into::into).to_vec()
    });
}

fn in_batches(wire: &mut Wire, count: usize, command: impl Fn(usize) -> Vec<String>) {
    for first in (0..count).step_by(FILL) {
        let batch = first..(first + FILL).min(count);
        for n in batch.clone() {
            wire.push(&command(n));
        }
        wire.flush().expect("sent");
        for _ in batch {
            let reply = wire.reply().expect("an answer");
            assert!(!matches!(reply, Value::Error(_)), "{reply:?}");
        }
    }
}
