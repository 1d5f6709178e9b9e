//! OBJECT: how values are kept.

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Keyspace, Store};
use crate::typed::{Typed, TypedStore};

pub(crate) fn encoding<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    match tx.encoding(call.args.at(2))? {
        Some(encoding) => call.reply.bulk(encoding.as_bytes()),
        None => call.reply.null(),
    }
    Ok(())
}

/// Every value belongs to one key.
pub(crate) fn refcount<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    number(call, tx, 1)
}

/// Nothing is evicted, so nobody keeps account of when a key was used: it counts as just now.
pub(crate) fn idletime<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    number(call, tx, 0)
}

fn number<K: Keyspace>(call: &mut Call<'_>, tx: &mut K, value: i64) -> Outcome {
    if tx.contains(call.args.at(2))? {
        call.reply.integer(value);
    } else {
        call.reply.null();
    }
    Ok(())
}

/// What Redis answers without an eviction policy that counts uses.
pub(crate) fn freq<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    if tx.contains(call.args.at(2))? {
        return Err(CommandError::Text(
            &"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take some \
             time to adjust.",
        ));
    }
    call.reply.null();
    Ok(())
}

pub(crate) fn help(call: &mut Call<'_>) -> Outcome {
    super::server::help(
        call,
        "OBJECT",
        &[
            ("ENCODING <key>", "How the key's value is kept."),
            ("FREQ <key>", "How often the key is used."),
            ("IDLETIME <key>", "Seconds since the key was last used."),
            ("REFCOUNT <key>", "How many keys share the value."),
        ],
    )
}
