//! A command on its way, the reply that it must get, and how replies are shown to people.

use super::held::{DEADLINE_MS, Deadline, Held};
use crate::load::wire::Value;
use std::collections::BTreeMap;

/// The reply that a command must get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    Exactly(Value),
    /// Fields with their values, in any order.
    Fields(BTreeMap<Vec<u8>, Vec<u8>>),
    /// More than this connection's last reply of the same counter.
    Raised(usize),
    /// A time to live.
    Lifetime(Deadline),
}

/// What a key held before a command and holds after it.
pub(super) struct Write {
    pub key: String,
    pub before: Option<Held>,
    pub after: Option<Held>,
}

/// A command on its way.
pub(in crate::load) struct Planned {
    pub parts: Vec<Vec<u8>>,
    pub(super) expected: Expected,
    pub(super) writes: Vec<Write>,
}

impl Planned {
    /// One that changes nothing.
    pub(super) fn read<P: AsRef<[u8]>>(parts: &[P], reply: Value) -> Planned {
        Planned {
            parts: words(parts),
            expected: Expected::Exactly(reply),
            writes: Vec::new(),
        }
    }

    pub fn is_write(&self) -> bool {
        !self.writes.is_empty() || self.common().is_some()
    }

    /// The common counter that it raises.
    pub fn common(&self) -> Option<usize> {
        match self.expected {
            Expected::Raised(index) => Some(index),
            _ => None,
        }
    }

    /// Compares a reply with what it must be; `last_common` holds this connection's last replies of the
    /// common counters.
    ///
    /// # Errors
    /// One line with the command, what was expected and what came.
    pub(super) fn check(&self, reply: &Value, last_common: &mut [i64]) -> Result<(), String> {
        let right = match (&self.expected, reply) {
            (Expected::Exactly(wanted), found) => wanted == found,
            (Expected::Fields(wanted), found) => fields(found).as_ref() == Some(wanted),
            (Expected::Raised(index), Value::Integer(found)) => {
                let last = std::mem::replace(&mut last_common[*index], *found);
                *found > last
            }
            (Expected::Lifetime(Deadline::None), found) => *found == Value::Integer(-1),
            (Expected::Lifetime(Deadline::Far), Value::Integer(found)) => {
                (1..=DEADLINE_MS).contains(found)
            }
            (Expected::Lifetime(Deadline::Unknown), Value::Integer(found)) => *found >= -1,
            _ => false,
        };
        match right {
            true => Ok(()),
            false => Err(format!(
                "{}: {} expected, {} came",
                self.describe(),
                self.expected.show(),
                show(reply)
            )),
        }
    }

    fn describe(&self) -> String {
        let parts = self.parts.iter().map(|part| shorten(part));
        parts.collect::<Vec<_>>().join(" ")
    }
}

impl Expected {
    fn show(&self) -> String {
        match self {
            Expected::Exactly(value) => show(value),
            Expected::Fields(fields) => format!("{} fields", fields.len()),
            Expected::Raised(_) => "a raised counter".to_owned(),
            Expected::Lifetime(Deadline::None) => "no deadline".to_owned(),
            Expected::Lifetime(_) => "a deadline".to_owned(),
        }
    }
}

pub(super) fn words<P: AsRef<[u8]>>(words: &[P]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_ref().to_vec()).collect()
}

/// Fields and values that take turns, as HGETALL gives them; none if the reply is something else or
/// names a field twice.
pub(super) fn fields(reply: &Value) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let Value::Array(Some(parts)) = reply else {
        return None;
    };
    let mut fields = BTreeMap::new();
    for pair in parts.chunks(2) {
        let [Value::Bulk(Some(field)), Value::Bulk(Some(value))] = pair else {
            return None;
        };
        if fields.insert(field.clone(), value.clone()).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn shorten(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=40 => String::from_utf8_lossy(bytes).into_owned(),
        length => format!(
            "{}… ({length} bytes)",
            String::from_utf8_lossy(&bytes[..30])
        ),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Bulk(Some(bytes)) => format!("{:?}", shorten(bytes)),
        Value::Bulk(None) | Value::Array(None) => "nothing".to_owned(),
        Value::Array(Some(values)) => {
            let shown: Vec<String> = values.iter().map(show).collect();
            format!("[{}]", shown.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Simple(text) | Value::Error(text) => text.clone(),
    }
}
