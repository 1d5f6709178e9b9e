//! One value in a block of its own, in the form of whatever holds the box.
#![allow(unsafe_code)] // a value in a raw block

use super::shared::{Inline, Shared, Visitor};
use super::{block, prefetch};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::HeapFull;
use std::alloc::Layout;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// A value elsewhere in the heap. It changes representation together with what contains it; for a
/// value that changes by itself, and for recursive types, take [`Versioned`](super::Versioned).
#[repr(transparent)]
pub struct SharedBox<T: Shared> {
    block: NonNull<u8>,
    content: PhantomData<*mut T>,
}

impl<T: Shared> SharedBox<T> {
    /// Puts a value into a block.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    pub fn new(value: T) -> Result<Self, HeapFull> {
        let block = block::allocate(Self::layout()?)?;
        // SAFETY: a new block of the layout of T.
        unsafe { block.cast::<T>().write(value) };
        Ok(SharedBox {
            block,
            content: PhantomData,
        })
    }

    /// The value, to edit.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer, where the first write copies the block.
    pub fn get_mut(&mut self) -> Result<&mut T, HeapFull> {
        if block::is_frozen(self.block) {
            let layout = Self::layout()?;
            // SAFETY: the block holds a T; the old one is forgotten here.
            unsafe {
                let fresh = block::copy(self.block, layout, size_of::<T>())?;
                super::alloc::deallocate(self.block, layout);
                self.block = fresh;
            }
        }
        // SAFETY: the block holds a T, may be written, and is borrowed as `self` is.
        Ok(unsafe { self.block.cast::<T>().as_mut() })
    }

    /// Takes the value out and frees the block.
    pub fn into_value(self) -> T {
        let block = self.block;
        std::mem::forget(self);
        // SAFETY: the value is moved out once; then the block is nobody's.
        unsafe {
            let value = block.cast::<T>().read();
            if let Ok(layout) = Self::layout() {
                super::alloc::deallocate(block, layout);
            }
            value
        }
    }

    fn layout() -> Result<Layout, HeapFull> {
        block::layout(size_of::<T>(), align_of::<T>())
    }
}

impl<T: Shared> Deref for SharedBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a T, borrowed as `self` is.
        unsafe { self.block.cast::<T>().as_ref() }
    }
}

impl<T: Shared> Drop for SharedBox<T> {
    fn drop(&mut self) {
        // SAFETY: the block holds a T, dropped once; then it is nobody's.
        unsafe {
            self.block.cast::<T>().drop_in_place();
            if let Ok(layout) = Self::layout() {
                super::alloc::deallocate(self.block, layout);
            }
        }
    }
}

// SAFETY: a pointer into the heap; `visit` shows the block and the value.
unsafe impl<T: Shared> Shared for SharedBox<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![T::schema()]),
            ..TypeSchema::leaf::<Self>("SharedBox")
        }
    }

    #[inline]
    fn prefetch(&self) {
        prefetch::line(self.block.as_ptr());
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        let address = self.block.as_ptr() as usize;
        match Self::layout() {
            Ok(layout) if block::is_at(address, layout) => {
                visitor.block(self.block, layout);
                // SAFETY: the block holds a T and nobody else is here.
                unsafe { self.block.cast::<T>().as_mut() }.visit(visitor);
            }
            _ => visitor.damage(&format!("a box points to {address:#x}")),
        }
    }
}
