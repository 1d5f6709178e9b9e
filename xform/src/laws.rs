//! Checks that a lens loses nothing, on values and edits that the caller brings.
//!
//! They are plain functions, so that a property test can run them on generated values and a server on live ones.
//! Owns the laws; must never know how a lens does its work.
//!
//! The plain round trips are the laws of Hofmann, Pierce and Wagner (POPL 2011). They say nothing of a value that is
//! edited before it goes back, which is where most faults are; hence the laws about edits, after their *Edit Lenses* (POPL 2012).
//!
//! ```
//! use xform::{laws, convert, total};
//! let seconds = convert(total(|ms: &u64| ms / 1000), total(|s: &u64| s * 1000));
//! laws::from_left(&seconds, 1_234)
//!     .restored()?
//!     .edit_kept(|s| *s += 1)?
//!     .edits_agree(|s| *s = 9, |ms| *ms = 9_000)?;
//!
//! let wrong = convert(total(|ms: &u64| ms / 1000), total(|s: &u64| s * 1024));
//! let broken = laws::from_left(&wrong, 1_234).edits_agree(|s| *s = 9, |ms| *ms = 9_000).unwrap_err();
//! assert_eq!(broken.law, laws::Law::EditsAgree);
//! assert_eq!(broken.found, "9216");
//! # Ok::<(), laws::Broken>(())
//! ```

use std::fmt::{self, Debug};

use crate::{Directions, ErrorKind, Image, Inverse, Lens, LensError, Unrepresentable};

mod mixed;
mod property;

pub use mixed::{Held, Touch, TouchOf, mixed};
#[doc(hidden)]
pub use property::__agree_on;
pub use property::{Row, Tally, agree, every, rearranged, rehearse};

/// What a lens promises. *Here* is the side on which a check starts, *there* the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A crossing fails only on what the other side has no form for, never on what just came from there.
    Defined,
    /// The same value and complement give the same result every time.
    Repeatable,
    /// A vacant complement means the same as none.
    VacantIsNone,
    /// There and back is where it started, and so is every later trip.
    Restored,
    /// An edit made there is still to be seen there after a trip here and back.
    EditKept,
    /// An edit made there has the effect here that the same edit made here has, on every part.
    EditsAgree,
    /// Whether an element crosses when it is touched or at every touch of any makes no difference.
    LazyIsEager,
    /// A newer value without an older form meets what the lens declares, and the lens knows which those are.
    AsDeclared,
}

/// The side on which a check starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The older representation.
    Left,
    /// The newer representation.
    Right,
}

/// A law that does not hold, and the values that show it, in their `Debug` form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which law.
    pub law: Law,
    /// The side of `start`.
    pub side: Side,
    /// The value the check started with.
    pub start: String,
    /// What the law asks for.
    pub expected: String,
    /// What the lens gave.
    pub found: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "law {:?} broken for {:?} value {}: expected {}, found {}",
            self.law, self.side, self.start, self.expected, self.found
        )
    }
}

impl std::error::Error for Broken {}

/// Starts a check with an older value.
pub fn from_left<L: Lens>(lens: &L, left: L::Left) -> Check<&L> {
    Check {
        lens,
        side: Side::Left,
        start: left,
        declined: 0,
    }
}

/// Starts a check with a newer value. Of a lens that goes forward only, nothing can be asked then.
pub fn from_right<L: Lens>(lens: &L, right: L::Right) -> Check<Inverse<&L>> {
    Check {
        lens: Inverse::unchecked(lens),
        side: Side::Right,
        start: right,
        declined: 0,
    }
}

/// A lens under test, with the value to test it on. Each method checks one law and hands the check on.
pub struct Check<L: Lens> {
    lens: L,
    side: Side,
    start: L::Left,
    declined: usize,
}

/// Without the lens: those made of closures have no `Debug` form.
impl<L: Lens> Debug for Check<L>
where
    L::Left: Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("side", &self.side)
            .field("start", &self.start)
            .field("declined", &self.declined)
            .finish_non_exhaustive()
    }
}

/// An edit that can be made on either side to the same effect.
pub struct Edit<'a, Here, There> {
    /// Where it is made.
    pub made: Place,
    /// The edit as made on the side where the check started.
    pub here: &'a dyn Fn(&mut Here),
    /// The edit as made on the other side.
    pub there: &'a dyn Fn(&mut There),
}

/// A side as seen from the start of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The side on which the check started.
    Here,
    /// The other side.
    There,
}

/// A value on its way, with the complement from its last crossing.
enum Traveller<H, T, C> {
    Here(H, Option<C>),
    There(T, Option<C>),
}

type TravellerOf<L> = Traveller<<L as Lens>::Left, <L as Lens>::Right, <L as Lens>::Complement>;

/// Where the value of a crossing comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// From a user: the other side may have no form for it.
    Made,
    /// From the other side, unedited: that side must take it back.
    Returning,
}

