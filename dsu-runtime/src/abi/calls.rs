//! Call tables between the host's copy of the runtime and the copy in a version.
//!
//! Every function here catches panics on its own side: an unwind never crosses into another copy.

use super::registration::PrepareStatus;
use serde::{Deserialize, Serialize};
use std::ffi::c_void;

/// What an update point is to do; the answer of [`HostCalls::at_update_point`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Directive {
    /// Go on with the same version.
    Continue = 0,
    /// Leave with the carry: another version takes over.
    Cross = 1,
    /// Leave for good: the server drains or the supervisor is gone.
    Exit = 2,
}

/// What the running code does with notices, as far as its waits have shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum NoticeUse {
    /// It has not waited yet.
    Unknown = 0,
    /// Its buffer of events has no room for them.
    Ignores = 1,
    /// It takes them.
    Takes = 2,
}

/// What the sweep does with elements that have no form in its version (R13).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[repr(u32)]
pub enum Parked {
    /// They stay as they are.
    #[default]
    Kept = 0,
    /// What contains them drops them: a map its entry, a vector or queue its element, an option its
    /// content. The innermost of those that the box lies in does; one that lies in none stays, which
    /// counts as a failure. An object made at run time stays.
    Discarded = 1,
}

/// A change to what the worker's epoll set watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum WatchChange {
    /// Watch one more descriptor.
    Add = 0,
    /// Watch it under another token or for something else.
    Modify = 1,
    /// Watch it no longer.
    Delete = 2,
}

/// What a version tells the host, as JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ReportKind {
    /// A tracing event of the application.
    Log = 0,
    /// A panic, with its message, place and backtrace.
    Panic = 1,
    /// A transformer failed: guard, item, element, direction, reason.
    TransformFailed = 2,
    /// The version that the update goes to takes locks in an order that goes round with the other's
    /// (R16): guard, reason.
    LockOrder = 3,
}

/// Calls from a version into the host, at one address in the worker context.
#[repr(C)]
pub struct HostCalls {
    /// Something is due at the update point of this name (UTF-8).
    pub at_update_point:
        unsafe extern "C" fn(name: *const u8, len: usize, notices: NoticeUse) -> Directive,
    /// Loads whatever library knows the representation `tag`; true if it is known afterwards.
    pub load_representation: extern "C" fn(tag: u16) -> bool,
    /// Hands on a report (JSON, UTF-8).
    pub report: unsafe extern "C" fn(kind: ReportKind, text: *const u8, len: usize),
    /// One slice of the sweep or filling that this worker takes part in; true if there is more to do.
    pub walk: extern "C" fn() -> bool,
    /// The supervisor's socket is readable, or the supervisor is gone: takes note, so that
    /// something is due at the next update point.
    pub doorbell: extern "C" fn(),
    /// A descriptor from a carry was dropped before the new code is confirmed: it is closed then,
    /// and kept if the old version has to go on with it (R24).
    pub close_when_confirmed: extern "C" fn(fd: i32),
    /// Hands the waiting notices over, as bits of [`HostCalls::NOTICE_DRAIN`] and the like.
    pub take_notices: extern "C" fn() -> u32,
    /// The application has finished what it had when it was told to drain.
    pub drained: extern "C" fn(),
    /// Changes the epoll set, in a way that is undone if the crossing fails (R24): `(change, descriptor,
    /// token, epoll's event bits)`. 0, or the system's error number.
    pub watch: extern "C" fn(WatchChange, fd: i32, token: u64, interest: u32) -> i32,
}

impl HostCalls {
    /// The worker is to end; until when is in its record.
    pub const NOTICE_DRAIN: u32 = 1;
    /// The configuration may have changed.
    pub const NOTICE_RECONFIGURE: u32 = 2;
    /// Bit of [`HostCalls::take_notices`]: listeners of another version are closed.
    pub const NOTICE_LISTENERS_CLOSED: u32 = 4;
}

/// Receives bytes from the other side: `(state, bytes, length)`.
pub type Sink = unsafe extern "C" fn(*mut c_void, *const u8, usize);

/// How an application's run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RunOutcome {
    /// At an update point, as told; the carry went to the sink.
    Crossed = 0,
    /// The application returned an error; its text went to the sink.
    Failed = 1,
    /// A panic; its text went to the sink.
    Panicked = 2,
    /// The carry could not be decoded or transformed; the reason went to the sink.
    CarryRefused = 3,
}

/// What a run of a version starts from, and where its end goes.
#[repr(C)]
pub struct RunArguments {
    /// The run's `Surroundings`, as JSON.
    pub surroundings: *const u8,
    /// Their length in bytes.
    pub surroundings_len: usize,
    /// The encoded carry (see `worker::carry`), or null at a fresh start.
    pub carry: *const u8,
    /// Its length in bytes.
    pub carry_len: usize,
    /// Receives the carry or the error text.
    pub sink: Sink,
    /// State of the sink.
    pub sink_state: *mut c_void,
}

