//! Crash points without a line of code in what is tested: wherever a worker has stored into the
//! control region, it is judged what its death there would leave.
//!
//! The worker runs with that region write-protected. A store faults; the handler lifts the
//! protection and lets that one instruction run (the trap flag), then the worker waits for the judge,
//! who gets copies of the three regions, at the same addresses, in a process of its own. Nobody dies,
//! and one run of a scenario covers every store that others can see made, and what comes after it
//! not. Counting the points of a run and dying at each is how redb tests its files.
#![allow(unsafe_code)] // signal handlers, fork, mappings

use super::context::{Descriptor, HeapContext};
use super::testing::{fork_worker, kill, reap};
use crate::abi::{
    ALIAS_ADDR, CONTROL_ADDR, CONTROL_SIZE, HEAP_ADDR, HEAP_SIZE, ROOTS_ADDR, ROOTS_SIZE,
};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::c_int;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

/// Runs `body` as the worker in `slot`. After each of its stores into the control region, `judge`
/// runs in a process with copies of the regions in which that worker never went on. Nobody else may
/// act meanwhile. Returns how many points were judged.
///
/// # Panics
/// If a judge panics, which says what the worker had done; or the worker does.
pub(crate) fn at_every_store(slot: u32, body: impl FnOnce(), judge: impl Fn()) -> usize {
    at_every_store_there(slot, 0..0, body, judge)
}

/// As [`at_every_store`], with the stores into some pages of roots or heap besides.
pub(crate) fn at_every_store_there(
    slot: u32,
    pages: Range<usize>,
    body: impl FnOnce(),
    judge: impl Fn(),
) -> usize {
    PAGES[0].store(pages.start, Relaxed);
    PAGES[1].store(pages.end, Relaxed);
    let (stored, of_worker) = pipe();
    let (of_judge, go_on) = pipe();
    let child = fork_worker(slot, || {
        WORKER.store(of_worker, Relaxed);
        JUDGE.store(of_judge, Relaxed);
        for file in [stored, go_on] {
            // SAFETY: the parent's ends, of no use here; the parent's death shall be noticed.
            unsafe { libc::close(file) };
        }
        handle(libc::SIGSEGV, before_store);
        handle(libc::SIGTRAP, after_store);
        protect(libc::PROT_READ);
        body();
        protect(libc::PROT_READ | libc::PROT_WRITE);
    });
    for file in [of_worker, of_judge] {
        // SAFETY: the child's ends.
        unsafe { libc::close(file) };
    }
    let mut points = 0;
    while receive(stored) {
        points += 1;
        let judged = judge_copy(&judge);
        if judged != Some(0) {
            kill(child);
            reap(child);
            panic!("what the worker's death leaves at its store {points} is not sound");
        }
        send(go_on);
    }
    assert_eq!(reap(child), Some(0), "the worker failed by itself");
    for file in [stored, go_on] {
        // SAFETY: opened above.
        unsafe { libc::close(file) };
    }
    points
}

/// Where the worker says that it has stored, and hears that it may go on.
static WORKER: AtomicI32 = AtomicI32::new(-1);
static JUDGE: AtomicI32 = AtomicI32::new(-1);

/// First and end of the pages that are watched besides the control region.
static PAGES: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

fn pages() -> Range<usize> {
    PAGES[0].load(Relaxed)..PAGES[1].load(Relaxed)
}

/// Two descriptors: to read from, to write to.
fn pipe() -> (c_int, c_int) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    (ends[0], ends[1])
}

/// False at the end of what is sent.
fn receive(file: c_int) -> bool {
    let mut byte = 0_u8;
    // SAFETY: reads one byte into a local.
    unsafe { libc::read(file, (&raw mut byte).cast(), 1) == 1 }
}

fn send(file: c_int) {
    // SAFETY: writes one byte of a local.
    unsafe { libc::write(file, (&raw const file).cast(), 1) };
}

