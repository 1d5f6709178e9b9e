//! The twin of a container: the same elements in another shape, for the version that has that shape.
//!
//! ```text
//! header of a container … | twin word: 0, or the word of a box (tag, address)
//! block   0 busy u32 | 4 state u32 | 8 marks | body
//! busy    1 while the body is written in place; who finds it set outlived whoever wrote
//! state   0 following: what changes is marked | 1 discarding: nothing is, all of it is made anew
//! ```
//! Owns the word and the front of the block, which every copy of the runtime knows by the kind of the
//! container. The body belongs to the newer version, by whose representation it is dropped and shown: it
//! holds elements by their words alone, as [`Weak`], and owns no box. What may be said of it (D1): a key
//! or place that is not marked has in the body the word that the container has, or both have none, or
//! the body has not come there yet. Knows nothing of shapes.
#![allow(unsafe_code)] // fronts by address

use super::block;
use super::box_word::{BoxWord, Form, known};
use super::convert;
use super::live;
use super::shared::{Inline, Shared, Visitor, holds_boxes, is_of_no_use, visit_parts};
use super::versioned::{Element, Versioned};
use crate::abi::{TypeKind, TypeSchema};
use crate::error::HeapFull;
use crate::ids::Tag;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// An element by its word, in a container that does not own it. Nothing follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Weak(pub(super) u64);

// SAFETY: a number, which nobody takes for more until whoever keeps it becomes the owner.
unsafe impl Shared for Weak {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema::leaf::<Self>("Weak")
    }

    fn visit(&mut self, _: &mut dyn Visitor) {}
}

/// A cell that is one word: a box, or the word of one.
pub trait WordCell {
    /// The word.
    fn word(&self) -> u64;
}

impl<T: Element> WordCell for Versioned<T> {
    fn word(&self) -> u64 {
        self.bits()
    }
}

impl WordCell for Inline<Weak> {
    fn word(&self) -> u64 {
        self.0.0
    }
}

/// In the header of a container: where its twin is.
#[derive(Debug)]
#[repr(transparent)]
pub struct TwinWord(u64);

/// What every copy of the runtime knows of a twin of a container with marks `M`.
#[repr(C)]
pub(super) struct Front<M> {
    busy: AtomicU32,
    state: u32,
    pub(super) marks: ManuallyDrop<M>,
}

const FOLLOWING: u32 = 0;
const DISCARDING: u32 = 1;

/// The front without marks, at the start of every twin.
type Head = Front<()>;
const _: () = assert!(
    offset_of!(Head, busy) == offset_of!(Front<u64>, busy)
        && offset_of!(Head, state) == offset_of!(Front<u64>, state)
);

/// All of a twin, which a lens `L` has made. Bodies of two lenses may be of one type and mean different
/// things, so the lens is part of the twin's type.
#[repr(C)]
pub struct Twin<L: 'static, M: Shared, B: Shared> {
    pub(super) front: Front<M>,
    pub(super) body: ManuallyDrop<B>,
    lens: PhantomData<fn() -> L>,
}

impl<L, M: Shared, B: Shared> Twin<L, M, B> {
    pub(super) fn new(marks: M, body: B) -> Self {
        Twin {
            front: Front {
                busy: AtomicU32::new(0),
                state: FOLLOWING,
                marks: ManuallyDrop::new(marks),
            },
            body: ManuallyDrop::new(body),
            lens: PhantomData,
        }
    }

    /// Marks and body, without the twin.
    pub(super) fn into_parts(self) -> (M, B) {
        let mut twin = ManuallyDrop::new(self);
        // SAFETY: each is taken once, out of a twin that is not dropped.
        unsafe {
            (
                ManuallyDrop::take(&mut twin.front.marks),
                ManuallyDrop::take(&mut twin.body),
            )
        }
    }

    /// Both, to work on in place: whoever dies with them leaves the twin marked as busy.
    pub(super) fn work(&mut self) -> (Busy<'_>, &mut M, &mut B) {
        self.front.busy.store(1, Ordering::SeqCst);
        (
            Busy(&self.front.busy),
            &mut self.front.marks,
            &mut self.body,
        )
    }

    pub(super) fn is_discarding(&self) -> bool {
        self.front.state == DISCARDING
    }

    /// It is empty: from here on it follows.
    pub(super) fn follow(&mut self) {
        self.front.state = FOLLOWING;
    }

