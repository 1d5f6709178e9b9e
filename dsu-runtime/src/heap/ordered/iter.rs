//! OrderedEntries of an ordered map one after the other, from either end.
//!
//! Owns which entries are still to come, as two ranks: so it knows how many, and never asks whether the
//! ends have met.
#![allow(unsafe_code)] // entries by address

use super::path::Path;
use super::tree::{Sought, Tree};
use std::borrow::Borrow;
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};

/// OrderedEntries in the order of their keys, each with its cell, foreign or not (R11).
pub struct OrderedEntries<'a, K, C> {
    tree: &'a Tree<K, C>,
    /// Ranks of the next entry at the front, and of the one behind the next at the back.
    from: u64,
    to: u64,
    /// The way to the entry at the front, once it was looked for.
    front: Option<Path<K, C>>,
    /// The way to the entry at `to`, which was given out at the back last.
    back: Option<Path<K, C>>,
}

impl<'a, K, C> OrderedEntries<'a, K, C> {
    pub(super) fn all(tree: &'a Tree<K, C>) -> Self {
        OrderedEntries {
            tree,
            from: 0,
            to: tree.len,
            front: None,
            back: None,
        }
    }

    /// Those whose keys are in a range; none where its ends are the wrong way round.
    pub(super) fn within<Q>(tree: &'a Tree<K, C>, range: &impl RangeBounds<Q>) -> Self
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut entries = OrderedEntries::all(tree);
        let mut path = Path::new();
        entries.to = match range.end_bound() {
            Bound::Unbounded => tree.len,
            Bound::Included(key) => entries.edge(key, Sought::Found, &mut path),
            Bound::Excluded(key) => entries.edge(key, Sought::Missing, &mut path),
        };
        entries.from = match range.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(key) => entries.edge(key, Sought::Missing, &mut path),
            Bound::Excluded(key) => entries.edge(key, Sought::Found, &mut path),
        };
        let starts = !matches!(range.start_bound(), Bound::Unbounded);
        if starts && entries.from < entries.to {
            entries.front = Some(path);
        }
        entries
    }

    /// Rank of the first entry that is not less than `key`; if it is `key` and what was `left_out` is
    /// there, of the one behind it. The way leads there.
    fn edge<Q>(&self, key: &Q, left_out: Sought, path: &mut Path<K, C>) -> u64
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let Some(sought) = self.tree.seek(key, path) else {
            return 0;
        };
        let rank = path.rank();
        if (sought, left_out) == (Sought::Found, Sought::Found) {
            path.advance(|_, _| true);
            return rank + 1;
        }
        path.climb();
        rank
    }

    fn show(path: &Path<K, C>) -> (&'a K, &'a C) {
        let (key, cell) = path.entry();
        // SAFETY: an entry of the tree, which is borrowed for so long.
        unsafe { (key.as_ref(), cell.as_ref()) }
    }
}

impl<'a, K, C> Iterator for OrderedEntries<'a, K, C> {
    type Item = (&'a K, &'a C);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        let tree = self.tree;
        let path = self.front.get_or_insert_with(|| {
            let mut path = Path::new();
            tree.go_to_rank(self.from, &mut path);
            path
        });
        let shown = Self::show(path);
        self.from += 1;
        if self.from < self.to {
            path.advance(|_, _| true);
        }
        Some(shown)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.to.saturating_sub(self.from) as usize;
        (left, Some(left))
    }
}

impl<K, C> DoubleEndedIterator for OrderedEntries<'_, K, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        self.to -= 1;
        let (tree, to) = (self.tree, self.to);
        let path = match &mut self.back {
            Some(path) => {
                path.retreat();
                path
            }
            empty => {
                let mut path = Path::new();
                tree.go_to_rank(to, &mut path);
                empty.insert(path)
            }
        };
        Some(Self::show(path))
    }
}

impl<K, C> ExactSizeIterator for OrderedEntries<'_, K, C> {}
impl<K, C> FusedIterator for OrderedEntries<'_, K, C> {}

impl<K, C> Clone for OrderedEntries<'_, K, C> {
    fn clone(&self) -> Self {
        OrderedEntries {
            tree: self.tree,
            from: self.from,
            to: self.to,
            front: None,
            back: None,
        }
    }
}
