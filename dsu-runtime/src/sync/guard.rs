//! Guards: the typed lock and its RAII proof of access.
//!
//! Owns the way from a static of the application to the items in shared memory. Upholds: items are
//! reached only while the lock's word names this worker, and only in the representation that this
//! version's code was compiled for. Must never know how a transformer works.
#![allow(unsafe_code)] // hands out references to shared items; the lock makes them exclusive

use super::flip;
use super::names;
use super::party::{Class, Name, Seat};
use super::patience::{self, Patience};
use super::slot::{GuardSlot, Root};
use crate::abi::{GuardCell, MAX_STATIC_GUARDS, WorkerContext};
use crate::error::{AccessError, Deadlock, DeadlockCause, LockError, RcError};
use crate::heap::delta::Progress;
use crate::heap::{self, Element, SharedRc, rc};
use crate::ids::{GuardIndex, Tag};
use crate::sys::time::Nanos;
use crate::worker::Worker;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Index};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A mutex with the items it guards, declared by `#[guards(…)]`.
///
/// The static holds no state: it names a slot in shared memory, which every worker reaches under the
/// same name, whatever version it runs. `I` is the struct of items that the attribute makes.
#[repr(transparent)]
pub struct GuardMutex<I: 'static> {
    cell: GuardCell,
    items: PhantomData<fn() -> I>,
}

