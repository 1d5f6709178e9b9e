//! The lock word: mutual exclusion between processes that may die at any instruction.
//!
//! Owns the word's layout, the fast paths and the owner's side of the protocol; `waiter` has the
//! side of those that wait, `recovery` what happens after a death, `party` who they are. None of
//! the four may know what the lock guards, what a transformer does, or where the cell lives. They
//! use nothing but each other and their sibling `platform`, so that a model test can run these
//! very files on simulated atomics, futex and clock.
//!
//! Waiters sleep on the word itself, so the kernel keeps the queue and takes the dead out of it
//! (Drepper, "Futexes Are Tricky", 2011, for the word that tells whether somebody sleeps).
//! Two ideas make deaths harmless, without robust futex lists:
//!
//! - **Only a process writes its own name into a word.** Nobody is *given* a lock, so after a
//!   death no new mention of the dead can appear.
//! - **`busy`** in the worker's slot says in which cell's slow path it is. With the scan for
//!   owners it is all that recovery needs: a wake-up that died with the woken, or a release that
//!   died before its wake-up, is healed by waking everybody at that cell.
//!
//! A waiter has one of two *classes*, from the parity of the representation that its version uses,
//! so that workers of two versions need not transform the item at every acquisition. The waiter
//! that sets its class's flag becomes that class's *agent*: its sleep is timed, and when its time
//! has come it names itself *heir*, whom nobody may overtake. The others sleep without a timer.
//!
//! Invariants (the model test checks what follows from them):
//! - **A** If somebody of class c sleeps on the queue, then there is an agent of c asleep on a
//!   timer, or an awake waiter or releaser that is busy here, or the owner is of class c with c's
//!   flag set, or an heir of c sleeps on the owner's half, or one of these is dead and not yet
//!   recovered.
//! - **B** When nobody holds the lock or waits for it, the word is 0.

use super::party::{CellIndex, Class, Name, Seat, TimedOut};
use super::platform::{self, AtomicU32, AtomicU64, Bits, Count, Half, Nanos, Ordering};
use super::waiter::Waiter;
use std::time::Duration;

/// The item stays with a class for ten times what it cost to bring it there, within these bounds.
const STAY_FACTOR: u32 = 10;
const STAY_LEAST: Duration = Duration::from_micros(500);
const STAY_MOST: Duration = Duration::from_millis(10);
/// A lock left alone for one transformation's time, but at least this, is idle: the other class
/// may take it before the stay is over.
const GRACE_LEAST: Duration = Duration::from_micros(50);

/// One value of the lock word. See [`LockCell`] for what the states mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    const HEIR_SHIFT: u32 = 32;
    pub(super) const HEIR_MASK: u64 = 0xff;
    pub(super) const HEIR: u64 = Self::HEIR_MASK << Self::HEIR_SHIFT;
    const WAITS: [u64; 2] = [1 << 40, 1 << 41];
    const ANY_WAITS: u64 = Self::WAITS[0] | Self::WAITS[1];
    const USED: u64 = 1 << 42;

    pub(super) fn owner(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn heir(self) -> u32 {
        (self.0 >> Self::HEIR_SHIFT & Self::HEIR_MASK) as u32
    }

    pub(super) fn waits(self, class: Class) -> bool {
        self.0 & Self::WAITS[class as usize] != 0
    }

    pub(super) fn used(self) -> bool {
        self.0 & Self::USED != 0
    }

    pub(super) fn with_waits(self, class: Class) -> Self {
        Self(self.0 | Self::WAITS[class as usize])
    }

    pub(super) fn without_waits(self, class: Class) -> Self {
        Self(self.0 & !Self::WAITS[class as usize])
    }

    pub(super) fn with_heir(self, name: Name) -> Self {
        Self(self.0 & !Self::HEIR | u64::from(name.0) << Self::HEIR_SHIFT)
    }

    pub(super) fn without_heir(self) -> Self {
        Self(self.0 & !Self::HEIR)
    }

    pub(super) fn with_used(self) -> Self {
        Self(self.0 | Self::USED)
    }

    pub(super) fn without_used(self) -> Self {
        Self(self.0 & !Self::USED)
    }

    /// Held by `name`, with the flags of those that wait.
    pub(super) fn taken_by(self, name: Name) -> Self {
        Self(self.0 & Self::ANY_WAITS | u64::from(name.0))
    }

    pub(super) fn without_owner(self) -> Self {
        Self(self.0 & !u64::from(u32::MAX))
    }
}

