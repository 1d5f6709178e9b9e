//! The private pages of a process: the worker context with the allocator's part, and the
//! representation table.
//!
//! Owns their mapping, which the first copy of the runtime in a process makes when it is loaded, and
//! the layout of the allocator's part. All of it is valid when zero, and zero means: nobody is
//! attached, no region is mapped, no superblock is held.
#![allow(unsafe_code)] // fixed addresses, and a constructor

use super::classes::CLASSES;
use super::copies::Copies;
use super::journal::Journal;
use super::keep::Look;
use super::objects::Holdings;
use super::rc::Owed;
use super::superblock::{Meta, Realm};
use crate::abi::{
    CONTEXT_ADDR, CONTEXT_SIZE, HEAP_CONTEXT_ADDR, REPRESENTATION_STRIDE, REPRESENTATIONS_ADDR,
    RUNTIME_ABI,
};
use crate::sys::memory::{self, MemoryError};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;

/// Last word of the context: says who mapped it.
const MARK_ADDR: usize = CONTEXT_ADDR + CONTEXT_SIZE - 8;
const MARK: u64 = 0x6473_7563_7478_0000 | RUNTIME_ABI as u64;
const REPRESENTATIONS_SIZE: usize = 65536 * REPRESENTATION_STRIDE;
/// Exit code of a process that cannot have its private pages (EX_OSERR).
const EXIT_NO_CONTEXT: i32 = 71;

const _: () = assert!(HEAP_CONTEXT_ADDR + size_of::<HeapContext>() <= MARK_ADDR);

/// The superblock of one class from which this worker takes blocks, and those to go on with.
#[repr(C)]
pub(super) struct ClassContext {
    /// Bitmap word in which to look next; null without a current superblock.
    pub(super) word: Cell<*const AtomicU64>,
    /// Address of the block of that word's bit 0.
    pub(super) base: Cell<usize>,
    /// Metadata of the current superblock.
    pub(super) meta: Cell<*const Meta>,
    /// The current superblock and the first of the partly used ones, as number + 1.
    pub(super) current: Cell<u32>,
    pub(super) partial: Cell<u32>,
}

/// The allocator's part of the worker context; only the worker's own thread touches it.
#[repr(C)]
pub(super) struct HeapContext {
    /// Descriptors + 1 of control, roots and heap; 0 until the regions are mapped.
    descriptors: [Cell<i32>; 3],
    /// Empty superblocks that are kept for the next need.
    pub(super) empties: Cell<u32>,
    /// Bytes of `--heap`, and those of them that only the reserve may use.
    pub(super) heap_bytes: Cell<usize>,
    pub(super) reserve_bytes: Cell<usize>,
    /// Bytes of converted copies, which lie outside of the heap; see `private`.
    pub(super) private_bytes: Cell<usize>,
    /// Where the last large block was found, as offset in its realm.
    pub(super) large_cursor: [Cell<u32>; 2],
    /// For memory that is kept; see `keep`.
    pub(super) look: Look,
    pub(super) classes: [[ClassContext; CLASSES]; 2],
    /// Open conversions; see `transaction`.
    pub(super) journal: Journal,
    /// What this section has read in another form.
    pub(super) copies: Copies,
    /// Objects to which this worker has handles.
    pub(super) holdings: Holdings,
    /// Handles to shared nodes that are dropped and not counted down yet.
    pub(super) owed: Owed,
}

/// Index into `HeapContext::descriptors`.
#[derive(Clone, Copy)]
pub(super) enum Descriptor {
    Control = 0,
    Roots = 1,
    Heap = 2,
}

impl HeapContext {
    /// That of this process.
    #[inline]
    pub(super) fn current() -> &'static HeapContext {
        // SAFETY: `map_on_load` mapped it before any code of this copy runs, and nobody unmaps it;
        // all fields are valid when zero and interior mutable. It is not `Sync`: callers have
        // checked that they are the worker's thread, or run before there is one.
        unsafe { &*(HEAP_CONTEXT_ADDR as *const HeapContext) }
    }

    pub(super) fn set_descriptor(&self, which: Descriptor, raw: i32) {
        self.descriptors[which as usize].set(raw + 1);
    }

    /// A descriptor of the regions; `None` where this process mapped none.
    pub(super) fn descriptor(&self, which: Descriptor) -> Option<BorrowedFd<'static>> {
        let raw = self.descriptors[which as usize].get() - 1;
        // SAFETY: `Regions::map` put it here and keeps it open for the life of the process.
        (raw >= 0).then(|| unsafe { BorrowedFd::borrow_raw(raw) })
    }

    pub(super) fn file_of(&self, realm: Realm) -> Option<BorrowedFd<'static>> {
        self.descriptor(match realm {
            Realm::Roots => Descriptor::Roots,
            Realm::Heap => Descriptor::Heap,
        })
    }
}

/// Why a process cannot have its private pages.
#[derive(Debug)]
pub enum ContextError {
    /// They cannot be mapped.
    Memory(MemoryError),
    /// Something else lies at their address, or a copy of the runtime with another ABI.
    Taken,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContextError::Memory(error) => error.fmt(f),
            ContextError::Taken => write!(
                f,
                "the worker context at {CONTEXT_ADDR:#x} belongs to something else: build host and versions with the same runtime"
            ),
        }
    }
}

impl std::error::Error for ContextError {}

/// Maps the private pages of this process, zeroed, unless another copy of the runtime has.
///
/// # Errors
/// They cannot be mapped, or hold something else.
pub fn ensure_context() -> Result<(), ContextError> {
    let is_taken = |error: &MemoryError| {
        matches!(error, MemoryError::NotMapped { source, .. }
            if source.kind() == io::ErrorKind::AlreadyExists)
    };
    match memory::map_private("the worker context", CONTEXT_ADDR, CONTEXT_SIZE) {
        Ok(()) => {
            memory::map_private(
                "the representation table",
                REPRESENTATIONS_ADDR,
                REPRESENTATIONS_SIZE,
            )
            .map_err(ContextError::Memory)?;
            // SAFETY: mapped just now; constructors of libraries run one at a time, so nobody else
            // looks before both ranges and the mark are there.
            unsafe { (MARK_ADDR as *mut u64).write(MARK) };
            Ok(())
        }
        Err(error) if is_taken(&error) => match memory::peek(MARK_ADDR) {
            Some(MARK) => Ok(()),
            _ => Err(ContextError::Taken),
        },
        Err(error) => Err(ContextError::Memory(error)),
    }
}

/// Runs when this copy of the runtime is loaded: before `main`, or inside `dlopen`.
#[ctor::ctor(unsafe)]
fn map_on_load() {
    if let Err(error) = ensure_context() {
        eprintln!("dsu: {error}");
        // SAFETY: ends the process; nothing of it has started that would need to be ended first.
        unsafe { libc::_exit(EXIT_NO_CONTEXT) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Representation, WorkerContext};
    use crate::ids::Tag;

    #[test]
    fn the_context_is_there_at_start_and_stays_when_asked_again() {
        assert!(!WorkerContext::current().is_attached());
        assert!(!Representation::of(Tag::LAST).is_known());
        ensure_context().unwrap();
        assert_eq!(memory::peek(MARK_ADDR), Some(MARK));
    }
}
