//! What the supervisor does to lock words after a worker's death.
//!
//! Owns the order of its steps, which makes it restartable at each. Must never know what a lock
//! guards or how death was noticed.

use super::party::{CellIndex, Class, Name, Seat};
use super::platform::{self, Bits, Count, Half, Nanos};
use super::word::{LockCell, Word};

/// Frees and mends every cell after the death of the worker in seat `dead`, then clears its
/// `busy` word: only then may the slot be given to another.
///
/// `cells` yields every cell in use, always the same while this runs. `abandoned` is called for
/// each cell that the worker held in its section, before the cell is freed: to poison what it
/// guards, or to finish its commit. A worker that died in the slow path of a cell had either not
/// begun its section there or had ended it, so that cell is freed without a call.
///
/// May be cut short anywhere, by the death of the caller too, and is then called again from the
/// start; so `abandoned` must be idempotent. The caller knows that the process is gone, and no two
/// callers recover the same worker at once.
pub fn recover<'a>(
    dead: &Seat<'_>,
    cells: impl Iterator<Item = (CellIndex, &'a LockCell)> + Clone,
    mut abandoned: impl FnMut(CellIndex),
) {
    // `busy` is a byte pattern that a dead worker left: one that names no cell is ignored.
    if let Some(at) = dead.busy_at()
        && let Some((_, cell)) = cells.clone().find(|&(index, _)| index == at)
    {
        repair(cell, dead.name);
    }
    for (index, cell) in cells {
        let word = cell.load();
        if word.owner() == dead.name.0 {
            abandoned(index);
        } else if word.heir() != dead.name.0 {
            continue;
        }
        dead.enter(index);
        repair(cell, dead.name);
    }
    dead.leave();
}

/// Takes `dead` out of the word and has all waiters look again. Idempotent.
///
/// Only for recovery, when the process of that name is gone for certain and `busy` in its slot
/// names this cell, so that a repair that is itself cut short is done again.
fn repair(cell: &LockCell, dead: Name) {
    if cell.load().owner() == dead.0 {
        // A transformer that died may have announced a long stay that never began.
        cell.set_stay(Class::Even, Nanos(0));
    }
    cell.update(|word| {
        let mut mended = Word(word.0 & (u64::from(u32::MAX) | Word::HEIR));
        if mended.owner() == dead.0 {
            mended = mended.without_owner();
        }
        if mended.heir() == dead.0 {
            mended = mended.without_heir();
        }
        mended
    });
    // After the flags are down: who sets one again does so as an agent.
    platform::wake(&cell.word, Half::Low, Count::All, Bits::ANY);
    platform::wake(&cell.word, Half::High, Count::All, Bits::ANY);
}
