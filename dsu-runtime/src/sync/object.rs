//! Objects made at run time, as their owners keep them: a value with a lock and a representation of
//! its own.
//!
//! Owns `Guarded`, the one word by which something in shared memory owns an object, and the way from a
//! slot to its lock for walks over all objects. Who owns and who holds is `heap::objects`'; handles are
//! `handle`'s. Must never know how a transformer works.
#![allow(unsafe_code)] // a promise about bytes that other processes read

use super::flip;
use super::guard::Guard;
use super::handle::Handle;
use super::party::Class;
use super::slot::GuardSlot;
use crate::abi::{GuardCell, TypeKind, TypeRegistration, TypeSchema};
use crate::error::{HeapFull, LockError};
use crate::heap::objects::{self, ObjectId, Wanted};
use crate::heap::{Element, Inline, Shared, Visitor};
use crate::ids::{GuardIndex, Tag};
use crate::worker::Worker;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A value with a lock and a representation of its own, made at run time and kept in shared memory.
///
/// A static guard locks everything it guards. Where a server has many things that are busy each for
/// itself (the rooms of a game, the queues of a broker), the static guards the collection, and each
/// thing is a `Guarded` in it: under the collection's guard a worker takes a [`Handle`], releases the
/// guard, and then locks that one thing.
///
/// ```
/// use dsu_runtime::prelude::*;
///
/// #[derive(Shared)]
/// pub struct Room { visits: u64 }
///
/// #[guards(rooms: SharedMap<SharedBytes, Guarded<Room>>)]
/// static LOBBY: GuardMutex;
///
/// fn visit(cx: &mut Worker, name: &[u8]) -> Result<u64, LockError> {
///     let room: Handle<Room> = {
///         let mut lobby = LOBBY.lock(cx)?;
///         if !lobby.rooms.contains(name) {
///             let room = Guarded::new(Room { visits: 0 })?;
///             lobby.rooms.insert(SharedBytes::from_slice(name)?, room)?;
///         }
///         let Ok(Some(room)) = lobby.rooms.get(name) else { return Err(LockError::HeapFull) };
///         room.handle(cx)?
///     };                                   // the lobby is free again
///     let mut room = room.lock(cx)?;       // this room alone is locked, and in this version's form
///     room.visits += 1;
///     Ok(room.visits)
/// }
/// ```
///
/// The value converts when a worker of another version locks it, as the items of a static guard do
/// (R3): its lens is that of its type, its complement stays with it (R6). The schema of what contains
/// a `Guarded<T>` names `T` and no more (R2).
///
/// Dropping it *retires* the object: nobody locks it again, and when the last handle is gone the value
/// is dropped, by the code of the version whose form it is in. There is no `Clone`: an object has one
/// owner. A converted copy that a reader gets (R20) has the same object and does not own it.
///
/// Keep it in shared memory. If a worker dies between making an object and putting it where a guard
/// reaches it, nobody owns it; `dsu status --check` finds and frees such objects, and takes one for lost
/// that somebody keeps elsewhere when its maker dies.
///
/// The lock of a poisoned object stays poisoned. When its owner and its handles are gone, its value is
/// not dropped, as it may be half written; its memory and its slot are not used again.
#[repr(transparent)]
pub struct Guarded<T: Element> {
    id: u64,
    content: PhantomData<*mut T>,
}

impl<T: Element> Guarded<T> {
    /// Makes an object. Its lock is free.
    ///
    /// # Errors
    /// `HeapFull`: no memory for the value, or all 786,432 slots for objects are taken; or a lens makes
    /// the object for a reader's copy of what contains it, which cannot have objects of its own (R20).
    /// The value is dropped.
    pub fn new(value: T) -> Result<Self, HeapFull> {
        let id = objects::make(value)?;
        // The slot may have had an object that was to stay with the other class.
        let class = Class::of_tag(u64::from(T::tag().get().0));
        GuardSlot::at(id.index)
            .lock
            .transformed(class, Duration::ZERO);
        Ok(Guarded {
            id: id.word(),
            content: PhantomData,
        })
    }

    /// A handle to the object, which outlives the guard that this was reached through.
    ///
    /// # Errors
    /// [`LockError::Retired`] if the object is gone, which the bytes of damaged memory may say;
    /// [`LockError::HeapFull`] if the process has no memory.
    pub fn handle(&self, cx: &Worker) -> Result<Handle<T>, LockError> {
        let id = ObjectId::from_word(self.id)
            .ok_or_else(|| LockError::Retired(format!("an object at {:#x}", self.id)))?;
        Handle::take(id, cx)
    }

