//! The heap check: walks everything that the guards reach and holds it against the allocator's account.
#![allow(unsafe_code)] // a visitor promises what becomes of the words that it is shown

use super::nodes::Nodes;
use crate::abi::{GuardCell, MAX_STATIC_GUARDS};
use crate::error::LockError;
use crate::heap::objects::{self, Fate, ObjectId};
use crate::heap::{self, Activity, BlockMap, HeapAccount, NodeHandle, Visitor};
use crate::ids::{GuardIndex, Tag};
use crate::sync::{self, Guard, GuardSlot, Pinned};
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::alloc::Layout;
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
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
const ATTEMPTS: u32 = 100;
/// How long an attempt waits for the lock of one object.
const PATIENCE: Duration = Duration::from_millis(50);

/// Acquires every guard of this library, in slot order, then every object, and walks all that they
/// reach. While it holds them nobody else can change the heap, so that what nobody reaches is lost for
/// certain. Objects that died in the hands of their makers are reported, and freed; those of which that was
/// in doubt and that have an owner are as any other from then on.
pub fn check() -> CheckReport {
    let guards = sync::sorted_guards().into_iter();
    let emptied = sync::emptied().into_iter();
    let emptied = emptied.flat_map(|guard| guard.cells);
    let all = guards.flat_map(|guard| guard.cells);
    check_guards(all.chain(emptied.filter(is_empty)).collect())
}

/// Whether all that a guard had has moved out of it: then it hides nothing.
fn is_empty(cell: &&'static GuardCell) -> bool {
    let root = sync::erased(cell).slot().root();
    root.items().is_some() && root.tag() == cell.expected() && !heap::keeps_complements(root.word())
}

