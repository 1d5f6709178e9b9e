//! Waiting for a guard while holding others: with an eye on circles (R16).
//!
//! Owns how long an acquisition may take, and how often one that waits looks around. Who holds nothing
//! keeps nobody waiting, so it waits as `waiter` does. Who holds something waits in stretches: each ends
//! as a time-out does, through the protocol's own way out, so that nothing here is new to the lock
//! word; between two stretches it looks whether it stands in a circle, and whether it is to give way.
//!
//! ```text
//! no circle, or another than last time      wait on
//! the same circle at two looks in a row     give way, if it is this one's turn: Err(Deadlock)
//! the same for STUBBORN looks               give way: whose turn it is cannot, or does not look
//! ```

use super::circle::{Link, Sight, circle, gives_way};
use super::party::{Class, Name, TimedOut};
use super::slot::GuardSlot;
use super::{names, order};
use crate::abi::{GuardCell, MAX_GUARDS, MAX_WORKERS, ReportKind, WorkerRecord};
use crate::error::{Deadlock, DeadlockCause, LockError};
use crate::ids::{GuardIndex, VersionId, WorkerSlot};
use crate::sys::time::Nanos;
use crate::worker::Worker;
use serde_json::json;
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long and how far an acquisition may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as need be.
    Unbounded,
    /// Waits at most until then; transforming is not bounded (R21). It ends by itself, so it does not
    /// look for circles.
    Until(Nanos),
    /// Takes a free lock whose items need no transforming (R21).
    None,
    /// As long as need be, for the runtime itself, which holds what the application would not: no part
    /// of its order, and the first to give way.
    Visit,
}

/// Between two looks of a worker that waits and holds something. Long beside a section, so that a
/// stretch seldom ends; somebody may overtake then who came later.
const STRETCH: Duration = Duration::from_millis(20);
/// Between two looks of the runtime itself.
const VISITOR_STRETCH: Duration = Duration::from_millis(4);
/// Looks after which also those give way whose turn it is not.
const STUBBORN: u32 = 25;
/// Between two reports to the supervisor: an order that is refused is refused at each attempt.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

impl Patience {
    fn deadline(self) -> Option<Nanos> {
        match self {
            Patience::Unbounded | Patience::Visit => None,
            Patience::Until(instant) => Some(instant),
            Patience::None => Some(Nanos(0)),
        }
    }

    fn stretch(self) -> Option<Duration> {
        match self {
            Patience::Unbounded => Some(STRETCH),
            Patience::Visit => Some(VISITOR_STRETCH),
            Patience::Until(_) | Patience::None => None,
        }
    }
}

/// Before a guard is waited for, or taken, inside others.
///
/// # Errors
/// [`LockError::Deadlock`] if it would go round with the other version's order.
pub(super) fn follow_order(
    slot: &'static GuardSlot,
    cell: &'static GuardCell,
    cx: &Worker,
    patience: Patience,
) -> Result<(), LockError> {
    if cx.context().held().is_empty() || patience == Patience::Visit {
        return Ok(());
    }
    order::follow(cx.context(), slot).map_err(|who| {
        let deadlock = Deadlock {
            guard: names::describe(cell),
            cause: DeadlockCause::Order(who),
        };
        report(cx, &deadlock);
        LockError::Deadlock(deadlock)
    })
}

/// Takes the lock, waiting as long as `patience` has it.
///
/// # Errors
/// [`LockError::TimedOut`], [`LockError::Deadlock`]; the lock is not held then.
pub(super) fn acquire(
    slot: &'static GuardSlot,
    cell: &'static GuardCell,
    cx: &Worker,
    patience: Patience,
) -> Result<(), LockError> {
    let (seat, class) = (cx.seat(), Class::of_tag(u64::from(cell.expected().0)));
    wait(slot, cell, cx, patience, |deadline| {
        slot.lock
            .acquire_slow(&seat, slot.cell_index(), class, deadline)
    })
}

/// As [`acquire`], for who holds the lock and may have to give it back for a while: its items are
/// still to stay with the other class.
pub(super) fn await_turn(
    slot: &'static GuardSlot,
    cell: &'static GuardCell,
    cx: &Worker,
    patience: Patience,
) -> Result<(), LockError> {
    let (seat, class) = (cx.seat(), Class::of_tag(u64::from(cell.expected().0)));
    let mut has_it = true;
    wait(slot, cell, cx, patience, |deadline| {
        let at = slot.cell_index();
        match std::mem::replace(&mut has_it, false) {
            true => slot.lock.await_turn(&seat, at, class, deadline),
            false => slot.lock.acquire_slow(&seat, at, class, deadline),
        }
    })
}

