//! Transformers of a guard's item tuple, laid out from the two versions' manifests (R3).
//!
//! An item that did not change is moved as it is; one with a lens goes through it; one that only the
//! target has is taken from the complement or made; one that only the source has goes into the
//! complement. All steps read the source tuple, which stays as it is until the root is published.
#![allow(unsafe_code)] // moves items between tuples by offset

use crate::abi::{
    Conversion, ConversionStatus, ConvertFn, Converter, DropFn, ErrorText, Representation, VisitFn,
};
use crate::ids::Tag;
use std::ffi::c_void;

/// What happens to one item. Offsets are in bytes from the start of tuple or complement.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Unchanged: moved bit by bit.
    Move { from: usize, to: usize, size: usize },
    /// Through a lens, whose complement lies at `complement`.
    Convert {
        from: usize,
        to: usize,
        call: ConvertFn,
        complement: usize,
        has_complement: bool,
    },
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

/// A part of the tuple's complement.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) drop: Option<DropFn>,
    pub(super) visit: Option<VisitFn>,
}

/// One direction of a tuple transformer. Never freed: converters point to it.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
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
    pub(super) fn converter(&'static self, target: Tag, forward: bool) -> Converter {
        Converter {
            target: target.0,
            forward,
            complement_size: self.complement_size as u32,
            complement_align: ALIGN as u32,
            call: Some(run),
            environment: std::ptr::from_ref(self).cast(),
            drop_complement: Some(drop_complement),
            visit_complement: Some(visit_complement),
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
    for (step, name) in plan.steps.iter().zip(&plan.names) {
        // SAFETY: the caller's promise, and the offsets of the two layouts.
        let status = unsafe { step.run(conversion, plan.target) };
        if status != ConversionStatus::Done {
            let reason = conversion.error.get().to_owned();
            conversion.error.set(&format!("item {name}: {reason}"));
            return status;
        }
    }
    ConversionStatus::Done
}

impl Step {
    /// # Safety
    /// As for [`run`].
    unsafe fn run(self, conversion: &mut Conversion, made: Tag) -> ConversionStatus {
        let Conversion {
            source,
            complement_in,
            target,
            complement_out,
            ..
        } = *conversion;
        // SAFETY: all offsets are inside the tuples and the complement that the caller promises.
        unsafe {
            match self {
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
                    return init(
                        entry.items,
                        to as u64,
                        target.add(to),
                        &mut conversion.error,
                    );
                }
                Step::Convert {
                    from,
                    to,
                    call,
                    complement,
                    has_complement,
                } => {
                    let mut part = Conversion {
                        source: source.add(from),
                        complement_in: if has_complement && !complement_in.is_null() {
                            complement_in.add(complement)
                        } else {
                            std::ptr::null()
                        },
                        target: target.add(to),
                        complement_out: complement_out.wrapping_add(complement),
                        error: ErrorText::default(),
                    };
                    let status = call(std::ptr::null(), &mut part);
                    conversion.error = part.error;
                    return status;
                }
            }
        }
        ConversionStatus::Done
    }
}

unsafe extern "C" fn drop_complement(environment: *const c_void, complement: *mut u8) {
    // SAFETY: as for `run`; the caller gives a complement that `run` wrote.
    let plan = unsafe { &*environment.cast::<Plan>() };
    for part in &plan.parts {
        if let Some(drop) = part.drop {
            // SAFETY: the part was written by the step that it belongs to.
            unsafe { drop(complement.add(part.offset)) };
        }
    }
}

unsafe extern "C" fn visit_complement(
    environment: *const c_void,
    complement: *mut u8,
    visitor: *mut c_void,
) {
    // SAFETY: as for `run`; the caller gives a complement that `run` wrote.
    let plan = unsafe { &*environment.cast::<Plan>() };
    for part in &plan.parts {
        if let Some(visit) = part.visit {
            // SAFETY: the part was written by the step that it belongs to.
            unsafe { visit(complement.add(part.offset), visitor) };
        }
    }
}
