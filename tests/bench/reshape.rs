//! The longest time that a request waits while a map of many entries under one guard becomes an ordered
//! one, and back: in each phase of the update, beside the same server without one. Prints the median over
//! rounds of each round's longest, in milliseconds, and how long the phase took.
//!
//! A request counts for the phase in which it is answered. `DSU_BENCH_ENTRIES` (comma separated),
//! `DSU_BENCH_ROUNDS`, `DSU_BENCH_CONNECTIONS`, `DSU_BENCH_SECONDS` (of the stretch without an update)
//! change the setting.

use dsu_tests::settings::{median_ms, number, or_quick, setting};
use dsu_tests::{Watchdog, host, library};
use sample_app::server::{Server, Settings};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// In the order in which a round meets them.
const PHASES: [&str; 9] = [
    "none",
    "up: before",
    "up: filling",
    "up: mixed",
    "up: sweeping",
    "down: before",
    "down: filling",
    "down: mixed",
    "down: sweeping",
];
/// Entries that are made at once.
const PILE: u64 = 900;
/// Between two requests of a connection.
const REST: Duration = Duration::from_millis(1);
const POLL: Duration = Duration::from_millis(2);

fn main() {
    let rounds = number("DSU_BENCH_ROUNDS", or_quick(5, 1));
    let entries = setting("DSU_BENCH_ENTRIES", or_quick("1000,1000000", "1000"));
    println!(
        "median over {rounds} rounds of the longest wait in each phase, and of its length, in ms"
    );
    println!(
        "{:>10} {:>16} {:>10} {:>10} {:>10}",
        "entries", "phase", "longest", "p99.9", "took"
    );
    for entries in entries
        .split(',')
        .filter_map(|text| text.trim().parse().ok())
    {
        measure(entries, rounds);
    }
}

fn atlas(version: u32) -> PathBuf {
    library(&format!("fixture_atlas_v{version}"))
}

/// What clients have seen in each phase, in nanoseconds.
#[derive(Default)]
struct Seen {
    phase: AtomicUsize,
    stop: AtomicBool,
    answers: AtomicU64,
}

fn measure(entries: u64, rounds: u64) {
    let mut settings = Settings::new(atlas(1));
    settings.workers = 2;
    settings.more = ["--heap", "2G"].map(Into::into).to_vec();
    let server = Server::start(host(), &settings).unwrap_or_else(|why| panic!("{why}"));
    let mut filler = connect(&server);
    // Values from 0 on, and short of those that the atlas has a meaning for.
    for first in (0..entries).step_by(PILE as usize) {
        let count = (entries - first).min(PILE);
        ask(&mut filler, &format!("P PILE {} {count}", 4 * first));
    }
    let mut longest = vec![Vec::new(); PHASES.len()];
    let mut rare = vec![Vec::new(); PHASES.len()];
    let mut took = vec![Vec::new(); PHASES.len()];
    for _ in 0..rounds {
        let _watchdog = Watchdog::new("reshape");
        let seen = Seen::default();
        let waits = thread::scope(|scope| {
            let connections = number("DSU_BENCH_CONNECTIONS", 8);
            let clients: Vec<_> = (0..connections)
                .map(|client| {
                    let (server, seen) = (&server, &seen);
                    scope.spawn(move || load(server, seen, client, entries))
                })
                .collect();
            let times = one_round(&server, &seen);
            for (place, time) in times.into_iter().enumerate() {
                took[place].push(time);
            }
            seen.stop.store(true, Ordering::Relaxed);
            let waits = clients
                .into_iter()
                .map(|client| client.join().expect("no panic"));
            waits.collect::<Vec<_>>()
        });
        for place in 0..PHASES.len() {
            let mut all: Vec<Duration> = waits.iter().flat_map(|of| &of[place]).copied().collect();
            all.sort_unstable();
            longest[place].extend(all.last().copied());
            rare[place].extend(all.get(all.len() * 999 / 1000).copied());
        }
    }
    for (((phase, longest), rare), took) in PHASES.iter().zip(longest).zip(rare).zip(took) {
        println!(
            "{entries:>10} {phase:>16} {:>10.3} {:>10.3} {:>10.1}",
            median_ms(longest),
            median_ms(rare),
            median_ms(took)
        );
    }
    let ended = server.stop();
    assert!(
        ended.is_ok_and(|status| status.success()),
        "the server ended badly"
    );
}

/// Without an update, then up and down; how long each phase took.
fn one_round(server: &Server, seen: &Seen) -> Vec<Duration> {
    let mut took = vec![Duration::ZERO; PHASES.len()];
    let mut begun = Instant::now();
    let turn = |took: &mut Vec<Duration>, begun: &mut Instant, to: usize| {
        let from = seen.phase.swap(to, Ordering::Relaxed);
        if from != to {
            took[from] += begun.elapsed();
            *begun = Instant::now();
        }
    };
    // Everybody is connected.
    while seen.answers.load(Ordering::Relaxed) < 100 {
        thread::sleep(POLL);
    }
    thread::sleep(Duration::from_secs(number("DSU_BENCH_SECONDS", 2)));
    for (first, version) in [(1, 2), (5, 1)] {
        turn(&mut took, &mut begun, first);
        thread::scope(|scope| {
            let update = scope.spawn(|| change(server, &atlas(version)));
            while !update.is_finished() {
                let stage = server
                    .status()
                    .map(|status| status.stage)
                    .unwrap_or_default();
                let place = match &*stage {
                    "filling" => Some(first + 1),
                    "canary" | "rolling" => Some(first + 2),
                    "sweeping" => Some(first + 3),
                    _ => None,
                };
                if let Some(place) = place {
                    turn(&mut took, &mut begun, place);
                }
                thread::sleep(POLL);
            }
            update.join().expect("it committed");
        });
    }
    turn(&mut took, &mut begun, 0);
    took
}

fn change(server: &Server, library: &Path) {
    let path = library.to_string_lossy();
    let answer = server
        .dsu(&["update", &*path, "--probation", "1", "--wait"])
        .unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(answer.code, 0, "{}\n{}", answer.text, server.log());
}

/// One client: reads and edits, and how long each took, by phase.
fn load(server: &Server, seen: &Seen, client: u64, entries: u64) -> Vec<Vec<Duration>> {
    let mut waits = vec![Vec::new(); PHASES.len()];
    let mut stream = connect(server);
    let mut dice = client + 1;
    while !seen.stop.load(Ordering::Relaxed) {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let key = 4 * ((dice >> 33) % entries);
        let verb = if dice >> 63 == 0 { "GET" } else { "ADD" };
        let began = Instant::now();
        let answer = ask(&mut stream, &format!("P {verb} {key} 1"));
        let waited = began.elapsed();
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
        waits[seen.phase.load(Ordering::Relaxed)].push(waited);
        seen.answers.fetch_add(1, Ordering::Relaxed);
        thread::sleep(REST);
    }
    waits
}

fn connect(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.address()).expect("the server takes connections");
    stream.set_nodelay(true).expect("a stream");
    BufReader::new(stream)
}

fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    let bytes = format!("{line}\n");
    stream.get_mut().write_all(bytes.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_line(&mut answer).expect("an answer");
    answer.trim_end().to_owned()
}
