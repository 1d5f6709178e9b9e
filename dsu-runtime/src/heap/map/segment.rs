//! One block of a map: a small open-addressing table for one range of hashes.
//!
//! ```text
//! 0 capacity u32 | 4 len u32 | 8 unused slots that may still be taken u32 | 12 depth u32
//! 16 control bytes, one a slot, padded to a multiple of 16 | slots (key, cell)
//! ```
//! A segment of depth d holds the hashes that agree in their top d bits. Owns its bytes; which
//! segment is responsible for a hash is the directory's.
#![allow(unsafe_code)] // slots in raw blocks

use super::super::{alloc, block, prefetch};
use super::group::{DELETED, EMPTY, GROUP, Group, OUTSIDE, tag_of};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Largest segment in slots, and roughly in bytes of slots, before it splits: what one insertion may
/// have to move. Smaller ones make the directory larger; `benches/map.rs` shows both.
const MAX_SLOTS: usize = 128;
const MAX_BYTES: usize = 8 << 10;

/// A key and its element.
#[repr(C)]
pub(super) struct Slot<K, C> {
    pub(super) key: K,
    pub(super) cell: C,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) capacity: u32,
    pub(super) len: u32,
    pub(super) growth_left: u32,
    pub(super) depth: u32,
}

/// A pointer to a segment. Whoever has it holds the map.
pub(super) struct Segment<K, C> {
    block: NonNull<u8>,
    slots: PhantomData<*mut Slot<K, C>>,
}

impl<K, C> Clone for Segment<K, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, C> Copy for Segment<K, C> {}

/// Entries that `capacity` slots may hold: all of them where one group is probed anyway.
pub(super) fn load(capacity: usize) -> usize {
    if capacity <= GROUP {
        capacity
    } else {
        capacity - capacity.div_ceil(8)
    }
}

// Each `unsafe` below relies on one invariant, upheld by the map that owns the segment: a `Segment`
// points to a live block that `allocate` laid out, its head is right, and control byte i tells
// whether slot i is initialised.
impl<K, C> Segment<K, C> {
    /// Slots at which a segment splits instead of growing, before its block is filled up.
    const NOMINAL: usize = {
        let mut slots = MAX_SLOTS;
        while slots > GROUP && slots * size_of::<Slot<K, C>>() > MAX_BYTES {
            slots /= 2;
        }
        slots
    };

    /// The capacities that a segment goes through, smallest first.
    fn capacities() -> impl Iterator<Item = usize> {
        let doublings = std::iter::successors(Some(4), |slots| Some(slots * 2));
        let small = doublings.take_while(|slots| *slots < Self::NOMINAL);
        small.map(Self::filled).chain([Self::LARGEST])
    }

    /// `slots`, and as many more as the block has room for anyway; a last group of which less than half
    /// could be used is left away, since keys would have to leave it.
    const fn filled(slots: usize) -> usize {
        let Ok(layout) = Self::layout_of(slots) else {
            return slots;
        };
        if slots < GROUP {
            return slots;
        }
        let usable = alloc::usable_size(layout);
        let mut most = slots;
        while let Ok(more) = Self::layout_of(most + 1)
            && more.size() <= usable
        {
            most += 1;
        }
        match most % GROUP {
            few if few < GROUP / 2 => most - few,
            _ => most,
        }
    }

    /// The largest capacity before a segment splits.
    pub(super) const LARGEST: usize = Self::filled(Self::NOMINAL);

    /// The next larger capacity; `None` where the segment is to be split.
    pub(super) fn capacity_above(capacity: usize) -> Option<usize> {
        Self::capacities().find(|larger| *larger > capacity)
    }

    /// The smallest capacity for `len` entries and some more.
    pub(super) fn capacity_for(len: usize) -> usize {
        let fitting = Self::capacities().find(|capacity| load(*capacity) > len);
        fitting.unwrap_or_else(|| {
            let mut capacity = Self::LARGEST;
            while load(capacity) <= len {
                capacity *= 2;
            }
            capacity
        })
    }

