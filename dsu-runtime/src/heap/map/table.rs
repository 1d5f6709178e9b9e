//! The directory of a map, and how its segments grow, split and merge.
//!
//! ```text
//! 0 hash keys 2 × u64 | 16 root u64 | 24 len u64 | 32 depth u32 | 36 unused
//! root: 0 = no entry; depth 0 = the only segment; else the directory: 2^depth addresses of segments,
//! indexed by the top bits of the hash. A segment of depth d stands there 2^(depth - d) times.
//! ```
//! Owns which segment is responsible for a hash; every change keeps the old state until the new one
//! is complete. Knows nothing of elements beyond moving them.
#![allow(unsafe_code)] // segments by address

use super::super::{alloc, block, prefetch};
use super::segment::{Segment, Slot, load};
use super::sip::Sip13;
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use std::alloc::Layout;
use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// A directory never has more entries than a fourth of the map's. Hashes that are spread well need a
/// thirtieth; a key type whose hashes are not gets larger segments instead of an endless directory.
const ENTRIES_PER_ADDRESS: u64 = 4;
const MAX_DEPTH: u32 = 40;

#[repr(C)]
pub(super) struct Table<K, C> {
    keys: [u64; 2],
    root: u64,
    len: u64,
    depth: u32,
    _unused: u32,
    slots: PhantomData<*mut Slot<K, C>>,
}

