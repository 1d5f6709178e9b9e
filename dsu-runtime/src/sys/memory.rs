//! Memory from the kernel: memfds, fixed mappings, committing and giving back pages.
//!
//! Owns the system calls and their error texts. Knows nothing of what is kept in the memory.
#![allow(unsafe_code)] // system calls that take addresses

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bytes of a page, the unit of commitment.
pub const PAGE_SIZE: usize = 4096;

/// Why memory could not be had: one line that says what to look at.
#[derive(Debug)]
pub enum MemoryError {
    /// `memfd_create` failed.
    NoMemfd {
        /// Name of the memory.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The memfd could not be given its size or its seals.
    NotSized {
        /// Name of the memory.
        name: String,
        /// Bytes of addresses asked for.
        bytes: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else lies at the fixed address, or the kernel refuses it.
    NotMapped {
        /// Name of the memory.
        name: String,
        /// First address.
        address: usize,
        /// Length in bytes.
        bytes: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// The pages could not be committed.
    NotCommitted {
        /// Name of the memory.
        name: String,
        /// Bytes asked for.
        bytes: usize,
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::NoMemfd { name, source } => write!(
                f,
                "no memfd for {name}: {source}; check RLIMIT_NOFILE and that the kernel has memfd_create"
            ),
            MemoryError::NotSized {
                name,
                bytes,
                source,
            } => write!(
                f,
                "the memfd for {name} cannot have {bytes} bytes of addresses: {source}; check RLIMIT_FSIZE"
            ),
            MemoryError::NotMapped {
                name,
                address,
                bytes,
                source,
            } => write!(
                f,
                "cannot map {name} at {address:#x} ({bytes} bytes): {source}; check RLIMIT_AS, vm.overcommit_memory and what else is mapped there"
            ),
            MemoryError::NotCommitted {
                name,
                bytes,
                source,
            } => write!(
                f,
                "cannot commit {bytes} bytes for {name}: {source}; free some memory"
            ),
        }
    }
}

impl std::error::Error for MemoryError {}

/// Who may write through a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Loads only.
    Read,
    /// Loads and stores.
    ReadWrite,
}

impl Access {
    fn protection(self) -> libc::c_int {
        match self {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// A sparse memfd of `bytes` bytes, close-on-exec, sealed so that nobody can change its size.
///
/// # Errors
/// `NoMemfd`, `NotSized`.
pub fn create_memfd(name: &CStr, bytes: usize) -> Result<OwnedFd, MemoryError> {
    let shown = || name.to_string_lossy().into_owned();
    let create = |flags| {
        // SAFETY: `name` is a C string; the call has no other memory effect.
        unsafe { libc::memfd_create(name.as_ptr(), flags) }
    };
    let common = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let mut raw = create(common | libc::MFD_NOEXEC_SEAL);
    if raw < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        raw = create(common); // kernels before 6.3
    }
    if raw < 0 {
        return Err(MemoryError::NoMemfd {
            name: shown(),
            source: io::Error::last_os_error(),
        });
    }
    // SAFETY: the kernel just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: plain calls on a descriptor that we own.
    let failed = unsafe {
        libc::ftruncate(raw, bytes as libc::off_t) != 0
            || libc::fcntl(
                raw,
                libc::F_ADD_SEALS,
                libc::F_SEAL_SHRINK | libc::F_SEAL_GROW,
            ) != 0
    };
    if failed {
        return Err(MemoryError::NotSized {
            name: shown(),
            bytes,
            source: io::Error::last_os_error(),
        });
    }
    Ok(fd)
}

/// Maps a file shared, from its beginning, at exactly `address`. Never replaces a mapping.
///
/// # Errors
/// `NotMapped`.
pub fn map_shared(
    name: &str,
    fd: BorrowedFd<'_>,
    address: usize,
    bytes: usize,
    access: Access,
) -> Result<(), MemoryError> {
    map(
        name,
        fd.as_raw_fd(),
        address,
        bytes,
        access,
        libc::MAP_SHARED,
    )
}

/// Maps private zeroed memory at exactly `address`. Never replaces a mapping.
///
/// # Errors
/// `NotMapped`; its source is `EEXIST` where something is mapped there already.
pub fn map_private(name: &str, address: usize, bytes: usize) -> Result<(), MemoryError> {
    map(
        name,
        -1,
        address,
        bytes,
        Access::ReadWrite,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    )
}

fn map(
    name: &str,
    fd: libc::c_int,
    address: usize,
    bytes: usize,
    access: Access,
    flags: libc::c_int,
) -> Result<(), MemoryError> {
    let flags = flags | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
    // SAFETY: FIXED_NOREPLACE never touches a mapping that exists, so no live memory changes.
    let got = unsafe {
        libc::mmap(
            address as *mut libc::c_void,
            bytes,
            access.protection(),
            flags,
            fd,
            0,
        )
    };
    let source = if got == libc::MAP_FAILED {
        io::Error::last_os_error()
    } else if got as usize == address {
        return Ok(());
    } else {
        // SAFETY: a kernel without NOREPLACE took the address for a hint; this mapping is ours alone.
        unsafe { libc::munmap(got, bytes) };
        io::Error::from_raw_os_error(libc::EEXIST)
    };
    Err(MemoryError::NotMapped {
        name: name.to_owned(),
        address,
        bytes,
        source,
    })
}

/// Commits the pages of a range, so that touching them cannot fail.
///
/// # Errors
/// Whatever `fallocate` says: no memory, usually.
pub fn commit(fd: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<()> {
    if bytes == 0 {
        return Ok(()); // nothing will be touched; the kernel refuses the question
    }
    fallocate(fd, 0, offset, bytes)
}

/// Maps committed pages of a shared mapping for writing, all at once: each would cost a fault otherwise,
/// a good part of what it takes to fill it. What a kernel before 5.14 does not do is left to those faults.
pub fn populate(address: usize, bytes: usize) {
    // SAFETY: changes no byte and no mapping; where there is none it fails.
    unsafe {
        libc::madvise(
            address as *mut libc::c_void,
            bytes,
            libc::MADV_POPULATE_WRITE,
        )
    };
}

/// Gives the pages of a range back; they read as zero afterwards.
///
/// # Errors
/// Whatever `fallocate` says.
pub fn punch(fd: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<()> {
    fallocate(
        fd,
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        offset,
        bytes,
    )
}

fn fallocate(fd: BorrowedFd<'_>, mode: libc::c_int, offset: usize, bytes: usize) -> io::Result<()> {
    loop {
        // SAFETY: acts on the file alone. Who punches owns the range; see the callers.
        let done = unsafe {
            libc::fallocate(
                fd.as_raw_fd(),
                mode,
                offset as libc::off_t,
                bytes as libc::off_t,
            )
        };
        if done == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Bytes of memory that a memfd occupies now.
///
/// # Errors
/// Whatever `fstat` says.
pub fn committed_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` has room for the answer, and all zero is a valid one.
    let stat = unsafe {
        if libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat.assume_init()
    };
    Ok(stat.st_blocks as usize * 512)
}

/// Reads a word of this process that may not be mapped.
pub fn peek(address: usize) -> Option<u64> {
    let mut word = 0u64;
    let local = libc::iovec {
        iov_base: (&raw mut word).cast(),
        iov_len: 8,
    };
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: 8,
    };
    // SAFETY: the kernel checks the remote side, and `word` is eight bytes of ours.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    (read == 8).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn committed_bytes_follow_commit_and_punch() {
        let fd = create_memfd(c"dsu-test", 1 << 30).unwrap();
        assert_eq!(committed_bytes(fd.as_fd()).unwrap(), 0);
        commit(fd.as_fd(), 65536, 3 * PAGE_SIZE).unwrap();
        assert_eq!(committed_bytes(fd.as_fd()).unwrap(), 3 * PAGE_SIZE);
        punch(fd.as_fd(), 65536, PAGE_SIZE).unwrap();
        assert_eq!(committed_bytes(fd.as_fd()).unwrap(), 2 * PAGE_SIZE);
    }

    #[test]
    fn a_memfd_keeps_its_size() {
        let fd = create_memfd(c"dsu-test", 1 << 20).unwrap();
        // SAFETY: a plain call on our descriptor.
        let refused = unsafe { libc::ftruncate(fd.as_raw_fd(), 4096) };
        assert_eq!(refused, -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn a_taken_address_is_refused_in_one_line_and_left_alone() {
        const ADDRESS: usize = 0x5a00_0000_0000;
        map_private("test memory", ADDRESS, PAGE_SIZE).unwrap();
        // SAFETY: mapped just now, by this test alone.
        unsafe { (ADDRESS as *mut u64).write(7) };
        let fd = create_memfd(c"dsu-test", 1 << 20).unwrap();
        let text = map_shared(
            "other memory",
            fd.as_fd(),
            ADDRESS,
            1 << 20,
            Access::ReadWrite,
        )
        .unwrap_err()
        .to_string();
        assert!(text.contains("other memory at 0x5a0000000000"), "{text}");
        assert!(!text.contains('\n'));
        assert_eq!(peek(ADDRESS), Some(7));
        assert_eq!(peek(ADDRESS - PAGE_SIZE), None);
    }
}
