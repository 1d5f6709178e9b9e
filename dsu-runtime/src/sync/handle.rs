//! Handles to objects made at run time: how a worker reaches one without the guard of what owns it.
//!
//! A handle is this process's own. It may live as long as the run of a version: in the worker's private
//! state, over update points and waits, but not over a crossing, since it cannot be part of a carry.
//! Locking goes the way of static guards (`guard`), by a cell that the handle has.
#![allow(unsafe_code)] // lends its cell as a static guard has it

use super::guard::{Guard, GuardMutex};
use super::object::{cell_of, describe};
use crate::abi::GuardCell;
use crate::error::LockError;
use crate::heap::Element;
use crate::heap::objects::{self, ObjectId, Refused, Wanted};
use crate::ids::GuardIndex;
use crate::worker::Worker;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A way to one object, counted: while a worker has a handle the object is not freed, even if its
/// owner drops it. Taken by [`Guarded::handle`](super::Guarded::handle); `clone` gives another.
///
/// It borrows nothing: the guard that led to it is released first, or `lock` holds two locks at once
/// (for the order see R16: static guards come before objects).
///
/// | what happens | what becomes of the handle |
/// |---|---|
/// | the owner drops the object | it keeps the memory; `lock` is [`LockError::Retired`] |
/// | the last handle goes after that | the value is dropped and the slot used again |
/// | its worker crosses to another version | it goes with the old version's state; one that was leaked, or hidden in a `thread_local`, is released, and is `Retired` for good |
/// | its worker dies | released by recovery; the value is freed by the next worker that makes an object or starts |
///
/// Neither `Send`, `Shared` nor serializable: what one worker tells another is where the object is kept.
pub struct Handle<T: Element> {
    cell: GuardCell,
    id: ObjectId,
    run: u32,
    content: PhantomData<*mut T>,
}

impl<T: Element> Handle<T> {
    pub(super) fn take(id: ObjectId, _: &Worker) -> Result<Handle<T>, LockError> {
        let tag = T::tag().get();
        match objects::hold(Wanted::Owned(id)) {
            Ok(id) => Ok(Handle {
                cell: cell_of(id.index, tag),
                id,
                run: objects::current_run(),
                content: PhantomData,
            }),
            Err(Refused::Gone) => Err(LockError::Retired(describe(id.index, tag))),
            Err(Refused::NoMemory) => Err(LockError::HeapFull),
        }
    }

    /// Acquires the object's lock and gives access to its value, in this version's form, as
    /// [`GuardMutex::lock`] does.
    ///
    /// # Blocks
    /// While another worker holds the lock.
    ///
    /// # Errors
    /// [`LockError::Retired`] if the owner has dropped the object; otherwise as for a static guard. The
    /// lock is not held then and the value is as it was.
    pub fn lock<'g>(&'g self, cx: &'g Worker) -> Result<Guard<'g, T>, LockError> {
        self.locked(|guard| guard.lock(cx))
    }

    /// Acquires the lock if it is free and the value needs no transforming (R21). Never waits.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`], [`LockError::WouldTransform`], or as [`lock`](Self::lock).
    pub fn try_lock<'g>(&'g self, cx: &'g Worker) -> Result<Guard<'g, T>, LockError> {
        self.locked(|guard| guard.try_lock(cx))
    }

    /// As [`lock`](Self::lock), but waits for at most `timeout`; a transformer that has to run takes
    /// its own time on top (R21).
    ///
    /// # Errors
    /// [`LockError::TimedOut`], or as [`lock`](Self::lock).
    pub fn lock_timeout<'g>(
        &'g self,
        cx: &'g Worker,
        timeout: Duration,
    ) -> Result<Guard<'g, T>, LockError> {
        self.locked(|guard| guard.lock_timeout(cx, timeout))
    }

    /// Whether the object is still owned by what it was found in. Another worker may drop it right
    /// after the answer.
    pub fn is_owned(&self) -> bool {
        let (fate, id) = objects::fate(self.id.index);
        self.is_current() && id == self.id && fate.is_owned()
    }

    /// The slot of the object's lock, by which several are ordered (R16).
    pub fn slot(&self) -> GuardIndex {
        self.id.index
    }

    fn is_current(&self) -> bool {
        self.run == objects::current_run()
    }

    fn locked<'g>(
        &'g self,
        lock: impl FnOnce(&'static GuardMutex<T>) -> Result<Guard<'g, T>, LockError>,
    ) -> Result<Guard<'g, T>, LockError> {
        let retired = || LockError::Retired(describe(self.id.index, T::tag().get()));
        if !self.is_current() {
            return Err(retired());
        }
        // SAFETY: a `GuardMutex` is transparent over its cell, and uses it for the length of the call
        // and no longer: a guard has the slot, which this handle keeps the object in.
        let guard = unsafe { &*std::ptr::from_ref(&self.cell).cast::<GuardMutex<T>>() };
        let locked = lock(guard);
        // With the lock in hand, or with an error that a retired object had: nobody gets at the value
        // of one that its owner has dropped.
        if self.is_owned() {
            locked
        } else {
            Err(retired())
        }
    }
}

impl<T: Element> Clone for Handle<T> {
    fn clone(&self) -> Self {
        if self.is_current() {
            objects::hold_again(self.id.index);
        }
        Handle {
            cell: cell_of(self.id.index, T::tag().get()),
            id: self.id,
            run: self.run,
            content: PhantomData,
        }
    }
}

impl<T: Element> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.is_current() {
            objects::release(self.id.index);
        }
    }
}

impl<T: Element> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", describe(self.id.index, T::tag().get()))
    }
}

/// Locks several objects of one type, in the order of their slots (R16), so that two workers that want
/// the same ones do not wait for each other for ever. The guards are in the order of `handles`.
///
/// # Blocks
/// While another worker holds one of them.
///
/// # Errors
/// That of the first that fails, in the order of slots, those acquired before it are released;
/// [`LockError::Deadlock`] if one object is named twice.
pub fn lock_objects<'g, T: Element>(
    cx: &'g Worker,
    handles: &'g [Handle<T>],
) -> Result<Vec<Guard<'g, T>>, LockError> {
    let mut order: Vec<usize> = (0..handles.len()).collect();
    order.sort_unstable_by_key(|&which| handles[which].slot());
    let mut guards: Vec<Option<Guard<'g, T>>> = handles.iter().map(|_| None).collect();
    for which in order {
        guards[which] = Some(handles[which].lock(cx)?);
    }
    Ok(guards.into_iter().flatten().collect())
}

/// Locks two objects, perhaps of different types, in the order of their slots (R16).
///
/// # Blocks
/// While another worker holds one of them.
///
/// # Errors
/// As [`lock_objects`].
pub fn lock_two_objects<'g, A: Element, B: Element>(
    cx: &'g Worker,
    one: &'g Handle<A>,
    other: &'g Handle<B>,
) -> Result<(Guard<'g, A>, Guard<'g, B>), LockError> {
    if one.slot() <= other.slot() {
        let first = one.lock(cx)?;
        Ok((first, other.lock(cx)?))
    } else {
        let first = other.lock(cx)?;
        Ok((one.lock(cx)?, first))
    }
}

#[cfg(test)]
impl<T: Element> Handle<T> {
    /// A second word that owns the object.
    pub(super) fn owner(&self) -> super::Guarded<T> {
        super::Guarded::of_test(self.id)
    }
}