/// As [`check`], of these guards, which own all objects.
pub(crate) fn check_guards(mut cells: Vec<&'static GuardCell>) -> CheckReport {
    cells.sort_by_key(|cell| cell.slot.load(Ordering::Relaxed));
    objects::reap();
    let mut outcome = attempt(&cells);
    for _ in 1..ATTEMPTS {
        if outcome.quiet == Quiet::Yes {
            break;
        }
        outcome = attempt(&cells);
    }
    let Outcome {
        mut checker,
        lost,
        quiet,
    } = outcome;
    if let Quiet::Locked(object) = quiet {
        checker.damage(&format!(
            "{object} was locked all the while, perhaps by a worker that waits for a guard: check again"
        ));
    }
    checker
        .objects
        .iter()
        .copied()
        .for_each(objects::keep_found);
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

/// Whether objects stood still while an attempt looked at them.
#[derive(PartialEq)]
enum Quiet {
    Yes,
    /// One came, went or changed hands: nothing can be said of what nobody reaches.
    Changed,
    /// This one was not to be had: nothing was walked.
    Locked(String),
}

/// What one attempt came to.
struct Outcome {
    checker: Checker,
    /// Objects that nothing owns and whose makers are dead.
    lost: Vec<ObjectId>,
    quiet: Quiet,
}

/// Whether there are items behind guards that are not among these: those that only another version has.
/// What nobody reaches may be there.
fn has_others(cells: &[&'static GuardCell]) -> bool {
    let own: BTreeSet<GuardIndex> = cells
        .iter()
        .map(|cell| sync::erased(cell).slot().index())
        .collect();
    let last = own.last().map_or(0, |index| index.0);
    (0..MAX_STATIC_GUARDS as u32)
        .map(GuardIndex)
        // Slots are given one after the other: behind the last one that was bound there is none.
        .take_while(|index| index.0 <= last || GuardSlot::at(*index).is_bound())
        .any(|index| GuardSlot::at(index).root().items().is_some() && !own.contains(&index))
}

fn attempt(cells: &[&'static GuardCell]) -> Outcome {
    let cx = Worker::of_runtime();
    let mut checker = Checker {
        is_partial: has_others(cells),
        ..Checker::default()
    };
    let mut guards: Vec<Guard<'_, ()>> = Vec::new();
    for cell in cells {
        match sync::erased(cell).lock_for_visit(&cx) {
            // The application takes them in another order, and goes first (R16).
            Err(error @ LockError::Deadlock(_)) => {
                return Outcome {
                    checker,
                    lost: Vec::new(),
                    quiet: Quiet::Locked(error.to_string()),
                };
            }
            locked => guards.extend(checker.take(locked)),
        }
    }
    let states = objects::all_states();
    let pinned: Vec<Pinned> = objects::known_slots()
        .filter_map(|index| Pinned::at(GuardIndex(index)))
        .collect();
    let mut of_objects: Vec<Guard<'_, ()>> = Vec::new();
    for object in &pinned {
        match object.lock(&cx, object.form(), PATIENCE) {
            // It changed its form after it was asked for it.
            Err(LockError::TimedOut(name) | LockError::TransformFailed(name)) => {
                return Outcome {
                    checker,
                    lost: Vec::new(),
                    quiet: Quiet::Locked(name),
                };
            }
            locked => of_objects.extend(checker.take(locked)),
        }
    }
    guards.iter_mut().for_each(|guard| checker.walk(guard));
    of_objects.iter_mut().for_each(|guard| checker.walk(guard));
    let (lost, quiet) = checker.count(&states);
    Outcome {
        checker,
        lost,
        quiet,
    }
}

#[derive(Default)]
struct Checker {
    blocks: BlockMap,
    /// Behind which the walk is.
    guard: GuardIndex,
    nodes: Nodes,
    /// Objects whose owners were reached.
    objects: BTreeSet<ObjectId>,
    /// Something could not be walked: what nobody reaches may be in there.
    is_partial: bool,
    findings: Vec<String>,
}

impl Checker {
    /// A guard to walk, or why there is none.
    fn take<'g>(&mut self, locked: Result<Guard<'g, ()>, LockError>) -> Option<Guard<'g, ()>> {
        match locked {
            Ok(guard) => return Some(guard),
            Err(LockError::Poisoned(_)) => {}
            Err(error) => self.damage(&error.to_string()),
        }
        self.is_partial = true;
        None
    }

    /// Walks what a guard guards: its items, then the nodes that they lead to.
    fn walk(&mut self, guard: &mut Guard<'_, ()>) {
        self.guard = guard.index();
        guard.visit(self);
        while let Some(node) = self.nodes.next() {
            node.show_value(self);
        }
    }

    /// After the walk, with all guards held: what the allocator says, and what nobody reached. `before`
    /// are the states of all objects before the walk.
    fn count(&mut self, before: &[u64]) -> (Vec<ObjectId>, Quiet) {
        for finding in HeapAccount::take(Activity::Live).findings {
            self.damage(&finding);
        }
        let of_nodes: Vec<String> = self.nodes.findings().collect();
        of_nodes.iter().for_each(|finding| self.damage(finding));
        let blocks = self.blocks.unreached();
        let fates: Vec<_> = objects::known_slots()
            .map(|index| objects::fate(GuardIndex(index)))
            .collect();
        let is = |wanted: Fate| fates.iter().any(|(fate, _)| *fate == wanted);
        if is(Fate::Changing) || objects::all_states() != before {
            return (Vec::new(), Quiet::Changed);
        }
        if self.is_partial || is(Fate::Condemned) {
            return (Vec::new(), Quiet::Yes);
        }
        let bytes: usize = blocks.iter().map(|(_, bytes)| bytes).sum();
        if let Some((first, _)) = blocks.first() {
            let count = blocks.len();
            self.damage(&format!(
                "{count} blocks of {bytes} bytes are allocated and nobody reaches them, the first at {first:p}"
            ));
        }
        let is_lost = |fate: &Fate, id| fate.may_be_lost() && !self.objects.contains(id);
        let lost = fates.iter().filter(|(fate, id)| is_lost(fate, id));
        (lost.map(|(_, id)| *id).collect(), Quiet::Yes)
    }
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Checker {
    fn block(&mut self, pointer: NonNull<u8>, layout: Layout) {
        if let Err(what) = self.blocks.reach(pointer, layout) {
            self.damage(&what);
        }
    }

    fn versioned(&mut self, word: &mut u64, _: Tag) {
        heap::show_content(*word, self);
    }

    fn node(&mut self, handle: NodeHandle) {
        if let Err(what) = self.nodes.meet(&handle, self.guard, &mut self.blocks) {
            self.damage(&what);
        }
    }

    fn object(&mut self, id: ObjectId) {
        let name = || sync::describe(id.index, Tag::NONE);
        let (fate, found) = objects::fate(id.index);
        if found != id || !fate.is_owned() {
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
}
