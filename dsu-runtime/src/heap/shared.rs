//! What makes a type fit for shared memory, and how containers hold it.
#![allow(unsafe_code)] // the trait is a promise about bytes that other processes read

use super::keys::Draws;
use super::named::Called;
use super::objects::ObjectId;
use super::rc::NodeHandle;
use crate::abi::{TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull};
use crate::ids::Tag;
use std::alloc::Layout;
use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::NonNull;

/// A type whose values may live in the shared heap.
///
/// Implemented by `#[derive(Shared)]`.
///
/// # Safety
/// The value holds nothing process-local: no reference, `std` heap type, function pointer, trait
/// object or `TypeId`. It means the same in every process that maps the regions, whichever library
/// made it, and may be moved bit by bit. `schema` tells the truth, and `visit` shows every block and
/// box that the value owns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in shared memory",
    label = "holds something that only one process can use",
    note = "use numbers, `SharedString`, `SharedBytes`, `SharedVec`, `SharedMap`, or a type with `#[derive(Shared)]`"
)]
pub unsafe trait Shared: Sized + 'static {
    /// How containers hold a value: [`Inline`], or a `Versioned` box (the default of the derive, R5).
    type Cell: Cell<Self>;

    /// The shape that other versions depend on (R2).
    fn schema() -> TypeSchema;

    /// Shows what the value owns; see [`Visitor`].
    fn visit(&mut self, visitor: &mut dyn Visitor);

    /// Asks the processor for memory that the value refers to and that will be read soon.
    #[inline]
    fn prefetch(&self) {}

    /// A second value that is equal, of types that keys are made of (`heap::delta::DeltaKey`); `None`
    /// where there is no such thing.
    #[doc(hidden)]
    fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
        None
    }

    /// A value made of draws, without a block: equal draws make equal values in every library in which the
    /// type has this schema (R15). `None` where there is none.
    fn sample(draws: &mut Draws) -> Option<Self> {
        let _ = draws;
        None
    }
}

/// How a container holds an element: element access is fallible for all of them (R11).
///
/// # Safety
/// As for [`Shared`]: a cell is part of the container's bytes.
pub unsafe trait Cell<T>: Sized {
    /// Puts a value into a new cell, without a complement (R6).
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped.
    fn new(value: T) -> Result<Self, HeapFull>;

    /// The value, to read. Never changes what is stored (R20).
    ///
    /// # Errors
    /// See [`AccessError`].
    fn get(&self) -> Result<&T, AccessError>;

    /// The value, to edit: converts it in place where it is in another version's form, and keeps the
    /// complement (R6).
    ///
    /// # Errors
    /// See [`AccessError`].
    fn get_mut(&mut self) -> Result<&mut T, AccessError>;

    /// As [`get`](Self::get), by the container that the cell lies in.
    #[doc(hidden)]
    #[inline]
    fn get_called(&self, called: Called<'_>) -> Result<&T, AccessError> {
        let _ = called;
        self.get()
    }

    /// As [`get_mut`](Self::get_mut), by the container that the cell lies in.
    #[doc(hidden)]
    #[inline]
    fn get_mut_called(&mut self, called: Called<'_>) -> Result<&mut T, AccessError> {
        let _ = called;
        self.get_mut()
    }

    /// The value if it is in this version's form as it lies: never converts.
    fn current(&self) -> Option<&T>;

    /// The value if it is in this version's form and no other version knows more of it: to overwrite
    /// it is what a new cell would be (R6). Never converts.
    fn plain_mut(&mut self) -> Option<&mut T>;

    /// Asks the processor for the value's memory, where it lies elsewhere.
    fn prefetch(&self) {}

    /// Takes the value out, in this version's form.
    ///
    /// # Errors
    /// See [`AccessError`]; the cell is dropped then.
    fn into_value(self) -> Result<T, AccessError>;

    /// Part of the container's schema.
    fn schema() -> TypeSchema;

    /// Shows the cell.
    fn visit(&mut self, visitor: &mut dyn Visitor);
}

/// An element that lies in its container as it is and changes representation with it.
#[repr(transparent)]
pub struct Inline<T>(pub T);

// SAFETY: transparent over a `Shared` value.
unsafe impl<T: Shared> Cell<T> for Inline<T> {
    fn new(value: T) -> Result<Self, HeapFull> {
        Ok(Inline(value))
    }

    fn get(&self) -> Result<&T, AccessError> {
        Ok(&self.0)
    }

    fn get_mut(&mut self) -> Result<&mut T, AccessError> {
        Ok(&mut self.0)
    }

    fn current(&self) -> Option<&T> {
        Some(&self.0)
    }

    fn plain_mut(&mut self) -> Option<&mut T> {
        Some(&mut self.0)
    }

    #[inline]
    fn prefetch(&self) {
        self.0.prefetch();
    }

    fn into_value(self) -> Result<T, AccessError> {
        Ok(self.0)
    }

    fn schema() -> TypeSchema {
        T::schema()
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }
}

/// Walks what a guard reaches, with the guard held: the heap check, and the sweep (R29).
///
/// A walk may stop in the middle and go on in a later section; one that never does leaves the last five
/// as they are. Each container that is long reads the
/// place to start from with [`Visitor::enter`], and says with [`Visitor::leave`] where it stopped.
/// Places are stable under whatever happens between two slices.
///
/// # Safety
/// What a visitor is shown are the value's own words and blocks, and safe code calls [`Shared::visit`].
/// So [`versioned`](Self::versioned) leaves in the word that it gets the word of a live box which the
/// value owns and nobody else: the same, or one that `heap`'s conversions have put there, and those only
/// if [`changes_boxes`](Self::changes_boxes) says true. It says the same at every call. Blocks are neither
/// written nor freed. What is shown is kept no longer than whoever walks holds the guard.
pub unsafe trait Visitor {
    /// A block that the value owns, at `pointer`, allocated with `layout`, in the heap or roots.
    fn block(&mut self, pointer: NonNull<u8>, layout: Layout);

