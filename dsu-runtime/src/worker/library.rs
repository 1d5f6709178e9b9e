//! The library's side of the call table: what the host can ask of a version.
//!
//! Every entry catches panics: an unwind never crosses into another copy of the runtime.
#![allow(unsafe_code)] // extern "C" entries over raw bytes

use super::carry;
use super::cx::Surroundings;
use super::hooks;
use crate::abi::{
    LibraryCalls, Parked, RUNTIME_ABI, RunArguments, RunOutcome, Sink, WorkerRegistration,
};
use crate::error::{RunError, panic_text};
use crate::ids::SweepId;
use crate::update;
use crate::version::{self, Binding};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

static CALLS: LibraryCalls = LibraryCalls {
    abi: RUNTIME_ABI,
    manifest,
    bind,
    convert_carry,
    run,
    move_items,
    fill,
    sweep,
    check,
};

/// What `dsu_library` returns.
pub fn library_calls() -> *const LibraryCalls {
    &raw const CALLS
}

/// A sink of the host, with its state.
struct Answer {
    sink: Sink,
    state: *mut c_void,
}

impl Answer {
    fn send(&self, bytes: &[u8]) {
        // SAFETY: the host passed sink and state together and waits for this call to return.
        unsafe { (self.sink)(self.state, bytes.as_ptr(), bytes.len()) };
    }

    /// Runs `body` with panics caught; sends what it returns, or why it did not.
    fn with(&self, body: impl FnOnce() -> Result<Vec<u8>, String>) -> bool {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(bytes)) => {
                self.send(&bytes);
                true
            }
            Ok(Err(reason)) => {
                self.send(reason.as_bytes());
                false
            }
            Err(payload) => {
                self.send(format!("panic: {}", panic_text(&*payload)).as_bytes());
                false
            }
        }
    }
}

/// Bytes that the host lends for one call.
///
/// # Safety
/// `bytes` points to `len` bytes that live for the call, or is null.
unsafe fn lent<'a>(bytes: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes, len) })
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

unsafe extern "C" fn manifest(sink: Sink, state: *mut c_void) -> bool {
    Answer { sink, state }.with(|| json(&version::collect().map_err(|error| error.to_string())?))
}

unsafe extern "C" fn bind(bytes: *const u8, len: usize, sink: Sink, state: *mut c_void) -> bool {
    Answer { sink, state }.with(|| {
        // SAFETY: the host lends the binding for this call.
        let bytes = unsafe { lent(bytes, len) }.unwrap_or_default();
        let binding: Binding = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        hooks::install(Some(binding.version));
        // SAFETY: the supervisor's registry gave out the slots and tags, of this library's manifest; the
        // host calls before it runs the application, or while that waits at an update point.
        unsafe { update::bind(&binding)? };
        Ok(Vec::new())
    })
}

unsafe extern "C" fn convert_carry(
    carry: *const u8,
    carry_len: usize,
    digest: *const u8,
    digest_len: usize,
    sink: Sink,
    state: *mut c_void,
) -> bool {
    Answer { sink, state }.with(|| {
        // SAFETY: the host lends both for this call.
        let (carry, digest) = unsafe { (lent(carry, carry_len), lent(digest, digest_len)) };
        let digest =
            str::from_utf8(digest.unwrap_or_default()).map_err(|error| error.to_string())?;
        carry::convert(carry.unwrap_or_default(), digest)
    })
}

unsafe extern "C" fn run(arguments: *const RunArguments) -> RunOutcome {
    // SAFETY: the host lends the arguments, and what they point to, for this call.
    let (answer, surroundings, encoded) = unsafe {
        let arguments = &*arguments;
        (
            Answer {
                sink: arguments.sink,
                state: arguments.sink_state,
            },
            lent(arguments.surroundings, arguments.surroundings_len).unwrap_or_default(),
            lent(arguments.carry, arguments.carry_len),
        )
    };
    let body = || {
        let surroundings: Surroundings = serde_json::from_slice(surroundings)
            .map_err(|error| RunError::CarryRefused(error.to_string()))?;
        carry::surround(surroundings);
        let worker = inventory::iter::<WorkerRegistration>
            .into_iter()
            .next()
            .ok_or_else(|| {
                RunError::CarryRefused("the library has no #[dsu::worker]".to_owned())
            })?;
        (worker.run)(encoded)
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(parcel)) => {
            answer.send(&parcel);
            RunOutcome::Crossed
        }
        Ok(Err(RunError::Failed(error))) => {
            answer.send(error.to_string().as_bytes());
            RunOutcome::Failed
        }
        Ok(Err(RunError::CarryRefused(reason))) => {
            answer.send(reason.as_bytes());
            RunOutcome::CarryRefused
        }
        Err(payload) => {
            answer.send(panic_text(&*payload).as_bytes());
            RunOutcome::Panicked
        }
    }
}

unsafe extern "C" fn move_items(forward: bool, sink: Sink, state: *mut c_void) -> bool {
    Answer { sink, state }.with(|| update::move_items(forward).map(|()| Vec::new()))
}

unsafe extern "C" fn fill(fill: u32, budget_ns: u64, sink: Sink, state: *mut c_void) -> bool {
    Answer { sink, state }.with(|| json(&update::fill(SweepId(fill), budget_ns)))
}

unsafe extern "C" fn sweep(
    sweep: u32,
    parked: Parked,
    budget_ns: u64,
    sink: Sink,
    state: *mut c_void,
) -> bool {
    Answer { sink, state }.with(|| json(&update::sweep(SweepId(sweep), parked, budget_ns)))
}

unsafe extern "C" fn check(sink: Sink, state: *mut c_void) -> bool {
    Answer { sink, state }.with(|| json(&update::check()))
}
