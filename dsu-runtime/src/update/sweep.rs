//! The sweep: converts what nobody has touched, in slices bounded in time (R29). What was made ahead for
//! flips is dropped, all of it: of a guard's items in slices, before their elements are converted; of what
//! else it meets at once, also where an application has laid it aside or nothing can be converted.
#![allow(unsafe_code)] // a visitor promises what becomes of the words that it is shown

use super::bind::walk_as_this_library;
use super::nodes;
use super::pass::{Pass, Place, Visit, Work, own_guards};
use super::walk::Trail;
use crate::abi::{GuardCell, Parked, WorkerContext};
use crate::error::{AccessError, LockError};
use crate::heap::delta::Progress;
use crate::heap::{self, NodeHandle, NodePtr, Visitor, rc};
use crate::ids::{GuardIndex, SweepId, Tag};
use crate::sync::{self, Guard};
use crate::sys::time::Nanos;
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The clock is read once in this many elements.
const ELEMENTS_A_LOOK: u32 = 16;

/// What one slice, or the slices of a pass together, did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SweepSlice {
    /// The pass is over.
    pub is_done: bool,
    /// The pass left guards out that another worker had gone through.
    pub is_shared: bool,
    /// Elements and tuples brought to this version's form.
    pub converted: u64,
    /// Elements without a form in this version (R13).
    pub parked: u64,
    /// Of those, elements that were dropped, with what contained them.
    pub discarded: u64,
    /// Elements and tuples whose transformer failed.
    pub failed: u64,
    /// Poisoned guards, by name.
    pub poisoned: Vec<String>,
}

impl SweepSlice {
    /// Takes another slice of the same pass in.
    pub fn add(&mut self, slice: SweepSlice) {
        self.is_done = slice.is_done;
        self.is_shared |= slice.is_shared;
        self.converted += slice.converted;
        self.parked += slice.parked;
        self.discarded += slice.discarded;
        self.failed += slice.failed;
        self.poisoned.extend(slice.poisoned);
    }
}

/// A pass of the sweep, and where it is in what it goes through.
struct Sweep {
    pass: Pass,
    trail: Trail,
    parked: Parked,
}

thread_local! {
    static SWEEP: RefCell<Option<Sweep>> = RefCell::default();
}

/// One slice of a pass over all guards of this library and all objects; the next call goes on where it
/// ends.
pub fn sweep(sweep: SweepId, parked: Parked, budget_ns: u64) -> SweepSlice {
    // Another library may have been bound since, and this one may have begun to run since.
    walk_as_this_library();
    sweep_guards(sweep, parked, own_guards, budget_ns)
}

/// As [`sweep`], of these guards and of all objects. They are asked for when a pass begins.
pub(crate) fn sweep_guards(
    sweep: SweepId,
    parked: Parked,
    guards: impl Fn() -> Vec<&'static GuardCell>,
    budget_ns: u64,
) -> SweepSlice {
    let deadline = Nanos::now().after(Duration::from_nanos(budget_ns));
    let mut slice = SweepSlice::default();
    SWEEP.with_borrow_mut(|current| {
        let begin = |pass| Sweep {
            pass,
            trail: Trail::default(),
            parked,
        };
        let sweeping = match current {
            Some(sweeping) if sweeping.pass.number == sweep => sweeping,
            _ => current.insert(begin(Pass::first(sweep, guards()))),
        };
        let mut work = Sweeping {
            number: sweep,
            trail: &mut sweeping.trail,
            parked: sweeping.parked,
            slice: &mut slice,
        };
        if sweeping.pass.run(deadline, &mut work) {
            slice.is_done = true;
            *sweeping = begin(Pass::next(sweep, guards()));
        }
    });
    slice
}

/// What the sweep does at each place.
struct Sweeping<'a> {
    number: SweepId,
    trail: &'a mut Trail,
    parked: Parked,
    slice: &'a mut SweepSlice,
}

