//! The order of locks while it happens: nested acquisitions are recorded, and while two versions are
//! mixed the newer one is kept from an order that goes round with the older one's (R16).
//!
//! Owns the meaning of the tables in the control region and what a version remembers of its own.
//! Must never know how a lock is taken or who waits.
//!
//! ```text
//! one guard            nothing happens here
//! a second, inside     the edge from each held one to it is looked up among those that are settled;
//!                      all are: nothing is written
//! an edge is new       it is set in the table of this code, for good, and the generation counts on
//! then, mixed, and this code is what the update goes to: does it go round with the other's table?
//!                      no: settled, until the generation changes.  yes: the acquisition fails
//! ```
//! The edge is in the table before anybody asks whether it goes round, so that one that was refused is
//! known when the update is tried again. The older version is never refused. Two edges that are set at
//! the same moment may both pass: then it is left to `circle`, which finds workers that wait in a circle.

use super::edges::{Edge, Edges, goes_round};
use super::names;
use super::slot::GuardSlot;
use crate::abi::{ORDER_ROW_WORDS, OrderHeader, OrderTable, WorkerContext};
use crate::ids::VersionId;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Two versions of which workers run at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mixed {
    /// Table of the code that the update comes from.
    pub from: u32,
    /// Table of the code that it goes to.
    pub to: u32,
    /// Number of the version that it goes to.
    pub target: VersionId,
}

/// What this copy of the runtime, and so this version, knows of its own order.
struct Own {
    table: Option<u32>,
    generation: u64,
    /// Edges that are recorded and may be taken, as of that generation.
    settled: Edges,
}

thread_local! {
    static OWN: RefCell<Own> = const {
        RefCell::new(Own { table: None, generation: 0, settled: Edges::NONE })
    };
}

/// From now on this code records into `table`; without one it records nothing.
pub(crate) fn record_into(table: Option<u32>) {
    OWN.with_borrow_mut(|own| {
        own.table = table;
        own.settled = Edges::NONE;
    });
}

/// This worker is about to want `wanted`, or has it, with all that it holds.
///
/// # Errors
/// The circle that this would be part of, in words; only while versions are mixed, and only in the
/// newer one.
pub(super) fn follow(context: &WorkerContext, wanted: &GuardSlot) -> Result<(), String> {
    let Some(node) = wanted.node() else {
        return Ok(());
    };
    // Who wants what it holds is told so, and waits for nobody.
    if context.held().has(wanted.address()) {
        return Ok(());
    }
    let wanted = (node, wanted.index());
    OWN.with_borrow_mut(|own| {
        let generation = OrderHeader::get().generation.load(Ordering::Acquire);
        if own.generation != generation {
            own.generation = generation;
            own.settled = Edges::NONE;
        }
        for held in context.held().guards() {
            if let Some(node) = GuardSlot::at(held).node()
                && let Some(edge) = Edge::of((node, held), wanted)
                && !own.settled.contains(edge)
            {
                own.settle(edge)?;
            }
        }
        Ok(())
    })
}

impl Own {
    #[cold]
    fn settle(&mut self, edge: Edge) -> Result<(), String> {
        let Some((number, table)) = self.table.and_then(|n| Some((n, OrderTable::at(n)?))) else {
            return Ok(());
        };
        let header = OrderHeader::get();
        if table.add(edge) {
            header.generation.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(mixed) = header.mixed()
            && mixed.to == number
            && let Some(other) = OrderTable::at(mixed.from)
        {
            let (mine, other) = (table.edges(), other.edges());
            if let Some(circle) = goes_round(edge, &mine, &other) {
                let (mine, other) = (("this version", &mine), ("the other", &other));
                return Err(circle.text(mine, other, names::declaration));
            }
        }
        self.settled.insert(edge);
        Ok(())
    }
}

/// The version that is not to stand in the other's way, while two are mixed.
pub(super) fn newer_version() -> Option<VersionId> {
    OrderHeader::get().mixed().map(|mixed| mixed.target)
}

/// Says which versions are mixed, before the first worker crosses and after the last has.
pub fn set_mixed(mixed: Option<Mixed>) {
    let header = OrderHeader::get();
    if header.mixed() == mixed {
        return;
    }
    let (word, target) = match mixed {
        Some(mixed) => (
            u64::from(mixed.from + 1) | u64::from(mixed.to + 1) << 32,
            mixed.target.0,
        ),
        None => (0, 0),
    };
    header.target.store(target, Ordering::SeqCst);
    header.mixed.store(word, Ordering::SeqCst);
    header.generation.fetch_add(1, Ordering::SeqCst);
}

/// What was recorded in a table so far.
pub fn recorded(table: u32) -> Edges {
    OrderTable::at(table).map_or(Edges::NONE, OrderTable::edges)
}

impl OrderHeader {
    fn mixed(&self) -> Option<Mixed> {
        let word = self.mixed.load(Ordering::SeqCst);
        Some(Mixed {
            from: (word as u32).checked_sub(1)?,
            to: ((word >> 32) as u32).checked_sub(1)?,
            target: VersionId(self.target.load(Ordering::SeqCst)),
        })
    }
}

impl OrderTable {
    fn place(&self, edge: Edge) -> (&AtomicU64, u64) {
        let (row, column) = match edge {
            Edge::Between(from, to) => (&self.after[usize::from(from.0)], to),
            Edge::Ascending(node) => (&self.after[usize::from(node.0)], node),
            Edge::Descending(node) => (&self.descending, node),
        };
        (&row[usize::from(column.0 / 64)], 1 << (column.0 % 64))
    }

    /// Sets an edge; true if it was not there.
    fn add(&self, edge: Edge) -> bool {
        let (word, bit) = self.place(edge);
        word.load(Ordering::SeqCst) & bit == 0 && word.fetch_or(bit, Ordering::SeqCst) & bit == 0
    }

    fn edges(&self) -> Edges {
        fn row(words: &[AtomicU64; ORDER_ROW_WORDS]) -> u128 {
            let halves = words.each_ref().map(|word| word.load(Ordering::SeqCst));
            u128::from(halves[0]) | u128::from(halves[1]) << 64
        }
        Edges {
            after: self.after.each_ref().map(row),
            descending: row(&self.descending),
        }
    }
}