    /// A `Versioned` box: its word, and the tag that this version expects. A visitor that
    /// [changes boxes](Self::changes_boxes) may convert it, and then visits its content itself.
    fn versioned(&mut self, word: &mut u64, expected: Tag);

    /// True if boxes are all that matters: what holds none need not be shown, nor checked. So the sweep
    /// does not touch the memory of keys and plain values.
    fn wants_boxes_only(&self) -> bool {
        false
    }

    /// True if the walk converts boxes, or takes elements out, as the sweep does. What containers have made
    /// ahead of conversions would have to be told of each, and no sweep leaves it (`heap::delta`): they drop
    /// it when they are met.
    fn changes_boxes(&self) -> bool {
        false
    }

    /// The place that owns an object with a lock of its own. Its value is not part of this walk:
    /// the guard that is held here is not the object's.
    fn object(&mut self, _: ObjectId) {}

    /// A handle to a node that others may lead to as well (`SharedRc`): a node is shown as often as there
    /// are handles, and what it holds is shown by the visitor, when it likes and once.
    fn node(&mut self, _: NodeHandle) {}

    /// A container that can drop its elements shows one. What it gets goes to [`takes_out`](Self::takes_out).
    fn begin_element(&mut self) -> u64 {
        0
    }

    /// The element was shown: true if it is to be dropped, since a box in it was discarded (R13) that
    /// lies in no element further inside. Asked only of a visitor that
    /// [changes boxes](Self::changes_boxes): any other meets containers with what was made ahead of
    /// their conversions, which has to be told of an element that goes. Says so of this element only, whatever was met before it.
    fn takes_out(&mut self, outside: u64) -> bool {
        let _ = outside;
        false
    }

    /// Something is wrong with the bytes of a container: a sentence that says what.
    fn damage(&mut self, what: &str);

    /// A container begins; returns the place to start from, 0 for the beginning.
    fn enter(&mut self) -> u64 {
        0
    }

    /// What the walk had stopped in is not there any more: containers inside what comes instead begin
    /// at their beginning, whatever places were kept for them.
    fn begin_anew(&mut self) {}

    /// True when the walk should stop here; asked after every element.
    fn is_spent(&self) -> bool {
        false
    }

    /// True when a container inside the element just visited stopped early: the containers around it
    /// then stop at that element, and not after it.
    fn stopped_inside(&self) -> bool {
        false
    }

    /// The container ends: `Some(place)` to go on from if it stopped early, `None` if it is done.
    fn leave(&mut self, stopped_at: Option<u64>) {
        let _ = stopped_at;
    }
}

/// Shows parts that lie side by side, each by its number: a walk that stops inside one goes on in that one,
/// and what is kept of the way there is given to no other (R29).
pub(crate) fn visit_parts(
    visitor: &mut dyn Visitor,
    parts: usize,
    mut show: impl FnMut(usize, &mut dyn Visitor),
) {
    for part in visitor.enter() as usize..parts {
        show(part, visitor);
        if visitor.stopped_inside() {
            return visitor.leave(Some(part as u64));
        }
    }
    visitor.leave(None);
}

/// The element that was begun with `outside` was shown: whether the container drops it. Never by a visitor
/// that leaves boxes as they are: for that one the container keeps its twin, which has the element's word.
pub(super) fn takes_out(visitor: &mut dyn Visitor, outside: u64) -> bool {
    visitor.changes_boxes() && visitor.takes_out(outside)
}

/// Whether a container is nothing to this visitor, however long it is: it wants boxes, and there can be
/// none inside. A million plain elements would cost the sweep its slices for nothing (R29).
pub(super) fn is_of_no_use<C: Shared>(visitor: &dyn Visitor) -> bool {
    visitor.wants_boxes_only() && !holds_boxes::<C>()
}

/// Whether a value of the type can own boxes, as its schema says, which is asked once: a sweep asks for
/// every container that it meets. No constant of the type, since types may contain themselves.
pub(super) fn holds_boxes<T: Shared>() -> bool {
    thread_local! {
        static KNOWN: RefCell<HashMap<TypeId, bool>> = RefCell::default();
    }
    let known = KNOWN.with_borrow(|known| known.get(&TypeId::of::<T>()).copied());
    known.unwrap_or_else(|| {
        let holds_boxes = T::schema().holds_boxes();
        KNOWN.with_borrow_mut(|known| known.insert(TypeId::of::<T>(), holds_boxes));
        holds_boxes
    })
}

/// The schema of a map.
pub(super) fn of_map<M: Shared, K: Shared, V: Shared>(name: &str) -> TypeSchema {
    TypeSchema {
        kind: TypeKind::Container(vec![K::schema(), V::Cell::schema()]),
        ..TypeSchema::leaf::<M>(name)
    }
}

/// The visitor behind the second argument of a [`crate::abi::VisitFn`].
///
/// # Safety
/// `raw` is what the runtime passed to the visit function, which has not returned yet.
pub unsafe fn visitor_of<'a>(raw: *mut c_void) -> &'a mut dyn Visitor {
    // SAFETY: by the caller it points to a wide reference that nobody else uses meanwhile.
    unsafe { &mut **raw.cast::<&'a mut dyn Visitor>() }
}
