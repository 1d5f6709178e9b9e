//! Whole strings: GET and its relatives, several keys at once, APPEND and STRLEN.

use resp::MAX_BULK;

use crate::call::{Call, Outcome};
use crate::error::{CommandError, StoreError};
use crate::store::{Keyspace, Store, StringValue};

pub(crate) fn get<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let found = reply_value(call, tx)?;
    call.looked_up(found);
    Ok(())
}

/// Replies with what the first key holds; whether there is such a key.
pub(crate) fn reply_value<K: Keyspace>(
    call: &mut Call<'_>,
    tx: &mut K,
) -> Result<bool, CommandError> {
    match tx.get(call.args.at(1))? {
        Some(bytes) => {
            call.reply.bulk(bytes);
            Ok(true)
        }
        None => {
            call.reply.null();
            Ok(false)
        }
    }
}

pub(crate) fn setnx<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let key = call.args.at(1);
    let absent = !tx.contains(key)?;
    if absent {
        tx.replace(key, call.args.at(2))?;
    }
    call.reply.integer(i64::from(absent));
    Ok(())
}

pub(crate) fn getset<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let found = reply_value(call, tx)?;
    call.looked_up(found);
    tx.replace(call.args.at(1), call.args.at(2))?;
    Ok(())
}

pub(crate) fn getdel<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let found = reply_value(call, tx)?;
    call.looked_up(found);
    if found {
        tx.remove(call.args.at(1))?;
    }
    Ok(())
}

/// A key that holds no string is as one that does not exist.
pub(crate) fn mget<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let keys = call.args.from(1);
    call.reply.array(keys.len());
    for key in keys.iter() {
        let found = match tx.get(key) {
            Ok(Some(bytes)) => {
                call.reply.bulk(bytes);
                true
            }
            Ok(None) | Err(StoreError::WrongType) => {
                call.reply.null();
                false
            }
            Err(error) => return Err(error.into()),
        };
        call.looked_up(found);
    }
    Ok(())
}

pub(crate) fn mset<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    check_pairs(call)?;
    tx.replace_all(call.args.from(1))?;
    call.reply.ok();
    Ok(())
}

pub(crate) fn msetnx<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    check_pairs(call)?;
    for key in call.args.from(1).iter().step_by(2) {
        if tx.contains(key)? {
            call.reply.integer(0);
            return Ok(());
        }
    }
    tx.replace_all(call.args.from(1))?;
    call.reply.integer(1);
    Ok(())
}

fn check_pairs(call: &Call<'_>) -> Outcome {
    if call.args.len().is_multiple_of(2) {
        return Err(CommandError::arity(call.name));
    }
    Ok(())
}

pub(crate) fn append<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (key, tail) = (call.args.at(1), call.args.at(2));
    let length = match tx.edit(key)? {
        Some(value) => {
            check_length(value.bytes().len(), tail.len())?;
            value.append(tail)?;
            value.bytes().len()
        }
        None => {
            tx.replace(key, tail)?;
            tail.len()
        }
    };
    call.reply.count(length);
    Ok(())
}

/// No string is longer than what a request could set.
pub(crate) fn check_length(start: usize, added: usize) -> Outcome {
    match start.checked_add(added) {
        Some(total) if total <= MAX_BULK => Ok(()),
        _ => Err(CommandError::TOO_LONG),
    }
}

pub(crate) fn strlen<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let length = tx.get(call.args.at(1))?.map(<[u8]>::len);
    call.looked_up(length.is_some());
    call.reply.count(length.unwrap_or(0));
    Ok(())
}