    /// A second word that owns an object.
    #[cfg(test)]
    pub(super) fn of_test(id: ObjectId) -> Self {
        Guarded {
            id: id.word(),
            content: PhantomData,
        }
    }

    /// The same object for another form of its value, in O(1): its tag says what it holds.
    pub fn rebind<U: Element>(self) -> Guarded<U> {
        let id = self.id;
        std::mem::forget(self);
        Guarded {
            id,
            content: PhantomData,
        }
    }
}

impl<T: Element> Drop for Guarded<T> {
    fn drop(&mut self) {
        if let Some(id) = ObjectId::from_word(self.id) {
            objects::retire(id);
        }
    }
}

// SAFETY: one word that names a slot of the control region and one of its objects; the value lies in
// the heap and is reached through that slot alone.
unsafe impl<T: Element> Shared for Guarded<T> {
    type Cell = Inline<Self>;

    /// Names T and stops there (R2): a change of T is no change of what contains the object.
    fn schema() -> TypeSchema {
        let value = TypeSchema {
            kind: TypeKind::Versioned(T::name()),
            ..TypeSchema::leaf::<u64>("Versioned")
        };
        TypeSchema {
            kind: TypeKind::Container(vec![value]),
            ..TypeSchema::leaf::<Self>("Guarded")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        match ObjectId::from_word(self.id) {
            Some(id) => visitor.object(id),
            None => visitor.damage(&format!("an object has the word {:#x}", self.id)),
        }
    }
}

/// A cell that leads to an object, in the place of one that a library's static has.
pub(super) fn cell_of(index: GuardIndex, expected: Tag) -> GuardCell {
    let slot = std::ptr::from_ref(GuardSlot::at(index)).addr() as u64;
    let cell = GuardCell::new();
    cell.bind(slot, expected);
    cell
}

/// The lock of this slot, for a walk that takes what it guards in the form that it is in. Waits for
/// `timeout` at the most.
pub(crate) fn lock_as_it_is<'g>(
    index: GuardIndex,
    cx: &'g Worker,
    form: Tag,
    timeout: Duration,
) -> Result<Guard<'g, ()>, LockError> {
    let cell = cell_of(index, form);
    // SAFETY: as for `Pinned::lock`.
    flip::erased(unsafe { &*std::ptr::from_ref(&cell) }).lock_as_it_is(cx, timeout)
}

/// What an object is called, where its cell is all that is known.
pub(super) fn describe_at(cell: &GuardCell) -> String {
    let address = cell.slot.load(Ordering::Relaxed);
    let expected = cell.expected();
    if address == 0 {
        return "(unbound)".to_owned();
    }
    // SAFETY: every cell that is bound has the address of a slot in the mapped control region.
    let slot = unsafe { &*(address as *const GuardSlot) };
    describe(slot.index(), expected)
}

/// What an object is called: by the type that has this form, and its slot.
pub(crate) fn describe(index: GuardIndex, tag: Tag) -> String {
    let registration = inventory::iter::<TypeRegistration>
        .into_iter()
        .find(|registration| registration.tag.get() == tag);
    match registration {
        Some(registration) => format!("{} in slot {}", registration.name, index.0),
        None => format!("object in slot {}", index.0),
    }
}

/// An object that stays while a walk looks at it, whoever else lets go of it.
pub(crate) struct Pinned {
    id: ObjectId,
}

impl Pinned {
    /// The object in this slot; `None` if there is none, or no memory to note it.
    pub(crate) fn at(index: GuardIndex) -> Option<Pinned> {
        let id = objects::hold(Wanted::Any(index)).ok()?;
        Some(Pinned { id })
    }

    /// Which object it is.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// The form that its value is in, or was in when it was poisoned. Only advice without the lock.
    pub(crate) fn form(&self) -> Tag {
        GuardSlot::at(self.id.index).form()
    }

    /// Its lock, with the value in this form. Waits for `timeout` at the most.
    pub(crate) fn lock<'g>(
        &'g self,
        cx: &'g Worker,
        expected: Tag,
        timeout: Duration,
    ) -> Result<Guard<'g, ()>, LockError> {
        let cell = cell_of(self.id.index, expected);
        // SAFETY: a lock uses its cell for the length of the call and no longer: a guard has the slot.
        let guard = flip::erased(unsafe { &*std::ptr::from_ref(&cell) });
        guard.lock_timeout(cx, timeout)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        objects::release(self.id.index);
    }
}
