//! COPY.

use crate::call::{Call, Outcome};
use crate::commands::connection::check_database;
use crate::error::CommandError;
use crate::store::Keyspace;
use crate::typed::{Typed, TypedStore};

pub(crate) fn copy<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let mut replaces = false;
    let mut at = 3;
    while at < call.args.len() {
        if call.is(at, "REPLACE") {
            replaces = true;
            at += 1;
        } else if call.is(at, "DB") && at + 1 < call.args.len() {
            check_database(call, at + 1)?;
            at += 2;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let (from, to) = (call.args.at(1), call.args.at(2));
    if from == to {
        return Err(CommandError::Text(
            &"ERR source and destination objects are the same",
        ));
    }
    let copied = (replaces || !tx.contains(to)?) && tx.copy(from, to)?;
    call.reply.integer(i64::from(copied));
    Ok(())
}
