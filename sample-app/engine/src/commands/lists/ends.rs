//! What comes and goes at the ends of lists: LPUSH, LPOP and their relatives, LMOVE.
//!
//! All that a command pushes is there afterwards, or nothing of it and no new key.

use resp::Args;

use crate::call::{Call, Outcome};
use crate::error::{CommandError, StoreError};
use crate::store::Edit;
use crate::typed::{End, ListValue, Typed, TypedStore};

pub(crate) fn lpush<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    push(call, tx, End::Head)
}

pub(crate) fn rpush<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    push(call, tx, End::Tail)
}

fn push<T: Typed>(call: &mut Call<'_>, tx: &mut T, end: End) -> Outcome {
    let (key, elements) = (call.args.at(1), call.args.from(2));
    // One lookup where the list exists.
    let pushed = match tx.edit_list(key)? {
        Some(list) => push_all(list, end, elements),
        None => push_all(tx.list_or_new(key)?, end, elements),
    };
    if pushed.is_err() {
        tx.settle_empty(key)?;
    }
    call.reply.count(pushed?);
    Ok(())
}

pub(crate) fn lpushx<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    push_to_existing(call, tx, End::Head)
}

pub(crate) fn rpushx<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    push_to_existing(call, tx, End::Tail)
}

fn push_to_existing<T: Typed>(call: &mut Call<'_>, tx: &mut T, end: End) -> Outcome {
    let length = match tx.edit_list(call.args.at(1))? {
        Some(list) => push_all(list, end, call.args.from(2))?,
        None => 0,
    };
    call.reply.count(length);
    Ok(())
}

/// How long the list is then. If one element has no place, those before it go again.
#[inline]
fn push_all(list: &mut impl ListValue, end: End, elements: Args<'_>) -> Result<usize, StoreError> {
    for (pushed, element) in elements.iter().enumerate() {
        if let Err(error) = list.push(end, element) {
            pop_many(list, end, pushed, &mut |_| ());
            return Err(error);
        }
    }
    Ok(list.len())
}

pub(super) fn pop_many(
    list: &mut impl ListValue,
    end: End,
    count: usize,
    show: &mut dyn FnMut(&[u8]),
) {
    for _ in 0..count {
        list.pop(end, show);
    }
}

pub(crate) fn lpop<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    pop(call, tx, End::Head)
}

pub(crate) fn rpop<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    pop(call, tx, End::Tail)
}

fn pop<T: Typed>(call: &mut Call<'_>, tx: &mut T, end: End) -> Outcome {
    let count = match call.args.len() {
        2 => None,
        3 => Some(count(call, 2)?),
        _ => return Err(CommandError::arity(call.name)),
    };
    let key = call.args.at(1);
    let reply = &mut call.reply;
    let Some(list) = tx.edit_list(key)? else {
        match count {
            None => reply.null(),
            Some(_) => reply.null_array(),
        }
        return Ok(());
    };
    match count {
        None => pop_many(list, end, 1, &mut |element| reply.bulk(element)),
        Some(count) => {
            let count = count.min(list.len());
            reply.array(count);
            pop_many(list, end, count, &mut |element| reply.bulk(element));
        }
    }
    if list.is_empty() {
        tx.settle_empty(key)?;
    } else if count == Some(0) {
        tx.close_edit(Edit::Undone);
    }
    Ok(())
}

/// How many elements are wanted; what is no integer is out of range, too.
fn count(call: &Call<'_>, index: usize) -> Result<usize, CommandError> {
    let count = call
        .integer(index)
        .ok()
        .and_then(|count| usize::try_from(count).ok());
    count.ok_or(CommandError::Text(
        &"ERR value is out of range, must be positive",
    ))
}

pub(crate) fn lmove<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (pops, pushes) = (end(call, 3)?, end(call, 4)?);
    move_one(call, tx, pops, pushes)
}

pub(crate) fn rpoplpush<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    move_one(call, tx, End::Tail, End::Head)
}

fn end(call: &Call<'_>, index: usize) -> Result<End, CommandError> {
    if call.is(index, "LEFT") {
        Ok(End::Head)
    } else if call.is(index, "RIGHT") {
        Ok(End::Tail)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// The element is in the target before it leaves the source, as only the former can fail. Within one
/// list that comes to the same.
fn move_one<T: Typed>(call: &mut Call<'_>, tx: &mut T, pops: End, pushes: End) -> Outcome {
    let (from, to) = (call.args.at(1), call.args.at(2));
    let Some(source) = tx.list(from)? else {
        call.reply.null();
        return Ok(());
    };
    let place = match pops {
        End::Head => 0,
        End::Tail => source.len().saturating_sub(1),
    };
    let Some(element) = source.get(place).map(<[u8]>::to_vec) else {
        call.reply.null();
        return Ok(());
    };
    if let Err(error) = tx.list_or_new(to)?.push(pushes, &element) {
        tx.settle_empty(to)?;
        return Err(error.into());
    }
    if let Some(source) = tx.edit_list(from)? {
        source.pop(pops, &mut |_| ());
        if source.is_empty() {
            tx.settle_empty(from)?;
        }
    }
    call.reply.bulk(&element);
    Ok(())
}
