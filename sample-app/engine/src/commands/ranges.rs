//! Parts of strings: GETRANGE, SUBSTR, SETRANGE.

use crate::call::{Call, Outcome};
use crate::commands::strings::check_length;
use crate::error::CommandError;
use crate::store::{Keyspace, Store, StringValue};

pub(crate) fn getrange<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let found = match tx.get(call.args.at(1))? {
        Some(bytes) => {
            call.reply.bulk(slice(bytes, start, end));
            true
        }
        None => {
            call.reply.bulk(b"");
            false
        }
    };
    call.looked_up(found);
    Ok(())
}

/// From `start` to `end`, both included, counted from the end where negative.
fn slice(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let length = bytes.len() as i64;
    let from_end = |index: i64| {
        if index < 0 {
            (length + index).max(0)
        } else {
            index
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if start > end {
        return &[];
    }
    &bytes[start as usize..=end as usize]
}

pub(crate) fn setrange<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let offset = usize::try_from(call.integer(2)?)
        .map_err(|_| CommandError::Text(&"ERR offset is out of range"))?;
    let (key, patch) = (call.args.at(1), call.args.at(3));
    if patch.is_empty() {
        let length = tx.get(key)?.map_or(0, <[u8]>::len);
        call.reply.count(length);
        return Ok(());
    }
    if let Some(value) = tx.edit(key)? {
        check_length(offset, patch.len())?;
        value.write_at(offset, patch)?;
        call.reply.count(value.bytes().len());
        return Ok(());
    }
    check_length(offset, patch.len())?;
    tx.replace(key, b"")?;
    let written = match tx.edit(key)? {
        Some(value) => value.write_at(offset, patch),
        None => Ok(()),
    };
    if let Err(error) = written {
        tx.remove(key)?;
        return Err(error.into());
    }
    call.reply.count(offset + patch.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn ranges_are_clamped_as_in_redis() {
        let text = b"This is a string";
        for (start, end, expected) in [
            (0, 3, &b"This"[..]),
            (-3, -1, b"ing"),
            (0, -1, text),
            (10, 100, b"string"),
            (5, 3, b""),
            (-1, -3, b""),
            (-100, -100, b"T"),
            (-100, 0, b"T"),
            (100, 200, b""),
            (i64::MIN, i64::MAX, text),
        ] {
            assert_eq!(slice(text, start, end), expected, "{start} {end}");
        }
        assert_eq!(slice(b"", 0, 0), b"");
        assert_eq!(slice(b"", -1, -1), b"");
    }
}
