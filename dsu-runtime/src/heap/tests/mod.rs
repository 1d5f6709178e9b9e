//! Containers and boxes against models, with the heap failing at every point. Each test has a heap of
//! its own and ends with its account: no block is lost, no box is counted that is not there.
#![allow(unsafe_code)] // moves values bit by bit, as lenses do, and reads blocks

mod boxes;
mod complements;
mod copies;
mod crashes;
mod cursor;
mod everything;
mod frozen;
pub(in crate::heap) mod lenses;
mod models;
mod ordered;
mod ordered_trees;
mod taken_out;

use super::account::{Activity, HeapAccount};
use super::testing::{ROOMY, begin_section, failing_after, test_name, with_regions};
use super::{BlockMap, NodeHandle, NodePtr, Shared, Visitor, live, release_scratch, visit_box};
use crate::abi::WorkerContext;
use crate::ids::{Tag, WorkerSlot};
use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use std::alloc::Layout;
use std::ptr::NonNull;

/// Runs `body` as the worker of a fresh heap, which must be empty again afterwards.
pub(in crate::heap) fn as_worker(name: &str, body: impl FnOnce()) {
    with_regions(name, ROOMY, || {
        WorkerContext::current().attach(WorkerSlot(0));
        begin_section();
        body();
        release_scratch();
        assert_eq!(allocated(), []);
        assert_eq!(
            live::complement_bytes(),
            0,
            "complements are counted that are not there"
        );
    });
}

/// Runs `test` as a worker on `cases` values of the strategy; each must leave the heap as it was.
pub(in crate::heap) fn for_all<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    as_worker(name, || {
        let config = Config {
            failure_persistence: None,
            cases,
            ..Config::default()
        };
        let case = |value| {
            let before = allocated();
            test(value)?;
            release_scratch();
            proptest::prop_assert_eq!(allocated(), before);
            Ok(())
        };
        TestRunner::new(config).run(&strategy, case).unwrap();
    });
}

/// All allocated blocks: address and bytes. Fails where the allocator's books are not in order.
pub(in crate::heap) fn allocated() -> Vec<(NonNull<u8>, usize)> {
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    BlockMap::new().unreached()
}

/// Everything that a value owns.
#[derive(Default)]
pub(crate) struct Owned {
    blocks: Vec<(NonNull<u8>, Layout)>,
    damage: Vec<String>,
    reached: BlockMap,
    nodes: Vec<NodePtr>,
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Owned {
    fn node(&mut self, handle: NodeHandle) {
        if !self.nodes.contains(&handle.node()) {
            self.nodes.push(handle.node());
            let (block, layout) = handle.node().shown_block();
            self.block(block, layout);
            handle.node().show_value(self);
        }
    }

    fn block(&mut self, pointer: NonNull<u8>, layout: Layout) {
        self.blocks.push((pointer, layout));
        self.damage
            .extend(self.reached.reach(pointer, layout).err());
    }

    fn versioned(&mut self, word: &mut u64, _expected: Tag) {
        // SAFETY: the word of a live box.
        unsafe { visit_box(*word, self) };
    }

    fn damage(&mut self, what: &str) {
        self.damage.push(what.to_owned());
    }
}

impl Owned {
    /// What is wrong with what was shown.
    pub(crate) fn damage(&self) -> &[String] {
        &self.damage
    }

    /// What `value` owns; fails where something is damaged, or a block is not allocated or has two
    /// owners.
    pub(in crate::heap) fn of<T: Shared>(value: &mut T) -> Owned {
        let mut owned = Owned::default();
        value.visit(&mut owned);
        assert_eq!(owned.damage, [""; 0]);
        owned
    }

    /// The bytes of all blocks.
    fn bytes(&self) -> Vec<Vec<u8>> {
        let bytes_of = |(start, layout): &(NonNull<u8>, Layout)| {
            // SAFETY: a live block of a mapped file; padding is read as what lies there.
            let at = |offset| unsafe { start.as_ptr().add(offset).read_volatile() };
            (0..layout.size()).map(at).collect()
        };
        self.blocks.iter().map(bytes_of).collect()
    }
}
