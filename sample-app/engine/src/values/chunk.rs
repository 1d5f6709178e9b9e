//! A run of a list's elements in one block, with free room at both ends.
//!
//! Owns the bytes: which elements share a block, how it grows, what moves when one is put in. Positions
//! here count from the chunk's first element. Knows nothing of its neighbours.

use super::element;
use crate::typed::End;
use dsu_runtime::prelude::*;
use std::ops::{ControlFlow, Range};

/// Bytes of a full chunk.
pub(super) const CHUNK: usize = 8 << 10;
/// An element that takes more than this has a chunk of its own: of what a full chunk leaves free at
/// most an eighth is lost.
pub(super) const SHARING: usize = CHUNK / 8;

/// Elements one behind the other.
#[derive(Shared, Default)]
#[shared(inline)]
pub(super) struct Chunk {
    /// Free room, the elements from `start` to the end, and what the block has beyond.
    bytes: SharedBytes,
    start: u32,
    count: u32,
}

/// Whether an element was taken in.
#[derive(PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// It belongs in another chunk.
    No,
}

impl Chunk {
    /// An empty chunk with this much room, all of it where elements will be pushed.
    pub(super) fn with_room(room: usize, end: End) -> Result<Self, HeapFull> {
        let mut bytes = SharedBytes::with_capacity(room)?;
        let start = match end {
            End::Head => bytes.capacity(),
            End::Tail => 0,
        };
        bytes.resize(start, 0)?;
        Ok(Chunk {
            bytes,
            start: start as u32,
            count: 0,
        })
    }

    /// One element, with no room for others.
    pub(super) fn alone(element: &[u8]) -> Result<Self, HeapFull> {
        let mut chunk = Chunk::with_room(element::size(element), End::Tail)?;
        chunk.write_at_tail(element)?;
        Ok(chunk)
    }

    /// Number of elements.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of its elements.
    pub(super) fn used(&self) -> usize {
        self.bytes.len() - self.start as usize
    }

    /// A copy without room to spare.
    pub(super) fn try_clone(&self) -> Result<Self, HeapFull> {
        Ok(Chunk {
            bytes: SharedBytes::from_slice(self.elements())?,
            start: 0,
            count: self.count,
        })
    }

    fn elements(&self) -> &[u8] {
        &self.bytes[self.start as usize..]
    }

    /// Where among the elements' bytes the element at `index` begins, or would.
    fn offset(&self, index: usize) -> usize {
        let elements = self.elements();
        if index <= self.count() / 2 {
            (0..index).fold(0, |at, _| at + element::first(&elements[at..]).1)
        } else {
            let behind = index..self.count();
            behind.fold(elements.len(), |end, _| {
                end - element::last(&elements[..end]).1
            })
        }
    }

