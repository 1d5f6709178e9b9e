//! Where blocks come from: power-of-two classes cut from the heap's addresses of one process.
#![allow(unsafe_code)] // hands out raw memory

use super::transaction;
use crate::abi::{HEAP_ADDR, HEAP_SIZE};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

struct Heap {
    next: usize,
    free: BTreeMap<usize, Vec<usize>>,
}

static HEAP: Mutex<Heap> = Mutex::new(Heap {
    next: 0,
    free: BTreeMap::new(),
});

fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(16);
    let step = (size.next_power_of_two() / 4).max(16);
    let rounded = size.next_multiple_of(step);
    if layout.align() > 16 {
        rounded.next_power_of_two()
    } else {
        rounded
    }
}

/// A block for `layout`.
///
/// # Errors
/// `HeapFull`.
pub fn allocate(layout: Layout) -> Result<NonNull<u8>, HeapFull> {
    let class = class(layout);
    let mut heap = HEAP.lock().unwrap_or_else(PoisonError::into_inner);
    if heap.next == 0 {
        // SAFETY: a fresh mapping at an address that nothing else uses.
        let mapped = unsafe {
            libc::mmap(
                HEAP_ADDR as *mut _,
                HEAP_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };
        if mapped as usize != HEAP_ADDR {
            return Err(HeapFull);
        }
        heap.next = HEAP_ADDR;
    }
    let address = match heap.free.get_mut(&class).and_then(Vec::pop) {
        Some(address) => address,
        None => {
            let address = heap.next.next_multiple_of(layout.align().max(16));
            if address + class > HEAP_ADDR + HEAP_SIZE {
                return Err(HeapFull);
            }
            heap.next = address + class;
            address
        }
    };
    drop(heap);
    let block = NonNull::new(address as *mut u8).ok_or(HeapFull)?;
    transaction::allocated(block, layout);
    Ok(block)
}

/// Gives a block back.
///
/// # Safety
/// `ptr` came from [`allocate`] with a layout of the same class.
pub unsafe fn deallocate(ptr: NonNull<u8>, layout: Layout) {
    if !transaction::defers(ptr, layout) {
        release(ptr, layout);
    }
}

/// Gives a block back now.
pub(super) fn release(ptr: NonNull<u8>, layout: Layout) {
    let mut heap = HEAP.lock().unwrap_or_else(PoisonError::into_inner);
    let class = class(layout);
    // SAFETY: the block is free; poison makes a use after free visible.
    unsafe { std::ptr::write_bytes(ptr.as_ptr(), 0xdd, class.min(4096)) };
    heap.free
        .entry(class)
        .or_default()
        .push(ptr.as_ptr() as usize);
}

/// Bytes that the block really has.
///
/// # Safety
/// As for [`deallocate`].
pub unsafe fn usable_size(_ptr: NonNull<u8>, layout: Layout) -> usize {
    class(layout)
}
