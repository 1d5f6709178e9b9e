//! The allocator against a model, at its limits, and with damaged metadata.
#![allow(unsafe_code)] // frees blocks and damages metadata

use super::account::{Activity, HeapAccount};
use super::claim;
use super::superblock::{Realm, SlotRecord, State, Superblock};
use super::testing::{Actor, ROOMY, assert_empty, test_name, with_regions};
use super::*;
use crate::abi::{SUPERBLOCK_SIZE, WorkerContext};
use crate::ids::WorkerSlot;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: tests free what they allocated, once, unless they test that this is noticed.
    unsafe { deallocate(block, layout) };
}

/// Fills a block so that any overlap with another shows.
fn sign(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the block is the test's and that long.
    unsafe {
        block
            .as_ptr()
            .write_bytes(block.as_ptr() as usize as u8 >> 4 ^ 0x5a, layout.size())
    };
}

fn is_signed(block: NonNull<u8>, layout: Layout) -> bool {
    let mark = block.as_ptr() as usize as u8 >> 4 ^ 0x5a;
    // SAFETY: `sign` wrote the block, and nobody freed it.
    let content = unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
    content.iter().all(|byte| *byte == mark)
}

fn findings() -> Vec<String> {
    HeapAccount::take(Activity::Quiescent).findings
}

/// Asserts that exactly `live` is allocated.
fn assert_exactly(live: &[(NonNull<u8>, Layout)]) {
    let mut map = BlockMap::new();
    for (block, layout) in live {
        map.reach(*block, *layout).unwrap();
    }
    assert_eq!(map.unreached(), []);
    assert_eq!(map.len(), live.len());
    assert_eq!(findings(), [""; 0]);
}

