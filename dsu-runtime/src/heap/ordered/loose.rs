//! Nodes that are in no tree any more, or not yet.
//!
//! Owns them, so that each is given back once, and the entries of a map that ends.
#![allow(unsafe_code)] // frees nodes

use super::node::Node;
use super::path::{LEVELS, Path};
use super::tree::Tree;
use std::mem;

/// What is left of a tree that nobody refers to any more: gives its entries from the first on, and each
/// block back when it is behind its last. Writes into none of them, since they may have to stay as they
/// are.
pub(super) struct Remains<K, C> {
    path: Path<K, C>,
    /// The level of the node that is looked at; `None` when all are gone.
    level: Option<usize>,
}

impl<K, C> Remains<K, C> {
    pub(super) fn of(tree: Tree<K, C>) -> Self {
        let mut remains = Remains {
            path: Path::new(),
            level: None,
        };
        if let Some(root) = tree.root() {
            remains.path.begin(tree.height());
            remains.descend(tree.height(), root);
        }
        remains
    }

    fn descend(&mut self, from: usize, node: Node<K, C>) {
        let mut node = node;
        for level in (0..=from).rev() {
            self.path.set(level, node, 0);
            if level > 0 {
                node = node.child(0);
            }
        }
        self.level = Some(0);
    }

    fn next(&mut self) -> Option<(K, C)> {
        while let Some(level) = self.level {
            let (node, index) = (self.path.node(level), self.path.index(level));
            if index < node.len() {
                let entry = node.read(index);
                self.path.set(level, node, index + 1);
                if level > 0 {
                    self.descend(level - 1, node.child(index + 1));
                }
                return Some(entry);
            }
            // SAFETY: its entries were moved out, its children freed, and nobody refers to the tree.
            unsafe { node.free() };
            self.level = (level < self.path.height()).then_some(level + 1);
        }
        None
    }
}

impl<K, C> Drop for Remains<K, C> {
    fn drop(&mut self) {
        /// Goes on with the others when the drop of one panics.
        struct Others<'a, K, C>(&'a mut Remains<K, C>);

        impl<K, C> Drop for Others<'_, K, C> {
            fn drop(&mut self) {
                while let Some(entry) = self.0.next() {
                    drop(entry);
                }
            }
        }

        while let Some(entry) = self.next() {
            let others = Others(self);
            drop(entry);
            mem::forget(others);
        }
    }
}

/// Nodes that are in no tree: given back when it ends.
pub(super) struct Loose<K, C> {
    nodes: [Option<Node<K, C>>; LEVELS + 1],
    len: usize,
}

impl<K, C> Loose<K, C> {
    pub(super) fn new() -> Self {
        Loose {
            nodes: [None; LEVELS + 1],
            len: 0,
        }
    }

    /// A node without entries, or one whose entries were moved, which nothing points to.
    pub(super) fn push(&mut self, node: Node<K, C>) {
        self.nodes[self.len] = Some(node);
        self.len += 1;
    }

    /// The node that was pushed as number `index`, for a tree.
    pub(super) fn take(&mut self, index: usize) -> Node<K, C> {
        self.nodes[index].take().expect("each is taken once")
    }
}

impl<K, C> Drop for Loose<K, C> {
    fn drop(&mut self) {
        for node in self.nodes[..self.len].iter().flatten() {
            // SAFETY: by `push`, and it was not taken.
            unsafe { node.free() };
        }
    }
}
