//! Walks over a map: all of it, a slice of it from a cursor, an entry by chance, the heap check.
//!
//! Owns the order. A cursor is a position among the hashes: all entries with smaller ones were seen.
//! An entry's hash never changes, so whatever is inserted, removed, split, merged or grown between
//! two slices, what was there throughout is seen, and in the absence of equal hashes exactly once.
//! The order is by hash (unsigned, the whole 64 bits), so it differs from map to map.
#![allow(unsafe_code)] // segments by address

use super::super::block;
use super::super::shared::{self, Visitor, visit_parts};
use super::super::watch::Watch;
use super::group::{GROUP, tag_of};
use super::segment::{Segment, Slot, load};
use super::table::Table;
use std::hash::Hash;
use std::ptr::NonNull;

/// Tries before a random entry is taken from where the last try was.
const RANDOM_TRIES: usize = 200;

impl<K: Hash + Eq, C> Table<K, C> {
    /// The entries of a segment from a hash on, in the order of their hashes.
    fn sorted(&self, segment: Segment<K, C>, from: u64) -> Vec<(u64, NonNull<Slot<K, C>>)> {
        let slots = segment.used().map(|index| segment.slot(index));
        // SAFETY: used slots are initialised.
        let hashed = slots.map(|slot| (self.hash(unsafe { &slot.as_ref().key }), slot));
        let mut entries: Vec<_> = hashed.filter(|(hash, _)| *hash >= from).collect();
        entries.sort_unstable_by_key(|(hash, _)| *hash);
        entries
    }

    /// Up to about `budget` entries from `cursor` on; returns where to go on, 0 at the end.
    pub(super) fn scan(&self, cursor: u64, budget: usize, mut see: impl FnMut(&K, &C)) -> u64 {
        let mut left = budget.max(1);
        let mut at = cursor;
        while let Some(segment) = self.segment(at) {
            let mut last = None;
            for (hash, slot) in self.sorted(segment, at) {
                if left == 0 && last != Some(hash) {
                    return hash;
                }
                // SAFETY: a used slot, borrowed as the map is.
                let Slot { key, cell } = unsafe { slot.as_ref() };
                see(key, cell);
                last = Some(hash);
                left = left.saturating_sub(1);
            }
            at = Self::range_end(at, segment.head().depth);
            if at == 0 || left == 0 {
                return at;
            }
            // An empty segment costs something too.
            left -= usize::from(last.is_none());
            if left == 0 {
                return at;
            }
        }
        0
    }

    /// An entry by chance, each as likely as every other, where `random` gives even numbers of 64
    /// random bits.
    pub(super) fn random(&self, mut random: impl FnMut() -> u64) -> Option<NonNull<Slot<K, C>>> {
        if self.len() == 0 {
            return None;
        }
        let mut hash = 0;
        for _ in 0..RANDOM_TRIES {
            hash = random();
            let segment = self.segment(hash)?;
            let head = segment.head();
            // A segment that the directory names 2^n times is taken one time in 2^n.
            let spread = self.depth() - head.depth;
            let dice = random();
            if dice >> 32 & ((1 << spread) - 1) != 0 {
                continue;
            }
            let range = (head.capacity as usize).max(Segment::<K, C>::LARGEST);
            let index = (((dice & 0xffff_ffff) * range as u64) >> 32) as usize;
            if index < head.capacity as usize && segment.tag(index).is_some() {
                return Some(segment.slot(index));
            }
        }
        // Almost empty: the next entry in the order.
        let next = |from| {
            let mut at = from;
            while let Some(segment) = self.segment(at) {
                if let Some((_, slot)) = self.sorted(segment, at).first() {
                    return Some(*slot);
                }
                at = Self::range_end(at, segment.head().depth);
                if at == 0 {
                    break;
                }
            }
            None
        };
        next(hash).or_else(|| next(0))
    }

