//! The errors that applications meet. One enum a boundary; `Display` is one clause and what to do next.

use std::any::Any;
use std::fmt;

/// The shared heap has no room for what was asked. Reads and frees go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeapFull;

impl fmt::Display for HeapFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shared heap is full: delete something or start with a larger --heap")
    }
}

impl std::error::Error for HeapFull {}

/// Why a value cannot be put into a box, where its type has `#[shared(forbid)]`. The value is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MakeError {
    /// No room for it.
    HeapFull,
    /// A version that has no form for it runs, or may run again before the update is over (R12).
    NotYet,
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MakeError::HeapFull => HeapFull.fmt(f),
            MakeError::NotYet => f.write_str(
                "workers of a version without such values may still run: try again when the update is over",
            ),
        }
    }
}

impl std::error::Error for MakeError {}

impl From<HeapFull> for MakeError {
    fn from(_: HeapFull) -> Self {
        MakeError::HeapFull
    }
}

/// Why an element cannot be read or changed here. The element is as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessError {
    /// It has no form in this version (R11).
    Foreign,
    /// Its transformer failed.
    Failed(String),
    /// No room for its other form.
    HeapFull,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::Foreign => {
                f.write_str("the element has no form in this version: replace or remove it")
            }
            AccessError::Failed(reason) => write!(f, "the element's transformer failed: {reason}"),
            AccessError::HeapFull => HeapFull.fmt(f),
        }
    }
}

impl std::error::Error for AccessError {}

impl From<HeapFull> for AccessError {
    fn from(_: HeapFull) -> Self {
        AccessError::HeapFull
    }
}

/// Why a shared node cannot be used here ([`SharedRc`](crate::heap::SharedRc)). It is as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RcError {
    /// Its value cannot be had; see [`AccessError`].
    Access(AccessError),
    /// It is being edited, or is to be edited while it is being read, further out.
    Borrowed,
    /// The guard whose items it belongs to is not held by this worker.
    NotHeld,
    /// It has been used under no guard yet, and several are held: it is not known whose it is to be.
    WhichGuard,
    /// It has more handles than can be counted.
    TooMany,
    /// It is older than the conversion that is open: a transformer edits what it makes itself.
    Converting,
    /// It is part of a converted copy that a reader was given (R20): there are no handles to it.
    Copied,
    /// It is wanted in another form by the lens that converts it at this moment, or by one that this one
    /// waits for. Of this type.
    Circle(String),
}

impl fmt::Display for RcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RcError::Access(error) => return error.fmt(f),
            RcError::Borrowed => {
                "the shared node is being read or edited already: end that first"
            }
            RcError::NotHeld => {
                "the shared node belongs to a guard that is not held: lock it first, and keep all handles to a node behind one guard"
            }
            RcError::WhichGuard => {
                "several guards are held and it is not known which one the shared node belongs to: make it with Guard::share"
            }
            RcError::TooMany => "the shared node has too many handles: drop some",
            RcError::Converting => {
                "a transformer cannot edit a shared node that is older than its conversion: let the node's own lens do it"
            }
            RcError::Circle(name) => {
                return write!(
                    f,
                    "a shared node of type {name} is wanted in another form while a lens makes that form: lenses of nodes that lead to each other must not read each other"
                );
            }
            RcError::Copied => {
                "the shared node is part of a copy that was made to be read: edit what contains it first"
            }
        })
    }
}

impl std::error::Error for RcError {}

impl From<HeapFull> for RcError {
    fn from(_: HeapFull) -> Self {
        RcError::Access(AccessError::HeapFull)
    }
}

impl From<AccessError> for RcError {
    fn from(error: AccessError) -> Self {
        RcError::Access(error)
    }
}

/// Why a function that shared memory names cannot be called ([`SharedFn`](crate::heap::SharedFn)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FunctionError {
    /// This version has no function of this name.
    Unknown(String),
    /// It has one, of another type.
    OtherSignature {
        /// The name.
        name: String,
        /// The type that the value has.
        wanted: String,
        /// The type that the function has.
        found: String,
    },
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FunctionError::Unknown(name) => write!(
                f,
                "this version has no function named {name}: put #[dsu::function] on it, or put another name there"
            ),
            FunctionError::OtherSignature {
                name,
                wanted,
                found,
            } => write!(
                f,
                "function {name} is {found} in this version and is called as {wanted}: give one of them another name"
            ),
        }
    }
}

