//! A guard's root: a box whose block lies in roots, seen from the lock that guards it.
//!
//! Owns making and flipping the tuple behind it. The word itself lies in the guard's slot, so whoever
//! calls stores it. Knows nothing of locks.
#![allow(unsafe_code)] // boxes by their words

use super::alloc;
use super::box_word::{ADDRESS, BoxWord, Complement, Ends, Form, known};
use super::chain;
use super::convert;
use super::delta::Progress;
use super::in_hand::InHand;
use super::live;
use super::raised::Raised;
use super::shared::Visitor;
use super::transaction::{self, Transaction};
use crate::abi::{Converter, ErrorText, PrepareStatus, Representation, TwinTask, WorkerContext};
use crate::error::AccessError;
use crate::ids::Tag;
use crate::sys::time::Nanos;
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// Of what has to be made at once. Short beside any `--transform-timeout`.
const SLICE_OF_ALL: Duration = Duration::from_millis(100);

/// The bits of a box's word that are its block's address.
pub(crate) const BOX_ADDRESS: u64 = ADDRESS;

/// Whether a box keeps something for other forms beside its value.
pub(crate) fn keeps_complements(word: u64) -> bool {
    BoxWord(word).is_chained()
}

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

/// Conversions of several roots that stand or fall together. Dropped, it undoes them.
#[must_use = "what is dropped is undone"]
pub(crate) struct Together(Transaction);

impl Together {
    /// Begins with none.
    pub(crate) fn begin() -> Together {
        Together(Transaction::begin())
    }

    /// The word of a root after one step, to be published when all [`stand`](Self::stand). The old
    /// word, and all that it reaches, stays as it is until then.
    ///
    /// # Errors
    /// As [`convert::convert_box`].
    ///
    /// # Safety
    /// `word` is the word of a live root whose lock the caller holds; `way` leads out of its form.
    pub(crate) unsafe fn convert(&self, word: u64, way: &Converter) -> Result<u64, AccessError> {
        let old = BoxWord(word);
        let _in_hand = InHand::begin(old.tag(), Tag(way.target));
        // SAFETY: by the caller, and a transaction is open.
        let new = unsafe { convert::step(old, way)? };
        live::add(old.tag(), -1);
        live::add(new.tag(), 1);
        Ok(new.0)
    }

    /// They stand: `publish` stores the new words, then the old values are freed. Of a death between two
    /// of its stores no word tells which way to go, so nothing is freed then.
    pub(crate) fn stand(self, publish: impl FnOnce()) {
        self.0.publish(publish);
    }
}

/// What a root keeps for the way that leads out of its form; null if it keeps nothing for it.
///
/// # Safety
/// `word` is the word of a live root, whose lock the caller holds.
pub(crate) unsafe fn complement_of_root(word: u64, way: &Converter) -> *const u8 {
    let word = BoxWord(word);
    let Some(form) = known(word.tag()).map(Form::from) else {
        return ptr::null();
    };
    // SAFETY: by the caller.
    let found = unsafe { chain::find(word.chain(form), Ends::of(word.tag(), way)) };
    found.map_or(ptr::null(), |found| {
        Complement::value(found, way).cast_const()
    })
}

/// Whether something of a value in form `from` can be made ahead of its conversion to form `to`.
pub(crate) fn is_prepared(from: Tag, to: Tag) -> bool {
    let way = Representation::of(from).converter_to(to);
    way.is_some_and(|way| way.twin.is_some())
}

/// Makes ahead what the conversion of a box to representation `expected` takes up, or catches up with
/// what was changed since; nothing where no prepared lens leads there in one step. In place, outside of
/// any conversion: whoever dies in it leaves the value as it is.
///
/// # Errors
/// `HeapFull`, or `Failed` with the reason; the value is as it was.
///
/// # Safety
/// `word` is the word of a live box, and the caller holds its guard.
pub(crate) unsafe fn prepare_box(
    word: u64,
    expected: Tag,
    until: Nanos,
) -> Result<Progress, AccessError> {
    let way = Representation::of(BoxWord(word).tag()).converter_to(expected);
    match way {
        // SAFETY: by the caller.
        Some(way) => unsafe { work_on_twin(word, way, TwinTask::Prepare, until) },
        None => Ok(Progress::Done),
    }
}

