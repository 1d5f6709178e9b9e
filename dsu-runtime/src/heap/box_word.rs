//! The bytes of a `Versioned` box, whatever it holds.
//!
//! ```text
//! word        63..48 tag | 47..4 address of the block | 0: a chain of complements is attached
//! block       value | padding to 8 | address of the first complement, if bit 0 is set
//! complement  0 older tag | 2 newer tag | 8 address of the next, 0 for none | 16, or more by its
//!             alignment: value
//! ```
//! A box without complements costs its word and its value. Knows nothing of lenses.
#![allow(unsafe_code)] // raw blocks

use super::block;
use super::live;
use crate::abi::{Converter, Representation, WorkerContext};
use crate::error::HeapFull;
use crate::ids::Tag;
use std::alloc::Layout;
use std::ptr::NonNull;

pub(super) const ADDRESS: u64 = 0x0000_ffff_ffff_fff0;
const CHAINED: u64 = 1;

/// The word of a box. Never zero while the box lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct BoxWord(pub(super) u64);

impl BoxWord {
    pub(super) fn new(tag: Tag, block: NonNull<u8>, chain: Option<NonNull<Complement>>) -> BoxWord {
        let address = block.as_ptr() as u64;
        debug_assert_eq!(address & !ADDRESS, 0);
        let flag = if chain.is_some() { CHAINED } else { 0 };
        BoxWord(u64::from(tag.0) << 48 | address | flag)
    }

    #[inline]
    pub(super) fn tag(self) -> Tag {
        Tag((self.0 >> 48) as u16)
    }

    #[inline]
    pub(super) fn address(self) -> usize {
        (self.0 & ADDRESS) as usize
    }

    /// The block; its first bytes are the value.
    #[inline]
    pub(super) fn block(self) -> NonNull<u8> {
        NonNull::new(self.address() as *mut u8).expect("a live box has a block")
    }

    pub(super) fn is_chained(self) -> bool {
        self.0 & CHAINED != 0
    }

    /// The first complement.
    ///
    /// # Safety
    /// A live box whose value is of `form`.
    pub(super) unsafe fn chain(self, form: Form) -> Option<NonNull<Complement>> {
        if !self.is_chained() {
            return None;
        }
        // SAFETY: the flag says that the block has the word behind the value.
        let address = unsafe { self.block().add(form.chain_offset()).cast::<u64>().read() };
        NonNull::new(address as *mut Complement)
    }
}

/// Size and alignment of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub(super) size: usize,
    pub(super) align: usize,
}

impl Form {
    pub(super) const fn of<T>() -> Form {
        Form {
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }

    fn chain_offset(self) -> usize {
        self.size.next_multiple_of(8)
    }

    /// Layout of the block of a box, with or without the word for complements.
    pub(super) fn layout(self, is_chained: bool) -> Result<Layout, HeapFull> {
        let size = if is_chained {
            self.chain_offset() + 8
        } else {
            self.size
        };
        block::layout(size, self.align)
    }

    /// Writes the word for complements.
    ///
    /// # Safety
    /// `block` has the layout of this form with complements and may be written.
    pub(super) unsafe fn set_chain(self, block: NonNull<u8>, chain: Option<NonNull<Complement>>) {
        let address = chain.map_or(0, |first| first.as_ptr() as u64);
        // SAFETY: by the caller.
        unsafe {
            block.add(self.chain_offset()).cast::<u64>().write(address);
        }
    }
}

/// What the loaded libraries know of `tag`; asks the host to load one that knows it.
pub(super) fn known(tag: Tag) -> Option<&'static Representation> {
    if !Representation::of(tag).is_known() {
        let host = WorkerContext::current().host.get();
        // SAFETY: null, or the host's call table, which lives as long as the process.
        let calls = unsafe { host.as_ref() }?;
        if tag == Tag::NONE || !(calls.load_representation)(tag.0) {
            return None;
        }
    }
    let entry = Representation::of(tag);
    entry.is_known().then_some(entry)
}

impl From<&Representation> for Form {
    fn from(entry: &Representation) -> Form {
        Form {
            size: entry.size as usize,
            align: entry.align.max(1) as usize,
        }
    }
}

/// The two ends of a lens, which name its complement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) older: Tag,
    pub(super) newer: Tag,
}

impl Ends {
    pub(super) fn of(from: Tag, converter: &Converter) -> Ends {
        let target = Tag(converter.target);
        if converter.forward {
            Ends {
                older: from,
                newer: target,
            }
        } else {
            Ends {
                older: target,
                newer: from,
            }
        }
    }
}

/// Head of a block that holds one complement.
#[repr(C)]
pub(super) struct Complement {
    older: u16,
    newer: u16,
    /// Not 0: it was kept by a conversion from the older end to the newer.
    was_forward: u32,
    next: u64,
}

impl Complement {
    fn offset(converter: &Converter) -> usize {
        size_of::<Complement>().next_multiple_of(converter.complement_align.max(1) as usize)
    }

    pub(super) fn layout(converter: &Converter) -> Result<Layout, HeapFull> {
        let size = Self::offset(converter) + converter.complement_size as usize;
        block::layout(size, converter.complement_align as usize)
    }

    /// A block for a complement of the lens; its value is not written yet.
    pub(super) fn allocate(
        ends: Ends,
        converter: &Converter,
        next: Option<NonNull<Complement>>,
    ) -> Result<NonNull<Complement>, HeapFull> {
        let layout = Self::layout(converter)?;
        let block = block::allocate(layout)?.cast();
        live::add_complement(ends.newer, layout.size() as i32);
        // SAFETY: a new block, large enough for the head.
        unsafe {
            block.write(Complement {
                older: ends.older.0,
                newer: ends.newer.0,
                was_forward: u32::from(converter.forward),
                next: next.map_or(0, |next: NonNull<Complement>| next.as_ptr() as u64),
            });
        }
        Ok(block)
    }

    pub(super) fn ends(&self) -> Ends {
        Ends {
            older: Tag(self.older),
            newer: Tag(self.newer),
        }
    }

    /// The lens that kept it. That of the other direction may keep something else: of a tuple's items,
    /// those that only the other side has. It may be there though no library here has its source's form: that
    /// of a version that is gone.
    pub(super) fn converter(&self) -> Option<&'static Converter> {
        let (from, to) = match self.was_forward {
            0 => (Tag(self.newer), Tag(self.older)),
            _ => (Tag(self.older), Tag(self.newer)),
        };
        let find = || Representation::of(from).converter_of(to, self.was_forward != 0);
        find().or_else(|| known(from).and_then(|_| find()))
    }

    pub(super) fn next(&self) -> Option<NonNull<Complement>> {
        NonNull::new(self.next as *mut Complement)
    }

    pub(super) fn set_next(&mut self, next: Option<NonNull<Complement>>) {
        self.next = next.map_or(0, |next| next.as_ptr() as u64);
    }

    /// Where the value is in a complement's block.
    pub(super) fn value(block: NonNull<Complement>, converter: &Converter) -> *mut u8 {
        block
            .as_ptr()
            .cast::<u8>()
            .wrapping_add(Self::offset(converter))
    }
}
