//! A box that remembers which representation its content is in.
//!
//! Owns its word (`box_word` has the bytes) and what a read, an edit and an overwrite mean while
//! versions are mixed. How a value gets from one form to another is `convert`'s.
#![allow(unsafe_code)] // a value in a raw block

use super::block;
use super::box_word::{BoxWord, Form};
use super::convert;
use super::copies;
use super::live;
use super::named::Called;
use super::prefetch;
use super::shared::{Cell, Inline, Shared, Visitor};
use crate::abi::{TagCell, TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use crate::ids::Tag;
use std::marker::PhantomData;

/// A type with a representation of its own: what a [`Versioned`] can hold. Implemented by
/// `#[derive(Shared)]`.
///
/// # Safety
/// Every library that binds the cell to an id has `Self` in exactly that representation.
pub unsafe trait Element: Shared {
    /// Why a value is not put into a box: `HeapFull`, with `#[shared(forbid)]` [`MakeError`](crate::error::MakeError).
    type Refusal: From<HeapFull>;

    /// Whether values can be forbidden.
    const FORBIDS: bool = false;

    /// Where this library keeps the id.
    fn tag() -> &'static TagCell;

    /// Whether the value may be made now (R12).
    ///
    /// # Errors
    /// `NotYet`.
    #[inline]
    fn admit(&self) -> Result<(), Self::Refusal> {
        Ok(())
    }

    /// The name in schemas. The default asks for the schema, and so never ends for a type that contains
    /// boxes of itself; the derive states it.
    fn name() -> String {
        Self::schema().name
    }
}

/// A value in a block of its own, tagged with the representation that it is in.
///
/// Overwrite with [`replace`](Versioned::replace): what another version knows about the value and this
/// one does not, its complement, goes with the old value. Edit with [`get_mut`](Versioned::get_mut):
/// the complement stays (R6).
#[repr(transparent)]
pub struct Versioned<T: Element> {
    word: u64,
    content: PhantomData<*mut T>,
}

impl<T: Element> Versioned<T> {
    /// Puts a value into a box, without a complement.
    ///
    /// # Errors
    /// `HeapFull`, and for a type with `#[shared(forbid)]` also `NotYet` (R12); the value is dropped.
    #[inline]
    pub fn new(value: T) -> Result<Self, T::Refusal> {
        value.admit()?;
        Ok(Self::boxed(value)?)
    }

    /// As [`new`](Self::new), of a type of which nothing is ever forbidden. Containers and objects know
    /// one error only.
    pub(super) fn unasked(value: T) -> Result<Self, HeapFull> {
        const {
            assert!(
                !T::FORBIDS,
                "a type with `#[shared(forbid)]` is boxed by `Versioned::new`: keep the box in a field, or insert it as a cell"
            );
        }
        Self::boxed(value)
    }

    fn boxed(value: T) -> Result<Self, HeapFull> {
        let block = block::allocate(Form::of::<T>().layout(false)?)?;
        // SAFETY: a new block of the layout of T.
        unsafe { block.cast::<T>().write(value) };
        let tag = T::tag().get();
        live::add(tag, 1);
        Ok(Versioned {
            word: BoxWord::new(tag, block, None).0,
            content: PhantomData,
        })
    }

    /// The value, to read. Where it is in another version's form this is a converted copy, which
    /// lives as long as the section, and the box stays as it is (R20).
    ///
    /// A box that was taken out of its guard's items outlives the section, and so would a reference that
    /// `get` gave within it: **it must not be used after the worker's last guard is gone**, which the borrow
    /// checker sees only of what is reached through the guard. Make such a box your own with
    /// [`get_mut`](Versioned::get_mut) or [`into_value`](Versioned::into_value).
    ///
    /// # Errors
    /// See [`AccessError`]; `Failed` as well for a box in another version's form while no guard is held.
    #[inline]
    pub fn get(&self) -> Result<&T, AccessError> {
        let word = BoxWord(self.word);
        let expected = T::tag().get();
        let value = if word.tag() == expected {
            word.block()
        } else {
            // SAFETY: a live box; whoever has `self` holds its guard.
            unsafe { convert::scratch_copy(self.word, expected)? }
        };
        // SAFETY: a T in a block that is not written while `self` is borrowed, or a scratch copy, which
        // lives until the worker's last guard goes. Where `self` was reached through a guard, the borrow
        // ends before that; where it was taken out of its items, whoever took it out sees to that, as
        // documented above: the one promise here that no type upholds (R20).
        Ok(unsafe { value.cast::<T>().as_ref() })
    }

    /// The value, to edit. Converts the box in place where it is in another version's form and keeps
    /// the complement.
    ///
    /// # Errors
    /// See [`AccessError`]; the box is untouched then.
    #[inline]
    pub fn get_mut(&mut self) -> Result<&mut T, AccessError> {
        if BoxWord(self.word).tag() != T::tag().get() {
            self.convert()?;
        }
        self.owned_mut()
    }

    fn convert(&mut self) -> Result<(), AccessError> {
        // SAFETY: a live box, held exclusively.
        unsafe { convert::convert_box(&mut self.word, T::tag().get()) }
    }

    /// The value, which is in this version's form, in a block that may be written.
    #[inline]
    fn owned_mut(&mut self) -> Result<&mut T, AccessError> {
        // SAFETY: a live box that holds a T, held exclusively.
        unsafe {
            if block::is_frozen(BoxWord(self.word).block()) {
                convert::own_box(&mut self.word, Form::of::<T>())?;
            }
            Ok(BoxWord(self.word).block().cast::<T>().as_mut())
        }
    }

    /// The value if it is in this version's form as it lies. Never converts, never fails.
    #[inline]
    pub fn current(&self) -> Option<&T> {
        let word = BoxWord(self.word);
        // SAFETY: a live box that holds a T, which is not written while `self` is borrowed.
        (word.tag() == T::tag().get()).then(|| unsafe { word.block().cast::<T>().as_ref() })
    }

    /// The value if it is in this version's form and the box keeps no complement: to overwrite all of
    /// it in place is then the same as to [`replace`](Self::replace) it, without another block.
    /// `None` as well inside a transformer that has not made the box itself.
    #[inline]
    pub fn plain_mut(&mut self) -> Option<&mut T> {
        let word = BoxWord(self.word);
        let is_plain =
            word.tag() == T::tag().get() && !word.is_chained() && !block::is_frozen(word.block());
        // SAFETY: a live box that holds a T, held exclusively, in a block that may be written.
        is_plain.then(|| unsafe { word.block().cast::<T>().as_mut() })
    }

    /// Asks the processor for the value's memory.
    #[inline]
    pub fn prefetch(&self) {
        prefetch::line(BoxWord(self.word).address() as *const u8);
    }

    /// Overwrites: a new value, without the old one's complement.
    ///
    /// # Errors
    /// As for [`new`](Self::new); the value is dropped and the box untouched.
    pub fn replace(&mut self, value: T) -> Result<(), T::Refusal> {
        *self = Versioned::new(value)?;
        Ok(())
    }

    /// Takes the value out, in this version's form.
    ///
    /// # Errors
    /// See [`AccessError`]; the box is dropped then. Call [`get_mut`](Self::get_mut) first to keep it.
    pub fn into_value(mut self) -> Result<T, AccessError> {
        // SAFETY: a live box, which after this holds a T; the value is moved out, then the box is
        // taken apart and not dropped.
        unsafe {
            convert::convert_box(&mut self.word, T::tag().get())?;
            let word = BoxWord(self.word);
            std::mem::forget(self);
            let value = word.block().cast::<T>().read();
            convert::free_box(word, Form::of::<T>());
            Ok(value)
        }
    }

    /// The box by its word, for whoever keeps it elsewhere from now on.
    pub(super) fn into_word(self) -> u64 {
        let word = self.word;
        std::mem::forget(self);
        word
    }

    /// The word, which stays the box's.
    pub(super) fn bits(&self) -> u64 {
        self.word
    }

    /// The representation that the content is in.
    pub fn tag(&self) -> Tag {
        BoxWord(self.word).tag()
    }

    /// The same box for another form of its content, in O(1): its tag says what it holds.
    pub fn rebind<U: Element>(self) -> Versioned<U> {
        copies::rebound();
        Versioned {
            word: self.into_word(),
            content: PhantomData,
        }
    }
}

impl<T: Element> Drop for Versioned<T> {
    fn drop(&mut self) {
        let word = BoxWord(self.word);
        // SAFETY: a live box, dropped once; its value is a T where the tags agree.
        unsafe {
            if word.tag() == T::tag().get() {
                word.block().cast::<T>().drop_in_place();
                convert::free_box(word, Form::of::<T>());
            } else {
                convert::drop_box(self.word);
            }
        }
    }
}

// SAFETY: one word that names a representation and a block in the heap.
unsafe impl<T: Element> Cell<T> for Versioned<T> {
    fn new(value: T) -> Result<Self, HeapFull> {
        Versioned::unasked(value)
    }

    #[inline]
    fn get(&self) -> Result<&T, AccessError> {
        Versioned::get(self)
    }

    #[inline]
    fn get_mut(&mut self) -> Result<&mut T, AccessError> {
        Versioned::get_mut(self)
    }

    #[inline]
    fn get_called(&self, called: Called<'_>) -> Result<&T, AccessError> {
        match self.current() {
            Some(value) => Ok(value),
            None => called.during(|| self.get()),
        }
    }

    #[inline]
    fn get_mut_called(&mut self, called: Called<'_>) -> Result<&mut T, AccessError> {
        if BoxWord(self.word).tag() != T::tag().get() {
            called.during(|| self.convert())?;
        }
        self.owned_mut()
    }

    #[inline]
    fn current(&self) -> Option<&T> {
        Versioned::current(self)
    }

    #[inline]
    fn plain_mut(&mut self) -> Option<&mut T> {
        Versioned::plain_mut(self)
    }

    #[inline]
    fn prefetch(&self) {
        Versioned::prefetch(self);
    }

    fn into_value(self) -> Result<T, AccessError> {
        Versioned::into_value(self)
    }

    fn schema() -> TypeSchema {
        <Self as Shared>::schema()
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        Shared::visit(self, visitor);
    }
}

// SAFETY: as above; `visit` hands the word over.
unsafe impl<T: Element> Shared for Versioned<T> {
    type Cell = Inline<Self>;

    /// Names T and stops there (R2): a change of T is no change of what contains the box.
    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Versioned(T::name()),
            ..TypeSchema::leaf::<Self>("Versioned")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visitor.versioned(&mut self.word, T::tag().get());
    }
}
