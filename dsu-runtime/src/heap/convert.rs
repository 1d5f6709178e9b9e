//! Boxes by their words: converting, dropping and showing what a box holds, whatever its type.
//!
//! Owns the way from one representation to another over the loaded lenses; the complements go along
//! (R6, `chain`). Everything is read from the table of representations, so that
//! one version can handle another's values. Knows nothing of the types themselves.
#![allow(unsafe_code)] // values by address

use super::alloc;
use super::block;
use super::box_word::{BoxWord, Complement, Ends, Form, known};
use super::chain::{self, MAX_STEPS};
use super::copies;
use super::failure;
use super::in_hand::InHand;
use super::live;
use super::raised::Raised;
use super::room::Room;
use super::shared::{Visitor, visit_parts};
use super::transaction::{self, Transaction};
use crate::abi::{
    Conversion, ConversionStatus, Converter, ErrorText, Representation, VisitFn, WorkerContext,
};
use crate::error::{AccessError, HeapFull};
use crate::ids::Tag;
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

/// Why a box that is in another version's form is not read by who holds no guard.
const OUTSIDE: &str = "it is in another version's form, of which a copy to read lives as long as a section: hold a guard, or convert it in place with `get_mut`";

/// Converts a box in place: its value, its complement, by one store to its word. Counts it.
///
/// # Errors
/// `Foreign` where no loaded lens leads to `expected` or the value has no form there, `Failed` with the
/// lens's reason, `HeapFull`. The box is untouched then.
///
/// # Safety
/// `word` is the word of a live box, and the caller holds its guard.
pub unsafe fn convert_box(word: &mut u64, expected: Tag) -> Result<(), AccessError> {
    // SAFETY: by the caller.
    unsafe { convert_cell(Cell::from_mut(word), expected) }
}

/// As [`convert_box`], of a word that others can read: what is dropped in the end finds the new one.
///
/// # Errors
/// As there.
///
/// # Safety
/// As there.
pub(super) unsafe fn convert_cell(word: &Cell<u64>, expected: Tag) -> Result<(), AccessError> {
    let old = word.get();
    if is_of(old, expected) {
        return Ok(());
    }
    // SAFETY: by the caller.
    unsafe {
        convert_word(old, expected, ptr::from_ref(word).addr(), |new| {
            word.set(new)
        })
    }
    .map_err(|error| failure::name_element(BoxWord(old).tag(), expected, error))
}

/// Whether a box is in this form, by its word.
pub(super) fn is_of(word: u64, tag: Tag) -> bool {
    BoxWord(word).tag() == tag
}