impl std::error::Error for FunctionError {}

/// Why a guard was not acquired. Nothing was changed; the lock is free again or still another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockError {
    /// Its owner died in the middle of a section.
    Poisoned(String),
    /// A transformer of the guard's items failed: guard, direction and reason.
    TransformFailed(String),
    /// It would never be had, or never by somebody else (R16). Release what you hold and answer with
    /// an error, or try again.
    Deadlock(Deadlock),
    /// The time given for waiting has passed.
    TimedOut(String),
    /// It is held by somebody else (`try_lock`).
    WouldBlock,
    /// It is free, but its items would have to be transformed first (R21).
    WouldTransform,
    /// No room for the items' other form.
    HeapFull,
    /// The object that the handle leads to is gone from where it was kept, or the handle is older
    /// than the last crossing of its worker.
    Retired(String),
}

/// A guard that was not acquired for the sake of others (R16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadlock {
    /// The guard that was wanted.
    pub guard: String,
    /// What stands against it.
    pub cause: DeadlockCause,
}

/// Why a guard cannot be waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeadlockCause {
    /// This worker holds it already.
    Held,
    /// Workers wait for each other, each holding what the next one wants; this one gives way. Who holds
    /// what and waits for what.
    Circle(String),
    /// The version that the update comes from takes the guards in another order, so that a worker of
    /// each might wait for the other. Which version takes what. Only the version that the update goes to
    /// gets this, only while both run; it counts against the update (R28).
    Order(String),
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = &self.guard;
        match &self.cause {
            DeadlockCause::Held => write!(
                f,
                "waiting for guard {guard} would never end: this worker holds it"
            ),
            DeadlockCause::Circle(who) => write!(
                f,
                "waiting for guard {guard} would never end: {who}; release what is held and try again"
            ),
            DeadlockCause::Order(who) => write!(
                f,
                "guard {guard} is not taken inside another while two versions run that differ in the order of locks: {who}"
            ),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Poisoned(guard) => write!(
                f,
                "guard {guard} is poisoned: its owner died inside a section"
            ),
            LockError::TransformFailed(what) => write!(f, "transforming failed: {what}"),
            LockError::Deadlock(deadlock) => deadlock.fmt(f),
            LockError::TimedOut(guard) => write!(f, "guard {guard} was not free in the time given"),
            LockError::WouldBlock => f.write_str("the guard is held: try again later"),
            LockError::WouldTransform => {
                f.write_str("the guard's items need transforming: use lock")
            }
            LockError::HeapFull => HeapFull.fmt(f),
            LockError::Retired(object) => {
                write!(f, "{object} is gone: drop the handle and look it up again")
            }
        }
    }
}

impl std::error::Error for LockError {}

impl From<HeapFull> for LockError {
    fn from(_: HeapFull) -> Self {
        LockError::HeapFull
    }
}

/// Why a worker function ended other than at a crossing.
#[derive(Debug)]
pub enum WorkerError {
    /// A system call failed.
    Io(std::io::Error),
    /// `wait` was called before the first update point after a crossing (R24).
    WaitBeforeUpdatePoint,
    /// A guard was leaked: still held at this update point (R18).
    GuardLeaked(String),
    /// The application's own reason.
    Application(String),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerError::Io(error) => write!(f, "system call failed: {error}"),
            WorkerError::WaitBeforeUpdatePoint => {
                f.write_str("new code waits before its first update point: put update_point! at the top of the loop")
            }
            WorkerError::GuardLeaked(site) => write!(f, "a guard is still held at update point {site}: do not forget guards"),
            WorkerError::Application(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for WorkerError {}

impl From<std::io::Error> for WorkerError {
    fn from(error: std::io::Error) -> Self {
        WorkerError::Io(error)
    }
}

/// How the run of a version ended without a crossing, across the call table.
#[derive(Debug)]
pub enum RunError {
    /// The application returned an error.
    Failed(WorkerError),
    /// The carry could not be taken in.
    CarryRefused(String),
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without text)")
}
