//! Twins by their types: found, made, worked on, taken up and discarded.
//!
//! Owns when a twin is trusted. One that somebody died in, or that another lens made, is dropped and
//! begun anew; so is, in slices, one that was given up. Invariant D2: nothing here reads what a word
//! leads to.
//!
//! Applications may exchange containers, or lay them aside, in either version and at any step of a fill.
//! What hangs on them stays right (D4): a twin says something of the contents of one container, whatever
//! holds that; it goes where the container's header goes, and headers are moved, never copied; and marks
//! are made by the kind of the container, also where no lens looks at it. What it says is a matter of its
//! lens, which is part of its type; of types only this library's own are known (`TypeId`), so that a tag
//! is one build's: see `expansion::twin_schema`. What twins of several containers say together is said
//! only while all of them are there, each in its place (`partitioned`).
#![allow(unsafe_code)] // twins by the tag of their words

use super::prepare::Progress;
use super::shape::Emptied;
use crate::abi::TwinRegistration;
use crate::error::{AccessError, HeapFull};
use crate::heap::Shared;
use crate::heap::twin::{Twin, TwinWord};
use crate::ids::Tag;
use crate::sys::time::Nanos;
use std::any::TypeId;

/// Marks or a body: begins empty, and can be emptied again.
pub trait Part: Shared + Default + Emptied {}

impl<T: Shared + Default + Emptied> Part for T {}

/// The end of all time: a crossing must be complete.
pub(super) const WITHOUT_END: Nanos = Nanos(u64::MAX);

/// The tag of a twin's type in this library; `None` where its lens is not registered, or not bound.
pub(super) fn tag_of<L: 'static, M: Part, B: Part>() -> Option<Tag> {
    let wanted = TypeId::of::<Twin<L, M, B>>();
    let mut known = inventory::iter::<TwinRegistration>.into_iter();
    let tag = known.find(|twin| (twin.type_id)() == wanted && twin.tag.get() != Tag::NONE)?;
    Some(tag.tag.get())
}

/// Drops what is not a twin that this lens may go on with.
fn settle(word: &mut TwinWord, tag: Tag) {
    if word.is_set() && (word.tag() != tag || word.is_broken()) {
        word.drop_now();
    }
}

/// Empties a twin, and leaves it where it is.
pub(super) fn empty<L>(
    twin: &mut Twin<L, impl Part, impl Part>,
    until: Nanos,
) -> Result<Progress, HeapFull> {
    let (_busy, marks, body) = twin.work();
    while marks.drop_some()? || body.drop_some()? {
        if Nanos::now() >= until {
            return Ok(Progress::More);
        }
    }
    Ok(Progress::Done)
}

/// A container's twin, which is made where there is none; `None` where there can be none: nothing is
/// prepared then, and crossings do all of it.
pub(super) fn ensure<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
) -> Result<Option<&mut Twin<L, M, B>>, HeapFull> {
    let Some(tag) = tag_of::<L, M, B>() else {
        return Ok(None);
    };
    settle(word, tag);
    if !word.is_set() {
        word.hang(tag, Twin::<L, M, B>::new(M::default(), B::default()))?;
    }
    // SAFETY: of this type by its tag, and not broken.
    unsafe { word.get_mut::<L, M, B>() }.map(Some)
}

/// A slice of work on a container's twin.
pub(super) fn work<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
    until: Nanos,
    step: impl FnOnce(&mut M, &mut B) -> Result<Progress, AccessError>,
) -> Result<Progress, AccessError> {
    let Some(twin) = ensure::<L, M, B>(word)? else {
        return Ok(Progress::Done);
    };
    if twin.is_discarding() {
        if empty(twin, until)? == Progress::More {
            return Ok(Progress::More);
        }
        twin.follow();
    }
    let (_busy, marks, body) = twin.work();
    step(marks, body)
}

/// For a crossing: the body, after a last step that completes it. The container has no twin then.
pub(super) fn take_up<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
    step: impl FnOnce(&mut M, &mut B) -> Result<Progress, AccessError>,
) -> Result<B, AccessError> {
    if !can_be::<L, M, B>() {
        word.drop_now();
        let (mut marks, mut body) = (M::default(), B::default());
        step(&mut marks, &mut body)?;
        return Ok(body);
    }
    work::<L, M, B>(word, WITHOUT_END, step)?;
    // SAFETY: of this type, and in order, after `work`.
    Ok(unsafe { body_of::<L, M, B>(word) })
}

/// The body of a twin, which is gone then.
///
/// # Safety
/// It is of this type, and nobody died in it.
pub(super) unsafe fn body_of<L: 'static, M: Part, B: Part>(word: &mut TwinWord) -> B {
    // SAFETY: by the caller.
    let (_marks, body) = unsafe { word.take::<L, M, B>() }.into_parts();
    body
}

/// Whether containers can have twins of this type here.
pub(super) fn can_be<L: 'static, M: Part, B: Part>() -> bool {
    tag_of::<L, M, B>().is_some()
}

/// Hangs the form that was left behind on the one that was taken up. Where there can be no twin it goes.
pub(super) fn hang<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
    marks: M,
    body: B,
) -> Result<(), HeapFull> {
    match tag_of::<L, M, B>() {
        Some(tag) => word.hang(tag, Twin::<L, M, B>::new(marks, body)),
        None => Ok(()),
    }
}

/// Empties and drops a container's twin.
pub(super) fn discard<L: 'static, M: Part, B: Part>(
    word: &mut TwinWord,
    until: Nanos,
) -> Result<Progress, AccessError> {
    // Another lens's is that one's to discard, in slices: a value may have lenses to both neighbours.
    let Some(tag) = tag_of::<L, M, B>().filter(|tag| word.is_set() && word.tag() == *tag) else {
        return Ok(Progress::Done);
    };
    settle(word, tag);
    if word.is_set() {
        // SAFETY: of this type by its tag, and not broken.
        let twin = unsafe { word.get_mut::<L, M, B>()? };
        twin.discard();
        if empty(twin, until)? == Progress::More {
            return Ok(Progress::More);
        }
        word.drop_now();
    }
    Ok(Progress::Done)
}
