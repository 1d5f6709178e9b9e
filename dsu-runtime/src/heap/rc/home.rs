//! Whose a node is: the one guard under which its counts and its value are touched.
//!
//! Owns the home word and the question whether a worker may touch a node. The guards that are held when
//! a node is made are the candidates, one or two of them, or nobody knows yet. Each touch keeps of the
//! candidates those that are held, by one exchange, and fails if none is. So there is never a moment at
//! which two workers, each under the guards that it holds, may both touch a node: of two that try, one
//! loses the exchange (I34). Nobody widens the candidates.
//!
//! A handle can be carried out of its section, by value; there it is of no use, and back in a section of
//! the same guard it is what it was. What is dropped outside is counted down later (`count`).
#![allow(unsafe_code)] // a fixed address

use super::super::objects;
use super::node::NodePtr;
use crate::abi::{
    CONTROL_ADDR, GUARD_STRIDE, GUARDS_OFFSET, MAX_GUARDS, WorkerContext, WorkerRecord,
};
use crate::error::RcError;
use crate::ids::GuardIndex;
use std::sync::atomic::{AtomicU64, Ordering};

/// ```text
/// 63       32  31        0      index of a guard + 1 each
///     0            0            not decided: nobody has touched it under one or two guards
///     0            a            a's
///     b            a            a's or b's: made while both were held
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Home(pub(super) u64);

impl Home {
    pub(super) const UNDECIDED: Home = Home(0);

    pub(super) fn of(guard: GuardIndex) -> Home {
        Home(u64::from(guard.0) + 1)
    }

    fn either(first: GuardIndex, second: GuardIndex) -> Home {
        Home(Home::of(first).0 | Home::of(second).0 << 32)
    }

    /// Of what this worker makes now.
    pub(super) fn of_maker() -> Home {
        Home::here().unwrap_or(Home::UNDECIDED)
    }

    /// The guards of this moment, if there are one or two. A guard that changes form is the one, as a
    /// transformer reaches nothing else. Where several do at once, nobody else runs.
    fn here() -> Result<Home, RcError> {
        let worker = WorkerContext::current();
        if !worker.is_attached() {
            return Err(RcError::NotHeld);
        }
        let flipping = worker.record().flipping.load(Ordering::Relaxed);
        match flipping & !WorkerRecord::FLIPPING_DROPS {
            0 => {}
            // Whose it will be shows when it is touched, or met, behind one guard.
            WorkerRecord::FLIPPING_ALL => return Ok(Home::UNDECIDED),
            index => return Ok(Home::of(GuardIndex(index - 1))),
        }
        let mut held = worker.held().guards();
        match (worker.held().count(), held.next(), held.next()) {
            (1, Some(one), _) => Ok(Home::of(one)),
            (2, Some(one), Some(other)) => Ok(Home::either(one, other)),
            (0, ..) => Err(RcError::NotHeld),
            _ => Err(RcError::WhichGuard),
        }
    }

    pub(super) fn candidates(self) -> impl Iterator<Item = GuardIndex> {
        let places = [self.0 as u32, (self.0 >> 32) as u32];
        let candidates = places.into_iter().filter_map(|place| place.checked_sub(1));
        candidates.map(GuardIndex)
    }

    /// What is left of the candidates under the guards that are held.
    fn narrowed(self) -> Result<Home, RcError> {
        if self == Home::UNDECIDED {
            return Home::here();
        }
        let mut held = self.candidates().filter(|index| is_held(*index));
        match (held.next(), held.next()) {
            (None, _) => Err(RcError::NotHeld),
            (Some(_), Some(_)) => Ok(self),
            (Some(one), None) => Ok(Home::of(one)),
        }
    }
}

/// Whether this worker has what the guard guards to itself: its lock, or the object that it frees or
/// makes there. The lock word says so whatever is remembered of held guards, since nobody but a worker
/// writes its name (I2).
fn is_held(index: GuardIndex) -> bool {
    if index.0 as usize >= MAX_GUARDS {
        return false;
    }
    let address = CONTROL_ADDR + GUARDS_OFFSET + index.0 as usize * GUARD_STRIDE;
    // SAFETY: inside the guard table of the control region, which is mapped while anybody has handles;
    // the first word of a slot is the lock word.
    let lock = unsafe { &*(address as *const AtomicU64) };
    let owner = WorkerContext::current().owner();
    owner != 0 && (lock.load(Ordering::Relaxed) as u32 == owner || objects::is_in_hand(index))
}

impl NodePtr {
    pub(super) fn home(self) -> Home {
        Home(self.node().home.load(Ordering::Relaxed))
    }

    /// Asks for the node: from here to the end of the section it is this worker's.
    ///
    /// # Errors
    /// `NotHeld`, `WhichGuard`.
    #[inline]
    pub(super) fn touch(self) -> Result<(), RcError> {
        loop {
            let home = self.home();
            let narrowed = home.narrowed()?;
            let word = &self.node().home;
            if narrowed == home
                || word
                    .compare_exchange(home.0, narrowed.0, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return Ok(());
            }
        }
    }

    /// It was found behind this guard, whose lock the caller holds. False if it is another's.
    pub(super) fn is_found_behind(self, guard: GuardIndex) -> bool {
        let home = self.home();
        let decided = Home::of(guard);
        let is_candidate = home == Home::UNDECIDED || home.candidates().any(|one| one == guard);
        home == decided
            || is_candidate
                && self
                    .node()
                    .home
                    .compare_exchange(home.0, decided.0, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
    }
}
