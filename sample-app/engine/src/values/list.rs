//! A list: chunks of packed elements in a queue.
//!
//! Owns which chunk an element is in. A position is found by the chunks' counts, from the nearer end; a
//! change in the middle splits a chunk or joins two and moves, of all others, their 24 bytes in the queue.
//! After the quicklist of Redis, whose nodes are linked; ours lie side by side, so that skipping a
//! hundred elements is a step in one block.

use super::chunk::{CHUNK, Chunk, SHARING, Taken};
use super::element;
use crate::error::StoreError;
use crate::typed::{End, ListValue};
use dsu_runtime::heap::Inline;
use dsu_runtime::prelude::*;
use std::mem;
use std::ops::{ControlFlow, Range};

/// Elements with two ends.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct List {
    /// None of them is empty.
    chunks: SharedDeque<Chunk>,
    len: u64,
}

/// Where an element is, or where one would be put in.
struct Place {
    chunk: usize,
    /// Within the chunk.
    index: usize,
}

impl List {
    /// A list without elements.
    pub const fn new() -> Self {
        List {
            chunks: SharedDeque::new(),
            len: 0,
        }
    }

    /// A copy.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_clone(&self) -> Result<Self, HeapFull> {
        let mut copy = List::new();
        copy.chunks.try_reserve(self.chunks.len())?;
        for index in 0..self.chunks.len() {
            let chunk = Inline(self.chunk(index).try_clone()?);
            copy.chunks.push_back_cell(chunk).map_err(|_| HeapFull)?;
        }
        copy.len = self.len;
        Ok(copy)
    }

    fn chunk(&self, index: usize) -> &Chunk {
        let Some(Inline(chunk)) = self.chunks.get_cell(index) else {
            unreachable!("a list of {} has no chunk {index}", self.chunks.len());
        };
        chunk
    }

    fn chunk_mut(&mut self, index: usize) -> Result<&mut Chunk, HeapFull> {
        let Some(Inline(chunk)) = self.chunks.get_cell_mut(index)? else {
            unreachable!("a list has no chunk {index}");
        };
        Ok(chunk)
    }

    fn end_of(&self, end: End) -> usize {
        match end {
            End::Head => 0,
            End::Tail => self.chunks.len() - 1,
        }
    }

    /// The place of the element at `index`, which exists.
    fn find(&self, index: usize) -> Place {
        if index < self.len() / 2 {
            let mut before = 0;
            for chunk in 0.. {
                let count = self.chunk(chunk).count();
                if index < before + count {
                    let index = index - before;
                    return Place { chunk, index };
                }
                before += count;
            }
        }
        let mut before = self.len();
        for chunk in (0..self.chunks.len()).rev() {
            before -= self.chunk(chunk).count();
            if index >= before {
                let index = index - before;
                return Place { chunk, index };
            }
        }
        unreachable!("a list of {} has no element {index}", self.len)
    }

    fn add_chunk(&mut self, index: usize, chunk: Chunk) -> Result<(), HeapFull> {
        let added = self.chunks.insert_cell(index, Inline(chunk));
        added.map_err(|_| HeapFull)
    }

    /// A chunk for one element at an end of the list: full size if others are likely to follow.
    fn chunk_for(&self, end: End, element: &[u8]) -> Result<Chunk, HeapFull> {
        let size = element::size(element);
        if self.chunks.is_empty() || size > SHARING {
            return Chunk::alone(element);
        }
        let mut chunk = Chunk::with_room(CHUNK, end)?;
        chunk.push(end, element)?;
        Ok(chunk)
    }

    #[inline]
    fn push_element(&mut self, end: End, element: &[u8]) -> Result<(), HeapFull> {
        let is_taken = !self.chunks.is_empty() && {
            let last = self.end_of(end);
            self.chunk_mut(last)?.push(end, element)? == Taken::Yes
        };
        if !is_taken {
            let chunk = self.chunk_for(end, element)?;
            let place = match end {
                End::Head => 0,
                End::Tail => self.chunks.len(),
            };
            self.add_chunk(place, chunk)?;
        }
        self.len += 1;
        Ok(())
    }

    /// Puts an element where its chunk has no place for it, in the place of `replaced` elements there, 0
    /// or 1: at the end of the chunk before, or between the two parts of this one.
    fn put_apart(
        &mut self,
        Place { chunk, index }: Place,
        replaced: usize,
        element: &[u8],
    ) -> Result<(), HeapFull> {
        if index == 0 && replaced == 0 && chunk > 0 {
            let before = self.chunk_mut(chunk - 1)?;
            if before.push(End::Tail, element)? == Taken::Yes {
                return Ok(());
            }
        }
        if replaced == self.chunk(chunk).count() {
            *self.chunk_mut(chunk)? = Chunk::alone(element)?;
            return Ok(());
        }
        // All that can fail comes before the chunk is cut.
        self.chunks.try_reserve(2)?;
        let mut behind = self.chunk(chunk).copy_from(index + replaced)?;
        let is_taken = behind.count() > 0 && behind.put(0, 0, element)? == Taken::Yes;
        let apart = match is_taken {
            true => None,
            false => Some(Chunk::alone(element)?),
        };
        self.chunk_mut(chunk)?.truncate(index);
        if behind.count() > 0 {
            self.add_chunk(chunk + 1, behind)?;
        }
        if let Some(apart) = apart {
            self.add_chunk(chunk + 1, apart)?;
        }
        self.tidy(chunk..chunk + 2)
    }

    /// Takes out chunks without elements among these, and joins neighbours that are small.
    fn tidy(&mut self, range: Range<usize>) -> Result<(), HeapFull> {
        let end = range.end.min(self.chunks.len());
        let mut kept = range.start;
        for index in range.start..end {
            let chunk = mem::take(self.chunk_mut(index)?);
            if chunk.count() == 0 {
                continue;
            }
            // One that cannot be joined for want of memory stays as it is.
            let is_joined =
                kept > 0 && matches!(self.chunk_mut(kept - 1)?.merge(&chunk), Ok(Taken::Yes));
            if !is_joined {
                *self.chunk_mut(kept)? = chunk;
                kept += 1;
            }
        }
        self.chunks.remove_cells(kept..end.max(kept))
    }
}

