//! UTF-8 text in shared memory, over [`SharedBytes`]. Owns the promise that the bytes are text.
#![allow(unsafe_code)] // the promise is checked once, at the way in

use super::bytes::SharedBytes;
use super::shared::{Inline, Shared, Visitor};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::HeapFull;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Growable text: 16 bytes, up to 15 of text inline. What [`SharedBytes`] says of a full heap holds.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct SharedString(SharedBytes);

impl SharedString {
    /// No text.
    pub const fn new() -> Self {
        SharedString(SharedBytes::new())
    }

    /// A copy of `text`.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn from_text(text: &str) -> Result<Self, HeapFull> {
        SharedBytes::from_slice(text.as_bytes()).map(SharedString)
    }

    /// A copy.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_clone(&self) -> Result<Self, HeapFull> {
        Self::from_text(self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: only text comes in, and it is cut only at character boundaries.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// Adds text behind the last, amortised O(1) a byte.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn append(&mut self, text: &str) -> Result<(), HeapFull> {
        self.0.append(text.as_bytes())
    }

    /// Replaces the text.
    ///
    /// # Errors
    /// `HeapFull`; the old text stays.
    pub fn set(&mut self, text: &str) -> Result<(), HeapFull> {
        self.0.set(text.as_bytes())
    }

    /// Forgets the text from byte `len` on.
    ///
    /// # Panics
    /// If `len` is inside a character.
    pub fn truncate(&mut self, len: usize) {
        assert!(
            self.is_char_boundary(len.min(self.len())),
            "cut inside a character"
        );
        self.0.truncate(len);
    }

    /// No text, and no block.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for SharedString {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for SharedString {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for SharedString {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Hash for SharedString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for SharedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SharedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// SAFETY: transparent over `SharedBytes`.
unsafe impl Shared for SharedString {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(Vec::new()),
            ..TypeSchema::leaf::<Self>("SharedString")
        }
    }

    fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
        Some(self.try_clone())
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }
}
