//! Transformers of a guard's item tuple, laid out from the two versions' manifests (R3).
//!
//! An item that did not change is moved as it is; one with a lens goes through it; one that only the
//! target has is taken from the complement or made; one that only the source has goes into the
//! complement. All steps read the source tuple, which stays as it is until the root is published; items are
//! made last, since their initialisers may read others of the new tuple.
#![allow(unsafe_code)] // moves items between tuples by offset

use super::items::PartCalls;
use super::moved::still_has_what_it_gives;
use crate::abi::{
    Conversion, ConversionStatus, ConvertFn, Converter, ErrorText, PrepareCalls, PrepareFn,
    PrepareStatus, Representation, TwinFn, TwinTask,
};
use crate::heap::{visit_parts, visitor_of};
use crate::ids::Tag;
use crate::sys::time::Nanos;
use std::ffi::c_void;

/// A piece of one tuple and where it goes in another. In bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) size: usize,
}

/// What happens to one item. Offsets are in bytes from the start of tuple or complement.
#[derive(Clone)]
pub(super) enum Step {
    /// Several items through a lens between tuples of them: gathered from the source into the tuple
    /// that the lens takes, and spread from the one that it gives. Sizes of those two in bytes.
    Regroup {
        gather: Vec<Piece>,
        gathered: usize,
        spread: Vec<Piece>,
        given: usize,
        lens: Lensed,
    },
    /// Unchanged: moved bit by bit.
    Move { from: usize, to: usize, size: usize },
    /// Through a lens.
    Convert {
        from: usize,
        to: usize,
        lens: Lensed,
    },
    /// From another guard, at a barrier only: moved bit by bit, or through a lens.
    Take {
        source: Source,
        to: usize,
        size: usize,
        lens: Option<Lensed>,
    },
    /// Another guard's from here on.
    Leave,
    /// Only in the target: back from the complement, or made by the version that has it.
    Make {
        to: usize,
        size: usize,
        complement: usize,
    },
    /// Only in the source: into the complement.
    Keep {
        from: usize,
        size: usize,
        complement: usize,
    },
}

/// One direction of a lens, and where its complement lies in the tuple's, if it has one.
#[derive(Clone, Copy)]
pub(super) struct Lensed {
    pub(super) call: ConvertFn,
    pub(super) complement: usize,
    pub(super) has_complement: bool,
}

/// Where an item lies that comes from another guard: which, by the name that it has in the newer version,
/// and where in its tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Source {
    pub(super) guard: &'static str,
    pub(super) offset: usize,
}

/// An item that goes to another guard: where in the tuple it is, and where in the tuple's complement there
/// is something of it, if there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Given {
    pub(super) offset: usize,
    pub(super) complement: Option<usize>,
}

/// An item of another guard, and what is kept of it there, or null.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) source: Source,
    pub(super) value: *const u8,
    pub(super) complement: *const u8,
}

/// A part of the tuple's complement.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) calls: PartCalls,
}

/// A prepared lens of a tuple: on what it works, and how.
#[derive(Clone)]
pub(super) struct Twin {
    /// Of the item, or the items, for messages.
    pub(super) name: String,
    pub(super) calls: PrepareCalls,
    pub(super) place: TwinPlace,
}

/// What the calls of a prepared lens are given.
#[derive(Clone)]
pub(super) enum TwinPlace {
    /// An item, at this offset.
    Item(usize),
    /// The addresses of the items at these offsets.
    Items(Vec<usize>),
}

/// One direction of a tuple transformer. Never freed: converters point to it.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// What it takes from other guards.
    pub(super) takes: Vec<Source>,
    /// What other guards take from it.
    pub(super) gives: Vec<Given>,
    /// Towards the newer side.
    pub(super) forward: bool,
    /// Of prepared lenses: what can be made ahead, in tuples that the plan takes.
    pub(super) twins: Vec<Twin>,
    /// Names of the items, by step, for messages.
    pub(super) names: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) complement_size: usize,
    /// Representation of the tuples that it makes.
    pub(super) target: Tag,
}

/// Alignment of every tuple and complement.
pub(super) const ALIGN: usize = 16;

impl Plan {
    /// The converter that runs this plan towards `target`.
    pub(super) fn converter(&'static self, target: Tag) -> Converter {
        Converter {
            target: target.0,
            forward: self.forward,
            complement_size: self.complement_size as u32,
            complement_align: ALIGN as u32,
            call: Some(run),
            environment: std::ptr::from_ref(self).cast(),
            twin: self.has_twins().then_some(work_on_twins as TwinFn),
            drop_complement: Some(drop_complement),
            visit_complement: Some(visit_complement),
        }
    }

