//! Memory that is kept for a while: who takes it, and when it goes back.
#![allow(unsafe_code)] // frees

use super::account::{Activity, HeapAccount};
use super::claim;
use super::hint::Hint;
use super::superblock::Realm;
use super::testing::{Actor, ROOMY, assert_empty, test_name, with_regions};
use super::*;
use crate::abi::SUPERBLOCK_SIZE;
use crate::sys::time::Nanos;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

const ONE: Layout = Layout::new::<[u64; 8]>();
const OTHER: Layout = Layout::new::<[u64; 12]>();
const MANY: usize = 40;

fn account() -> HeapAccount {
    HeapAccount::take(Activity::Quiescent)
}

/// Blocks of many superblocks.
fn fill(layout: Layout) -> Vec<NonNull<u8>> {
    let blocks = MANY * SUPERBLOCK_SIZE / layout.size();
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
    Realm::Heap.record().look_ns.store(1, SeqCst);
    loop {
        match give_back_old() {
            Some(Nanos(0)) => {}
            again => return again.is_some() || Realm::Heap.record().look_ns.load(SeqCst) != 0,
        }
    }
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
                // Taken and let go of in between is new again; some are not.
                let blocks = fill(OTHER);
                free_all(blocks, OTHER);
                assert!(look(), "what was taken has been seen once");
                assert_ne!(account().kept_bytes, 0);
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
                assert_eq!(give_back_old(), Some(Nanos(0)), "a slice, and more to come");
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
            assert!(!other.act(look), "they were old");
            assert_eq!(account().kept_bytes, 0);
            other.act(assert_empty);
        },
    );
}
