//! The sweep: converts what nobody has touched, in slices bounded in time (R29): first what the static
//! guards reach, then the objects made at run time, each under its own lock and no other.

use super::objects::{Objects, own_form};
use super::walk::Trail;
use crate::abi::{GuardCell, WorkerContext};
use crate::error::{AccessError, LockError};
use crate::heap::{self, Visitor};
use crate::ids::Tag;
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
    /// Elements and tuples brought to this version's form.
    pub converted: u64,
    /// Elements without a form in this version (R13).
    pub parked: u64,
    /// Elements and tuples whose transformer failed.
    pub failed: u64,
    /// Poisoned guards, by name.
    pub poisoned: Vec<String>,
}

impl SweepSlice {
    /// Takes another slice of the same pass in.
    pub fn add(&mut self, slice: SweepSlice) {
        self.is_done = slice.is_done;
        self.converted += slice.converted;
        self.parked += slice.parked;
        self.failed += slice.failed;
        self.poisoned.extend(slice.poisoned);
    }
}

/// How far the pass has come.
#[derive(Default)]
struct Pass {
    /// Guards that are done, in the order of `guards`.
    done: usize,
    /// Objects, when the guards are done.
    objects: Option<Objects>,
    trail: Trail,
}

thread_local! {
    static PASS: RefCell<Pass> = RefCell::default();
}

/// One slice of a pass over all guards of this library and all objects; the next call goes on where it
/// ends.
pub fn sweep(budget_ns: u64) -> SweepSlice {
    let cells: Vec<_> = sync::sorted_guards()
        .into_iter()
        .flat_map(|guard| guard.cells.iter().map(move |cell| (guard.name, cell)))
        .collect();
    sweep_guards(&cells, budget_ns)
}

/// As [`sweep`], of these guards, each with its name, and of all objects.
pub(crate) fn sweep_guards(
    cells: &[(&'static str, &'static GuardCell)],
    budget_ns: u64,
) -> SweepSlice {
    let deadline = Nanos::now().after(Duration::from_nanos(budget_ns));
    // Workers begin at different guards, so that they do not queue for the same one.
    let first = WorkerContext::current().owner() as usize;
    let mut slice = SweepSlice::default();
    let cx = Worker::of_runtime();
    PASS.with_borrow_mut(|pass| {
        while pass.done < cells.len() {
            let (name, cell) = cells[(first + pass.done) % cells.len()];
            let lock = || sync::erased(cell).lock(&cx);
            let name = || (*name).to_owned();
            let is_whole = sweep_one(&name, lock, &mut pass.trail, deadline, &mut slice);
            if !is_whole {
                return;
            }
            pass.done += 1;
            if Nanos::now() >= deadline {
                return;
            }
        }
        let objects = pass.objects.get_or_insert_with(|| Objects::from(first));
        if sweep_objects(&cx, objects, &mut pass.trail, deadline, &mut slice) {
            slice.is_done = true;
            *pass = Pass::default();
        }
    });
    slice
}

/// Sweeps objects from where the walk is; false if time ran out before its end.
fn sweep_objects(
    cx: &Worker,
    objects: &mut Objects,
    trail: &mut Trail,
    deadline: Nanos,
    slice: &mut SweepSlice,
) -> bool {
    while let Some((object, is_resumed)) = objects.current(deadline) {
        if !is_resumed {
            *trail = Trail::default();
        }
        let form = object.form();
        let target = own_form(form);
        if target.is_none() {
            slice.parked += 1;
        }
        let name = || sync::describe(object.id().index, form);
        let lock = || object.lock(cx, target.unwrap_or(form), None);
        if !sweep_one(&name, lock, trail, deadline, slice) {
            return false;
        }
        objects.advance();
        if Nanos::now() >= deadline {
            return false;
        }
    }
    objects.are_done()
}

/// Sweeps what one lock guards from where the trail is; false if time ran out in the middle.
fn sweep_one<'g>(
    name: &dyn Fn() -> String,
    lock: impl FnOnce() -> Result<Guard<'g, ()>, LockError>,
    trail: &mut Trail,
    deadline: Nanos,
    slice: &mut SweepSlice,
) -> bool {
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
                deadline,
                until_look: Cell::new(0),
                is_spent: Cell::new(false),
            };
            guard.drop_outdated();
            guard.visit(&mut sweeper);
            !trail.turn()
        }
        Err(LockError::Poisoned(name)) => {
            slice.poisoned.push(name);
            true
        }
        Err(error) => {
            slice.failed += 1;
            tracing::error!(guard = name(), %error, "the sweep cannot convert what a guard guards");
            true
        }
    }
}

struct Sweeper<'a> {
    trail: &'a mut Trail,
    slice: &'a mut SweepSlice,
    deadline: Nanos,
    until_look: Cell<u32>,
    is_spent: Cell<bool>,
}

impl Visitor for Sweeper<'_> {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}

    fn versioned(&mut self, word: &mut u64, expected: Tag) {
        match heap::sweep_box(word, expected) {
            Ok(was_converted) => self.slice.converted += u64::from(was_converted),
            Err(AccessError::Foreign) => self.slice.parked += 1,
            // Each kind of failure has been reported, not too often (R28).
            Err(_) => self.slice.failed += 1,
        }
        heap::show_content(word, self);
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
