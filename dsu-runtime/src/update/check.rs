//! The heap check: walks everything that the guards reach and holds it against the allocator's account.

use crate::abi::GuardCell;
use crate::error::LockError;
use crate::heap::{self, Activity, BlockMap, HeapAccount, Visitor};
use crate::ids::Tag;
use crate::sync::{self, Guard};
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::alloc::Layout;
use std::ptr::NonNull;

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

/// Attempts to hold all guards at once, where the application takes them in another order.
const ATTEMPTS: u32 = 100;

/// Acquires every guard of this library, in slot order, and walks all that they reach. While it holds
/// them nobody else can change the heap, so that what nobody reaches is lost for certain.
pub fn check() -> CheckReport {
    let cx = Worker::of_runtime();
    let mut cells: Vec<&'static GuardCell> = sync::sorted_guards()
        .into_iter()
        .flat_map(|guard| guard.cells)
        .collect();
    cells.sort_by_key(|cell| cell.slot.load(std::sync::atomic::Ordering::Relaxed));
    let mut checker = Checker::default();
    let mut attempts = 1..=ATTEMPTS;
    let (mut guards, errors) = loop {
        let last = attempts.next() == Some(ATTEMPTS);
        let (guards, errors) = acquire_all(&cx, &cells);
        let gives_way = |error: &LockError| matches!(error, LockError::Deadlock(_));
        if last || !errors.iter().any(gives_way) {
            break (guards, errors);
        }
    };
    let is_whole = errors.is_empty();
    for error in errors {
        if !matches!(error, LockError::Poisoned(_)) {
            checker.damage(&error.to_string());
        }
    }
    for guard in &mut guards {
        guard.visit(&mut checker);
    }
    for finding in HeapAccount::take(Activity::Live).findings {
        checker.damage(&finding);
    }
    if is_whole {
        let lost = checker.blocks.unreached();
        let bytes: usize = lost.iter().map(|(_, bytes)| bytes).sum();
        if let Some((first, _)) = lost.first() {
            let count = lost.len();
            checker.damage(&format!(
                "{count} blocks of {bytes} bytes are allocated and nobody reaches them, the first at {first:p}"
            ));
        }
    }
    CheckReport {
        walked: checker.blocks.len() as u64,
        findings: checker.findings,
    }
}

/// All that can be had. Ends early where this worker gives way to others (R16).
fn acquire_all<'g>(
    cx: &'g Worker,
    cells: &[&'static GuardCell],
) -> (Vec<Guard<'g, ()>>, Vec<LockError>) {
    let (mut guards, mut errors) = (Vec::with_capacity(cells.len()), Vec::new());
    for cell in cells {
        match sync::erased(cell).lock_for_visit(cx) {
            Ok(guard) => guards.push(guard),
            Err(error @ LockError::Deadlock(_)) => {
                errors.push(error);
                break;
            }
            Err(error) => errors.push(error),
        }
    }
    (guards, errors)
}

#[derive(Default)]
struct Checker {
    blocks: BlockMap,
    findings: Vec<String>,
}

impl Visitor for Checker {
    fn block(&mut self, pointer: NonNull<u8>, layout: Layout) {
        if let Err(what) = self.blocks.reach(pointer, layout) {
            self.damage(&what);
        }
    }

    fn versioned(&mut self, word: &mut u64, _: Tag) {
        heap::show_content(*word, self);
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
