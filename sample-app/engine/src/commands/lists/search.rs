//! Elements by what they are: LPOS, LREM, LINSERT.

use std::ops::ControlFlow;

use resp::parse_integer;

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Edit, Keyspace};
use crate::typed::{End, ListValue, Typed, TypedStore};

/// Which of several equal elements LPOS tells.
struct Wanted {
    /// The first one counts as 1; from the tail where negative.
    rank: i64,
    /// How many positions, 0 being all; without it one, and not in an array.
    count: Option<i64>,
    /// How many elements are compared, 0 being all.
    most: i64,
}

impl Wanted {
    fn parse(call: &Call<'_>) -> Result<Self, CommandError> {
        let mut wanted = Self {
            rank: 1,
            count: None,
            most: 0,
        };
        for at in (3..call.args.len()).step_by(2) {
            let value = call.args.get(at + 1).ok_or(CommandError::SYNTAX)?;
            let natural = |error| {
                let value = parse_integer(value).filter(|&value| value >= 0);
                value.ok_or(CommandError::Text(error))
            };
            if call.is(at, "RANK") {
                wanted.rank = call.integer(at + 1)?;
                if wanted.rank == 0 {
                    return Err(CommandError::Text(
                        &"ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                         second ... or use negative to start from the end of the list",
                    ));
                }
            } else if call.is(at, "COUNT") {
                wanted.count = Some(natural(&"ERR COUNT can't be negative")?);
            } else if call.is(at, "MAXLEN") {
                wanted.most = natural(&"ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(wanted)
    }

    fn find(&self, list: &impl ListValue, element: &[u8]) -> Vec<usize> {
        let length = list.len();
        let (first, towards) = if self.rank > 0 {
            (0, End::Tail)
        } else {
            (length.saturating_sub(1), End::Head)
        };
        // The smallest number of all has no opposite: Redis begins with the first from the tail then, and
        // takes any COUNT for all.
        let skipped = self.rank.checked_abs().map_or(0, |rank| rank - 1);
        let enough = match self.count {
            None => 1,
            Some(count) if count == 0 || self.rank == i64::MIN => usize::MAX,
            Some(count) => count as usize,
        };
        let mut found = Vec::new();
        let (mut matches, mut compared) = (0, 0);
        list.walk(first, towards, &mut |other| {
            if other == element {
                matches += 1;
                if matches > skipped {
                    found.push(match towards {
                        End::Tail => compared,
                        End::Head => length - 1 - compared,
                    });
                }
            }
            compared += 1;
            if found.len() == enough || compared as i64 == self.most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        found
    }
}

pub(crate) fn lpos<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let wanted = Wanted::parse(call)?;
    let list = tx.list(call.args.at(1))?;
    call.looked_up(list.is_some());
    let found = list.map_or(Vec::new(), |list| wanted.find(list, call.args.at(2)));
    match (wanted.count, found.first()) {
        (None, None) => call.reply.null(),
        (None, Some(&first)) => call.reply.count(first),
        (Some(_), _) => {
            call.reply.array(found.len());
            for place in found {
                call.reply.count(place);
            }
        }
    }
    Ok(())
}

pub(crate) fn lrem<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let count = call.integer(2)?;
    let key = call.args.at(1);
    let (from, most) = match count {
        0 => (End::Head, usize::MAX),
        1.. => (End::Head, count as usize),
        _ => (End::Tail, count.unsigned_abs() as usize),
    };
    let removed = match tx.edit_list(key)? {
        Some(list) => {
            let removed = list.remove_equal(call.args.at(3), from, most)?;
            if list.is_empty() {
                tx.settle_empty(key)?;
            } else if removed == 0 {
                tx.close_edit(Edit::Undone);
            }
            removed
        }
        None => 0,
    };
    call.reply.count(removed);
    Ok(())
}

pub(crate) fn linsert<S: TypedStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let offset = if call.is(2, "BEFORE") {
        0
    } else if call.is(2, "AFTER") {
        1
    } else {
        return Err(CommandError::SYNTAX);
    };
    let Some(list) = tx.edit_list(call.args.at(1))? else {
        call.reply.integer(0);
        return Ok(());
    };
    let pivot = Wanted {
        rank: 1,
        count: None,
        most: 0,
    };
    match pivot.find(list, call.args.at(3)).first() {
        Some(place) => {
            list.insert(place + offset, call.args.at(4))?;
            call.reply.count(list.len());
        }
        None => {
            call.reply.integer(-1);
            tx.close_edit(Edit::Undone);
        }
    }
    Ok(())
}
