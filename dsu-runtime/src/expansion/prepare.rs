//! What a registered lens does ahead of a flip, over untyped values: what `transformer!(prepared …)`
//! names. No panic leaves it.
#![allow(unsafe_code)] // reads typed values through raw pointers

use crate::abi::{ErrorText, PrepareStatus, TypeKind, TypeSchema};
use crate::error::{AccessError, panic_text};
use crate::heap::delta::{Items, Prepare, PrepareItems, Progress};
use crate::heap::{InHand, Shared};
use crate::sys::time::Nanos;
use crate::version::build_id_at;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The schema of a twin's type under the name that its lens gives it. It names this build: another one's
/// lens of that name may have another function, so that the two have no tag in common.
pub fn twin_schema<T: Shared>(name: &str) -> TypeSchema {
    let build = build_id_at(twin_schema::<T> as *const c_void).unwrap_or_default();
    let build = TypeSchema::leaf::<()>(&format!("of build {build}"));
    TypeSchema {
        kind: TypeKind::Container(vec![T::schema(), build]),
        ..TypeSchema::leaf::<T>(name)
    }
}

fn caught(
    error: &mut ErrorText,
    body: impl FnOnce() -> Result<Progress, AccessError>,
) -> PrepareStatus {
    let _in_hand = InHand::preparing();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(Progress::Done)) => PrepareStatus::Done,
        Ok(Ok(Progress::More)) => PrepareStatus::More,
        Ok(Err(AccessError::HeapFull)) => PrepareStatus::HeapFull,
        Ok(Err(AccessError::Failed(reason))) => {
            error.set(&reason);
            PrepareStatus::Failed
        }
        Ok(Err(foreign @ AccessError::Foreign)) => {
            error.set(&foreign.to_string());
            PrepareStatus::Failed
        }
        Err(payload) => {
            error.set(panic_text(&*payload));
            PrepareStatus::Panicked
        }
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident, $of_items:ident: $method:ident on $side:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// See [`PrepareFn`](crate::abi::PrepareFn): `value` points to a value of that side, and the caller holds its guard.
        pub unsafe extern "C" fn $name<L: Prepare>(
            value: *mut u8,
            until_ns: u64,
            error: &mut ErrorText,
        ) -> PrepareStatus {
            // SAFETY: the caller's promise.
            let value = unsafe { &mut *value.cast::<L::$side>() };
            caught(error, || L::$method(value, Nanos(until_ns)))
        }

        $(#[$doc])*
        ///
        /// # Safety
        /// See [`PrepareFn`](crate::abi::PrepareFn): `value` points to the addresses of items of that side's types, and the
        /// caller holds their guard.
        pub unsafe extern "C" fn $of_items<L: PrepareItems>(
            value: *mut u8,
            until_ns: u64,
            error: &mut ErrorText,
        ) -> PrepareStatus {
            // SAFETY: the caller's promise.
            let items = unsafe { <L::$side as Items>::at(value.cast()) };
            caught(error, || L::$method(items, Nanos(until_ns)))
        }
    )*};
}

calls! {
    /// Makes the right form of a left value ahead.
    prepare_forward, prepare_items_forward: prepare_forward on Left;
    /// Makes the left form of a right value ahead.
    prepare_backward, prepare_items_backward: prepare_backward on Right;
    /// Drops what was made ahead for a left value.
    discard_left, discard_left_items: discard_left on Left;
    /// Drops what was made ahead for a right value.
    discard_right, discard_right_items: discard_right on Right;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // R1, D4
    fn twins_of_two_builds_have_no_schema_in_common() {
        let schema = twin_schema::<u64>("twin of some lens");
        let own = build_id_at(twins_of_two_builds_have_no_schema_in_common as *const c_void);
        let TypeKind::Container(parts) = &schema.kind else {
            panic!("{schema:?}");
        };
        let named = format!("of build {}", own.expect("this test has a build id"));
        assert!(parts.iter().any(|part| part.name == named), "{schema:?}");
        assert_eq!(schema, twin_schema::<u64>("twin of some lens"));
    }
}