    /// Nothing is marked any more.
    pub(super) fn discard(&mut self) {
        self.front.state = DISCARDING;
    }
}

/// A twin that is being written in place.
pub(super) struct Busy<'a>(&'a AtomicU32);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

impl<L, M: Shared, B: Shared> Drop for Twin<L, M, B> {
    fn drop(&mut self) {
        // What somebody died in is not touched: its blocks are lost.
        if self.front.busy.load(Ordering::SeqCst) == 0 {
            // SAFETY: dropped once, with the twin.
            unsafe {
                ManuallyDrop::drop(&mut self.front.marks);
                ManuallyDrop::drop(&mut self.body);
            }
        }
    }
}

// SAFETY: numbers, and two shared values; `visit` shows them unless somebody died in the middle.
unsafe impl<L: 'static, M: Shared, B: Shared> Shared for Twin<L, M, B> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema {
            kind: TypeKind::Container(vec![M::schema(), B::schema()]),
            ..TypeSchema::leaf::<Self>("Twin")
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        if self.front.busy.load(Ordering::SeqCst) != 0 {
            return;
        }
        visit_parts(visitor, 2, |part, visitor| match part {
            0 => self.front.marks.visit(visitor),
            _ => self.body.visit(visitor),
        });
    }
}

impl TwinWord {
    pub(super) const NONE: Self = TwinWord(0);

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0 != 0
    }

    /// The representation that the twin is in.
    pub(super) fn tag(&self) -> Tag {
        BoxWord(self.0).tag()
    }

    fn head(&self) -> Option<NonNull<Head>> {
        self.is_set().then(|| BoxWord(self.0).block().cast())
    }

    /// Whether whoever wrote into it last died with it in hand.
    pub(super) fn is_broken(&self) -> bool {
        // SAFETY: a live twin begins with its front.
        self.head()
            .is_some_and(|head| unsafe { head.as_ref() }.busy.load(Ordering::SeqCst) != 0)
    }

    fn is_following(&self) -> bool {
        // SAFETY: as above.
        self.head()
            .is_some_and(|head| unsafe { head.as_ref() }.state == FOLLOWING)
    }

    /// Puts a twin into a block, counted; the word names it from then on.
    ///
    /// # Errors
    /// `HeapFull`; the twin is dropped.
    pub(super) fn hang<L, M: Shared, B: Shared>(
        &mut self,
        tag: Tag,
        twin: Twin<L, M, B>,
    ) -> Result<(), HeapFull> {
        let block = block::allocate(Form::of::<Twin<L, M, B>>().layout(false)?)?;
        // SAFETY: a new block of this layout.
        unsafe { block.cast::<Twin<L, M, B>>().write(twin) };
        // Counted first: whoever dies in between leaves one too many in the books, and not one too few.
        live::add(tag, 1);
        self.0 = BoxWord::new(tag, block, None).0;
        Ok(())
    }

    /// The twin, to be written.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer, where the first write copies.
    ///
    /// # Safety
    /// It is of this type, which its tag tells; it is not broken.
    pub(super) unsafe fn get_mut<L, M: Shared, B: Shared>(
        &mut self,
    ) -> Result<&mut Twin<L, M, B>, HeapFull> {
        if block::is_frozen(BoxWord(self.0).block()) {
            // SAFETY: a live box of this form.
            unsafe { convert::own_box(&mut self.0, Form::of::<Twin<L, M, B>>())? };
        }
        // SAFETY: a live twin of this type in a block that may be written, borrowed as `self` is.
        Ok(unsafe { BoxWord(self.0).block().cast().as_mut() })
    }

    /// Takes the twin out of its block, which is freed.
    ///
    /// # Safety
    /// As for [`get_mut`](Self::get_mut).
    pub(super) unsafe fn take<L, M: Shared, B: Shared>(&mut self) -> Twin<L, M, B> {
        let word = BoxWord(std::mem::take(&mut self.0));
        // SAFETY: by the caller; moved out once, then the block is freed.
        unsafe {
            let twin = word.block().cast::<Twin<L, M, B>>().read();
            convert::free_box(word, Form::of::<Twin<L, M, B>>());
            twin
        }
    }

    /// Drops the twin, all at once.
    pub(super) fn drop_now(&mut self) {
        let word = std::mem::take(&mut self.0);
        Self(word).end();
    }

    /// What the drop of a container does: drops the twin and writes nothing.
    pub(super) fn end(&self) {
        if self.is_set() {
            // SAFETY: the word of a live box that whoever calls forgets.
            unsafe { convert::drop_box(self.0) };
        }
    }

    /// The marks, to add to; `None` where nothing is to be marked.
    pub(super) fn marks<M: Shared>(&mut self) -> Option<&mut M> {
        if self.is_broken() {
            self.drop_now();
        }
        if !self.is_following() {
            return None;
        }
        let block = BoxWord(self.0).block();
        if block::is_frozen(block) && self.own().is_err() {
            self.drop_now();
            return None;
        }
        // SAFETY: the container that has the word has marks of this type; the block may be written.
        let front = unsafe { BoxWord(self.0).block().cast::<Front<M>>().as_mut() };
        Some(&mut front.marks)
    }

    /// Copy before write, by what the table of representations says of the twin.
    fn own(&mut self) -> Result<(), HeapFull> {
        let entry = known(self.tag()).ok_or(HeapFull)?;
        // SAFETY: a live box of the form of its tag.
        unsafe { convert::own_box(&mut self.0, Form::from(entry)) }
    }

    /// Everything has changed, or a change could not be marked: the twin is to be made anew.
    pub(super) fn give_up(&mut self) {
        if self.marks::<()>().is_some() {
            // SAFETY: as above; the block may be written.
            unsafe { BoxWord(self.0).block().cast::<Head>().as_mut() }.state = DISCARDING;
        }
    }

    /// What every walk over a container begins with: one that changes boxes drops the twin, all at once,
    /// whosever lens made it; one that looks at everything is shown it. It holds no boxes.
    pub(super) fn meet(&mut self, visitor: &mut dyn Visitor) {
        if !self.is_set() {
            return;
        }
        if visitor.changes_boxes() {
            self.drop_now();
        } else if !visitor.wants_boxes_only() {
            let tag = self.tag();
            visitor.versioned(&mut self.0, tag);
        }
    }
}

