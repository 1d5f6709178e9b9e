//! Conversions that commit, abort, nest and leave copies to be read.
#![allow(unsafe_code)] // frees blocks

use super::account::{Activity, HeapAccount};
use super::testing::{ROOMY, test_name, with_regions};
use super::*;
use crate::abi::WorkerContext;
use crate::ids::WorkerSlot;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::alloc::Layout;
use std::ptr::NonNull;

const LAYOUT: Layout = Layout::new::<[u64; 8]>();

fn make() -> NonNull<u8> {
    allocate(LAYOUT).unwrap()
}

fn free(block: NonNull<u8>) {
    // SAFETY: tests free blocks of theirs once.
    unsafe { deallocate(block, LAYOUT) };
}

fn live() -> usize {
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    account.classes.iter().map(|class| class.blocks).sum()
}

fn as_worker(name: &str, body: impl FnOnce()) {
    with_regions(name, ROOMY, || {
        WorkerContext::current().attach(WorkerSlot(0));
        body();
    });
}

#[test]
fn commit_frees_the_old_and_abort_the_new() {
    as_worker(test_name!("commit_frees_the_old_and_abort_the_new"), || {
        let old = make();
        let conversion = Transaction::begin();
        let new = make();
        assert!(is_fresh(new) && !is_fresh(old));
        free(old);
        assert_eq!(live(), 2);
        conversion.abort();
        assert_eq!(live(), 1);

        let conversion = Transaction::begin();
        let new = make();
        let passing = make();
        free(passing);
        free(old);
        conversion.commit();
        assert_eq!(live(), 1);
        assert!(!is_fresh(new));
        free(new);
        assert_eq!(live(), 0);
    });
}

#[test]
fn a_panic_in_a_conversion_undoes_it() {
    as_worker(test_name!("a_panic_in_a_conversion_undoes_it"), || {
        let old = make();
        let panicked = std::panic::catch_unwind(|| {
            let _conversion = Transaction::begin();
            make();
            free(old);
            panic!("the lens failed");
        });
        assert!(panicked.is_err());
        assert_eq!(live(), 1);
        assert_eq!(WorkerContext::current().converting.get(), 0);
    });
}

#[test]
fn an_inner_commit_is_undone_by_the_outer_abort() {
    as_worker(
        test_name!("an_inner_commit_is_undone_by_the_outer_abort"),
        || {
            let old = make();
            let outer = Transaction::begin();
            let between = make();
            let inner = Transaction::begin();
            let new = make();
            assert!(
                !is_fresh(between),
                "the outer value must survive an inner abort"
            );
            free(between);
            free(old);
            inner.commit();
            assert!(is_fresh(new));
            assert_eq!(live(), 3);
            outer.abort();
            assert_eq!(live(), 1);

            let outer = Transaction::begin();
            let kept = make();
            let inner = Transaction::begin();
            make();
            free(kept);
            inner.abort();
            assert!(is_fresh(kept));
            free(old);
            outer.commit();
            assert_eq!(live(), 1);
            free(kept);
        },
    );
}

#[test]
fn scratch_copies_live_until_the_last_guard_goes() {
    // R20
    as_worker(
        test_name!("scratch_copies_live_until_the_last_guard_goes"),
        || {
            let old = make();
            for _ in 0..3 {
                let conversion = Transaction::begin();
                make();
                free(old);
                conversion.keep_for_scratch().unwrap();
            }
            assert_eq!(live(), 4);
            release_scratch();
            release_scratch();
            assert_eq!(live(), 1);
            free(old);
        },
    );
}

#[test]
fn only_fresh_blocks_grow_in_place_during_a_conversion() {
    as_worker(
        test_name!("only_fresh_blocks_grow_in_place_during_a_conversion"),
        || {
            let layout = Layout::from_size_align(66_000, 8).unwrap();
            let old = allocate(layout).unwrap();
            let conversion = Transaction::begin();
            let new = allocate(layout).unwrap();
            // SAFETY: both blocks are live with this layout.
            let (old_grew, new_grew) = unsafe {
                (
                    grow_in_place(old, layout, 90_000),
                    grow_in_place(new, layout, 90_000),
                )
            };
            assert!(!old_grew && new_grew);
            conversion.abort();
            // SAFETY: still live, and nobody uses it.
            unsafe { deallocate(old, layout) };
            assert_eq!(HeapAccount::take(Activity::Quiescent).used_bytes, 0);
        },
    );
}

#[derive(Clone, Debug)]
enum Step {
    Make,
    Free(prop::sample::Index),
    Begin,
    Commit,
    Abort,
    Scratch,
}

#[test]
fn any_nesting_agrees_with_the_model() {
    as_worker(test_name!("any_nesting_agrees_with_the_model"), || {
        let step = prop_oneof![
            6 => Just(Step::Make),
            4 => any::<prop::sample::Index>().prop_map(Step::Free),
            2 => Just(Step::Begin),
            1 => Just(Step::Commit),
            1 => Just(Step::Abort),
            1 => Just(Step::Scratch),
        ];
        let config = Config {
            failure_persistence: None,
            cases: 200,
            ..Config::default()
        };
        TestRunner::new(config)
            .run(&prop::collection::vec(step, 1..300), run_model)
            .unwrap();
    });
}

/// The model keeps what is visible at each level; ending a conversion restores or takes over.
fn run_model(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut visible: Vec<NonNull<u8>> = Vec::new();
    let mut open: Vec<(Transaction, Vec<NonNull<u8>>)> = Vec::new();
    for step in steps {
        match step {
            Step::Make => visible.push(make()),
            Step::Free(which) if !visible.is_empty() => {
                free(visible.swap_remove(which.index(visible.len())));
            }
            Step::Begin => open.push((Transaction::begin(), visible.clone())),
            Step::Commit | Step::Abort | Step::Scratch => {
                let Some((conversion, before)) = open.pop() else {
                    continue;
                };
                match step {
                    Step::Commit => conversion.commit(),
                    Step::Abort => {
                        conversion.abort();
                        visible = before;
                    }
                    _ => {
                        conversion.keep_for_scratch().unwrap();
                        visible = before;
                    }
                }
                if open.is_empty() {
                    release_scratch();
                    prop_assert_eq!(live(), visible.len());
                }
            }
            Step::Free(_) => {}
        }
        let mut map = BlockMap::new();
        for block in &visible {
            prop_assert_eq!(map.reach(*block, LAYOUT), Ok(()));
        }
        if let Some((_, before)) = open.last() {
            for block in visible.iter().take(8) {
                prop_assert_eq!(is_fresh(*block), !before.contains(block));
            }
        }
    }
    while let Some((conversion, before)) = open.pop() {
        conversion.abort();
        visible = before;
    }
    visible.into_iter().for_each(free);
    release_scratch();
    prop_assert_eq!(live(), 0);
    Ok(())
}
