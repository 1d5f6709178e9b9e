//! The complements of a box: a chain of blocks, one for each lens that the box has gone through.
//!
//! Owns taking one out, dropping them, showing them, and their lifetime (R10). Each is dropped by the
//! lens that its ends name, wherever that is loaded. Knows nothing of how a lens works.
#![allow(unsafe_code)] // raw blocks

use super::alloc;
use super::block;
use super::box_word::{BoxWord, Complement, Ends, Form, known};
use super::last_wish;
use super::live;
use super::shared::Visitor;
use crate::abi::{Converter, WorkerContext};
use crate::error::AccessError;
use crate::ids::Tag;
use std::ptr::NonNull;

/// A chain of complements by its first.
pub(super) type Chain = Option<NonNull<Complement>>;

/// Longest chain of lenses that is tried (parked values, restored snapshots).
pub(super) const MAX_STEPS: usize = 8;

/// The complement of one lens in a chain.
///
/// # Safety
/// A live chain.
pub(super) unsafe fn find(mut next: Chain, ends: Ends) -> Chain {
    while let Some(complement) = next {
        // SAFETY: by the caller.
        let head = unsafe { complement.as_ref() };
        if head.ends() == ends {
            return next;
        }
        next = head.next();
    }
    None
}

/// Splits a chain into the complement of one lens and the others. Those in front of it are copied: an
/// old block is never written while a conversion is open.
///
/// # Safety
/// A live chain, inside a transaction.
pub(super) unsafe fn take_out(first: Chain, ends: Ends) -> Result<(Chain, Chain), AccessError> {
    let mut front = Vec::new();
    let mut next = first;
    // SAFETY: by the caller.
    unsafe {
        while let Some(complement) = next {
            next = complement.as_ref().next();
            if complement.as_ref().ends() != ends {
                front.push(complement);
                continue;
            }
            let mut rest = next;
            for other in front.into_iter().rev() {
                let lens = other.as_ref().converter();
                let layout = Complement::layout(lens.ok_or(AccessError::Foreign)?)?;
                let mut copied: NonNull<Complement> =
                    block::copy(other.cast(), layout, layout.size())?.cast();
                copied.as_mut().set_next(rest);
                alloc::deallocate(other.cast(), layout);
                rest = Some(copied);
            }
            return Ok((Some(complement), rest));
        }
    }
    Ok((None, first))
}

/// Drops all complements of a chain; one of a lens that no library knows is left where it is.
///
/// # Safety
/// A live chain, which is dead afterwards.
pub(super) unsafe fn drop_all(mut next: Chain) {
    while let Some(complement) = next {
        // SAFETY: by the caller; each complement is read before it is dropped, once.
        unsafe {
            next = complement.as_ref().next();
            if let Some(lens) = complement.as_ref().converter() {
                drop_one(complement, lens);
            }
        }
    }
}

/// Drops from a box that is in representation `kept` every complement that has no end there: what is
/// kept for going back further than one version is swept away with the next one's sweep (R10).
///
/// # Safety
/// `word` is the word of a live box, and the caller holds its guard.
pub(super) unsafe fn drop_outdated(word: u64, kept: Tag) {
    let word = BoxWord(word);
    if !word.is_chained() || word.tag() != kept || WorkerContext::current().converting.get() != 0 {
        return;
    }
    let Some(form) = known(kept).map(Form::from) else {
        return;
    };
    // SAFETY: by the caller. No conversion is open, so the blocks may be written; a complement is
    // dropped after nothing leads to it any more.
    unsafe {
        let mut last: Chain = None;
        let mut next = word.chain(form);
        while let Some(complement) = next {
            let (ends, after) = (complement.as_ref().ends(), complement.as_ref().next());
            next = after;
            let outdated = ends.older != kept && ends.newer != kept;
            match complement.as_ref().converter().filter(|_| outdated) {
                None => last = Some(complement),
                Some(lens) => {
                    match last {
                        Some(mut before) => before.as_mut().set_next(after),
                        None => form.set_chain(word.block(), after),
                    }
                    drop_one(complement, lens);
                }
            }
        }
    }
}

/// # Safety
/// `complement` is a live one of `lens` that nothing leads to any more.
unsafe fn drop_one(complement: NonNull<Complement>, lens: &Converter) {
    // SAFETY: by the caller.
    unsafe {
        if let Some(drop) = lens.drop_complement {
            last_wish::run(|| drop(lens.environment, Complement::value(complement, lens)));
        }
        free(complement, lens);
    }
}

/// Frees the block of a complement whose value was dropped or moved out.
///
/// # Safety
/// `complement` is a block of `lens` that nothing refers to any more.
pub(super) unsafe fn free(complement: NonNull<Complement>, lens: &Converter) {
    if let Ok(layout) = Complement::layout(lens) {
        // SAFETY: by the caller; it was allocated with this layout, and is read before it is gone.
        let ends = unsafe {
            let ends = complement.as_ref().ends();
            alloc::deallocate(complement.cast(), layout);
            ends
        };
        live::add_complement(ends.newer, -(layout.size() as i32));
    }
}

/// Shows the blocks of a chain and what the complements own.
///
/// # Safety
/// The chain of a box whose guard the caller holds.
pub(super) unsafe fn visit(mut next: Chain, visitor: &mut dyn Visitor) {
    let start = visitor.enter();
    for step in 0..=MAX_STEPS as u64 {
        let Some(complement) = next else { break };
        let address = complement.as_ptr() as usize;
        if !block::is_head_at(address, size_of::<Complement>()) {
            visitor.damage(&format!("a complement is at {address:#x}"));
            return visitor.leave(None);
        }
        // SAFETY: inside the regions; see the caller.
        let head = unsafe { complement.as_ref() };
        let ends = head.ends();
        match head.converter() {
            // It was shown before the walk stopped.
            _ if step < start => {}
            Some(lens) => {
                if let Ok(layout) = Complement::layout(lens) {
                    visitor.block(complement.cast(), layout);
                }
                if let Some(visit) = lens.visit_complement {
                    // SAFETY: the complement is of the lens that its ends name.
                    unsafe {
                        let mut wide: &mut dyn Visitor = &mut *visitor;
                        let value = Complement::value(complement, lens);
                        visit(lens.environment, value, (&raw mut wide).cast());
                    }
                }
            }
            None => visitor.damage(&format!(
                "a complement is of the unknown lens {} to {}",
                ends.older.0, ends.newer.0
            )),
        }
        if visitor.stopped_inside() {
            return visitor.leave(Some(step));
        }
        next = head.next();
    }
    if next.is_some() {
        visitor.damage("a box has more complements than lenses can lead to");
    }
    visitor.leave(None);
}