/// A lock between processes, without what it guards. All bytes 0 is a free lock.
///
/// The memory must be shared by all that use the cell and stay mapped; every user must be named
/// by a slot of its own. See the guards for the safe interface.
#[repr(C)]
pub struct LockCell {
    /// Low half the owner's name; high half the heir's name (8 bits), a flag per class, `USED`.
    ///
    /// ```text
    /// owner heir flags
    ///   0    0    -    free: any running waiter of the item's class may take it; one of the
    ///                  other class when the stay is over, or when its agent saw it idle
    ///   0    h    *    free, but only h may take it: its time had come and it named itself
    ///   x    0    *    held by x
    ///   x    h    *    held by x; h sleeps on the low half until x releases
    ///   0    0    0    at rest: the whole word is 0
    /// ```
    ///
    /// | bits | set by | cleared by |
    /// |---|---|---|
    /// | owner | itself, when it takes a free lock | itself; recovery |
    /// | heir | itself, an agent whose time has come | itself, taking or leaving; recovery |
    /// | flag of c: one of class c may sleep and nobody was woken for it | a waiter of c about to sleep, a taker that slept | a releaser of class c and a leaver of class c, which both wake one; recovery, which wakes all |
    /// | `USED`: released since an agent of the other class last looked | a releaser | that agent; a taker; whoever clears the last flag |
    ///
    /// With no heir and no flag, taking and releasing are one compare-exchange each between two
    /// constants, and never look at the rest of the cell.
    pub(super) word: AtomicU64,
    /// The instant until which only one class should take the free lock, shifted left by one,
    /// with that class below. Written by the owner only. Advice: neither exclusion nor progress
    /// depends on it.
    stay: AtomicU64,
    /// What the last transformation took, in nanoseconds. Written by the owner only. Advice.
    cost_ns: AtomicU32,
    /// Pads the cell to a multiple of its alignment, so that no byte of it is undefined.
    _reserved: u32,
}