    /// Whether items come or go: then it runs as a part of their moves and in no other way.
    pub(super) fn is_moving(&self) -> bool {
        !self.takes.is_empty() || !self.gives.is_empty()
    }

    /// # Safety
    /// As for [`run`]; `taken` has what the plan takes.
    unsafe fn run(&self, conversion: &mut Conversion, taken: &[Taken]) -> ConversionStatus {
        // Vacant until a step keeps something.
        conversion.is_vacant = true;
        for (step, name) in self.steps.iter().zip(&self.names) {
            // SAFETY: the caller's promise, and the offsets of the two layouts.
            let status = unsafe { step.run(conversion, self.target, taken) };
            if status != ConversionStatus::Done {
                let reason = conversion.error.get().to_owned();
                conversion.error.set(&format!("item {name}: {reason}"));
                return status;
            }
        }
        ConversionStatus::Done
    }

    /// Whether something can be made ahead.
    pub(super) fn has_twins(&self) -> bool {
        !self.twins.is_empty()
    }
}

/// # Safety
/// See [`TwinFn`]; `environment` is a `Plan`, `value` a tuple that it takes.
unsafe extern "C" fn work_on_twins(
    environment: *const c_void,
    task: TwinTask,
    value: *mut u8,
    until_ns: u64,
    error: &mut ErrorText,
) -> PrepareStatus {
    // SAFETY: only `Plan::converter` pairs this function with an environment.
    let plan = unsafe { &*environment.cast::<Plan>() };
    // Such a flip is refused. And where moves back were given up in the middle, what is there may be
    // nobody's, and is not to be touched.
    let is_untouched = match task {
        TwinTask::PrepareToFlip => plan.is_moving(),
        TwinTask::Prepare if plan.forward || plan.gives.is_empty() => false,
        TwinTask::Prepare => !still_has_what_it_gives(plan, value),
        TwinTask::Discard => false,
    };
    if is_untouched {
        return PrepareStatus::Done;
    }
    let mut all = PrepareStatus::Done;
    for (place, twin) in plan.twins.iter().enumerate() {
        if place > 0 && Nanos::now().0 >= until_ns {
            return PrepareStatus::More;
        }
        let call = match plan.forward {
            true => twin.calls.on_left(task),
            false => twin.calls.on_right(task),
        };
        // SAFETY: by the caller, and the offsets of the layout.
        let status = unsafe { twin.place.call(call, value, until_ns, error) };
        match status {
            PrepareStatus::Done => {}
            PrepareStatus::More => all = PrepareStatus::More,
            _ => {
                let reason = error.get().to_owned();
                error.set(&format!("item {}: {reason}", twin.name));
                return status;
            }
        }
    }
    all
}

impl TwinPlace {
    /// # Safety
    /// As for [`work_on_twins`].
    unsafe fn call(
        &self,
        call: PrepareFn,
        tuple: *mut u8,
        until_ns: u64,
        error: &mut ErrorText,
    ) -> PrepareStatus {
        // SAFETY: by the caller.
        unsafe {
            match self {
                TwinPlace::Item(offset) => call(tuple.add(*offset), until_ns, error),
                TwinPlace::Items(offsets) => {
                    let mut places: Vec<*mut u8> =
                        offsets.iter().map(|offset| tuple.add(*offset)).collect();
                    call(places.as_mut_ptr().cast(), until_ns, error)
                }
            }
        }
    }
}

/// # Safety
/// `environment` is a `Plan`; `conversion` points to tuples of the two versions it was laid out from.
unsafe extern "C" fn run(
    environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: only `Plan::converter` pairs this function with an environment.
    let plan = unsafe { &*environment.cast::<Plan>() };
    if plan.is_moving() {
        let error = "an item moves between this guard and another, which is done at a barrier only";
        conversion.error.set(error);
        return ConversionStatus::Failed;
    }
    // SAFETY: by the caller.
    unsafe { plan.run(conversion, &[]) }
}

/// One run of a plan that takes items of other guards, or gives some to them.
pub(super) struct Moving<'a> {
    pub(super) plan: &'a Plan,
    pub(super) taken: Vec<Taken>,
}

impl Moving<'_> {
    /// The converter that runs it. Good as long as this lives.
    pub(super) fn converter(&self) -> Converter {
        Converter {
            target: self.plan.target.0,
            forward: self.plan.forward,
            complement_size: self.plan.complement_size as u32,
            complement_align: ALIGN as u32,
            call: Some(run_moving),
            environment: std::ptr::from_ref(self).cast(),
            twin: None,
            drop_complement: Some(drop_complement_of_moving),
            visit_complement: None,
        }
    }
}