impl<I: 'static> GuardMutex<I> {
    /// A guard that is not bound to a slot yet; the runtime binds it when the library is loaded.
    #[doc(hidden)]
    pub const fn new() -> Self {
        GuardMutex {
            cell: GuardCell::new(),
            items: PhantomData,
        }
    }

    /// The cell that binding fills in.
    #[doc(hidden)]
    pub const fn cells(&'static self) -> &'static [GuardCell] {
        std::slice::from_ref(&self.cell)
    }

    /// Acquires the lock and gives access to the items, in this version's representation: if they are
    /// in another's, the registered transformers run first.
    ///
    /// # Blocks
    /// While another worker holds the lock.
    ///
    /// # Errors
    /// See [`LockError`]; the lock is not held then and the items are as they were.
    #[inline]
    pub fn lock<'g>(&'static self, cx: &'g Worker) -> Result<Guard<'g, I>, LockError> {
        let (slot, context) = (self.slot(), cx.context());
        // What stands behind this root is known; it only has to be there still when the lock is held.
        let root = Root::from_word(self.cell.known_root.load(Ordering::Relaxed));
        if context.held().is_empty()
            && let Some(items) = root.items()
            && slot.lock.try_acquire_fast(cx.name())
        {
            // Before the comparison: the store after it costs a cycle (`DESIGN.md`, departures).
            context.begin_section(slot.address());
            if slot.root() == root {
                return Ok(Guard::over(slot, items.cast()));
            }
            context.end_section();
            return self.settle(slot, cx, Patience::Unbounded);
        }
        self.lock_slow(slot, cx, Patience::Unbounded)
    }

    /// Acquires the lock if it is free and the items need no transforming (R21). Never waits.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`], [`LockError::WouldTransform`], or as [`lock`](Self::lock).
    #[inline]
    pub fn try_lock<'g>(&'static self, cx: &'g Worker) -> Result<Guard<'g, I>, LockError> {
        let (slot, context) = (self.slot(), cx.context());
        let root = Root::from_word(self.cell.known_root.load(Ordering::Relaxed));
        if context.held().is_empty()
            && let Some(items) = root.items()
            && slot.lock.try_acquire_fast(cx.name())
        {
            context.begin_section(slot.address());
            if slot.root() == root {
                return Ok(Guard::over(slot, items.cast()));
            }
            context.end_section();
            return self.settle(slot, cx, Patience::None);
        }
        if slot.lock.try_acquire(cx.name(), self.class()) {
            self.settle(slot, cx, Patience::None)
        } else if slot.lock.owner() == Some(cx.name()) {
            Err(self.held_already())
        } else {
            Err(LockError::WouldBlock)
        }
    }

    /// As [`lock`](Self::lock), but waits for at most `timeout`. The bound is on waiting: a
    /// transformer that has to run takes its own time on top (R21).
    ///
    /// # Errors
    /// [`LockError::TimedOut`], or as [`lock`](Self::lock).
    pub fn lock_timeout<'g>(
        &'static self,
        cx: &'g Worker,
        timeout: Duration,
    ) -> Result<Guard<'g, I>, LockError> {
        let patience = Patience::Until(Nanos::now().after(timeout));
        self.lock_slow(self.slot(), cx, patience)
    }

    /// The guard's slot in shared memory.
    #[inline]
    pub(crate) fn slot(&self) -> &'static GuardSlot {
        // SAFETY: a `Worker` exists only while a bound library runs, and every path here has one in
        // its hands; `update::bind` stored the address of a slot in the mapped control region.
        unsafe { &*(self.cell.slot.load(Ordering::Relaxed) as *const GuardSlot) }
    }

    /// The form that this version's code was compiled for.
    pub(crate) fn expected(&self) -> Tag {
        self.cell.expected()
    }

    fn class(&self) -> Class {
        Class::of_tag(u64::from(self.expected().0))
    }

    #[cold]
    fn held_already(&self) -> LockError {
        LockError::Deadlock(Deadlock {
            guard: names::describe(&self.cell),
            cause: DeadlockCause::Held,
        })
    }

    /// Acquires the lock for a walk of the runtime over all that guards reach: no part of the
    /// application's order of locks, and the first to give way where workers wait in a circle (R16).
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub(crate) fn lock_for_visit<'g>(
        &'static self,
        cx: &'g Worker,
    ) -> Result<Guard<'g, I>, LockError> {
        self.lock_slow(self.slot(), cx, Patience::Visit)
    }

    /// All ways to the lock but the shortest: inside other guards, with bounds, with others in the way.
    #[cold]
    #[inline(never)]
    fn lock_slow<'g>(
        &'static self,
        slot: &'static GuardSlot,
        cx: &'g Worker,
        patience: Patience,
    ) -> Result<Guard<'g, I>, LockError> {
        patience::follow_order(slot, &self.cell, cx, patience)?;
        if !slot.lock.try_acquire_fast(cx.name()) {
            if slot.lock.owner() == Some(cx.name()) {
                return Err(self.held_already());
            }
            patience::acquire(slot, &self.cell, cx, patience)?;
        }
        self.settle(slot, cx, patience)
    }

    /// With the lock held: whatever the fast path does not cover. Ends with a guard, or with the lock
    /// released and the items as they were.
    #[cold]
    #[inline(never)]
    fn settle<'g>(
        &'static self,
        slot: &'static GuardSlot,
        cx: &'g Worker,
        patience: Patience,
    ) -> Result<Guard<'g, I>, LockError> {
        if slot.root().items().is_some() && slot.root().tag() != self.expected() {
            if matches!(patience, Patience::None) && !slot.is_poisoned() {
                self.give_back(slot, cx);
                return Err(LockError::WouldTransform);
            }
            if !slot.is_poisoned() {
                patience::await_turn(slot, &self.cell, cx, patience)?;
            }
        }
        // Before the items are made or brought: what is made meanwhile is made under this guard.
        cx.context().took(slot.address());
        match flip::bring(slot, &self.cell, self.expected()) {
            Ok(items) => {
                let root = slot.root().word();
                self.cell.known_root.store(root, Ordering::Relaxed);
                Ok(Guard::over(slot, items.cast()))
            }
            Err(error) => {
                cx.context().released(slot.address());
                self.give_back(slot, cx);
                Err(error)
            }
        }
    }

    /// Releases a lock without having had the items, which may be in the other class's form: the
    /// flag that this worker may have set as a waiter is its own class's.
    fn give_back(&self, slot: &'static GuardSlot, cx: &Worker) {
        if !slot.lock.release_fast(cx.name()) {
            slot.lock
                .release_slow(&cx.seat(), slot.cell_index(), self.class());
        }
    }
}

/// A family of guards of one shape, declared by `#[guards(…)] static NAME: [GuardMutex; N]`.
#[repr(transparent)]
pub struct GuardFamily<I: 'static, const N: usize> {
    members: [GuardMutex<I>; N],
}

