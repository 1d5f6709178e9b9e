//! What a worker leaves that dies in a conversion: nothing is lost, nothing is freed that lives on,
//! wherever it dies, and wherever whoever recovers it does.
#![allow(unsafe_code)] // frees blocks, and shares a plan between processes

use super::account::{Activity, HeapAccount};
use super::rc::{self, Change, NodePtr};
use super::reclaim::{Settled, settle};
use super::stepping::at_every_store;
use super::superblock::Superblock;
use super::testing::{Actor, ROOMY, fork_worker, reap, shared_zeroed, test_name, with_regions};
use super::*;
use crate::ids::WorkerSlot;
use std::alloc::Layout;
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

const DEAD: WorkerSlot = WorkerSlot(0);
const MAKER: u32 = 1;
const SMALL: usize = 64;
const LARGE: usize = 150_000;
const LIVE: usize = 4;
/// Of the blocks of a plan.
const SIZES: [usize; LIVE] = [SMALL, SMALL, LARGE, SMALL];

/// What the judges know of the worker's mind: which blocks live while the word has which value.
#[repr(C)]
struct Plan {
    word: AtomicUsize,
    now: [AtomicUsize; LIVE],
    next: [AtomicUsize; LIVE],
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("sizes are sane")
}

fn make(size: usize) -> usize {
    allocate(layout(size)).expect("room").as_ptr() as usize
}

fn free(address: usize, size: usize) {
    // SAFETY: tests free blocks of theirs once.
    unsafe {
        deallocate(
            NonNull::new(address as *mut u8).expect("a block"),
            layout(size),
        )
    };
}

impl Plan {
    fn set(list: &[AtomicUsize; LIVE], blocks: [usize; LIVE]) {
        list.iter()
            .zip(blocks)
            .for_each(|(place, block)| place.store(block, SeqCst));
    }

    /// The word lies in a block, as that of a box does.
    fn word(&self) -> &AtomicUsize {
        // SAFETY: the block lives as long as the test.
        unsafe { &*(self.word.load(SeqCst) as *const AtomicUsize) }
    }

    /// Another worker, which lives on, has made all that is there at first.
    fn lay_out(&self) {
        self.word.store(make(SMALL), SeqCst);
        let made = SIZES.map(make);
        Plan::set(&self.now, made);
        self.word().store(made[0], SeqCst);
    }

    /// Every kind of allocation and free that there is in a conversion, then the store.
    fn convert(&self, end: fn(Transaction)) {
        let old: Vec<usize> = self.now.iter().map(|block| block.load(SeqCst)).collect();
        let conversion = Transaction::begin();
        transaction::aim(self.word.load(SeqCst), old[0] as u64);
        let passing = [make(SMALL), make(LARGE), make(SMALL)];
        // As if it had been used before: its superblock is told from that of every other large block.
        Superblock::containing(passing[1])
            .expect("in the heap")
            .meta()
            .count_reuse();
        let kept = make(SMALL);
        let inner = Transaction::begin();
        let list = [kept, make(SMALL), make(LARGE), make(SMALL)];
        free(old[0], SMALL);
        free(old[2], LARGE);
        inner.commit();
        let inner = Transaction::begin();
        make(LARGE);
        free(old[1], SMALL);
        inner.abort();
        free(passing[0], SMALL);
        free(passing[1], LARGE);
        free(passing[2], SMALL);
        free(old[1], SMALL);
        free(old[3], SMALL);
        Plan::set(&self.next, list);
        self.word().store(kept, SeqCst);
        end(conversion);
        Plan::set(&self.now, list);
    }

    /// Exactly what belongs to the value that the word names is allocated.
    fn assert_whole(&self) {
        let word = self.word().load(SeqCst);
        let of = |list: &[AtomicUsize; LIVE]| list.each_ref().map(|block| block.load(SeqCst));
        let list = [of(&self.now), of(&self.next)]
            .into_iter()
            .find(|list| list[0] == word)
            .expect("the word names one of them");
        let expected: BTreeSet<usize> = list.into_iter().chain([self.word.load(SeqCst)]).collect();
        let account = HeapAccount::take(Activity::Quiescent);
        assert_eq!(account.findings, [""; 0]);
        let found = BlockMap::new().unreached();
        let found: BTreeSet<usize> = found
            .iter()
            .map(|(block, _)| block.as_ptr() as usize)
            .collect();
        assert_eq!(found, expected);
    }
}

