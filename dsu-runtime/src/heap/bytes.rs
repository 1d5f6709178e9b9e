//! Bytes in shared memory: 16 bytes, up to 15 of them inline, and 16 if the last one is fit.
//!
//! ```text
//! inline  | bytes 0..15                                   | 15: length 0..=15          |
//! full    | bytes 0..16, the last of them 16..=0xfe, as in any text                      |
//! block   | 0..8: address | 8..13: length | 13..15: capacity | 15: 0xff               |
//! ```
//! (The last byte as length and content: after smol_str and compact_str.)
//! The capacity is `(m << e) * 16`, 12 bits of m and 4 of e: exact to 1/2048, so the layout that the
//! block is freed with follows from the value alone. All zero is empty. Uniquely owned: no counts
//! that two guards could reach. Knows nothing of encodings; text is `string`'s.
#![allow(unsafe_code)] // bytes in raw blocks

use super::block;
use super::keys::Draws;
use super::prefetch;
use super::shared::{Inline, Shared, Visitor};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

/// Bytes that fit without a block, whatever they are.
const INLINE: usize = 15;
/// Bytes that fit if the last one is not taken for a length or for [`IN_BLOCK`].
const FULL: usize = 16;
const FULL_LAST: Range<u8> = FULL as u8..IN_BLOCK;
const IN_BLOCK: u8 = 0xff;
const LEN_BITS: u32 = 40;
/// Longest value in bytes; the mantissa and exponent of the capacity end there.
const MAX_LEN: usize = 0xfff << 19;

/// A growable byte string. Reading is a slice; every growing operation returns `Result` and leaves the
/// bytes as they were when the heap is full. At most about 2 GiB.
#[repr(C, align(8))]
pub struct SharedBytes {
    raw: [u8; 16],
    not_send: PhantomData<*mut u8>,
}

/// A capacity in the form that is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Capacity(u16);

impl Capacity {
    /// The smallest that holds `bytes`.
    fn at_least(bytes: usize) -> Result<Capacity, HeapFull> {
        let units = bytes.div_ceil(16).max(1);
        let exponent = (usize::BITS - units.leading_zeros()).saturating_sub(12);
        let mantissa = units.div_ceil(1 << exponent);
        // Rounding up may carry into a thirteenth bit.
        let (mantissa, exponent) = if mantissa > 0xfff {
            (mantissa / 2, exponent + 1)
        } else {
            (mantissa, exponent)
        };
        if exponent > 15 {
            return Err(HeapFull);
        }
        Ok(Capacity((mantissa as u16) | ((exponent as u16) << 12)))
    }

    /// The largest within `bytes`, which is not less than what `at_least` gave.
    fn within(bytes: usize) -> Capacity {
        let units = (bytes / 16).min(0xfff << 15);
        let exponent = (usize::BITS - units.leading_zeros()).saturating_sub(12);
        Capacity(((units >> exponent) as u16) | ((exponent as u16) << 12))
    }

    #[inline]
    fn bytes(self) -> usize {
        ((self.0 & 0xfff) as usize) << (self.0 >> 12) << 4
    }

    fn layout(self) -> Result<Layout, HeapFull> {
        block::layout(self.bytes(), 1)
    }
}

impl SharedBytes {
    /// No bytes.
    pub const fn new() -> Self {
        SharedBytes {
            raw: [0; 16],
            not_send: PhantomData,
        }
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, HeapFull> {
        let mut new = Self::new();
        match *bytes {
            [.., last] if bytes.len() == FULL && FULL_LAST.contains(&last) => {
                new.raw.copy_from_slice(bytes)
            }
            _ => new.append(bytes)?,
        }
        Ok(new)
    }

    /// No bytes, with room for `capacity`.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn with_capacity(capacity: usize) -> Result<Self, HeapFull> {
        let mut new = Self::new();
        if capacity > INLINE {
            new.move_to(capacity)?;
        }
        Ok(new)
    }

