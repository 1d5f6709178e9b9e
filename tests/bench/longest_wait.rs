//! The longest time that a request waits: without an update, in a rolling update, in a barrier update;
//! with few keys and with many. Prints the median over rounds of each round's longest, in milliseconds.
//!
//! The ways alternate within a round, so that a noisy minute meets all of them.
//! `DSU_BENCH_KEYS` (comma separated), `DSU_BENCH_ROUNDS`, `DSU_BENCH_CONNECTIONS`, `DSU_BENCH_SECONDS`
//! (of a round's stretch without an update; updates take what they take) change the setting.

use dsu_tests::{Watchdog, host, library};
use sample_app::load::{Load, Plan, Value, Wire};
use sample_app::server::{Server, Settings};
use std::time::{Duration, Instant};

/// SETs in one batch of the filling.
const FILL: usize = 500;
const WAYS: [&str; 3] = ["none", "rolling", "barrier"];
/// Requests every few milliseconds, so that the load leaves the processors some air.
const REST: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(60);

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn number(name: &str, default: &str) -> u64 {
    let text = setting(name, default);
    text.parse()
        .unwrap_or_else(|_| panic!("{name}={text} is no number"))
}

fn main() {
    // Cargo passes this when benchmarks are only to be run as tests.
    let quick = std::env::args().any(|argument| argument == "--test");
    let rounds = number("DSU_BENCH_ROUNDS", if quick { "1" } else { "10" });
    let keys = setting(
        "DSU_BENCH_KEYS",
        if quick { "1000" } else { "10000,1000000" },
    );
    println!(
        "median over {rounds} rounds of the longest wait, in ms (each round's p99.9 likewise)"
    );
    println!(
        "{:>10} {:>10} {:>12} {:>12} {:>12}",
        "keys", "update", "longest", "p99.9", "took"
    );
    for keys in keys.split(',').filter_map(|text| text.trim().parse().ok()) {
        measure(keys, rounds);
    }
}

#[derive(Clone, Default)]
struct Samples {
    longest: Vec<Duration>,
    p999: Vec<Duration>,
    took: Vec<Duration>,
}

fn measure(keys: usize, rounds: u64) {
    let mut settings = Settings::new(library("kv_v1"));
    settings.more = ["--heap", "2G"].map(Into::into).to_vec();
    let server = Server::start(host(), &settings).unwrap_or_else(|why| panic!("{why}"));
    fill(&server, keys);
    let mut samples = vec![Samples::default(); WAYS.len()];
    for round in 0..rounds {
        // Another order each round: none of the ways is always the first.
        for turn in 0..WAYS.len() {
            let way = (turn + round as usize) % WAYS.len();
            let _watchdog = Watchdog::new("longest_wait");
            // Keys of its own for each stretch: a load expects to find none.
            let prefix = format!("load:{round}:{turn}");
            one(&server, WAYS[way], prefix, &mut samples[way]);
        }
    }
    for (way, samples) in WAYS.iter().zip(samples) {
        println!(
            "{keys:>10} {way:>10} {:>12.3} {:>12.3} {:>12.1}",
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

/// One stretch of load; an update goes to whichever version does not run.
fn one(server: &Server, way: &str, prefix: String, samples: &mut Samples) {
    let mut plan = Plan::new(server.address());
    plan.prefix = prefix;
    plan.connections = number("DSU_BENCH_CONNECTIONS", "20") as usize;
    plan.rest = REST;
    let load = Load::start(plan, "before").expect("the server takes connections");
    wait_answers(&load, 500);
    load.phase("measured");
    let start = Instant::now();
    if way == "none" {
        std::thread::sleep(Duration::from_secs(number("DSU_BENCH_SECONDS", "2")));
    } else {
        change(server, way);
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

fn change(server: &Server, way: &str) {
    let running = server
        .status()
        .unwrap_or_else(|why| panic!("{why}"))
        .version;
    let next = library(if running == 1 { "kv_v2" } else { "kv_v1" });
    let path = next.to_string_lossy();
    let mut arguments = vec!["update", &*path, "--mode", way, "--wait"];
    if way == "rolling" {
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

fn fill(server: &Server, keys: usize) {
    let mut wire = Wire::connect(server.address(), PATIENCE).expect("connected");
    for first in (0..keys).step_by(FILL) {
        let last = (first + FILL).min(keys);
        for n in first..last {
            wire.push(&[
                "SET".to_owned(),
                format!("filled:{n}"),
                format!("value of key {n}"),
            ]);
        }
        wire.flush().expect("sent");
        for _ in first..last {
            let reply = wire.reply().expect("an answer");
            assert_eq!(reply, Value::Simple("OK".to_owned()));
        }
    }
}

fn median_ms(mut values: Vec<Duration>) -> f64 {
    values.sort_unstable();
    let middle = values.get(values.len() / 2).copied();
    middle.unwrap_or_default().as_secs_f64() * 1000.0
}
