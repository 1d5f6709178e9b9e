//! Counting handles: up, down, and what a node's last handle takes along.
//!
//! Counts are plain numbers, touched under the node's home guard alone. Four cases are not plain:
//!
//! | where | up | down |
//! |---|---|---|
//! | a conversion is open and the node is older | noted; counted when it stands, before it is published | noted; counted after it is published |
//! | a copy for a reader is made (R20) | noted; counted when the copy is kept, and then owed | forgotten |
//! | the home guard is not held | refused | owed: counted down before this worker next releases that guard |
//! | the value is dropped and has handles of its own | | queued: a list of a million nodes goes without a million nested calls |
//!
//! So a conversion that is undone leaves no trace, and a death at whatever store leaves a count that is
//! too high at worst: memory that nobody frees, and never a handle to what is gone (I35). What is owed
//! stands in the worker's ledger as well, and whoever takes the slot of the dead owes it: so of what a
//! conversion did to the counts one handle is lost with its worker, and what it was dropping.
#![allow(unsafe_code)] // drops values and frees blocks

use super::super::alloc;
use super::super::block;
use super::super::context::HeapContext;
use super::super::convert;
use super::super::copies;
use super::super::journal::{Entry, RawList};
use super::super::last_wish;
use super::super::ledger::Ledger;
use super::super::transaction;
use super::home::Home;
use super::node::{Change, HandleKind, LAYOUT, NodePtr};
use super::walk;
use crate::abi::WorkerContext;
use crate::error::RcError;
use crate::ids::GuardIndex;
use std::cell::Cell;

/// Handles of one kind that a node can have. Far from where the number ends, as what a conversion has
/// noted comes on top.
const MOST: u32 = 1 << 30;

/// What this worker owes to nodes.
#[repr(C)]
pub(in crate::heap) struct Owed {
    /// Handles that were dropped without the guard, or whose conversion's commit has not come to them. The
    /// first ones stand in the ledger, in the same places.
    handles: RawList<Entry>,
    /// Nodes whose last strong handle is gone, and whose values are still there.
    dying: RawList<NodePtr>,
    /// In how many conversions whoever sees to the last of those began, and one more; 0: nobody does. What
    /// dies in a conversion further in is not left to it, since it may be gone when that one ends.
    clearing: Cell<u32>,
}

fn mine() -> &'static Owed {
    &HeapContext::current().owed
}

/// That of this worker, which is attached.
fn ledger() -> &'static Ledger {
    Ledger::of(WorkerContext::current().owner())
}

/// Whether what is done to the node takes effect at once: no conversion is open, or it made the node.
fn is_direct(node: NodePtr) -> bool {
    !block::is_frozen(node.block())
}

/// Asks for a node whose counts are to be read or changed; what an open conversion made needs no guard.
pub(super) fn claim(node: NodePtr) -> Result<(), RcError> {
    let worker = WorkerContext::current();
    if !worker.is_attached() {
        return Err(RcError::NotHeld);
    }
    if worker.converting.get() != 0 && is_direct(node) {
        return Ok(());
    }
    match node.is_private() {
        true => Err(RcError::Copied),
        false => node.touch(),
    }
}

/// The number of handles, with those that the open conversions add and take away.
pub(super) fn counted(node: NodePtr, kind: HandleKind) -> Result<usize, RcError> {
    claim(node)?;
    let noted = match WorkerContext::current().converting.get() {
        0 => 0,
        _ => transaction::noted_changes(node, kind),
    };
    let all = i64::from(node.count(kind)) + noted;
    Ok(usize::try_from(all).unwrap_or(0))
}

/// One handle more.
pub(super) fn retain(node: NodePtr, kind: HandleKind) -> Result<(), RcError> {
    claim(node)?;
    let count = node.count(kind);
    if count >= MOST {
        return Err(RcError::TooMany);
    }
    if is_direct(node) {
        node.set_count(kind, count + 1);
        return Ok(());
    }
    // The copy may outlive the conversion around it, and such a node with it.
    if WorkerContext::current().copying.get() != 0 && transaction::is_of_outer(node.block()) {
        return Err(RcError::Copied);
    }
    Ok(transaction::note_count(node, Change::up(kind))?)
}

