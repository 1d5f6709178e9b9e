//! Notices the supervisor's death also in a worker that never waits: all that such a worker reads is
//! whether something is due, and that word is in memory that the supervisor writes.
//!
//! The kernel sends a signal when the process that started the worker dies, and its handler sets the
//! word. It belongs to the host's copy of the runtime: versions have copies of this file, and call none
//! of it. The signal is one of the last real-time signals, which nobody uses who counts from the first.
//!
//! When the handler runs, the worker has another parent, and the supervisor's descriptors are closed; its
//! pidfd may say so only a moment later. So the handler leaves a note of its own.
#![allow(unsafe_code)] // a word of the worker's record, from a signal handler

use crate::abi::WorkerRecord;
use crate::sys::process::{death_signal, signal_at_parents_death};
use std::ffi::c_int;
use std::io;
use std::os::unix::process::parent_id;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

static SUPERVISOR: AtomicU32 = AtomicU32::new(0);
static RECORD: AtomicPtr<WorkerRecord> = AtomicPtr::new(ptr::null_mut());
static HAS_DIED: AtomicBool = AtomicBool::new(false);

/// Runs on whichever thread the kernel chooses, at any moment: it only asks for a number and changes
/// atomics.
extern "C" fn on_death(_: c_int) {
    if parent_id() == SUPERVISOR.load(Ordering::Relaxed) {
        return; // somebody else's signal
    }
    HAS_DIED.store(true, Ordering::Release);
    // SAFETY: null, or a record in the control region, which is mapped as long as the process lives.
    if let Some(record) = unsafe { RECORD.load(Ordering::Acquire).as_ref() } {
        record
            .due
            .fetch_or(WorkerRecord::DUE_MESSAGE, Ordering::Release);
    }
}

/// From now on the death of the supervisor, this process's parent, is noticed.
///
/// # Errors
/// It is dead already, or the system's.
pub(in crate::worker) fn watch_supervisor(pid: u32) -> io::Result<()> {
    SUPERVISOR.store(pid, Ordering::Relaxed);
    signal_at_parents_death(death_signal(), on_death)?;
    // Of one that died before, no signal comes.
    if parent_id() == pid {
        Ok(())
    } else {
        Err(io::Error::other("the supervisor is gone"))
    }
}

/// Where to set the word. A death before is found at the first update point, which looks for it.
pub(in crate::worker) fn attend(record: &'static WorkerRecord) {
    RECORD.store(ptr::from_ref(record).cast_mut(), Ordering::Release);
}

/// Whether the signal has come.
pub(super) fn has_died() -> bool {
    HAS_DIED.load(Ordering::Acquire)
}
