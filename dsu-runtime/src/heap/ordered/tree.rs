//! The tree of an ordered map: its root, and the ways through it.
//!
//! ```text
//! 0 root u64 | 8 len u64 | 16 height u32 | 20 unused
//! root: 0 = no entry; else the address of a node of this height. Height 0 has no children.
//! ```
//! Owns which node an entry belongs into, by key or by rank, and copy before write along the way to it.
//! How nodes divide and become one again is `grow`'s and `shrink`'s.
#![allow(unsafe_code)] // nodes by address

use super::node::Node;
use super::path::{LEVELS, Path};
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use crate::heap::block;
use std::borrow::Borrow;
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};

#[repr(C)]
pub(super) struct Tree<K, C> {
    pub(super) root: u64,
    pub(super) len: u64,
    pub(super) height: u32,
    _unused: u32,
    entries: PhantomData<*mut (K, C)>,
}

/// What a search ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sought {
    Found,
    Missing,
}

impl<K, C> Tree<K, C> {
    pub(super) const EMPTY: Self = Tree {
        root: 0,
        len: 0,
        height: 0,
        _unused: 0,
        entries: PhantomData,
    };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn height(&self) -> usize {
        self.height as usize
    }

    #[inline]
    pub(super) fn root(&self) -> Option<Node<K, C>> {
        NonNull::new(self.root as *mut u8).map(Node::at)
    }

    /// The node and the place in it of a key.
    #[inline]
    pub(super) fn find<Q>(&self, key: &Q) -> Option<(Node<K, C>, usize)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root()?;
        for _ in 0..self.height {
            match node.search(key) {
                Ok(index) => return Some((node, index)),
                Err(index) => node = node.child(index),
            }
        }
        node.search(key).ok().map(|index| (node, index))
    }

    /// The way to a key, or to where it would be. `None` in a map without entries.
    pub(super) fn seek<Q>(&self, key: &Q, path: &mut Path<K, C>) -> Option<Sought>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root()?;
        path.begin(self.height());
        let mut level = self.height();
        loop {
            let found = node.search(key);
            let (Ok(index) | Err(index)) = found;
            path.set(level, node, index);
            if found.is_ok() {
                return Some(Sought::Found);
            }
            if level == 0 {
                return Some(Sought::Missing);
            }
            node = node.child(index);
            level -= 1;
        }
    }

    /// The way to the entry of this rank, which there is. `enter` says whether the node on a level may
    /// be looked at; false if it refuses one.
    pub(super) fn seek_rank(
        &self,
        rank: u64,
        path: &mut Path<K, C>,
        mut enter: impl FnMut(&Path<K, C>, usize) -> bool,
    ) -> bool {
        path.begin(self.height());
        let mut left = rank;
        let mut level = self.height();
        if !enter(path, level) {
            return false;
        }
        let mut node = self.root().expect("a map with entries has a root");
        while level > 0 {
            let len = node.len();
            let mut child = 0;
            while child < len && left > node.count(child) {
                left -= node.count(child) + 1;
                child += 1;
            }
            path.set(level, node, child);
            if child < len && left == node.count(child) {
                return true;
            }
            level -= 1;
            if !enter(path, level) {
                return false;
            }
            node = node.child(child);
        }
        path.set(0, node, left as usize);
        true
    }

    /// The way to the entry of this rank, which there is.
    pub(super) fn go_to_rank(&self, rank: u64, path: &mut Path<K, C>) {
        self.seek_rank(rank, path, |_, _| true);
    }

    /// Makes all nodes on the way such that they may be written (copy before write). Each copy is the
    /// node's successor before the next one is made: the tree is whole whenever there is no room.
    pub(super) fn own(&mut self, path: &mut Path<K, C>) -> Result<(), HeapFull> {
        if WorkerContext::current().converting.get() == 0 {
            return Ok(());
        }
        for level in (path.level()..=path.height()).rev() {
            let node = path.node(level);
            if block::is_frozen(node.block()) {
                let copy = node.copy()?;
                self.install(path, level, copy);
                // SAFETY: its entries live on in the copy, which has its place in the tree.
                unsafe { node.free() };
            }
        }
        Ok(())
    }

    /// Puts a node in the place of the one on the way. What is above it may be written.
    pub(super) fn install(&mut self, path: &mut Path<K, C>, level: usize, node: Node<K, C>) {
        if level == path.height() {
            self.root = node.address();
        } else {
            path.node(level + 1).set_child(path.index(level + 1), node);
        }
        path.replace_node(level, node);
    }

    /// Drops all entries and gives the blocks back.
    pub(super) fn clear(&mut self) {
        // Forgotten first: whatever a drop does, it finds an empty map.
        let all = mem::replace(self, Self::EMPTY);
        drop(Remains::of(all));
    }

    /// The same bytes once more, for an owner that forgets this one.
    pub(super) fn bits(&self) -> Self {
        // SAFETY: plain words; `Tree` has no `Drop`, so two of them do no harm by themselves.
        unsafe { ptr::read(self) }
    }
}

/// What is left of a tree that nobody refers to any more: gives its entries from the first on, and each
/// block back when it is behind its last. Writes into none of them, since they may have to stay as they
/// are.
struct Remains<K, C> {
    path: Path<K, C>,
    /// The level of the node that is looked at; `None` when all are gone.
    level: Option<usize>,
}

impl<K, C> Remains<K, C> {
    fn of(tree: Tree<K, C>) -> Self {
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
