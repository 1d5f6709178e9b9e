//! Free superblocks that keep their memory for a while: whoever takes one next does without the kernel, for
//! which to hand out, zero and map pages is several times the work of filling them.
//!
//! Owns how long that is: between one and two [`PERIOD`]s. After the decay of unused dirty pages in
//! jemalloc (Evans), with two ages in place of its curve. One worker at a time has a look at all
//! superblocks, a slice at each of its waits: those that it saw at the look before it gives back. Memory
//! that is kept is nobody's: any worker takes it, and as much of it as is needed goes back before anybody
//! hears that the heap is full.

use super::claim;
use super::context::HeapContext;
use super::hint::Hint;
use super::superblock::{Age, Kept, Realm, State, Superblock};
use crate::abi::{SUPERBLOCK_SIZE, WorkerContext};
use crate::sys::time::Nanos;
use std::cell::Cell;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// A slice of a look: so many superblocks are looked at, so many given back, some 100 µs, and nothing for
/// so long afterwards.
const SEEN_AT_ONCE: u32 = 1 << 12;
const GIVEN_AT_ONCE: usize = 4;
const BETWEEN_SLICES: Duration = Duration::from_millis(1);

/// A look that this worker has begun; all zero without one. If the worker dies, recovery plans another one.
#[derive(Default)]
#[repr(C)]
pub(super) struct Look {
    /// The next superblock; 0 is none of the heap's.
    at: Cell<u32>,
    leaves_some: Cell<bool>,
    /// When the next slice may begin.
    next_ns: Cell<u64>,
}

/// Lets go of an empty superblock that this worker owns. The few of the roots keep nothing.
pub(super) fn keep(context: &HeapContext, superblock: Superblock) {
    let owner = WorkerContext::current().owner();
    if superblock.realm() == Realm::Roots {
        let claiming = State::Claiming { owner };
        superblock.state().store(claiming.word(), SeqCst);
        return claim::release(context, superblock, 1);
    }
    let state = State::from_word(superblock.state().load(Relaxed));
    let kept = Kept {
        age: Age::New,
        is_whole: matches!(state, Some(State::Owned { class, .. })
            if class.committed_bytes() == SUPERBLOCK_SIZE),
        by: owner,
    };
    superblock.state().store(State::Kept(kept).word(), SeqCst);
    lower_hints(superblock);
    plan_look();
}

/// What says where kept superblocks are, after one has become one.
fn lower_hints(superblock: Superblock) {
    let record = superblock.realm().record();
    let offset = superblock.0 - superblock.realm().range().0;
    Hint::lower(&record.free, offset);
    Hint::lower(&record.kept, offset);
}

/// Unless one is planned. Comes after what is to be found: a look takes the plan away before it begins.
pub(super) fn plan_look() {
    let plan = &Realm::Heap.record().look_ns;
    if plan.load(SeqCst) == 0 {
        // Losing means that somebody else has planned one.
        let next = Nanos::now().after(PERIOD).0;
        let _ = plan.compare_exchange(0, next, SeqCst, SeqCst);
    }
}

/// Gives back what has been kept for long enough, or a part of it. When to come again; `None` if nothing is
/// kept, or another worker looks. One load where nothing is.
pub(crate) fn give_back_old() -> Option<Nanos> {
    if !WorkerContext::current().is_attached() {
        return None;
    }
    let context = HeapContext::current();
    let look = &context.look;
    let plan = &Realm::Heap.record().look_ns;
    if look.at.get() == 0 {
        let due = plan.load(Relaxed);
        if due == 0 {
            return None;
        }
        if Nanos::now() < Nanos(due) {
            return Some(Nanos(due));
        }
        plan.compare_exchange(due, 0, SeqCst, SeqCst).ok()?;
        look.leaves_some.set(false);
        look.at.set(Realm::Heap.range().0);
    } else if Nanos::now().0 < look.next_ns.get() {
        return Some(Nanos(look.next_ns.get()));
    }
    if slice(context, look) {
        look.next_ns.set(Nanos::now().after(BETWEEN_SLICES).0);
        return Some(Nanos(look.next_ns.get()));
    }
    look.at.set(0);
    if look.leaves_some.get() {
        plan_look();
    }
    None
}

/// Whether anything is left to look at.
fn slice(context: &HeapContext, look: &Look) -> bool {
    let end = claim::known(Realm::Heap).1;
    let stop = end.min(look.at.get() + SEEN_AT_ONCE);
    let mut left = GIVEN_AT_ONCE;
    let owner = WorkerContext::current().owner();
    let claiming = State::Claiming { owner };
    while look.at.get() < stop && left > 0 {
        let superblock = Superblock(look.at.get());
        let word = superblock.state().load(Relaxed);
        if let Some(State::Kept(kept)) = State::from_word(word) {
            if kept.age == Age::New {
                let age = Age::Old;
                let old = State::Kept(Kept { age, ..kept }).word();
                // Losing means that somebody took it.
                let _ = superblock
                    .state()
                    .compare_exchange(word, old, SeqCst, Relaxed);
                look.leaves_some.set(true);
            } else if claim::take_free(superblock, claiming) {
                claim::release(context, superblock, 1);
                left -= 1;
            }
        }
        look.at.set(look.at.get() + 1);
    }
    look.at.get() < end
}

/// Gives back of what is kept until `wanted` bytes fit; false if nothing was.
pub(super) fn make_room(context: &HeapContext, wanted: usize) -> bool {
    let owner = WorkerContext::current().owner();
    let mut gave = false;
    while wanted <= claim::limit(context)
        && !claim::fits(context, wanted)
        && let Some(superblock) = claim::take_kept(State::Claiming { owner })
    {
        claim::release(context, superblock, 1);
        gave = true;
    }
    gave
}