impl Work for Sweeping<'_> {
    fn begin(&mut self, place: &Place<'_>) {
        *self.trail = Trail::default();
        self.slice.parked += u64::from(place.wanted().is_none());
    }

    fn leave_out(&mut self) {
        *self.trail = Trail::default();
        self.slice.is_shared = true;
    }

    fn visit(
        &mut self,
        cx: &Worker,
        place: &Place<'_>,
        patience: Duration,
        deadline: Nanos,
    ) -> Visit {
        let record = WorkerContext::current().record();
        let flips = || record.flips.load(Ordering::Relaxed);
        let flips_before = flips();
        let locked = match place {
            Place::Guard(guard) => guard.lock_timeout(cx, patience),
            Place::Object(object, form, wanted) => {
                object.lock(cx, wanted.unwrap_or(*form), patience)
            }
        };
        match locked {
            Ok(mut guard) => {
                self.slice.converted += flips() - flips_before;
                // In slices here; what hangs on containers elsewhere goes all at once when they are met.
                match guard.discard_twins(deadline) {
                    Ok(Progress::Done) => {}
                    Ok(Progress::More) => return Visit::Part,
                    Err(error) => {
                        self.slice.failed += 1;
                        tracing::error!(guard = place.name(), %error, "the sweep cannot drop the other form of what a guard guards");
                    }
                }
                guard.drop_outdated();
                self.walk(place, &mut guard, deadline)
            }
            Err(LockError::TimedOut(_)) => Visit::Busy,
            Err(LockError::Poisoned(name)) => {
                self.slice.poisoned.push(name);
                Visit::Whole
            }
            Err(error) => {
                self.slice.failed += 1;
                tracing::error!(guard = place.name(), %error, "the sweep cannot convert what a guard guards");
                Visit::Whole
            }
        }
    }

    fn troubles(&self) -> u64 {
        self.slice.failed + self.slice.poisoned.len() as u64
    }
}

impl Sweeping<'_> {
    /// Through everything behind a guard, from where the trail is.
    fn walk(&mut self, place: &Place<'_>, guard: &mut Guard<'_, ()>, deadline: Nanos) -> Visit {
        let mut sweeper = Sweeper {
            trail: self.trail,
            slice: self.slice,
            parked: self.parked,
            depth: 0,
            in_element: 0,
            to_take_out: 0,
            found_lone: false,
            guard: place.index(),
            found_misplaced: None,
            deadline,
            until_look: Cell::new(0),
            is_spent: Cell::new(false),
        };
        sweeper.walk(guard, self.number);
        if let Some(node) = sweeper.found_misplaced {
            tracing::error!(
                guard = place.name(),
                node = format!("{:#x}", node.address()),
                "a shared node is reached from this guard and belongs to another: it is not swept here"
            );
        }
        if sweeper.found_lone {
            sweeper.slice.failed += 1;
            tracing::error!(
                guard = place.name(),
                "what has no form in this version lies in nothing that can drop it: let the version that runs replace it"
            );
        }
        match self.trail.turn() {
            true => Visit::Part,
            false => Visit::Whole,
        }
    }
}

struct Sweeper<'a> {
    trail: &'a mut Trail,
    slice: &'a mut SweepSlice,
    parked: Parked,
    /// Elements around what is being shown that can be dropped.
    depth: u32,
    /// Boxes without a form in the innermost of them that go with it.
    in_element: u64,
    /// The same in all of them.
    to_take_out: u64,
    /// Whether there was one that goes with nothing.
    found_lone: bool,
    /// Behind which it is.
    guard: GuardIndex,
    /// A node that belongs to another guard.
    found_misplaced: Option<NodePtr>,
    deadline: Nanos,
    until_look: Cell<u32>,
    is_spent: Cell<bool>,
}