/// One handle less.
pub(super) fn release(node: NodePtr, kind: HandleKind) {
    let worker = WorkerContext::current();
    if !worker.is_attached() {
        return;
    }
    if !is_direct(node) {
        // Without memory for the note the count stays: a node that is never freed.
        let _ = transaction::note_count(node, Change::down(kind));
    } else if worker.converting.get() != 0 {
        lower(node, kind);
    } else {
        count_down(node, Change::down(kind));
    }
}

/// The outermost conversion, which noted these, is about to be published. Until that is done they are owed.
pub(in crate::heap) fn count_up_to_publish(entries: impl Iterator<Item = Entry>) {
    let ledger = ledger();
    let (sure, mut undone) = (owed(), owed());
    let counted = |entry: &Entry| entry.to_counted().is_some_and(|(_, change)| change.is_up());
    for entry in entries.filter(counted) {
        count_up(std::iter::once(entry));
        if let Some((node, change)) = entry.to_counted() {
            let down = Entry::counted(node, Change::down(change.kind()));
            ledger.write_owed(undone, Some(down));
            undone += 1;
            ledger.count_owed(sure, undone);
        }
    }
}

/// Of a conversion that noted these a copy is kept (R20): what it has more is counted until the guard is
/// released behind which the copy can be read.
pub(in crate::heap) fn count_for_copy(entries: impl Iterator<Item = Entry>) {
    for entry in entries {
        if let Some((node, change)) = entry.to_counted().filter(|(_, change)| change.is_up()) {
            count_up(std::iter::once(entry));
            owe(node, Change::down(change.kind()));
            WorkerContext::current().owe(WorkerContext::OWES_HANDLES);
        }
    }
}

/// It is published, and its ledger says so.
pub(in crate::heap) fn published() {
    ledger().count_owed(owed(), owed());
}

/// The conversions that noted these stand.
pub(in crate::heap) fn count_up(entries: impl Iterator<Item = Entry>) {
    let noted = entries.filter_map(Entry::to_counted);
    for (node, change) in noted.filter(|(_, change)| change.is_up()) {
        let kind = change.kind();
        node.set_count(kind, node.count(kind) + 1);
    }
}

/// A handle is gone for good. Those that came were counted before.
pub(in crate::heap) fn count_down(node: NodePtr, change: Change) {
    if change.is_up() {
        return;
    }
    let worker = WorkerContext::current();
    let is_mine = worker.converting.get() != 0 && is_direct(node);
    if is_mine || node.touch().is_ok() {
        return lower(node, change.kind());
    }
    owe(node, change);
    worker.owe(WorkerContext::OWES_HANDLES);
}

/// Keeps a node of a guard that is held, with a handle that nobody has and this worker owes.
pub(super) fn hold(node: NodePtr) {
    node.set_count(HandleKind::Strong, node.count(HandleKind::Strong) + 1);
    owe(node, Change::StrongDown);
}

/// It is not kept any longer.
pub(super) fn let_go(node: NodePtr) {
    let handle = Some((node, Change::StrongDown));
    let handles = &mine().handles;
    let mut places = (0..owed()).rev();
    if let Some(at) = places.find(|at| handles.get(*at).to_counted() == handle) {
        take_owed(at);
    }
    lower(node, HandleKind::Strong);
}

/// How many handles are owed.
pub(in crate::heap) fn owed() -> usize {
    mine().handles.len()
}

/// One more. Without memory for the list its count stays: a node that is never freed.
pub(in crate::heap) fn owe(node: NodePtr, change: Change) {
    let (handles, entry) = (&mine().handles, Entry::counted(node, change));
    if handles.push(entry).is_ok() {
        let count = handles.len();
        ledger().write_owed(count - 1, Some(entry));
        ledger().count_owed(count, count);
    }
}

/// One less: the last takes its place. Never are there two lines of one handle.
fn take_owed(at: usize) {
    let (handles, ledger) = (&mine().handles, ledger());
    let last = handles.len() - 1;
    if at != last {
        let entry = handles.get(last);
        ledger.write_owed(last, None);
        ledger.write_owed(at, Some(entry));
        handles.set(at, entry);
    }
    handles.pop();
    ledger.count_owed(last, last);
}

