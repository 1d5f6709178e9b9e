//! Removal from the tree of an ordered map.
//!
//! Owns how nodes take entries from a neighbour and become one with it, so that memory follows the
//! number of entries. What has to be copied for that (copy before write) is copied before anything is
//! changed. Two nodes that become one need no copy: the one on the way is ours already, and the other
//! one is only read.
#![allow(unsafe_code)] // entries by address

use super::node::{Node, Side};
use super::path::Path;
use super::tree::{Loose, Tree};
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use crate::heap::block;

/// What becomes of a node that has few entries left.
enum Mend<K, C> {
    /// It becomes one with its neighbour.
    Merge(Node<K, C>, Side),
    /// It takes some from its neighbour.
    Borrow(Node<K, C>, Side),
}

impl<K, C> Tree<K, C> {
    /// Takes out the entry that the way leads to.
    pub(super) fn take(&mut self, path: &mut Path<K, C>) -> Result<(K, C), HeapFull> {
        let level = path.level();
        if level > 0 {
            path.descend_to_last();
        }
        self.own(path)?;
        self.own_neighbour(path)?;
        let mut entry = path.node(0).remove(path.index(0));
        if level > 0 {
            // The one before takes its place.
            let (node, index) = (path.node(level), path.index(level));
            let taken = node.read(index);
            node.write(index, entry);
            entry = taken;
        }
        for level in 1..=path.height() {
            let (node, index) = (path.node(level), path.index(level));
            node.set_count(index, node.count(index) - 1);
        }
        self.len -= 1;
        self.mend(path);
        Ok(entry)
    }

    /// What a node needs that is to have `len` entries.
    fn mending(path: &Path<K, C>, level: usize, len: usize) -> Option<Mend<K, C>> {
        if level == path.height() || len >= Node::<K, C>::FEW {
            return None;
        }
        let (above, index) = (path.node(level + 1), path.index(level + 1));
        let (neighbour, side) = match index < above.len() {
            true => (above.child(index + 1), Side::Behind),
            false => (above.child(index - 1), Side::InFront),
        };
        Some(match len + 1 + neighbour.len() <= Node::<K, C>::MERGED {
            true => Mend::Merge(neighbour, side),
            false => Mend::Borrow(neighbour, side),
        })
    }

    /// Copies the neighbour that will be written when the entry is gone, if there is one.
    fn own_neighbour(&mut self, path: &Path<K, C>) -> Result<(), HeapFull> {
        if WorkerContext::current().converting.get() == 0 {
            return Ok(());
        }
        for level in 0..path.height() {
            match Self::mending(path, level, path.node(level).len() - 1) {
                None => break,
                // One entry less above.
                Some(Mend::Merge(..)) => {}
                Some(Mend::Borrow(neighbour, side)) => {
                    if block::is_frozen(neighbour.block()) {
                        let copy = neighbour.copy()?;
                        let (above, index) = (path.node(level + 1), path.index(level + 1));
                        above.set_child(side.of(index), copy);
                        // SAFETY: its entries live on in the copy, which has its place.
                        unsafe { neighbour.free() };
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// After a removal: mends the nodes on the way, from below.
    fn mend(&mut self, path: &mut Path<K, C>) {
        // Given back when the tree is whole again.
        let mut gone = Loose::new();
        for level in 0..path.height() {
            let node = path.node(level);
            let Some(mend) = Self::mending(path, level, node.len()) else {
                break;
            };
            let (above, index) = (path.node(level + 1), path.index(level + 1));
            match mend {
                Mend::Merge(neighbour, side) => {
                    let between = above.remove_with_child(side.entry(index), side.of(index));
                    node.absorb(between, neighbour, side);
                    let index = match side {
                        Side::Behind => index,
                        Side::InFront => index - 1,
                    };
                    above.set_count(index, node.total());
                    gone.push(neighbour);
                }
                Mend::Borrow(neighbour, side) => {
                    let few = (node.len() + neighbour.len()) / 2 - node.len();
                    let between = above.read(side.entry(index));
                    let next = node.borrow_from(between, neighbour, side, few);
                    above.write(side.entry(index), next);
                    above.set_count(index, node.total());
                    above.set_count(side.of(index), neighbour.total());
                    break;
                }
            }
        }
        let root = path.node(path.height());
        if root.len() == 0 {
            if self.height == 0 {
                self.root = 0;
            } else {
                self.root = root.child(0).address();
                self.height -= 1;
            }
            gone.push(root);
        } else if self.height == 0 {
            self.tighten(root, &mut gone);
        }
    }

    /// A smaller block for the only node, where most of it is empty and one can be had.
    fn tighten(&mut self, leaf: Node<K, C>, gone: &mut Loose<K, C>) {
        let (len, capacity) = (leaf.len(), leaf.head().capacity as usize);
        let fitting = Node::<K, C>::capacity_for(2 * len);
        if len * 4 <= capacity
            && fitting < capacity
            && WorkerContext::current().converting.get() == 0
            && let Ok(smaller) = leaf.resized(fitting)
        {
            self.root = smaller.address();
            gone.push(leaf);
        }
    }
}

impl Side {
    /// The neighbour of child `index`.
    fn of(self, index: usize) -> usize {
        match self {
            Side::Behind => index + 1,
            Side::InFront => index - 1,
        }
    }

    /// The entry between child `index` and its neighbour.
    fn entry(self, index: usize) -> usize {
        match self {
            Side::Behind => index,
            Side::InFront => index - 1,
        }
    }
}
