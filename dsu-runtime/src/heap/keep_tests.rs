//! Memory that is kept for a while: who takes it, and when it goes back.
#![allow(unsafe_code)] // frees

use super::account::{Activity, HeapAccount};
use super::claim;
use super::hint::Hint;
use super::superblock::Realm;
use super::testing::{Actor, ROOMY, assert_empty, test_name, with_regions};
use super::*;
use crate::abi::SUPERBLOCK_SIZE;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

const ONE: Layout = Layout::new::<[u64; 8]>();
const OTHER: Layout = Layout::new::<[u64; 12]>();
const MANY: usize = 40;

fn account() -> HeapAccount {
    HeapAccount::take(Activity::Quiescent)
}

fn fill(layout: Layout) -> Vec<NonNull<u8>> {
    fill_of(MANY, layout)
}

/// Blocks of so many superblocks.
fn fill_of(superblocks: usize, layout: Layout) -> Vec<NonNull<u8>> {
    let blocks = superblocks * SUPERBLOCK_SIZE / layout.size();
    (0..blocks)
        .map(|_| allocate(layout).expect("room"))
        .collect()
}

fn free_all(blocks: Vec<NonNull<u8>>, layout: Layout) {
    // SAFETY: from `fill`, once.
    blocks
        .into_iter()
        .for_each(|block| unsafe { deallocate(block, layout) });
}

/// Lets the time of the next look come, and has it; whether there is another one to come.
fn look() -> bool {
    let plan = &Realm::Heap.record().look_ns;
    plan.store(1, SeqCst);
    while give_back_old().is_some() {}
    plan.load(SeqCst) != 0
}

#[test]
fn freed_memory_is_anybodys_next_without_the_kernel() {
    with_regions(
        test_name!("freed_memory_is_anybodys_next_without_the_kernel"),
        ROOMY,
        || {
            let (mut one, mut other) = (Actor::start(0), Actor::start(1));
            one.act(|| free_all(fill(ONE), ONE));
            let (before, kept) = (account().committed_bytes, account().kept_bytes);
            assert!(kept > MANY / 2 * SUPERBLOCK_SIZE, "{kept}");
            let blocks = other.act(|| fill(OTHER));
            let now = account();
            let more = now.committed_bytes.saturating_sub(before);
            assert!(more < 8 * SUPERBLOCK_SIZE, "{more} more bytes");
            assert!(now.kept_bytes < kept);
            other.act(|| free_all(blocks, OTHER));
            one.act(collect);
            other.act(assert_empty);
        },
    );
}

#[test]
fn what_two_looks_have_seen_free_goes_back_and_nothing_else() {
    with_regions(
        test_name!("what_two_looks_have_seen_free_goes_back_and_nothing_else"),
        ROOMY,
        || {
            let mut worker = Actor::start(0);
            worker.act(|| {
                assert!(give_back_old().is_none(), "nothing is kept yet");
                free_all(fill(ONE), ONE);
                assert!(give_back_old().is_some(), "a look is planned");
                let before = account().committed_bytes;
                assert!(look(), "nothing has been seen twice");
                assert_eq!(account().committed_bytes, before);
                // What is taken and let go of in between is new again; the rest is not.
                free_all(fill_of(MANY / 2, OTHER), OTHER);
                assert!(look(), "what was taken has been seen once");
                let kept = account().kept_bytes;
                assert!(kept > MANY / 3 * SUPERBLOCK_SIZE, "{kept}");
                assert!(kept < MANY * 2 / 3 * SUPERBLOCK_SIZE, "{kept}");
                assert!(!look(), "all has gone back");
                assert_eq!(account().kept_bytes, 0);
                assert!(give_back_old().is_none());
                assert_empty();
            });
        },
    );
}

#[test]
fn what_is_left_of_the_look_of_the_dead_is_for_others() {
    with_regions(
        test_name!("what_is_left_of_the_look_of_the_dead_is_for_others"),
        ROOMY,
        || {
            let (mut dead, mut other) = (Actor::start(0), Actor::start(1));
            let record = Realm::Heap.record();
            dead.act(|| {
                free_all(fill(ONE), ONE);
                assert!(look());
                record.look_ns.store(1, SeqCst);
                assert!(give_back_old().is_some(), "a slice, and more to come");
            });
            let left = account().kept_bytes;
            assert!(left > MANY / 2 * SUPERBLOCK_SIZE, "{left}");
            assert_eq!(other.act(give_back_old), None, "somebody else looks");
            // It might as well have stopped before it said where they are.
            let (first, end) = claim::known(Realm::Heap);
            Hint::read(&record.kept).raise(&record.kept, end - first);
            recover(dead.die());
            assert_eq!(account().kept_bytes, left);
            assert!(other.act(give_back_old).is_some(), "a look is planned");
            // Finds them by the hint, which a look does not.
            other.act(assert_empty);
        },
    );
}

/// Limits that are reached soon, and a worker that is at the limit.
fn full(name: &str, body: impl FnOnce(&mut Actor, &mut Actor, Vec<NonNull<u8>>)) {
    let limits = HeapLimits {
        heap_bytes: 8 << 20,
        reserve_bytes: 2 << 20,
    };
    with_regions(name, limits, || {
        let (mut one, mut other) = (Actor::start(0), Actor::start(1));
        let blocks = one.act(|| std::iter::from_fn(|| allocate(ONE).ok()).collect());
        body(&mut one, &mut other, blocks);
        one.act(collect);
        other.act(assert_empty);
    });
}

#[test]
fn a_single_superblock_that_is_kept_can_be_had_at_the_limit() {
    let name = test_name!("a_single_superblock_that_is_kept_can_be_had_at_the_limit");
    full(name, |one, other, mut blocks| {
        // One superblock after the other, until one of them is not the worker's own any more.
        while account().kept_bytes == 0 {
            let last = blocks.split_off(blocks.len() - SUPERBLOCK_SIZE / ONE.size());
            one.act(|| free_all(last, ONE));
        }
        let block = other
            .act(|| allocate(OTHER))
            .expect("what is kept is anybody's");
        other.act(|| free_all(vec![block], OTHER));
        one.act(|| free_all(blocks, ONE));
    });
}

#[test]
fn what_was_kept_behind_the_end_of_a_block_is_not_lost_to_others() {
    let name = test_name!("what_was_kept_behind_the_end_of_a_block_is_not_lost_to_others");
    full(name, |one, other, blocks| {
        one.act(|| {
            free_all(blocks, ONE);
            collect();
        });
        // Nine pages of sixteen; in a heap of 96 superblocks there is room for 170.
        let large = Layout::new::<[u8; 33 << 10]>();
        let blocks: Vec<_> = other.act(|| std::iter::from_fn(|| allocate(large).ok()).collect());
        assert!(blocks.len() > 160, "{}", blocks.len());
        assert_eq!(account().findings, [""; 0]);
        other.act(|| free_all(blocks, large));
    });
}

#[test]
fn a_run_of_kept_superblocks_that_cannot_be_had_leaves_no_memory_behind() {
    let name = test_name!("a_run_of_kept_superblocks_that_cannot_be_had_leaves_no_memory_behind");
    full(name, |one, other, blocks| {
        one.act(|| {
            free_all(blocks, ONE);
            collect();
        });
        let layout = Layout::new::<[u8; 600_000]>();
        let refused = other.act(|| {
            let context = context::HeapContext::current();
            large::allocate(context, Realm::Heap, layout, |_| Err(HeapFull)).is_err()
        });
        assert!(refused);
        assert_eq!(account().findings, [""; 0]);
    });
}