impl<I: 'static, const N: usize> GuardFamily<I, N> {
    /// A family that is not bound yet.
    #[doc(hidden)]
    pub const fn new() -> Self {
        GuardFamily {
            members: [const { GuardMutex::new() }; N],
        }
    }

    /// The cells that binding fills in.
    #[doc(hidden)]
    pub const fn cells(&'static self) -> &'static [GuardCell] {
        let members: &'static [GuardMutex<I>] = &self.members;
        // SAFETY: `GuardMutex` is transparent over its cell.
        unsafe { std::slice::from_raw_parts(members.as_ptr().cast(), N) }
    }

    /// Number of guards in the family.
    pub const fn len(&self) -> usize {
        N
    }

    /// Whether the family has no guards.
    pub const fn is_empty(&self) -> bool {
        N == 0
    }

    /// The guards, in slot order.
    pub fn iter(&'static self) -> std::slice::Iter<'static, GuardMutex<I>> {
        self.members.iter()
    }
}

impl<I: 'static, const N: usize> Index<usize> for GuardFamily<I, N> {
    type Output = GuardMutex<I>;

    /// # Panics
    /// If there is no such guard.
    #[inline]
    fn index(&self, index: usize) -> &GuardMutex<I> {
        &self.members[index]
    }
}

/// Proof that this worker holds a lock; derefs to the items. Dropping it releases the lock.
///
/// A guard that is dropped while its thread panics poisons the items: the section did not end.
#[must_use = "the lock is released when the guard is dropped"]
pub struct Guard<'g, I: 'static> {
    slot: &'static GuardSlot,
    items: NonNull<I>,
    cx: PhantomData<&'g Worker>,
}

impl<'g, I> Guard<'g, I> {
    /// Over a lock that is held and among the worker's.
    #[inline]
    fn over(slot: &'static GuardSlot, items: NonNull<I>) -> Self {
        Guard {
            slot,
            items,
            cx: PhantomData,
        }
    }
}

impl GuardMutex<()> {
    /// Its name, with its place in a family.
    pub(crate) fn name(&self) -> String {
        names::describe(&self.cell)
    }

    /// Acquires the lock for a walk that takes the items as they are, in the form that this cell expects
    /// and in no other. Waits for at most `timeout`; never transforms.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], also where the items are in another form by then;
    /// [`LockError::Poisoned`].
    pub(crate) fn lock_as_it_is<'g>(
        &'static self,
        cx: &'g Worker,
        timeout: Duration,
    ) -> Result<Guard<'g, ()>, LockError> {
        let slot = self.slot();
        if !slot.lock.try_acquire_fast(cx.name()) {
            let patience = Patience::Until(Nanos::now().after(timeout));
            patience::acquire(slot, &self.cell, cx, patience)?;
        }
        let root = slot.root();
        let error = match root.items() {
            _ if slot.is_poisoned() => LockError::Poisoned(names::describe(&self.cell)),
            Some(items) if root.tag() == self.expected() => {
                cx.context().took(slot.address());
                return Ok(Guard::over(slot, items.cast()));
            }
            _ => LockError::TimedOut(names::describe(&self.cell)),
        };
        self.give_back(slot, cx);
        Err(error)
    }
}

impl GuardMutex<()> {
    /// Acquires the lock for who moves items between guards while nobody else runs: in whatever form the
    /// items are, and also where nobody has made them yet.
    ///
    /// # Errors
    /// [`LockError::Poisoned`], [`LockError::TimedOut`].
    pub(crate) fn lock_to_move<'g>(
        &'static self,
        cx: &'g Worker,
        timeout: Duration,
    ) -> Result<Guard<'g, ()>, LockError> {
        let slot = self.slot();
        if !slot.lock.try_acquire_fast(cx.name()) {
            let patience = Patience::Until(Nanos::now().after(timeout));
            patience::acquire(slot, &self.cell, cx, patience)?;
        }
        if slot.is_poisoned() {
            self.give_back(slot, cx);
            return Err(LockError::Poisoned(names::describe(&self.cell)));
        }
        cx.context().took(slot.address());
        Ok(Guard::over(slot, NonNull::dangling()))
    }
}

