//! Making and mapping regions, and what bad ones get.
#![allow(unsafe_code)] // looks at fixed addresses

use super::testing::{ROOMY, fork_worker, reap, test_name, with_regions};
use super::*;
use crate::abi::{ALIAS_ADDR, CONTROL_ADDR, HEAP_ADDR, ROOTS_ADDR, RUNTIME_ABI, WorkerContext};
use crate::ids::WorkerSlot;
use crate::sys::memory::peek;
use std::alloc::Layout;
use std::os::fd::AsRawFd;

const LAYOUT: Layout = Layout::new::<[u64; 4]>();

#[test]
fn the_alias_shows_roots_and_heap() {
    with_regions(test_name!("the_alias_shows_roots_and_heap"), ROOMY, || {
        WorkerContext::current().attach(WorkerSlot(0));
        for block in [allocate(LAYOUT).unwrap(), allocate_root(LAYOUT).unwrap()] {
            let address = block.as_ptr() as usize;
            // SAFETY: our new block of 32 bytes.
            unsafe { block.cast::<u64>().write(address as u64) };
            let alias = address - ROOTS_ADDR + ALIAS_ADDR;
            assert_eq!(peek(alias), Some(address as u64));
        }
    });
}

#[test]
fn a_second_mapping_is_refused_and_harms_nothing() {
    with_regions(
        test_name!("a_second_mapping_is_refused_and_harms_nothing"),
        ROOMY,
        || {
            let other = Regions::create(ROOMY).unwrap();
            let error = Regions::map(other, Role::Worker).unwrap_err().to_string();
            assert!(
                error.starts_with("cannot map the control region at 0x1"),
                "{error}"
            );
            WorkerContext::current().attach(WorkerSlot(0));
            assert!(allocate(LAYOUT).is_ok());
        },
    );
}

#[test]
fn files_of_another_runtime_are_refused_before_anything_is_mapped() {
    for (offset, what) in [(0, "no control header"), (8, "ABI 99")] {
        let fds = Regions::create(ROOMY).unwrap();
        // SAFETY: writes four bytes of a local value to our own file.
        let written = unsafe {
            libc::pwrite(
                fds.control.as_raw_fd(),
                (&raw const FOREIGN).cast(),
                4,
                offset,
            )
        };
        assert_eq!(written, 4);
        let error = Regions::map(fds, Role::Worker).unwrap_err().to_string();
        assert!(error.contains(what) && !error.contains('\n'), "{error}");
        assert_ne!(RUNTIME_ABI, FOREIGN);
    }
}

static FOREIGN: u32 = 99;

#[test]
fn senseless_limits_are_refused() {
    for (heap_bytes, reserve_bytes) in [(0, 0), (1 << 20, 1 << 20), (usize::MAX, 0)] {
        let limits = HeapLimits {
            heap_bytes,
            reserve_bytes,
        };
        let error = Regions::create(limits).unwrap_err().to_string();
        assert!(error.contains("not possible"), "{error}");
    }
}

#[test]
fn the_supervisor_reads_the_heap_and_cannot_write_it() {
    // No regions in this process: the children map them.
    let fds = Regions::create(ROOMY).unwrap();
    let child = fork_worker(0, || {
        Regions::map(fds, Role::Supervisor).unwrap();
        assert_eq!(peek(HEAP_ADDR), Some(0));
        assert_eq!(peek(ALIAS_ADDR), None);
        assert_ne!(peek(CONTROL_ADDR), Some(0));
        // SAFETY: ends this child by a fault, which is what is tested.
        unsafe { (HEAP_ADDR as *mut u64).write_volatile(1) };
    });
    assert_eq!(reap(child), None);
}
