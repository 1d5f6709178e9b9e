//! Typed code behind the call tables: one generic function for each kind of entry, so that macros emit
//! only names.
//!
//! Every entry catches panics inside the library that the code belongs to.
#![allow(unsafe_code)] // reads and writes typed values through raw pointers

use crate::abi::{Conversion, ConversionStatus, ErrorText};
use crate::heap::{Shared, Visitor};
use crate::worker::panic_text;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use xform::{ErrorKind, Lens, LensError};

/// Drops the value of type `T` at `pointer`.
///
/// # Safety
/// `pointer` is to a valid `T` that nobody uses afterwards.
pub unsafe extern "C" fn drop_thunk<T>(pointer: *mut u8) {
    // A panic in a drop function leaves a leak, not a broken heap.
    // SAFETY: the caller's promise.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { pointer.cast::<T>().drop_in_place() }));
}

/// Shows the value of type `T` at `pointer` to the visitor behind `visitor`, a
/// `*mut &mut dyn Visitor`. Trait objects of [`Visitor`] have one layout in all copies of the runtime,
/// for they are built by one compiler from one source (R34).
///
/// # Safety
/// Both pointers are valid, and the caller has exclusive access to the value.
pub unsafe extern "C" fn visit_thunk<T: Shared>(pointer: *mut u8, visitor: *mut c_void) {
    let visit = || {
        // SAFETY: the caller's promise.
        let (value, visitor) =
            unsafe { (&mut *pointer.cast::<T>(), &mut *visitor.cast::<&mut dyn Visitor>()) };
        value.visit(*visitor);
    };
    let _ = catch_unwind(AssertUnwindSafe(visit));
}

/// Writes the first value of an item to `target`.
///
/// # Safety
/// `target` has room for a `T`.
pub unsafe fn init_item<T>(
    target: *mut u8,
    error: &mut ErrorText,
    make: impl FnOnce() -> T,
) -> ConversionStatus {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(value) => {
            // SAFETY: the caller's promise.
            unsafe { target.cast::<T>().write(value) };
            ConversionStatus::Done
        }
        Err(payload) => {
            error.set(panic_text(&*payload));
            ConversionStatus::Panicked
        }
    }
}

/// Older to newer by the lens `L`.
///
/// # Safety
/// See [`Conversion`]: the pointers are to values of the lens's types, and room for them.
pub unsafe extern "C" fn forward_thunk<L: Lens + Default>(
    _environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: the caller's promise.
    unsafe { convert(conversion, |left, kept| L::default().forward(left, kept)) }
}

/// Newer to older by the lens `L`.
///
/// # Safety
/// See [`Conversion`]: the pointers are to values of the lens's types, and room for them.
pub unsafe extern "C" fn backward_thunk<L: Lens + Default>(
    _environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: the caller's promise.
    unsafe { convert(conversion, |right, kept| L::default().backward(right, kept)) }
}

/// # Safety
/// `conversion` points to a `From` and, where not null, a `Complement`, and to room for a `To` and a
/// `Complement`. The source is moved out of bit by bit; the caller keeps or forgets it afterwards.
unsafe fn convert<From, To, Complement>(
    conversion: &mut Conversion,
    lens: impl FnOnce(From, Option<Complement>) -> Result<(To, Complement), LensError>,
) -> ConversionStatus {
    let body = || {
        // SAFETY: the caller's promise.
        let (source, kept) = unsafe {
            let kept = conversion.complement_in.cast::<Complement>();
            (conversion.source.cast::<From>().read(), (!kept.is_null()).then(|| kept.read()))
        };
        lens(source, kept)
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok((value, complement))) => {
            // SAFETY: the caller's promise; a complement of size 0 is written nowhere.
            unsafe {
                conversion.target.cast::<To>().write(value);
                if size_of::<Complement>() > 0 {
                    conversion.complement_out.cast::<Complement>().write(complement);
                }
            }
            ConversionStatus::Done
        }
        Ok(Err(error)) => {
            conversion.error.set(&error.to_string());
            match error.kind() {
                ErrorKind::Unrepresentable => ConversionStatus::Unrepresentable,
                ErrorKind::Failed => ConversionStatus::Failed,
                ErrorKind::NoRoom => ConversionStatus::HeapFull,
            }
        }
        Err(payload) => {
            conversion.error.set(panic_text(&*payload));
            ConversionStatus::Panicked
        }
    }
}