impl ListValue for List {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.len() {
            return None;
        }
        let Place { chunk, index } = self.find(index);
        Some(self.chunk(chunk).get(index))
    }

    fn walk(&self, from: usize, towards: End, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        if from >= self.len() {
            return;
        }
        let Place { chunk, index } = self.find(from);
        let mut stopped = self.chunk(chunk).walk(index, towards, visit);
        let mut at = chunk;
        while stopped.is_continue() {
            let next = match towards {
                End::Tail => Some(at + 1).filter(|next| *next < self.chunks.len()),
                End::Head => at.checked_sub(1),
            };
            let Some(next) = next else {
                return;
            };
            at = next;
            let chunk = self.chunk(at);
            let first = match towards {
                End::Tail => 0,
                End::Head => chunk.count() - 1,
            };
            stopped = chunk.walk(first, towards, visit);
        }
    }

    fn push(&mut self, end: End, element: &[u8]) -> Result<(), StoreError> {
        Ok(self.push_element(end, element)?)
    }

    fn pop(&mut self, end: End, show: &mut dyn FnMut(&[u8])) -> bool {
        if self.is_empty() {
            return false;
        }
        let last = self.end_of(end);
        let Ok(chunk) = self.chunk_mut(last) else {
            return false;
        };
        chunk.pop(end, show);
        if chunk.count() == 0 {
            match end {
                End::Head => drop(self.chunks.pop_front_cell()),
                End::Tail => drop(self.chunks.pop_back_cell()),
            }
        }
        self.len -= 1;
        true
    }

    fn set(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError> {
        if index >= self.len() {
            return Ok(());
        }
        let place = self.find(index);
        let chunk = self.chunk_mut(place.chunk)?;
        if chunk.put(place.index, 1, element)? == Taken::No {
            self.put_apart(place, 1, element)?;
        }
        Ok(())
    }

    fn insert(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError> {
        if index == 0 {
            return self.push(End::Head, element);
        }
        if index == self.len() {
            return self.push(End::Tail, element);
        }
        let place = self.find(index);
        let chunk = self.chunk_mut(place.chunk)?;
        if chunk.put(place.index, 0, element)? == Taken::No {
            self.put_apart(place, 0, element)?;
        }
        self.len += 1;
        Ok(())
    }

    fn remove(&mut self, range: Range<usize>) -> Result<(), StoreError> {
        let range = range.start..range.end.min(self.len());
        if range.is_empty() {
            return Ok(());
        }
        if range.len() == self.len() {
            *self = List::new();
            return Ok(());
        }
        let (first, last) = (self.find(range.start), self.find(range.end - 1));
        if first.chunk == last.chunk {
            let chunk = self.chunk_mut(first.chunk)?;
            chunk.remove(first.index..last.index + 1)?;
        } else {
            self.chunk_mut(last.chunk)?.remove(0..last.index + 1)?;
            self.chunk_mut(first.chunk)?.truncate(first.index);
            self.chunks.remove_cells(first.chunk + 1..last.chunk)?;
        }
        self.len -= range.len() as u64;
        // The two at the seam, and the one before them.
        let seam = first.chunk.saturating_sub(1)..first.chunk + 2;
        Ok(self.tidy(seam)?)
    }

    fn remove_equal(
        &mut self,
        element: &[u8],
        from: End,
        most: usize,
    ) -> Result<usize, StoreError> {
        let (mut removed, mut changed) = (0, 0..0);
        let chunks = self.chunks.len();
        let mut outcome = Ok(0);
        for step in 0..chunks {
            if removed == most {
                break;
            }
            let index = match from {
                End::Head => step,
                End::Tail => chunks - 1 - step,
            };
            let chunk = self.chunk_mut(index)?;
            outcome = chunk.remove_equal(element, from, most - removed);
            let Ok(here @ 1..) = outcome else {
                match outcome {
                    Ok(_) => continue,
                    Err(_) => break,
                }
            };
            changed = match removed {
                0 => index..index + 1,
                _ => changed.start.min(index)..changed.end.max(index + 1),
            };
            removed += here;
            self.len -= here as u64;
        }
        if removed > 0 {
            self.tidy(changed.start..changed.end + 1)?;
        }
        Ok(outcome.map(|_| removed)?)
    }
}
