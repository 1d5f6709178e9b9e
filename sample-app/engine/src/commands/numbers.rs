//! Strings that are numbers: INCR and its relatives. They edit in place, so that a time to
//! live stays.

use resp::{LongDouble, format_integer, parse_integer};

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Keyspace, Store, StringValue};

pub(crate) fn incr<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    add(call, tx, 1)
}

pub(crate) fn decr<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    add(call, tx, -1)
}

pub(crate) fn incrby<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let by = call.integer(2)?;
    add(call, tx, by)
}

pub(crate) fn decrby<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let by = call
        .integer(2)?
        .checked_neg()
        .ok_or(CommandError::Text(&"ERR decrement would overflow"))?;
    add(call, tx, by)
}

fn add<K: Keyspace>(call: &mut Call<'_>, tx: &mut K, by: i64) -> Outcome {
    const OVERFLOW: CommandError = CommandError::Text(&"ERR increment or decrement would overflow");
    let key = call.args.at(1);
    let mut digits = [0; 20];
    let sum = match tx.edit(key)? {
        Some(value) => {
            let old = parse_integer(value.bytes()).ok_or(CommandError::NOT_AN_INTEGER)?;
            let sum = old.checked_add(by).ok_or(OVERFLOW)?;
            value.set(format_integer(sum, &mut digits))?;
            sum
        }
        None => {
            tx.replace(key, format_integer(by, &mut digits))?;
            by
        }
    };
    call.reply.integer(sum);
    Ok(())
}

pub(crate) fn incrbyfloat<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    const NOT_A_FLOAT: CommandError = CommandError::Text(&"ERR value is not a valid float");
    let (key, text) = (call.args.at(1), call.args.at(2));
    let value = tx.edit(key)?;
    let old = match &value {
        Some(value) => LongDouble::parse(value.bytes()).ok_or(NOT_A_FLOAT)?,
        None => LongDouble::ZERO,
    };
    let sum = old.plus(LongDouble::parse(text).ok_or(NOT_A_FLOAT)?);
    if !sum.is_finite() {
        return Err(CommandError::Text(
            &"ERR increment would produce NaN or Infinity",
        ));
    }
    let mut digits = Vec::new();
    sum.push_decimal(&mut digits);
    if value.is_none() {
        tx.replace(key, &digits)?;
    }
    if let Some(value) = tx.edit(key)? {
        value.set_sum(&digits)?;
    }
    call.reply.bulk(&digits);
    Ok(())
}
