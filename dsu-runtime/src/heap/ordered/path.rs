//! The way from the root of a tree to one of its entries.
//!
//! Nodes know neither their parents nor their neighbours: a node is copied before it is written inside
//! a conversion, and whatever pointed to it would have to be written as well. So an operation keeps
//! the way by which it came. Owns positions; changes no node.
#![allow(unsafe_code)] // entries by address

use super::node::Node;
use std::ptr::NonNull;

/// Levels that a tree can have. Every node but those on the right edge has two entries or more, and
/// three children where it has some: a tree of this height would be larger than the heap.
pub(super) const LEVELS: usize = 24;

/// One node on each level from the root down to that of the entry: which child the way goes on with,
/// and at the lowest which entry it is, or in front of which one it would be.
pub(super) struct Path<K, C> {
    nodes: [Option<Node<K, C>>; LEVELS],
    indexes: [u16; LEVELS],
    level: usize,
    height: usize,
}

impl<K, C> Path<K, C> {
    pub(super) fn new() -> Self {
        Path {
            nodes: [None; LEVELS],
            indexes: [0; LEVELS],
            level: 0,
            height: 0,
        }
    }

    /// A way of a tree of this height begins.
    pub(super) fn begin(&mut self, height: usize) {
        self.height = height;
    }

    /// The way comes to a node, and goes on with this index. It ends here for now.
    #[inline]
    pub(super) fn set(&mut self, level: usize, node: Node<K, C>, index: usize) {
        self.nodes[level] = Some(node);
        self.indexes[level] = index as u16;
        self.level = level;
    }

    /// The level of the entry.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// The level of the root.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    #[inline]
    pub(super) fn node(&self, level: usize) -> Node<K, C> {
        self.nodes[level].expect("the way leads over every level")
    }

    #[inline]
    pub(super) fn index(&self, level: usize) -> usize {
        self.indexes[level].into()
    }

    pub(super) fn replace_node(&mut self, level: usize, node: Node<K, C>) {
        self.nodes[level] = Some(node);
    }

    /// The entry.
    #[inline]
    pub(super) fn entry(&self) -> (NonNull<K>, NonNull<C>) {
        let (node, index) = (self.node(self.level), self.index(self.level));
        (node.key(index), node.cell(index))
    }

    /// Whether it is the place behind the last entry.
    pub(super) fn is_at_end(&self) -> bool {
        (self.level..=self.height).all(|level| self.index(level) == self.node(level).len())
    }

    /// Number of entries in front of the place.
    pub(super) fn rank(&self) -> u64 {
        let above = (self.level + 1..=self.height)
            .map(|level| self.node(level).before(self.index(level)))
            .sum::<u64>();
        let (node, index) = (self.node(self.level), self.index(self.level));
        above
            + match self.level {
                0 => index as u64,
                _ => node.before(index) + node.count(index),
            }
    }

    /// Goes up while the place is behind the last entry of its node: to the entry that comes there.
    /// False if none comes.
    pub(super) fn climb(&mut self) -> bool {
        while self.index(self.level) == self.node(self.level).len() {
            if self.level == self.height {
                return false;
            }
            self.level += 1;
        }
        true
    }

    /// Goes to the next entry; false if there is none, or `enter` refuses a child on the way.
    #[inline]
    pub(super) fn advance(&mut self, enter: impl FnMut(&Self, usize) -> bool) -> bool {
        let level = self.level;
        self.indexes[level] += 1;
        if level == 0 {
            return self.climb();
        }
        self.descend_to_first(enter)
    }

    /// From a child of the node to the first entry below.
    fn descend_to_first(&mut self, mut enter: impl FnMut(&Self, usize) -> bool) -> bool {
        while self.level > 0 {
            if !enter(self, self.level - 1) {
                return false;
            }
            let child = self.node(self.level).child(self.index(self.level));
            self.set(self.level - 1, child, 0);
        }
        true
    }

    /// Goes to the entry before; there is one.
    pub(super) fn retreat(&mut self) {
        if self.level > 0 {
            self.descend_to_last();
            return;
        }
        while self.indexes[self.level] == 0 {
            self.level += 1;
        }
        self.indexes[self.level] -= 1;
    }

    /// From an entry with children to the last one before it, below.
    pub(super) fn descend_to_last(&mut self) {
        while self.level > 0 {
            let child = self.node(self.level).child(self.index(self.level));
            self.set(self.level - 1, child, child.len());
        }
        self.indexes[0] -= 1;
    }

    /// Goes to the next entry of the same node, if it has one and no child lies between.
    pub(super) fn advance_inside(&mut self) -> bool {
        let has_next = self.level == 0 && self.index(0) + 1 < self.node(0).len();
        self.indexes[0] += u16::from(has_next);
        has_next
    }

    /// Keys between which all those of the node on `level` lie.
    pub(super) fn bounds(&self, level: usize) -> (Option<NonNull<K>>, Option<NonNull<K>>) {
        let above = || (level + 1..=self.height).map(|level| (self.node(level), self.index(level)));
        let lower = above().find(|(_, index)| *index > 0);
        let upper = above().find(|(node, index)| *index < node.len());
        (
            lower.map(|(node, index)| node.key(index - 1)),
            upper.map(|(node, index)| node.key(index)),
        )
    }
}
