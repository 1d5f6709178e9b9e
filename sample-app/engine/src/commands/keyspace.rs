//! Keys of any type: DEL, EXISTS, TYPE, RENAME, KEYS, RANDOMKEY.

use resp::{Reply, glob_match};

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Keyspace, Store};

/// DEL and UNLINK alike.
pub(crate) fn del<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let mut removed = 0;
    for key in call.args.from(1).iter() {
        removed += i64::from(tx.remove(key)?);
    }
    call.reply.integer(removed);
    Ok(())
}

/// A key that is named twice counts twice.
pub(crate) fn exists<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let mut found = 0;
    for key in call.args.from(1).iter() {
        let exists = tx.contains(key)?;
        call.looked_up(exists);
        found += i64::from(exists);
    }
    call.reply.integer(found);
    Ok(())
}

pub(crate) fn kind<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let kind = tx.kind(call.args.at(1))?;
    call.reply.simple(kind.map_or("none", |kind| kind.0));
    Ok(())
}

pub(crate) fn rename<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (from, to) = (call.args.at(1), call.args.at(2));
    let existed = if from == to {
        tx.contains(from)?
    } else {
        tx.rename(from, to)?
    };
    if !existed {
        return Err(CommandError::NO_SUCH_KEY);
    }
    call.reply.ok();
    Ok(())
}

pub(crate) fn renamenx<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (from, to) = (call.args.at(1), call.args.at(2));
    if !tx.contains(from)? {
        return Err(CommandError::NO_SUCH_KEY);
    }
    let free = !tx.contains(to)?;
    if free {
        tx.rename(from, to)?;
    }
    call.reply.integer(i64::from(free));
    Ok(())
}

/// How many keys are visited between two looks at the cursor.
const STRIDE: usize = 1024;

pub(crate) fn keys<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let pattern = call.args.at(1);
    let mut bytes = Vec::new();
    let mut found = Reply::new(&mut bytes, call.reply.protocol());
    let mut count = 0;
    for shard in 0..S::SHARDS {
        let mut cursor = 0;
        loop {
            cursor = tx.scan(shard, cursor, STRIDE, &mut |key| {
                if pattern == b"*" || glob_match(pattern, key) {
                    found.bulk(key);
                    count += 1;
                }
            })?;
            if cursor == 0 {
                break;
            }
        }
    }
    call.reply.array(count);
    call.reply.encoded(&bytes);
    Ok(())
}

pub(crate) fn random_key<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let chance = call.server.random();
    match tx.random_key(chance)? {
        Some(key) => call.reply.bulk(key),
        None => call.reply.null(),
    }
    Ok(())
}
