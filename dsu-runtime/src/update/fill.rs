//! The filling: makes ahead what flips to this library's forms take up, in slices bounded in time, so
//! that no flip costs the size of what it flips (R5). After the back-fill of online schema changes
//! (pt-online-schema-change, gh-ost): while it goes on, writes to the form that is in use mark what the
//! other one has to catch up with.
//!
//! Knows guards, objects and their forms. Where a form is made and how is the lenses'.

use super::pass::{Pass, Place, Visit, Work, own_guards};
use crate::abi::{FillingWord, GuardCell};
use crate::error::{AccessError, LockError};
use crate::heap::delta::Progress;
use crate::heap::{is_prepared, report_guard};
use crate::ids::{SweepId, Tag};
use crate::sync;
use crate::sys::time::Nanos;
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::time::Duration;

/// What one slice of a filling, or the slices of a pass together, did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FillSlice {
    /// The pass is over.
    pub is_done: bool,
    /// The pass left something out that another worker had gone through.
    pub is_shared: bool,
    /// Visits in which something was made.
    pub visits: u64,
    /// The first thing that cannot be made: where, and why.
    pub failure: Option<String>,
}

impl FillSlice {
    /// Takes another slice of the same pass in.
    pub fn add(&mut self, slice: FillSlice) {
        self.is_done = slice.is_done;
        self.is_shared |= slice.is_shared;
        self.visits += slice.visits;
        self.failure = self.failure.take().or(slice.failure);
    }

    /// A whole pass found everything there.
    pub fn is_whole(&self) -> bool {
        self.is_done && !self.is_shared && self.failure.is_none()
    }
}

/// At a place where writers have outrun the slices for this long, slices are longer.
const OUTRUN: Duration = Duration::from_secs(10);
/// By this: as long as a flip may take (`--max-pause`, R5).
const LONGER: Duration = Duration::from_millis(2);

/// A pass of the filling, and since when it is at this place.
struct Fill {
    pass: Pass,
    since: Nanos,
}

thread_local! {
    static FILL: RefCell<Option<Fill>> = const { RefCell::new(None) };
}

/// One slice of a pass over all guards of this library, those that it moves items out of, and all objects,
/// whichever form they are in; the next call goes on where it ends. This library need not be the one that
/// runs.
pub fn fill(fill: SweepId, budget_ns: u64) -> FillSlice {
    let guards = || {
        let emptied = sync::emptied().into_iter();
        let mut cells = own_guards();
        cells.extend(emptied.flat_map(|guard| guard.cells));
        cells
    };
    fill_guards(fill, guards, budget_ns)
}

/// As [`fill`], of these guards and of all objects. They are asked for when a pass begins.
pub(crate) fn fill_guards(
    fill: SweepId,
    guards: impl Fn() -> Vec<&'static GuardCell>,
    budget_ns: u64,
) -> FillSlice {
    let deadline = Nanos::now().after(Duration::from_nanos(budget_ns));
    FILL.with_borrow_mut(|current| {
        let begin = |pass| Fill {
            pass,
            since: Nanos::now(),
        };
        let filling = match current {
            Some(filling) if filling.pass.number == fill => filling,
            _ => current.insert(begin(Pass::first(fill, guards()))),
        };
        let mut work = Filling {
            fill,
            since: &mut filling.since,
            slice: FillSlice::default(),
        };
        work.slice.is_done = filling.pass.run(deadline, &mut work);
        let slice = work.slice;
        if slice.is_done {
            *filling = begin(Pass::next(fill, guards()));
        }
        slice
    })
}

/// What the filling does at each place.
struct Filling<'a> {
    fill: SweepId,
    since: &'a mut Nanos,
    slice: FillSlice,
}

impl Work for Filling<'_> {
    fn begin(&mut self, _: &Place<'_>) {
        *self.since = Nanos::now();
    }

    fn leave_out(&mut self) {
        self.slice.is_shared = true;
    }

    fn visit(
        &mut self,
        cx: &Worker,
        place: &Place<'_>,
        patience: Duration,
        deadline: Nanos,
    ) -> Visit {
        let form = place.slot().form();
        let Some(wanted) = place.wanted().filter(|to| is_prepared(form, *to)) else {
            return Visit::Whole;
        };
        match sync::lock_as_it_is(place.index(), cx, form, patience) {
            Ok(mut guard) => {
                // Behind a sweep that has begun meanwhile nothing is to be made.
                if !FillingWord::get().allows(self.fill) {
                    return Visit::Part;
                }
                self.slice.visits += 1;
                let until = match deadline.since(*self.since) > OUTRUN {
                    true => deadline.after(LONGER),
                    false => deadline,
                };
                match guard.prepare(wanted, until) {
                    Ok(Progress::Done) => Visit::Whole,
                    // It had all once: what is marked faster than slices bring it up is the flip's.
                    Ok(Progress::More) if place.slot().is_swept(self.fill) => Visit::Whole,
                    Ok(Progress::More) => Visit::Part,
                    Err(error) => {
                        self.fails(place, form, wanted, &error);
                        Visit::Whole
                    }
                }
            }
            // Its flip fails whether or not it is filled; the sweep names it (R30).
            Err(LockError::Poisoned(_)) => Visit::Whole,
            Err(_) => Visit::Busy,
        }
    }

    fn troubles(&self) -> u64 {
        u64::from(self.slice.failure.is_some())
    }
}

impl Filling<'_> {
    fn fails(&mut self, place: &Place<'_>, from: Tag, to: Tag, error: &AccessError) {
        let guard = place.name();
        let reason = match error {
            AccessError::HeapFull => "the heap is full: delete something".to_owned(),
            AccessError::Foreign => error.to_string(),
            AccessError::Failed(reason) => {
                report_guard(&guard, from, to, reason);
                reason.clone()
            }
        };
        self.slice
            .failure
            .get_or_insert(format!("guard {guard}, {reason}"));
    }
}