impl<I> Guard<'_, I> {
    /// A new shared node that belongs to this guard: for sections in which several are held.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn share<T: Element>(guard: &Self, value: T) -> Result<SharedRc<T>, RcError> {
        SharedRc::of_guard(value, guard.slot.index())
    }

    /// Which guard it is.
    pub(crate) fn index(&self) -> GuardIndex {
        self.slot.index()
    }

    /// Works until then on what the conversion of the tuple to form `to` takes up. A worker that dies in
    /// it leaves the guard sound.
    ///
    /// # Errors
    /// See `heap::prepare_box`.
    pub(crate) fn prepare(&mut self, to: Tag, until: Nanos) -> Result<Progress, AccessError> {
        let word = self.slot.root().word();
        // SAFETY: the root is a live box whose lock this worker holds.
        flip::leaving_it_sound(self.slot.index(), || unsafe {
            heap::prepare_box(word, to, until)
        })
    }

    /// Works until then on dropping what was made ahead of conversions of the tuple. A worker that dies in
    /// it leaves the guard sound.
    ///
    /// # Errors
    /// See `heap::discard_twins`.
    pub(crate) fn discard_twins(&mut self, until: Nanos) -> Result<Progress, AccessError> {
        let word = self.slot.root().word();
        // SAFETY: as for `prepare`.
        flip::leaving_it_sound(self.slot.index(), || unsafe {
            heap::discard_twins(word, until)
        })
    }

    /// Drops what the tuple's box keeps for versions that cannot come back (R10).
    pub(crate) fn drop_outdated(&mut self) {
        // SAFETY: the root is a live box whose lock this worker holds.
        unsafe { heap::sweep_root(self.slot.root().word()) };
    }

    /// Shows the tuple's block, its complements, and all that it reaches.
    pub(crate) fn visit(&mut self, visitor: &mut dyn heap::Visitor) {
        // SAFETY: the root is a live box whose lock this worker holds.
        unsafe { heap::visit_box(self.slot.root().word(), visitor) };
    }
}

impl<I> Deref for Guard<'_, I> {
    type Target = I;

    #[inline]
    fn deref(&self) -> &I {
        // SAFETY: the lock's word names this worker, so nobody else touches the tuple, and the root's
        // tag was the one this code was compiled for when the guard was made; only this worker could
        // change either while it holds the lock.
        unsafe { self.items.as_ref() }
    }
}

impl<I> DerefMut for Guard<'_, I> {
    #[inline]
    fn deref_mut(&mut self) -> &mut I {
        // SAFETY: as for `deref`; `&mut self` makes it exclusive within this worker.
        unsafe { self.items.as_mut() }
    }
}

impl<I> Drop for Guard<'_, I> {
    #[inline(always)]
    fn drop(&mut self) {
        let context = WorkerContext::current();
        if !context.owes_nothing() || std::thread::panicking() {
            return release_slow(self.slot);
        }
        if !self.slot.lock.release_fast(Name::of_owner(context.owner())) {
            release_to_waiters(self.slot);
        }
        // After the release, which waits for all stores before it.
        context.end_section();
    }
}

/// Before a worker sleeps: counts down the handles to shared nodes that it dropped outside of their
/// guard, where that guard is free. What is not to be had now waits for the next time.
pub(crate) fn settle_handles(cx: &Worker) {
    if !cx.context().owes(WorkerContext::OWES_HANDLES) {
        return;
    }
    let of_statics = |index: &GuardIndex| (index.0 as usize) < MAX_STATIC_GUARDS;
    for index in rc::owed_guards().into_iter().filter(of_statics) {
        let slot = GuardSlot::at(index);
        if !slot.is_poisoned() && slot.lock.try_acquire(cx.name(), slot.class()) {
            cx.context().took(slot.address());
            release_slow(slot);
        }
    }
}

/// A release that owes more than the lock word: while other guards are held, while there are copies to
/// be freed with the last one, and in a panic.
#[cold]
#[inline(never)]
fn release_slow(slot: &'static GuardSlot) {
    let context = WorkerContext::current();
    if std::thread::panicking() {
        slot.poison();
    }
    if context.owes(WorkerContext::OWES_BORROWS) && rc::is_open(slot.index()) {
        // Somebody further out still has a value of it: the guard is leaked, and found so (R18).
        return tracing::error!(
            slot = slot.index().0,
            "a guard was dropped while a shared node of it is read or edited: it stays locked"
        );
    }
    if context.owes(WorkerContext::OWES_HANDLES) && !std::thread::panicking() {
        rc::settle(slot.index());
    }
    let left = context.released(slot.address());
    if heap::has_scratch() {
        heap::end_guard(left);
    }
    if !slot.lock.release_fast(Name::of_owner(context.owner())) {
        release_to_waiters(slot);
    }
}

/// Releases a lock that this worker holds and somebody waits for.
#[cold]
#[inline(never)]
fn release_to_waiters(slot: &'static GuardSlot) {
    let context = WorkerContext::current();
    let seat = Seat {
        name: Name::of_owner(context.owner()),
        busy: &context.record().busy,
    };
    slot.lock
        .release_slow(&seat, slot.cell_index(), slot.class());
}
