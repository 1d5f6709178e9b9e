//! Walks over nodes: each once, however many handles lead to it, without a call for each step of a path
//! and without memory for what was seen.
//!
//! A walk has a number, rising with each that begins behind a guard, and a node bears that of the last
//! walk that met it. A node that is met first is put into the guard's queue, which links the nodes
//! themselves; the visitor goes on with what it was shown and comes to the queue later. Between two
//! slices of a sweep the queue is in shared memory, and a node that goes meanwhile takes itself out. So
//! the queue has only nodes that are there; one whose links somebody died in changing is given up.
//!
//! Several workers may be in the middle of walks behind one guard (R29): all bear the number of the
//! latest, and share the queue. What bears it was met after the latest began, and so after each began.
//! Of what an earlier sweep left in the queue nothing counts: `since` says which numbers are this one's.
#![allow(unsafe_code)] // a fixed address, and boxes by their words

use super::super::convert;
use super::super::root;
use super::super::shared::Visitor;
use super::borrow;
use super::node::{HandleKind, LAYOUT, NodePtr};
use super::{count, home::Home};
use crate::abi::{CONTROL_ADDR, MAX_GUARDS, NodeUse, WALK_STRIDE, WALKS_OFFSET};
use crate::error::AccessError;
use crate::ids::{GuardIndex, SweepId, Tag};
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

/// A guard's record of walks. Touched by whoever holds the guard. All zero: no walk yet.
#[repr(C)]
struct Record {
    first: Cell<Option<NodePtr>>,
    /// Number of the latest walk.
    walk: Cell<u32>,
    /// The first walk of the sweep of which the queue is.
    since: Cell<u32>,
    sweep: Cell<u32>,
    /// Not 0 while the links are being changed: if nobody holds the guard, somebody died in that.
    is_changing: Cell<u32>,
    _reserved: [u32; 2],
}

const _: () = assert!(size_of::<Record>() == WALK_STRIDE);

fn record(guard: GuardIndex) -> &'static Record {
    assert!((guard.0 as usize) < MAX_GUARDS, "no guard {}", guard.0);
    let address = CONTROL_ADDR + WALKS_OFFSET + guard.0 as usize * WALK_STRIDE;
    // SAFETY: inside the control region, which is mapped for good and committed with the guard's slot;
    // valid whatever the bits but for pointers, which are written here alone. Not `Sync`: the caller
    // holds the guard.
    unsafe { &*(address as *const Record) }
}

/// One handle, as a walk is shown it.
pub struct NodeHandle {
    node: NodePtr,
    kind: HandleKind,
    expected: Tag,
}

impl NodeHandle {
    /// Shows a handle to a visitor, or says that it leads nowhere.
    pub(super) fn show(node: NodePtr, kind: HandleKind, expected: Tag, visitor: &mut dyn Visitor) {
        match node.is_plausible() {
            true => visitor.node(NodeHandle {
                node,
                kind,
                expected,
            }),
            false => visitor.damage(&format!("a handle points to {:#x}", node.address())),
        }
    }

    /// Which node it leads to.
    pub fn node(&self) -> NodePtr {
        self.node
    }

    /// Whether it keeps the value.
    pub fn kind(&self) -> HandleKind {
        self.kind
    }

    /// Whether the node belongs to this guard, behind which the handle was found. From here on it does
    /// if it was not decided.
    pub(crate) fn is_found_behind(&self, guard: GuardIndex) -> bool {
        self.node.is_found_behind(guard)
    }

    /// For a walk, whose caller holds the guard: the node is to be shown, if this walk has not met it.
    /// True if it had not, and there is a value.
    pub(crate) fn meet(&self, guard: GuardIndex) -> bool {
        let (node, record) = (self.node, sound_record(guard));
        if node.node().walk.get() == record.walk.get() || node.node().word.get() == 0 {
            return false;
        }
        let was_in_queue = is_in_queue(record, node);
        change(record, || {
            // What an earlier sweep left says that it is queued, and does not mean this queue.
            node.set_queued(was_in_queue);
            node.node().walk.set(record.walk.get());
            node.set_expected(self.expected);
            link(record, node);
        });
        true
    }

    /// As [`meet`](Self::meet), and its value is brought into this version's form at once. What has none
    /// is not shown.
    pub(crate) fn meet_and_bring(&self, guard: GuardIndex) -> Option<Result<bool, AccessError>> {
        self.meet(guard).then(|| {
            let brought = bring(self.node);
            if self.node.is_foreign() {
                leave_queue(self.node);
            }
            brought
        })
    }

    /// Whether it keeps a value without a form in this version, by what the sweep found.
    pub(crate) fn keeps_foreign(&self) -> bool {
        self.kind == HandleKind::Strong && self.node.is_foreign()
    }
}

impl NodePtr {
    /// The block of the node, for an account of all memory.
    pub(crate) fn shown_block(self) -> (NonNull<u8>, Layout) {
        (self.block(), LAYOUT)
    }

    /// Strong and weak handles, by its own counts.
    pub(crate) fn handles(self) -> [u32; 2] {
        let strong = self.count(HandleKind::Strong);
        let weak = self.count(HandleKind::Weak);
        [strong, weak - u32::from(strong != 0 && weak != 0)]
    }

