//! What a library does with one item of a tuple of its own for a lens of another version, which knows the
//! item's place and nothing else of it: makes the first value, shows and drops one that waits in a complement.
#![allow(unsafe_code)] // values by address

use crate::abi::{
    ConversionStatus, DropFn, ErrorText, GuardRegistration, ItemCalls, Representation, VisitFn,
};
use crate::ids::Tag;
use crate::version::fields;
use std::ffi::c_void;

/// Says in the entry of a guard's tuple what is done with its items.
pub(super) fn offer(entry: &mut Representation, guard: &'static GuardRegistration) {
    entry.init_item = Some(init_item);
    entry.drop_item = Some(drop_item);
    entry.visit_item = Some(visit_item);
    entry.items = std::ptr::from_ref(guard).cast();
}

/// Who drops and shows a part of a tuple's complement.
#[derive(Clone, Copy)]
pub(super) enum PartCalls {
    /// This library, which has its type.
    Here { drop: DropFn, visit: VisitFn },
    /// Whoever has tuples of this form, in which it is the item at `offset`. If no library here has, it is
    /// neither shown nor dropped.
    OfItem { tuple: Tag, offset: u64 },
}

impl PartCalls {
    pub(super) fn here(drop: DropFn, visit: VisitFn) -> PartCalls {
        PartCalls::Here { drop, visit }
    }

    pub(super) fn are_another_version_s(self) -> bool {
        matches!(self, PartCalls::OfItem { .. })
    }

    /// # Safety
    /// `value` is a live value of what these calls are for; it is dead afterwards.
    pub(super) unsafe fn drop(self, value: *mut u8) {
        // SAFETY: by the caller; `offer` pairs function and argument.
        unsafe {
            match self {
                PartCalls::Here { drop, .. } => drop(value),
                PartCalls::OfItem { tuple, offset } => {
                    let entry = Representation::of(tuple);
                    if let Some(drop) = entry.drop_item {
                        drop(entry.items, offset, value);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`drop`](Self::drop), but that the value stays; `visitor` is what a [`VisitFn`] takes.
    pub(super) unsafe fn visit(self, value: *mut u8, visitor: *mut c_void) {
        // SAFETY: as above.
        unsafe {
            match self {
                PartCalls::Here { visit, .. } => visit(value, visitor),
                PartCalls::OfItem { tuple, offset } => {
                    let entry = Representation::of(tuple);
                    if let Some(visit) = entry.visit_item {
                        visit(entry.items, offset, value, visitor);
                    }
                }
            }
        }
    }
}

/// The item at `offset`.
///
/// # Safety
/// `items` is a guard of this library.
unsafe fn item(items: *const c_void, offset: u64) -> Option<&'static ItemCalls> {
    // SAFETY: `offer` pairs the callers with a registration, which is a static.
    let guard: &'static GuardRegistration = unsafe { &*items.cast::<GuardRegistration>() };
    let schema = (guard.schema)();
    let mut items = fields(&schema).iter().zip(guard.items);
    let found = items.find(|(field, _)| field.offset == offset);
    found.map(|(_, item)| item)
}

/// # Safety
/// `items` is a guard of this library; `tuple` is one of its tuples in the making, with room for the item at
/// `offset` and all those in their places that are declared before it.
unsafe extern "C" fn init_item(
    items: *const c_void,
    offset: u64,
    tuple: *mut u8,
    error: &mut ErrorText,
) -> ConversionStatus {
    // SAFETY: by the caller.
    match unsafe { item(items, offset) } {
        // SAFETY: by the caller.
        Some(item) => unsafe { (item.init)(tuple, tuple.add(offset as usize), error) },
        None => {
            error.set("there is no such item");
            ConversionStatus::Failed
        }
    }
}

/// # Safety
/// `items` is a guard of this library; `value` is a live value of its item at `offset`, dead afterwards.
unsafe extern "C" fn drop_item(items: *const c_void, offset: u64, value: *mut u8) {
    // SAFETY: by the caller.
    if let Some(item) = unsafe { item(items, offset) } {
        // SAFETY: by the caller.
        unsafe { (item.drop)(value) };
    }
}

/// # Safety
/// As for [`drop_item`], but that the value stays.
unsafe extern "C" fn visit_item(
    items: *const c_void,
    offset: u64,
    value: *mut u8,
    visitor: *mut c_void,
) {
    // SAFETY: by the caller.
    if let Some(item) = unsafe { item(items, offset) } {
        // SAFETY: by the caller.
        unsafe { (item.visit)(value, visitor) };
    }
}
