//! Elements by their positions: LLEN, LINDEX, LSET, LRANGE, LTRIM.

use std::ops::{ControlFlow, Range};

use crate::call::{Call, Outcome};
use crate::commands::lists::ends::pop_many;
use crate::error::CommandError;
use crate::store::Keyspace;
use crate::typed::{End, ListValue, Typed, TypedStore};

pub(crate) fn llen<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let length = tx.list(call.args.at(1))?.map(ListValue::len);
    call.looked_up(length.is_some());
    call.reply.count(length.unwrap_or(0));
    Ok(())
}

/// Redis looks at the index once it knows that there is a list.
pub(crate) fn lindex<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let list = tx.list(call.args.at(1))?;
    call.looked_up(list.is_some());
    let element = match list {
        Some(list) => place(call.integer(2)?, list.len()).and_then(|place| list.get(place)),
        None => None,
    };
    match element {
        Some(element) => call.reply.bulk(element),
        None => call.reply.null(),
    }
    Ok(())
}

/// The position that an index means, which counts from the end where it is negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(length as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&index| index < length)
}

pub(crate) fn lset<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let list = tx
        .edit_list(call.args.at(1))?
        .ok_or(CommandError::NO_SUCH_KEY)?;
    let place =
        place(call.integer(2)?, list.len()).ok_or(CommandError::Text(&"ERR index out of range"))?;
    list.set(place, call.args.at(3))?;
    call.reply.ok();
    Ok(())
}

/// Positions from `start` to `end`, both included, counted from the end where negative.
fn span(start: i64, end: i64, length: usize) -> Range<usize> {
    let length = length as i64;
    let from_end = |index: i64| if index < 0 { index + length } else { index };
    let (start, end) = (from_end(start).max(0), from_end(end).min(length - 1));
    if start > end {
        return 0..0;
    }
    start as usize..end as usize + 1
}

pub(crate) fn lrange<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let list = tx.list(call.args.at(1))?;
    call.looked_up(list.is_some());
    let span = span(start, end, list.map_or(0, ListValue::len));
    let reply = &mut call.reply;
    reply.array(span.len());
    if let Some(list) = list.filter(|_| !span.is_empty()) {
        let mut left = span.len();
        list.walk(span.start, End::Tail, &mut |element| {
            reply.bulk(element);
            left -= 1;
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
    }
    Ok(())
}

pub(crate) fn ltrim<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let key = call.args.at(1);
    if let Some(list) = tx.edit_list(key)? {
        let kept = span(start, end, list.len());
        if kept.is_empty() {
            tx.remove(key)?;
        } else {
            cut(list, End::Tail, list.len() - kept.end);
            cut(list, End::Head, kept.start);
        }
    }
    call.reply.ok();
    Ok(())
}

/// Takes this many elements off an end. If that needs memory as a whole, and there is none, it is done
/// one by one, which needs none; so a list is never trimmed at one end only.
fn cut(list: &mut impl ListValue, end: End, count: usize) {
    if count == 0 {
        return;
    }
    let length = list.len();
    let range = match end {
        End::Head => 0..count,
        End::Tail => length - count..length,
    };
    if list.remove(range).is_err() {
        pop_many(list, end, count, &mut |_| ());
    }
}

#[cfg(test)]
mod tests {
    use super::{place, span};

    #[test]
    fn an_index_counts_from_either_end_and_means_nothing_beyond_it() {
        for (index, length, expected) in [
            (0, 3, Some(0)),
            (2, 3, Some(2)),
            (3, 3, None),
            (-1, 3, Some(2)),
            (-3, 3, Some(0)),
            (-4, 3, None),
            (i64::MAX, 3, None),
            (i64::MIN, 3, None),
            (0, 0, None),
            (-1, 0, None),
        ] {
            assert_eq!(place(index, length), expected, "{index} of {length}");
        }
    }

    #[test]
    fn a_span_is_clamped_to_the_list() {
        for (start, end, length, expected) in [
            (0, -1, 3, 0..3),
            (-100, 100, 3, 0..3),
            (1, 1, 3, 1..2),
            (-2, -1, 3, 1..3),
            (2, 1, 3, 0..0),
            (3, 5, 3, 0..0),
            (0, -4, 3, 0..0),
            (i64::MIN, i64::MAX, 3, 0..3),
            (i64::MIN, i64::MIN, 3, 0..0),
            (0, -1, 0, 0..0),
        ] {
            assert_eq!(
                span(start, end, length),
                expected,
                "{start} {end} of {length}"
            );
        }
    }
}