    /// A copy.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_clone(&self) -> Result<Self, HeapFull> {
        Self::from_slice(self)
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self.block() {
            // SAFETY: a block holds `len` initialised bytes, borrowed as `self` is.
            Some(block) => unsafe { std::slice::from_raw_parts(block.as_ptr(), self.len()) },
            None => &self.raw[..self.len()],
        }
    }

    /// The bytes, to change.
    ///
    /// # Errors
    /// `HeapFull` where they lie as 16 without a block, and inside a transformer, where the first write
    /// copies the block.
    #[inline]
    pub fn as_mut_slice(&mut self) -> Result<&mut [u8], HeapFull> {
        if self.is_full() {
            // Any byte may be written, and the last one must not be taken for something else.
            self.move_to(FULL)?;
        }
        if self.is_frozen() {
            self.move_to(self.capacity())?;
        }
        let len = self.len();
        match self.block() {
            // SAFETY: a block holds `len` initialised bytes, may be written, and is borrowed as
            // `self` is.
            Some(block) => Ok(unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), len) }),
            None => Ok(&mut self.raw[..len]),
        }
    }

    /// Number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self.raw[15] {
            IN_BLOCK => (self.word() & ((1 << LEN_BITS) - 1)) as usize,
            inline => (inline as usize).min(FULL),
        }
    }

    /// Whether all 16 bytes are content.
    #[inline]
    fn is_full(&self) -> bool {
        FULL_LAST.contains(&self.raw[15])
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit without another block.
    #[inline]
    pub fn capacity(&self) -> usize {
        match self.raw[15] {
            IN_BLOCK => self.block_capacity().bytes(),
            inline => (inline as usize).clamp(INLINE, FULL),
        }
    }

    /// Adds bytes behind the last, amortised O(1) a byte.
    ///
    /// # Errors
    /// `HeapFull`.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), HeapFull> {
        self.make_room(bytes.len())?;
        let len = self.len();
        // SAFETY: `make_room` left as many bytes behind `len`, in the block or inline; `bytes` is
        // borrowed while `self` is borrowed exclusively, so they do not overlap.
        unsafe {
            self.start()
                .add(len)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        self.set_len(len + bytes.len());
        Ok(())
    }

    /// Sets the length, filling up with `byte`.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn resize(&mut self, len: usize, byte: u8) -> Result<(), HeapFull> {
        let old = self.len();
        if len > old {
            self.make_room(len - old)?;
            // SAFETY: `make_room` left as many bytes behind the old length.
            unsafe { self.start().add(old).write_bytes(byte, len - old) };
            self.set_len(len);
        } else {
            self.truncate(len);
        }
        Ok(())
    }

    /// Overwrites from `offset` on, filling a gap before it with zeros.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HeapFull> {
        let end = offset.checked_add(bytes.len()).ok_or(HeapFull)?;
        if end > self.len() {
            self.resize(end, 0)?;
        }
        self.as_mut_slice()?[offset..end].copy_from_slice(bytes);
        Ok(())
    }

    /// Replaces all bytes.
    ///
    /// # Errors
    /// `HeapFull`; the old bytes stay.
    pub fn set(&mut self, bytes: &[u8]) -> Result<(), HeapFull> {
        let capacity = self.capacity();
        let fits = bytes.len() <= capacity && bytes.len() >= capacity / 4;
        if !fits || self.block().is_none_or(block::is_frozen) {
            *self = Self::from_slice(bytes)?;
            return Ok(());
        }
        self.set_len(0);
        self.append(bytes)
    }

    /// Replaces all bytes and keeps no room that a [`from_slice`](Self::from_slice) of them would not
    /// have: what an overwrite is, without another block where the old one is just right.
    ///
    /// # Errors
    /// `HeapFull`; the old bytes stay.
    pub fn overwrite(&mut self, bytes: &[u8]) -> Result<(), HeapFull> {
        let fits = self.capacity() == Self::block_capacity_for(bytes.len())?;
        if !fits || self.block().is_none_or(block::is_frozen) {
            *self = Self::from_slice(bytes)?;
            return Ok(());
        }
        self.set_len(0);
        self.append(bytes)
    }

    /// The capacity of a new block for `len` bytes; 0 where there is none.
    #[inline]
    fn block_capacity_for(len: usize) -> Result<usize, HeapFull> {
        if len <= INLINE {
            return Ok(0);
        }
        let layout = Capacity::at_least(len)?.layout()?;
        Ok(Capacity::within(super::alloc::usable_size(layout)).bytes())
    }

    /// Room for `additional` more bytes: appending so many cannot fail afterwards.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), HeapFull> {
        self.make_room(additional)
    }

    /// Forgets the bytes from `len` on; keeps the block.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.set_len(len);
        }
    }

    /// No bytes, and no block.
    pub fn clear(&mut self) {
        self.free_block();
        self.raw = [0; 16];
    }

    /// Gives the block back; the caller forgets it.
    #[inline]
    fn free_block(&mut self) {
        if let Some(block) = self.block()
            && let Ok(layout) = self.block_capacity().layout()
        {
            // SAFETY: the block is this value's own, and forgotten by the caller; the layout lies
            // between what was asked for and what is usable.
            unsafe { super::alloc::deallocate(block, layout) };
        }
    }

    #[inline]
    fn word(&self) -> u64 {
        u64::from_le_bytes(self.raw[8..].try_into().expect("8 of 16 bytes"))
    }

    #[inline]
    fn block_capacity(&self) -> Capacity {
        Capacity((self.word() >> LEN_BITS) as u16)
    }

    #[inline]
    fn block(&self) -> Option<NonNull<u8>> {
        if self.raw[15] != IN_BLOCK {
            return None;
        }
        let address = u64::from_le_bytes(self.raw[..8].try_into().expect("8 of 16 bytes"));
        NonNull::new(address as *mut u8)
    }

    #[inline]
    fn start(&mut self) -> *mut u8 {
        match self.block() {
            Some(block) => block.as_ptr(),
            None => self.raw.as_mut_ptr(),
        }
    }

    /// `len` is within the capacity.
    #[inline]
    fn set_len(&mut self, len: usize) {
        if self.raw[15] == IN_BLOCK {
            let word = (self.word() >> LEN_BITS << LEN_BITS) | len as u64;
            self.raw[8..].copy_from_slice(&word.to_le_bytes());
        } else if !self.is_full() || len < FULL {
            self.raw[15] = len as u8;
        }
    }

    #[inline]
    fn is_frozen(&self) -> bool {
        self.block().is_some_and(block::is_frozen)
    }

    /// Room for `additional` bytes, in place or in a block that may be written.
    #[inline]
    fn make_room(&mut self, additional: usize) -> Result<(), HeapFull> {
        let needed = self.len().checked_add(additional).ok_or(HeapFull)?;
        if needed <= self.capacity() && !self.is_frozen() {
            return Ok(());
        }
        self.move_for(needed)
    }

    /// Moves to a block that may be written and holds `needed` bytes.
    #[cold]
    fn move_for(&mut self, needed: usize) -> Result<(), HeapFull> {
        let capacity = self.capacity();
        if needed <= capacity {
            return self.move_to(capacity);
        }
        if needed > MAX_LEN {
            return Err(HeapFull);
        }
        // A first block is as large as asked; from then on it grows by half.
        let spare = if capacity > INLINE { capacity / 2 } else { 0 };
        self.move_to(needed.max((capacity + spare).min(MAX_LEN)))
    }

    /// Moves the bytes to a new block of `capacity` or more.
    fn move_to(&mut self, capacity: usize) -> Result<(), HeapFull> {
        let layout = Capacity::at_least(capacity)?.layout()?;
        let block = block::allocate(layout)?;
        // SAFETY: just allocated with this layout.
        let usable = super::alloc::usable_size(layout);
        let capacity = Capacity::within(usable);
        let len = self.len();
        // SAFETY: the new block has room for what the old place holds, and overlaps nothing.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(self.as_slice()).cast(), len) };
        self.clear();
        self.raw[..8].copy_from_slice(&(block.as_ptr() as u64).to_le_bytes());
        let word = len as u64 | u64::from(capacity.0) << LEN_BITS | u64::from(IN_BLOCK) << 56;
        self.raw[8..].copy_from_slice(&word.to_le_bytes());
        Ok(())
    }
}

