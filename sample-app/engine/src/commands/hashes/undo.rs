//! How a command that changes several fields leaves all of them as they were if it cannot change one.

use crate::error::StoreError;
use crate::typed::HashValue;

/// What fields held before they were changed, in the order of the changes.
#[derive(Default)]
pub(super) struct Undo<'a> {
    before: Vec<(&'a [u8], Option<Vec<u8>>)>,
}

impl<'a> Undo<'a> {
    /// Runs `change` for every one of `changes`, of which each names its field: all of them or none.
    pub(super) fn all<H: HashValue, C>(
        hash: &mut H,
        changes: impl ExactSizeIterator<Item = (&'a [u8], C)>,
        mut change: impl FnMut(&mut H, &'a [u8], C) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut undo = Self::default();
        let mut left = changes.len();
        for (field, what) in changes {
            left -= 1;
            // Nobody asks what was there before the last change.
            if left > 0 {
                undo.before
                    .push((field, hash.get(field).map(<[u8]>::to_vec)));
            }
            if let Err(error) = change(hash, field, what) {
                if left > 0 {
                    undo.before.pop();
                }
                undo.run(hash);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Each step returns to what there was room for a moment ago, in memory that it gives back itself.
    fn run(self, hash: &mut impl HashValue) {
        for (field, before) in self.before.into_iter().rev() {
            let undone = match before {
                Some(value) => hash.set(field, &value),
                None => hash.remove(field),
            };
            debug_assert!(undone.is_ok(), "the way back is free");
        }
    }
}
