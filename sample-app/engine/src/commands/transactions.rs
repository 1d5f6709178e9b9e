//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! EXEC takes the shards of all queued commands and of all watched keys together, so that no worker of
//! whatever version sees or changes them between two of its commands.

use resp::{Args, KeptRequests};

use crate::call::{Call, Outcome};
use crate::command::{Command, Handler};
use crate::error::CommandError;
use crate::session::{find, key_set};
use crate::store::{Edit, KeySet, Keyspace, ShardSet, Store};
use crate::table::CommandTable;
use crate::transactions::{Verdict, Watched, is_touched, shards_of};
use crate::walk::Doors;

pub(crate) fn multi(call: &mut Call<'_>) -> Outcome {
    if call.client.pending.queued().is_some() {
        return Err(CommandError::Text(&"ERR MULTI calls can not be nested"));
    }
    call.client.pending.begin();
    call.reply.ok();
    Ok(())
}

pub(crate) fn discard(call: &mut Call<'_>) -> Outcome {
    if call.client.pending.queued().is_none() {
        return Err(CommandError::Text(&"ERR DISCARD without MULTI"));
    }
    call.client.pending.discard();
    call.reply.ok();
    Ok(())
}

pub(crate) fn watch<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    if call.client.pending.queued().is_some() {
        return Err(CommandError::Text(&"ERR WATCH inside MULTI is not allowed"));
    }
    for key in call.args.from(1).iter() {
        let stamp = tx.stamp(key)?.ok_or(CommandError::Text(
            &"ERR WATCH is off until all workers run this version",
        ))?;
        call.client.pending.watch(key, stamp);
    }
    call.reply.ok();
    Ok(())
}

pub(crate) fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.client.pending.unwatch();
    call.reply.ok();
    Ok(())
}

pub(crate) fn exec<S: Store>(
    call: &mut Call<'_>,
    table: &CommandTable<S>,
    context: &mut S::Context,
) -> Outcome {
    let Some((requests, watched, verdict)) = call.client.pending.take() else {
        return Err(CommandError::Text(&"ERR EXEC without MULTI"));
    };
    let outcome = if verdict == Verdict::Refused {
        Err(CommandError::Text(
            &"EXECABORT Transaction discarded because of previous errors.",
        ))
    } else {
        execute(call, table, context, &requests, &watched)
    };
    call.client.pending.discard();
    outcome
}

fn execute<S: Store>(
    call: &mut Call<'_>,
    table: &CommandTable<S>,
    context: &mut S::Context,
    requests: &KeptRequests,
    watched: &[Watched],
) -> Outcome {
    let because = |error: CommandError| CommandError::aborted(error.text());
    let mut shards = shards_of::<S>(watched);
    // They were all found when they were queued, but that may have been in another version.
    let mut commands = Vec::with_capacity(requests.len());
    for args in requests.iter() {
        let command = find(table, args).map_err(because)?;
        add_shards(&mut shards, command, args);
        commands.push((command, args));
    }
    let opened = S::open(context, KeySet::Shards(shards), call.now);
    let mut tx = opened.map_err(|error| because(error.into()))?;
    if is_touched(&mut tx, watched).map_err(|error| because(error.into()))? {
        call.reply.null_array();
        return Ok(());
    }
    let mark = call.reply.mark();
    call.reply.array(commands.len());
    silence(call, mark);
    for (command, args) in commands {
        one(call, command, args, table, &mut tx);
    }
    // CLIENT REPLY among the commands has had its say.
    call.mark = call.reply.mark();
    Ok(())
}

/// The shards that a command needs.
fn add_shards<S: Store>(shards: &mut ShardSet, command: &Command<S>, args: Args<'_>) {
    match command.handler {
        Handler::Keys(_) => match key_set(command, args) {
            KeySet::One(key) => shards.insert(S::shard_of(key)),
            KeySet::Many(keys) => keys.iter().for_each(|key| shards.insert(S::shard_of(key))),
            KeySet::Shard(_) | KeySet::Shards(_) | KeySet::All => {
                *shards = ShardSet::first(S::SHARDS);
            }
        },
        Handler::All(_) | Handler::Walk(_) => *shards = ShardSet::first(S::SHARDS),
        Handler::Free(_) | Handler::Table(_) | Handler::Run(_) | Handler::Container => {}
    }
}

/// Runs one of the queued commands; an error is its place's reply.
fn one<S: Store>(
    call: &mut Call<'_>,
    command: &Command<S>,
    args: Args<'_>,
    table: &CommandTable<S>,
    tx: &mut S::Tx<'_>,
) {
    let mut part = Call {
        args,
        reply: call.reply.lend(),
        client: &mut *call.client,
        server: &mut *call.server,
        counters: &mut *call.counters,
        metrics: &mut *call.metrics,
        now: call.now,
        name: command.spec.name,
        input: call.input,
        sent: call.sent,
        mark: 0,
        close: false,
    };
    part.mark = part.reply.mark();
    let mark = part.mark;
    part.counters.commands += 1;
    let timer = part.metrics.begin(command.meter);
    let outcome = match command.handler {
        Handler::Keys(handler) | Handler::All(handler) => handler(&mut part, tx),
        Handler::Free(handler) => handler(&mut part),
        Handler::Walk(handler) => handler(&mut part, Doors::Open(tx)),
        Handler::Table(handler) => handler(&mut part, table),
        // Neither is ever queued.
        Handler::Run(_) | Handler::Container => Err(CommandError::arity(command.spec.name)),
    };
    part.metrics
        .end(command.meter, command.spec.name, timer, &outcome);
    let edit = if outcome.is_ok() {
        Edit::Stands
    } else {
        Edit::Undone
    };
    tx.close_edit(edit);
    if let Err(error) = outcome {
        part.reply.rewind(mark);
        part.fail(&error);
    }
    call.close |= part.close;
    call.reply.set_protocol(call.client.protocol);
    silence(call, mark);
}

/// Takes back what was written since `mark` if the connection does not want replies now.
fn silence(call: &mut Call<'_>, mark: usize) {
    if call.client.reply_mode.is_silent() {
        call.reply.rewind(mark);
    }
}