impl Default for SharedBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SharedBytes {
    #[inline]
    fn drop(&mut self) {
        // A drop writes nothing either: the 16 bytes may lie in a block that must stay as it is.
        self.free_block();
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Borrow<[u8]> for SharedBytes {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for SharedBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SharedBytes {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SharedBytes {}

impl PartialOrd for SharedBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl Hash for SharedBytes {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

// SAFETY: bytes, or an address in the heap with a length and a capacity; `visit` shows the block.
unsafe impl Shared for SharedBytes {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(Vec::new()),
            ..TypeSchema::leaf::<Self>("SharedBytes")
        }
    }

    /// As short as can do without a block.
    fn sample(draws: &mut Draws) -> Option<Self> {
        let mut letters = [0; INLINE];
        let len = draws.choice(INLINE + 1);
        letters[..len].fill_with(|| draws.letter());
        SharedBytes::from_slice(&letters[..len]).ok()
    }

    #[inline]
    fn prefetch(&self) {
        if let Some(block) = self.block() {
            prefetch::lines(block.as_ptr(), self.len());
        }
    }

    fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
        Some(self.try_clone())
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        match (self.raw[15], self.block()) {
            (..IN_BLOCK, _) => {}
            (IN_BLOCK, Some(block)) => match self.block_capacity().layout() {
                Ok(layout)
                    if self.len() <= self.capacity()
                        && block::is_at(block.as_ptr() as usize, layout) =>
                {
                    visitor.block(block, layout);
                }
                _ => visitor.damage(&format!(
                    "bytes lie at {block:p}, {} of {}",
                    self.len(),
                    self.capacity()
                )),
            },
            (IN_BLOCK, None) => visitor.damage("bytes lie nowhere"),
        }
    }
}
