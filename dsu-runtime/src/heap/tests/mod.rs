//! Containers and boxes against models, with the heap failing at every point.
#![allow(unsafe_code)] // maps the regions and reads blocks

mod boxes;
mod cursor;
mod everything;
mod frozen;
mod models;

use super::{Shared, Visitor};
use crate::abi::{
    CONTEXT_ADDR, CONTEXT_SIZE, CONTROL_ADDR, CONTROL_SIZE, REPRESENTATION_STRIDE,
    REPRESENTATIONS_ADDR, WorkerContext,
};
use crate::error::HeapFull;
use crate::ids::{Tag, WorkerSlot};
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    static FAIL_AFTER: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Called before each allocation of a container.
pub(super) fn allocation_point() -> Result<(), HeapFull> {
    let left = FAIL_AFTER.get();
    if left == u64::MAX {
        return Ok(());
    }
    if left == 0 {
        return Err(HeapFull);
    }
    FAIL_AFTER.set(left - 1);
    Ok(())
}

/// Runs `call` with only `allocations` more blocks to be had.
fn failing_after<R>(allocations: u64, call: impl FnOnce() -> R) -> R {
    FAIL_AFTER.set(allocations);
    let result = call();
    FAIL_AFTER.set(u64::MAX);
    result
}

static ONE_WORKER: Mutex<()> = Mutex::new(());

/// The process's worker: one test at a time is it.
fn worker() -> MutexGuard<'static, ()> {
    let turn = ONE_WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    for (address, size) in [
        (CONTEXT_ADDR, CONTEXT_SIZE),
        (REPRESENTATIONS_ADDR, 65536 * REPRESENTATION_STRIDE),
        (CONTROL_ADDR, CONTROL_SIZE),
    ] {
        // SAFETY: fixed addresses that nothing else uses; an existing mapping is left alone.
        unsafe {
            libc::mmap(
                address as *mut _,
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            );
        }
    }
    let context = WorkerContext::current();
    context.attach(WorkerSlot(0));
    // Left open by a test that failed.
    context.converting.set(0);
    super::live::forget();
    turn
}

/// Everything that a value owns.
#[derive(Default)]
struct Owned {
    blocks: Vec<(NonNull<u8>, Layout)>,
    damage: Vec<String>,
}

impl Visitor for Owned {
    fn block(&mut self, pointer: NonNull<u8>, layout: Layout) {
        self.blocks.push((pointer, layout));
    }

    fn versioned(&mut self, word: &mut u64, _expected: Tag) {
        // SAFETY: the word of a live box.
        unsafe { super::visit_box(*word, self) };
    }

    fn damage(&mut self, what: &str) {
        self.damage.push(what.to_owned());
    }

    fn enter(&mut self) -> u64 {
        0
    }

    fn begin_anew(&mut self) {}

    fn is_spent(&self) -> bool {
        false
    }

    fn stopped_inside(&self) -> bool {
        false
    }

    fn leave(&mut self, _stopped_at: Option<u64>) {}
}

impl Owned {
    /// What `value` owns; fails where something is damaged or two blocks overlap.
    fn of<T: Shared>(value: &mut T) -> Owned {
        let mut owned = Owned::default();
        value.visit(&mut owned);
        assert_eq!(owned.damage, Vec::<String>::new());
        let mut ranges: Vec<_> = owned
            .blocks
            .iter()
            .map(|(start, layout)| (start.as_ptr() as usize, layout.size()))
            .collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "two owners of a block");
        }
        owned
    }

    /// The bytes of all blocks.
    fn bytes(&self) -> Vec<Vec<u8>> {
        let bytes_of = |(start, layout): &(NonNull<u8>, Layout)| {
            // SAFETY: a live block in a mapping of zeros; padding is read as what lies there.
            let at = |offset| unsafe { start.as_ptr().add(offset).read_volatile() };
            (0..layout.size()).map(at).collect()
        };
        self.blocks.iter().map(bytes_of).collect()
    }
}
