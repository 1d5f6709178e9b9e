//! What a key holds, in the mirror's memory and as the server shows it.

use crate::load::wire::{Value, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Deadlines are so far away that none falls due while the load runs.
pub(super) const DEADLINE_MS: i64 = 24 * 3600 * 1000;
/// What every version answers to a command for another type, foreign values included.
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Whether a key has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deadline {
    None,
    Far,
    /// A connection broke; the next command that decides it makes it known again.
    Unknown,
}

/// A value of any type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::load) enum Stored {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

/// What a key holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub value: Stored,
    pub deadline: Deadline,
}

impl Held {
    /// Without a deadline.
    pub fn new(value: Stored) -> Held {
        Held {
            value,
            deadline: Deadline::None,
        }
    }

    pub fn text(value: Vec<u8>) -> Held {
        Held::new(Stored::Text(value))
    }
}

/// What a key that is read as another type answers.
pub(super) fn wrong_type() -> Value {
    Value::Error(WRONG_TYPE.to_owned())
}

/// What the server holds under a key, by commands that every version has: a list or hash is no more than
/// that there is one.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::load) enum Found {
    Nothing,
    Text(Vec<u8>),
    AnotherType,
}

impl Found {
    pub fn ask(wire: &mut Wire, key: &str) -> io::Result<Found> {
        match wire.ask(&["GET", key])? {
            Value::Bulk(None) => Ok(Found::Nothing),
            Value::Bulk(Some(text)) => Ok(Found::Text(text)),
            other if other == wrong_type() => Ok(Found::AnotherType),
            other => Err(io::Error::other(format!("GET {key}: {other:?}"))),
        }
    }

    /// Whether a key that holds this answers so.
    pub fn is(&self, stored: Option<&Stored>) -> bool {
        match (self, stored) {
            (Found::Nothing, None) => true,
            (Found::Text(found), Some(Stored::Text(text))) => found == text,
            (Found::AnotherType, Some(stored)) => !matches!(stored, Stored::Text(_)),
            _ => false,
        }
    }
}
