//! SET and GETEX, whose options go together in more ways than those of any other command.

use resp::parse_integer;

use crate::call::{Call, Outcome};
use crate::commands::expiry::{Start, Unit, already_over, reply_expire_time_error};
use crate::commands::strings::reply_value;
use crate::error::{CommandError, StoreError};
use crate::store::{Expiring, ExpiringStore, Keyspace, Lifetime, Store, UnixMs};

/// Which options a command knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// SET without expiry.
    SetPlain,
    /// SET.
    Set,
    /// GETEX.
    GetEx,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    Absent,
    Present,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ok,
    OldValue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish<'a> {
    Unsaid,
    Keep,
    Persist,
    Deadline(Start, Unit, &'a [u8]),
}

struct Options<'a> {
    condition: Condition,
    answer: Answer,
    lifetime: Wish<'a>,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, first: usize, grammar: Grammar) -> Result<Self, CommandError> {
        let mut options = Self {
            condition: Condition::Always,
            answer: Answer::Ok,
            lifetime: Wish::Unsaid,
        };
        let mut at = first;
        while at < call.args.len() {
            at += options.option(call, at, grammar)?;
        }
        Ok(options)
    }

    /// Takes the option at `at`; how many arguments it has.
    fn option(
        &mut self,
        call: &Call<'a>,
        at: usize,
        grammar: Grammar,
    ) -> Result<usize, CommandError> {
        let sets = grammar != Grammar::GetEx;
        let condition = self.condition;
        let free = self.lifetime == Wish::Unsaid;
        if call.is(at, "NX") && sets && condition != Condition::Present {
            self.condition = Condition::Absent;
        } else if call.is(at, "XX") && sets && condition != Condition::Absent {
            self.condition = Condition::Present;
        } else if call.is(at, "GET") && sets {
            self.answer = Answer::OldValue;
        } else if grammar == Grammar::SetPlain {
            return Err(CommandError::SYNTAX);
        } else if call.is(at, "KEEPTTL") && sets && (free || self.lifetime == Wish::Keep) {
            self.lifetime = Wish::Keep;
        } else if call.is(at, "PERSIST") && !sets && (free || self.lifetime == Wish::Persist) {
            self.lifetime = Wish::Persist;
        } else {
            let (start, unit) = deadline_option(call, at).ok_or(CommandError::SYNTAX)?;
            // The same option twice is let through; the last one counts.
            let repeated = matches!(self.lifetime,
                Wish::Deadline(s, u, _) if s == start && u == unit);
            let value = call.args.get(at + 1).ok_or(CommandError::SYNTAX)?;
            if !free && !repeated {
                return Err(CommandError::SYNTAX);
            }
            self.lifetime = Wish::Deadline(start, unit, value);
            return Ok(2);
        }
        Ok(1)
    }
}

fn deadline_option(call: &Call<'_>, at: usize) -> Option<(Start, Unit)> {
    [
        ("EX", Start::Now, Unit::Seconds),
        ("PX", Start::Now, Unit::Milliseconds),
        ("EXAT", Start::Epoch, Unit::Seconds),
        ("PXAT", Start::Epoch, Unit::Milliseconds),
    ]
    .into_iter()
    .find(|(word, ..)| call.is(at, word))
    .map(|(_, start, unit)| (start, unit))
}

/// SET of a version that knows no expiry: its options are a syntax error.
pub(crate) fn set_plain<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (key, value) = (call.args.at(1), call.args.at(2));
    if call.args.len() == 3 {
        tx.replace(key, value)?;
        call.reply.ok();
        return Ok(());
    }
    let options = Options::parse(call, 3, Grammar::SetPlain)?;
    write(call, tx, &options, |tx| tx.replace(key, value))
}

pub(crate) fn set<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let (key, value) = (call.args.at(1), call.args.at(2));
    if call.args.len() == 3 {
        tx.replace(key, value)?;
        call.reply.ok();
        return Ok(());
    }
    let options = Options::parse(call, 3, Grammar::Set)?;
    let deadline = match options.lifetime {
        Wish::Deadline(start, unit, text) => Some(deadline(call, start, unit, text)?),
        _ => None,
    };
    write(call, tx, &options, |tx| {
        let kept = match options.lifetime {
            Wish::Keep => tx.lifetime(key)?,
            _ => Lifetime::Absent,
        };
        match (deadline, kept) {
            (Some(deadline), _) | (None, Lifetime::Until(deadline)) => {
                tx.replace_until(key, value, Some(deadline))
            }
            (None, _) => tx.replace(key, value),
        }
    })
}

fn write<K: Keyspace>(
    call: &mut Call<'_>,
    tx: &mut K,
    options: &Options<'_>,
    put: impl FnOnce(&mut K) -> Result<(), StoreError>,
) -> Outcome {
    let found = match options.answer {
        Answer::OldValue => reply_value(call, tx)?,
        Answer::Ok if options.condition == Condition::Always => false,
        Answer::Ok => tx.contains(call.args.at(1))?,
    };
    let goes = match options.condition {
        Condition::Always => true,
        Condition::Absent => !found,
        Condition::Present => found,
    };
    if goes {
        put(tx)?;
    }
    if options.answer == Answer::Ok {
        if goes {
            call.reply.ok();
        } else {
            call.reply.null();
        }
    }
    Ok(())
}

/// SETEX and PSETEX differ from SET in the place of the time and in nothing else.
pub(crate) fn setex<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_for::<S>(call, tx, Unit::Seconds)
}

pub(crate) fn psetex<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_for::<S>(call, tx, Unit::Milliseconds)
}

fn set_for<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>, unit: Unit) -> Outcome {
    let deadline = deadline(call, Start::Now, unit, call.args.at(2))?;
    tx.replace_until(call.args.at(1), call.args.at(3), Some(deadline))?;
    call.reply.ok();
    Ok(())
}

pub(crate) fn getex<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let options = Options::parse(call, 2, Grammar::GetEx)?;
    let key = call.args.at(1);
    let found = reply_value(call, tx)?;
    call.looked_up(found);
    if !found {
        return Ok(());
    }
    match options.lifetime {
        Wish::Deadline(start, unit, text) => {
            let deadline = deadline(call, start, unit, text)?;
            if start == Start::Epoch && already_over(deadline, call.now) {
                tx.remove(key)?;
            } else {
                tx.set_deadline(key, Some(deadline))?;
            }
        }
        Wish::Persist => {
            // A key that has no deadline is not touched.
            if matches!(tx.lifetime(key)?, Lifetime::Until(_)) {
                tx.set_deadline(key, None)?;
            }
        }
        Wish::Unsaid | Wish::Keep => {}
    }
    Ok(())
}

/// The deadline that a time in a SET or GETEX stands for; it must be positive.
fn deadline(
    call: &Call<'_>,
    start: Start,
    unit: Unit,
    text: &[u8],
) -> Result<UnixMs, CommandError> {
    let amount = parse_integer(text).ok_or(CommandError::NOT_AN_INTEGER)?;
    if amount <= 0 {
        return Err(reply_expire_time_error(call.name));
    }
    unit.milliseconds(amount)
        .and_then(|amount| amount.checked_add(start.base(call.now)))
        .map(|deadline| UnixMs(deadline as u64))
        .ok_or_else(|| reply_expire_time_error(call.name))
}
