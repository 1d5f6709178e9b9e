//! Type-erased calls on values, made from the type alone. No panic leaves them.
#![allow(unsafe_code)] // they take untyped pointers, since the caller may be another copy of the runtime

use super::shape::Shareable;
use crate::abi::{ConversionStatus, ErrorText, ItemCalls};
use crate::error::panic_text;
use crate::heap::{Shared, Visitor};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the first value of an item is made; implemented by `#[guards]` for each item.
pub trait ItemInit {
    /// The item's type.
    type Item;

    /// The initialiser, or `Default`.
    fn make() -> Self::Item;
}

/// The calls of one item.
pub const fn item<I: ItemInit<Item: Shareable>>() -> ItemCalls {
    ItemCalls {
        init: init_item::<I>,
        drop: drop_value::<I::Item>,
        visit: visit_value::<I::Item>,
    }
}

/// # Safety
/// `target` has room for an item and is aligned for it.
unsafe extern "C" fn init_item<I: ItemInit>(
    target: *mut u8,
    error: &mut ErrorText,
) -> ConversionStatus {
    match catch_unwind(I::make) {
        Ok(value) => {
            // SAFETY: the caller gives room for it.
            unsafe { target.cast::<I::Item>().write(value) };
            ConversionStatus::Done
        }
        Err(payload) => {
            error.set(panic_text(&*payload));
            ConversionStatus::Panicked
        }
    }
}

/// Drops the `T` at `value`. A panic in a destructor leaks what it had not dropped yet.
///
/// # Safety
/// `value` points to a valid `T`, which nobody uses afterwards.
pub unsafe extern "C" fn drop_value<T>(value: *mut u8) {
    // The panic hook has reported it by now; there is nothing to undo.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: passed on to the caller.
        unsafe { value.cast::<T>().drop_in_place() }
    }));
}

/// Shows the `T` at `value` to a visitor.
///
/// # Safety
/// `value` points to a valid `T` that nobody else refers to, `visitor` to a `&mut dyn Visitor`.
pub unsafe extern "C" fn visit_value<T: Shared>(value: *mut u8, visitor: *mut c_void) {
    // SAFETY: passed on to the caller.
    let (value, visitor) = unsafe {
        (
            &mut *value.cast::<T>(),
            &mut **visitor.cast::<&mut dyn Visitor>(),
        )
    };
    let walked = catch_unwind(AssertUnwindSafe(|| value.visit(visitor)));
    if let Err(payload) = walked {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            visitor.damage(&format!("visiting panicked: {}", panic_text(&*payload)));
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Seven;

    impl ItemInit for Seven {
        type Item = u64;

        fn make() -> u64 {
            7
        }
    }

    struct Broken;

    impl ItemInit for Broken {
        type Item = u64;

        fn make() -> u64 {
            panic!("no such {}", "file")
        }
    }

    #[test]
    fn an_item_is_made_in_place() {
        let mut target = 0_u64;
        let mut error = ErrorText::default();
        // SAFETY: `target` has room for a `u64`.
        let status = unsafe { (item::<Seven>().init)((&raw mut target).cast(), &mut error) };
        assert_eq!((status, target), (ConversionStatus::Done, 7));
    }

    #[test]
    fn a_panicking_initialiser_is_a_status_with_its_message() {
        let mut target = 3_u64;
        let mut error = ErrorText::default();
        // SAFETY: `target` has room for a `u64`.
        let status = unsafe { (item::<Broken>().init)((&raw mut target).cast(), &mut error) };
        assert_eq!((status, target), (ConversionStatus::Panicked, 3));
        assert_eq!(error.get(), "no such file");
    }

    #[test]
    fn a_panicking_destructor_does_not_unwind_into_the_caller() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let mut bomb = std::mem::ManuallyDrop::new(Bomb);
        // SAFETY: dropped once, here.
        unsafe { drop_value::<Bomb>((&raw mut bomb).cast()) };
    }
}
