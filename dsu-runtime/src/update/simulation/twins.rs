//! What a filling leads to.

use crate::ids::SweepId;
use crate::update::BuildIndex;

/// What all guards hold of the other form, in slices of work.
#[derive(Default)]
pub(super) struct Twins {
    pub(super) towards: Option<BuildIndex>,
    pub(super) filled: u32,
    /// All of it was there once, since the update began.
    pub(super) were_whole: bool,
    /// The filling that may go on.
    pub(super) allowed: Option<SweepId>,
}

impl Twins {
    const ALL: u32 = 3;

    /// One slice of a filling; whether all is there.
    pub(super) fn fill(&mut self, towards: BuildIndex) -> bool {
        if self.towards.replace(towards) != Some(towards) {
            self.filled = 0;
        }
        self.filled = (self.filled + 1).min(Self::ALL);
        let is_whole = self.filled == Self::ALL;
        self.were_whole |= is_whole;
        is_whole
    }
}
