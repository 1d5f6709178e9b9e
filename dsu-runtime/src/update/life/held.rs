//! What a sweep had to leave, and whether that holds a commit up (R30).
//!
//! Owns the words for it. Decides nothing.

/// What a whole pass of the sweep had to leave in an old representation (R30).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// Elements and tuples whose transformer failed.
    pub(super) failed: u64,
    /// Perhaps because there was no room.
    pub(super) is_full: bool,
    /// Poisoned guards, by name.
    pub(super) poisoned: Vec<String>,
}

impl Held {
    /// Whether an operator who knows of `other` learns something from this.
    pub(super) fn is_news(&self, other: &Held) -> bool {
        let kind = |held: &Held| (held.failed > 0, held.is_full, held.poisoned.clone());
        kind(self) != kind(other)
    }

    /// What holds the commit up, and what to do; `None` if nothing does.
    pub(super) fn text(&self) -> Option<String> {
        let list = self.list()?;
        Some(format!(
            "commit is held up by {list}; it ends when the cause is mended, or take the update back: dsu rollback"
        ))
    }

    /// What had to be left; `None` if nothing had.
    pub(super) fn list(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.poisoned.is_empty() {
            let guards = self.poisoned.join(", ");
            parts.push(format!(
                "poisoned guards, whose owner died in the middle: {guards}"
            ));
        }
        if self.failed > 0 {
            parts.push(format!(
                "{} elements that could not be converted ({})",
                self.failed,
                match self.is_full {
                    true => "the heap is full: delete something",
                    false => "see the log",
                }
            ));
        }
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}
