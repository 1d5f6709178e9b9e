//! Times to live: EXPIRE, TTL and their relatives, PERSIST.

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Expiring, ExpiringStore, Keyspace, Lifetime, UnixMs};

/// What a time is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    Epoch,
}

impl Start {
    pub(crate) fn base(self, now: UnixMs) -> i64 {
        match self {
            Self::Now => now.0 as i64,
            Self::Epoch => 0,
        }
    }
}

/// What a time is counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    pub(crate) fn milliseconds(self, amount: i64) -> Option<i64> {
        match self {
            Self::Seconds => amount.checked_mul(1000),
            Self::Milliseconds => Some(amount),
        }
    }

    /// Seconds are rounded to nearest, as Redis answers them.
    fn shown(self, milliseconds: u64) -> i64 {
        match self {
            Self::Seconds => (milliseconds as i64).saturating_add(500) / 1000,
            Self::Milliseconds => milliseconds as i64,
        }
    }
}

pub(crate) fn reply_expire_time_error(command: &str) -> CommandError {
    CommandError::whole(format!("ERR invalid expire time in '{command}' command"))
}

/// Whether a deadline that is being set has come: the key is removed instead.
pub(crate) fn already_over(deadline: UnixMs, now: UnixMs) -> bool {
    deadline <= now
}

pub(crate) fn expire<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_deadline::<S>(call, tx, Start::Now, Unit::Seconds)
}

pub(crate) fn pexpire<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_deadline::<S>(call, tx, Start::Now, Unit::Milliseconds)
}

pub(crate) fn expireat<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_deadline::<S>(call, tx, Start::Epoch, Unit::Seconds)
}

pub(crate) fn pexpireat<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    set_deadline::<S>(call, tx, Start::Epoch, Unit::Milliseconds)
}

/// When EXPIRE may change what there is.
#[derive(Clone, Copy, Default)]
struct Conditions {
    persistent: bool,
    expiring: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(call: &Call<'_>) -> Result<Self, CommandError> {
        let mut found = Self::default();
        for at in 3..call.args.len() {
            if call.is(at, "NX") {
                found.persistent = true;
            } else if call.is(at, "XX") {
                found.expiring = true;
            } else if call.is(at, "GT") {
                found.later = true;
            } else if call.is(at, "LT") {
                found.earlier = true;
            } else {
                let before = "ERR Unsupported option ";
                return Err(CommandError::quoting(before, call.args.at(at), ""));
            }
        }
        if found.persistent && (found.expiring || found.later || found.earlier) {
            return Err(CommandError::Text(
                &"ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if found.later && found.earlier {
            return Err(CommandError::Text(
                &"ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(found)
    }

    /// A key without a deadline counts as one that lives for ever.
    fn allow(self, current: Option<i64>, wanted: i64) -> bool {
        !(self.persistent && current.is_some()
            || self.expiring && current.is_none()
            || self.later && current.is_none_or(|current| wanted <= current)
            || self.earlier && current.is_some_and(|current| wanted >= current))
    }
}

fn set_deadline<S: ExpiringStore>(
    call: &mut Call<'_>,
    tx: &mut S::Tx<'_>,
    start: Start,
    unit: Unit,
) -> Outcome {
    let conditions = Conditions::parse(call)?;
    let wanted = unit
        .milliseconds(call.integer(2)?)
        .and_then(|amount| amount.checked_add(start.base(call.now)))
        .ok_or_else(|| reply_expire_time_error(call.name))?;
    let key = call.args.at(1);
    let current = match tx.lifetime(key)? {
        Lifetime::Absent => {
            call.reply.integer(0);
            return Ok(());
        }
        Lifetime::Persistent => None,
        Lifetime::Until(deadline) => Some(deadline.0 as i64),
    };
    let goes = conditions.allow(current, wanted);
    if goes {
        // A time before 1970 is as over as any.
        let deadline = UnixMs(wanted.max(0) as u64);
        if already_over(deadline, call.now) {
            tx.remove(key)?;
        } else {
            tx.set_deadline(key, Some(deadline))?;
        }
    }
    call.reply.integer(i64::from(goes));
    Ok(())
}

pub(crate) fn ttl<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    show::<S>(call, tx, Start::Now, Unit::Seconds)
}

pub(crate) fn pttl<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    show::<S>(call, tx, Start::Now, Unit::Milliseconds)
}

pub(crate) fn expiretime<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    show::<S>(call, tx, Start::Epoch, Unit::Seconds)
}

pub(crate) fn pexpiretime<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    show::<S>(call, tx, Start::Epoch, Unit::Milliseconds)
}

fn show<S: ExpiringStore>(
    call: &mut Call<'_>,
    tx: &mut S::Tx<'_>,
    start: Start,
    unit: Unit,
) -> Outcome {
    let lifetime = tx.lifetime(call.args.at(1))?;
    call.looked_up(lifetime != Lifetime::Absent);
    call.reply.integer(match lifetime {
        Lifetime::Absent => -2,
        Lifetime::Persistent => -1,
        Lifetime::Until(deadline) => {
            unit.shown(deadline.0.saturating_sub(start.base(call.now) as u64))
        }
    });
    Ok(())
}

pub(crate) fn persist<S: ExpiringStore>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let key = call.args.at(1);
    let had = matches!(tx.lifetime(key)?, Lifetime::Until(_));
    if had {
        tx.set_deadline(key, None)?;
    }
    call.reply.integer(i64::from(had));
    Ok(())
}
