//! The trait that every transformation implements, and which ways it goes.
//!
//! Owns the contract; must never know any particular operation.

use crate::complement::says_something;
use crate::{LensError, Losses, Toward};

/// A transformation between an older and a newer representation that goes both ways and loses nothing.
///
/// The complement returned with a value belongs to whatever holds that value, and is handed back at the next crossing,
/// in whichever direction that is. A holder whose value was replaced rather than edited hands in `None`:
/// what is missing then takes its default.
///
/// A lens must be a pure function of its arguments: callers repeat a crossing that was interrupted. It keeps nothing of
/// them: what it was given is in what it returns, or is dropped. A caller may go on with a value that it handed in bit by
/// bit when the lens fails or panics (`dsu_runtime` does); a lens that laid it aside, in a thread-local, has what somebody
/// else has as well then, and drops it a second time.
/// A complement that is *vacant* says nothing: `None` and `Some` of it mean the same, and whoever stores complements need
/// not store it. One of size zero is always vacant.
///
/// Symmetric lenses after Hofmann, Pierce and Wagner (POPL 2011).
pub trait Lens {
    /// The older representation.
    type Left;
    /// The newer representation.
    type Right;
    /// What the side that holds the value at the moment has no room for.
    type Complement;

    /// Which ways this lens goes. An update over a lens that goes forward only cannot be taken back (R14).
    const DIRECTIONS: Directions = Directions::Both;

    /// Turns the older representation into the newer one.
    ///
    /// # Errors
    /// `Unrepresentable` if the newer side has no form for this value, `Failed` for anything else.
    /// The arguments are gone then: a caller that wants to keep them must hand in copies,
    /// or see to it that dropping takes effect only on success.
    fn forward(
        &self,
        left: Self::Left,
        complement: Option<Self::Complement>,
    ) -> Result<(Self::Right, Self::Complement), LensError>;

    /// Turns the newer representation into the older one.
    ///
    /// # Errors
    /// As for [`forward`](Lens::forward), with the sides exchanged.
    fn backward(
        &self,
        right: Self::Right,
        complement: Option<Self::Complement>,
    ) -> Result<(Self::Left, Self::Complement), LensError>;

    /// Whether `complement` says no more than none does. A lens that says so too seldom costs memory, nothing else.
    fn is_vacant(&self, complement: &Self::Complement) -> bool {
        let _ = complement;
        !says_something::<Self::Complement>()
    }

    /// [`Self::DIRECTIONS`], of a lens at hand.
    fn directions(&self) -> Directions {
        Self::DIRECTIONS
    }

    /// Adds to `report` what takes a default on the way `toward` a side where no complement is at hand (R10).
    fn losses(&self, toward: Toward, report: &mut Losses) {
        let _ = (toward, report);
    }

    /// What becomes of newer values that the older side has no form for.
    fn unrepresentable(&self) -> Unrepresentable {
        Unrepresentable::Foreign
    }

    /// Whether the older side has a form for `right`, a stand-in counted. A lens that says [`Unrepresentable::Forbid`] must
    /// answer exactly. Of others it is asked before [`backward`](Lens::backward), which drops a value that it cannot turn
    /// back: one that says `true` too often costs as much time as the value is large, nothing else.
    fn represents(&self, right: &Self::Right) -> bool {
        let _ = right;
        true
    }
}

/// What becomes of newer values that the older side has no form for. Of a lens with several parts, what the strictest says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unrepresentable {
    /// They are foreign to the older side: [`Lens::backward`] fails with `Unrepresentable`.
    #[default]
    Foreign,
    /// The older side sees a stand-in, and the complement keeps the value: as long as nobody edits the stand-in, it comes
    /// back as it was.
    Placeholder,
    /// They are not to be made while the older side may look; one that is there all the same is foreign to it.
    Forbid,
}

/// Which ways a lens goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Directions {
    /// Forward and backward.
    Both,
    /// Forward only; `backward` always fails.
    ForwardOnly,
}

impl Directions {
    /// The ways that two lenses go together.
    #[must_use]
    pub const fn and(self, other: Directions) -> Directions {
        match (self, other) {
            (Directions::Both, Directions::Both) => Directions::Both,
            _ => Directions::ForwardOnly,
        }
    }
}

impl<L: Lens + ?Sized> Lens for &L {
    type Left = L::Left;
    type Right = L::Right;
    type Complement = L::Complement;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(
        &self,
        left: L::Left,
        complement: Option<L::Complement>,
    ) -> Result<(L::Right, L::Complement), LensError> {
        (**self).forward(left, complement)
    }

    fn backward(
        &self,
        right: L::Right,
        complement: Option<L::Complement>,
    ) -> Result<(L::Left, L::Complement), LensError> {
        (**self).backward(right, complement)
    }

    fn is_vacant(&self, complement: &L::Complement) -> bool {
        (**self).is_vacant(complement)
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        (**self).losses(toward, report);
    }

    fn unrepresentable(&self) -> Unrepresentable {
        (**self).unrepresentable()
    }

    fn represents(&self, right: &L::Right) -> bool {
        (**self).represents(right)
    }
}

/// The same lens, which must go both ways: one that does not is a compile error.
///
/// ```compile_fail,E0080
/// let hashed = xform::two_way(xform::one_way(|name: String| Ok(name.len())));
/// ```
pub const fn two_way<L: Lens>(lens: L) -> L {
    const {
        assert!(
            matches!(L::DIRECTIONS, Directions::Both),
            "this lens goes forward only: an update over it cannot be taken back"
        );
    }
    lens
}
