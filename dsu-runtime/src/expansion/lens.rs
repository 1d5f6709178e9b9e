//! A registered lens over untyped values: what `transformer!` names. No panic leaves it.
#![allow(unsafe_code)] // reads and writes typed values through raw pointers

use crate::abi::{
    Conversion, ConversionStatus, ForbidCell, LensDirections, LensLoss, LensLosses, LensPolicy,
    LossKind,
};
use crate::error::{MakeError, panic_text};
use crate::heap::Element;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use xform::{Directions, ErrorKind, Lens, LensError, Loss, Losses, Toward, Unrepresentable};

/// Which ways the lens `L` goes.
pub fn directions<L: Lens + Default>() -> LensDirections {
    match L::default().directions() {
        Directions::Both => LensDirections::Both,
        Directions::ForwardOnly => LensDirections::ForwardOnly,
    }
}

/// What the lens `L` declares of values that its older side has no form for.
pub fn policy<L: Lens + Default>() -> LensPolicy {
    match L::default().unrepresentable() {
        Unrepresentable::Foreign => LensPolicy::Foreign,
        Unrepresentable::Placeholder => LensPolicy::Placeholder,
        Unrepresentable::Forbid => LensPolicy::Forbid,
    }
}

/// What the lens `L` loses without a complement, of sides of these names (R10). A lens that keeps
/// something and says nothing about it is said to lose something.
pub fn losses<L: Lens + Default>(older: &str, newer: &str) -> LensLosses {
    let lens = L::default();
    let of = |name: &str, toward| -> Vec<LensLoss> {
        let found = Losses::of(&lens, name, toward);
        let each = found.iter().map(|(path, loss)| LensLoss {
            path: path.to_owned(),
            kind: match loss {
                Loss::Defaulted => LossKind::Defaulted,
                Loss::Approximated => LossKind::Approximated,
            },
        });
        each.collect()
    };
    let mut all = LensLosses {
        older: of(older, Toward::Older),
        newer: of(newer, Toward::Newer),
    };
    if size_of::<L::Complement>() > 0 && all.older.is_empty() && all.newer.is_empty() {
        let unstated = |name: &str| LensLoss {
            path: name.to_owned(),
            kind: LossKind::Unstated,
        };
        all.older.push(unstated(older));
        all.newer.push(unstated(newer));
    }
    all
}

/// Whether the older side of the lens `L` has a form for a value; false if asking panics.
///
/// # Safety
/// `right` points to a value of the lens's newer type, which nobody writes meanwhile.
pub unsafe extern "C" fn represents<L: Lens + Default>(right: *const u8) -> bool {
    // SAFETY: the caller's promise.
    let right = unsafe { &*right.cast::<L::Right>() };
    catch_unwind(AssertUnwindSafe(|| L::default().represents(right))).unwrap_or(false)
}

/// Whether a value may be put into a box now, by what was bound into the type's cell (R12).
///
/// # Errors
/// `NotYet`.
#[inline]
pub fn admit<T: Element>(value: &T, cell: &ForbidCell) -> Result<(), MakeError> {
    // SAFETY: the derive gives the cell of the type.
    match unsafe { cell.allows(std::ptr::from_ref(value).cast()) } {
        true => Ok(()),
        false => Err(MakeError::NotYet),
    }
}

/// Older to newer by the lens `L`.
///
/// # Safety
/// See [`Conversion`]: the pointers are to values of the lens's types, and room for them.
pub unsafe extern "C" fn forward<L: Lens + Default>(
    _environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: the caller's promise.
    unsafe {
        convert(
            conversion,
            |left, kept| L::default().forward(left, kept),
            |kept| L::default().is_vacant(kept),
            |_| true,
        )
    }
}

/// Newer to older by the lens `L`.
///
/// # Safety
/// See [`Conversion`]: the pointers are to values of the lens's types, and room for them.
pub unsafe extern "C" fn backward<L: Lens + Default>(
    _environment: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: the caller's promise.
    unsafe {
        convert(
            conversion,
            |right, kept| L::default().backward(right, kept),
            |kept| L::default().is_vacant(kept),
            |right| L::default().represents(right),
        )
    }
}

/// # Safety
/// `conversion` points to a `From` and, where not null, a `Complement`, and to room for a `To` and a
/// `Complement`. The source is moved out of bit by bit; the caller keeps or forgets it afterwards.
unsafe fn convert<From, To, Complement>(
    conversion: &mut Conversion,
    lens: impl FnOnce(From, Option<Complement>) -> Result<(To, Complement), LensError>,
    is_vacant: impl FnOnce(&Complement) -> bool,
    is_possible: impl FnOnce(&From) -> bool,
) -> ConversionStatus {
    let body = || {
        // Before it is moved: a lens that fails drops it, which takes time by its size.
        // SAFETY: the caller's promise.
        if !is_possible(unsafe { &*conversion.source.cast::<From>() }) {
            return Err(LensError::unrepresentable("the lens has no form for it"));
        }
        // SAFETY: the caller's promise.
        let (source, kept) = unsafe {
            let kept = conversion.complement_in.cast::<Complement>();
            (
                conversion.source.cast::<From>().read(),
                (!kept.is_null()).then(|| kept.read()),
            )
        };
        let (value, complement) = lens(source, kept)?;
        let is_vacant = is_vacant(&complement);
        Ok::<_, LensError>((value, complement, is_vacant))
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok((value, complement, is_vacant))) => {
            conversion.is_vacant = is_vacant;
            // SAFETY: the caller's promise; a complement of size 0 is written nowhere.
            unsafe {
                conversion.target.cast::<To>().write(value);
                if size_of::<Complement>() > 0 {
                    conversion
                        .complement_out
                        .cast::<Complement>()
                        .write(complement);
                }
            }
            ConversionStatus::Done
        }
        Ok(Err(error)) => {
            conversion.error.set(&error.to_string());
            match error.kind() {
                ErrorKind::Unrepresentable => ConversionStatus::Unrepresentable,
                ErrorKind::Failed => ConversionStatus::Failed,
                ErrorKind::NoRoom => ConversionStatus::HeapFull,
            }
        }
        Err(payload) => {
            conversion.error.set(panic_text(&*payload));
            ConversionStatus::Panicked
        }
    }
}
