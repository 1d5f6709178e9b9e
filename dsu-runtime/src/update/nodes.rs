//! Shared nodes in the walks of the runtime: the heap check's account of handles, and a sweep's places.
//!
//! A node is shown as often as handles lead to it. Both walks look at it once, and not inside the walk
//! that met it, so that a long path costs no stack (`heap::rc`).

use crate::heap::{BlockMap, HandleKind, NodeHandle, NodePtr};
use crate::ids::GuardIndex;
use std::collections::btree_map::{BTreeMap, Entry};

/// What a check has found of nodes: the handles to each, strong and weak.
#[derive(Default)]
pub(super) struct Nodes {
    seen: BTreeMap<NodePtr, [u32; 2]>,
    /// Met, and not looked into yet.
    queue: Vec<NodePtr>,
}

impl Nodes {
    /// Takes note of a handle that was found behind this guard.
    ///
    /// # Errors
    /// A sentence: there is no node, or it is another guard's.
    pub(super) fn meet(
        &mut self,
        handle: &NodeHandle,
        guard: GuardIndex,
        blocks: &mut BlockMap,
    ) -> Result<(), String> {
        let node = handle.node();
        let found = match self.seen.entry(node) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(new) => {
                let (block, layout) = node.shown_block();
                blocks.reach(block, layout)?;
                self.queue.push(node);
                new.insert([0; 2])
            }
        };
        found[usize::from(handle.kind() == HandleKind::Weak)] += 1;
        match handle.is_found_behind(guard) {
            true => Ok(()),
            false => Err(format!(
                "a shared node at {:#x} is reached from the guard in slot {} and belongs to {}",
                node.address(),
                guard.0,
                node.owner().map_or("another".to_owned(), |owner| format!(
                    "that in slot {}",
                    owner.0
                ))
            )),
        }
    }

    /// The next node whose value is to be shown.
    pub(super) fn next(&mut self) -> Option<NodePtr> {
        self.queue.pop()
    }

    /// After a walk over everything: what is wrong with the counts. One that is too high may be a handle
    /// that some worker has outside of its section, or had when it died.
    pub(super) fn findings(&self) -> impl Iterator<Item = String> {
        let kinds = ["strong", "weak"];
        let wrong = move |(node, found): (&NodePtr, &[u32; 2])| {
            let counted = node.handles();
            let kind = (0..2).find(|kind| counted[*kind] != found[*kind])?;
            let why = match counted[kind] > found[kind] {
                true => ": a worker has the others outside of its sections, or died with them",
                false => "",
            };
            Some(format!(
                "a shared node at {:#x} counts {} {} handles, and {} lead to it{why}",
                node.address(),
                counted[kind],
                kinds[kind],
                found[kind]
            ))
        };
        self.seen.iter().filter_map(wrong)
    }
}

/// Places of a sweep in what a guard guards, besides the address of the node that it stopped in.
pub(super) const IN_ITEMS: u64 = 0;
pub(super) const BETWEEN_NODES: u64 = 1;