/// Why a check ended early.
enum Stop {
    Broken(Broken),
    Declined,
}

impl<L> Check<L>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    /// Checks [`Law::Restored`]: there and back, twice.
    ///
    /// # Errors
    /// `Broken` if the lens breaks this law, or [`Law::Defined`] or [`Law::Repeatable`] on the way.
    pub fn restored(self) -> Result<Self, Broken> {
        self.attempt(|check| {
            let (there, kept) = check.go(&check.start, &None, Origin::Made)?;
            if check.lens.directions() == Directions::ForwardOnly {
                return Ok(());
            }
            let (here, kept) = check.come(&there, &Some(kept), Origin::Returning)?;
            check.same(Law::Restored, &here, &check.start)?;
            let (there_again, kept) = check.go(&here, &Some(kept), Origin::Returning)?;
            check.same(Law::Restored, &there_again, &there)?;
            let (here_again, _) = check.come(&there_again, &Some(kept), Origin::Returning)?;
            check.same(Law::Restored, &here_again, &check.start)
        })
    }

    /// Checks [`Law::EditKept`] for an edit made there.
    ///
    /// # Errors
    /// `Broken` if the lens breaks this law, or [`Law::Defined`] or [`Law::Repeatable`] on the way.
    pub fn edit_kept(self, edit: impl Fn(&mut L::Right)) -> Result<Self, Broken> {
        self.attempt(|check| {
            let (mut there, kept) = check.go(&check.start, &None, Origin::Made)?;
            edit(&mut there);
            if check.lens.directions() == Directions::ForwardOnly {
                return Ok(());
            }
            let (here, kept) = check.come(&there, &Some(kept), Origin::Made)?;
            let (there_again, kept) = check.go(&here, &Some(kept), Origin::Returning)?;
            check.same(Law::EditKept, &there_again, &there)?;
            let (here_again, _) = check.come(&there_again, &Some(kept), Origin::Returning)?;
            check.same(Law::EditKept, &here_again, &here)
        })
    }

    /// Checks [`Law::EditKept`] for an edit made here after another made there: what the first left in the complement must
    /// not undo the second.
    ///
    /// # Errors
    /// `Broken` if the lens breaks this law, or [`Law::Defined`] or [`Law::Repeatable`] on the way.
    pub fn edits_kept(
        self,
        there: impl Fn(&mut L::Right),
        here: impl Fn(&mut L::Left),
    ) -> Result<Self, Broken> {
        self.attempt(|check| {
            let (mut right, kept) = check.go(&check.start, &None, Origin::Made)?;
            there(&mut right);
            if check.lens.directions() == Directions::ForwardOnly {
                return Ok(());
            }
            let (mut left, kept) = check.come(&right, &Some(kept), Origin::Made)?;
            here(&mut left);
            let (right, kept) = check.go(&left, &Some(kept), Origin::Made)?;
            let (again, _) = check.come(&right, &Some(kept), Origin::Returning)?;
            check.same(Law::EditKept, &again, &left)
        })
    }

    /// Checks [`Law::EditsAgree`] for one edit, made there.
    ///
    /// # Errors
    /// `Broken` if the lens breaks this law, or [`Law::Defined`] or [`Law::Repeatable`] on the way.
    pub fn edits_agree(
        self,
        there: impl Fn(&mut L::Right),
        here: impl Fn(&mut L::Left),
    ) -> Result<Self, Broken> {
        self.history(&[Edit {
            made: Place::There,
            here: &here,
            there: &there,
        }])
    }

    /// Checks [`Law::EditsAgree`] for a row of edits, each made on the side it names, crossing as needed:
    /// what comes out here must be what it would be had all of them been made here.
    ///
    /// # Errors
    /// `Broken` if the lens breaks this law, or [`Law::Defined`] or [`Law::Repeatable`] on the way.
    pub fn history(self, edits: &[Edit<'_, L::Left, L::Right>]) -> Result<Self, Broken> {
        self.attempt(|check| {
            if check.lens.directions() == Directions::ForwardOnly {
                return Ok(());
            }
            let mut expected = check.copy(&check.start)?;
            let mut traveller = Traveller::Here(check.copy(&check.start)?, None);
            for edit in edits {
                (edit.here)(&mut expected);
                traveller = check.bring(traveller, edit.made)?;
                match &mut traveller {
                    Traveller::Here(value, _) => (edit.here)(value),
                    Traveller::There(value, _) => (edit.there)(value),
                }
            }
            match check.bring(traveller, Place::Here)? {
                Traveller::Here(found, _) => check.same(Law::EditsAgree, &found, &expected),
                Traveller::There(..) => Ok(()),
            }
        })
    }

    /// How many checks ended early, with nothing shown either way: the lens declined a made or edited value as
    /// unrepresentable, which is its right, or there was no memory.
    pub fn declined(&self) -> usize {
        self.declined
    }

    fn attempt(mut self, check: impl FnOnce(&Self) -> Result<(), Stop>) -> Result<Self, Broken> {
        if self.side == Side::Right && self.lens.directions() == Directions::ForwardOnly {
            return Ok(self);
        }
        match check(&self) {
            Ok(()) => Ok(self),
            Err(Stop::Declined) => {
                self.declined += 1;
                Ok(self)
            }
            Err(Stop::Broken(broken)) => Err(broken),
        }
    }

    fn bring(&self, traveller: TravellerOf<L>, to: Place) -> Result<TravellerOf<L>, Stop> {
        Ok(match (traveller, to) {
            (Traveller::Here(value, kept), Place::There) => {
                let (value, kept) = self.go(&value, &kept, Origin::Made)?;
                Traveller::There(value, Some(kept))
            }
            (Traveller::There(value, kept), Place::Here) => {
                let (value, kept) = self.come(&value, &kept, Origin::Made)?;
                Traveller::Here(value, Some(kept))
            }
            (stays, _) => stays,
        })
    }

    fn go(
        &self,
        here: &L::Left,
        kept: &Option<L::Complement>,
        origin: Origin,
    ) -> Result<(L::Right, L::Complement), Stop> {
        self.cross(here, kept, origin, |value, kept| {
            self.lens.forward(value, kept)
        })
    }

    fn come(
        &self,
        there: &L::Right,
        kept: &Option<L::Complement>,
        origin: Origin,
    ) -> Result<(L::Left, L::Complement), Stop> {
        self.cross(there, kept, origin, |value, kept| {
            self.lens.backward(value, kept)
        })
    }

    /// Crosses with copies, twice, and compares.
    fn cross<From: Image, To: Image + Debug>(
        &self,
        value: &From,
        kept: &Option<L::Complement>,
        origin: Origin,
        crossing: impl Fn(From, Option<L::Complement>) -> Result<(To, L::Complement), LensError>,
    ) -> Result<(To, L::Complement), Stop> {
        let once = || {
            let kept = kept.as_ref().map(|kept| self.copy(kept)).transpose()?;
            crossing(self.copy(value)?, kept).map_err(|error| self.refused(&error, origin))
        };
        let (first, second) = (once()?, once()?);
        self.same(Law::Repeatable, &second.0, &first.0)?;
        if !second.1.matches(&first.1) {
            return Err(self.broken(Law::Repeatable, "the same complement", "another"));
        }
        if kept.as_ref().is_some_and(|kept| self.lens.is_vacant(kept)) {
            let (without, _) =
                crossing(self.copy(value)?, None).map_err(|error| self.refused(&error, origin))?;
            self.same(Law::VacantIsNone, &without, &first.0)?;
        }
        Ok(first)
    }

    fn copy<T: Image>(&self, value: &T) -> Result<T, Stop> {
        value
            .duplicate()
            .map_err(|error| self.refused(&error, Origin::Returning))
    }

    fn refused(&self, error: &LensError, origin: Origin) -> Stop {
        match (error.kind(), origin) {
            (ErrorKind::NoRoom, _) | (ErrorKind::Unrepresentable, Origin::Made) => Stop::Declined,
            _ => self.broken(Law::Defined, "a value", error.to_string()),
        }
    }

    fn same<T: Image + Debug>(&self, law: Law, found: &T, expected: &T) -> Result<(), Stop> {
        if found.matches(expected) {
            return Ok(());
        }
        Err(self.broken(law, format!("{expected:?}"), format!("{found:?}")))
    }

    fn broken(&self, law: Law, expected: impl Into<String>, found: impl Into<String>) -> Stop {
        Stop::Broken(Broken {
            law,
            side: self.side,
            start: format!("{:?}", self.start),
            expected: expected.into(),
            found: found.into(),
        })
    }
}

/// Checks [`Law::AsDeclared`] for one newer value: `backward` must treat it as [`Lens::unrepresentable`] says, and
/// [`Lens::represents`] must know.
///
/// # Errors
/// `Broken` if the lens breaks this law.
pub fn as_declared<L>(lens: &L, right: L::Right) -> Result<(), Broken>
where
    L: Lens,
    L::Right: Debug,
{
    let start = format!("{right:?}");
    let is_represented = lens.represents(&right);
    let declared = lens.unrepresentable();
    let found = match lens.backward(right, None) {
        Ok(_) => "a form",
        Err(error) if error.kind() == ErrorKind::Unrepresentable => "none",
        Err(_) => return Ok(()),
    };
    let expected = match (declared, is_represented) {
        (Unrepresentable::Placeholder, _) | (Unrepresentable::Forbid, true) => "a form",
        (Unrepresentable::Forbid, false) => "none",
        (Unrepresentable::Foreign, _) => found,
    };
    if found == expected {
        return Ok(());
    }
    Err(Broken {
        law: Law::AsDeclared,
        side: Side::Right,
        start,
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}
