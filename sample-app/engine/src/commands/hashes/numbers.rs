//! Fields that are numbers: HINCRBY and HINCRBYFLOAT.

use resp::{LongDouble, format_integer, parse_integer};

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::typed::{HashValue, Typed, TypedStore};

pub(crate) fn hincrby<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let by = call.integer(3)?;
    let sum = change(call, tx, |old| add(old, by))?;
    call.reply.integer(sum);
    Ok(())
}

fn add(old: Option<&[u8]>, by: i64) -> Result<(i64, Vec<u8>), CommandError> {
    let old = match old {
        Some(text) => {
            parse_integer(text).ok_or(CommandError::Text(&"ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(CommandError::Text(
        &"ERR increment or decrement would overflow",
    ))?;
    Ok((sum, format_integer(sum, &mut [0; 20]).to_vec()))
}

pub(crate) fn hincrbyfloat<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let by = LongDouble::parse(call.args.at(3))
        .ok_or(CommandError::Text(&"ERR value is not a valid float"))?;
    if !by.is_finite() {
        return Err(CommandError::Text(&"ERR value is NaN or Infinity"));
    }
    let digits = change(call, tx, |old| add_float(old, by))?;
    call.reply.bulk(&digits);
    Ok(())
}

fn add_float(old: Option<&[u8]>, by: LongDouble) -> Result<(Vec<u8>, Vec<u8>), CommandError> {
    let old = match old {
        Some(text) => {
            LongDouble::parse(text).ok_or(CommandError::Text(&"ERR hash value is not a float"))?
        }
        None => LongDouble::ZERO,
    };
    let sum = old.plus(by);
    if !sum.is_finite() {
        return Err(CommandError::Text(
            &"ERR increment would produce NaN or Infinity",
        ));
    }
    let mut digits = Vec::new();
    sum.push_decimal(&mut digits);
    Ok((digits.clone(), digits))
}

/// Makes the field hold the second of what `compute` returns, and returns the first.
fn change<T: Typed, R>(
    call: &Call<'_>,
    tx: &mut T,
    compute: impl FnOnce(Option<&[u8]>) -> Result<(R, Vec<u8>), CommandError>,
) -> Result<R, CommandError> {
    let (key, field) = (call.args.at(1), call.args.at(2));
    let hash = tx.hash_or_new(key)?;
    let changed = compute(hash.get(field)).and_then(|(result, value)| {
        hash.set(field, &value)?;
        Ok(result)
    });
    if changed.is_err() {
        tx.settle_empty(key)?;
    }
    changed
}
