//! `SharedRc`: a handle that keeps a node and its value.
#![allow(unsafe_code)] // values behind pointers

use super::super::block;
use super::super::convert;
use super::super::shared::{Inline, Shared, Visitor};
use super::super::versioned::{Element, Versioned};
use super::borrow;
use super::count;
use super::home::Home;
use super::node::{HandleKind, NodePtr};
use super::walk::NodeHandle;
use super::weak::SharedWeak;
use crate::abi::{NodeUse, TypeKind, TypeSchema};
use crate::error::RcError;
use crate::ids::GuardIndex;
use std::fmt;
use std::marker::PhantomData;

/// A value that several places inside one guard's items share: what `Rc<RefCell<T>>` is to a thread, this
/// is to the items of a guard. Cycles are broken by [`SharedWeak`].
///
/// ```
/// use dsu_runtime::prelude::*;
///
/// #[derive(Shared)]
/// pub struct Person { name: SharedString, friends: SharedVec<SharedWeak<Person>> }
///
/// #[guards(people: SharedVec<SharedRc<Person>>)]
/// static TOWN: GuardMutex;
///
/// fn befriend(cx: &mut Worker, one: usize, other: usize) -> Result<(), RcError> {
///     let Ok(town) = TOWN.lock(cx) else { return Err(RcError::NotHeld) };
///     let person = |index| town.people.get(index)?.ok_or(RcError::NotHeld);
///     let link = person(other)?.downgrade()?;
///     person(one)?.edit(|person| person.friends.push(link))??;
///     Ok(())
/// }
/// ```
///
/// *Identity.* A node stays where it is, whatever version looks at it: its value converts in place, once,
/// when somebody of another version edits it or the sweep comes by, and every handle sees that. The
/// complement stays with the node's box (R6).
///
/// *Access.* [`read`](Self::read) and [`edit`](Self::edit) call a function with the value. Nobody edits a
/// node that is being read or edited: the second one gets [`RcError::Borrowed`]. There is no guard object
/// as of a `RefCell`, which could be forgotten and would leave the node borrowed for all workers.
///
/// *One guard.* A node is touched under one guard only, the one that was held when it was made; under
/// another one, or none, every operation is [`RcError::NotHeld`]. Where two were held, the one under which
/// it is used alone. Its handles therefore stay behind that guard. A handle may be carried out of its
/// section, and dropped there: it is counted down when this worker next holds the guard.
///
/// *In transformers.* Handles pass from the old value to the new one, may be cloned and dropped, and new
/// nodes made; what a transformer did to the counts stands or falls with it. Nodes that are older than the
/// conversion can be read and not edited: each has its own lens. Read in another form they are converted
/// for that; so lenses of nodes that lead to each other must not read each other, which is
/// [`RcError::Circle`]. Where a transformer makes a copy for a reader (R20), the handles that it clones
/// count as long as the copy lives.
///
/// *Leaks.* As with `Rc`, a cycle of strong handles that nothing outside leads to is never freed.
/// `dsu status --check` counts its blocks among those that nobody reaches. It is not swept either, and
/// stands in `dsu status` among what is parked if its type changed.
#[repr(transparent)]
pub struct SharedRc<T: Element> {
    pub(crate) node: NodePtr,
    content: PhantomData<*mut T>,
}