impl<K, C> Table<K, C> {
    pub(super) const EMPTY: Self = Table {
        keys: [0; 2],
        root: 0,
        len: 0,
        depth: 0,
        _unused: 0,
        slots: PhantomData,
    };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn root(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.root as *mut u8)
    }

    /// The directory's block and layout, where there is one.
    pub(super) fn directory(&self) -> Option<(NonNull<u64>, Layout)> {
        let block = self.root().filter(|_| self.depth > 0)?;
        let layout = Self::directory_layout(self.depth).ok()?;
        Some((block.cast(), layout))
    }

    pub(super) fn directory_layout(depth: u32) -> Result<Layout, HeapFull> {
        block::layout(8usize.checked_shl(depth).ok_or(HeapFull)?, 8)
    }

    /// The segment responsible for `hash`.
    #[inline]
    pub(super) fn segment(&self, hash: u64) -> Option<Segment<K, C>> {
        let root = self.root()?;
        if self.depth == 0 {
            return Some(Segment::at(root));
        }
        // SAFETY: the directory has 2^depth entries, each the address of a live segment.
        let address = unsafe { root.cast::<u64>().add(self.index(hash)).read() };
        NonNull::new(address as *mut u8).map(Segment::at)
    }

    /// Asks for the place that says where the segment of a hash is.
    #[inline]
    pub(super) fn prefetch_place(&self, hash: u64) {
        if let Some(root) = self.root()
            && self.depth > 0
        {
            prefetch::line(root.cast::<u64>().as_ptr().wrapping_add(self.index(hash)));
        }
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        // A shift by 64 is not one: depth 0 has its own way.
        (hash >> 1 >> (63 - self.depth)) as usize
    }

    /// First hash behind the range of a segment of `depth` that `hash` lies in; 0 at the end.
    pub(super) fn range_end(hash: u64, depth: u32) -> u64 {
        match depth {
            0 => 0,
            _ => ((hash >> (64 - depth)) + 1) << (64 - depth),
        }
    }

    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = Sip13::new(self.keys);
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// Directory and segment of `hash` such that they may be written (copy before write).
    #[inline]
    fn writable(&mut self, hash: u64) -> Result<Option<Segment<K, C>>, HeapFull> {
        match self.segment(hash) {
            Some(segment) if block::is_frozen(segment.block()) => {
                self.own_segment(hash, segment).map(Some)
            }
            segment => Ok(segment),
        }
    }

    #[cold]
    fn own_segment(
        &mut self,
        hash: u64,
        segment: Segment<K, C>,
    ) -> Result<Segment<K, C>, HeapFull> {
        self.own_directory()?;
        let copy = segment.copy()?;
        self.install(hash, copy);
        // SAFETY: its entries live on in the copy, which has its place in the directory.
        unsafe { segment.free() };
        Ok(copy)
    }

    fn own_directory(&mut self) -> Result<(), HeapFull> {
        if let Some((directory, layout)) = self.directory()
            && block::is_frozen(directory.cast())
        {
            // SAFETY: all of the directory is initialised; the old one is forgotten here.
            unsafe {
                let copy = block::copy(directory.cast(), layout, layout.size())?;
                alloc::deallocate(directory.cast(), layout);
                self.root = copy.as_ptr() as u64;
            }
        }
        Ok(())
    }

    /// Makes `segment` responsible for the hashes that share its depth's top bits with `hash`.
    /// The directory may be written.
    fn install(&mut self, hash: u64, segment: Segment<K, C>) {
        let address = segment.block().as_ptr() as u64;
        let Some((directory, _)) = self.directory() else {
            self.root = address;
            return;
        };
        let depth = segment.head().depth;
        let spread = self.depth - depth;
        let first = self.index(hash) >> spread << spread;
        for index in first..first + (1 << spread) {
            // SAFETY: within the 2^depth entries.
            unsafe { directory.add(index).write(address) };
        }
    }

    /// Every segment once, in the order of hashes.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<K, C>> {
        let mut next = self.root().map(|_| 0);
        std::iter::from_fn(move || {
            let hash = next?;
            let segment = self.segment(hash)?;
            next = Some(Self::range_end(hash, segment.head().depth)).filter(|end| *end != 0);
            Some(segment)
        })
    }

    /// Frees the blocks; the entries go to `entry`. The hash keys stay.
    pub(super) fn clear(&mut self, mut entry: impl FnMut(Slot<K, C>)) {
        let old = self.bits();
        // Forgotten first: an entry whose drop panics leaves an empty map and lost blocks.
        self.root = 0;
        self.depth = 0;
        self.len = 0;
        let mut next = old.root().map(|_| 0);
        while let Some(hash) = next
            && let Some(segment) = old.segment(hash)
        {
            next = Some(Self::range_end(hash, segment.head().depth)).filter(|end| *end != 0);
            for index in segment.used() {
                // SAFETY: each used slot is moved out once; the segment is freed behind it.
                entry(unsafe { segment.slot(index).read() });
            }
            // SAFETY: emptied; the directory is not asked for it again.
            unsafe { segment.free() };
        }
        if let Some((directory, layout)) = old.directory() {
            // SAFETY: forgotten above.
            unsafe { alloc::deallocate(directory.cast(), layout) };
        }
    }

    /// Takes the last segment out and frees it, its entries go to `entry`; false where there is none. What
    /// is left is good for nothing but this, to be walked and to be cleared, until it is empty.
    pub(super) fn pop_segment(
        &mut self,
        mut entry: impl FnMut(Slot<K, C>),
    ) -> Result<bool, HeapFull> {
        let Some(root) = self.root() else {
            return Ok(false);
        };
        self.own_directory()?;
        let segment = match self.directory() {
            None => {
                self.root = 0;
                Segment::at(root)
            }
            Some((directory, layout)) => {
                // Addresses stand in front, zeros behind.
                let all = 1usize << self.depth;
                // SAFETY: within the 2^depth entries.
                let at = |index: usize| unsafe { directory.add(index).read() };
                let (mut low, mut high) = (0, all);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    match at(middle) {
                        0 => high = middle,
                        _ => low = middle + 1,
                    }
                }
                let Some(last) = low.checked_sub(1) else {
                    self.root = 0;
                    self.depth = 0;
                    // SAFETY: forgotten just now.
                    unsafe { alloc::deallocate(directory.cast(), layout) };
                    return Ok(false);
                };
                let block = NonNull::new(at(last) as *mut u8).expect("found as one that is not 0");
                let segment = Segment::<K, C>::at(block);
                let spread = self.depth - segment.head().depth;
                for index in (last >> spread << spread)..=last {
                    // SAFETY: as above; the directory may be written.
                    unsafe { directory.add(index).write(0) };
                }
                segment
            }
        };
        self.len -= u64::from(segment.head().len);
        for index in segment.used() {
            // SAFETY: each used slot is moved out once, of a segment that nobody finds any more.
            entry(unsafe { segment.slot(index).read() });
        }
        // SAFETY: emptied and forgotten.
        unsafe { segment.free() };
        Ok(true)
    }

    /// The same bytes once more, for an owner that forgets this one.
    pub(super) fn bits(&self) -> Self {
        // SAFETY: plain words; `Table` has no `Drop`, so two of them do no harm by themselves.
        unsafe { ptr::read(self) }
    }
}

