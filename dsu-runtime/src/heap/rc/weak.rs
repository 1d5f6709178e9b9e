//! `SharedWeak`: a handle that keeps a node and not its value.
#![allow(unsafe_code)] // a promise about bytes

use super::super::shared::{Inline, Shared, Visitor};
use super::super::versioned::Element;
use super::count;
use super::handle::{SharedRc, schema_of};
use super::node::{HandleKind, NodePtr};
use super::walk::NodeHandle;
use crate::abi::TypeSchema;
use crate::error::RcError;
use std::fmt;
use std::marker::PhantomData;

/// A handle to a node of [`SharedRc`]s that does not keep the value: for the way back in a cycle.
#[repr(transparent)]
pub struct SharedWeak<T: Element> {
    node: NodePtr,
    content: PhantomData<*mut T>,
}

impl<T: Element> SharedWeak<T> {
    pub(super) fn of_node(node: NodePtr) -> Self {
        SharedWeak {
            node,
            content: PhantomData,
        }
    }

    /// A handle that keeps the value; `None` if the last one is gone.
    ///
    /// # Errors
    /// As [`SharedRc::try_clone`].
    pub fn upgrade(&self) -> Result<Option<SharedRc<T>>, RcError> {
        count::claim(self.node)?;
        // In a conversion a handle that was dropped counts until it stands: the value is there.
        if self.node.count(HandleKind::Strong) == 0 {
            return Ok(None);
        }
        count::retain(self.node, HandleKind::Strong)?;
        Ok(Some(SharedRc::of_node(self.node)))
    }

    /// Another such handle.
    ///
    /// # Errors
    /// As [`SharedRc::try_clone`].
    pub fn try_clone(&self) -> Result<Self, RcError> {
        count::retain(self.node, HandleKind::Weak)?;
        Ok(Self::of_node(self.node))
    }

    /// Whether both lead to the same node.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.node == other.node
    }

    /// The same handle for another form of the value, in O(1).
    pub fn rebind<U: Element>(self) -> SharedWeak<U> {
        let node = self.node;
        std::mem::forget(self);
        SharedWeak::of_node(node)
    }
}

impl<T: Element> Drop for SharedWeak<T> {
    fn drop(&mut self) {
        count::release(self.node, HandleKind::Weak);
    }
}

impl<T: Element> fmt::Debug for SharedWeak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedWeak({:#x})", self.node.address())
    }
}

// SAFETY: a pointer to a node in the heap, of which each handle has one count.
unsafe impl<T: Element> Shared for SharedWeak<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        schema_of::<Self, T>("SharedWeak")
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        NodeHandle::show(self.node, HandleKind::Weak, T::tag().get(), visitor);
    }
}
