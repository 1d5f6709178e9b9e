//! The guards that a transaction holds: one, or several by the numbers of their shards.

use super::entry::refused;
use super::place::{SHARDS, shard_of};
use super::transaction::Shards;
use crate::error::StoreError;
use crate::store::KeySet;
use dsu_runtime::prelude::*;

/// Moved several times on the way to a command: the many are in a box, so that the one is moved cheaply.
pub(super) enum Locked<'t, S: Shards> {
    One(usize, Guard<'t, S::Items>),
    Many(Box<[Option<Guard<'t, S::Items>>; SHARDS]>),
}

impl<'t, S: Shards> Locked<'t, S> {
    /// Locks the shards of these keys.
    #[inline]
    pub(super) fn all_of(cx: &'t Worker, keys: KeySet<'_>) -> Result<Self, StoreError> {
        let one = |shard: usize| {
            let guard = S::guards()[shard].lock(cx).map_err(refused)?;
            Ok(Locked::One(shard, guard))
        };
        let locked = match keys {
            KeySet::One(key) => return one(shard_of(key)),
            KeySet::Shard(shard) => return one(shard),
            KeySet::Many(keys) => S::guards().lock_many(cx, keys.iter().map(shard_of)),
            KeySet::Shards(shards) => S::guards().lock_many(cx, shards.iter()),
            KeySet::All => S::guards().lock_many(cx, 0..SHARDS),
        };
        Ok(Locked::Many(Box::new(locked.map_err(refused)?)))
    }

    pub(super) fn get(&self, shard: usize) -> &S::Items {
        match self {
            Locked::One(locked, guard) if *locked == shard => guard,
            Locked::Many(guards) => guards[shard]
                .as_ref()
                .expect("the shard of a named key is locked"),
            Locked::One(..) => panic!("the shard of a key that was not named is not locked"),
        }
    }

    pub(super) fn get_mut(&mut self, shard: usize) -> &mut S::Items {
        match self {
            Locked::One(locked, guard) if *locked == shard => guard,
            Locked::Many(guards) => guards[shard]
                .as_mut()
                .expect("the shard of a named key is locked"),
            Locked::One(..) => panic!("the shard of a key that was not named is not locked"),
        }
    }

    /// The items that a named key belongs to. A single lock was found by its key: no need to hash again.
    pub(super) fn of(&self, key: &[u8]) -> &S::Items {
        match self {
            Locked::One(shard, guard) => {
                debug_assert_eq!(*shard, shard_of(key), "a key that was not named");
                guard
            }
            Locked::Many(_) => self.get(shard_of(key)),
        }
    }

    pub(super) fn of_mut(&mut self, key: &[u8]) -> &mut S::Items {
        match self {
            Locked::One(shard, guard) => {
                debug_assert_eq!(*shard, shard_of(key), "a key that was not named");
                guard
            }
            Locked::Many(_) => self.get_mut(shard_of(key)),
        }
    }

    pub(super) fn held(&self) -> impl Iterator<Item = usize> + use<S> {
        let held: [bool; SHARDS] = std::array::from_fn(|shard| match self {
            Locked::One(locked, _) => *locked == shard,
            Locked::Many(guards) => guards[shard].is_some(),
        });
        (0..SHARDS).filter(move |shard| held[*shard])
    }
}
