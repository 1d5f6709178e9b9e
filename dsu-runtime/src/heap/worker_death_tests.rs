//! Real processes on one heap, killed at any instruction: nothing is lost or given out twice.
#![allow(unsafe_code)] // forks, and shares a table of blocks between processes

use super::account::{Activity, HeapAccount};
use super::superblock::Realm;
use super::testing::{
    ROOMY, assert_empty, fork_worker, kill, reap, shared_zeroed, test_name, with_regions,
};
use super::*;
use crate::abi::WorkerContext;
use crate::ids::WorkerSlot;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const CELLS: usize = 4096;
const SIZES: [usize; 8] = [16, 40, 200, 1000, 3000, 20_000, 50_000, 150_000];

/// Where the workers of a test leave blocks for each other: address in the low 48 bits, index of the
/// size above. And what each has done so far.
struct Exchange {
    cells: [AtomicU64; CELLS],
    operations: [AtomicU64; 8],
}

fn exchange() -> &'static Exchange {
    // SAFETY: made of atomics.
    unsafe { shared_zeroed() }
}

fn unpack(cell: u64) -> (NonNull<u8>, Layout) {
    let size = SIZES[(cell >> 48) as usize];
    let block = NonNull::new((cell & 0xffff_ffff_ffff) as *mut u8).unwrap();
    (block, Layout::from_size_align(size, 8).unwrap())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize
    }
}

/// Puts a block into a random cell, or takes out and frees what lies there, for ever.
fn trade(exchange: &Exchange, worker: usize, seed: u64) {
    let mut random = Random(seed);
    loop {
        let cell = &exchange.cells[random.next() % CELLS];
        let content = cell.swap(0, SeqCst);
        if content != 0 {
            let (block, layout) = unpack(content);
            // SAFETY: the swap made the block ours; its maker wrote both words before it put it in.
            unsafe {
                let first = block.cast::<usize>();
                let last = block.byte_add((layout.size() - 8) & !7).cast::<usize>();
                assert_eq!(
                    (first.read(), last.read()),
                    (content as usize, content as usize)
                );
                deallocate(block, layout);
            }
        } else {
            // Small sizes are the more frequent.
            let index = (random.next() % SIZES.len()) & (random.next() % SIZES.len());
            let layout = Layout::from_size_align(SIZES[index], 8).unwrap();
            if let Ok(block) = allocate(layout) {
                let content = block.as_ptr() as u64 | (index as u64) << 48;
                // SAFETY: our new block, at least 16 bytes.
                unsafe {
                    block.cast::<usize>().write(content as usize);
                    block
                        .byte_add((layout.size() - 8) & !7)
                        .cast::<usize>()
                        .write(content as usize);
                }
                if cell.compare_exchange(0, content, SeqCst, SeqCst).is_err() {
                    // SAFETY: never shown to anybody.
                    unsafe { deallocate(block, layout) };
                }
            }
        }
        if random.next().is_multiple_of(4096) {
            collect();
            Realm::Heap.record().look_ns.store(1, SeqCst);
            give_back_old();
        }
        exchange.operations[worker].fetch_add(1, SeqCst);
    }
}

#[test]
fn workers_killed_at_random_lose_at_most_the_block_in_their_hands() {
    with_regions(
        test_name!("workers_killed_at_random_lose_at_most_the_block_in_their_hands"),
        ROOMY,
        || {
            const WORKERS: usize = 4;
            const KILLS: usize = 40;
            let exchange = exchange();
            let mut random = Random(0x2545_f491_4f6c_dd1d);
            let start =
                |worker: usize, seed| fork_worker(worker as u32, || trade(exchange, worker, seed));
            let mut children: Vec<_> = (0..WORKERS).map(|w| start(w, w as u64 + 1)).collect();
            for round in 0..KILLS {
                let worker = random.next() % WORKERS;
                let operations = &exchange.operations[worker];
                let enough = operations.load(SeqCst) + random.next() as u64 % 3000;
                while operations.load(SeqCst) < enough {
                    std::thread::yield_now();
                }
                kill(children[worker]);
                assert_eq!(reap(children[worker]), None, "the worker failed by itself");
                recover(WorkerSlot(worker as u32));
                if round % 3 == 0 {
                    recover(WorkerSlot(worker as u32));
                }
                assert_eq!(HeapAccount::take(Activity::Live).findings, [""; 0]);
                children[worker] = start(worker, round as u64 + 100);
            }
            for (worker, child) in children.into_iter().enumerate() {
                kill(child);
                reap(child);
                recover(WorkerSlot(worker as u32));
            }
            let account = HeapAccount::take(Activity::Quiescent);
            assert_eq!(account.findings, [""; 0]);
            assert_eq!(account.slots, []);
            let mut map = BlockMap::new();
            let left = exchange.cells.iter().map(|cell| cell.load(SeqCst));
            let mut live: Vec<_> = left.filter(|cell| *cell != 0).map(unpack).collect();
            live.iter()
                .for_each(|(block, layout)| map.reach(*block, *layout).unwrap());
            let in_hands = map.unreached();
            assert!(in_hands.len() <= KILLS + WORKERS, "{}", in_hands.len());
            // The survivors can take over everything that is left, and then it is all free.
            WorkerContext::current().attach(WorkerSlot(5));
            live.extend(
                in_hands
                    .into_iter()
                    .map(|(block, bytes)| (block, Layout::from_size_align(bytes, 8).unwrap())),
            );
            for (block, layout) in live {
                // SAFETY: allocated, reached once, and its users are dead.
                unsafe { deallocate(block, layout) };
            }
            assert_empty();
        },
    );
}

#[test]
fn what_the_dead_had_is_adopted_by_whoever_needs_the_class() {
    with_regions(
        test_name!("what_the_dead_had_is_adopted_by_whoever_needs_the_class"),
        ROOMY,
        || {
            let layout = Layout::from_size_align(256, 8).unwrap();
            let child = fork_worker(0, || {
                let block = allocate(layout).unwrap();
                // SAFETY: our block.
                unsafe { block.write_bytes(7, 256) };
            });
            assert_eq!(reap(child), Some(0));
            assert_eq!(recover(WorkerSlot(0)).abandoned, 1);
            assert_eq!(
                HeapAccount::take(Activity::Quiescent).abandoned_superblocks,
                1
            );
            WorkerContext::current().attach(WorkerSlot(1));
            let block = allocate(layout).unwrap();
            let account = HeapAccount::take(Activity::Quiescent);
            assert_eq!(account.abandoned_superblocks, 0);
            let superblocks: usize = account.classes.iter().map(|c| c.superblocks).sum();
            assert_eq!(superblocks, 1);
            let mut map = BlockMap::new();
            map.reach(block, layout).unwrap();
            let lost = map.unreached();
            assert_eq!(lost.len(), 1);
            // SAFETY: the block of the dead is still allocated, with what it wrote.
            assert_eq!(unsafe { lost[0].0.read() }, 7);
        },
    );
}
