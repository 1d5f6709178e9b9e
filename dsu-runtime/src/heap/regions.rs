//! The shared regions: making them, once, and mapping them, in every process.
//!
//! Owns which memfd lies where, and the control header that says what the regions were made for.
//! Knows nothing of what the other parts of the control region hold.
#![allow(unsafe_code)] // fixed addresses

use super::context::{Descriptor, HeapContext};
use super::ledger::Ledger;
use crate::abi::{
    ALIAS_ADDR, CONTROL_ADDR, CONTROL_SIZE, HEAP_ADDR, HEAP_REALM_STRIDE, HEAP_REALMS_OFFSET,
    HEAP_SIZE, HEAP_SLOTS_OFFSET, LIVE_OF_COMPLEMENTS, LIVE_OFFSET, LIVE_STRIDE, MAX_WORKERS,
    OBJECTS_OFFSET, OBJECTS_SIZE, ROOTS_ADDR, ROOTS_SIZE, RUNTIME_ABI, WorkerContext,
};
use crate::ids::WorkerSlot;
use crate::sys::memory::{self, Access, MemoryError, PAGE_SIZE};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How much memory roots and heap may occupy, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapLimits {
    /// All of it.
    pub heap_bytes: usize,
    /// The part that only recovery and rollback may use (`WorkerContext::reserve`).
    pub reserve_bytes: usize,
}

/// The memory files behind the regions, as the supervisor hands them to each process.
#[derive(Debug)]
pub struct RegionFds {
    /// Worker slots, guard slots, counters, all allocator metadata.
    pub control: OwnedFd,
    /// Item tuples of guards.
    pub roots: OwnedFd,
    /// Blocks.
    pub heap: OwnedFd,
}

/// What a process may do with the regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads roots and heap, writes the control region.
    Supervisor,
    /// Writes everything, and has the alias.
    Worker,
}

/// The regions of this process. They stay mapped, and their files open, until it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regions {
    limits: HeapLimits,
}

/// Why there are no regions.
#[derive(Debug)]
pub enum RegionError {
    /// The system refused memory.
    Memory(MemoryError),
    /// The limits make no sense.
    Limits(HeapLimits),
    /// The files were not made by this runtime: what their header says.
    Foreign(String),
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionError::Memory(error) => error.fmt(f),
            RegionError::Limits(limits) => write!(
                f,
                "a heap of {} bytes with a reserve of {} is not possible: the heap must be larger than its reserve and at most {HEAP_SIZE} bytes",
                limits.heap_bytes, limits.reserve_bytes
            ),
            RegionError::Foreign(what) => write!(
                f,
                "the shared regions belong to another runtime ({what}): build host and versions with the same one"
            ),
        }
    }
}

impl std::error::Error for RegionError {}

impl From<MemoryError> for RegionError {
    fn from(error: MemoryError) -> Self {
        RegionError::Memory(error)
    }
}

/// First bytes of the control region. Written once, before anybody else has the file.
#[repr(C)]
#[derive(Clone, Copy)]
struct ControlHeader {
    magic: u64,
    abi: u32,
    _reserved: u32,
    heap_bytes: u64,
    reserve_bytes: u64,
}

const MAGIC: u64 = u64::from_le_bytes(*b"dsu-ctl\x01");

impl Regions {
    /// Makes the memory files and writes the control header. Maps nothing.
    ///
    /// # Errors
    /// No memfd, no memory for the first pages, or senseless limits.
    pub fn create(limits: HeapLimits) -> Result<RegionFds, RegionError> {
        if limits.heap_bytes > HEAP_SIZE || limits.reserve_bytes >= limits.heap_bytes {
            return Err(RegionError::Limits(limits));
        }
        let fds = RegionFds {
            control: memory::create_memfd(c"dsu-control", CONTROL_SIZE)?,
            roots: memory::create_memfd(c"dsu-roots", ROOTS_SIZE)?,
            heap: memory::create_memfd(c"dsu-heap", HEAP_SIZE)?,
        };
        let control = fds.control.as_fd();
        commit_control(control, 0, OBJECTS_OFFSET + OBJECTS_SIZE)?;
        let allocator = HEAP_REALMS_OFFSET + 2 * HEAP_REALM_STRIDE - HEAP_SLOTS_OFFSET;
        commit_control(control, HEAP_SLOTS_OFFSET, allocator)?;
        // Of the live counts, those of the first representations: more than any application has.
        for slot in 0..MAX_WORKERS {
            for part in [0, LIVE_OF_COMPLEMENTS] {
                let row = LIVE_OFFSET + slot * LIVE_STRIDE;
                commit_control(control, row + part, PAGE_SIZE)?;
            }
        }
        for (offset, bytes) in Ledger::first_pages() {
            commit_control(control, offset, bytes)?;
        }
        let header = ControlHeader {
            magic: MAGIC,
            abi: RUNTIME_ABI,
            _reserved: 0,
            heap_bytes: limits.heap_bytes as u64,
            reserve_bytes: limits.reserve_bytes as u64,
        };
        // SAFETY: writes the bytes of a plain local value to a file.
        let written = unsafe {
            libc::pwrite(
                control.as_raw_fd(),
                (&raw const header).cast(),
                size_of::<ControlHeader>(),
                0,
            )
        };
        if written != size_of::<ControlHeader>() as isize {
            return Err(RegionError::Memory(MemoryError::NotCommitted {
                name: "the control header".to_owned(),
                bytes: size_of::<ControlHeader>(),
                source: std::io::Error::last_os_error(),
            }));
        }
        Ok(fds)
    }

