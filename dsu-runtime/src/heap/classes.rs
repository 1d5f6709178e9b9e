//! Which block sizes there are. Part of the runtime ABI: every copy computes the same classes.
//!
//! Owns the arithmetic between layouts, classes and offsets. Knows nothing of memory.

use crate::abi::SUPERBLOCK_SIZE;
use std::alloc::Layout;

/// Number of size classes.
pub const CLASSES: usize = 40;
/// Bytes of the largest class; what is larger is a run of superblocks of its own.
pub const LARGEST_CLASS: usize = 32 << 10;
/// 64-bit words of a block bitmap for the smallest class.
pub(super) const BITMAP_WORDS: usize = SUPERBLOCK_SIZE / 16 / 64;

/// A class: blocks of one size. 16-byte steps up to 128 bytes, then four steps to each doubling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SizeClass(pub(super) u8);

struct ClassNumbers {
    size: u32,
    /// 2^32 / size, rounded up: dividing an offset below 2^16 by multiplication is exact with it,
    /// since the error, offset / 2^32, stays below 1 / size.
    reciprocal: u32,
}

static NUMBERS: [ClassNumbers; CLASSES] = {
    let mut numbers = [const {
        ClassNumbers {
            size: 0,
            reciprocal: 0,
        }
    }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let size = class_size(class);
        numbers[class] = ClassNumbers {
            size: size as u32,
            reciprocal: (1u64 << 32).div_ceil(size as u64) as u32,
        };
        class += 1;
    }
    numbers
};

const fn class_size(class: usize) -> usize {
    if class < 8 {
        (class + 1) * 16
    } else {
        let doubling = (class - 8) / 4;
        let step = (class - 8) % 4;
        (128 << doubling) + (step + 1) * (32 << doubling)
    }
}

/// The class of a size above 128.
const fn class_number(size: usize) -> usize {
    let last = size - 1;
    let doubling = last.ilog2() as usize;
    let step = (last >> (doubling - 2)) & 3;
    8 + (doubling - 7) * 4 + step
}

/// Up to this size, classes are looked up: most blocks are smaller, and where the layout is no constant
/// the arithmetic is a third of what a block costs.
const TABLED: usize = 1024;

/// The class of each multiple of 16.
static TABLE: [u8; TABLED / 16 + 1] = {
    let mut table = [0; TABLED / 16 + 1];
    let mut steps = 1;
    while steps < table.len() {
        let is_small = steps <= 8;
        table[steps] = if is_small {
            steps - 1
        } else {
            class_number(steps * 16)
        } as u8;
        steps += 1;
    }
    table
};

impl SizeClass {
    /// The class for a layout of size > 0; `None` where it needs superblocks of its own.
    #[inline]
    pub const fn of(layout: Layout) -> Option<SizeClass> {
        let mut size = layout.size();
        if layout.align() > 16 {
            if size < layout.align() {
                size = layout.align();
            }
            // A power of two is a class of its own and aligned to itself.
            if size <= LARGEST_CLASS {
                size = size.next_power_of_two();
            }
        }
        if size <= TABLED {
            Some(SizeClass(TABLE[size.div_ceil(16)]))
        } else if size <= LARGEST_CLASS {
            Some(SizeClass(class_number(size) as u8))
        } else {
            None
        }
    }

    /// The class of this number, if there is one.
    pub fn from_number(number: u8) -> Option<SizeClass> {
        ((number as usize) < CLASSES).then_some(SizeClass(number))
    }

    /// All classes, smallest first.
    pub fn all() -> impl Iterator<Item = SizeClass> {
        (0..CLASSES as u8).map(SizeClass)
    }

    /// Its number, below [`CLASSES`].
    #[inline]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// Bytes of a block.
    #[inline]
    pub const fn size(self) -> usize {
        NUMBERS[self.number()].size as usize
    }

    /// Blocks in a superblock.
    #[inline]
    pub fn blocks(self) -> usize {
        SUPERBLOCK_SIZE / self.size()
    }

    /// Bitmap words that stand for real blocks.
    pub(super) fn words(self) -> usize {
        self.blocks().div_ceil(64)
    }

    /// Bits of bitmap word `word` that stand for real blocks.
    pub(super) fn valid_bits(self, word: usize) -> u64 {
        match self.blocks().saturating_sub(word * 64) {
            0 => 0,
            n if n < 64 => (1 << n) - 1,
            _ => u64::MAX,
        }
    }

    /// The block that `offset` in a superblock lies in.
    #[inline]
    pub(super) fn block_at(self, offset: usize) -> usize {
        ((offset as u64 * NUMBERS[self.number()].reciprocal as u64) >> 32) as usize
    }

    /// Bytes that a superblock of this class really uses.
    pub(super) fn committed_bytes(self) -> usize {
        (self.blocks() * self.size()).next_multiple_of(crate::sys::memory::PAGE_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_class_is_the_class_of_its_own_size() {
        for class in SizeClass::all() {
            let layout = Layout::from_size_align(class.size(), 16).unwrap();
            assert_eq!(SizeClass::of(layout), Some(class));
        }
        assert_eq!(SizeClass(39).size(), LARGEST_CLASS);
    }

    #[test]
    fn division_by_multiplication_is_exact_for_every_offset() {
        for class in SizeClass::all() {
            for offset in 0..SUPERBLOCK_SIZE {
                assert_eq!(class.block_at(offset), offset / class.size());
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_fit_and_are_aligned(size in 1usize..40000, align_log2 in 0u32..16) {
            let layout = Layout::from_size_align(size, 1 << align_log2).unwrap();
            match SizeClass::of(layout) {
                Some(class) => {
                    prop_assert!(class.size() >= size);
                    prop_assert_eq!(class.size() % layout.align().min(class.size()), 0);
                    prop_assert!(class.size() >= layout.align() || layout.align() <= 16);
                    if layout.align() <= 16 && size > 64 {
                        prop_assert!(class.size() * 4 <= size * 5 + 60);
                    }
                }
                None => prop_assert!(size.max(layout.align()) > LARGEST_CLASS / 2),
            }
        }
    }
}
