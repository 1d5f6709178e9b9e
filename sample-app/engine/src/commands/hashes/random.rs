//! HRANDFIELD: any field, or several with or without repetition.

use std::collections::HashSet;

use resp::{MAX_BULK, Protocol, Reply};

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::typed::{HashValue, Typed, TypedStore};

const OUT_OF_RANGE: CommandError = CommandError::Text(&"ERR value is out of range");

/// What is told of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Name,
    NameAndValue,
}

impl Told {
    fn write(self, reply: &mut Reply<'_>, field: &[u8], value: &[u8]) {
        if self == Self::NameAndValue && reply.protocol() == Protocol::Resp3 {
            reply.array(2);
        }
        reply.bulk(field);
        if self == Self::NameAndValue {
            reply.bulk(value);
        }
    }

    /// The header for so many fields: pairs are arrays of their own in RESP3 only.
    fn announce(self, reply: &mut Reply<'_>, fields: usize) {
        let flat = self == Self::NameAndValue && reply.protocol() == Protocol::Resp2;
        reply.array(if flat { 2 * fields } else { fields });
    }
}

pub(crate) fn hrandfield<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    if call.args.len() == 2 {
        return one(call, tx);
    }
    let (count, told) = wanted(call)?;
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let Some(hash) = hash.filter(|_| count != 0) else {
        call.reply.array(0);
        return Ok(());
    };
    if count < 0 {
        repeating(call, hash, count.unsigned_abs() as usize, told)
    } else {
        distinct(call, hash, count as usize, told);
        Ok(())
    }
}

fn wanted(call: &Call<'_>) -> Result<(i64, Told), CommandError> {
    let count = call.integer(2)?;
    if count == i64::MIN {
        return Err(CommandError::Text(
            &"ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    match call.args.len() {
        3 => Ok((count, Told::Name)),
        4 if call.is(3, "WITHVALUES") => {
            // Twice as many would be no number any more.
            if count.unsigned_abs() > i64::MAX as u64 / 2 {
                return Err(OUT_OF_RANGE);
            }
            Ok((count, Told::NameAndValue))
        }
        _ => Err(CommandError::SYNTAX),
    }
}

fn one<T: Typed>(call: &mut Call<'_>, tx: &mut T) -> Outcome {
    let hash = tx.hash(call.args.at(1))?;
    call.looked_up(hash.is_some());
    let server = &mut *call.server;
    match hash.and_then(|hash| hash.random(&mut || server.random())) {
        Some((field, _)) => call.reply.bulk(field),
        None => call.reply.null(),
    }
    Ok(())
}

/// What one request makes us hold has a limit, which is that of the largest value.
fn repeating(call: &mut Call<'_>, hash: &impl HashValue, count: usize, told: Told) -> Outcome {
    let start = call.reply.mark();
    told.announce(&mut call.reply, count);
    for _ in 0..count {
        let server = &mut *call.server;
        if let Some((field, value)) = hash.random(&mut || server.random()) {
            told.write(&mut call.reply, field, value);
        }
        if call.reply.mark() - start > MAX_BULK {
            return Err(OUT_OF_RANGE);
        }
    }
    Ok(())
}

fn distinct(call: &mut Call<'_>, hash: &impl HashValue, count: usize, told: Told) {
    let length = hash.len();
    let count = count.min(length);
    told.announce(&mut call.reply, count);
    // With few of many, chance seldom gives one twice; otherwise every field is looked at.
    if count <= length / 3 {
        let mut known = HashSet::new();
        while known.len() < count {
            let server = &mut *call.server;
            if let Some((field, value)) = hash.random(&mut || server.random())
                && known.insert(field)
            {
                told.write(&mut call.reply, field, value);
            }
        }
    } else {
        sample(call, hash, count, told);
    }
}

/// `count` of the fields in the order in which they lie, each set of them with equal probability
/// (selection sampling: Knuth, The Art of Computer Programming 2, algorithm 3.4.2S).
fn sample(call: &mut Call<'_>, hash: &impl HashValue, count: usize, told: Told) {
    let (mut wanted, mut left) = (count as u64, hash.len() as u64);
    let (reply, server) = (&mut call.reply, &mut *call.server);
    hash.walk(&mut |field, value| {
        if server.random() % left < wanted {
            told.write(reply, field, value);
            wanted -= 1;
        }
        left -= 1;
    });
}