fn with_plan(name: &str, body: impl FnOnce(&'static Plan)) {
    with_regions(name, ROOMY, || {
        // SAFETY: atomics.
        let plan: &Plan = unsafe { shared_zeroed() };
        let mut maker = Actor::start(MAKER);
        maker.act(|| plan.lay_out());
        body(plan);
    });
}

fn die() {
    // SAFETY: this process ends itself.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

// I6, I9
#[test]
fn no_block_is_lost_at_any_store_of_a_conversion() {
    let name = test_name!("no_block_is_lost_at_any_store_of_a_conversion");
    with_plan(name, |plan| {
        let points = at_every_store(
            DEAD.0,
            || {
                // The first frees blocks of another worker, the second its own.
                plan.convert(Transaction::commit);
                plan.convert(Transaction::commit);
            },
            || {
                settle(DEAD);
                assert_eq!(settle(DEAD), Settled::default());
                recover(DEAD);
                // Those of others are freed when their owner looks.
                recover(WorkerSlot(MAKER));
                plan.assert_whole();
            },
        );
        assert!(points > 200, "{points}");
    });
}

// Recovery is restartable at each of its steps.
#[test]
fn whoever_settles_a_conversion_may_die_at_every_store() {
    let name = test_name!("whoever_settles_a_conversion_may_die_at_every_store");
    with_plan(name, |plan| {
        // Published and not committed; then, as the word says the same as before, not published.
        for is_published in [true, false] {
            let child = fork_worker(DEAD.0, || {
                plan.convert(Transaction::commit);
                if is_published {
                    plan.convert(|_| die());
                }
                let _open = Transaction::begin();
                transaction::aim(plan.word.load(SeqCst), plan.word().load(SeqCst) as u64);
                free(plan.now[0].load(SeqCst), SMALL);
                make(SMALL);
                make(LARGE);
                die();
            });
            assert_eq!(reap(child), None, "it was to be killed");
            let points = at_every_store(
                7,
                || {
                    recover(DEAD);
                },
                || {
                    recover(DEAD);
                    recover(WorkerSlot(MAKER));
                    plan.assert_whole();
                },
            );
            assert!(points > 10, "{points}");
            recover(DEAD);
            // What the last one published is what there is now.
            if is_published {
                let next = plan.next.each_ref().map(|block| block.load(SeqCst));
                Plan::set(&plan.now, next);
            }
        }
    });
}

#[test]
fn a_block_that_may_be_somebody_elses_by_now_is_left_alone() {
    let name = test_name!("a_block_that_may_be_somebody_elses_by_now_is_left_alone");
    with_regions(name, ROOMY, || {
        // SAFETY: atomics.
        let plan: &Plan = unsafe { shared_zeroed() };
        let mut maker = Actor::start(MAKER);
        maker.act(|| plan.lay_out());
        let block = plan.now[1].load(SeqCst);
        let child = fork_worker(DEAD.0, || {
            let conversion = Transaction::begin();
            free(block, SMALL);
            conversion.commit();
            // As if it had died behind the free and before it could say so.
            let ledger = ledger::Ledger::of(DEAD.owner());
            ledger.stand(0, 1);
            die();
        });
        assert_eq!(reap(child), None, "it was to be killed");
        maker.act(|| {
            // Takes back what was freed, and gives it out again.
            collect();
            let mut taken = Vec::new();
            while !taken.contains(&block) {
                taken.push(make(SMALL));
            }
        });
        assert_eq!(settle(DEAD).blocks, 0);
        recover(DEAD);
        recover(WorkerSlot(MAKER));
        let live = BlockMap::new().unreached();
        assert!(live.iter().any(|(one, _)| one.as_ptr() as usize == block));
    });
}

// A line that had no memory names a block that is lost.
#[test]
fn lines_that_were_not_written_are_counted_as_lost() {
    let name = test_name!("lines_that_were_not_written_are_counted_as_lost");
    with_plan(name, |plan| {
        let child = fork_worker(DEAD.0, || {
            let ledger = ledger::Ledger::of(DEAD.owner());
            let block = NonNull::new(plan.now[1].load(SeqCst) as *mut u8).expect("a block");
            let entry = journal::Entry::new(block, layout(SMALL));
            ledger.open();
            ledger.write(ledger::List::Fresh, 1_000, entry);
            ledger.count(1_001, 0);
            die();
        });
        assert_eq!(reap(child), None, "it was to be killed");
        // The one that there is belongs to another worker.
        let (blocks, lost) = (0, 1_000);
        assert_eq!(settle(DEAD), Settled { blocks, lost });
    });
}

#[test]
fn what_a_worker_wrote_of_no_block_is_not_trusted() {
    let name = test_name!("what_a_worker_wrote_of_no_block_is_not_trusted");
    with_plan(name, |plan| {
        let child = fork_worker(DEAD.0, || {
            let ledger = ledger::Ledger::of(DEAD.owner());
            let others = plan.now[1].load(SeqCst);
            for (at, address) in [
                16,
                others,
                others + 16,
                crate::abi::HEAP_ADDR + (1 << 39),
                0,
            ]
            .into_iter()
            .enumerate()
            {
                let block = NonNull::new(address as *mut u8).unwrap_or(NonNull::dangling());
                ledger.write(
                    ledger::List::Fresh,
                    at,
                    journal::Entry::new(block, layout(SMALL)),
                );
            }
            ledger.aim(12_345, 7);
            ledger.count(9, 0);
            die();
        });
        assert_eq!(reap(child), None, "it was to be killed");
        assert_eq!(settle(DEAD).blocks, 0);
        recover(DEAD);
        plan.assert_whole();
    });
}

// I35: handles that were to go with the old value are owed once each, wherever whoever recovers dies.
#[test]
fn what_was_to_be_counted_down_is_owed_once_wherever_recovery_dies() {
    let name = test_name!("what_was_to_be_counted_down_is_owed_once_wherever_recovery_dies");
    with_plan(name, |plan| {
        // Nodes are not looked at.
        let node = |number: usize| NodePtr::at(number * 64).expect("not null");
        let owed = || ledger::Ledger::of(DEAD.owner()).all_owed();
        for is_published in [false, true] {
            let child = fork_worker(DEAD.0, || {
                rc::owe(node(9), Change::WeakDown);
                let _open = Transaction::begin();
                transaction::aim(plan.word.load(SeqCst), plan.word().load(SeqCst) as u64);
                for (number, size) in SIZES.into_iter().enumerate().skip(1) {
                    let notes = [Change::StrongDown, Change::StrongUp, Change::WeakDown];
                    for change in notes {
                        transaction::note_count(node(number), change).expect("room");
                    }
                    free(plan.now[number].load(SeqCst), size);
                }
                if is_published {
                    plan.word().store(make(SMALL), SeqCst);
                }
                die();
            });
            assert_eq!(reap(child), None, "it was to be killed");
            let mut expected = vec![(node(9), Change::WeakDown)];
            if is_published {
                for number in 1..4 {
                    expected.push((node(number), Change::StrongDown));
                    expected.push((node(number), Change::WeakDown));
                }
            }
            let points = at_every_store(
                7,
                || {
                    recover(DEAD);
                },
                || {
                    recover(DEAD);
                    assert_eq!(owed().collect::<Vec<_>>(), expected);
                },
            );
            assert!(points > 10, "{points}");
            recover(DEAD);
            assert_eq!(owed().collect::<Vec<_>>(), expected);
            ledger::Ledger::of(DEAD.owner()).count_owed(0, 0);
        }
    });
}
