//! Which blocks a walk over the objects has reached: the heap check's side of the allocator.
//!
//! Owns the marks of one walk. Answers whether a pointer is an allocated block of its layout, whether
//! it was reached before, and what nobody reached. Reads metadata only.

use super::account::describe;
use super::claim;
use super::classes::{BITMAP_WORDS, SizeClass};
use super::large;
use super::superblock::{State, Superblock};
use crate::sys::memory::PAGE_SIZE;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

/// The blocks that one walk has reached.
#[derive(Default)]
pub struct BlockMap {
    reached: BTreeMap<u32, Box<[u64; BITMAP_WORDS]>>,
}

impl BlockMap {
    /// An empty map.
    pub fn new() -> BlockMap {
        BlockMap::default()
    }

    /// Marks the block at `pointer`, which somebody says was allocated with `layout`. Whoever owns it
    /// must not free it meanwhile.
    ///
    /// # Errors
    /// A sentence: it is no such block, or it was reached before.
    pub fn reach(&mut self, pointer: NonNull<u8>, layout: Layout) -> Result<(), String> {
        let address = pointer.as_ptr() as usize;
        if layout.size() == 0 {
            return Ok(());
        }
        let (superblock, block) = find(address, layout)?;
        let words = self
            .reached
            .entry(superblock.0)
            .or_insert_with(|| Box::new([0; BITMAP_WORDS]));
        let bit = 1 << (block % 64);
        if words[block / 64] & bit != 0 {
            return Err(format!(
                "block at {address:#x} ({} bytes) is reached twice",
                layout.size()
            ));
        }
        words[block / 64] |= bit;
        Ok(())
    }

    /// Number of blocks reached.
    pub fn len(&self) -> usize {
        let words = self.reached.values().flat_map(|words| words.iter());
        words.map(|word| word.count_ones() as usize).sum()
    }

    /// Whether nothing was reached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Allocated blocks that were not reached: address and bytes. Only while nobody allocates or
    /// frees, and after a complete walk, are they lost.
    pub fn unreached(&self) -> Vec<(NonNull<u8>, usize)> {
        let mut lost = Vec::new();
        let mut add = |address: usize, bytes| {
            lost.extend(NonNull::new(address as *mut u8).map(|pointer| (pointer, bytes)));
        };
        for superblock in claim::all_known() {
            let reached = self.reached.get(&superblock.0);
            let meta = superblock.meta();
            match State::from_word(superblock.state().load(SeqCst)) {
                Some(State::Owned { class, .. } | State::Abandoned { class }) => {
                    for word in 0..class.words() {
                        let remote = meta.remote[word].load(SeqCst);
                        let allocated = meta.allocated[word].load(SeqCst);
                        let mut left = allocated
                            & class.valid_bits(word)
                            & !remote
                            & !reached.map_or(0, |words| words[word]);
                        while left != 0 {
                            let block = word * 64 + left.trailing_zeros() as usize;
                            add(superblock.base() + block * class.size(), class.size());
                            left &= left - 1;
                        }
                    }
                }
                Some(State::Large { .. }) if reached.is_none() => {
                    let pages = meta.pages.load(SeqCst) as usize;
                    add(superblock.base(), pages * PAGE_SIZE);
                }
                _ => {}
            }
        }
        lost
    }
}

/// The allocated block at `address`, or what is wrong with it.
fn find(address: usize, layout: Layout) -> Result<(Superblock, usize), String> {
    let bytes = layout.size();
    let superblock = Superblock::containing(address)
        .ok_or_else(|| format!("pointer {address:#x} ({bytes} bytes) leaves the regions"))?;
    let name = describe(superblock);
    let wrong = |what: &str| {
        Err(format!(
            "block at {address:#x} ({bytes} bytes), {name}: {what}"
        ))
    };
    if !superblock.is_known() {
        return wrong("nothing was ever allocated there");
    }
    let meta = superblock.meta();
    let state = State::from_word(superblock.state().load(SeqCst));
    let offset = address - superblock.base();
    match (state, SizeClass::of(layout)) {
        (Some(State::Owned { class, .. } | State::Abandoned { class }), expected) => {
            let block = class.block_at(offset);
            let (word, bit) = (block / 64, 1 << (block % 64));
            if expected != Some(class) {
                wrong("blocks there have another size")
            } else if block * class.size() != offset || block >= class.blocks() {
                wrong("no block begins there")
            } else if meta.allocated[word].load(SeqCst) & bit == 0
                || meta.remote[word].load(SeqCst) & bit != 0
            {
                wrong("it is not allocated")
            } else {
                Ok((superblock, block))
            }
        }
        (Some(State::Large { .. }), expected) => {
            let pages = meta.pages.load(SeqCst) as usize;
            if expected.is_some() {
                wrong("a large block lies there")
            } else if offset != 0 {
                wrong("no block begins there")
            } else if large::committed_size(bytes) > pages * PAGE_SIZE {
                wrong("it is longer than what is allocated")
            } else {
                Ok((superblock, 0))
            }
        }
        (Some(State::Part { .. }), _) => wrong("it is inside a large block"),
        (Some(_), _) => wrong("it is not allocated"),
        (None, _) => wrong("the superblock's state is damaged"),
    }
}