    /// The element at `index`, which exists.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        element::first(&self.elements()[self.offset(index)..]).0
    }

    /// Visits the elements from `index` on.
    pub(super) fn walk(
        &self,
        index: usize,
        towards: End,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match towards {
            End::Tail => {
                let mut rest = &self.elements()[self.offset(index)..];
                while !rest.is_empty() {
                    let (element, size) = element::first(rest);
                    visit(element)?;
                    rest = &rest[size..];
                }
            }
            End::Head => {
                let mut rest = &self.elements()[..self.offset(index + 1)];
                while !rest.is_empty() {
                    let (element, size) = element::last(rest);
                    visit(element)?;
                    rest = &rest[..rest.len() - size];
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Adds an element at an end, if it may be and is not too much for this chunk.
    pub(super) fn push(&mut self, end: End, element: &[u8]) -> Result<Taken, HeapFull> {
        let size = element::size(element);
        if !self.has_place_for(size) || self.make_room(end, size)? == Taken::No {
            return Ok(Taken::No);
        }
        match end {
            End::Tail => self.write_at_tail(element)?,
            End::Head => {
                let start = self.start as usize - size;
                let place = start..self.start as usize;
                element::write(&mut self.bytes.as_mut_slice()?[place], element);
                self.start = start as u32;
                self.count += 1;
            }
        }
        Ok(Taken::Yes)
    }

    /// Whether so many bytes more are not too much.
    fn has_place_for(&self, size: usize) -> bool {
        size <= SHARING && self.used() + size <= CHUNK && !self.is_alone()
    }

    /// Whether its element is too large to share a chunk.
    fn is_alone(&self) -> bool {
        self.count == 1 && self.used() > SHARING
    }

    /// The room for it is there, or an allocation of this one piece.
    fn write_at_tail(&mut self, element: &[u8]) -> Result<(), HeapFull> {
        self.bytes.try_reserve(element::size(element))?;
        let mut length = element::Length::of(element);
        self.bytes.append(length.before())?;
        self.bytes.append(element)?;
        self.bytes.append(length.reverse())?;
        self.count += 1;
        Ok(())
    }

    /// Free room of `size` at an end. In a block that is half empty the elements move to its middle,
    /// which pays for as many pushes as it moves bytes; a small block grows by half; one that is full
    /// leaves the element to a neighbour.
    #[inline]
    fn make_room(&mut self, end: End, size: usize) -> Result<Taken, HeapFull> {
        let free = match end {
            End::Head => self.start as usize,
            End::Tail => self.bytes.capacity() - self.bytes.len(),
        };
        if free >= size {
            return Ok(Taken::Yes);
        }
        self.rearrange(end, size)
    }

    #[cold]
    fn rearrange(&mut self, end: End, size: usize) -> Result<Taken, HeapFull> {
        let (used, capacity) = (self.used(), self.bytes.capacity());
        if used + size <= capacity / 2 {
            self.shift_to((capacity - used) / 2)?;
            return Ok(Taken::Yes);
        }
        if capacity >= CHUNK {
            return Ok(Taken::No);
        }
        let wanted = (used + size).max(capacity + capacity / 2).min(CHUNK);
        let mut grown = Chunk::with_room(wanted, end)?;
        grown.take_elements(end, self)?;
        *self = grown;
        Ok(Taken::Yes)
    }

    /// Moves the elements within the block, which has the room.
    fn shift_to(&mut self, start: usize) -> Result<(), HeapFull> {
        let (old, used) = (self.start as usize, self.used());
        self.bytes.resize(self.bytes.len().max(start + used), 0)?;
        self.bytes
            .as_mut_slice()?
            .copy_within(old..old + used, start);
        self.bytes.truncate(start + used);
        self.start = start as u32;
        Ok(())
    }

    /// Adds the elements of another chunk at an end. There is room, or a larger block to be had.
    fn take_elements(&mut self, end: End, other: &Chunk) -> Result<(), HeapFull> {
        match end {
            End::Tail => self.bytes.append(other.elements())?,
            End::Head => {
                let start = self.start as usize - other.used();
                let place = start..self.start as usize;
                self.bytes.as_mut_slice()?[place].copy_from_slice(other.elements());
                self.start = start as u32;
            }
        }
        self.count += other.count;
        Ok(())
    }

    /// Takes the next chunk's elements in, if both together leave room to grow.
    pub(super) fn merge(&mut self, next: &Chunk) -> Result<Taken, HeapFull> {
        if self.used() + next.used() > CHUNK / 2 || self.is_alone() || next.is_alone() {
            return Ok(Taken::No);
        }
        if self.make_room(End::Tail, next.used())? == Taken::No {
            return Ok(Taken::No);
        }
        self.take_elements(End::Tail, next)?;
        Ok(Taken::Yes)
    }

    /// Takes an element off an end. There is one.
    pub(super) fn pop(&mut self, end: End, show: &mut dyn FnMut(&[u8])) {
        match end {
            End::Head => {
                let (element, size) = element::first(self.elements());
                show(element);
                self.start += size as u32;
            }
            End::Tail => {
                let (element, size) = element::last(self.elements());
                show(element);
                self.bytes.truncate(self.bytes.len() - size);
            }
        }
        self.count -= 1;
    }

    /// Puts an element at `index` in the place of `replaced` elements there, 0 or 1, if it may be and is
    /// not too much for this chunk.
    pub(super) fn put(
        &mut self,
        index: usize,
        replaced: usize,
        element: &[u8],
    ) -> Result<Taken, HeapFull> {
        let old = self.offset(index)..self.offset(index + replaced);
        let size = element::size(element);
        let is_alike = old.len() == size;
        if !is_alike {
            let after = self.used() - old.len() + size;
            if after > CHUNK || size > SHARING || self.is_alone() {
                return Ok(Taken::No);
            }
            let added = size.saturating_sub(old.len());
            if self.make_room(End::Tail, added)? == Taken::No {
                self.shift_to(0)?;
            }
        }
        let start = self.start as usize;
        let (from, to) = (start + old.end, start + old.start + size);
        let end = self.bytes.len();
        self.bytes.resize(end.max(end + to - from), 0)?;
        let bytes = self.bytes.as_mut_slice()?;
        if !is_alike {
            bytes.copy_within(from..end, to);
        }
        element::write(&mut bytes[start + old.start..to], element);
        self.bytes.truncate(end + to - from);
        self.count = self.count + 1 - replaced as u32;
        Ok(Taken::Yes)
    }

    /// A chunk of the elements from `index` on, with room for one more.
    pub(super) fn copy_from(&self, index: usize) -> Result<Chunk, HeapFull> {
        let at = self.offset(index);
        let room = (self.used() - at + SHARING).min(CHUNK);
        let mut behind = Chunk::with_room(room, End::Tail)?;
        behind.bytes.append(&self.elements()[at..])?;
        behind.count = self.count - index as u32;
        Ok(behind)
    }

    /// Forgets the elements from `index` on.
    pub(super) fn truncate(&mut self, index: usize) {
        let at = self.offset(index);
        self.bytes.truncate(self.start as usize + at);
        self.count = index as u32;
    }

    /// Removes the elements at these positions.
    pub(super) fn remove(&mut self, range: Range<usize>) -> Result<(), HeapFull> {
        if range.end == self.count() {
            self.truncate(range.start);
            return Ok(());
        }
        let (from, to) = (self.offset(range.start), self.offset(range.end));
        let start = self.start as usize;
        if from > self.used() - to {
            self.bytes
                .as_mut_slice()?
                .copy_within(start + to.., start + from);
            self.bytes.truncate(self.bytes.len() - (to - from));
        } else {
            let before = start..start + from;
            if !before.is_empty() {
                self.bytes
                    .as_mut_slice()?
                    .copy_within(before, start + to - from);
            }
            self.start += (to - from) as u32;
        }
        self.count -= range.len() as u32;
        Ok(())
    }

    /// Removes at most `most` elements that equal this, the first ones from that end on; how many.
    pub(super) fn remove_equal(
        &mut self,
        wanted: &[u8],
        from: End,
        most: usize,
    ) -> Result<usize, HeapFull> {
        let found = self.find(wanted, from, most);
        let Some(first) = found.first() else {
            return Ok(0);
        };
        let (start, used) = (self.start as usize, self.used());
        let mut kept = first.start;
        let elements = &mut self.bytes.as_mut_slice()?[start..];
        let behind = found.iter().skip(1).map(|next| next.start).chain([used]);
        for (gone, next) in found.iter().zip(behind) {
            elements.copy_within(gone.end..next, kept);
            kept += next - gone.end;
        }
        self.bytes.truncate(start + kept);
        self.count -= found.len() as u32;
        Ok(found.len())
    }

    /// Where elements lie that equal this: the first `most` of them from that end on, in their order.
    fn find(&self, wanted: &[u8], from: End, most: usize) -> Vec<Range<usize>> {
        let elements = self.elements();
        let mut found = Vec::new();
        match from {
            End::Head => {
                let mut at = 0;
                while at < elements.len() && found.len() < most {
                    let (element, size) = element::first(&elements[at..]);
                    if element == wanted {
                        found.push(at..at + size);
                    }
                    at += size;
                }
            }
            End::Tail => {
                let mut end = elements.len();
                while end > 0 && found.len() < most {
                    let (element, size) = element::last(&elements[..end]);
                    if element == wanted {
                        found.push(end - size..end);
                    }
                    end -= size;
                }
                found.reverse();
            }
        }
        found
    }
}
