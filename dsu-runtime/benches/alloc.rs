//! The shared allocator beside the system's malloc and mimalloc, in the same run.
//!
//! `cargo bench -p dsu-runtime --bench alloc`. Each row is the median of interleaved rounds, with
//! the smallest and the largest; ratios are of the same round, so that a noisy minute hits all three.
#![allow(unsafe_code)] // a benchmark of allocators calls allocators
#![allow(missing_docs)]

use dsu_runtime::heap::{self, HeapLimits, Regions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Instant;

const ROUNDS: usize = 21;

trait Peer {
    const NAME: &'static str;
    fn take(&self, layout: Layout) -> *mut u8;
    fn give(&self, block: *mut u8, layout: Layout);
}

struct Shared;
struct Malloc;
struct Mimalloc;

impl Peer for Shared {
    const NAME: &'static str = "shared";
    #[inline]
    fn take(&self, layout: Layout) -> *mut u8 {
        heap::allocate(layout).unwrap().as_ptr()
    }
    #[inline]
    fn give(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `take` with this layout.
        unsafe { heap::deallocate(NonNull::new_unchecked(block), layout) }
    }
}

macro_rules! global {
    ($peer:ident, $name:literal, $allocator:expr) => {
        impl Peer for $peer {
            const NAME: &'static str = $name;
            #[inline]
            fn take(&self, layout: Layout) -> *mut u8 {
                // SAFETY: the benchmark asks for sizes above 0.
                unsafe { $allocator.alloc(layout) }
            }
            #[inline]
            fn give(&self, block: *mut u8, layout: Layout) {
                // SAFETY: the block came from `take` with this layout.
                unsafe { $allocator.dealloc(block, layout) }
            }
        }
    };
}
global!(Malloc, "malloc", System);
global!(Mimalloc, "mimalloc", mimalloc::MiMalloc);

/// Nanoseconds for a pair of allocation and free of one size.
fn pairs(peer: &impl Peer, size: usize) -> f64 {
    const PAIRS: u32 = 200_000;
    let layout = Layout::from_size_align(black_box(size), 8).unwrap();
    let start = Instant::now();
    for _ in 0..PAIRS {
        let block = black_box(peer.take(layout));
        peer.give(block, layout);
    }
    start.elapsed().as_nanos() as f64 / PAIRS as f64
}

/// Nanoseconds for a replacement in a random place of a live set of mixed sizes, first byte written.
fn live_set(peer: &impl Peer, blocks: usize) -> f64 {
    const STEPS: u32 = 300_000;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random >> 11
    };
    let make = |number: u64| {
        let size = 16 + (number % 32) * (number % 32);
        let layout = Layout::from_size_align(size as usize, 8).unwrap();
        let block = peer.take(layout);
        // SAFETY: a new block of at least 16 bytes.
        unsafe { block.write(1) };
        (block, layout)
    };
    let mut live: Vec<_> = (0..blocks).map(|_| make(next())).collect();
    let start = Instant::now();
    for _ in 0..STEPS {
        let place = &mut live[next() as usize % blocks];
        peer.give(place.0, place.1);
        *place = make(next());
    }
    let each = start.elapsed().as_nanos() as f64 / STEPS as f64;
    live.into_iter().for_each(|(b, l)| peer.give(b, l));
    each
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    )
}

fn row(name: &str, mut measure: impl FnMut(usize) -> f64) {
    let names = [Shared::NAME, Malloc::NAME, Mimalloc::NAME];
    let mut rounds = vec![[0.0; 3]; ROUNDS];
    for round in &mut rounds {
        for (peer, value) in round.iter_mut().enumerate() {
            *value = measure(peer);
        }
    }
    for (peer, peer_name) in names.iter().enumerate() {
        let (median, low, high) = spread(rounds.iter().map(|r| r[peer]).collect());
        print!("{name:<28} {peer_name:<9} {median:7.1} ns ({low:.1} to {high:.1})");
        if peer > 0 {
            let (ratio, low, high) = spread(rounds.iter().map(|r| r[0] / r[peer]).collect());
            print!("   shared / {peer_name} = {ratio:.2} ({low:.2} to {high:.2})");
        }
        println!();
    }
}

fn main() {
    let limits = HeapLimits {
        heap_bytes: 2 << 30,
        reserve_bytes: 0,
    };
    Regions::alone(limits).expect("memory and free addresses for the regions");
    for size in [16, 64, 256, 1024, 8192] {
        row(&format!("pair of {size} bytes"), |peer| match peer {
            0 => pairs(&Shared, size),
            1 => pairs(&Malloc, size),
            _ => pairs(&Mimalloc, size),
        });
    }
    for blocks in [1000, 100_000] {
        row(&format!("random among {blocks} live"), |peer| match peer {
            0 => live_set(&Shared, blocks),
            1 => live_set(&Malloc, blocks),
            _ => live_set(&Mimalloc, blocks),
        });
    }
}
