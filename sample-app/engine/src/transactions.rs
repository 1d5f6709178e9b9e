//! What a connection has in mind between MULTI and EXEC, and the keys that it watches.
//!
//! Owns the queue and what a request does to it; it crosses a live update with its connection. Never
//! knows how shards are locked or how changes are noted.
//!
//! | queue | a request | then |
//! |---|---|---|
//! | none | runs | none; MULTI opens it |
//! | open | is checked and queued | open |
//! | open | cannot be queued | refused |
//! | refused | as in open | refused |
//! | open | EXEC: all of them run, or none if a watched key was touched | none |
//! | refused | EXEC: none runs | none |
//!
//! A version without transactions can get a connection in the middle of one, by an update or a
//! rollback. It refuses what would be queued, since running it would put it before what came earlier,
//! and so the transaction is over as a whole: EXEC says so, here and in the next version.

use resp::{Args, KeptRequests};
use serde::{Deserialize, Serialize};

use crate::call::{Call, Outcome};
use crate::door::Door;
use crate::error::{CommandError, StoreError};
use crate::session::{MAX_INPUT, find, run};
use crate::store::{KeySet, Keyspace, ShardSet, Stamp, Store};
use crate::table::CommandTable;

/// Commands that are not queued.
const IMMEDIATE: [&str; 6] = ["exec", "discard", "multi", "watch", "quit", "reset"];

/// A connection's transaction, if it has one in mind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pending(Option<Box<State>>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    queue: Option<Queue>,
    watched: Vec<Watched>,
    /// Whether one of them was touched when that was last looked at: for CLIENT LIST, EXEC looks itself.
    touched: bool,
}

/// What came since MULTI.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Queue {
    requests: KeptRequests,
    /// How many requests there are, also while they run and are elsewhere.
    length: usize,
    verdict: Verdict,
}

/// Whether EXEC may run the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// All that came is in it.
    #[default]
    Sound,
    /// Something was refused.
    Refused,
}

/// A key, and how it was when it was named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) key: Vec<u8>,
    pub(crate) stamp: Stamp,
}

impl Pending {
    /// Whether there is neither a queue nor a watched key.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The number of queued requests, if there is a queue.
    pub(crate) fn queued(&self) -> Option<usize> {
        Some(self.queue()?.length)
    }

    /// Bytes of private memory that it takes.
    pub(crate) fn size(&self) -> usize {
        let Some(state) = &self.0 else { return 0 };
        let queue = state.queue.as_ref();
        let watched = state.watched.iter();
        queue.map_or(0, |queue| queue.requests.size())
            + watched
                .map(|w| size_of::<Watched>() + w.key.len())
                .sum::<usize>()
    }

    /// Opens the queue.
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default().queue = Some(Queue::default());
    }

    /// Whether EXEC would run nothing, as far as that is known.
    pub(crate) fn is_touched(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.touched)
    }

    /// Watches a key, if it is not watched yet: the first look counts.
    pub(crate) fn watch(&mut self, key: &[u8], stamp: Stamp) {
        let watched = &mut self.0.get_or_insert_default().watched;
        if watched.iter().all(|known| known.key != key) {
            let key = key.to_vec();
            watched.push(Watched { key, stamp });
        }
    }

    /// Watches no key any more.
    pub(crate) fn unwatch(&mut self) {
        if let Some(state) = &mut self.0 {
            state.watched = Vec::new();
            state.touched = false;
            if state.queue.is_none() {
                self.0 = None;
            }
        }
    }

    /// Ends it, and watches no key any more.
    pub(crate) fn discard(&mut self) {
        self.0 = None;
    }

    /// The requests and the watched keys, to run and to compare. What is left tells CLIENT LIST that a
    /// transaction runs, until it is discarded.
    pub(crate) fn take(&mut self) -> Option<(KeptRequests, Vec<Watched>, Verdict)> {
        let state = self.0.as_mut()?;
        let queue = state.queue.as_mut()?;
        let requests = std::mem::take(&mut queue.requests);
        Some((requests, std::mem::take(&mut state.watched), queue.verdict))
    }

    fn queue(&self) -> Option<&Queue> {
        self.0.as_ref()?.queue.as_ref()
    }

    fn queue_mut(&mut self) -> Option<&mut Queue> {
        self.0.as_mut()?.queue.as_mut()
    }

    fn push(&mut self, args: Args<'_>) {
        if let Some(queue) = self.queue_mut() {
            queue.requests.push(args);
            queue.length += 1;
        }
    }

    fn refuse(&mut self) {
        if let Some(queue) = self.queue_mut() {
            queue.verdict = Verdict::Refused;
        }
    }
}