    /// The capacity of a part of a segment that was full. All parts get the largest, those as well that
    /// would do with less for a while: the segments of a map split at about the same time, and blocks
    /// that all of them need for a while are not given back as long as some few are still in use.
    pub(super) fn capacity_of_part(len: usize) -> usize {
        if len >= load(Self::LARGEST) / 4 {
            Self::LARGEST.max(Self::capacity_for(len))
        } else {
            Self::capacity_for(len)
        }
    }

    /// Control bytes, those of the last group's missing slots included.
    const fn control_bytes(capacity: usize) -> usize {
        capacity.next_multiple_of(GROUP)
    }

    const fn slots_offset(capacity: usize) -> usize {
        let control = Self::control_bytes(capacity);
        (size_of::<Head>() + control).next_multiple_of(align_of::<Slot<K, C>>())
    }

    pub(super) const fn layout_of(capacity: usize) -> Result<Layout, HeapFull> {
        let Some(slots) = size_of::<Slot<K, C>>().checked_mul(capacity) else {
            return Err(HeapFull);
        };
        match slots.checked_add(Self::slots_offset(capacity)) {
            Some(size) => block::layout(size, align_of::<Slot<K, C>>()),
            None => Err(HeapFull),
        }
    }

    pub(super) fn allocate(capacity: usize, depth: u32) -> Result<Self, HeapFull> {
        let block = block::allocate(Self::layout_of(capacity)?)?;
        let segment = Segment::at(block);
        // SAFETY: a new block of this layout.
        unsafe {
            block.cast::<Head>().write(Head {
                capacity: capacity as u32,
                len: 0,
                growth_left: load(capacity) as u32,
                depth,
            });
            segment
                .control(0)
                .write_bytes(OUTSIDE, Self::control_bytes(capacity));
            segment.control(0).write_bytes(EMPTY, capacity);
        }
        Ok(segment)
    }

    pub(super) fn at(block: NonNull<u8>) -> Self {
        Segment {
            block,
            slots: PhantomData,
        }
    }

    pub(super) fn block(self) -> NonNull<u8> {
        self.block
    }

    #[inline]
    pub(super) fn head(self) -> Head {
        // SAFETY: see above.
        unsafe { self.block.cast::<Head>().read() }
    }

    fn set_head(self, head: Head) {
        // SAFETY: see above.
        unsafe { self.block.cast::<Head>().write(head) };
    }

    pub(super) fn layout(self) -> Layout {
        Self::layout_of(self.head().capacity as usize).expect("was allocated with it")
    }

    #[inline]
    fn control(self, index: usize) -> *mut u8 {
        self.block.as_ptr().wrapping_add(size_of::<Head>() + index)
    }

    #[inline]
    pub(super) fn slot(self, index: usize) -> NonNull<Slot<K, C>> {
        let offset = Self::slots_offset(self.head().capacity as usize);
        // SAFETY: see above; `index` is below the capacity.
        unsafe { self.block.add(offset).cast::<Slot<K, C>>().add(index) }
    }

    /// The group in which a key of this hash is looked for first.
    #[inline]
    fn home(hash: u64, groups: usize) -> usize {
        // Bits that neither the tag nor, in any map that fits the heap, the directory uses.
        ((((hash >> 7) & 0xffff_ffff) * groups as u64) >> 32) as usize
    }

    /// The groups in the order in which a key of this hash is looked for: (first slot, bytes).
    #[inline]
    fn probe(self, hash: u64) -> impl Iterator<Item = (usize, Group)> {
        let groups = (self.head().capacity as usize).div_ceil(GROUP);
        let home = Self::home(hash, groups);
        (0..groups).map(move |step| {
            let group = if home + step < groups {
                home + step
            } else {
                home + step - groups
            };
            // SAFETY: see above; groups are aligned to 16 because the block is.
            let bytes = unsafe { Group::load(self.control(group * GROUP)) };
            (group * GROUP, bytes)
        })
    }

