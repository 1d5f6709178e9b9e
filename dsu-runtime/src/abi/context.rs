//! The private state of one worker, at one address for every copy of the runtime in its process.

use super::calls::{HostCalls, ReportKind};
use super::held::Held;
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
    /// What the release of a guard owes besides the lock word; see [`owe`](Self::owe).
    attention: Cell<u32>,
    /// The guards held now.
    pub(super) held: Held,
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
    /// The sweep or filling that this worker takes part in; 0 for none.
    pub sweeping: Cell<u32>,
    /// The innermost shared node that is being read or edited; null while none is (`heap::rc`).
    pub borrowed: Cell<*const OpenBorrow>,
    /// How many of those that are open are [`NodeUse::Edit`].
    pub open_edits: Cell<u32>,
    /// 1 while what is done in place may use the heap's reserve, as a conversion may.
    pub may_use_reserve: Cell<u32>,
    /// Calls into the host's copy of the runtime; null in a process without one.
    pub host: Cell<*const HostCalls>,
}

/// A shared node that is being read, edited or converted: on the stack of whoever does, so that nothing
/// is left of it when that ends or dies.
#[repr(C)]
pub struct OpenBorrow {
    /// Address of the node.
    pub node: usize,
    /// What is done to it at the moment.
    pub use_: Cell<NodeUse>,
    /// What was open before.
    pub outer: *const OpenBorrow,
}

/// What is done to a shared node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum NodeUse {
    /// Others may read it as well.
    Read,
    /// Nobody else does anything with it.
    Edit,
    /// A lens makes its value, or a copy of that, in another form: others may read it in the form that
    /// it has.
    Convert,
}

// Live counts follow on the next page (`heap::live`).
const _: () = assert!(size_of::<WorkerContext>() <= 0x1000);

impl WorkerContext {
    /// Other guards are held besides the first of the section.
    pub const OWES_OTHERS: u32 = 1;
    /// There are copies to be freed with the last guard (`heap::transaction`).
    pub const OWES_SCRATCH: u32 = 2;
    /// A shared node is being read or edited, whose guard must not be released meanwhile (`heap::rc`).
    pub const OWES_BORROWS: u32 = 4;
    /// Handles to shared nodes were dropped without the guard that they belong to (`heap::rc`).
    pub const OWES_HANDLES: u32 = 8;

    /// The context of this process.
    #[inline]
    pub(crate) fn current() -> &'static WorkerContext {
        // SAFETY: `heap::context` maps CONTEXT_ADDR, zeroed, before `main` or before dlopen of this
        // copy returns, and never unmaps it; all fields are valid when zero and interior mutable.
        // It is not `Sync`, and safe code reaches it only after a check of the thread.
        unsafe { &*(CONTEXT_ADDR as *const WorkerContext) }
    }

    /// Whether the calling thread is the worker that owns this process's context.
    #[inline]
    pub(crate) fn is_attached(&self) -> bool {
        self.thread.get() == thread_pointer()
    }

    /// Makes the calling thread the worker in `slot`, which holds nothing.
    pub(crate) fn attach(&self, slot: WorkerSlot) {
        self.thread.set(thread_pointer());
        self.owner.set(slot.owner());
        self.attention.set(0);
        self.holds_nothing();
    }

    /// Slot + 1 of this worker; 0 if nobody is attached.
    #[inline]
    pub(crate) fn owner(&self) -> u32 {
        self.owner.get()
    }

    /// Whether a release owes nothing but the lock word.
    #[inline]
    pub(crate) fn owes_nothing(&self) -> bool {
        self.attention.get() == 0
    }

    /// Whether the next release owes this.
    pub(crate) fn owes(&self, what: u32) -> bool {
        self.attention.get() & what != 0
    }

    /// The next release of a guard has this to do: one of the `OWES_` bits.
    pub(crate) fn owe(&self, what: u32) {
        self.attention.set(self.attention.get() | what);
    }

    /// It is done, or no longer wanted.
    pub(crate) fn paid(&self, what: u32) {
        self.attention.set(self.attention.get() & !what);
    }

    /// Hands a report to the host, if this process has one and this thread is its worker's.
    pub(crate) fn report(&self, kind: ReportKind, text: &str) {
        if !self.is_attached() || self.host.get().is_null() {
            return;
        }
        // SAFETY: the host set its table before it loaded any library, and never frees it; the text
        // is lent for the call.
        unsafe { ((*self.host.get()).report)(kind, text.as_ptr(), text.len()) };
    }

    /// This worker's record in the control region.
    ///
    /// # Panics
    /// If nobody is attached.
    #[inline]
    pub(crate) fn record(&self) -> &'static WorkerRecord {
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