/// Calls from the host into a version, returned by its `dsu_library` symbol.
#[repr(C)]
pub struct LibraryCalls {
    /// [`super::RUNTIME_ABI`] of the copy inside.
    pub abi: u32,
    /// Writes the manifest as JSON to the sink; false after a panic.
    pub manifest: unsafe extern "C" fn(sink: Sink, state: *mut c_void) -> bool,
    /// Takes a `Binding` as JSON: tags, guard slots, neighbours. On failure the reason goes to the sink.
    pub bind: unsafe extern "C" fn(*const u8, usize, sink: Sink, state: *mut c_void) -> bool,
    /// Rewrites an encoded carry into the form of the schema with this digest, by a lens of this
    /// library: `(carry, its length, digest, its length)`. The new carry, or the reason, to the sink.
    pub convert_carry: unsafe extern "C" fn(
        *const u8,
        usize,
        *const u8,
        usize,
        sink: Sink,
        state: *mut c_void,
    ) -> bool,
    /// Runs the application until it crosses, ends or fails.
    pub run: unsafe extern "C" fn(*const RunArguments) -> RunOutcome,
    /// Moves items between guards, to where this version has them (true) or back, while no other worker
    /// runs. On failure the reason goes to the sink.
    pub move_items: unsafe extern "C" fn(forward: bool, sink: Sink, state: *mut c_void) -> bool,
    /// One slice of the filling of this version's forms; the report (JSON) goes to the sink.
    pub fill:
        unsafe extern "C" fn(fill: u32, budget_ns: u64, sink: Sink, state: *mut c_void) -> bool,
    /// One slice of the sweep over the guards; the report (JSON) goes to the sink.
    pub sweep: unsafe extern "C" fn(
        sweep: u32,
        Parked,
        budget_ns: u64,
        sink: Sink,
        state: *mut c_void,
    ) -> bool,
    /// Walks everything; the report (JSON) goes to the sink.
    pub check: unsafe extern "C" fn(sink: Sink, state: *mut c_void) -> bool,
}

/// Result of a call that converts, initialises or visits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ConversionStatus {
    /// Target and complement are written.
    Done = 0,
    /// The value has no form on the other side; the reason is in the error text.
    Unrepresentable = 1,
    /// The lens returned an error; the reason is in the error text.
    Failed = 2,
    /// The lens panicked; the message is in the error text.
    Panicked = 3,
    /// An allocation failed.
    HeapFull = 4,
}

/// A message of bounded size that needs no allocation on either side.
#[repr(C)]
pub struct ErrorText {
    len: u32,
    bytes: [u8; 508],
}

impl Default for ErrorText {
    fn default() -> Self {
        ErrorText {
            len: 0,
            bytes: [0; 508],
        }
    }
}

impl ErrorText {
    /// Replaces the text, cut at a character boundary where it is too long.
    pub fn set(&mut self, text: &str) {
        let end = text.floor_char_boundary(self.bytes.len());
        self.bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        self.len = end as u32;
    }

    /// The text.
    pub fn get(&self) -> &str {
        let end = (self.len as usize).min(self.bytes.len());
        std::str::from_utf8(&self.bytes[..end]).unwrap_or("(not text)")
    }
}

/// One conversion of one value. Source bytes are moved out of bit by bit and stay where they are;
/// the caller decides afterwards whether source or target is the live one (`heap::transaction`).
#[repr(C)]
pub struct Conversion {
    /// The value in its present representation.
    pub source: *const u8,
    /// The complement that belongs to it, or null.
    pub complement_in: *const u8,
    /// Room for the value in the other representation.
    pub target: *mut u8,
    /// Room for the new complement; not written where its type has size 0.
    pub complement_out: *mut u8,
    /// Set by the lens: the new complement says no more than none does, so it need not be stored. It is
    /// there all the same, to be dropped.
    pub is_vacant: bool,
    /// Why it failed.
    pub error: ErrorText,
}

/// Runs one lens in one direction inside a caught panic.
pub type ConvertFn =
    unsafe extern "C" fn(environment: *const c_void, &mut Conversion) -> ConversionStatus;

/// Drops the value at the pointer in place.
pub type DropFn = unsafe extern "C" fn(*mut u8);

/// Shows the value at the pointer to a `heap::Visitor` (type-erased): `(value, visitor)`.
pub type VisitFn = unsafe extern "C" fn(*mut u8, *mut c_void);

/// What is done with the twin of a value: its form on the other side of a prepared lens, which is
/// made ahead of the flip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum TwinTask {
    /// It is made, or catches up.
    Prepare = 0,
    /// It is emptied and dropped.
    Discard = 1,
    /// As `Prepare`, for a flip that comes next; nothing where items move between guards, which no flip
    /// does.
    PrepareToFlip = 2,
}

/// Works on the twin of a value in place, as a [`PrepareFn`]: `(environment, task, value, until_ns, error)`.
pub type TwinFn = unsafe extern "C" fn(
    *const c_void,
    TwinTask,
    value: *mut u8,
    until_ns: u64,
    &mut ErrorText,
) -> PrepareStatus;

impl Converter {
    /// The way that its lens does not go, of which only a twin can be left.
    pub fn of_twin_only(mut self) -> Converter {
        self.call = None;
        self
    }
}

/// One way out of a representation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Converter {
    /// The representation that it makes; 0 = this entry is empty.
    pub target: u16,
    /// True where the target is the newer side of the lens.
    pub forward: bool,
    /// Size of the complement in bytes.
    pub complement_size: u32,
    /// Alignment of the complement in bytes.
    pub complement_align: u32,
    /// The lens; `None` where it does not go this way and only the twin that is left of the other one is
    /// to be dropped.
    pub call: Option<ConvertFn>,
    /// First argument of `call` and of `twin`.
    pub environment: *const c_void,
    /// Of a prepared lens: works on the twin that a value has for this way.
    pub twin: Option<TwinFn>,
    /// Drops a complement of this lens: `(environment, complement)`.
    pub drop_complement: Option<unsafe extern "C" fn(*const c_void, *mut u8)>,
    /// Shows the blocks of a complement of this lens: `(environment, complement, visitor)`.
    pub visit_complement: Option<unsafe extern "C" fn(*const c_void, *mut u8, *mut c_void)>,
}