impl<K: Hash + Eq, C> Table<K, C> {
    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<NonNull<Slot<K, C>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let segment = self.segment(hash)?;
        let index = segment.find(hash, |other| other.borrow() == key)?;
        Some(segment.slot(index))
    }

    /// As [`find`](Self::find), in a segment that may be written.
    #[inline]
    pub(super) fn find_mut<Q>(
        &mut self,
        hash: u64,
        key: &Q,
    ) -> Result<Option<NonNull<Slot<K, C>>>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let Some(index) = self.index_of(hash, key) else {
            return Ok(None);
        };
        // A copy has its entries in the same places.
        let segment = self.writable(hash)?;
        Ok(segment.map(|segment| segment.slot(index)))
    }

    #[inline]
    fn index_of<Q>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.segment(hash)?
            .find(hash, |other| other.borrow() == key)
    }

    /// Puts in an entry whose key is not there, where [`make_room`](Self::make_room) succeeded last.
    pub(super) fn fill(&mut self, hash: u64, slot: Slot<K, C>) -> NonNull<Slot<K, C>> {
        let segment = self.segment(hash).expect("room was made");
        let index = segment.vacancy(hash).expect("room was made");
        // SAFETY: `make_room` left the segment writable; the slot is its vacancy.
        unsafe { segment.fill(index, hash, slot) };
        self.len += 1;
        segment.slot(index)
    }

    /// Takes an entry out, after `mark` has seen its key. Segments that became small are merged or shrunk
    /// where there is room.
    pub(super) fn take<Q>(
        &mut self,
        hash: u64,
        key: &Q,
        mark: impl FnOnce(&K),
    ) -> Result<Option<Slot<K, C>>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let Some(index) = self.index_of(hash, key) else {
            return Ok(None);
        };
        // A copy has its entries in the same places.
        let segment = self.writable(hash)?.expect("the key is there");
        // SAFETY: writable, and the slot is used.
        let slot = unsafe {
            mark(&segment.slot(index).as_ref().key);
            segment.take(index)
        };
        self.len -= 1;
        if WorkerContext::current().converting.get() == 0 {
            self.contract(hash);
        }
        Ok(Some(slot))
    }

    /// Makes room for one more entry of this hash, in a segment that may be written. Bounded work: at
    /// most one segment's entries and the directory's addresses are moved.
    pub(super) fn make_room(&mut self, hash: u64) -> Result<(), HeapFull> {
        let Some(segment) = self.writable(hash)? else {
            self.root = Segment::<K, C>::allocate(4, 0)?.block().as_ptr() as u64;
            return Ok(());
        };
        if segment.vacancy(hash).is_some() {
            return Ok(());
        }
        let head = segment.head();
        let (len, capacity) = (head.len as usize, head.capacity as usize);
        if len < load(capacity) / 4 * 3 {
            // Most of what is in the way was deleted.
            return self.rebuild(hash, segment, capacity);
        }
        if let Some(larger) = Segment::<K, C>::capacity_above(capacity) {
            return self.rebuild(hash, segment, larger);
        }
        if self.split(hash, segment)? {
            return self.make_room(hash);
        }
        self.rebuild(hash, segment, capacity * 2)
    }

    /// The hash of a key that is looked for or put in. Chooses the hash keys at the first one.
    pub(super) fn hash_to_insert<Q: Hash + ?Sized>(&mut self, key: &Q) -> u64 {
        if self.keys == [0; 2] {
            // The process's random numbers, taken from the system.
            let random = RandomState::new();
            self.keys = [random.hash_one(0u64), random.hash_one(1u64) | 1];
        }
        self.hash(key)
    }

    /// Splits segments until there are enough for `additional` more entries, spread well.
    pub(super) fn reserve(&mut self, additional: usize) -> Result<(), HeapFull> {
        let needed = self.len().checked_add(additional).ok_or(HeapFull)?;
        let largest = Segment::<K, C>::LARGEST;
        let per_segment = load(largest) / 4 * 3;
        let depth = needed.div_ceil(per_segment).next_power_of_two().ilog2();
        if self.root().is_none() {
            self.hash_to_insert(&0u8);
            let capacity = Segment::<K, C>::capacity_for(needed).min(largest);
            self.root = Segment::<K, C>::allocate(capacity, 0)?.block().as_ptr() as u64;
        }
        let mut hash = 0;
        loop {
            let segment = self.writable(hash)?.expect("made above");
            if segment.head().depth < depth {
                let len = per_segment.max(segment.head().len as usize);
                self.divide(hash, segment, [len, len])?;
                continue;
            }
            match Self::range_end(hash, segment.head().depth) {
                0 => return Ok(()),
                end => hash = end,
            }
        }
    }

    fn move_entries(&self, from: Segment<K, C>, mut target: impl FnMut(u64) -> Segment<K, C>) {
        for index in from.used() {
            // SAFETY: each used slot is moved once into a new segment with room for all of them; the
            // old bits are forgotten with their block.
            unsafe {
                let hash = self.hash(&from.slot(index).as_ref().key);
                let to = target(hash);
                let vacancy = to.vacancy(hash).expect("sized for it");
                to.fill(vacancy, hash, from.slot(index).read());
            }
        }
    }

    fn rebuild(&mut self, hash: u64, old: Segment<K, C>, capacity: usize) -> Result<(), HeapFull> {
        self.own_directory()?;
        let new = Segment::allocate(capacity, old.head().depth)?;
        self.move_entries(old, |_| new);
        self.install(hash, new);
        // SAFETY: its entries were moved and its place in the directory is taken.
        unsafe { old.free() };
        Ok(())
    }

    /// Splits by the next bit of the hash; false where that would not help: all entries on one side
    /// (their hashes are equal), or a directory out of proportion.
    fn split(&mut self, hash: u64, old: Segment<K, C>) -> Result<bool, HeapFull> {
        let depth = old.head().depth;
        let is_full_depth = depth == self.depth;
        if depth >= MAX_DEPTH
            || is_full_depth && (2 << depth) > (self.len / ENTRIES_PER_ADDRESS).max(16)
        {
            return Ok(false);
        }
        let right = old
            .used()
            .filter(|index| {
                // SAFETY: a used slot.
                let key = unsafe { &old.slot(*index).as_ref().key };
                self.hash(key) << depth >> 63 == 1
            })
            .count();
        let len = old.head().len as usize;
        if right == 0 || right == len {
            return Ok(false);
        }
        self.divide(hash, old, [len - right, right])?;
        Ok(true)
    }

    /// Replaces a segment by two of the next depth, with room for so many entries and some more.
    fn divide(&mut self, hash: u64, old: Segment<K, C>, len: [usize; 2]) -> Result<(), HeapFull> {
        let depth = old.head().depth;
        self.own_directory()?;
        let capacity = len.map(Segment::<K, C>::capacity_of_part);
        let left = Segment::allocate(capacity[0], depth + 1)?;
        let right = Segment::allocate(capacity[1], depth + 1);
        let doubled = if depth == self.depth {
            right.and_then(|right| {
                self.double().map(|()| right).inspect_err(|_| {
                    // SAFETY: new, empty and unknown to the directory.
                    unsafe { right.free() };
                })
            })
        } else {
            right
        };
        let right = doubled.inspect_err(|_| {
            // SAFETY: as above.
            unsafe { left.free() };
        })?;
        self.move_entries(old, |hash| {
            if hash << depth >> 63 == 1 {
                right
            } else {
                left
            }
        });
        let bit = 1 << (63 - depth);
        self.install(hash & !bit, left);
        self.install(hash | bit, right);
        // SAFETY: its entries were moved and its places in the directory are taken.
        unsafe { old.free() };
        Ok(())
    }

    /// Doubles the directory.
    fn double(&mut self) -> Result<(), HeapFull> {
        let layout = Self::directory_layout(self.depth + 1)?;
        let new = block::allocate(layout)?.cast::<u64>();
        let root = self.root().expect("a map that splits has a segment");
        // SAFETY: the old directory has 2^depth entries, the new one twice as many.
        unsafe {
            match self.directory() {
                None => {
                    new.write(self.root);
                    new.add(1).write(self.root);
                }
                Some((old, old_layout)) => {
                    for index in 0..1usize << self.depth {
                        let address = old.add(index).read();
                        new.add(2 * index).write(address);
                        new.add(2 * index + 1).write(address);
                    }
                    alloc::deallocate(root, old_layout);
                }
            }
        }
        self.root = new.as_ptr() as u64;
        self.depth += 1;
        Ok(())
    }

    /// After a removal: gives back what has become much too large. A full heap just leaves it.
    fn contract(&mut self, hash: u64) {
        while let Some(segment) = self.segment(hash) {
            let head = segment.head();
            let (len, capacity) = (head.len as usize, head.capacity as usize);
            if self.len == 0 && self.depth == 0 {
                self.root = 0;
                // SAFETY: empty, and forgotten just now.
                return unsafe { segment.free() };
            }
            if len * 8 > capacity {
                return;
            }
            if head.depth > 0
                && let Some(buddy) = self.segment(hash ^ 1 << (64 - head.depth))
                && buddy.head().depth == head.depth
                && len + buddy.head().len as usize <= Segment::<K, C>::LARGEST / 4
            {
                if self.merge(hash, segment, buddy).is_err() {
                    return;
                }
                continue;
            }
            let fitting = Segment::<K, C>::capacity_for(2 * len);
            if fitting < capacity {
                let _kept_as_it_is_when_full = self.rebuild(hash, segment, fitting);
            }
            return;
        }
    }

    fn merge(
        &mut self,
        hash: u64,
        segment: Segment<K, C>,
        buddy: Segment<K, C>,
    ) -> Result<(), HeapFull> {
        let len = segment.head().len + buddy.head().len;
        let capacity = Segment::<K, C>::capacity_for(len as usize);
        let merged = Segment::allocate(capacity, segment.head().depth - 1)?;
        self.move_entries(segment, |_| merged);
        self.move_entries(buddy, |_| merged);
        if merged.head().depth == 0
            && let Some((directory, layout)) = self.directory()
        {
            self.depth = 0;
            // SAFETY: the map is one segment now, and its root is set below.
            unsafe { alloc::deallocate(directory.cast(), layout) };
        }
        self.install(hash, merged);
        // SAFETY: their entries were moved and their places in the directory are taken.
        unsafe {
            segment.free();
            buddy.free();
        }
        Ok(())
    }
}
