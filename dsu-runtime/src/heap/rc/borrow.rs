//! Who reads, edits or converts a node at this moment.
//!
//! Owns the chain of open borrows, which lie on the stack of the functions that are called with a value.
//! So a borrow ends with its function, by return or panic; it cannot be forgotten, and as nothing of it
//! is in shared memory, a death leaves no node borrowed. The guard of a borrowed node is not released
//! ([`is_open`]): whoever drops it meanwhile has leaked it (R18). A node that is being converted can be
//! read in the form that it has, and not in another: so lenses of nodes that lead to each other in a
//! circle end.
#![allow(unsafe_code)] // a list of records on the stack

use super::super::block;
use super::super::copies;
use super::node::NodePtr;
use crate::abi::{NodeUse, OpenBorrow, WorkerContext};
use crate::error::RcError;
use crate::ids::GuardIndex;
use std::cell::Cell;
use std::pin::Pin;

/// Calls `access` while the node is borrowed.
///
/// # Errors
/// `Borrowed`, `NotHeld` or `WhichGuard`; to edit also `Copied` and `Converting`.
pub(super) fn with<R>(
    node: NodePtr,
    use_: NodeUse,
    access: impl FnOnce(&Open<'_>) -> R,
) -> Result<R, RcError> {
    let worker = WorkerContext::current();
    if !worker.is_attached() {
        return Err(RcError::NotHeld);
    }
    let is_edit = use_ == NodeUse::Edit;
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
    if is_edit {
        // What was made of the value to be read in another form is not what it will be.
        copies::forget();
    }
    let record = std::pin::pin!(OpenBorrow {
        node: node.address(),
        use_: Cell::new(use_),
        outer: worker.borrowed.get(),
    });
    let open = Open::begin(record.as_ref());
    Ok(access(&open))
}

/// Whether somebody further out edits the node, or, for an edit, reads it.
fn is_borrowed(node: NodePtr, for_edit: bool) -> bool {
    open().any(|borrow| {
        borrow.node == node.address() && (for_edit || borrow.use_.get() == NodeUse::Edit)
    })
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
pub(super) struct Open<'r> {
    record: Pin<&'r OpenBorrow>,
}

impl<'r> Open<'r> {
    fn begin(record: Pin<&'r OpenBorrow>) -> Open<'r> {
        let worker = WorkerContext::current();
        worker.borrowed.set(&raw const *record);
        let is_edit = record.use_.get() == NodeUse::Edit;
        worker
            .open_edits
            .set(worker.open_edits.get() + u32::from(is_edit));
        worker.owe(WorkerContext::OWES_BORROWS);
        Open { record }
    }

    /// Calls `convert`, by which a lens makes another form of the node's value, of this type, or a copy.
    ///
    /// # Errors
    /// `Circle` if that is being done further out.
    pub(super) fn converting<R>(
        &self,
        name: fn() -> String,
        convert: impl FnOnce() -> R,
    ) -> Result<R, RcError> {
        let is_this = |borrow: &OpenBorrow| {
            borrow.node == self.record.node && borrow.use_.get() == NodeUse::Convert
        };
        if open().any(is_this) {
            return Err(RcError::Circle(name()));
        }
        let before = self.record.use_.get();
        self.now(NodeUse::Convert);
        let converted = convert();
        self.now(before);
        Ok(converted)
    }

    fn now(&self, use_: NodeUse) {
        let edits = &WorkerContext::current().open_edits;
        let (was, is) = [self.record.use_.replace(use_), use_]
            .map(|one| u32::from(one == NodeUse::Edit))
            .into();
        edits.set(edits.get() - was + is);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let worker = WorkerContext::current();
        worker.borrowed.set(self.record.outer);
        let is_edit = self.record.use_.get() == NodeUse::Edit;
        worker
            .open_edits
            .set(worker.open_edits.get() - u32::from(is_edit));
        if self.record.outer.is_null() {
            worker.paid(WorkerContext::OWES_BORROWS);
        }
    }
}