    /// Shows blocks and entries, from the visitor's place on; reports what cannot be. Drops the entries
    /// that the visitor takes out.
    pub(super) fn visit(
        &mut self,
        visitor: &mut dyn Visitor,
        shows_keys: bool,
        mut visit_key: impl FnMut(&mut K, &mut dyn Visitor),
        mut visit_cell: impl FnMut(&K, &mut C, &mut dyn Visitor),
    ) {
        if !self.visit_directory(visitor) {
            return;
        }
        let place = visitor.enter();
        let mut at = place;
        let mut seen = 0;
        let mut taken = 0;
        'segments: while let Some(segment) = self.segment(at) {
            if !self.visit_segment(segment, at, visitor, &mut visit_key) {
                return visitor.leave(None);
            }
            let end = Self::range_end(at, segment.head().depth);
            let entries = self.sorted(segment, at);
            if at == place && place != 0 && entries.first().is_none_or(|(hash, _)| *hash != place) {
                visitor.begin_anew();
            }
            for (position, (hash, mut slot)) in entries.iter().copied().enumerate() {
                // SAFETY: a used slot; the walk has the map to itself.
                let Slot { key, cell } = unsafe { slot.as_mut() };
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
                seen += 1;
                if visitor.stopped_inside() {
                    return visitor.leave(Some(hash));
                }
                let next = entries.get(position + 1).map_or(end, |(next, _)| *next);
                if takes_out {
                    // The entries that follow may move: they are looked up again.
                    taken += usize::from(self.discard(hash, slot));
                    at = next;
                    if at == 0 {
                        break 'segments;
                    }
                    if visitor.is_spent() {
                        return visitor.leave(Some(next));
                    }
                    continue 'segments;
                }
                // Equal hashes have one place: they are seen together.
                if visitor.is_spent() && next != hash && next != 0 {
                    return visitor.leave(Some(next));
                }
            }
            at = end;
            if at == 0 {
                break;
            }
        }
        if place == 0 && taken == 0 && seen != self.len() {
            visitor.damage(&format!("a map of {} entries has {seen}", self.len()));
        }
        visitor.leave(None);
    }

    /// Drops an entry; false if it cannot be taken out for want of room.
    fn discard(&mut self, hash: u64, slot: NonNull<Slot<K, C>>) -> bool {
        // SAFETY: a used slot of this map, which nobody else refers to; what is read is either taken
        // out of it below, or left there and forgotten.
        let key =
            std::mem::ManuallyDrop::new(unsafe { std::ptr::read(&raw const (*slot.as_ptr()).key) });
        matches!(self.take(hash, &*key, |_| {}), Ok(Some(_)))
    }

    fn visit_directory(&self, visitor: &mut dyn Visitor) -> bool {
        let Some(root) = self.root() else {
            if self.len() != 0 || self.depth() != 0 {
                visitor.damage(&format!("a map of {} entries has no root", self.len()));
            }
            return self.len() == 0 && self.depth() == 0;
        };
        if self.depth() == 0 {
            return true;
        }
        match Self::directory_layout(self.depth()) {
            Ok(layout) if self.depth() < 64 && block::is_at(root.as_ptr() as usize, layout) => {
                visitor.block(root, layout);
                true
            }
            _ => {
                visitor.damage(&format!(
                    "a map has its directory at {root:p}, depth {}",
                    self.depth()
                ));
                false
            }
        }
    }

    /// Shows the block of the segment that `at` lies in, and checks it before its entries are
    /// touched.
    fn visit_segment(
        &self,
        segment: Segment<K, C>,
        at: u64,
        visitor: &mut dyn Visitor,
        visit_key: &mut impl FnMut(&mut K, &mut dyn Visitor),
    ) -> bool {
        let address = segment.block().as_ptr() as usize;
        if !block::is_head_at(address, GROUP) {
            visitor.damage(&format!("a map has a segment at {address:#x}"));
            return false;
        }
        let head = segment.head();
        let capacity = head.capacity as usize;
        let layout = Segment::<K, C>::layout_of(capacity)
            .ok()
            .filter(|layout| block::is_at(address, *layout));
        let is_sound = head.depth <= self.depth()
            && capacity >= 4
            && (head.len + head.growth_left) as usize <= load(capacity);
        let Some(layout) = layout.filter(|_| is_sound) else {
            visitor.damage(&format!(
                "the head of the segment at {address:#x}: {head:?}"
            ));
            return false;
        };
        visitor.block(segment.block(), layout);
        if visitor.wants_boxes_only() {
            return true;
        }
        let mut watch = Watch::over(visitor);
        let mut used = 0;
        for index in segment.used() {
            used += 1;
            // SAFETY: a used slot; the walk has the map to itself.
            let key = unsafe { &mut segment.slot(index).as_mut().key };
            visit_key(key, &mut watch);
            if watch.has_seen_damage() {
                return false;
            }
            let hash = self.hash(key);
            let same_range = Self::range_end(hash, head.depth) == Self::range_end(at, head.depth);
            if !same_range || segment.tag(index) != Some(tag_of(hash)) {
                watch.damage("an entry of a map is not where the hash of its key says");
            }
        }
        if used != head.len {
            watch.damage(&format!(
                "a segment of {} entries has {used} in use",
                head.len
            ));
        }
        !watch.has_seen_damage()
    }
}
