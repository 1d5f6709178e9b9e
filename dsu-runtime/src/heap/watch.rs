//! A look at a part of a value before it is used, that tells whether it is damaged.
//!
//! Owns nothing: what is damaged is passed on to who asked for the walk, and nothing else is.
#![allow(unsafe_code)] // a visitor promises what becomes of the words that it is shown

use super::shared::Visitor;
use crate::ids::Tag;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Looks at keys before they are hashed or compared.
pub(super) struct Watch<'a> {
    visitor: &'a mut dyn Visitor,
    is_damaged: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn over(visitor: &'a mut dyn Visitor) -> Self {
        Watch {
            visitor,
            is_damaged: false,
        }
    }

    pub(super) fn has_seen_damage(&self) -> bool {
        self.is_damaged
    }
}

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Watch<'_> {
    fn block(&mut self, _pointer: NonNull<u8>, _layout: Layout) {}

    fn versioned(&mut self, _word: &mut u64, _expected: Tag) {}

    fn damage(&mut self, what: &str) {
        self.is_damaged = true;
        self.visitor.damage(what);
    }
}
