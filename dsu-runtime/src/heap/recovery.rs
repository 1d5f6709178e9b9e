//! What the supervisor does to the allocator after a worker's death.
//!
//! Only states that name the dead are touched, each by one store that removes the name, so that a
//! recovery may stop anywhere and start again, while all other workers go on. A slot is given out
//! again only after this.

use super::claim;
use super::context::HeapContext;
use super::hint::Hint;
use super::superblock::{Realm, State, Superblock};
use super::{alloc, keep, large, pending, reclaim};
use crate::ids::WorkerSlot;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What [`recover`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Superblocks with live blocks, now for anybody to adopt.
    pub abandoned: usize,
    /// Superblocks given back: empty ones, and half-made or half-freed ones.
    pub freed: usize,
}

/// Repairs the allocator after the death of the worker in `dead`: its superblocks can be adopted,
/// half-made claims are undone, half-done frees are finished. Idempotent; never panics.
/// The regions must be mapped, in whatever role, and the worker's process must be gone.
pub fn recover(dead: WorkerSlot) -> Recovered {
    let context = HeapContext::current();
    let mut result = Recovered::default();
    reclaim::settle(dead);
    for superblock in claim::all_known() {
        let state = State::from_word(superblock.state().load(SeqCst));
        match state {
            Some(State::Owned { owner, class }) if owner == dead.owner() => {
                // Nobody else harvests this superblock until the name is gone.
                if alloc::recount(superblock, class) == 0 {
                    let claiming = State::Claiming { owner };
                    superblock.state().store(claiming.word(), SeqCst);
                    free_claim(context, superblock, &mut result);
                } else {
                    let abandoned = State::Abandoned { class };
                    superblock.state().store(abandoned.word(), SeqCst);
                    result.abandoned += 1;
                }
            }
            Some(State::Claiming { owner } | State::PartClaiming { owner })
                if owner == dead.owner() =>
            {
                free_claim(context, superblock, &mut result);
            }
            Some(State::LargeClaiming { owner, len }) if owner == dead.owner() => {
                large::free_parts_of_dead(context, superblock, len);
                free_claim(context, superblock, &mut result);
            }
            _ => {}
        }
    }
    lower_hints();
    pending::rescan_all();
    result
}

fn free_claim(context: &HeapContext, superblock: Superblock, result: &mut Recovered) {
    claim::release(context, superblock, 1);
    result.freed += 1;
}

/// The dead, or a recovery before this one, may have stopped between a state and its hint.
fn lower_hints() {
    for realm in Realm::BOTH {
        let record = realm.record();
        Hint::lower(&record.free, 0);
        let (first, end) = claim::known(realm);
        for number in (first..end).rev() {
            let state = Superblock(number).state().load(Relaxed);
            match State::from_word(state) {
                Some(State::Abandoned { class }) => {
                    Hint::lower(&record.abandoned[class.number()], number - first);
                }
                Some(State::Kept(_)) => {
                    Hint::lower(&record.kept, number - first);
                    keep::plan_look();
                }
                _ => {}
            }
        }
    }
}