impl Sweeper<'_> {
    /// The items, from where the trail is, then the nodes that they led to.
    fn walk(&mut self, guard: &mut Guard<'_, ()>, sweep: SweepId) {
        if !self.trail.is_resumed() {
            rc::begin(self.guard, sweep);
        }
        let place = self.trail.enter();
        if place == nodes::IN_ITEMS {
            guard.visit(self);
            if self.trail.has_stopped() {
                return self.trail.leave(Some(nodes::IN_ITEMS));
            }
        }
        let stopped_at = self.walk_nodes(place);
        self.trail.leave(stopped_at);
    }

    /// The nodes that were met, until none is left or time is up: where it stopped. `place` is where the
    /// slice before did.
    fn walk_nodes(&mut self, place: u64) -> Option<u64> {
        let mut resumed = place;
        while let Some(node) = rc::next(self.guard) {
            if std::mem::replace(&mut resumed, nodes::BETWEEN_NODES) != node.place() {
                self.trail.begin_anew();
                if self.parked == Parked::Kept {
                    let brought = self.soundly(|| node.bring());
                    self.count(brought);
                }
            }
            node.show(self);
            if self.trail.has_stopped() {
                let place = node.place();
                node.put_back();
                return Some(place);
            }
            if self.is_spent() {
                return Some(nodes::BETWEEN_NODES);
            }
        }
        None
    }

    /// A conversion in whose middle the worker may die without harm: no section of the application is begun.
    /// Where elements are taken out, a row of them can have a gap until its walk ends.
    fn soundly<T>(&self, convert: impl FnOnce() -> T) -> T {
        match self.parked {
            Parked::Kept => sync::leaving_it_sound(self.guard, convert),
            Parked::Discarded => convert(),
        }
    }

    /// What came of bringing a node's value into this version's form.
    fn count(&mut self, brought: Option<Result<bool, AccessError>>) {
        match brought {
            None => {}
            Some(Ok(was_converted)) => self.slice.converted += u64::from(was_converted),
            Some(Err(AccessError::Foreign)) => self.slice.parked += 1,
            Some(Err(_)) => self.slice.failed += 1,
        }
    }

    /// A value without a form here is to go with the element that it lies in (R13).
    fn discard(&mut self) {
        if self.depth == 0 {
            self.found_lone = true;
        } else {
            self.in_element += 1;
            self.to_take_out += 1;
        }
    }
}

// SAFETY: words are changed by the sweep's conversion alone, and it says that it changes boxes.
unsafe impl Visitor for Sweeper<'_> {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}

    fn versioned(&mut self, word: &mut u64, expected: Tag) {
        match self.soundly(|| heap::sweep_box(word, expected)) {
            Ok(was_converted) => self.slice.converted += u64::from(was_converted),
            Err(AccessError::Foreign) => {
                self.slice.parked += 1;
                if self.parked == Parked::Discarded {
                    return self.discard();
                }
            }
            // Each kind of failure has been reported, not too often (R28).
            Err(_) => self.slice.failed += 1,
        }
        heap::show_boxes_inside(*word, self);
    }

    fn node(&mut self, handle: NodeHandle) {
        if !handle.is_found_behind(self.guard) {
            self.found_misplaced = Some(handle.node());
            return;
        }
        if self.parked == Parked::Kept {
            handle.meet(self.guard);
            return;
        }
        // What it leads to goes with the element that the handle is in: this one, and those to come.
        let brought = handle.meet_and_bring(self.guard);
        self.count(brought);
        if handle.keeps_foreign() {
            self.discard();
        }
    }

    fn wants_boxes_only(&self) -> bool {
        true
    }

    fn changes_boxes(&self) -> bool {
        true
    }

    fn begin_element(&mut self) -> u64 {
        self.depth += 1;
        std::mem::take(&mut self.in_element)
    }

    fn takes_out(&mut self, outside: u64) -> bool {
        self.depth -= 1;
        let taken = std::mem::replace(&mut self.in_element, outside);
        self.to_take_out -= taken;
        self.slice.discarded += taken;
        taken != 0
    }

    fn damage(&mut self, what: &str) {
        self.slice.failed += 1;
        tracing::error!(what, "the sweep met damaged bytes");
    }

    fn enter(&mut self) -> u64 {
        self.trail.enter()
    }

    fn begin_anew(&mut self) {
        self.trail.begin_anew();
    }

    fn is_spent(&self) -> bool {
        // What contains it has to be asked before the slice ends.
        if self.to_take_out != 0 {
            return false;
        }
        match self.until_look.get() {
            0 => {
                self.until_look.set(ELEMENTS_A_LOOK);
                self.is_spent
                    .set(self.is_spent.get() || Nanos::now() >= self.deadline);
            }
            more => self.until_look.set(more - 1),
        }
        self.is_spent.get()
    }

    fn stopped_inside(&self) -> bool {
        self.trail.has_stopped()
    }

    fn leave(&mut self, stopped_at: Option<u64>) {
        self.trail.leave(stopped_at);
    }
}
