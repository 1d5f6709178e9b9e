//! Walks over an ordered map: all of it, a slice of it from a place, the heap check.
//!
//! Owns the order of places, which are ranks: an entry that an insertion or removal in front of it moves
//! between two slices is seen twice, or only by the next walk, as in a vector. No node is looked at
//! before its address and its head are known to be sound.
#![allow(unsafe_code)] // entries by address

use super::super::block;
use super::super::shared::{self, Visitor, visit_parts};
use super::super::watch::Watch;
use super::node::{Head, Node};
use super::path::{LEVELS, Path};
use super::tree::Tree;
use std::ptr::NonNull;

impl<K: Ord, C> Tree<K, C> {
    /// Shows blocks and entries, from the visitor's place on; reports what cannot be. Drops the entries
    /// that the visitor takes out.
    pub(super) fn visit(
        &mut self,
        visitor: &mut dyn Visitor,
        shows_keys: bool,
        mut visit_key: impl FnMut(&mut K, &mut dyn Visitor),
        mut visit_cell: impl FnMut(&K, &mut C, &mut dyn Visitor),
    ) {
        if !self.has_sound_header(visitor) {
            return;
        }
        let mut rank = visitor.enter();
        let mut path = Path::new();
        let mut is_there = false;
        while rank < self.len {
            let arrives = match is_there {
                true => path
                    .advance(|path, level| self.visit_node(path, level, visitor, &mut visit_key)),
                false => self.seek_rank(rank, &mut path, |path, level| {
                    self.visit_node(path, level, visitor, &mut visit_key)
                }),
            };
            if !arrives {
                // Reported.
                return visitor.leave(None);
            }
            let (mut key, mut cell) = path.entry();
            // SAFETY: an entry; the walk has the map to itself.
            let (key, cell) = unsafe { (key.as_mut(), cell.as_mut()) };
            let outside = visitor.begin_element();
            if shows_keys {
                visit_parts(visitor, 2, |part, visitor| match part {
                    0 => visit_key(key, visitor),
                    _ => visit_cell(key, cell, visitor),
                });
            } else {
                visit_cell(key, cell, visitor);
            }
            let takes_out = shared::takes_out(visitor, outside);
            if visitor.stopped_inside() {
                return visitor.leave(Some(rank));
            }
            // Where there is no room to take it out it stays, and the way there has changed as well.
            is_there = !takes_out;
            let taken = takes_out.then(|| self.take(&mut path));
            match taken {
                Some(Ok(entry)) => drop(entry),
                _ => rank += 1,
            }
            if visitor.is_spent() && rank < self.len {
                return visitor.leave(Some(rank));
            }
        }
        visitor.leave(None);
    }

    fn has_sound_header(&self, visitor: &mut dyn Visitor) -> bool {
        let (len, height) = (self.len, self.height);
        if self.root == 0 {
            if len != 0 || height != 0 {
                visitor.damage(&format!("an ordered map of {len} entries has no root"));
            }
            return false;
        }
        let is_sound = len != 0 && (height as usize) < LEVELS;
        if !is_sound {
            visitor.damage(&format!(
                "an ordered map of {len} entries has a root, of height {height}"
            ));
        }
        is_sound
    }

    /// Shows the block of the node that a way leads to on `level`, and checks it before its entries or
    /// its children are touched.
    fn visit_node(
        &self,
        path: &Path<K, C>,
        level: usize,
        visitor: &mut dyn Visitor,
        visit_key: &mut impl FnMut(&mut K, &mut dyn Visitor),
    ) -> bool {
        let is_root = level == path.height();
        let (address, expected) = match is_root {
            true => (self.root, self.len),
            false => {
                let (above, index) = (path.node(level + 1), path.index(level + 1));
                (above.child_address(index), above.count(index))
            }
        };
        let at = NonNull::new(address as *mut u8);
        let at = at.filter(|_| block::is_head_at(address as usize, size_of::<Head>()));
        let Some(at) = at else {
            visitor.damage(&format!("an ordered map has a node at {address:#x}"));
            return false;
        };
        let node = Node::<K, C>::at(at);
        let head = node.head();
        let (len, capacity) = (head.len as usize, head.capacity as usize);
        let layout = Node::<K, C>::layout_of(capacity, head.height.into())
            .filter(|layout| block::is_at(address as usize, *layout));
        let has_room = len <= capacity && (is_root || capacity == Node::<K, C>::CAPACITY);
        let is_sound = len > 0 && has_room && head.height as usize == level;
        let Some(layout) = layout.filter(|_| is_sound && node.total() == expected) else {
            visitor.damage(&format!(
                "the node at {address:#x} of {expected} entries on level {level}: {head:?}"
            ));
            return false;
        };
        visitor.block(at, layout);
        visitor.wants_boxes_only() || Self::are_keys_sound(node, path, level, visitor, visit_key)
    }

    /// Whether the keys of a node are what they should be, and in order, between those above.
    fn are_keys_sound(
        node: Node<K, C>,
        path: &Path<K, C>,
        level: usize,
        visitor: &mut dyn Visitor,
        visit_key: &mut impl FnMut(&mut K, &mut dyn Visitor),
    ) -> bool {
        let mut watch = Watch::over(visitor);
        for index in 0..node.len() {
            // SAFETY: an entry; the walk has the map to itself.
            visit_key(unsafe { node.key(index).as_mut() }, &mut watch);
            if watch.has_seen_damage() {
                return false;
            }
        }
        let (lower, upper) = path.bounds(level);
        let keys = (0..node.len()).map(|index| node.key(index));
        let all: Vec<NonNull<K>> = lower.into_iter().chain(keys).chain(upper).collect();
        // SAFETY: keys of the tree that were looked at before.
        let is_less =
            |a: &NonNull<K>, b: &NonNull<K>| unsafe { a.as_ref().cmp(b.as_ref()).is_lt() };
        let is_ordered = all.is_sorted_by(is_less);
        if !is_ordered {
            watch.damage("keys of an ordered map are not in order");
        }
        is_ordered
    }
}