/// A request of a connection that has a transaction in mind.
pub(crate) fn step<S: Store>(
    table: &CommandTable<S>,
    context: &mut S::Context,
    call: &mut Call<'_>,
) -> Outcome {
    let outcome = if call.client.pending.queued().is_none() {
        if names(call.args, "client") {
            look::<S>(context, call);
        }
        find(table, call.args)
            .and_then(|command| run(command, table, &mut Door::new(context), call))
    } else if table.find(b"exec").is_none() {
        strand(table, context, call)
    } else {
        queue(table, context, call)
    };
    // What is queued counts as what was received and not yet understood.
    call.client.active_at = call.now;
    if call.client.pending.size() + call.input.len() > MAX_INPUT {
        call.close();
    }
    outcome
}

/// Looks whether a watched key was touched: nobody tells a connection.
fn look<S: Store>(context: &mut S::Context, call: &mut Call<'_>) {
    let Some(state) = &mut call.client.pending.0 else {
        return;
    };
    let shards = shards_of::<S>(&state.watched);
    let opened = S::open(context, KeySet::Shards(shards), call.now);
    let looked = opened.and_then(|mut tx| is_touched(&mut tx, &state.watched));
    state.touched = looked.unwrap_or(true);
}

/// The shards that watched keys lie in.
pub(crate) fn shards_of<S: Store>(watched: &[Watched]) -> ShardSet {
    let mut shards = ShardSet::default();
    for watched in watched {
        shards.insert(S::shard_of(&watched.key));
    }
    shards
}

/// Whether one of these keys is not as it was, or that cannot be told.
pub(crate) fn is_touched(tx: &mut impl Keyspace, watched: &[Watched]) -> Result<bool, StoreError> {
    for Watched { key, stamp } in watched {
        if !tx.stamp(key)?.is_some_and(|now| stamp.stands(now)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn queue<S: Store>(
    table: &CommandTable<S>,
    context: &mut S::Context,
    call: &mut Call<'_>,
) -> Outcome {
    match find(table, call.args) {
        Ok(command) if IMMEDIATE.contains(&command.spec.name) => {
            run(command, table, &mut Door::new(context), call)
        }
        Ok(command) => {
            call.client.last_command = command.spec.name;
            call.client.pending.push(call.args);
            call.reply.simple("QUEUED");
            Ok(())
        }
        Err(error) => {
            if names(call.args, "exec") {
                call.client.pending.discard();
            } else {
                call.client.pending.refuse();
            }
            Err(error)
        }
    }
}

/// A request within a transaction, in a version that has none.
fn strand<S: Store>(
    table: &CommandTable<S>,
    context: &mut S::Context,
    call: &mut Call<'_>,
) -> Outcome {
    if names(call.args, "exec") {
        call.client.pending.discard();
        return Err(CommandError::aborted(b"this version has no transactions"));
    }
    if names(call.args, "discard") {
        call.client.pending.discard();
        call.reply.ok();
        return Ok(());
    }
    if names(call.args, "quit") || names(call.args, "reset") {
        return find(table, call.args)
            .and_then(|command| run(command, table, &mut Door::new(context), call));
    }
    call.client.pending.refuse();
    Err(CommandError::Text(
        &"ERR this version has no transactions: end this one by EXEC or DISCARD",
    ))
}

fn names(args: Args<'_>, command: &str) -> bool {
    args.at(0).eq_ignore_ascii_case(command.as_bytes())
}
