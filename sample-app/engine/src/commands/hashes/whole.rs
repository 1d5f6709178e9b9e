//! All fields of a hash: HGETALL, HKEYS, HVALS at once, HSCAN some at a time.

use resp::{Reply, format_integer, glob_match};

use crate::call::{Call, Outcome};
use crate::commands::scan::{Options, Types, cursor};
use crate::typed::{HashValue, Typed, TypedStore};

pub(crate) fn hgetall<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let reply = &mut call.reply;
    reply.map(hash.map_or(0, HashValue::len));
    if let Some(hash) = hash {
        hash.walk(&mut |field, value| {
            reply.bulk(field);
            reply.bulk(value);
        });
    }
    Ok(())
}

pub(crate) fn hkeys<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    halves(call, tx, |reply, field, _| reply.bulk(field))
}

pub(crate) fn hvals<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    halves(call, tx, |reply, _, value| reply.bulk(value))
}

fn halves<T: Typed>(
    call: &mut Call<'_>,
    tx: &mut T,
    show: fn(&mut Reply<'_>, &[u8], &[u8]),
) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let reply = &mut call.reply;
    reply.array(hash.map_or(0, HashValue::len));
    if let Some(hash) = hash {
        hash.walk(&mut |field, value| show(reply, field, value));
    }
    Ok(())
}

/// Redis looks at the options once it knows that there is a hash.
pub(crate) fn hscan<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let cursor = cursor(call, 2)?;
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let mut bytes = Vec::new();
    let (mut found, mut next) = (0, 0);
    if let Some(hash) = hash {
        let options = Options::parse(call, 3, Types::AllTheSame)?;
        let mut elements = Reply::new(&mut bytes, call.reply.protocol());
        next = hash.scan(cursor, options.count, &mut |field, value| {
            if options
                .pattern
                .is_none_or(|pattern| glob_match(pattern, field))
            {
                elements.bulk(field);
                elements.bulk(value);
                found += 2;
            }
        });
    }
    call.reply.array(2);
    call.reply.bulk(format_integer(next as i64, &mut [0; 20]));
    call.reply.array(found);
    call.reply.encoded(&bytes);
    Ok(())
}
