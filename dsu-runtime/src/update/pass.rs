//! A pass over everything that is under a lock, in slices bounded in time: first the static guards of
//! this library, then the objects made at run time, each under its own lock and no other.
//!
//! Owns the order, how workers share it, and how long is waited for a lock. What is done under each is
//! `sweep`'s or `fill`'s.

use super::objects::{Objects, own_form};
use crate::abi::{GuardCell, WorkerContext};
use crate::ids::{GuardIndex, SweepId, Tag};
use crate::sync::{self, GuardMutex, GuardSlot, Pinned};
use crate::sys::time::Nanos;
use crate::worker::Worker;
use std::time::Duration;

/// How long a slice waits for a lock at first; each time in vain it waits longer.
const FIRST_PATIENCE: Duration = Duration::from_micros(50);
const LONGEST_PATIENCE: Duration = Duration::from_millis(10);

/// All guards of this library, by name.
pub(super) fn own_guards() -> Vec<&'static GuardCell> {
    let guards = sync::sorted_guards().into_iter();
    guards.flat_map(|guard| guard.cells).collect()
}

/// Something under a lock of its own.
pub(super) enum Place<'p> {
    /// A static guard.
    Guard(&'static GuardMutex<()>),
    /// An object made at run time, the form that it is in and the one of this library that leads to it.
    Object(&'p Pinned, Tag, Option<Tag>),
}

impl Place<'_> {
    /// Its slot.
    pub(super) fn slot(&self) -> &'static GuardSlot {
        match self {
            Place::Guard(guard) => guard.slot(),
            Place::Object(object, ..) => GuardSlot::at(object.id().index),
        }
    }

    /// Its place in the table of slots.
    pub(super) fn index(&self) -> GuardIndex {
        self.slot().index()
    }

    /// The form that this library wants it in; `None` where nothing leads to any.
    pub(super) fn wanted(&self) -> Option<Tag> {
        match self {
            Place::Guard(guard) => Some(guard.expected()),
            Place::Object(_, _, wanted) => *wanted,
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        match self {
            Place::Guard(guard) => guard.name(),
            Place::Object(object, form, _) => sync::describe(object.id().index, *form),
        }
    }
}

/// What came of one visit to a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// All that is there was seen.
    Whole,
    /// Time ran out inside.
    Part,
    /// Somebody else had it all the time.
    Busy,
}

/// What a pass does at each place.
pub(super) trait Work {
    /// A place is come to, which is not the one in whose middle the last slice ended.
    fn begin(&mut self, place: &Place<'_>);
    /// Somebody else has been through this one: it is left out.
    fn leave_out(&mut self);
    /// Takes the lock, waiting for at most `patience`, and does what there is time for.
    fn visit(
        &mut self,
        cx: &Worker,
        place: &Place<'_>,
        patience: Duration,
        deadline: Nanos,
    ) -> Visit;
    /// What went wrong in this slice so far. A place where something did is left to nobody.
    fn troubles(&self) -> u64;
}

/// A walk over all guards of this library and all objects, and how far it has come.
///
/// In the first pass the workers share them: each begins at another one and leaves out those that
/// somebody has gone through. What was moved from one guard to another meanwhile may have escaped, so
/// the passes that follow leave nothing out.
pub(super) struct Pass {
    pub(super) number: SweepId,
    is_first: bool,
    guards: Vec<&'static GuardCell>,
    /// Guards that are done, in the order of `guards`.
    done: usize,
    /// The last slice ended in the middle of the guard that is next.
    is_inside: bool,
    /// Objects, when the guards are done.
    objects: Option<Objects>,
    /// Something went wrong at this place.
    left_behind: bool,
    patience: Duration,
}

impl Pass {
    /// The first pass of this sweep or filling.
    pub(super) fn first(number: SweepId, guards: Vec<&'static GuardCell>) -> Pass {
        Pass::new(number, true, guards)
    }

    /// The pass after another.
    pub(super) fn next(number: SweepId, guards: Vec<&'static GuardCell>) -> Pass {
        Pass::new(number, false, guards)
    }

    fn new(number: SweepId, is_first: bool, mut guards: Vec<&'static GuardCell>) -> Pass {
        if !guards.is_empty() {
            // Spread over all guards, so that workers neither queue for one nor follow each other.
            let first = WorkerContext::current().owner() as usize * guards.len() * 7 / 16;
            let all = guards.len();
            guards.rotate_left(first % all);
        }
        Pass {
            number,
            is_first,
            guards,
            done: 0,
            is_inside: false,
            objects: None,
            left_behind: false,
            patience: FIRST_PATIENCE,
        }
    }

    /// One slice; true if that was the end of the pass.
    pub(super) fn run(&mut self, deadline: Nanos, work: &mut impl Work) -> bool {
        while let Some(&cell) = self.guards.get(self.done) {
            let guard = sync::erased(cell);
            // What nobody has made yet will begin in this version's form.
            if guard.slot().root().items().is_some() {
                let is_resumed = std::mem::take(&mut self.is_inside);
                if !self.visit(&Place::Guard(guard), is_resumed, deadline, work) {
                    self.is_inside = true;
                    return false;
                }
            }
            self.done += 1;
            if Nanos::now() >= deadline {
                return false;
            }
        }
        let worker = WorkerContext::current().owner() as usize;
        let mut objects = match self.objects.take() {
            Some(objects) => objects,
            None => Objects::from(worker),
        };
        let is_done = self.run_objects(&mut objects, deadline, work);
        self.objects = Some(objects);
        is_done
    }

    /// Goes over objects from where the walk is; false if time ran out before its end.
    fn run_objects(
        &mut self,
        objects: &mut Objects,
        deadline: Nanos,
        work: &mut impl Work,
    ) -> bool {
        while let Some((object, is_resumed)) = objects.current(deadline) {
            let form = object.form();
            let place = Place::Object(&object, form, own_form(form));
            if !self.visit(&place, is_resumed, deadline, work) {
                return false;
            }
            objects.advance();
            if Nanos::now() >= deadline {
                return false;
            }
        }
        objects.are_done()
    }

    /// One visit to a place, unless another worker has seen to it; false if it is to go on there in the
    /// next slice.
    fn visit(
        &mut self,
        place: &Place<'_>,
        is_resumed: bool,
        deadline: Nanos,
        work: &mut impl Work,
    ) -> bool {
        if !is_resumed {
            self.left_behind = false;
            work.begin(place);
        }
        if self.is_first && place.slot().is_swept(self.number) {
            work.leave_out();
            return true;
        }
        let before = work.troubles();
        let visit = work.visit(&Worker::of_runtime(), place, self.patience, deadline);
        self.left_behind |= before != work.troubles();
        self.patience = match visit {
            Visit::Busy => (self.patience * 2).min(LONGEST_PATIENCE),
            Visit::Part | Visit::Whole => FIRST_PATIENCE,
        };
        let is_whole = visit == Visit::Whole;
        if is_whole && !self.left_behind {
            place.slot().set_swept(self.number);
        }
        is_whole
    }
}
