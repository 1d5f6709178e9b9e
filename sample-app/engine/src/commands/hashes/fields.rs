//! Fields by their names: HSET, HGET and their relatives.

use crate::call::{Call, Outcome};
use crate::commands::hashes::undo::Undo;
use crate::error::CommandError;
use crate::store::{Edit, Keyspace};
use crate::typed::{HashValue, Typed, TypedStore};

pub(crate) fn hset<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let added = set_all(call, tx)?;
    call.reply.count(added);
    Ok(())
}

pub(crate) fn hmset<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_all(call, tx)?;
    call.reply.ok();
    Ok(())
}

/// How many fields are new.
fn set_all<T: Typed>(call: &mut Call<'_>, tx: &mut T) -> Result<usize, CommandError> {
    if !call.args.len().is_multiple_of(2) {
        return Err(CommandError::arity(call.name));
    }
    let (key, args) = (call.args.at(1), call.args);
    let pairs = (2..args.len()).step_by(2);
    let pairs = pairs.map(|at| (args.at(at), args.at(at + 1)));
    let mut added = 0;
    let put = |hash: &mut T::Hash, field: &[u8], value: &[u8]| {
        added += usize::from(hash.set(field, value)?);
        Ok(())
    };
    // One lookup where the hash exists.
    let set = match tx.edit_hash(key)? {
        Some(hash) => Undo::all(hash, pairs, put),
        None => Undo::all(tx.hash_or_new(key)?, pairs, put),
    };
    if set.is_err() {
        tx.settle_empty(key)?;
    }
    set?;
    Ok(added)
}

pub(crate) fn hsetnx<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (key, field) = (call.args.at(1), call.args.at(2));
    let hash = tx.hash_or_new(key)?;
    if hash.get(field).is_some() {
        tx.close_edit(Edit::Undone);
        call.reply.integer(0);
        return Ok(());
    }
    if let Err(error) = hash.set(field, call.args.at(3)) {
        tx.settle_empty(key)?;
        return Err(error.into());
    }
    call.reply.integer(1);
    Ok(())
}

pub(crate) fn hget<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    match hash.and_then(|hash| hash.get(call.args.at(2))) {
        Some(value) => call.reply.bulk(value),
        None => call.reply.null(),
    }
    Ok(())
}

pub(crate) fn hmget<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let fields = call.args.from(2);
    call.reply.array(fields.len());
    for field in fields.iter() {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => call.reply.bulk(value),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub(crate) fn hdel<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let key = call.args.at(1);
    let mut removed = 0;
    if let Some(hash) = tx.edit_hash(key)? {
        let fields = call.args.from(2);
        let fields = fields.iter().map(|field| (field, ()));
        Undo::all(hash, fields, |hash, field, ()| {
            removed += usize::from(hash.remove(field)?);
            Ok(())
        })?;
        if hash.is_empty() {
            tx.settle_empty(key)?;
        } else if removed == 0 {
            tx.close_edit(Edit::Undone);
        }
    }
    call.reply.count(removed);
    Ok(())
}

pub(crate) fn hlen<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    call.reply.count(hash.map_or(0, HashValue::len));
    Ok(())
}

pub(crate) fn hexists<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let value = hash.and_then(|hash| hash.get(call.args.at(2)));
    call.reply.integer(i64::from(value.is_some()));
    Ok(())
}

pub(crate) fn hstrlen<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let value = hash.and_then(|hash| hash.get(call.args.at(2)));
    call.reply.count(value.map_or(0, <[u8]>::len));
    Ok(())
}
