//! What WATCH is told by: in every shard a number for each stripe of keys, raised by every change.
//!
//! Owns the numbers of one shard, which lie behind its lock with the entries. There is nothing to be
//! cleaned up when a connection ends or a worker dies, as nobody is registered: who watches keeps the
//! number that it saw. Two keys of one stripe are told apart by nothing, so a watched key may seem to
//! have changed when it has not, once in 65,536 changes of other keys; never the other way round.
//!
//! A shard that nobody has ever watched a key of has no numbers, and its writes raise none.

use crate::store::Stamp;
use dsu_runtime::prelude::*;

/// Stripes of a shard: 32 KiB, from the first WATCH on.
const STRIPES: usize = 4096;

/// The changes of one shard's keys.
#[derive(Shared, Default)]
pub struct Changes {
    stripes: SharedVec<u64>,
    flushes: u64,
}

/// The stripe that a change was noted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted(usize);

/// Notes a change of a key, where that is asked for at all.
#[inline]
pub(crate) fn note(changes: Option<&mut Changes>, key: &[u8]) -> Option<Noted> {
    match changes {
        Some(changes) if !changes.stripes.is_empty() => changes.raise(key),
        _ => None,
    }
}

impl Changes {
    /// How the key is now.
    ///
    /// # Errors
    /// `HeapFull` at the first of a shard, which makes the numbers.
    pub(crate) fn stamp(
        &mut self,
        key: &[u8],
        epoch: u64,
        exists: bool,
    ) -> Result<Stamp, HeapFull> {
        if self.stripes.is_empty() {
            let mut stripes = SharedVec::new();
            stripes.try_reserve(STRIPES)?;
            for _ in 0..STRIPES {
                stripes.push(0)?;
            }
            self.stripes = stripes;
        }
        let writes = self
            .stripes
            .get_cell(stripe_of(key))
            .map_or(0, |cell| cell.0);
        Ok(Stamp {
            epoch,
            writes,
            flushes: self.flushes,
            exists,
        })
    }

    /// Everything was removed.
    pub(crate) fn note_flush(&mut self) {
        self.flushes += 1;
    }

    /// The change was none. Nobody has seen the number, for the lock is held since.
    pub(crate) fn undo(&mut self, noted: Noted) {
        self.change(noted, |number| *number -= 1);
    }

    #[cold]
    fn raise(&mut self, key: &[u8]) -> Option<Noted> {
        let noted = Noted(stripe_of(key));
        self.change(noted, |number| *number += 1);
        Some(noted)
    }

    fn change(&mut self, noted: Noted, how: impl FnOnce(&mut u64)) {
        // No number moves outside of a transformer, and there no key changes.
        if let Ok(cells) = self.stripes.cells_mut()
            && let Some(cell) = cells.get_mut(noted.0)
        {
            how(&mut cell.0);
        }
    }
}

/// FNV-1a, folded: another hash than the one that chose the shard.
fn stripe_of(key: &[u8]) -> usize {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ hash >> 32) as usize ^ (hash >> 47) as usize) % STRIPES
}

#[cfg(test)]
mod tests {
    use super::stripe_of;
    use crate::shards::{SHARDS, shard_of};

    #[test]
    fn keys_of_one_shard_are_spread_over_its_stripes() {
        let mut used = vec![0_u32; super::STRIPES];
        let keys = (0..super::STRIPES * SHARDS * 4).map(|n| format!("key:{n}"));
        for key in keys.filter(|key| shard_of(key.as_bytes()) == 3) {
            used[stripe_of(key.as_bytes())] += 1;
        }
        // Four each, if chance is fair.
        assert!(used.iter().all(|&keys| keys < 24));
        assert!(used.iter().filter(|&&keys| keys == 0).count() < super::STRIPES / 20);
    }
}
