//! The store as a command meets it that opens shards as it goes.

use crate::error::StoreError;
use crate::store::{KeySet, Store, UnixMs};

/// Shards to be opened, or open already because a transaction runs.
pub enum Doors<'a, 't, S: Store> {
    /// None is: each use opens what it needs, and closes it again.
    Closed(&'a mut S::Context),
    /// All are, until the transaction ends.
    Open(&'a mut S::Tx<'t>),
}

impl<S: Store> Doors<'_, '_, S> {
    /// Uses the shards that `keys` needs.
    ///
    /// # Errors
    /// That of opening them, or of `run`.
    pub fn with<R>(
        &mut self,
        keys: KeySet<'_>,
        now: UnixMs,
        run: impl for<'x> FnOnce(&mut S::Tx<'x>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        match self {
            Doors::Closed(context) => run(&mut S::open(context, keys, now)?),
            Doors::Open(tx) => run(tx),
        }
    }
}