/// # Safety
/// `environment` is a `Moving`; else as for [`run`].
unsafe extern "C" fn run_moving(
    environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: only `Moving::converter` pairs this function with an environment; the values taken lie in
    // tuples that the caller of the moves holds the locks of.
    unsafe {
        let moving = &*environment.cast::<Moving<'_>>();
        moving.plan.run(conversion, &moving.taken)
    }
}

/// # Safety
/// `environment` is a `Moving`; else as for [`drop_complement`].
unsafe extern "C" fn drop_complement_of_moving(environment: *const c_void, complement: *mut u8) {
    // SAFETY: as for `run_moving`.
    unsafe {
        let moving = &*environment.cast::<Moving<'_>>();
        drop_complement(std::ptr::from_ref(moving.plan).cast(), complement);
    }
}

impl Step {
    /// # Safety
    /// As for [`run`].
    unsafe fn run(
        &self,
        conversion: &mut Conversion,
        made: Tag,
        taken: &[Taken],
    ) -> ConversionStatus {
        let Conversion {
            source,
            complement_in,
            target,
            complement_out,
            ..
        } = *conversion;
        // SAFETY: all offsets are inside the tuples and the complement that the caller promises.
        unsafe {
            match *self {
                Step::Regroup {
                    ref gather,
                    gathered,
                    ref spread,
                    given,
                    lens,
                } => {
                    let (mut taken, mut made) = (room(gathered), room(given));
                    move_pieces(gather, source, taken.as_mut_ptr().cast());
                    let status = through_lens(
                        conversion,
                        taken.as_ptr().cast(),
                        made.as_mut_ptr().cast(),
                        lens,
                        lens.kept_in(complement_in),
                    );
                    if status == ConversionStatus::Done {
                        move_pieces(spread, made.as_ptr().cast(), target);
                    }
                    return status;
                }
                Step::Move { from, to, size } => {
                    target
                        .add(to)
                        .copy_from_nonoverlapping(source.add(from), size);
                }
                Step::Keep {
                    from,
                    size,
                    complement,
                } => {
                    complement_out
                        .add(complement)
                        .copy_from_nonoverlapping(source.add(from), size);
                    conversion.is_vacant = false;
                }
                Step::Make {
                    to,
                    size,
                    complement,
                    ..
                } if !complement_in.is_null() => {
                    target
                        .add(to)
                        .copy_from_nonoverlapping(complement_in.add(complement), size);
                }
                Step::Make { to, .. } => {
                    // Only the version of the tuple that is made knows how the item begins.
                    let entry = Representation::of(made);
                    let Some(init) = entry.init_item else {
                        conversion
                            .error
                            .set("the version that has it is not loaded here");
                        return ConversionStatus::Failed;
                    };
                    return init(entry.items, to as u64, target, &mut conversion.error);
                }
                Step::Convert { from, to, lens } => {
                    let (source, target) = (source.add(from), target.add(to));
                    let kept = lens.kept_in(complement_in);
                    return through_lens(conversion, source, target, lens, kept);
                }
                Step::Take {
                    source,
                    to,
                    size,
                    lens,
                } => {
                    let Some(taken) = taken.iter().find(|taken| taken.source == source) else {
                        conversion.error.set("it is not where it was");
                        return ConversionStatus::Failed;
                    };
                    let target = target.add(to);
                    match lens {
                        None => target.copy_from_nonoverlapping(taken.value, size),
                        Some(lens) => {
                            let kept = taken.complement;
                            return through_lens(conversion, taken.value, target, lens, kept);
                        }
                    }
                }
                Step::Leave => {}
            }
        }
        ConversionStatus::Done
    }
}

/// Room for `size` bytes, with every alignment that a tuple can have.
fn room(size: usize) -> Vec<u128> {
    vec![0; size.div_ceil(size_of::<u128>())]
}

/// # Safety
/// Every piece lies inside the values at `from` and `to`.
unsafe fn move_pieces(pieces: &[Piece], from: *const u8, to: *mut u8) {
    for piece in pieces {
        // SAFETY: by the caller.
        unsafe {
            to.add(piece.to)
                .copy_from_nonoverlapping(from.add(piece.from), piece.size);
        }
    }
}

impl Lensed {
    /// Its part of a tuple's complement; null where there is none.
    fn kept_in(self, complement: *const u8) -> *const u8 {
        match self.has_complement && !complement.is_null() {
            true => complement.wrapping_add(self.complement),
            false => std::ptr::null(),
        }
    }
}

