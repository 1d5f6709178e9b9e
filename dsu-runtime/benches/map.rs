//! `SharedMap` beside hashbrown, in one run: nanoseconds an operation, the longest single insertion on
//! the way to a million entries, bytes an entry.
//!
//! `cargo bench -p dsu-runtime --bench map`. Both maps use SipHash-1-3 and take rounds in turn; a figure
//! is the median over the rounds with the smallest and the largest.

use dsu_runtime::abi::WorkerContext;
use dsu_runtime::heap::{HeapLimits, Regions, Role, Shared, SharedBytes, SharedMap};
use dsu_runtime::ids::WorkerSlot;
use siphasher::sip::SipHasher13;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 7;
const ENTRIES: u64 = 1_000_000;

#[derive(Clone, Default)]
struct Sip;

impl BuildHasher for Sip {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(1, 2)
    }
}

type Peer = hashbrown::HashMap<SharedBytes, u64, Sip>;
type Ours = SharedMap<SharedBytes, u64>;

/// Nanoseconds an operation, and the longest insertion in microseconds.
#[derive(Default, Clone, Copy)]
struct Figures {
    insert: f64,
    longest: f64,
    hit: f64,
    miss: f64,
    remove: f64,
}

fn key(n: u64) -> SharedBytes {
    SharedBytes::from_slice(format!("key:{n:09}").as_bytes()).expect("inline")
}

/// Keys in an order that no map likes or dislikes.
fn keys(from: u64) -> Vec<SharedBytes> {
    (0..ENTRIES)
        .map(|n| key(from + n * 7_368_787 % ENTRIES))
        .collect()
}

fn each<T>(items: impl IntoIterator<Item = T>, mut call: impl FnMut(T)) -> f64 {
    let start = Instant::now();
    for item in items {
        call(item);
    }
    start.elapsed().as_nanos() as f64 / ENTRIES as f64
}

fn round<M>(
    map: &mut M,
    insert: fn(&mut M, SharedBytes, u64),
    get: fn(&M, &[u8]) -> Option<u64>,
    remove: fn(&mut M, &[u8]) -> bool,
    empty: fn(&mut M),
) -> Figures {
    let wanted = keys(0);
    let other = keys(ENTRIES);
    let mut longest = 0;
    let insert_ns = each(keys(0), |key| insert(map, key, 1));
    let hit = each(&wanted, |key| assert!(get(map, key).is_some()));
    let miss = each(&other, |key| assert!(get(map, key).is_none()));
    let remove_ns = each(&wanted, |key| assert!(remove(map, key)));
    empty(map);
    for key in keys(0) {
        let start = Instant::now();
        insert(map, key, 1);
        longest = longest.max(start.elapsed().as_nanos());
    }
    black_box(&map);
    Figures {
        insert: insert_ns,
        longest: longest as f64 / 1000.0,
        hit,
        miss,
        remove: remove_ns,
    }
}

fn line(name: &str, rounds: &[(Figures, Figures)], of: fn(&Figures) -> f64) {
    let spread = |values: Vec<f64>| {
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        (
            sorted[sorted.len() / 2],
            sorted[0],
            sorted[sorted.len() - 1],
        )
    };
    let (ours, ours_min, ours_max) = spread(rounds.iter().map(|(ours, _)| of(ours)).collect());
    let (peer, peer_min, peer_max) = spread(rounds.iter().map(|(_, peer)| of(peer)).collect());
    let ratios = rounds.iter().map(|(ours, peer)| of(ours) / of(peer));
    let (ratio, ratio_min, ratio_max) = spread(ratios.collect());
    println!(
        "{name:<22} {ours:>9.1} ({ours_min:.1} to {ours_max:.1}) {peer:>9.1} ({peer_min:.1} to {peer_max:.1})   {ratio:.3} ({ratio_min:.3} to {ratio_max:.3})"
    );
}

/// Bytes of blocks that a map holds, found by walking it.
fn blocks(map: &mut Ours) -> usize {
    struct Sum(usize);
    impl dsu_runtime::heap::Visitor for Sum {
        fn block(&mut self, _: std::ptr::NonNull<u8>, layout: std::alloc::Layout) {
            self.0 += layout.size();
        }
        fn versioned(&mut self, _: &mut u64, _: dsu_runtime::ids::Tag) {}
        fn damage(&mut self, what: &str) {
            panic!("{what}");
        }
        fn enter(&mut self) -> u64 {
            0
        }
        fn begin_anew(&mut self) {}
        fn is_spent(&self) -> bool {
            false
        }
        fn stopped_inside(&self) -> bool {
            false
        }
        fn leave(&mut self, _: Option<u64>) {}
    }
    let mut sum = Sum(0);
    map.visit(&mut sum);
    sum.0
}

/// Makes this process a worker with regions of its own.
fn become_worker() {
    let limits = HeapLimits {
        heap_bytes: 2 << 30,
        reserve_bytes: 0,
    };
    let fds = Regions::create(limits).expect("memory for the regions");
    Regions::map(fds, Role::Worker).expect("free addresses for the regions");
    WorkerContext::current().attach(WorkerSlot(0));
}

fn main() {
    become_worker();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut ours = Ours::new();
        let our_figures = round(
            &mut ours,
            |map, key, value| assert!(map.insert(key, value).expect("room").is_none()),
            |map, key| map.get(key).expect("inline").copied(),
            |map, key| map.remove(key).expect("inline").is_some(),
            Ours::clear,
        );
        drop(ours);
        let mut peer = Peer::default();
        let peer_figures = round(
            &mut peer,
            |map, key, value| assert!(map.insert(key, value).is_none()),
            |map, key| map.get(key).copied(),
            |map, key| map.remove(key).is_some(),
            |map| *map = Peer::default(),
        );
        rounds.push((our_figures, peer_figures));
    }
    println!(
        "{ENTRIES} entries, {ROUNDS} rounds         SharedMap                 hashbrown        ratio"
    );
    line("insert, growing (ns)", &rounds, |f| f.insert);
    line("longest insert (us)", &rounds, |f| f.longest);
    line("get, there (ns)", &rounds, |f| f.hit);
    line("get, not there (ns)", &rounds, |f| f.miss);
    line("remove (ns)", &rounds, |f| f.remove);
    for entries in [1_000, 10_000, 500_000, 700_000, 900_000, 1_000_000] {
        let mut ours = Ours::new();
        let mut peer = Peer::default();
        for n in 0..entries {
            ours.insert(key(n), 1).expect("room");
            peer.insert(key(n), 1);
        }
        let each = |bytes: usize| bytes as f64 / entries as f64;
        println!(
            "bytes an entry at {entries:>9}: {:.1} and {:.1}",
            each(blocks(&mut ours)),
            each(peer.allocation_size())
        );
    }
}