impl LockCell {
    /// A free lock.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            stay: AtomicU64::new(0),
            cost_ns: AtomicU32::new(0),
            _reserved: 0,
        }
    }

    /// Takes the lock if it is at rest. `true` if it is now held by `me`.
    ///
    /// Does not look at classes: the caller compares the item's tag, as it must anyway, and calls
    /// [`await_turn`](Self::await_turn) if it is not its own.
    #[inline]
    #[must_use]
    pub fn try_acquire_fast(&self, me: Name) -> bool {
        self.word
            .compare_exchange(0, u64::from(me.0), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Releases a lock for which nobody waits. `false` if somebody does: then it is still held, and
    /// the caller goes to [`release_slow`](Self::release_slow).
    #[inline]
    #[must_use]
    pub fn release_fast(&self, me: Name) -> bool {
        self.word
            .compare_exchange(u64::from(me.0), 0, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the lock if it is free, and if that overtakes no heir and, where somebody waits, not
    /// the class with which the item stays. `true` if it is now held by `me`. As after
    /// [`try_acquire_fast`](Self::try_acquire_fast), the caller compares the item's tag.
    #[must_use]
    pub fn try_acquire(&self, me: Name, class: Class) -> bool {
        if self.try_acquire_fast(me) {
            return true;
        }
        loop {
            let word = self.load();
            if word.owner() != 0 || word.heir() != 0 || !self.welcomes(class) {
                return false;
            }
            if self.swap(word, word.taken_by(me)) {
                return true;
            }
        }
    }

    /// Takes the lock, waiting for it as long as need be, at most until `deadline`.
    ///
    /// The caller must not own it: ask [`owner`](Self::owner) first, or wait for ever.
    ///
    /// # Blocks
    /// Yes.
    ///
    /// # Errors
    /// [`TimedOut`] if the deadline passed first; the lock is not held then.
    #[cold]
    #[inline(never)]
    pub fn acquire_slow(
        &self,
        seat: &Seat<'_>,
        at: CellIndex,
        class: Class,
        deadline: Option<Nanos>,
    ) -> Result<(), TimedOut> {
        seat.enter(at);
        let outcome = Waiter::new(self, seat.name, class, deadline).wait();
        seat.leave();
        outcome
    }

    /// For an owner that took the lock by the fast path and finds the item in the other class's
    /// form: if the item is still to stay there, gives the lock back and queues for it. The lock is
    /// held on return, and the caller may transform the item now.
    ///
    /// # Blocks
    /// Yes.
    ///
    /// # Errors
    /// [`TimedOut`] if the deadline passed first; the lock is not held then.
    #[cold]
    #[inline(never)]
    pub fn await_turn(
        &self,
        seat: &Seat<'_>,
        at: CellIndex,
        class: Class,
        deadline: Option<Nanos>,
    ) -> Result<(), TimedOut> {
        if self.welcomes(class) {
            return Ok(());
        }
        if !self.release_fast(seat.name) {
            self.release_slow(seat, at, class);
        }
        self.acquire_slow(seat, at, class, deadline)
    }

    /// Releases the lock, whoever waits, and wakes the heir and one waiter of `class`, the
    /// releaser's own; waiters of the other class have an agent that looks after them.
    #[cold]
    #[inline(never)]
    pub fn release_slow(&self, seat: &Seat<'_>, at: CellIndex, class: Class) {
        seat.enter(at);
        let old = self.update(|word| {
            debug_assert_eq!(
                word.owner(),
                seat.name.0,
                "released by another than the owner"
            );
            let freed = word.without_owner().without_waits(class);
            if freed.waits(class.other()) {
                freed.with_used()
            } else {
                freed.without_used()
            }
        });
        if old.heir() != 0 {
            self.wake_heir();
        }
        if old.waits(class) {
            self.wake_one(class);
        }
        seat.leave();
    }

    /// The owner is about to bring the item into the form of `class`. Before the transformer runs,
    /// or waiters of the other class would think the item theirs meanwhile and queue for it.
    #[cold]
    pub fn transforming(&self, class: Class) {
        let cost = Duration::from_nanos(u64::from(self.cost_ns.load(Ordering::Relaxed)));
        let span = cost.saturating_add(stay_for(cost));
        self.set_stay(class, Nanos::now().after(span));
    }

    /// The transformer ran and took `cost`: the item is now in the form that
    /// [`transforming`](Self::transforming) announced, and stays there in proportion.
    #[cold]
    pub fn transformed(&self, class: Class, cost: Duration) {
        let ns = u32::try_from(cost.as_nanos()).unwrap_or(u32::MAX);
        self.cost_ns.store(ns, Ordering::Relaxed);
        self.set_stay(class, Nanos::now().after(stay_for(cost)));
    }

    /// The transformer failed, so the item is still in the form that is not `class`'s.
    #[cold]
    pub fn transform_failed(&self, class: Class) {
        self.set_stay(class.other(), Nanos(0));
    }

    /// Who holds the lock. A worker that reads its own name holds it; any other answer may be old.
    #[must_use]
    pub fn owner(&self) -> Option<Name> {
        Some(self.load().owner())
            .filter(|&owner| owner != 0)
            .map(Name)
    }

    /// Who is next, if that is settled. For diagnosis: the answer may be old.
    #[must_use]
    pub fn heir(&self) -> Option<Name> {
        Some(self.load().heir()).filter(|&heir| heir != 0).map(Name)
    }

    /// Whether nobody holds the lock or waits for it. For diagnosis: the answer may be old.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.load() == Word(0)
    }

    pub(super) fn load(&self) -> Word {
        Word(self.word.load(Ordering::Relaxed))
    }

    pub(super) fn swap(&self, old: Word, new: Word) -> bool {
        // Acquire for the data of the owner before, Release so that `busy` is there before what
        // recovery would have to mend.
        self.word
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    pub(super) fn update(&self, change: impl Fn(Word) -> Word) -> Word {
        loop {
            let old = self.load();
            if self.swap(old, change(old)) {
                return old;
            }
        }
    }

    fn wake_heir(&self) {
        platform::wake(&self.word, Half::Low, Count::One, Bits::ANY);
    }

    pub(super) fn wake_one(&self, class: Class) {
        platform::wake(&self.word, Half::High, Count::One, class.sleepers());
    }

    /// The class with which the item stays, and until when.
    pub(super) fn stay(&self) -> (Class, Nanos) {
        let stay = self.stay.load(Ordering::Relaxed);
        (Class::of_tag(stay), Nanos(stay >> 1))
    }

    pub(super) fn set_stay(&self, class: Class, until: Nanos) {
        self.stay
            .store(until.0 << 1 | class as u64, Ordering::Relaxed);
    }

    /// Whether a worker of `class` may take the item, and transform it if need be: it is with that
    /// class, or its stay with the other is over. Advice.
    #[must_use]
    pub fn welcomes(&self, class: Class) -> bool {
        let (home, until) = self.stay();
        home == class || Nanos::now() >= until
    }

    pub(super) fn grace(&self) -> Duration {
        let cost = Duration::from_nanos(u64::from(self.cost_ns.load(Ordering::Relaxed)));
        cost.max(GRACE_LEAST)
    }
}

impl Default for LockCell {
    fn default() -> Self {
        Self::new()
    }
}

fn stay_for(cost: Duration) -> Duration {
    cost.saturating_mul(STAY_FACTOR)
        .clamp(STAY_LEAST, STAY_MOST)
}