/// Calls a lens for a part of a tuple.
///
/// # Safety
/// As for [`run`]; `source` and `target` are what the lens takes and room for what it gives,
/// `complement_in` is what is kept of the source, or null.
unsafe fn through_lens(
    conversion: &mut Conversion,
    source: *const u8,
    target: *mut u8,
    lens: Lensed,
    complement_in: *const u8,
) -> ConversionStatus {
    let Lensed {
        call,
        complement,
        has_complement,
    } = lens;
    let mut part = Conversion {
        source,
        complement_in,
        target,
        complement_out: conversion.complement_out.wrapping_add(complement),
        is_vacant: false,
        error: ErrorText::default(),
    };
    // SAFETY: by the caller.
    let status = unsafe { call(std::ptr::null(), &mut part) };
    conversion.error = part.error;
    conversion.is_vacant &= part.is_vacant || !has_complement;
    status
}

unsafe extern "C" fn drop_complement(environment: *const c_void, complement: *mut u8) {
    // SAFETY: as for `run`; the caller gives a complement that `run` wrote, and a visitor.
    let plan = unsafe { &*environment.cast::<Plan>() };
    for part in &plan.parts {
        // SAFETY: the part was written by the step that it belongs to.
        unsafe { part.calls.drop(complement.add(part.offset)) };
    }
}

unsafe extern "C" fn visit_complement(
    environment: *const c_void,
    complement: *mut u8,
    visitor: *mut c_void,
) {
    // SAFETY: as for `run`; the caller gives a complement that `run` wrote.
    let (plan, visitor) = unsafe { (&*environment.cast::<Plan>(), visitor_of(visitor)) };
    visit_parts(visitor, plan.parts.len(), |index, mut visitor| {
        let part = &plan.parts[index];
        // A sweep is of this version, and whoever shows the item expects the forms of another.
        if part.calls.are_another_version_s() && visitor.changes_boxes() {
            return;
        }
        // SAFETY: the part was written by the step that it belongs to; the visitor outlives the call.
        unsafe {
            let value = complement.add(part.offset);
            part.calls.visit(value, (&raw mut visitor).cast());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: Tag = Tag(60_011);

    unsafe extern "C" fn seven(
        _: *const c_void,
        offset: u64,
        tuple: *mut u8,
        _: &mut ErrorText,
    ) -> ConversionStatus {
        // SAFETY: the plan gives room for a `u64`.
        unsafe { tuple.add(offset as usize).cast::<u64>().write(7 + offset) };
        ConversionStatus::Done
    }

    /// Runs a plan that moves one item and makes another.
    fn made(complement: Option<[u64; 2]>) -> (ConversionStatus, [u64; 2]) {
        let plan = Plan {
            takes: Vec::new(),
            gives: Vec::new(),
            steps: vec![
                Step::Move {
                    from: 0,
                    to: 0,
                    size: 8,
                },
                Step::Make {
                    to: 8,
                    size: 8,
                    complement: 0,
                },
            ],
            forward: true,
            twins: Vec::new(),
            names: vec!["kept".to_owned(), "dropped".to_owned()],
            parts: Vec::new(),
            complement_size: 16,
            target: MADE,
        };
        let (source, mut target) = ([3_u64], [0_u64; 2]);
        let complement_in = complement.as_ref().map_or(std::ptr::null(), |c| c.as_ptr());
        let mut conversion = Conversion {
            source: source.as_ptr().cast(),
            complement_in: complement_in.cast(),
            target: target.as_mut_ptr().cast(),
            complement_out: std::ptr::null_mut(),
            is_vacant: false,
            error: ErrorText::default(),
        };
        // SAFETY: source, target and complement have the places that the plan names.
        let status = unsafe { run(std::ptr::from_ref(&plan).cast(), &mut conversion) };
        (status, target)
    }

    // R3: an update to v1 of a server that began with v2, which has dropped an item of v1.
    #[test]
    fn an_item_that_only_the_target_has_begins_as_its_own_version_says() {
        assert_eq!(made(None), (ConversionStatus::Failed, [3, 0]));
        assert_eq!(made(Some([9, 0])), (ConversionStatus::Done, [3, 9]));
        // SAFETY: no other test uses this tag, and the table is mapped.
        unsafe { (*Representation::pointer(MADE)).init_item = Some(seven) };
        assert_eq!(made(None), (ConversionStatus::Done, [3, 15]));
        assert_eq!(made(Some([9, 0])), (ConversionStatus::Done, [3, 9]));
    }
}
