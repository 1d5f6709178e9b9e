//! The heap check: walks everything that the guards reach and holds it against the allocator's account.

use crate::abi::GuardCell;
use crate::error::LockError;
use crate::heap::objects::{self, Fate, ObjectId};
use crate::heap::{self, Activity, BlockMap, HeapAccount, Visitor};
use crate::ids::{GuardIndex, Tag};
use crate::sync::{self, Guard, Pinned};
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::alloc::Layout;
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::time::Duration;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CheckReport {
    /// Blocks that were reached.
    pub walked: u64,
    /// One sentence for each thing that is wrong; empty when all is well.
    pub findings: Vec<String>,
}

/// Sentences that a report holds at the most.
const MOST_FINDINGS: usize = 100;

/// Attempts until the objects stand still for one, and none is locked by somebody who waits for a
/// guard that the check holds.
const ATTEMPTS: u32 = 20;
/// How long an attempt waits for the lock of one object.
const PATIENCE: Duration = Duration::from_millis(50);

/// Acquires every guard of this library, in slot order, then every object, and walks all that they
/// reach. While it holds them nobody else can change the heap, so that what nobody reaches is lost for
/// certain. Objects that died in the hands of their makers are reported, and freed.
pub fn check() -> CheckReport {
    objects::reap();
    let mut outcome = attempt();
    for _ in 1..ATTEMPTS {
        if !outcome.is_disturbed {
            break;
        }
        outcome = attempt();
    }
    let Outcome {
        mut checker, lost, ..
    } = outcome;
    for id in lost {
        checker.damage(&format!(
            "{} is nobody's: the worker that made it died with it in its hands; it is freed now",
            sync::describe(id.index, Tag::NONE)
        ));
        objects::collect_lost(id);
    }
    CheckReport {
        walked: checker.blocks.len() as u64,
        findings: checker.findings,
    }
}

/// What one attempt came to.
struct Outcome {
    checker: Checker,
    /// Objects that nothing owns and whose makers are dead.
    lost: Vec<ObjectId>,
    /// Somebody made, freed or held an object meanwhile: nothing is said of what nobody reaches.
    is_disturbed: bool,
}

fn attempt() -> Outcome {
    let cx = Worker::of_runtime();
    let mut cells: Vec<&'static GuardCell> = sync::sorted_guards()
        .into_iter()
        .flat_map(|guard| guard.cells)
        .collect();
    cells.sort_by_key(|cell| cell.slot.load(std::sync::atomic::Ordering::Relaxed));
    let mut checker = Checker::default();
    let mut is_whole = true;
    let mut is_disturbed = false;
    let mut guards: Vec<Guard<'_, ()>> = Vec::new();
    for cell in cells {
        match sync::erased(cell).lock(&cx) {
            Ok(guard) => guards.push(guard),
            Err(error) => {
                is_whole = false;
                if !matches!(error, LockError::Poisoned(_)) {
                    checker.damage(&error.to_string());
                }
            }
        }
    }
    let states = objects::all_states();
    let pinned: Vec<Pinned> = objects::known_slots()
        .filter_map(|index| Pinned::at(GuardIndex(index)))
        .collect();
    let mut of_objects: Vec<Guard<'_, ()>> = Vec::new();
    for object in &pinned {
        match object.lock(&cx, object.form(), Some(PATIENCE)) {
            Ok(guard) => of_objects.push(guard),
            Err(LockError::Poisoned(_)) => is_whole = false,
            Err(LockError::TimedOut(_) | LockError::TransformFailed(_)) => is_disturbed = true,
            Err(error) => {
                is_whole = false;
                checker.damage(&error.to_string());
            }
        }
    }
    if !is_disturbed {
        guards
            .iter_mut()
            .for_each(|guard| guard.visit(&mut checker));
        of_objects
            .iter_mut()
            .for_each(|guard| guard.visit(&mut checker));
    }
    let fates: Vec<_> = objects::known_slots()
        .map(|index| objects::fate(GuardIndex(index)))
        .collect();
    is_whole &= fates.iter().all(|(fate, _)| *fate != Fate::Condemned);
    is_disturbed |= fates.iter().any(|(fate, _)| *fate == Fate::Changing);
    let mut lost = Vec::new();
    for finding in HeapAccount::take(Activity::Live).findings {
        checker.damage(&finding);
    }
    let blocks = checker.blocks.unreached();
    is_disturbed |= objects::all_states() != states;
    if is_whole && !is_disturbed {
        let bytes: usize = blocks.iter().map(|(_, bytes)| bytes).sum();
        if let Some((first, _)) = blocks.first() {
            let count = blocks.len();
            checker.damage(&format!(
                "{count} blocks of {bytes} bytes are allocated and nobody reaches them, the first at {first:p}"
            ));
        }
        let nobodys = |(fate, id): &(Fate, ObjectId)| {
            *fate == Fate::OwnedOrLost && !checker.objects.contains(id)
        };
        lost.extend(fates.iter().filter(|one| nobodys(one)).map(|(_, id)| *id));
    }
    Outcome {
        checker,
        lost,
        is_disturbed,
    }
}

#[derive(Default)]
struct Checker {
    blocks: BlockMap,
    /// Objects whose owners were reached.
    objects: BTreeSet<ObjectId>,
    findings: Vec<String>,
}

impl Visitor for Checker {
    fn block(&mut self, pointer: NonNull<u8>, layout: Layout) {
        if let Err(what) = self.blocks.reach(pointer, layout) {
            self.damage(&what);
        }
    }

    fn versioned(&mut self, word: &mut u64, _: Tag) {
        heap::show_content(word, self);
    }

    fn object(&mut self, id: ObjectId) {
        let name = || sync::describe(id.index, Tag::NONE);
        let (fate, found) = objects::fate(id.index);
        if found != id || !matches!(fate, Fate::Owned | Fate::OwnedOrLost) {
            self.damage(&format!("{} has an owner and is gone", name()));
        } else if !self.objects.insert(id) {
            self.damage(&format!("{} has two owners", name()));
        }
    }

    fn damage(&mut self, what: &str) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(what.to_owned());
        }
    }

    fn enter(&mut self) -> u64 {
        0
    }

    fn begin_anew(&mut self) {}

    fn is_spent(&self) -> bool {
        false
    }

    fn stopped_inside(&self) -> bool {
        false
    }

    fn leave(&mut self, _: Option<u64>) {}
}
