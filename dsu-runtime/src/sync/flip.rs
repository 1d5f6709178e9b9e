//! What stands between a lock that was just acquired and its items: making them, and bringing them into
//! this version's representation.
//!
//! Upholds: the root is published by one store, of a tuple that is whole; until then the old tuple and
//! all that it reaches are as they were, whether a transformer fails, panics or is killed (R3).
#![allow(unsafe_code)] // items by address

use super::names::{describe, registration};
use super::slot::{GuardSlot, Root};
use super::{Class, GuardMutex};
use crate::abi::{
    ConversionStatus, ErrorText, FieldSchema, GuardCell, GuardRegistration, TwinTask, TypeKind,
    WorkerContext, WorkerRecord,
};
use crate::error::{AccessError, LockError};
use crate::heap;
use crate::ids::{GuardIndex, Tag};
use crate::sys::time::Nanos;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// With the lock held: the items in representation `expected`. The caller releases the lock on failure.
pub(super) fn bring(
    slot: &'static GuardSlot,
    cell: &GuardCell,
    expected: Tag,
) -> Result<NonNull<u8>, LockError> {
    if slot.is_poisoned() {
        return Err(LockError::Poisoned(describe(cell)));
    }
    let root = slot.root();
    match root.items() {
        None => make(slot, cell, expected),
        Some(items) if root.tag() == expected => Ok(items),
        Some(_) => flip(slot, cell, expected),
    }
}

fn flip(
    slot: &'static GuardSlot,
    cell: &GuardCell,
    expected: Tag,
) -> Result<NonNull<u8>, LockError> {
    let record = WorkerContext::current().record();
    let class = Class::of_tag(u64::from(expected.0));
    let root = slot.root();
    let flipped = leaving_it_sound(slot.index(), || {
        slot.lock.transforming(class);
        let started = Nanos::now();
        // SAFETY: the root is a live box in roots, and this worker holds its lock. What can be made
        // ahead is made in place, before the conversion would copy it to write to it.
        let flipped = unsafe {
            let prepared = heap::prepare_now(root.word(), expected, TwinTask::PrepareToFlip);
            prepared.and_then(|()| {
                heap::convert_root(root.word(), expected, slot.root_address(), |word| {
                    slot.publish(Root::from_word(word))
                })
            })
        };
        match flipped {
            Ok(()) => {
                slot.lock.transformed(class, Nanos::now().since(started));
                record.flips.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => slot.lock.transform_failed(class),
        }
        flipped
    });
    flipped.map_err(|error| explain(cell, root.tag(), expected, error))?;
    Ok(slot
        .root()
        .items()
        .expect("a root that was just published has items"))
}

/// With the lock held: work after which the items are sound wherever the worker dies in it, so that the
/// guard is not poisoned then.
pub(crate) fn leaving_it_sound<T>(guard: GuardIndex, work: impl FnOnce() -> T) -> T {
    let _flipping = WorkerContext::current().record().say_flipping(guard.0 + 1);
    work()
}

/// As [`leaving_it_sound`], of all guards whose locks are taken and released in it.
pub(crate) fn leaving_all_sound<T>(work: impl FnOnce() -> T) -> T {
    let record = WorkerContext::current().record();
    let _flipping = record.say_flipping(WorkerRecord::FLIPPING_ALL);
    work()
}

fn explain(cell: &GuardCell, from: Tag, to: Tag, error: AccessError) -> LockError {
    let reason = match error {
        AccessError::HeapFull => return LockError::HeapFull,
        AccessError::Foreign => "no lens leads there".to_owned(),
        AccessError::Failed(reason) => reason,
    };
    heap::report_guard(&describe(cell), from, to, &reason);
    LockError::TransformFailed(format!(
        "guard {}, {}: {reason}",
        describe(cell),
        heap::direction(from, to)
    ))
}

/// The first tuple of a guard that nobody has acquired yet.
fn make(
    slot: &'static GuardSlot,
    cell: &GuardCell,
    expected: Tag,
) -> Result<NonNull<u8>, LockError> {
    let (guard, _) = registration(cell).expect("a bound cell is registered");
    let schema = (guard.schema)();
    let TypeKind::Struct(fields) = &schema.kind else {
        unreachable!("an item tuple is a struct");
    };
    // Whoever dies in it leaves no items, or all.
    let made = leaving_it_sound(slot.index(), || {
        heap::make_root(
            expected,
            slot.root_address(),
            |tuple| fill(guard, fields, tuple),
            |word| slot.publish(Root::from_word(word)),
        )
    });
    match made {
        Ok(()) => {
            slot.lock.transformed(
                Class::of_tag(u64::from(expected.0)),
                std::time::Duration::ZERO,
            );
            Ok(slot
                .root()
                .items()
                .expect("a root that was just published has items"))
        }
        Err(AccessError::HeapFull) => Err(LockError::HeapFull),
        Err(error) => Err(LockError::TransformFailed(format!(
            "guard {}: {error}",
            describe(cell)
        ))),
    }
}

fn fill(
    guard: &GuardRegistration,
    fields: &[FieldSchema],
    tuple: NonNull<u8>,
) -> Result<(), AccessError> {
    let mut error = ErrorText::default();
    for (field, item) in fields.iter().zip(guard.items) {
        let tuple = tuple.as_ptr();
        // SAFETY: the tuple has the layout of this guard's schema, each field has its own bytes, and those
        // before this one are made.
        let status = unsafe { (item.init)(tuple, tuple.add(field.offset as usize), &mut error) };
        if status != ConversionStatus::Done {
            let reason = format!("item {} has no first value: {}", field.name, error.get());
            return Err(AccessError::Failed(reason));
        }
    }
    Ok(())
}

/// This library's guards, by name.
pub(crate) fn sorted_guards() -> Vec<&'static GuardRegistration> {
    let mut guards: Vec<_> = inventory::iter::<GuardRegistration>.into_iter().collect();
    guards.sort_by_key(|guard| guard.name);
    guards
}

/// A guard whose items are of a type that the caller does not know.
pub(crate) fn erased(cell: &'static GuardCell) -> &'static GuardMutex<()> {
    // SAFETY: a `GuardMutex` is transparent over its cell, whatever its items are; those of `()` have
    // no bytes that could be read through it.
    unsafe { &*std::ptr::from_ref(cell).cast() }
}
