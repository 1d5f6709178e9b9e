//! What is lost where no complement is at hand, as data: the report before a change that goes back further than
//! complements live (R10).
//!
//! Owns the report; a lens adds to it by [`Lens::losses`](crate::Lens::losses).

use std::fmt;

use crate::Segment;

/// The side that a change goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toward {
    /// To the older side: backward.
    Older,
    /// To the newer side: forward.
    Newer,
}

impl Toward {
    /// The other side.
    #[must_use]
    pub const fn flipped(self) -> Toward {
        match self {
            Toward::Older => Toward::Newer,
            Toward::Newer => Toward::Older,
        }
    }
}

/// What happens to a part of a value that crosses without its complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// It takes its default.
    Defaulted,
    /// It is computed from its image, which may have less to say.
    Approximated,
}

/// The parts of a value that are not what they were once it has crossed without a complement.
///
/// ```
/// use xform::{Lens, Losses, Toward};
/// # pub struct Old { flags: u8 } pub struct New { ttl: u64 }
/// xform::record! { pub struct EntryLens: Old => New { drop flags: u8 = 0; add ttl: u64 = 0; } }
/// let back = Losses::of(&EntryLens, "Entry", Toward::Older);
/// assert_eq!(back.to_string(), "lossy: Entry.flags");
/// let on = Losses::of(&EntryLens, "Entry", Toward::Newer);
/// assert_eq!(on.to_string(), "lossy: Entry.ttl");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losses {
    here: String,
    found: Vec<(String, Loss)>,
}

impl Losses {
    /// What `lens` loses of a value called `name` on the way `toward` a side, with no complement at hand.
    pub fn of<L: crate::Lens>(lens: &L, name: &str, toward: Toward) -> Losses {
        let mut report = Losses {
            here: name.to_owned(),
            found: Vec::new(),
        };
        lens.losses(toward, &mut report);
        report
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The paths of what is lost, in the order of the rules of their lenses.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Loss)> {
        self.found.iter().map(|(path, loss)| (&**path, *loss))
    }

    /// For lenses: the part that this is about is lost.
    pub fn add(&mut self, loss: Loss) {
        self.found.push((self.here.clone(), loss));
    }

    /// For lenses: `more` is about a part of what this is about.
    pub fn within(&mut self, segment: &Segment, more: impl FnOnce(&mut Losses)) {
        let outer = self.here.len();
        self.here
            .push_str(&segment.to_string_after(!self.here.is_empty()));
        more(self);
        self.here.truncate(outer);
    }

    /// For lenses: `more` is about every element of what this is about.
    pub fn each(&mut self, more: impl FnOnce(&mut Losses)) {
        let outer = self.here.len();
        self.here.push_str("[]");
        more(self);
        self.here.truncate(outer);
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lossy: ")?;
        if self.found.is_empty() {
            f.write_str("nothing")?;
        }
        for (index, (path, _)) in self.found.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{path}")?;
        }
        Ok(())
    }
}