/// As [`convert_box`], for a word at `address` that `publish` stores: between the new value's last byte
/// and the old one's first free block.
///
/// # Safety
/// As for [`convert_box`]; `old` is what the word holds.
pub(super) unsafe fn convert_word(
    old: u64,
    expected: Tag,
    address: usize,
    publish: impl FnOnce(u64),
) -> Result<(), AccessError> {
    let transaction = Transaction::begin();
    transaction::aim(address, old);
    let old = BoxWord(old);
    let converted = {
        let _in_hand = InHand::begin(old.tag(), expected);
        // SAFETY: by the caller; the transaction is committed or aborted below.
        unsafe { convert(old, expected) }
    };
    match converted {
        Ok(new) => {
            live::add(old.tag(), -1);
            live::add(expected, 1);
            transaction.publish(|| publish(new.0));
            let context = WorkerContext::current();
            if context.owner() != 0 {
                context.record().conversions.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
        Err(error) => {
            transaction.abort();
            Err(error)
        }
    }
}

/// A converted copy of what a box holds, in memory that lives as long as the section (R20). The box
/// stays as it is, and the copy is never dropped: it may share blocks with the box. A second read
/// gives the same copy, unless something was written in between (`copies`).
///
/// # Errors
/// As [`convert_box`]; also where there is no section, nor a conversion: nothing would say how long the copy
/// is to live, and the first section that ends would free it.
///
/// # Safety
/// As for [`convert_box`].
pub(super) unsafe fn scratch_copy(word: u64, expected: Tag) -> Result<NonNull<u8>, AccessError> {
    if let Some(copy) = copies::find(word, expected) {
        return Ok(copy);
    }
    let worker = WorkerContext::current();
    if worker.held().is_empty() && worker.converting.get() == 0 {
        return Err(AccessError::Failed(OUTSIDE.to_owned()));
    }
    let transaction = Transaction::begin();
    let converted = {
        let _copying = Raised::new(&worker.copying);
        let _in_hand = InHand::begin(BoxWord(word).tag(), expected);
        // SAFETY: by the caller; the transaction is kept as scratch or aborted below.
        unsafe { convert(BoxWord(word), expected) }
    };
    match converted {
        Ok(copy) => {
            transaction.keep_for_scratch()?;
            copies::remember(word, expected, copy.block());
            Ok(copy.block())
        }
        Err(error) => {
            transaction.abort();
            Err(failure::name_element(BoxWord(word).tag(), expected, error))
        }
    }
}

/// Does `work` as a conversion that stands, for benchmarks of lenses.
///
/// # Safety
/// What `work` moved out of values is reached by what it returns alone, as of a lens.
pub unsafe fn converting<T>(work: impl FnOnce() -> T) -> T {
    let transaction = Transaction::begin();
    let done = work();
    transaction.commit();
    done
}

/// Moves a box's block, which is frozen, bit by bit to one that may be written.
///
/// # Safety
/// As for [`convert_box`]; the value is of `form`.
pub(super) unsafe fn own_box(word: &mut u64, form: Form) -> Result<(), HeapFull> {
    let old = BoxWord(*word);
    let layout = form.layout(old.is_chained())?;
    // SAFETY: the block has this layout; its bytes live on in the copy alone.
    unsafe {
        let fresh = block::copy(old.block(), layout, layout.size())?;
        *word = BoxWord::new(old.tag(), fresh, old.chain(form)).0;
        alloc::deallocate(old.block(), layout);
    }
    Ok(())
}

/// Drops what a box holds and its complements, by the code of the version that it belongs to. A value
/// that no library knows is left where it is: memory is lost, nothing else.
///
/// # Safety
/// `word` is the word of a live box, which is dead afterwards.
pub unsafe fn drop_box(word: u64) {
    let old = BoxWord(word);
    let Some(entry) = known(old.tag()) else {
        return;
    };
    // SAFETY: the value is of the representation that its tag names.
    unsafe {
        if let Some(drop) = entry.drop {
            drop(old.block().as_ptr());
        }
        free_box(old, Form::from(entry));
    }
}

/// Drops the complements of a box whose value is gone, frees its block, counts it.
///
/// # Safety
/// As for [`drop_box`]; the value, of `form`, was dropped or moved out.
pub(super) unsafe fn free_box(old: BoxWord, form: Form) {
    // SAFETY: by the caller; each complement is visited once and dropped by its own lens.
    unsafe {
        chain::drop_all(old.chain(form));
        if let Ok(layout) = form.layout(old.is_chained()) {
            alloc::deallocate(old.block(), layout);
        }
    }
    live::add(old.tag(), -1);
    copies::forget();
}

/// Shows the block of a box, its complements, and what they and the value own. What a visitor does in
/// [`Visitor::versioned`] when it goes on into the content.
///
/// # Safety
/// `word` is what stands in a box, and the caller holds its guard.
pub unsafe fn visit_box(word: u64, visitor: &mut dyn Visitor) {
    let old = BoxWord(word);
    let Some(entry) = known(old.tag()) else {
        return visitor.damage(&format!(
            "a box has tag {}, which no library knows",
            old.tag().0
        ));
    };
    let form = Form::from(entry);
    let layout = match form.layout(old.is_chained()) {
        Ok(layout) if block::is_at(old.address(), layout) => layout,
        _ => return visitor.damage(&format!("a box points to {:#x}", old.address())),
    };
    visitor.block(old.block(), layout);
    // A box without complements has both parts as well: a walk may find others than it stopped in.
    visit_parts(visitor, 2, |part, visitor| {
        // SAFETY: the block lies in the regions and its tag tells what is in it.
        unsafe {
            match (part, entry.visit) {
                (0, _) => chain::visit(old.chain(form), visitor),
                (_, Some(visit)) => show(visit, old.block().as_ptr(), visitor),
                (_, None) => {}
            }
        }
    });
}

/// Calls a version's visit function. Its second argument is a thin pointer to the wide one.
///
/// # Safety
/// `value` points to a value of the type that `visit` is for.
unsafe fn show(visit: VisitFn, value: *mut u8, visitor: &mut dyn Visitor) {
    let mut wide: &mut dyn Visitor = visitor;
    // SAFETY: by the caller; `wide` outlives the call.
    unsafe { visit(value, (&raw mut wide).cast()) };
}

/// The new word of a box after all steps to `expected`; blocks are allocated and given up in the open
/// transaction, and the old word stays valid if it is aborted.
///
/// # Safety
/// As for [`convert_box`], inside a transaction.
unsafe fn convert(from: BoxWord, expected: Tag) -> Result<BoxWord, AccessError> {
    let mut word = from;
    for converter in path(from.tag(), expected).ok_or(AccessError::Foreign)? {
        // SAFETY: by the caller; each step makes a live box of the one before.
        word = unsafe { step(word, converter)? };
    }
    Ok(word)
}

/// The lenses from one representation to another: the direct one, else the shortest chain.
fn path(from: Tag, to: Tag) -> Option<Vec<&'static Converter>> {
    let usable = |converter: &&Converter| converter.call.is_some();
    if let Some(direct) = known(from)?.converter_to(to).filter(usable) {
        return Some(vec![direct]);
    }
    let mut seen = vec![from];
    let mut paths: Vec<Vec<&'static Converter>> = vec![Vec::new()];
    for _ in 0..MAX_STEPS {
        let mut longer = Vec::new();
        for path in paths {
            let end = path.last().map_or(from, |step| Tag(step.target));
            for converter in Representation::of(end).converters.iter().filter(usable) {
                let target = Tag(converter.target);
                if target == Tag::NONE || seen.contains(&target) {
                    continue;
                }
                seen.push(target);
                let mut path = path.clone();
                path.push(converter);
                if target == to {
                    return Some(path);
                }
                longer.push(path);
            }
        }
        paths = longer;
    }
    None
}

/// One lens.
///
/// # Safety
/// As for [`convert`].
pub(super) unsafe fn step(from: BoxWord, lens: &Converter) -> Result<BoxWord, AccessError> {
    let target = Tag(lens.target);
    let source = Form::from(known(from.tag()).ok_or(AccessError::Foreign)?);
    let form = Form::from(known(target).ok_or(AccessError::Foreign)?);
    let call = lens.call.ok_or(AccessError::Foreign)?;
    let ends = Ends::of(from.tag(), lens);
    // SAFETY: a live box whose value is of its tag's form; blocks taken out of it are given up only
    // within the transaction.
    unsafe {
        let (own, rest) = chain::take_out(from.chain(source), ends)?;
        let mut value = Room::new(form.size, form.align)?;
        let mut kept = Room::new(
            lens.complement_size as usize,
            lens.complement_align as usize,
        )?;
        let mut conversion = Conversion {
            source: from.block().as_ptr(),
            complement_in: own.map_or(ptr::null(), |own| Complement::value(own, lens)),
            target: value.place(),
            complement_out: kept.place(),
            is_vacant: false,
            error: ErrorText::default(),
        };
        match call(lens.environment, &mut conversion) {
            ConversionStatus::Done => {}
            ConversionStatus::Unrepresentable => return Err(AccessError::Foreign),
            ConversionStatus::HeapFull => return Err(AccessError::HeapFull),
            ConversionStatus::Failed | ConversionStatus::Panicked => {
                return Err(AccessError::Failed(conversion.error.get().to_owned()));
            }
        }
        let chain = if lens.complement_size == 0 {
            rest
        } else if conversion.is_vacant {
            if let Some(drop) = lens.drop_complement {
                drop(lens.environment, kept.place());
            }
            rest
        } else {
            let made = Complement::allocate(ends, lens, rest)?;
            kept.move_to(Complement::value(made, lens));
            Some(made)
        };
        let block = block::allocate_beside(from.block(), form.layout(chain.is_some())?)?;
        value.move_to(block.as_ptr());
        if chain.is_some() {
            form.set_chain(block, chain);
        }
        alloc::deallocate(from.block(), source.layout(from.is_chained())?);
        if let Some(own) = own {
            chain::free(own, lens);
        }
        Ok(BoxWord::new(target, block, chain))
    }
}