/// Counts down what is owed beyond so many.
pub(in crate::heap) fn count_down_to(kept: usize) {
    // Destructors may owe more, which comes behind.
    for at in (kept..owed()).rev() {
        let handle = mine().handles.get(at).to_counted();
        take_owed(at);
        if let Some((node, change)) = handle {
            count_down(node, change);
        }
    }
}

/// What the dead left who had this worker's slot before is this worker's to count down.
pub(crate) fn inherit() {
    let left: Vec<_> = ledger().all_owed().collect();
    ledger().count_owed(0, 0);
    for (node, change) in left {
        if node.is_plausible() && !change.is_up() {
            owe(node, change);
            WorkerContext::current().owe(WorkerContext::OWES_HANDLES);
        }
    }
}

/// Nobody will ever hold this guard again: what is owed to its nodes is not.
pub(crate) fn give_up(guard: GuardIndex) {
    for at in (0..owed()).rev() {
        let handle = mine().handles.get(at).to_counted();
        if handle.is_some_and(|(node, _)| node.home() == Home::of(guard)) {
            take_owed(at);
        }
    }
    all_paid();
}

fn all_paid() {
    if owed() == 0 {
        WorkerContext::current().paid(WorkerContext::OWES_HANDLES);
    }
}

/// Counts down what was dropped outside of its guard's sections. The caller holds the guard, and is
/// about to release it.
pub(crate) fn settle(guard: GuardIndex) {
    let handles = &mine().handles;
    let mut at = 0;
    while at < handles.len() {
        let Some((node, change)) = handles.get(at).to_counted() else {
            break;
        };
        let home = node.home();
        let may_be = home == Home::UNDECIDED || home.candidates().any(|index| index == guard);
        // What another guard may lead to as well waits for that one, if it is held.
        if !may_be || node.touch().is_err() || node.home() != Home::of(guard) {
            at += 1;
            continue;
        }
        // What the drop owes itself comes behind the others. A copy that had the handle is not given again.
        take_owed(at);
        copies::forget();
        lower(node, change.kind());
    }
    all_paid();
}

/// Guards under which something can be counted down that this worker owes.
pub(crate) fn owed_guards() -> Vec<GuardIndex> {
    let nodes = mine().handles.iter().filter_map(Entry::to_counted);
    let mut guards: Vec<GuardIndex> = nodes
        .flat_map(|(node, _)| node.home().candidates().next())
        .collect();
    guards.sort_unstable();
    guards.dedup();
    guards
}

/// The node is the caller's to touch.
fn lower(node: NodePtr, kind: HandleKind) {
    let count = node.count(kind).saturating_sub(1);
    node.set_count(kind, count);
    match (count, kind) {
        (0, HandleKind::Strong) => end(node),
        (0, HandleKind::Weak) => free(node),
        _ => {}
    }
}

/// The last strong handle is gone.
fn end(node: NodePtr) {
    let owed = mine();
    if owed.dying.push(node).is_err() {
        // Without memory for the list the values go one inside the other.
        return end_value(node);
    }
    let here = WorkerContext::current().converting.get() + 1;
    if owed.clearing.get() != here {
        let (outer, first) = (owed.clearing.replace(here), owed.dying.len() - 1);
        while owed.dying.len() > first
            && let Some(node) = owed.dying.pop()
        {
            end_value(node);
        }
        owed.clearing.set(outer);
    }
}

/// Drops the value, by the code of the version whose form it is in, which catches panics. The strong
/// handles together had one weak one.
fn end_value(node: NodePtr) {
    walk::leave_queue(node);
    let word = node.node().word.replace(0);
    if word != 0 {
        // SAFETY: the word of a live box that nobody leads to any more.
        last_wish::run(|| unsafe { convert::drop_box(word) });
    }
    lower(node, HandleKind::Weak);
}

pub(super) fn free(node: NodePtr) {
    // SAFETY: no handle is left, and no walk has it in its queue.
    unsafe { alloc::deallocate(node.block(), LAYOUT) };
}
