//! `SharedMap` beside hashbrown, and `SharedOrderedMap` beside std's `BTreeMap`, in one run: nanoseconds
//! an operation, the longest single insertion on the way to a million entries, bytes an entry.
//!
//! `cargo bench -p dsu-runtime --bench map`, or one of them with `-- hashed` or `-- ordered`. Both hash
//! maps use SipHash-1-3; peers take rounds in turn; a figure is the median over the rounds with the
//! smallest and the largest.
#![allow(unsafe_code)] // an allocator that counts

use dsu_runtime::heap::{HeapLimits, Regions, Shared, SharedBytes, SharedMap, SharedOrderedMap};
use siphasher::sip::SipHasher13;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
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
type PeerTree = BTreeMap<SharedBytes, u64>;
type OurTree = SharedOrderedMap<SharedBytes, u64>;

/// Counts what std's map takes. One thread allocates: no read-modify-write.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator, with a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.store(ALLOCATED.load(Relaxed) + layout.size(), Relaxed);
        // SAFETY: by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.store(ALLOCATED.load(Relaxed) - layout.size(), Relaxed);
        // SAFETY: by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Nanoseconds an operation, and the longest insertion in microseconds.
#[derive(Default, Clone, Copy)]
struct Figures {
    insert: f64,
    longest: f64,
    hit: f64,
    miss: f64,
    remove: f64,
    range: f64,
}

/// How a map is used.
struct Uses<M> {
    insert: fn(&mut M, SharedBytes, u64),
    get: fn(&M, &[u8]) -> Option<u64>,
    remove: fn(&mut M, &[u8]) -> bool,
    empty: fn(&mut M),
    /// Goes through the hundred entries from a key on; how many there were.
    range: Option<fn(&M, &[u8]) -> usize>,
}

fn key(n: u64) -> SharedBytes {
    SharedBytes::from_slice(format!("key:{n:09}").as_bytes()).expect("inline")
}

/// A key behind the one of the same number, and before the next.
fn missing(n: u64) -> SharedBytes {
    SharedBytes::from_slice(format!("key:{n:09}x").as_bytes()).expect("inline")
}

/// Keys in an order that no map likes or dislikes.
fn keys(key: fn(u64) -> SharedBytes) -> Vec<SharedBytes> {
    (0..ENTRIES).map(|n| key(n * 7_368_787 % ENTRIES)).collect()
}

fn each<T>(items: impl IntoIterator<Item = T>, mut call: impl FnMut(T)) -> f64 {
    let start = Instant::now();
    for item in items {
        call(item);
    }
    start.elapsed().as_nanos() as f64 / ENTRIES as f64
}

