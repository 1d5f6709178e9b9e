//! Guards that this library does not have, in its form of them: a tuple without items (R4). Their items move
//! into guards of its own, and back.
//!
//! Owns their declarations, which no application makes. One that the version before lacks needs none: it
//! is this library's own guard, whose older form is known by its tag alone.

use crate::abi::{GuardCell, GuardRegistration, TypeSchema};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;

thread_local! {
    /// By name and length. Never freed: plans and errors name them, and a library that is bound again
    /// finds its own.
    static DECLARED: RefCell<BTreeMap<(String, u32), &'static GuardRegistration>> =
        RefCell::default();
}

/// The declaration of a guard, or of a family of `count`, without items.
pub(super) fn declaration(
    name: &str,
    count: u32,
    family: Option<u32>,
) -> &'static GuardRegistration {
    let declare = || -> &'static GuardRegistration {
        let cells: Vec<GuardCell> = (0..count).map(|_| GuardCell::new()).collect();
        Box::leak(Box::new(GuardRegistration {
            name: String::leak(name.to_owned()),
            renamed_from: "",
            family,
            schema: TypeSchema::no_items,
            items: &[],
            moved: &[],
            drop: drop_nothing,
            visit: show_nothing,
            cells: Vec::leak(cells),
        }))
    };
    DECLARED.with_borrow_mut(|known| {
        *known
            .entry((name.to_owned(), count))
            .or_insert_with(declare)
    })
}

/// Drops a tuple without items.
pub(super) extern "C" fn drop_nothing(_: *mut u8) {}

/// Shows a tuple without items.
pub(super) extern "C" fn show_nothing(_: *mut u8, _: *mut c_void) {}
