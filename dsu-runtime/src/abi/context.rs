//! The private state of one worker, at one address for every copy of the runtime in its process.

use super::calls::HostCalls;
use super::layout::{CONTEXT_ADDR, CONTROL_ADDR, WORKER_STRIDE, WORKERS_OFFSET};
use super::slot::WorkerRecord;
use crate::ids::WorkerSlot;
use std::arch::asm;
use std::cell::Cell;

/// What a worker knows of itself. Mapped, zeroed, by the first copy of the runtime that is loaded;
/// until a worker takes it, [`WorkerContext::is_attached`] is false and every shared operation
/// refuses. Only the worker's own thread touches it, hence the cells.
#[repr(C)]
pub struct WorkerContext {
    /// The thread pointer of the worker's thread; 0 while nobody is attached.
    thread: Cell<usize>,
    /// Slot + 1, as written into lock words; 0 while nobody is attached.
    owner: Cell<u32>,
    /// Guards held now.
    pub depth: Cell<u32>,
    /// Conversions that are open; while not 0, containers copy before they write (`heap::transaction`).
    pub converting: Cell<u32>,
    /// 1 while the innermost open conversion only makes a copy to be read: its blocks are private
    /// (`heap::private`).
    pub copying: Cell<u32>,
    /// The epoll descriptor, -1 while there is none.
    pub epoll: Cell<i32>,
    /// The socket to the supervisor, -1 while there is none.
    pub channel: Cell<i32>,
    /// 1 from the moment new code is entered until its first update point.
    pub unconfirmed: Cell<u32>,
    /// The sweep that this worker takes part in; 0 for none.
    pub sweeping: Cell<u32>,
    /// Calls into the host's copy of the runtime; null in a process without one.
    pub host: Cell<*const HostCalls>,
}

impl WorkerContext {
    /// The context of this process.
    pub fn current() -> &'static WorkerContext {
        // SAFETY: `heap::context` maps CONTEXT_ADDR, zeroed, before `main` or before dlopen of this
        // copy returns, and never unmaps it; all fields are valid when zero and interior mutable.
        // It is not `Sync`, and safe code reaches it only after a check of the thread.
        unsafe { &*(CONTEXT_ADDR as *const WorkerContext) }
    }

    /// Whether the calling thread is the worker that owns this process's context.
    #[inline]
    pub fn is_attached(&self) -> bool {
        self.thread.get() == thread_pointer()
    }

    /// Makes the calling thread the worker in `slot`.
    pub fn attach(&self, slot: WorkerSlot) {
        self.thread.set(thread_pointer());
        self.owner.set(slot.owner());
    }

    /// Slot + 1 of this worker; 0 if nobody is attached.
    #[inline]
    pub fn owner(&self) -> u32 {
        self.owner.get()
    }

    /// This worker's record in the control region.
    ///
    /// # Panics
    /// If nobody is attached.
    #[inline]
    pub fn record(&self) -> &'static WorkerRecord {
        let slot = self
            .owner
            .get()
            .checked_sub(1)
            .expect("no worker is attached");
        WorkerRecord::at(WorkerSlot(slot))
    }
}

impl WorkerRecord {
    /// The record of `slot`. The control region must be mapped.
    #[inline]
    pub fn at(slot: WorkerSlot) -> &'static WorkerRecord {
        let address = CONTROL_ADDR + WORKERS_OFFSET + slot.0 as usize * WORKER_STRIDE;
        // SAFETY: a worker or supervisor maps the control region before it makes a `WorkerSlot`,
        // and never unmaps it; records are made of atomics that are valid when zero.
        unsafe { &*(address as *const WorkerRecord) }
    }
}

/// The thread pointer, unique among live threads of a process.
#[inline]
fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: on x86-64 Linux the word at fs:0 is the thread control block's own address.
    unsafe {
        asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly, pure))
    };
    pointer
}
