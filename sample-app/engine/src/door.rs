//! What the requests of a connection run in, one after the other: a shard that one has opened stays open
//! for the next one if that needs no other.
//!
//! Owns when shards are opened and for how many requests one stays open: whoever else wants it waits no
//! longer than for a few short ones. Never knows what a request does there. To the requests it makes no
//! difference, as each ends its edit, and all of a batch see the same time. As long as a shard is open no
//! other lock is asked for.

use resp::Args;

use crate::command::{Command, Handler};
use crate::error::StoreError;
use crate::session::key_set;
use crate::spec::Flags;
use crate::store::{KeySet, Keyspace, Store, UnixMs};

/// So many requests run in one opened shard.
const REQUESTS: usize = 16;
/// So many bytes they and their replies have, all together.
const BYTES: usize = 16 << 10;

/// Shut at first; opened for one shard at most, and shut again by its end.
pub(crate) struct Door<'t, S: Store> {
    context: Option<&'t mut S::Context>,
    open: Option<(usize, S::Tx<'t>)>,
    requests: usize,
    bytes: usize,
}

impl<'t, S: Store> Door<'t, S> {
    #[inline]
    pub(crate) fn new(context: &'t mut S::Context) -> Self {
        Self {
            context: Some(context),
            open: None,
            requests: REQUESTS,
            bytes: BYTES,
        }
    }

    /// What it takes to lock more than one shard.
    ///
    /// # Panics
    /// If a shard is open: no request that [has no place](Self::takes) behind an open door comes to it.
    #[inline]
    pub(crate) fn context(&mut self) -> &mut S::Context {
        let context = self.context.as_deref_mut();
        context.expect("a request of several shards has a door of its own")
    }

    /// The shard of a key, opened now unless it is open.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    ///
    /// # Panics
    /// If opening has failed before.
    #[inline]
    pub(crate) fn open(&mut self, key: &[u8], now: UnixMs) -> Result<&mut S::Tx<'t>, StoreError> {
        let (_, tx) = match self.context.take() {
            Some(context) => {
                let shard = S::shard_of(key);
                let tx = S::open(context, KeySet::Shard(shard), now)?;
                self.open.insert((shard, tx))
            }
            None => self.open.as_mut().expect("a door is opened once"),
        };
        Ok(tx)
    }

    /// A request of so many bytes, those of its reply included, is over, and so many are unread. Shuts the
    /// door where others would wait for long: for the next one to be read, or for one too many; and where
    /// what this one found over its time is to be removed.
    #[inline]
    pub(crate) fn passed(&mut self, bytes: usize, unread: usize) {
        self.requests -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        let is_last = self.requests == 0 || unread > self.bytes;
        if is_last || self.open.as_ref().is_some_and(|(_, tx)| tx.is_to_remove()) {
            self.shut();
        }
    }

    /// Whatever comes next has a door of its own.
    #[inline]
    pub(crate) fn shut(&mut self) {
        self.open = None;
    }

    /// Whether this request runs in the shard that is open. What may take long does not.
    #[inline]
    pub(crate) fn takes(&self, command: &Command<S>, args: Args<'_>) -> bool {
        let Some((open, _)) = &self.open else {
            return false;
        };
        command.spec.flags.has(Flags::FAST)
            && matches!(command.handler, Handler::Keys(_))
            && matches!(key_set(command, args), KeySet::One(key) if S::shard_of(key) == *open)
    }
}
