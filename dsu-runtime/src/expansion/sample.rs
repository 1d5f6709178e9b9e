//! Values made of draws, by the table of their type (R15).
//!
//! By the table and not by constructors, which a derive would have to write: a variant that it makes counts
//! as made, and the compiler would not tell the author of one that nothing makes.
#![allow(unsafe_code)] // writes fields where the derive says that they lie

use super::shape::{Body, Shaped};
use crate::heap::Draws;
use std::mem::MaybeUninit;

/// A value of `T`; `None` where one of its fields has none.
pub fn sample<T: Shaped>(draws: &mut Draws) -> Option<T> {
    // What is drawn has no block: parts that were made before one cannot be are forgotten.
    let mut value = MaybeUninit::<T>::zeroed();
    let base = value.as_mut_ptr().cast::<u8>();
    let fields = match T::SHAPE.body {
        Body::Struct { fields } => fields,
        Body::Enum { repr, variants } => {
            let variant = &variants[draws.choice(variants.len())];
            let bytes = variant.discriminant.to_le_bytes();
            // SAFETY: the discriminant of an enum with a `repr` is an integer of that type in front of
            // everything else (RFC 2195).
            unsafe { base.copy_from_nonoverlapping(bytes.as_ptr(), width(repr)) };
            variant.fields
        }
    };
    for field in fields {
        // SAFETY: `Shaped` promises that a field of this type lies at this offset in this variant.
        if !unsafe { (field.sample)(base.add(field.offset), draws) } {
            return None;
        }
    }
    // SAFETY: all fields were written, and the discriminant where there is one.
    Some(unsafe { value.assume_init() })
}

/// Bytes of the integer of a discriminant.
fn width(repr: &str) -> usize {
    match repr {
        "u8" | "i8" => 1,
        "u16" | "i16" => 2,
        "u32" | "i32" => 4,
        _ => 8,
    }
}