/// What a map marks: keys, in a map of its own shape.
pub(super) trait KeySet<K>: Shared {
    fn has(&self, key: &K) -> bool;
    fn add(&mut self, key: K) -> Result<(), HeapFull>;
}

impl TwinWord {
    /// Notes that the element of a key changes, comes or goes.
    #[inline]
    pub(super) fn mark_key<M: KeySet<K>, K: Shared>(&mut self, key: &K) {
        if self.is_set() {
            self.note_key::<M, K>(key);
        }
    }

    #[cold]
    fn note_key<M: KeySet<K>, K: Shared>(&mut self, key: &K) {
        let Some(marks) = self.marks::<M>() else {
            return;
        };
        if marks.has(key) {
            return;
        }
        let noted = key
            .duplicate()
            .is_some_and(|copy| copy.and_then(|key| marks.add(key)).is_ok());
        if !noted {
            self.give_up();
        }
    }
}

/// A walk over a map `M`: its twin first, then its entries. Keys can own boxes only where their schema says
/// so, and then are never left out.
pub(super) fn visit_map<M: Shared, K: Shared>(
    twin: &mut TwinWord,
    visitor: &mut dyn Visitor,
    show: impl FnOnce(&mut dyn Visitor, bool),
) {
    if is_of_no_use::<M>(visitor) {
        return;
    }
    twin.meet(visitor);
    let shows_keys = !visitor.wants_boxes_only() || holds_boxes::<K>();
    show(visitor, shows_keys);
}

/// Cells that are words can stand for each other.
pub(super) const fn assert_words<C, D>() {
    assert!(size_of::<C>() == 8 && size_of::<D>() == 8);
    assert!(align_of::<C>() == 8 && align_of::<D>() == 8);
}

const _: () = assert_words::<Inline<Weak>, TwinWord>();

/// A value that containers hold in a box: what they share is its word.
#[diagnostic::on_unimplemented(
    message = "a container of `{Self}` cannot be kept in two shapes at once",
    label = "its elements lie in the container itself",
    note = "both shapes have the words of the same boxes: take a type with `#[derive(Shared)]`, without `#[shared(inline)]`"
)]
pub trait Boxed: Element + Shared<Cell = Versioned<Self>> {}

#[diagnostic::do_not_recommend]
impl<T: Element + Shared<Cell = Versioned<T>>> Boxed for T {}
