//! A guard's root: a box whose block lies in roots, seen from the lock that guards it.
//!
//! Owns making and flipping the tuple behind it. The word itself lies in the guard's slot, so whoever
//! calls stores it. Knows nothing of locks.
#![allow(unsafe_code)] // boxes by their words

use super::alloc;
use super::box_word::{ADDRESS, BoxWord, Form, known};
use super::chain;
use super::convert;
use super::live;
use super::shared::Visitor;
use super::transaction::{self, Transaction};
use crate::error::AccessError;
use crate::ids::Tag;
use std::ptr::NonNull;

/// The bits of a box's word that are its block's address.
pub(crate) const BOX_ADDRESS: u64 = ADDRESS;

/// Brings the tuple behind a root into representation `expected`; `publish` stores the new word, after
/// the last byte of the new tuple is written and before anything of the old one is freed (R3).
///
/// # Errors
/// As [`convert::convert_box`]; the tuple is untouched then.
///
/// # Safety
/// `word` is the word of a live root, whose lock the caller holds, and which `publish` stores at `address`.
pub(crate) unsafe fn convert_root(
    word: u64,
    expected: Tag,
    address: usize,
    publish: impl FnOnce(u64),
) -> Result<(), AccessError> {
    // SAFETY: by the caller.
    unsafe { convert::convert_word(word, expected, address, publish) }
}

/// Makes a new root in representation `tag`, whose tuple `fill` writes, and whose word `publish` stores at
/// `address`, where none was.
///
/// # Errors
/// `HeapFull`, or what `fill` says; nothing is allocated then.
pub(crate) fn make_root(
    tag: Tag,
    address: usize,
    fill: impl FnOnce(NonNull<u8>) -> Result<(), AccessError>,
    publish: impl FnOnce(u64),
) -> Result<(), AccessError> {
    let form = Form::from(known(tag).ok_or(AccessError::Foreign)?);
    let transaction = Transaction::begin();
    transaction::aim(address, 0);
    let tuple = alloc::allocate_root(form.layout(false)?)?;
    fill(tuple)?;
    live::add(tag, 1);
    live::gain();
    publish(BoxWord::new(tag, tuple, None).0);
    transaction.commit();
    Ok(())
}

/// What the sweep does with a box: brings it into representation `expected`, and drops the complements
/// that no way from there needs (R10). True if it was in another one.
///
/// # Errors
/// As [`convert::convert_box`]; the box is untouched then.
pub(crate) fn sweep_box(word: &mut u64, expected: Tag) -> Result<bool, AccessError> {
    let is_old = BoxWord(*word).tag() != expected;
    // SAFETY: a visitor is shown live boxes only, under their guard.
    unsafe {
        convert::convert_box(word, expected)?;
        chain::drop_outdated(*word, expected);
    }
    Ok(is_old)
}

/// What the sweep does with a root that the lock's acquisition has converted: drops the complements
/// that no way from there needs (R10).
///
/// # Safety
/// `word` is the word of a live root, whose lock the caller holds.
pub(crate) unsafe fn sweep_root(word: u64) {
    // SAFETY: by the caller.
    unsafe { chain::drop_outdated(word, BoxWord(word).tag()) };
}

/// Shows the boxes inside a box that a visitor was shown. Where there can be none, memory is not touched.
pub(crate) fn show_boxes_inside(word: u64, visitor: &mut dyn Visitor) {
    let shown = BoxWord(word);
    if shown.is_chained() || known(shown.tag()).is_none_or(|entry| entry.holds_boxes) {
        // SAFETY: as for `sweep_box`.
        unsafe { convert::visit_box(word, visitor) };
    }
}

/// Shows the block and content of a box that a visitor was shown.
pub(crate) fn show_content(word: u64, visitor: &mut dyn Visitor) {
    // SAFETY: as for `sweep_box`.
    unsafe { convert::visit_box(word, visitor) };
}