fn round<M>(map: &mut M, uses: &Uses<M>) -> Figures {
    let wanted = keys(key);
    let other = keys(missing);
    let mut longest = 0;
    let insert = each(keys(key), |key| (uses.insert)(map, key, 1));
    let hit = each(&wanted, |key| assert!((uses.get)(map, key).is_some()));
    let miss = each(&other, |key| assert!((uses.get)(map, key).is_none()));
    let range = uses.range.map_or(0.0, |range| {
        let starts = wanted.iter().step_by(100);
        100.0 * each(starts, |key| assert!(range(map, key) <= 100))
    });
    let remove = each(&wanted, |key| assert!((uses.remove)(map, key)));
    (uses.empty)(map);
    for key in keys(key) {
        let start = Instant::now();
        (uses.insert)(map, key, 1);
        longest = longest.max(start.elapsed().as_nanos());
    }
    black_box(&map);
    Figures {
        insert,
        longest: longest as f64 / 1000.0,
        hit,
        miss,
        remove,
        range,
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
fn blocks(map: &mut impl Shared) -> usize {
    struct Sum(usize);
    // SAFETY: it looks, and leaves words and blocks as they are.
    unsafe impl dsu_runtime::heap::Visitor for Sum {
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
    Regions::alone(limits).expect("memory and free addresses for the regions");
}

/// Rounds of two maps in turn, each map new.
fn rounds<A: Default, B: Default>(ours: &Uses<A>, peer: &Uses<B>) -> Vec<(Figures, Figures)> {
    let both = |_| {
        let our_figures = round(&mut A::default(), ours);
        (our_figures, round(&mut B::default(), peer))
    };
    (0..ROUNDS).map(both).collect()
}

fn print(ours: &str, peer: &str, rounds: &[(Figures, Figures)]) {
    println!("{ENTRIES} entries, {ROUNDS} rounds   {ours:>20} {peer:>20}        ratio");
    line("insert, growing (ns)", rounds, |f| f.insert);
    line("longest insert (us)", rounds, |f| f.longest);
    line("get, there (ns)", rounds, |f| f.hit);
    line("get, not there (ns)", rounds, |f| f.miss);
    line("remove (ns)", rounds, |f| f.remove);
    if rounds.iter().any(|(ours, _)| ours.range > 0.0) {
        line("range of 100 (ns)", rounds, |f| f.range);
    }
}

fn bytes_an_entry(order: &str, entries: u64, ours: usize, peer: usize) {
    let each = |bytes: usize| bytes as f64 / entries as f64;
    println!(
        "bytes an entry at {entries:>9} {order}: {:.1} and {:.1}",
        each(ours),
        each(peer)
    );
}

fn hashed() {
    let ours = Uses::<Ours> {
        insert: |map, key, value| assert!(map.insert(key, value).expect("room").is_none()),
        get: |map, key| map.get(key).expect("inline").copied(),
        remove: |map, key| map.remove(key).expect("inline").is_some(),
        empty: Ours::clear,
        range: None,
    };
    let peer = Uses::<Peer> {
        insert: |map, key, value| assert!(map.insert(key, value).is_none()),
        get: |map, key| map.get(key).copied(),
        remove: |map, key| map.remove(key).is_some(),
        empty: |map| *map = Peer::default(),
        range: None,
    };
    print("SharedMap", "hashbrown", &rounds(&ours, &peer));
    for entries in [1_000, 10_000, 500_000, 700_000, 900_000, 1_000_000] {
        let mut ours = Ours::new();
        let mut peer = Peer::default();
        for n in 0..entries {
            ours.insert(key(n), 1).expect("room");
            peer.insert(key(n), 1);
        }
        bytes_an_entry(
            "scattered",
            entries,
            blocks(&mut ours),
            peer.allocation_size(),
        );
    }
}

fn ordered() {
    let ours = Uses::<OurTree> {
        insert: |map, key, value| assert!(map.insert(key, value).expect("room").is_none()),
        get: |map, key| map.get(key).expect("inline").copied(),
        remove: |map, key| map.remove(key).expect("inline").is_some(),
        empty: OurTree::clear,
        range: Some(|map, key| {
            let from = (Bound::Included(key), Bound::Unbounded);
            let seen = map.range::<[u8]>(from).take(100);
            seen.filter(|(_, value)| value.0 == 1).count()
        }),
    };
    let peer = Uses::<PeerTree> {
        insert: |map, key, value| assert!(map.insert(key, value).is_none()),
        get: |map, key| map.get(key).copied(),
        remove: |map, key| map.remove(key).is_some(),
        empty: PeerTree::clear,
        range: Some(|map, key| {
            let from = (Bound::Included(key), Bound::Unbounded);
            let seen = map.range::<[u8], _>(from).take(100);
            seen.filter(|(_, value)| **value == 1).count()
        }),
    };
    print("SharedOrderedMap", "BTreeMap", &rounds(&ours, &peer));
    for (order, stride) in [("scattered", 7_368_787), ("ascending", 1)] {
        for entries in [10, 1_000, 10_000, 1_000_000] {
            let mut ours = OurTree::new();
            let mut peer = PeerTree::new();
            let before = ALLOCATED.load(Relaxed);
            for n in 0..entries {
                ours.insert(key(n * stride % entries), 1).expect("room");
                peer.insert(key(n * stride % entries), 1);
            }
            let of_peer = ALLOCATED.load(Relaxed) - before;
            bytes_an_entry(order, entries, blocks(&mut ours), of_peer);
        }
    }
}

fn main() {
    become_worker();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| {
        let mut names = wanted.iter().filter(|word| !word.starts_with("--"));
        let is_any = names.clone().next().is_none();
        is_any || names.any(|word| word == name)
    };
    if is_wanted("hashed") {
        hashed();
    }
    if is_wanted("ordered") {
        ordered();
    }
}
