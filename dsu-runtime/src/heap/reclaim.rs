//! What the supervisor does to the conversion that a worker died in: undone if it was not published,
//! finished if it was. Either way no block is lost.
//!
//! Comes before the dead worker's locks are released: until then the word that tells which it was is as
//! the dead left it, and nobody else can reach the blocks. Every step may be done again: a block whose
//! superblock the dead owns is free or not by its bit; of another's, `hand` says whether it was begun,
//! the remote bit whether its owner was asked, and the count of reuses whether the owner has done so, after
//! which it may have got a new user. In this order, as the owner counts before it takes the bit away: a
//! block whose bit is clear, and whose superblock is as it was, is nobody else's to free. Never trusts an
//! address.
#![allow(unsafe_code)] // reads words by address

use super::alloc;
use super::ledger::{Ledger, Line, List};
use super::objects;
use super::pending;
use super::rc::{Change, NodePtr};
use super::superblock::{State, Superblock};
use crate::abi::{CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, MAX_GUARDS};
use crate::ids::WorkerSlot;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// What became of a dead worker's conversion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Settled {
    /// Blocks given back.
    pub(crate) blocks: usize,
    /// Blocks that the ledger had no room for: lost.
    pub(crate) lost: usize,
}

/// Undoes or finishes the conversion that the worker in `dead` had open. Idempotent and restartable.
/// The worker's process must be gone, and its locks not yet released.
pub(crate) fn settle(dead: WorkerSlot) -> Settled {
    let owner = dead.owner();
    let ledger = Ledger::of(owner);
    let mut settled = Settled::default();
    let Some(mut left) = ledger.left() else {
        ledger.count_owed(ledger.owed(), ledger.owed());
        return settled;
    };
    if !left.stands && is_published(ledger) {
        ledger.stand(left.fresh, left.old);
        left.stands = true;
    }
    let owed = match left.stands {
        true => ledger.owed(),
        false => ledger.owed_if_undone(),
    };
    ledger.count_owed(owed, owed);
    let (list, count) = match left.stands {
        true => (List::Old, left.old),
        false => (List::Fresh, left.fresh),
    };
    // Values of objects first: none may show blocks that are free.
    for (_, line) in ledger.lines(List::Fresh, left.fresh) {
        if let Line::Object(id) = line {
            objects::settle_fresh(id, dead, left.stands);
        }
    }
    let mut seen = 0;
    for (at, line) in ledger.lines(list, count) {
        seen += usize::from(line != Line::NOTHING);
        match line {
            // Whoever recovers its objects sees to those that nobody holds.
            Line::Object(id) if left.stands => drop(objects::retire_only(id)),
            Line::Handle(node, change) if left.stands && !change.is_up() => {
                owe(ledger, at, node, change);
            }
            Line::Object(_) | Line::Handle(..) => {}
            Line::Block(address) => {
                let freed = match list {
                    List::Fresh => undo(ledger, owner, at, address),
                    List::Old => finish(ledger, owner, at, address),
                };
                settled.blocks += usize::from(freed);
            }
        }
    }
    settled.lost = count - seen;
    ledger.close();
    settled
}

/// Whether the word that the conversion was to publish is another one now.
fn is_published(ledger: &Ledger) -> bool {
    let (address, old) = ledger.aimed_at();
    let slots =
        CONTROL_ADDR + GUARDS_OFFSET..CONTROL_ADDR + GUARDS_OFFSET + MAX_GUARDS * GUARD_STRIDE;
    let is_readable = slots.contains(&address)
        || Superblock::containing(address).is_some_and(|superblock| {
            superblock.is_known()
                && State::from_word(superblock.state().load(SeqCst))
                    .is_some_and(|state| !state.is_free())
        });
    if !is_readable || !address.is_multiple_of(8) {
        // In nobody's sight: what it holds is out of reach with its worker.
        return false;
    }
    // SAFETY: aligned, and in memory of the regions that is committed.
    unsafe { &*(address as *const AtomicU64) }.load(SeqCst) != old
}

/// Frees a block that the dead allocated, unless it had freed it itself.
fn undo(ledger: &Ledger, owner: u32, at: usize, address: usize) -> bool {
    let Some((superblock, state)) = known(address) else {
        return false;
    };
    match state {
        State::Owned { owner: o, class } if o == owner => alloc::clear(superblock, class, address),
        State::Large { len } if is_same(ledger, at, superblock) => {
            take_large(superblock, owner, len, address)
        }
        _ => false,
    }
}

/// Frees a block that was to go with the old value.
fn finish(ledger: &Ledger, owner: u32, at: usize, address: usize) -> bool {
    let Some((superblock, state)) = known(address) else {
        return false;
    };
    match ledger.hand() {
        Some((hand, _)) if at < hand => return false,
        Some((hand, _)) if at == hand => {}
        _ => ledger.take_in_hand(at, address),
    }
    match state {
        State::Owned { owner: o, class } if o == owner => alloc::clear(superblock, class, address),
        State::Large { len } => {
            is_same(ledger, at, superblock) && take_large(superblock, owner, len, address)
        }
        State::Owned { class, .. } | State::Abandoned { class } => {
            let freed = !alloc::is_asked_to_free(superblock, class, address)
                && is_same(ledger, at, superblock)
                && alloc::ask_to_free(superblock, class, address);
            if let Some(State::Owned { owner, .. }) =
                State::from_word(superblock.state().load(SeqCst))
            {
                pending::notify(owner, superblock);
            }
            freed
        }
        _ => false,
    }
}

/// Notes a handle that was to go with the old value, for whoever takes the slot: only a worker may write
/// into the heap, and only under the node's guard.
fn owe(ledger: &Ledger, at: usize, node: NodePtr, change: Change) {
    match ledger.hand() {
        Some((hand, _)) if at < hand => return,
        Some((hand, owed)) if at == hand && ledger.owed() > owed as usize => return,
        Some((hand, _)) if at == hand => {}
        _ => ledger.take_handle_in_hand(at),
    }
    ledger.owe(node, change);
}

/// Whether the block of a line is still the one that the dead had there: always, if it was not in hand.
fn is_same(ledger: &Ledger, at: usize, superblock: Superblock) -> bool {
    ledger
        .hand()
        .is_none_or(|(hand, reuses)| hand != at || reuses == superblock.meta().reuses.load(SeqCst))
}

/// Takes a large block in the name of the dead; the recovery of its superblocks, which follows, frees it.
fn take_large(superblock: Superblock, owner: u32, len: u32, address: usize) -> bool {
    let (large, taken) = (State::Large { len }, State::LargeClaiming { owner, len });
    address == superblock.base()
        && superblock
            .state()
            .compare_exchange(large.word(), taken.word(), SeqCst, SeqCst)
            .is_ok()
}

fn known(address: usize) -> Option<(Superblock, State)> {
    let superblock = Superblock::containing(address).filter(|s| s.is_known())?;
    Some((
        superblock,
        State::from_word(superblock.state().load(SeqCst))?,
    ))
}