    /// Shows the box of its value, if it is there.
    pub(crate) fn show_value(self, visitor: &mut dyn Visitor) {
        match self.node().word.get() {
            0 => {}
            // SAFETY: what stands in a box; the caller holds the guard.
            word => unsafe { convert::visit_box(word, visitor) },
        }
    }

    /// The guard that it belongs to, as far as that is decided.
    pub(crate) fn owner(self) -> Option<GuardIndex> {
        let mut candidates = self.home().candidates();
        candidates
            .next()
            .filter(|one| self.home() == Home::of(*one))
    }
}

/// Brings the value of a node into the form that the walk expects. True if it was in another.
fn bring(node: NodePtr) -> Result<bool, AccessError> {
    // Held: what its lens reads, or what is dropped after it, may lead back to it.
    let swept = borrow::with(node, NodeUse::Convert, |_| {
        root::sweep_cell(&node.node().word, node.expected())
    });
    let swept = swept.unwrap_or_else(|error| Err(AccessError::Failed(error.to_string())));
    node.set_foreign(swept == Err(AccessError::Foreign));
    swept
}

/// A walk begins at what this guard guards, whose lock the caller holds.
pub(crate) fn begin(guard: GuardIndex, sweep: SweepId) {
    let record = sound_record(guard);
    if record.sweep.get() != sweep.0 {
        change(record, || begin_queue(record));
        record.sweep.set(sweep.0);
    } else {
        record.walk.set(record.walk.get().wrapping_add(1));
    }
}

/// With a walk of a new number, and nothing in it. Called within [`change`].
fn begin_queue(record: &Record) {
    record.walk.set(record.walk.get().wrapping_add(1));
    record.since.set(record.walk.get());
    record.first.set(None);
}

/// The node whose content a walk goes into: the caller keeps it as long as this lives.
pub(crate) struct Visited {
    guard: GuardIndex,
    node: NodePtr,
}

/// Takes the next node out of the queue; `None` if all that was met has been shown.
pub(crate) fn next(guard: GuardIndex) -> Option<Visited> {
    let node = sound_record(guard).first.get()?;
    leave_queue(node);
    // What the visitor drops may be the last handle but this one.
    count::hold(node);
    Some(Visited { guard, node })
}

impl Visited {
    /// Where the walk is.
    pub(crate) fn place(&self) -> u64 {
        self.node.address() as u64
    }

    /// Brings the node's value into this version's form, if it is there. No walk is inside any value now,
    /// so that a lens may read what it likes.
    pub(crate) fn bring(&self) -> Option<Result<bool, AccessError>> {
        (self.node.node().word.get() != 0).then(|| bring(self.node))
    }

    /// Shows the boxes inside the node's value to a visitor that may take elements out: nobody reads it
    /// meanwhile.
    pub(crate) fn show(&self, visitor: &mut dyn Visitor) {
        let word = self.node.node().word.get();
        let shown = borrow::with(self.node, NodeUse::Edit, |_| {
            if word != 0 {
                root::show_boxes_inside(word, visitor);
            }
        });
        debug_assert_eq!(shown, Ok(()), "a walk holds the guard, and nothing is open");
    }

    /// The walk stops inside, and goes on with this node.
    pub(crate) fn put_back(self) {
        let record = sound_record(self.guard);
        change(record, || link(record, self.node));
    }
}

impl Drop for Visited {
    fn drop(&mut self) {
        count::let_go(self.node);
    }
}

/// Changes a queue, which takes several stores. Who dies in the middle leaves the mark, and whoever comes
/// next begins a new queue.
fn change(record: &Record, change: impl FnOnce()) {
    record.is_changing.set(1);
    compiler_fence(SeqCst);
    change();
    compiler_fence(SeqCst);
    record.is_changing.set(0);
}

/// The guard's record, whose queue is whole. What is lost with a queue is met by the next walk.
fn sound_record(guard: GuardIndex) -> &'static Record {
    let record = record(guard);
    if record.is_changing.get() != 0 {
        change(record, || begin_queue(record));
    }
    record
}

/// Puts a node in front, if it is not in the queue: what was met last is shown next, so that the queue is
/// short where the graph is deep. Called within [`change`].
fn link(record: &Record, node: NodePtr) {
    if node.is_queued() {
        return;
    }
    let next = record.first.replace(Some(node));
    node.node().next.set(next);
    node.node().previous.set(None);
    node.set_queued(true);
    if let Some(next) = next {
        next.node().previous.set(Some(node));
    }
}

/// Of what an earlier sweep queued nothing is in the queue any more, whatever the node says.
fn is_in_queue(record: &Record, node: NodePtr) -> bool {
    let age = node.node().walk.get().wrapping_sub(record.since.get());
    node.is_queued() && age <= record.walk.get().wrapping_sub(record.since.get())
}

/// Takes a node out of the queue, if it is there. Called with the guard held.
pub(super) fn leave_queue(node: NodePtr) {
    let Some(guard) = node.owner().filter(|_| node.is_queued()) else {
        return;
    };
    let record = sound_record(guard);
    if !is_in_queue(record, node) {
        return node.set_queued(false);
    }
    change(record, || {
        let (next, previous) = (node.node().next.get(), node.node().previous.get());
        match previous {
            Some(previous) => previous.node().next.set(next),
            None => record.first.set(next),
        }
        if let Some(next) = next {
            next.node().previous.set(previous);
        }
        node.set_queued(false);
    });
}