impl<T: Element> SharedRc<T> {
    /// A new node with this value, which belongs to the guard that is held.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn new(value: T) -> Result<Self, RcError> {
        Self::from_box(Versioned::unasked(value)?)
    }

    /// A new node with the value and the complement of a box. The way to nodes whose type has
    /// `#[shared(forbid)]` (R12).
    ///
    /// # Errors
    /// `HeapFull`; the box is dropped.
    pub fn from_box(content: Versioned<T>) -> Result<Self, RcError> {
        Self::make(content, Home::of_maker())
    }

    /// A new node that belongs to this guard, which the caller holds.
    pub(crate) fn of_guard(value: T, guard: GuardIndex) -> Result<Self, RcError> {
        Self::make(Versioned::unasked(value)?, Home::of(guard))
    }

    fn make(content: Versioned<T>, home: Home) -> Result<Self, RcError> {
        let node = NodePtr::make(0, 1, home.0)?;
        node.node().word.set(content.into_word());
        Ok(Self::of_node(node))
    }

    /// A new node whose value is made with a weak handle to it, which leads to nothing until then.
    ///
    /// # Errors
    /// What `make` returns; `HeapFull`. Weak handles that it has put somewhere lead to nothing for good.
    pub fn new_cyclic<E: From<RcError>>(
        make: impl FnOnce(&SharedWeak<T>) -> Result<T, E>,
    ) -> Result<Self, E> {
        let node = NodePtr::make(0, 0, Home::of_maker().0).map_err(RcError::from)?;
        // Dropped at the end whatever happens: it has the one weak count that the node begins with.
        let weak = SharedWeak::of_node(node);
        let value = borrow::with(node, NodeUse::Edit, |_| make(&weak))??;
        let content = Versioned::unasked(value).map_err(RcError::from)?;
        node.node().word.set(content.into_word());
        node.set_count(HandleKind::Strong, 1);
        // The strong handles together have it from here on.
        std::mem::forget(weak);
        Ok(Self::of_node(node))
    }

    pub(super) fn of_node(node: NodePtr) -> Self {
        SharedRc {
            node,
            content: PhantomData,
        }
    }

    /// Calls `read` with the value. Where that is in another version's form it is a converted copy, and
    /// the node stays as it is (R20).
    ///
    /// # Errors
    /// `Access`, `Borrowed` while it is being edited, `NotHeld`, `WhichGuard`; in a transformer `Circle`.
    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> Result<R, RcError> {
        borrow::with(self.node, NodeUse::Read, |open| {
            // SAFETY: the handle keeps the value; nobody edits it while it is borrowed to be read.
            let content: &Versioned<T> = unsafe { self.node.content() };
            let value = match content.current() {
                Some(value) => value,
                None => open.converting(T::name, || content.get())??,
            };
            Ok(read(value))
        })?
    }

    /// Calls `edit` with the value, converted in place where it is in another version's form. The
    /// complement stays (R6).
    ///
    /// # Errors
    /// `Access`, and then it is untouched; `Borrowed` while it is being read or edited, `NotHeld`,
    /// `WhichGuard`; in a transformer, of an older node, `Converting`; in a copy `Copied`.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut T) -> R) -> Result<R, RcError> {
        borrow::with(self.node, NodeUse::Edit, |open| {
            let (word, tag) = (&self.node.node().word, T::tag().get());
            if !convert::is_of(word.get(), tag) {
                // SAFETY: a live box, which nobody else edits, under its guard.
                open.converting(T::name, || unsafe { convert::convert_cell(word, tag) })??;
            }
            // SAFETY: the handle keeps the value; nobody else reads or edits it from here on.
            let content: &mut Versioned<T> = unsafe { self.node.content() };
            Ok(edit(content.get_mut()?))
        })?
    }

    /// Overwrites the value, without the old one's complement (R6). All handles see it.
    ///
    /// # Errors
    /// As [`edit`](Self::edit), with `HeapFull` for `Access`; the value is dropped and the node untouched.
    pub fn replace(&self, value: T) -> Result<(), RcError> {
        self.replace_box(Versioned::unasked(value)?).map(drop)
    }

    /// Puts another box in the place of the node's, each with its complement; the old one comes back.
    ///
    /// # Errors
    /// As [`edit`](Self::edit); the new one is dropped.
    pub fn replace_box(&self, content: Versioned<T>) -> Result<Versioned<T>, RcError> {
        borrow::with(self.node, NodeUse::Edit, |_| {
            // SAFETY: as in `edit`.
            std::mem::replace(unsafe { self.node.content() }, content)
        })
    }

    /// Another handle to the same node. Not `Clone`, which could not fail.
    ///
    /// # Errors
    /// `TooMany`, `NotHeld`, `WhichGuard`; of a node in a converted copy `Copied`; `HeapFull` in a
    /// transformer.
    pub fn try_clone(&self) -> Result<Self, RcError> {
        count::retain(self.node, HandleKind::Strong)?;
        Ok(Self::of_node(self.node))
    }

    /// A handle that does not keep the value.
    ///
    /// # Errors
    /// As [`try_clone`](Self::try_clone).
    pub fn downgrade(&self) -> Result<SharedWeak<T>, RcError> {
        count::retain(self.node, HandleKind::Weak)?;
        Ok(SharedWeak::of_node(self.node))
    }

    /// Takes the value's box out, if this is the only strong handle. Weak ones lead to nothing then.
    ///
    /// # Errors
    /// The handle comes back: there are others, or it cannot be told here.
    pub fn try_unwrap(self) -> Result<Versioned<T>, Self> {
        let is_only = matches!(count::counted(self.node, HandleKind::Strong), Ok(1));
        if !is_only || block::is_frozen(self.node.block()) {
            return Err(self);
        }
        // SAFETY: a live box, which is the caller's alone: the node's word is 0 from here on, and the
        // drop of the last handle finds none.
        let content = unsafe { std::ptr::read(self.node.content::<T>()) };
        self.node.node().word.set(0);
        Ok(content)
    }

    /// Whether both lead to the same node.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.node == other.node
    }

    /// Strong handles to the node.
    ///
    /// # Errors
    /// `NotHeld`, `WhichGuard`, `Copied`.
    pub fn strong_count(&self) -> Result<usize, RcError> {
        count::counted(self.node, HandleKind::Strong)
    }

    /// Weak handles to the node.
    ///
    /// # Errors
    /// As [`strong_count`](Self::strong_count).
    pub fn weak_count(&self) -> Result<usize, RcError> {
        Ok(count::counted(self.node, HandleKind::Weak)?.saturating_sub(1))
    }

    /// The same node for another form of its value, in O(1): the tag says what it holds.
    pub fn rebind<U: Element>(self) -> SharedRc<U> {
        let node = self.node;
        std::mem::forget(self);
        SharedRc::of_node(node)
    }
}

impl<T: Element> Drop for SharedRc<T> {
    fn drop(&mut self) {
        count::release(self.node, HandleKind::Strong);
    }
}

impl<T: Element> fmt::Debug for SharedRc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedRc({:#x})", self.node.address())
    }
}

/// Names T and stops there (R2): a change of T is no change of what contains the handle.
pub(super) fn schema_of<H, T: Element>(name: &str) -> TypeSchema {
    let value = TypeSchema {
        kind: TypeKind::Versioned(T::name()),
        ..TypeSchema::leaf::<u64>("Versioned")
    };
    TypeSchema {
        kind: TypeKind::Container(vec![value]),
        ..TypeSchema::leaf::<H>(name)
    }
}

// SAFETY: a pointer to a node in the heap; each handle has one count of it. A node is touched under one
// guard alone.
unsafe impl<T: Element> Shared for SharedRc<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        schema_of::<Self, T>("SharedRc")
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        NodeHandle::show(self.node, HandleKind::Strong, T::tag().get(), visitor);
    }
}
