//! Type-erased calls on values, made from the type alone. No panic leaves them.
#![allow(unsafe_code)] // they take untyped pointers, since the caller may be another copy of the runtime

use super::shape::Shareable;
use crate::abi::{ConversionStatus, ErrorText, ItemCalls};
use crate::error::panic_text;
use crate::heap::{Shared, Visitor};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the first value of an item is made; implemented by `#[guards]` for each item.
///
/// # Safety
/// Each of `OFFSETS` is where an item of the type in its place of `Reads` lies in the guard's tuple, and
/// that item is declared before this one.
pub unsafe trait ItemInit {
    /// The item's type.
    type Item;

    /// Types of the items that the initialiser reads.
    type Reads: Siblings;

    /// Where those lie in the tuple, in bytes.
    const OFFSETS: &'static [usize];

    /// The initialiser, or `Default`.
    fn make(siblings: <Self::Reads as Siblings>::Refs<'_>) -> Self::Item;
}

/// Items of a guard that an initialiser reads: a tuple of their types.
pub trait Siblings {
    /// A tuple of references to them.
    type Refs<'t>;

    /// The items that lie at these offsets of a tuple.
    ///
    /// # Safety
    /// They are values of these types, and nobody changes them for `'t`.
    unsafe fn at<'t>(tuple: *const u8, offsets: &[usize]) -> Self::Refs<'t>;
}

macro_rules! siblings {
    ($($item:ident)*) => {
        impl<$($item: 'static),*> Siblings for ($($item,)*) {
            type Refs<'t> = ($(&'t $item,)*);

            #[allow(unused_variables, unused_mut, unused_unsafe, clippy::unused_unit)] // of no items
            unsafe fn at<'t>(tuple: *const u8, offsets: &[usize]) -> Self::Refs<'t> {
                let mut offsets = offsets.iter();
                // SAFETY: the caller's promise.
                unsafe {
                    ($({
                        let offset = offsets.next().expect("an offset for each type");
                        &*tuple.add(*offset).cast::<$item>()
                    },)*)
                }
            }
        }
    };
}

siblings!();
siblings!(A);
siblings!(A B);
siblings!(A B C);
siblings!(A B C D);
siblings!(A B C D E);
siblings!(A B C D E F);

/// The calls of one item.
pub const fn item<I: ItemInit<Item: Shareable>>() -> ItemCalls {
    ItemCalls {
        init: init_item::<I>,
        drop: drop_value::<I::Item>,
        visit: visit_value::<I::Item>,
    }
}

/// # Safety
/// `tuple` is where the guard's tuple is being made, with all items declared before this one in their
/// places; `target` is this one's place there.
unsafe extern "C" fn init_item<I: ItemInit>(
    tuple: *const u8,
    target: *mut u8,
    error: &mut ErrorText,
) -> ConversionStatus {
    // SAFETY: by the caller and the trait's promise; nothing is changed until the item is made.
    let make = || I::make(unsafe { I::Reads::at(tuple, I::OFFSETS) });
    match catch_unwind(AssertUnwindSafe(make)) {
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
    use std::ptr;

    struct Seven;

    // SAFETY: it reads nothing.
    unsafe impl ItemInit for Seven {
        type Item = u64;
        type Reads = ();
        const OFFSETS: &'static [usize] = &[];

        fn make((): ()) -> u64 {
            7
        }
    }

    struct Sum;

    // SAFETY: what it reads lies at the start of the tuples of its test.
    unsafe impl ItemInit for Sum {
        type Item = u64;
        type Reads = (u64, u32);
        const OFFSETS: &'static [usize] = &[0, 8];

        fn make((a, b): (&u64, &u32)) -> u64 {
            a + u64::from(*b)
        }
    }

    #[test]
    fn an_item_may_be_made_of_those_before_it() {
        #[repr(C)]
        struct Tuple(u64, u32, u64);
        let mut tuple = Tuple(40, 2, 0);
        let mut error = ErrorText::default();
        let (start, target) = ((&raw const tuple).cast(), (&raw mut tuple.2).cast());
        // SAFETY: the tuple has two items at 0 and 8, and room for a `u64`.
        let status = unsafe { (item::<Sum>().init)(start, target, &mut error) };
        assert_eq!((status, tuple.2), (ConversionStatus::Done, 42));
    }

    struct Broken;

    // SAFETY: it reads nothing.
    unsafe impl ItemInit for Broken {
        type Item = u64;
        type Reads = ();
        const OFFSETS: &'static [usize] = &[];

        fn make((): ()) -> u64 {
            panic!("no such {}", "file")
        }
    }

    #[test]
    fn an_item_is_made_in_place() {
        let mut target = 0_u64;
        let mut error = ErrorText::default();
        // SAFETY: `target` has room for a `u64`.
        let status =
            unsafe { (item::<Seven>().init)(ptr::null(), (&raw mut target).cast(), &mut error) };
        assert_eq!((status, target), (ConversionStatus::Done, 7));
    }

    #[test]
    fn a_panicking_initialiser_is_a_status_with_its_message() {
        let mut target = 3_u64;
        let mut error = ErrorText::default();
        // SAFETY: `target` has room for a `u64`.
        let status =
            unsafe { (item::<Broken>().init)(ptr::null(), (&raw mut target).cast(), &mut error) };
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
