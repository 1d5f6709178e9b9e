//! The sweep: converts what nobody has touched, in slices bounded in time (R29): first what the static
//! guards reach, then the objects made at run time, each under its own lock and no other.

use super::bind::walk_as_this_library;
use super::nodes;
use super::objects::{Objects, own_form};
use super::walk::Trail;
use crate::abi::{GuardCell, Parked, WorkerContext};
use crate::error::{AccessError, LockError};
use crate::heap::{self, NodeHandle, NodePtr, Visitor, rc};
use crate::ids::{GuardIndex, SweepId, Tag};
use crate::sync::{self, Guard, GuardSlot};
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

/// How long a slice waits for a guard at first; each time in vain it waits longer.
const FIRST_PATIENCE: Duration = Duration::from_micros(50);
const LONGEST_PATIENCE: Duration = Duration::from_millis(10);

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

/// A guard of this library, with its name.
pub(crate) type NamedCell = (&'static str, &'static GuardCell);

/// A walk over all guards of this library and all objects, and how far it has come.
///
/// In the first pass of a sweep the workers share them: each begins at another one and leaves out
/// those that somebody has gone through. What was moved from one guard to another meanwhile may
/// have escaped, so the passes that follow leave nothing out.
struct Pass {
    sweep: SweepId,
    is_first: bool,
    parked: Parked,
    guards: Vec<NamedCell>,
    /// Guards that are done, in the order of `guards`.
    done: usize,
    /// Objects, when the guards are done.
    objects: Option<Objects>,
    trail: Trail,
    /// What is behind this guard has something left in an old form.
    left_behind: bool,
    patience: Duration,
}

/// What came of one visit to a guard.
enum Visit {
    /// All that is behind it was seen.
    Whole,
    /// Time ran out inside.
    Part,
    /// Somebody else had it all the time.
    Busy,
}

thread_local! {
    static PASS: RefCell<Option<Pass>> = RefCell::default();
}

/// One slice of a pass over all guards of this library and all objects; the next call goes on where it
/// ends.
pub fn sweep(sweep: SweepId, parked: Parked, budget_ns: u64) -> SweepSlice {
    // Another library may have been bound since, and this one may have begun to run since.
    walk_as_this_library();
    let guards = || {
        let guards = sync::sorted_guards().into_iter();
        let named = guards.flat_map(|guard| guard.cells.iter().map(|cell| (guard.name, cell)));
        named.collect()
    };
    sweep_guards(sweep, parked, guards, budget_ns)
}

/// As [`sweep`], of these guards and of all objects. They are asked for when a pass begins.
pub(crate) fn sweep_guards(
    sweep: SweepId,
    parked: Parked,
    guards: impl Fn() -> Vec<NamedCell>,
    budget_ns: u64,
) -> SweepSlice {
    let deadline = Nanos::now().after(Duration::from_nanos(budget_ns));
    let mut slice = SweepSlice::default();
    PASS.with_borrow_mut(|current| {
        let pass = match current {
            Some(pass) if pass.sweep == sweep => pass,
            _ => current.insert(Pass::new(sweep, true, parked, guards())),
        };
        pass.run(deadline, &mut slice);
        if slice.is_done {
            *pass = Pass::new(sweep, false, parked, guards());
        }
    });
    slice
}

impl Pass {
    fn new(sweep: SweepId, is_first: bool, parked: Parked, mut guards: Vec<NamedCell>) -> Pass {
        if !guards.is_empty() {
            // Spread over all guards, so that workers neither queue for one nor follow each other.
            let first = WorkerContext::current().owner() as usize * guards.len() * 7 / 16;
            let all = guards.len();
            guards.rotate_left(first % all);
        }
        Pass {
            sweep,
            is_first,
            parked,
            guards,
            done: 0,
            objects: None,
            trail: Trail::default(),
            left_behind: false,
            patience: FIRST_PATIENCE,
        }
    }

    fn run(&mut self, deadline: Nanos, slice: &mut SweepSlice) {
        let cx = Worker::of_runtime();
        while let Some(&(name, cell)) = self.guards.get(self.done) {
            let guard = sync::erased(cell);
            // What nobody has made yet will begin in this version's form.
            if guard.slot().root().items().is_some() {
                let lock = |patience| guard.lock_timeout(&cx, patience);
                if !self.visit(guard.slot(), &|| name.to_owned(), lock, deadline, slice) {
                    return;
                }
            }
            self.done += 1;
            if Nanos::now() >= deadline {
                return;
            }
        }
        let worker = WorkerContext::current().owner() as usize;
        let mut objects = match self.objects.take() {
            Some(objects) => objects,
            None => Objects::from(worker),
        };
        slice.is_done = self.run_objects(&cx, &mut objects, deadline, slice);
        self.objects = Some(objects);
    }

