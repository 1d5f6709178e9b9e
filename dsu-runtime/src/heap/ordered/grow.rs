//! Insertion into the tree of an ordered map.
//!
//! Owns how nodes divide. All blocks are had before anything is changed: without room for one of them
//! the tree stays as it is. At most one node on each level is divided, so an insertion moves a few
//! hundred bytes on each, however large the map is (Bayer, McCreight: Organization and Maintenance of
//! Large Ordered Indices, 1972).
#![allow(unsafe_code)] // frees nodes

use super::node::Node;
use super::path::{LEVELS, Path};
use super::tree::{Loose, Tree};
use crate::error::HeapFull;
use std::ptr::NonNull;

impl<K, C> Tree<K, C> {
    /// Room for one more entry at a place where there is none of its key, in nodes that may be written.
    /// `None` is the place in a map without entries.
    pub(super) fn make_room(
        &mut self,
        path: Option<&mut Path<K, C>>,
    ) -> Result<Room<K, C>, HeapFull> {
        let mut room = Room {
            divided: 0,
            nodes: Loose::new(),
        };
        let Some(path) = path else {
            room.nodes
                .push(Node::allocate(Node::<K, C>::capacity_for(1), 0)?);
            return Ok(room);
        };
        self.own(path)?;
        let leaf = path.node(0);
        if leaf.is_full() && leaf.len() < Node::<K, C>::CAPACITY {
            let larger = leaf.resized(Node::<K, C>::capacity_for(leaf.len() + 1))?;
            self.install(path, 0, larger);
            // SAFETY: its entries were moved, and it has no place in the tree any more.
            unsafe { leaf.free() };
        }
        while room.divided <= path.height() && path.node(room.divided).is_full() {
            let node = Node::allocate(Node::<K, C>::CAPACITY, room.divided)?;
            room.nodes.push(node);
            room.divided += 1;
        }
        if room.divided > path.height() {
            let height = path.height() + 1;
            if height == LEVELS {
                return Err(HeapFull);
            }
            room.nodes
                .push(Node::allocate(Node::<K, C>::CAPACITY, height)?);
        }
        Ok(room)
    }

    /// Puts an entry where room was made for it; where its element is now.
    pub(super) fn fill(
        &mut self,
        path: Option<&mut Path<K, C>>,
        room: Room<K, C>,
        entry: (K, C),
    ) -> NonNull<C> {
        self.len += 1;
        let Some(path) = path else {
            let mut room = room;
            let leaf = room.nodes.take(0);
            leaf.insert(0, entry);
            self.root = leaf.address();
            self.height = 0;
            return leaf.cell(0);
        };
        if room.divided > 0 {
            return self.divide(path, room, entry);
        }
        let (leaf, index) = (path.node(0), path.index(0));
        leaf.insert(index, entry);
        count_one_more(path, 1);
        leaf.cell(index)
    }

    /// Divides the full nodes on the way, from below; each gives one entry to the one above.
    fn divide(&mut self, path: &mut Path<K, C>, mut room: Room<K, C>, entry: (K, C)) -> NonNull<C> {
        let middle = Middle::for_place(path);
        let mut rising = entry;
        let mut landed = None;
        // The node that was divided last, and what lies behind it now.
        let mut halves: Option<(Node<K, C>, Node<K, C>)> = None;
        for level in 0..room.divided {
            let (node, behind) = (path.node(level), room.nodes.take(level));
            let place = path.index(level);
            let middle = middle.of(node.len(), place);
            let up = node.divide(behind, middle);
            let (half, place) = match place <= middle {
                true => (node, place),
                false => (behind, place - middle - 1),
            };
            adopt(half, place, rising, halves);
            if level == 0 {
                landed = Some(half.cell(place));
            }
            rising = up;
            halves = Some((node, behind));
        }
        let top = room.divided;
        if top > path.height() {
            let (root, old) = (room.nodes.take(top), path.node(top - 1));
            root.begin(old);
            adopt(root, 0, rising, halves);
            self.root = root.address();
            self.height += 1;
        } else {
            adopt(path.node(top), path.index(top), rising, halves);
            count_one_more(path, top + 1);
        }
        landed.expect("the lowest level was divided")
    }
}

/// Puts an entry into a node, behind the first of two halves and in front of the other.
fn adopt<K, C>(
    node: Node<K, C>,
    place: usize,
    entry: (K, C),
    halves: Option<(Node<K, C>, Node<K, C>)>,
) {
    match halves {
        None => node.insert(place, entry),
        Some((half, behind)) => {
            node.insert_with_child(place, entry, behind);
            node.set_count(place, half.total());
        }
    }
}

/// An entry came in below, on the way from `level` up.
fn count_one_more<K, C>(path: &Path<K, C>, level: usize) {
    for level in level..=path.height() {
        let (node, index) = (path.node(level), path.index(level));
        node.set_count(index, node.count(index) + 1);
    }
}

/// What an insertion needs besides the nodes that are there: one node for each that is to be divided,
/// and one for a new root. What is not used is given back.
pub(super) struct Room<K, C> {
    /// Full nodes on the way, from below.
    divided: usize,
    nodes: Loose<K, C>,
}

/// Where nodes are divided.
#[derive(Clone, Copy)]
enum Middle {
    /// So that both parts have about as many entries.
    Half,
    /// Behind all but the last: who always appends fills the nodes up.
    Last,
}

impl Middle {
    fn for_place<K, C>(path: &Path<K, C>) -> Middle {
        match path.is_at_end() {
            true => Middle::Last,
            false => Middle::Half,
        }
    }

    /// The entry that rises out of a node of `len`, where another one comes to `place`.
    fn of(self, len: usize, place: usize) -> usize {
        match self {
            Middle::Last => len - 1,
            Middle::Half if place <= (len - 1) / 2 => (len - 1) / 2,
            Middle::Half => len / 2,
        }
    }
}