fn wait(
    slot: &'static GuardSlot,
    cell: &'static GuardCell,
    cx: &Worker,
    patience: Patience,
    mut attempt: impl FnMut(Option<Nanos>) -> Result<(), TimedOut>,
) -> Result<(), LockError> {
    let alone = cx.context().held().is_empty();
    let Some(stretch) = patience.stretch().filter(|_| !alone) else {
        return attempt(patience.deadline())
            .map_err(|TimedOut| LockError::TimedOut(names::describe(cell)));
    };
    let mut watch = Watch::default();
    while attempt(Some(Nanos::now().after(stretch))).is_err() {
        if let Some(links) = watch.look(slot.index(), cx, patience) {
            return Err(LockError::Deadlock(give_way(&links, cell, cx)));
        }
    }
    Ok(())
}

/// What a worker that waits has seen so far.
#[derive(Default)]
struct Watch {
    seen: Vec<Link>,
    times: u32,
}

impl Watch {
    /// The circle, if it is this worker that gives way in it.
    fn look(&mut self, guard: GuardIndex, cx: &Worker, patience: Patience) -> Option<Vec<Link>> {
        let links = circle(cx.name(), guard, &Shared, MAX_WORKERS).unwrap_or_default();
        self.times = match links == self.seen {
            true => self.times + 1,
            false => 1,
        };
        self.seen = links;
        let is_to_give_way = || {
            patience == Patience::Visit
                || self.times >= STUBBORN
                || gives_way(cx.name(), &self.seen, order::newer_version(), &Shared)
        };
        (!self.seen.is_empty() && self.times >= 2 && is_to_give_way()).then(|| self.seen.clone())
    }
}

/// The words of the control region.
struct Shared;

impl Sight for Shared {
    fn owner(&self, guard: GuardIndex) -> Option<Name> {
        // The index is another process's word.
        if guard.0 as usize >= MAX_GUARDS {
            return None;
        }
        let owner = GuardSlot::at(guard).lock.owner();
        owner.filter(|name| (name.slot() as usize) < MAX_WORKERS)
    }

    fn waits_at(&self, worker: Name) -> Option<GuardIndex> {
        let busy = WorkerRecord::at(WorkerSlot(worker.slot()))
            .busy
            .load(Ordering::Acquire);
        busy.checked_sub(1).map(GuardIndex)
    }

    fn version(&self, worker: Name) -> VersionId {
        let record = WorkerRecord::at(WorkerSlot(worker.slot()));
        VersionId(record.version.load(Ordering::Relaxed))
    }
}

fn give_way(links: &[Link], cell: &'static GuardCell, cx: &Worker) -> Deadlock {
    let others: Vec<String> = links
        .iter()
        .map(|link| {
            let worker = WorkerSlot(link.worker.slot());
            let (holds, wants) = (names::guard_at(link.holds), names::guard_at(link.waits_at));
            format!("{worker} holds {holds} and waits for {wants}")
        })
        .collect();
    let deadlock = Deadlock {
        guard: names::describe(cell),
        cause: DeadlockCause::Circle(format!("{}, which this worker holds", others.join(", "))),
    };
    let own = Shared.version(cx.name());
    let is_mixed = links.iter().any(|link| Shared.version(link.worker) != own);
    if is_mixed && order::newer_version() == Some(own) {
        report(cx, &deadlock);
    }
    deadlock
}

thread_local! {
    static REPORTED: Cell<Option<Nanos>> = const { Cell::new(None) };
}

/// Tells the supervisor: it counts against the update (R28).
fn report(cx: &Worker, deadlock: &Deadlock) {
    let now = Nanos::now();
    let is_due = REPORTED
        .get()
        .is_none_or(|at| now.since(at) >= BETWEEN_REPORTS);
    if is_due {
        REPORTED.set(Some(now));
        let content = json!({ "guard": deadlock.guard, "reason": deadlock.to_string() });
        cx.context()
            .report(ReportKind::LockOrder, &content.to_string());
    }
}