    /// Maps the regions into this process, at their addresses, for good.
    ///
    /// # Errors
    /// An address is taken, or the files were made by another runtime.
    pub(crate) fn map(fds: RegionFds, role: Role) -> Result<Regions, RegionError> {
        let limits = read_header(fds.control.as_fd())?;
        let access = match role {
            Role::Supervisor => Access::Read,
            Role::Worker => Access::ReadWrite,
        };
        let map = |name, fd: &OwnedFd, address, bytes, access| {
            memory::map_shared(name, fd.as_fd(), address, bytes, access)
        };
        map(
            "the control region",
            &fds.control,
            CONTROL_ADDR,
            CONTROL_SIZE,
            Access::ReadWrite,
        )?;
        map("the roots", &fds.roots, ROOTS_ADDR, ROOTS_SIZE, access)?;
        map("the heap", &fds.heap, HEAP_ADDR, HEAP_SIZE, access)?;
        if role == Role::Worker {
            map(
                "the alias of the roots",
                &fds.roots,
                ALIAS_ADDR,
                ROOTS_SIZE,
                access,
            )?;
            map(
                "the alias of the heap",
                &fds.heap,
                ALIAS_ADDR + ROOTS_SIZE,
                HEAP_SIZE,
                access,
            )?;
        }
        let context = HeapContext::current();
        context.heap_bytes.set(limits.heap_bytes);
        context.reserve_bytes.set(limits.reserve_bytes);
        // The descriptors stay open as long as the mappings: the allocator commits through them.
        for (which, fd) in [
            (Descriptor::Control, fds.control),
            (Descriptor::Roots, fds.roots),
            (Descriptor::Heap, fds.heap),
        ] {
            context.set_descriptor(which, std::os::fd::IntoRawFd::into_raw_fd(fd));
        }
        Ok(Regions { limits })
    }

    /// Makes regions that nobody else has, and the calling thread their only worker: for tests and
    /// benchmarks of containers, without a server.
    ///
    /// # Errors
    /// As [`create`](Self::create), and where this process has regions already.
    pub fn alone(limits: HeapLimits) -> Result<Regions, RegionError> {
        let regions = Self::map(Self::create(limits)?, Role::Worker)?;
        WorkerContext::current().attach(WorkerSlot(0));
        Ok(regions)
    }

    /// What the regions were made for.
    pub fn limits(&self) -> HeapLimits {
        self.limits
    }

    /// Commits a range of the control region, so that nobody who touches it can fault: for tables
    /// that grow. Offset and length in bytes.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn commit_control(offset: usize, bytes: usize) -> Result<(), RegionError> {
        match HeapContext::current().descriptor(Descriptor::Control) {
            Some(control) => Ok(commit_control(control, offset, bytes)?),
            None => Err(RegionError::Foreign("no regions are mapped".to_owned())),
        }
    }
}

fn commit_control(fd: BorrowedFd<'_>, offset: usize, bytes: usize) -> Result<(), MemoryError> {
    memory::commit(fd, offset, bytes).map_err(|source| MemoryError::NotCommitted {
        name: "the control region".to_owned(),
        bytes,
        source,
    })
}

fn read_header(control: BorrowedFd<'_>) -> Result<HeapLimits, RegionError> {
    let mut header = std::mem::MaybeUninit::<ControlHeader>::zeroed();
    // SAFETY: reads at most the size of `header` into it; any bytes are a valid `ControlHeader`.
    let (read, header) = unsafe {
        let read = libc::pread(
            control.as_raw_fd(),
            header.as_mut_ptr().cast(),
            size_of::<ControlHeader>(),
            0,
        );
        (read, header.assume_init())
    };
    if read != size_of::<ControlHeader>() as isize || header.magic != MAGIC {
        return Err(RegionError::Foreign("no control header".to_owned()));
    }
    if header.abi != RUNTIME_ABI {
        return Err(RegionError::Foreign(format!(
            "ABI {} instead of {RUNTIME_ABI}",
            header.abi
        )));
    }
    Ok(HeapLimits {
        heap_bytes: header.heap_bytes as usize,
        reserve_bytes: header.reserve_bytes as usize,
    })
}
