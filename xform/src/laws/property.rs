//! All the laws at once: for a property test, for a row of elements, for live values.
//!
//! Owns which checks belong together; the laws themselves are in [`laws`](crate::laws).

use std::collections::VecDeque;
use std::fmt::Debug;

use super::{Broken, Edit, Place, as_declared, from_left, from_right};
use crate::{Image, Lens};

/// How much a check could show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks of values that crossed.
    pub held: usize,
    /// Checks that ended early, because the lens declined a value or there was no memory.
    pub declined: usize,
}

impl Tally {
    fn count(&mut self, declined: usize, checks: usize) {
        self.declined += declined;
        self.held += checks - declined;
    }
}

/// Sets a value to a copy of another; without memory for it the value stays.
fn set<T: Image>(to: &T) -> impl Fn(&mut T) + '_ {
    move |value| {
        if let Ok(copy) = to.duplicate() {
            *value = copy;
        }
    }
}

/// Checks every law that can be checked knowing nothing of the lens but values: round trips from both sides, each value
/// edited into each other one on either side, and what is declared of values without an older form.
///
/// # Errors
/// The first law that does not hold, with the values.
pub fn every<L>(lens: &L, older: &[L::Left], newer: &[L::Right]) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    let mut tally = Tally::default();
    for right in newer.iter().filter_map(|right| right.duplicate().ok()) {
        as_declared(lens, right)?;
    }
    for left in older {
        for right in newer {
            for other in older {
                let Ok(start) = left.duplicate() else {
                    continue;
                };
                let check = from_left(lens, start)
                    .restored()?
                    .edit_kept(set(right))?
                    .edits_kept(set(right), set(other))?;
                tally.count(check.declined(), 3);
            }
            for other in newer {
                let Ok(start) = right.duplicate() else {
                    continue;
                };
                let check = from_right(lens, start)
                    .restored()?
                    .edit_kept(set(left))?
                    .edits_kept(set(left), set(other))?;
                tally.count(check.declined(), 3);
            }
        }
    }
    Ok(tally)
}

/// Checks that one edit has the same effect on whichever side it is made, once and again after it was made on the other.
///
/// # Errors
/// The first law that does not hold, with the values.
pub fn agree<L>(
    lens: &L,
    older: L::Left,
    newer: L::Right,
    edit_older: impl Fn(&mut L::Left),
    edit_newer: impl Fn(&mut L::Right),
) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    let places = [Place::There, Place::Here, Place::There];
    let mut tally = Tally::default();
    let check = from_left(lens, older)
        .edits_agree(&edit_newer, &edit_older)?
        .history(&places.map(|made| Edit {
            made,
            here: &edit_older,
            there: &edit_newer,
        }))?;
    tally.count(check.declined(), 2);
    let check = from_right(lens, newer)
        .edits_agree(&edit_older, &edit_newer)?
        .history(&places.map(|made| Edit {
            made,
            here: &edit_newer,
            there: &edit_older,
        }))?;
    tally.count(check.declined(), 2);
    Ok(tally)
}

/// A sequence whose elements can be rearranged.
pub trait Row {
    /// How many there are.
    fn length(&self) -> usize;

    /// Removes an element.
    fn delete(&mut self, at: usize);

    /// Exchanges two elements.
    fn exchange(&mut self, a: usize, b: usize);

    /// Puts a copy of an element in front of all.
    fn copy_to_front(&mut self, at: usize);

    /// Puts a copy of an element behind it.
    fn duplicate_at(&mut self, at: usize);
}

macro_rules! row {
    ($($collection:ident)*) => {$(
        impl<T: Clone> Row for $collection<T> {
            fn length(&self) -> usize {
                self.len()
            }

            fn delete(&mut self, at: usize) {
                self.remove(at);
            }

            fn exchange(&mut self, a: usize, b: usize) {
                self.swap(a, b);
            }

            fn copy_to_front(&mut self, at: usize) {
                let copy = self[at].clone();
                self.insert(0, copy);
            }

            fn duplicate_at(&mut self, at: usize) {
                let copy = self[at].clone();
                self.insert(at + 1, copy);
            }
        }
    )*};
}

row!(Vec VecDeque);

