//! What the model's workers do, and what must hold whatever the scheduler does to them.
//!
//! Checked: nobody is in a section that another lives or died in unrecovered; a death in a section
//! is reported before the next owner gets in; every schedule ends (the scheduler reports one in
//! which nobody can run); in the end every word is 0 and every `busy` is clear.

use crate::platform::{self, AtomicU32, Chance, Nanos, Ordering, Timers, draw, live};
use crate::subject::{Caller, Subject};
use shuttle::sync::mpsc::{Sender, channel};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool as PlainBool, AtomicU32 as PlainU32};
use std::time::Duration;

/// One family of executions.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For each worker, whether its version's class is the odd one.
    pub odd: &'static [bool],
    pub cells: usize,
    pub rounds: u32,
    /// How many lives may end early, and how often recovery itself.
    pub deaths: u32,
    pub recovery_deaths: u32,
    /// Steps within which a doomed party dies.
    pub lifetime: u32,
    pub timers: Timers,
    pub impatience: Impatience,
    pub chance: Chance,
}

/// How workers ask for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impatience {
    /// Always without a deadline.
    Never,
    /// Some with a deadline, some without waiting at all.
    Sometimes,
}

/// A lock and the item that it guards, as far as the lock's clients see it.
struct Guarded {
    /// Slot plus one of who is in the section. Plain: to read it is no step.
    inside: PlainU32,
    odd: PlainBool,
    /// Not part of the lock: makes the inside of a section several steps long.
    content: AtomicU32,
}

struct Fleet<S> {
    plan: Plan,
    cells: Vec<S>,
    items: Vec<Guarded>,
    busy: Vec<AtomicU32>,
}

enum End {
    Finished,
    Died { slot: usize, odd: bool },
}

/// Runs one execution of `plan`; `doom` names a worker and the step at which it dies, else death
/// is left to chance.
pub fn run<S: Subject>(plan: Plan, doom: Option<(usize, u32)>) {
    platform::reset(plan.chance, plan.timers);
    let fleet = Arc::new(Fleet {
        plan,
        cells: (0..plan.cells).map(|_| S::free()).collect(),
        items: (0..plan.cells)
            .map(|_| Guarded {
                inside: PlainU32::new(0),
                odd: PlainBool::new(false),
                content: AtomicU32::new(0),
            })
            .collect(),
        busy: plan.odd.iter().map(|_| AtomicU32::new(0)).collect(),
    });
    let (report, reports) = channel();
    let mut deaths = plan.deaths;
    for (slot, &odd) in plan.odd.iter().enumerate() {
        let fate = match doom {
            Some((victim, step)) => (victim == slot).then_some(step),
            None => random_fate(&mut deaths, plan.lifetime),
        };
        start(&fleet, slot, odd, fate, &report);
    }
    let mut alive = plan.odd.len();
    while alive > 0 {
        match reports.recv().expect("this thread keeps a sender") {
            End::Finished => alive -= 1,
            End::Died { slot, odd } => {
                recover(&fleet, slot);
                // The slot is used again at once, by a worker that may die in its turn.
                let fate = if doom.is_some() {
                    None
                } else {
                    random_fate(&mut deaths, plan.lifetime)
                };
                start(&fleet, slot, odd, fate, &report);
            }
        }
    }
    assert!(
        fleet.cells.iter().all(S::is_at_rest),
        "a word is not 0 at the end"
    );
    assert!(
        fleet
            .busy
            .iter()
            .all(|busy| busy.load(Ordering::SeqCst) == 0),
        "busy at the end"
    );
}

fn random_fate(deaths: &mut u32, lifetime: u32) -> Option<u32> {
    if *deaths == 0 || draw(2) == 0 {
        return None;
    }
    *deaths -= 1;
    Some(draw(lifetime))
}

fn recover<S: Subject>(fleet: &Fleet<S>, slot: usize) {
    let mut deaths = fleet.plan.recovery_deaths;
    loop {
        let done = live(random_fate(&mut deaths, 20), || {
            S::recover(slot as u32, &fleet.busy[slot], &fleet.cells, |at| {
                let Guarded {
                    inside, content, ..
                } = &fleet.items[at as usize];
                // To report is a step, at which recovery too may die.
                content.load(Ordering::SeqCst);
                let found = inside.load(Ordering::SeqCst);
                assert!(
                    found == 0 || found == slot as u32 + 1,
                    "abandoned, but another is inside"
                );
                inside.store(0, Ordering::SeqCst);
            });
        });
        if done.is_some() {
            return;
        }
    }
}

fn start<S: Subject>(
    fleet: &Arc<Fleet<S>>,
    slot: usize,
    odd: bool,
    fate: Option<u32>,
    report: &Sender<End>,
) {
    let fleet = Arc::clone(fleet);
    let report = report.clone();
    shuttle::thread::spawn(move || {
        let end = match live(fate, || work(&fleet, slot, odd)) {
            Some(()) => End::Finished,
            None => End::Died { slot, odd },
        };
        report
            .send(end)
            .expect("the supervisor outlives the workers");
    });
}

fn work<S: Subject>(fleet: &Fleet<S>, slot: usize, odd: bool) {
    for _ in 0..fleet.plan.rounds {
        let at = draw(fleet.cells.len() as u32);
        let caller = Caller {
            slot: slot as u32,
            busy: &fleet.busy[slot],
            at,
            odd,
        };
        let cell = &fleet.cells[at as usize];
        let item = &fleet.items[at as usize];
        if !acquire(fleet, cell, item, caller) {
            continue;
        }
        assert_eq!(
            cell.owner(),
            Some(caller.slot),
            "the holder is not the owner"
        );
        let before = item.inside.swap(caller.slot + 1, Ordering::SeqCst);
        assert_eq!(before, 0, "two in one section");
        if item.odd.load(Ordering::SeqCst) != odd {
            transform(cell, item, odd);
        }
        item.content.load(Ordering::SeqCst);
        let inside = item.inside.swap(0, Ordering::SeqCst);
        assert_eq!(inside, caller.slot + 1, "two in one section");
        if !cell.release_fast(caller) {
            cell.release_slow(caller);
        }
    }
}

fn acquire<S: Subject>(fleet: &Fleet<S>, cell: &S, item: &Guarded, caller: Caller<'_>) -> bool {
    let mut deadline = None;
    if fleet.plan.impatience == Impatience::Sometimes {
        match draw(4) {
            0 => return cell.try_acquire(caller),
            1 => deadline = Some(Nanos::now().after(Duration::from_micros(draw(1500).into()))),
            _ => {}
        }
    }
    if !cell.try_acquire_fast(caller) {
        return cell.acquire_slow(caller, deadline);
    }
    item.odd.load(Ordering::SeqCst) == caller.odd || cell.await_turn(caller, deadline)
}

fn transform<S: Subject>(cell: &S, item: &Guarded, odd: bool) {
    cell.transforming(odd);
    if draw(4) == 3 {
        cell.transform_failed(odd);
        return;
    }
    item.content.load(Ordering::SeqCst);
    item.odd.store(odd, Ordering::SeqCst);
    cell.transformed(odd, Duration::from_micros(draw(100).into()));
}