    /// Sweeps objects from where the walk is; false if time ran out before its end.
    fn run_objects(
        &mut self,
        cx: &Worker,
        objects: &mut Objects,
        deadline: Nanos,
        slice: &mut SweepSlice,
    ) -> bool {
        while let Some((object, is_resumed)) = objects.current(deadline) {
            let form = object.form();
            let target = own_form(form);
            if !is_resumed {
                self.trail = Trail::default();
                self.left_behind = false;
                slice.parked += u64::from(target.is_none());
            }
            let index = object.id().index;
            let name = || sync::describe(index, form);
            let lock = |patience| object.lock(cx, target.unwrap_or(form), patience);
            if !self.visit(GuardSlot::at(index), &name, lock, deadline, slice) {
                return false;
            }
            objects.advance();
            if Nanos::now() >= deadline {
                return false;
            }
        }
        objects.are_done()
    }

    /// One visit to what a lock guards, unless another worker has seen to it; false if it is to go on
    /// there in the next slice.
    fn visit<'g>(
        &mut self,
        slot: &GuardSlot,
        name: &dyn Fn() -> String,
        lock: impl FnOnce(Duration) -> Result<Guard<'g, ()>, LockError>,
        deadline: Nanos,
        slice: &mut SweepSlice,
    ) -> bool {
        if self.is_first && slot.is_swept(self.sweep) {
            self.trail = Trail::default();
            self.left_behind = false;
            slice.is_shared = true;
            return true;
        }
        let before = (slice.failed, slice.poisoned.len());
        let visit = sweep_one(
            name,
            || lock(self.patience),
            (self.sweep, slot.index()),
            &mut self.trail,
            self.parked,
            deadline,
            slice,
        );
        self.left_behind |= before != (slice.failed, slice.poisoned.len());
        self.patience = match visit {
            Visit::Busy => (self.patience * 2).min(LONGEST_PATIENCE),
            Visit::Part | Visit::Whole => FIRST_PATIENCE,
        };
        let is_whole = matches!(visit, Visit::Whole);
        if is_whole && !std::mem::take(&mut self.left_behind) {
            slot.set_swept(self.sweep);
        }
        is_whole
    }
}

/// Sweeps what one lock guards from where the trail is.
fn sweep_one<'g>(
    name: &dyn Fn() -> String,
    lock: impl FnOnce() -> Result<Guard<'g, ()>, LockError>,
    (sweep, index): (SweepId, GuardIndex),
    trail: &mut Trail,
    parked: Parked,
    deadline: Nanos,
    slice: &mut SweepSlice,
) -> Visit {
    let flips = || {
        WorkerContext::current()
            .record()
            .flips
            .load(Ordering::Relaxed)
    };
    let flips_before = flips();
    match lock() {
        Ok(mut guard) => {
            slice.converted += flips() - flips_before;
            let mut sweeper = Sweeper {
                trail,
                slice,
                parked,
                depth: 0,
                in_element: 0,
                to_take_out: 0,
                found_lone: false,
                guard: index,
                found_misplaced: None,
                deadline,
                until_look: Cell::new(0),
                is_spent: Cell::new(false),
            };
            guard.drop_outdated();
            sweeper.walk(&mut guard, sweep);
            if let Some(node) = sweeper.found_misplaced {
                tracing::error!(
                    guard = name(),
                    node = format!("{:#x}", node.address()),
                    "a shared node is reached from this guard and belongs to another: it is not swept here"
                );
            }
            if sweeper.found_lone {
                sweeper.slice.failed += 1;
                tracing::error!(
                    guard = name(),
                    "what has no form in this version lies in nothing that can drop it: let the version that runs replace it"
                );
            }
            match trail.turn() {
                true => Visit::Part,
                false => Visit::Whole,
            }
        }
        Err(LockError::TimedOut(_)) => Visit::Busy,
        Err(LockError::Poisoned(name)) => {
            slice.poisoned.push(name);
            Visit::Whole
        }
        Err(error) => {
            slice.failed += 1;
            tracing::error!(guard = name(), %error, "the sweep cannot convert what a guard guards");
            Visit::Whole
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
                    self.count(node.bring());
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

impl Visitor for Sweeper<'_> {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}

    fn versioned(&mut self, word: &mut u64, expected: Tag) {
        match heap::sweep_box(word, expected) {
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