/// Checks the edits that plain round trips say nothing of (R8). Elements deleted or exchanged on one side must be so on the
/// other, whatever they keep; elements copied must stay what they are. `a` and `b` choose the elements.
///
/// # Errors
/// The first law that does not hold, with the values.
pub fn rearranged<L>(
    lens: &L,
    older: L::Left,
    newer: L::Right,
    a: usize,
    b: usize,
) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Row + Image + Debug,
    L::Right: Row + Image + Debug,
    L::Complement: Image,
{
    fn delete(row: &mut impl Row, at: usize) {
        if row.length() > 0 {
            row.delete(at % row.length());
        }
    }
    fn exchange(row: &mut impl Row, a: usize, b: usize) {
        if row.length() > 0 {
            row.exchange(a % row.length(), b % row.length());
        }
    }
    fn copy(row: &mut impl Row, to_front: usize, duplicated: usize) {
        if row.length() > 0 {
            row.copy_to_front(to_front % row.length());
            row.duplicate_at(duplicated % row.length());
        }
    }
    let mut tally = Tally::default();
    let check = from_left(lens, older)
        .edits_agree(|row| delete(row, a), |row| delete(row, a))?
        .edits_agree(|row| exchange(row, a, b), |row| exchange(row, a, b))?
        .edit_kept(|row| copy(row, a, b))?;
    tally.count(check.declined(), 3);
    let check = from_right(lens, newer)
        .edits_agree(|row| delete(row, a), |row| delete(row, a))?
        .edits_agree(|row| exchange(row, a, b), |row| exchange(row, a, b))?
        .edit_kept(|row| copy(row, a, b))?;
    tally.count(check.declined(), 3);
    Ok(tally)
}

/// Checks round trips of live values, as they are met: nothing is generated and nothing edited. For newer values hand in the
/// [`inverse`](crate::inverse) of the lens.
///
/// # Errors
/// The first law that does not hold, with the value.
pub fn rehearse<L>(lens: &L, live: impl IntoIterator<Item = L::Left>) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    let mut tally = Tally::default();
    for value in live {
        tally.count(from_left(lens, value).restored()?.declined(), 1);
    }
    Ok(tally)
}

/// Turns a lens into a module of property tests. The crate that uses it has `proptest` among its dependencies.
///
/// ```
/// # mod tests {
/// use proptest::prelude::*;
/// use xform::{Convert, LensError, convert};
///
/// fn seconds() -> Convert<u64, u64> {
///     xform::convert(|ms| Ok(ms / 1000), |s: &u64| {
///         s.checked_mul(1000).ok_or(LensError::unrepresentable("too far away"))
///     })
/// }
/// xform::lens_laws! {
///     mod seconds_and_milliseconds: super::seconds();
///     older: any::<u64>();
///     newer: any::<u64>();
///     /// A time set by either version is that time.
///     edit both_set_a_time(0..1_000_u64): |ms, to| *ms = to * 1000, |s, to| *s = *to;
/// }
/// # }
/// ```
///
/// The lens and the strategies are expressions in a module inside the one where the macro stands, with `use super::*`.
/// `round_trips_and_edits` runs [`every`](crate::laws::every) on two values of each side; each `edit` is a test that runs
/// [`agree`](crate::laws::agree) on a pair of closures, with a value of its strategy.
/// A counter-example is the smallest that proptest finds, and names the law.
#[macro_export]
macro_rules! lens_laws {
    (
        $(#[$meta:meta])*
        mod $name:ident: $lens:expr;
        older: $older:expr;
        newer: $newer:expr;
        $($(#[$edit_meta:meta])* edit $edit:ident($to:expr): $edit_older:expr, $edit_newer:expr;)*
    ) => {
        $(#[$meta])*
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            ::proptest::proptest! {
                #[test]
                fn round_trips_and_edits(
                    older in ::proptest::collection::vec($older, 2),
                    newer in ::proptest::collection::vec($newer, 2),
                ) {
                    $crate::laws::every(&$lens, &older, &newer)?;
                }
            }

            $(::proptest::proptest! {
                $(#[$edit_meta])*
                #[test]
                fn $edit(older in $older, newer in $newer, to in $to) {
                    $crate::laws::__agree_on(&$lens, older, newer, &to, $edit_older, $edit_newer)?;
                }
            })*
        }
    };
}

/// [`agree`] with the value that both closures take; here so that their arguments have types.
#[doc(hidden)]
pub fn __agree_on<L, T>(
    lens: &L,
    older: L::Left,
    newer: L::Right,
    to: &T,
    edit_older: impl Fn(&mut L::Left, &T),
    edit_newer: impl Fn(&mut L::Right, &T),
) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    agree(
        lens,
        older,
        newer,
        |value| edit_older(value, to),
        |value| edit_newer(value, to),
    )
}