fn protect(access: c_int) {
    for range in [CONTROL_ADDR..CONTROL_ADDR + CONTROL_SIZE, pages()] {
        // SAFETY: mappings that stay; who is caught writing there goes through the handlers.
        let result =
            unsafe { libc::mprotect(range.start as *mut libc::c_void, range.len(), access) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: c_int, handler: Handler) {
    // SAFETY: the handlers make system calls only, and touch nothing but their arguments.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(
            libc::sigaction(signal, &raw const action, std::ptr::null_mut()),
            0
        );
    }
}

/// The flag that makes the processor stop after one instruction.
const TRAP: i64 = 0x100;

fn flags(context: *mut libc::c_void) -> *mut i64 {
    // SAFETY: the kernel passes a signal context to a handler that asked for it.
    unsafe {
        &raw mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_EFL as usize]
    }
}

extern "C" fn before_store(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as for `flags`; a fault elsewhere is a fault, and happens again without a handler.
    unsafe {
        let address = (*info).si_addr() as usize;
        if !(CONTROL_ADDR..CONTROL_ADDR + CONTROL_SIZE).contains(&address)
            && !pages().contains(&address)
        {
            libc::signal(signal, libc::SIG_DFL);
            return;
        }
        *flags(context) |= TRAP;
    }
    protect(libc::PROT_READ | libc::PROT_WRITE);
}

extern "C" fn after_store(_: c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as for `flags`.
    unsafe { *flags(context) &= !TRAP };
    send(WORKER.load(Relaxed));
    if !receive(JUDGE.load(Relaxed)) {
        // SAFETY: the one who asked for all this is gone.
        unsafe { libc::_exit(1) };
    }
    protect(libc::PROT_READ);
}

/// Runs `judge` in a child that sees copies of the regions; its exit code.
fn judge_copy(judge: &impl Fn()) -> Option<i32> {
    // SAFETY: as in `fork_worker`; nobody is attached in the child until the judge says so.
    match unsafe { libc::fork() } {
        0 => {
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for (which, homes) in [
                    (Descriptor::Control, &[(CONTROL_ADDR, CONTROL_SIZE)][..]),
                    (
                        Descriptor::Roots,
                        &[(ROOTS_ADDR, ROOTS_SIZE), (ALIAS_ADDR, ROOTS_SIZE)],
                    ),
                    (
                        Descriptor::Heap,
                        &[(HEAP_ADDR, HEAP_SIZE), (ALIAS_ADDR + ROOTS_SIZE, HEAP_SIZE)],
                    ),
                ] {
                    let file = HeapContext::current().descriptor(which);
                    replace_by_copy(file.expect("regions are mapped"), homes).unwrap();
                }
                judge();
            }));
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(if judged.is_ok() { 0 } else { 101 }) }
        }
        child => {
            assert!(child > 0, "{}", io::Error::last_os_error());
            reap(child)
        }
    }
}

/// Puts a copy of a memory file in its place: under its descriptor, and at every address.
fn replace_by_copy(file: BorrowedFd<'_>, homes: &[(usize, usize)]) -> io::Result<()> {
    let (address, size) = homes[0];
    let checked = |result: i64| match result {
        -1 => Err(io::Error::last_os_error()),
        fine => Ok(fine),
    };
    // SAFETY: system calls on files of this process; what is mapped anew was mapped before, at the
    // same address and of the same length, and holds the same bytes.
    unsafe {
        let copy = checked(libc::memfd_create(c"copy".as_ptr(), 0).into())? as i32;
        checked(libc::ftruncate(copy, size as i64).into())?;
        let mut at = 0;
        // Holes are left out; the last one ends the file.
        while let Ok(data) = checked(libc::lseek(file.as_raw_fd(), at, libc::SEEK_DATA)) {
            let hole = checked(libc::lseek(file.as_raw_fd(), data, libc::SEEK_HOLE))?;
            at = data;
            while at < hole {
                let bytes = (address + at as usize) as *const libc::c_void;
                at += checked(libc::pwrite(copy, bytes, (hole - at) as usize, at) as i64)?;
            }
        }
        checked(libc::dup2(copy, file.as_raw_fd()).into())?;
        libc::close(copy);
        for (address, size) in homes {
            let mapped = libc::mmap(
                *address as *mut libc::c_void,
                *size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            );
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}
