//! Who reads or edits a node at this moment.
//!
//! Owns the chain of open borrows, which lie on the stack of the functions that are called with a value.
//! So a borrow ends with its function, by return or panic; it cannot be forgotten, and as nothing of it
//! is in shared memory, a death leaves no node borrowed. The guard of a borrowed node is not released
//! ([`is_open`]): whoever drops it meanwhile has leaked it (R18).
#![allow(unsafe_code)] // a list of records on the stack

use super::super::block;
use super::node::NodePtr;
use crate::abi::{OpenBorrow, WorkerContext};
use crate::error::RcError;
use crate::ids::GuardIndex;
use std::pin::Pin;

/// What is done with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Intent {
    Read,
    Edit,
}

/// Calls `access` while the node is borrowed.
///
/// # Errors
/// `Borrowed`, `NotHeld` or `WhichGuard`; to edit also `Copied` and `Converting`.
pub(super) fn with<R>(
    node: NodePtr,
    intent: Intent,
    access: impl FnOnce() -> R,
) -> Result<R, RcError> {
    let worker = WorkerContext::current();
    if !worker.is_attached() {
        return Err(RcError::NotHeld);
    }
    let is_edit = intent == Intent::Edit;
    let is_made_here = worker.converting.get() != 0 && !block::is_frozen(node.block());
    if !is_made_here {
        match node.is_private() {
            true if is_edit => return Err(RcError::Copied),
            // Nobody else can reach a copy.
            true => {}
            false => node.touch()?,
        }
        if is_edit && worker.converting.get() != 0 {
            return Err(RcError::Converting);
        }
    }
    if (is_edit || worker.open_edits.get() != 0) && is_borrowed(node, is_edit) {
        return Err(RcError::Borrowed);
    }
    let record = std::pin::pin!(OpenBorrow {
        node: node.address(),
        edits: is_edit,
        outer: worker.borrowed.get(),
    });
    let _open = Open::begin(record.as_ref());
    Ok(access())
}

/// Whether somebody further out edits the node, or, for an edit, reads it.
fn is_borrowed(node: NodePtr, for_edit: bool) -> bool {
    open().any(|borrow| borrow.node == node.address() && (for_edit || borrow.edits))
}

/// Whether a node of this guard is borrowed.
pub(crate) fn is_open(guard: GuardIndex) -> bool {
    let mut nodes = open().filter_map(|borrow| NodePtr::at(borrow.node));
    nodes.any(|node| {
        let mut candidates = node.home().candidates().peekable();
        // Of one that is nobody's yet each of the held guards may be the one.
        candidates.peek().is_none() || candidates.any(|index| index == guard)
    })
}

fn open() -> impl Iterator<Item = &'static OpenBorrow> {
    // SAFETY: each record is pinned on the stack of a function that has not returned: its `Open` takes
    // it out of the chain before it goes. Nobody keeps what the iterator gives.
    let at = |record: *const OpenBorrow| unsafe { record.as_ref() };
    std::iter::successors(at(WorkerContext::current().borrowed.get()), move |borrow| {
        at(borrow.outer)
    })
}

/// Puts a record at the head of the chain and takes it out again.
struct Open<'r> {
    record: Pin<&'r OpenBorrow>,
}

impl<'r> Open<'r> {
    fn begin(record: Pin<&'r OpenBorrow>) -> Open<'r> {
        let worker = WorkerContext::current();
        worker.borrowed.set(&raw const *record);
        worker
            .open_edits
            .set(worker.open_edits.get() + u32::from(record.edits));
        worker.owe(WorkerContext::OWES_BORROWS);
        Open { record }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let worker = WorkerContext::current();
        worker.borrowed.set(self.record.outer);
        worker
            .open_edits
            .set(worker.open_edits.get() - u32::from(self.record.edits));
        if self.record.outer.is_null() {
            worker.paid(WorkerContext::OWES_BORROWS);
        }
    }
}