/// All of it made ahead at once, or caught up with, with the heap's reserve, for a conversion that comes
/// next. In slices, so that what is long because there is much of it is not taken for what never ends (R28).
///
/// # Errors
/// As [`prepare_box`].
///
/// # Safety
/// As there.
pub(crate) unsafe fn prepare_now(
    word: u64,
    expected: Tag,
    task: TwinTask,
) -> Result<(), AccessError> {
    match Representation::of(BoxWord(word).tag()).converter_to(expected) {
        // SAFETY: by the caller.
        Some(way) => unsafe { prepare_way(word, way, task) },
        None => Ok(()),
    }
}

/// As [`prepare_now`], for this way out of the form of the box.
///
/// # Errors
/// As [`prepare_box`].
///
/// # Safety
/// As there.
pub(crate) unsafe fn prepare_way(
    word: u64,
    way: &Converter,
    task: TwinTask,
) -> Result<(), AccessError> {
    if way.twin.is_none() {
        return Ok(());
    }
    let _reserve = Raised::new(&WorkerContext::current().may_use_reserve);
    loop {
        let until = Nanos::now().after(SLICE_OF_ALL);
        // SAFETY: by the caller.
        match unsafe { work_on_twin(word, way, task, until) } {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Empties and drops whatever was made ahead of conversions of a box.
///
/// # Errors
/// As [`prepare_box`].
///
/// # Safety
/// As there.
pub(crate) unsafe fn discard_twins(word: u64, until: Nanos) -> Result<Progress, AccessError> {
    let entry = Representation::of(BoxWord(word).tag());
    if !entry.has_twins {
        return Ok(Progress::Done);
    }
    for way in &entry.converters {
        // SAFETY: by the caller.
        let progress = unsafe { work_on_twin(word, way, TwinTask::Discard, until)? };
        if progress == Progress::More {
            return Ok(Progress::More);
        }
    }
    Ok(Progress::Done)
}

/// # Safety
/// As for [`prepare_box`].
unsafe fn work_on_twin(
    word: u64,
    way: &Converter,
    task: TwinTask,
    until: Nanos,
) -> Result<Progress, AccessError> {
    let Some(call) = way.twin else {
        return Ok(Progress::Done);
    };
    let value = BoxWord(word).block().as_ptr();
    let mut error = ErrorText::default();
    // SAFETY: the value is of the form that the tag names, whose way this is.
    match unsafe { call(way.environment, task, value, until.0, &mut error) } {
        PrepareStatus::Done => Ok(Progress::Done),
        PrepareStatus::More => Ok(Progress::More),
        PrepareStatus::HeapFull => Err(AccessError::HeapFull),
        PrepareStatus::Failed | PrepareStatus::Panicked => {
            Err(AccessError::Failed(error.get().to_owned()))
        }
    }
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
    {
        let _in_hand = InHand::first(tag);
        fill(tuple)?;
    }
    live::add(tag, 1);
    transaction.publish(|| publish(BoxWord::new(tag, tuple, None).0));
    Ok(())
}

/// What the sweep does with a box: brings it into representation `expected`, and drops the complements that
/// no way from there needs (R10). True if it was in another one. What was made ahead of conversions of
/// what it holds, whoever goes on into that drops, also where it could not be converted.
///
/// # Errors
/// As [`convert::convert_box`]; the box is untouched then.
pub(crate) fn sweep_box(word: &mut u64, expected: Tag) -> Result<bool, AccessError> {
    sweep_cell(Cell::from_mut(word), expected)
}

/// As [`sweep_box`], of a word that others can read meanwhile.
///
/// # Errors
/// As there.
pub(super) fn sweep_cell(word: &Cell<u64>, expected: Tag) -> Result<bool, AccessError> {
    let is_old = !convert::is_of(word.get(), expected);
    // SAFETY: a visitor is shown live boxes only, under their guard.
    unsafe {
        convert::convert_cell(word, expected)?;
        chain::drop_outdated(word.get(), expected);
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