#[derive(Clone, Debug)]
enum Step {
    Allocate {
        actor: usize,
        size: usize,
        align: usize,
    },
    Root {
        actor: usize,
        size: usize,
    },
    Free {
        actor: usize,
        which: prop::sample::Index,
    },
    Grow {
        actor: usize,
        which: prop::sample::Index,
        by: usize,
    },
    Collect {
        actor: usize,
    },
    Die {
        actor: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let actor = 0usize..3;
    let size = prop_oneof![6 => 1usize..300, 3 => 300usize..20_000, 1 => 20_000usize..400_000];
    let step = prop_oneof![
        12 => (actor.clone(), size.clone(), 0u32..9).prop_map(|(actor, size, log)| Step::Allocate {
            actor, size, align: 1 << log
        }),
        2 => (actor.clone(), 1usize..500).prop_map(|(actor, size)| Step::Root { actor, size }),
        10 => (actor.clone(), any::<prop::sample::Index>())
            .prop_map(|(actor, which)| Step::Free { actor, which }),
        2 => (actor.clone(), any::<prop::sample::Index>(), 1usize..5000)
            .prop_map(|(actor, which, by)| Step::Grow { actor, which, by }),
        1 => actor.clone().prop_map(|actor| Step::Collect { actor }),
        1 => actor.prop_map(|actor| Step::Die { actor }),
    ];
    prop::collection::vec(step, 1..250)
}

#[test]
fn any_sequence_over_several_workers_agrees_with_the_model() {
    with_regions(
        test_name!("any_sequence_over_several_workers_agrees_with_the_model"),
        ROOMY,
        || {
            let config = Config {
                failure_persistence: None,
                cases: 64,
                ..Config::default()
            };
            TestRunner::new(config).run(&steps(), run_model).unwrap();
        },
    );
}

fn run_model(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut actors: Vec<Actor> = (0..3).map(Actor::start).collect();
    let mut live: Vec<(NonNull<u8>, Layout)> = Vec::new();
    for step in steps {
        match step {
            Step::Allocate { actor, size, align } => {
                let layout = Layout::from_size_align(size, align).unwrap();
                let block = actors[actor].act(|| allocate(layout)).unwrap();
                prop_assert_eq!(block.as_ptr() as usize % align, 0);
                sign(block, layout);
                live.push((block, layout));
            }
            Step::Root { actor, size } => {
                let block = actors[actor].act(|| allocate_root(bytes(size))).unwrap();
                prop_assert!((block.as_ptr() as usize) < crate::abi::HEAP_ADDR);
                sign(block, bytes(size));
                live.push((block, bytes(size)));
            }
            Step::Free { actor, which } if !live.is_empty() => {
                let (block, layout) = live.swap_remove(which.index(live.len()));
                prop_assert!(is_signed(block, layout));
                actors[actor].act(|| free(block, layout));
            }
            Step::Grow { actor, which, by } if !live.is_empty() => {
                let at = which.index(live.len());
                let (block, old) = live[at];
                let size = old.size() + by;
                // SAFETY: the block is live with layout `old`.
                if actors[actor].act(|| unsafe { grow_in_place(block, old, size) }) {
                    let new = Layout::from_size_align(size, old.align()).unwrap();
                    sign(block, new);
                    live[at] = (block, new);
                }
            }
            Step::Collect { actor } => actors[actor].act(collect),
            Step::Die { actor } => {
                let fresh = Actor::start(actor as u32);
                let slot = std::mem::replace(&mut actors[actor], fresh).die();
                recover(slot);
                prop_assert_eq!(recover(slot), Recovered::default());
            }
            _ => {}
        }
    }
    for (block, layout) in &live {
        prop_assert!(is_signed(*block, *layout));
    }
    assert_exactly(&live);
    for (index, (block, layout)) in live.drain(..).enumerate() {
        actors[index % 3].act(|| free(block, layout));
    }
    actors.iter_mut().for_each(|actor| actor.act(collect));
    actors[0].act(assert_empty);
    Ok(())
}

#[test]
fn a_thread_that_is_not_a_worker_gets_heap_full_and_frees_nothing() {
    with_regions(
        test_name!("a_thread_that_is_not_a_worker_gets_heap_full_and_frees_nothing"),
        ROOMY,
        || {
            assert_eq!(allocate(bytes(8)), Err(crate::error::HeapFull));
            let mut worker = Actor::start(3);
            let address = worker.act(|| allocate(bytes(100)).unwrap().as_ptr() as usize);
            std::thread::spawn(move || {
                let block = NonNull::new(address as *mut u8).unwrap();
                assert!(!WorkerContext::current().is_attached());
                assert_eq!(allocate(bytes(8)), Err(crate::error::HeapFull));
                free(block, bytes(100));
                Transaction::begin().abort();
            })
            .join()
            .unwrap();
            assert_exactly(&[(NonNull::new(address as *mut u8).unwrap(), bytes(100))]);
        },
    );
}

#[test]
fn the_limit_holds_to_the_byte_and_the_reserve_is_for_who_may() {
    let limits = HeapLimits {
        heap_bytes: 8 << 20,
        reserve_bytes: 2 << 20,
    };
    with_regions(
        test_name!("the_limit_holds_to_the_byte_and_the_reserve_is_for_who_may"),
        limits,
        || {
            WorkerContext::current().attach(WorkerSlot(0));
            let mut live = Vec::new();
            let fill = |live: &mut Vec<_>, size| {
                while let Ok(block) = allocate(bytes(size)) {
                    live.push((block, bytes(size)));
                }
                HeapAccount::take(Activity::Quiescent).committed_bytes
            };
            assert_eq!(fill(&mut live, 1000), 6 << 20);
            assert_eq!(fill(&mut live, 100_000), 6 << 20);
            // A conversion may use the reserve; undone, it gives all of it back.
            let conversion = Transaction::begin();
            let mut fresh = Vec::new();
            assert_eq!(fill(&mut fresh, 1000), 8 << 20);
            conversion.abort();
            collect();
            assert_exactly(&live);
            // What is freed in one size can be had in another.
            live.drain(..)
                .for_each(|(block, layout)| free(block, layout));
            let most = bytes(5 << 20);
            free(allocate(most).unwrap(), most);
            for huge in [9 << 20, 1 << 40, 1 << 62] {
                let frontier = claim::known(Realm::Heap);
                assert!(allocate(bytes(huge)).is_err());
                assert_eq!(claim::known(Realm::Heap), frontier);
            }
            assert!(allocate(Layout::from_size_align(8, 1 << 20).unwrap()).is_err());
            assert_empty();
        },
    );
}

#[test]
fn blocks_freed_by_others_come_back_to_their_owner() {
    with_regions(
        test_name!("blocks_freed_by_others_come_back_to_their_owner"),
        ROOMY,
        || {
            let (mut owner, mut other) = (Actor::start(0), Actor::start(1));
            let mut most = 0;
            for _ in 0..50 {
                let blocks = owner.act(|| {
                    (0..3000)
                        .map(|_| allocate(bytes(64)).unwrap())
                        .collect::<Vec<_>>()
                });
                most = most.max(HeapAccount::take(Activity::Quiescent).committed_bytes);
                other.act(|| blocks.into_iter().for_each(|b| free(b, bytes(64))));
            }
            assert!(most <= 6 * SUPERBLOCK_SIZE, "{most} bytes for 3000 * 64");
            assert_exactly(&[]);
        },
    );
}

#[test]
fn what_others_freed_is_theirs_to_use_once_an_idle_owner_has_collected() {
    let limits = HeapLimits {
        heap_bytes: 8 << 20,
        reserve_bytes: 2 << 20,
    };
    let name = test_name!("what_others_freed_is_theirs_to_use_once_an_idle_owner_has_collected");
    with_regions(name, limits, || {
        let (mut owner, mut other) = (Actor::start(0), Actor::start(1));
        let blocks =
            owner.act(|| std::iter::from_fn(|| allocate(bytes(1000)).ok()).collect::<Vec<_>>());
        assert!(!owner.act(has_freed_blocks));
        other.act(|| {
            blocks
                .into_iter()
                .for_each(|block| free(block, bytes(1000)))
        });
        assert!(other.act(|| allocate(bytes(100_000))).is_err());
        assert!(owner.act(has_freed_blocks));
        owner.act(collect);
        assert!(!owner.act(has_freed_blocks));
        let block = other.act(|| allocate(bytes(100_000))).unwrap();
        other.act(|| free(block, bytes(100_000)));
    });
}

#[test]
fn a_free_whose_notice_was_lost_with_its_freer_is_found_by_rescan() {
    with_regions(
        test_name!("a_free_whose_notice_was_lost_with_its_freer_is_found_by_rescan"),
        ROOMY,
        || {
            let mut owner = Actor::start(0);
            let blocks = owner.act(|| {
                (0..200)
                    .map(|_| allocate(bytes(1024)).unwrap())
                    .collect::<Vec<_>>()
            });
            // A freer dies after each remote bit, before it says so.
            for block in &blocks {
                let superblock = Superblock::containing(block.as_ptr() as usize).unwrap();
                let number = (block.as_ptr() as usize - superblock.base()) / 1024;
                superblock.meta().remote[number / 64].fetch_or(1 << (number % 64), SeqCst);
            }
            owner.act(collect);
            assert_ne!(HeapAccount::take(Activity::Live).committed_bytes, 0);
            recover(WorkerSlot(1));
            owner.act(assert_empty);
        },
    );
}

#[test]
fn every_half_made_state_of_the_dead_is_repaired() {
    with_regions(
        test_name!("every_half_made_state_of_the_dead_is_repaired"),
        ROOMY,
        || {
            let mut worker = Actor::start(0);
            let survivor = worker.act(|| allocate(bytes(200_000)).unwrap());
            let head = Superblock::containing(survivor.as_ptr() as usize).unwrap();
            let owner = WorkerSlot(7).owner();
            let at = |offset: u32| Superblock(head.0 + offset);
            let leave = |offset: u32, state: State| at(offset).state().store(state.word(), SeqCst);
            leave(10, State::Claiming { owner });
            leave(11, State::PartClaiming { owner });
            // A run of four whose second part somebody else has taken already.
            leave(12, State::LargeClaiming { owner, len: 4 });
            leave(13, State::Part { offset: 1 });
            leave(14, State::Free);
            leave(15, State::Part { offset: 3 });
            assert!(findings().len() >= 5);
            let repaired = recover(WorkerSlot(7));
            assert_eq!(repaired.freed, 3);
            assert_eq!(recover(WorkerSlot(7)), Recovered::default());
            assert_exactly(&[(survivor, bytes(200_000))]);
            worker.act(|| free(survivor, bytes(200_000)));
            assert_exactly(&[]);
        },
    );
}

#[test]
fn wrong_frees_change_nothing_and_are_reported() {
    with_regions(
        test_name!("wrong_frees_change_nothing_and_are_reported"),
        ROOMY,
        || {
            WorkerContext::current().attach(WorkerSlot(4));
            let small = allocate(bytes(100)).unwrap();
            let large = allocate(bytes(100_000)).unwrap();
            let gone = allocate(bytes(100)).unwrap();
            free(gone, bytes(100));
            free(gone, bytes(100));
            free(small, bytes(1000));
            // SAFETY: the offset stays inside the block.
            free(unsafe { small.add(8) }, bytes(100));
            free(large, bytes(100));
            free(small, bytes(100_000));
            let on_stack = 5u64;
            free(NonNull::from(&on_stack).cast(), bytes(8));
            let refused = SlotRecord::of(5).unwrap().refused_frees.swap(0, SeqCst);
            assert_eq!(refused, 6);
            assert_exactly(&[(small, bytes(100)), (large, bytes(100_000))]);
        },
    );
}

#[test]
fn damaged_metadata_gives_findings_and_no_crash() {
    with_regions(
        test_name!("damaged_metadata_gives_findings_and_no_crash"),
        ROOMY,
        || {
            WorkerContext::current().attach(WorkerSlot(0));
            let block = allocate(bytes(48)).unwrap();
            let superblock = Superblock::containing(block.as_ptr() as usize).unwrap();
            superblock.meta().used.store(77, SeqCst);
            assert!(findings()[0].contains("counts 77 blocks, but its bitmap has 1"));
            let sound = superblock.state().load(SeqCst);
            let mut random = 0x1234_5678_9abc_def1_u64;
            for _ in 0..2000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                superblock
                    .state()
                    .store(random & 0xffff_ffff_001f_7f0f, SeqCst);
                superblock.meta().allocated[(random % 64) as usize].store(random, SeqCst);
                superblock.meta().remote[(random % 63) as usize].store(!random, SeqCst);
                let mut map = BlockMap::new();
                let _ = map.reach(block, bytes(48));
                let _ = map.unreached();
                HeapAccount::take(Activity::Live);
                assert_ne!(findings(), [""; 0]);
            }
            superblock.state().store(sound, SeqCst);
            Realm::Heap.record().frontier.store(u64::MAX, SeqCst);
            assert_eq!(claim::known(Realm::Heap), Realm::Heap.range());
        },
    );
}

#[test]
fn the_block_map_says_what_is_wrong_with_a_pointer() {
    with_regions(
        test_name!("the_block_map_says_what_is_wrong_with_a_pointer"),
        ROOMY,
        || {
            WorkerContext::current().attach(WorkerSlot(0));
            let small = allocate(bytes(48)).unwrap();
            let large = allocate(bytes(300_000)).unwrap();
            let mut map = BlockMap::new();
            let mut complain =
                |pointer: NonNull<u8>, size| map.reach(pointer, bytes(size)).unwrap_err();
            // SAFETY: offsets inside blocks.
            let (inside, deep) = unsafe { (small.add(16), large.add(SUPERBLOCK_SIZE)) };
            assert!(complain(inside, 48).contains("no block begins there"));
            assert!(complain(small, 400).contains("another size"));
            assert!(complain(deep, 300_000).contains("inside a large block"));
            assert!(complain(large, 310_000).contains("longer"));
            assert!(complain(NonNull::dangling(), 8).contains("leaves the regions"));
            map.reach(small, bytes(48)).unwrap();
            assert!(
                map.reach(small, bytes(48))
                    .unwrap_err()
                    .contains("reached twice")
            );
            assert_eq!(map.unreached(), [(large, 303_104)]);
        },
    );
}