    /// The slot whose key `is_it`.
    #[inline]
    pub(super) fn find(self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<usize> {
        for (first, group) in self.probe(hash) {
            for offset in group.with(tag_of(hash)) {
                // SAFETY: the control byte says that the slot is initialised.
                if is_it(unsafe { &self.slot(first + offset).as_ref().key }) {
                    return Some(first + offset);
                }
            }
            if group.with(EMPTY).any() {
                return None;
            }
        }
        None
    }

    /// Asks for the head, and for the control bytes that a key of this hash is looked for in if the
    /// segment has its usual capacity, which only the head could say.
    #[inline]
    pub(super) fn prefetch(self, hash: u64) {
        let home = Self::home(hash, Self::LARGEST.div_ceil(GROUP));
        prefetch::line(self.block.as_ptr());
        prefetch::line(self.control(home * GROUP));
    }

    /// The used slots of the first group that look like one of this hash: nearly always its slot is
    /// among them if there is one, and seldom another.
    #[inline]
    pub(super) fn likely(self, hash: u64) -> impl Iterator<Item = NonNull<Slot<K, C>>> {
        let first = self.probe(hash).next();
        first.into_iter().flat_map(move |(first, group)| {
            let slots = group.with(tag_of(hash));
            slots.map(move |offset| self.slot(first + offset))
        })
    }

    /// A slot that an entry of this hash may take.
    #[inline]
    pub(super) fn vacancy(self, hash: u64) -> Option<usize> {
        for (first, group) in self.probe(hash) {
            if let Some(offset) = group.free().first() {
                let index = first + offset;
                // SAFETY: see above.
                let is_unused = unsafe { self.control(index).read() } == EMPTY;
                return (!is_unused || self.head().growth_left > 0).then_some(index);
            }
        }
        None
    }

    /// Moves an entry into a slot that [`vacancy`](Self::vacancy) gave.
    ///
    /// # Safety
    /// The segment may be written, `index` is that slot.
    #[inline]
    pub(super) unsafe fn fill(self, index: usize, hash: u64, slot: Slot<K, C>) {
        let mut head = self.head();
        // SAFETY: by the caller.
        unsafe {
            if self.control(index).read() == EMPTY {
                head.growth_left -= 1;
            }
            self.slot(index).write(slot);
            self.control(index).write(tag_of(hash));
        }
        head.len += 1;
        self.set_head(head);
    }

    /// Moves the entry out of a used slot.
    ///
    /// # Safety
    /// The segment may be written, slot `index` is used.
    pub(super) unsafe fn take(self, index: usize) -> Slot<K, C> {
        let mut head = self.head();
        // SAFETY: by the caller. A group with an unused slot was never full, so that no probe for
        // another key went past it: then the slot may become unused again.
        unsafe {
            let group = Group::load(self.control(index / GROUP * GROUP));
            let byte = if group.with(EMPTY).any() || head.capacity as usize <= GROUP {
                head.growth_left += 1;
                EMPTY
            } else {
                DELETED
            };
            self.control(index).write(byte);
            head.len -= 1;
            self.set_head(head);
            self.slot(index).read()
        }
    }

    /// The used slots.
    pub(super) fn used(self) -> impl Iterator<Item = usize> {
        let groups = (self.head().capacity as usize).div_ceil(GROUP);
        (0..groups).flat_map(move |group| {
            // SAFETY: see above.
            let bytes = unsafe { Group::load(self.control(group * GROUP)) };
            bytes.used().map(move |offset| group * GROUP + offset)
        })
    }

    /// Whether slot `index` is used, with which tag.
    pub(super) fn tag(self, index: usize) -> Option<u8> {
        // SAFETY: see above; `index` is below the capacity.
        let byte = unsafe { self.control(index).read() };
        (byte < 0x80).then_some(byte)
    }

    /// A bitwise copy in a new block.
    pub(super) fn copy(self) -> Result<Self, HeapFull> {
        let layout = self.layout();
        // SAFETY: see above. Slots that are not used are copied as they are, and never read.
        unsafe { block::copy(self.block, layout, layout.size()) }.map(Self::at)
    }

    /// Gives the block back.
    ///
    /// # Safety
    /// The entries were moved or dropped, and nothing points here any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: by the caller.
        unsafe { alloc::deallocate(self.block, self.layout()) };
    }
}
