//! What one connection's keys must hold, and the next random command with the reply it must get.
//!
//! The server runs a connection's commands in the order in which they were sent, so the mirror may run
//! ahead: a command changes it when it is planned. Owns no socket.

use super::orders::Expiry;
use super::wire::Value;
use super::{COMMON_COUNTERS, Plan};
use std::collections::HashMap;

/// A value that has grown to this is set anew.
const LARGEST_VALUE: usize = 4096;
/// Deadlines are so far away that none falls due while the load runs.
const DEADLINE_MS: i64 = 24 * 3600 * 1000;

/// Whether a key has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deadline {
    None,
    Far,
    /// A connection broke; the next command that decides it makes it known again.
    Unknown,
}

/// What a key holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    value: Vec<u8>,
    deadline: Deadline,
}

/// The reply that a command must get.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expected {
    Exactly(Value),
    /// More than this connection's last reply of the same counter.
    Raised(usize),
    /// A time to live.
    Lifetime(Deadline),
}

/// A command on its way.
pub(super) struct Planned {
    pub parts: Vec<Vec<u8>>,
    expected: Expected,
    /// Keys it writes, with what they held before and hold after it.
    writes: Vec<(String, Option<Held>, Option<Held>)>,
}

impl Planned {
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

    fn describe(&self) -> String {
        let parts = self.parts.iter().map(|part| shorten(part));
        parts.collect::<Vec<_>>().join(" ")
    }
}

pub(super) struct Mirror {
    base: String,
    commons: Vec<String>,
    keys: usize,
    held: HashMap<String, Held>,
    last_common: [i64; COMMON_COUNTERS],
    random: u64,
}

impl Mirror {
    pub fn new(plan: &Plan, seat: usize) -> Mirror {
        Mirror {
            base: format!("{}:{seat}", plan.prefix),
            commons: (0..COMMON_COUNTERS)
                .map(|n| plan.common_counter(n))
                .collect(),
            keys: plan.keys.max(2),
            held: HashMap::new(),
            last_common: [0; COMMON_COUNTERS],
            random: (plan.seed ^ (seat as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Below `limit`. Marsaglia's xorshift64* generator.
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let mixed = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((mixed >> 32) as usize) % limit
    }

    fn text_key(&mut self) -> String {
        let index = self.below(self.keys);
        format!("{}:t{index}", self.base)
    }

    fn number_key(&mut self) -> String {
        let index = self.below(self.keys / 8 + 1);
        format!("{}:n{index}", self.base)
    }

    fn text(&mut self, longest: usize) -> Vec<u8> {
        let length = 1 + self.below(longest);
        (0..length).map(|_| b'a' + self.below(26) as u8).collect()
    }

    /// Every key that this connection may ever have written.
    pub fn all_keys(&self) -> impl Iterator<Item = String> + '_ {
        let texts = (0..self.keys).map(|n| format!("{}:t{n}", self.base));
        let numbers = (0..self.keys / 8 + 1).map(|n| format!("{}:n{n}", self.base));
        texts.chain(numbers)
    }

    /// The next command.
    pub fn plan(&mut self, expiry: Expiry) -> Planned {
        let key = self.text_key();
        let present = self.held.contains_key(&key);
        match self.below(if expiry == Expiry::Used { 124 } else { 100 }) {
            0..30 => self.get(key),
            30..50 => self.set(key),
            50..60 => self.append(key),
            60..68 => self.increment(),
            68..76 => self.increment_common(),
            76..82 => self.set_several(),
            82..88 => self.get_several(),
            88..94 => self.delete(key),
            94..97 if present => self.rename(key),
            94..100 => self.length(key),
            100..108 => self.set_with_deadline(key),
            108..114 => self.expire(key),
            114..121 => self.lifetime(key),
            _ => self.persist(key),
        }
    }

    fn get(&mut self, key: String) -> Planned {
        let value = self.held.get(&key).map(|held| held.value.clone());
        read(&["GET", &key], Value::Bulk(value))
    }

    fn length(&mut self, key: String) -> Planned {
        let length = self.held.get(&key).map_or(0, |held| held.value.len());
        read(&["STRLEN", &key], Value::Integer(length as i64))
    }

    fn set(&mut self, key: String) -> Planned {
        let longest = if self.below(20) == 0 { 2000 } else { 60 };
        let value = self.text(longest);
        let parts = vec![b"SET".to_vec(), key.clone().into_bytes(), value.clone()];
        self.write(parts, ok(), vec![(key, Some(plain(value)))])
    }

    fn append(&mut self, key: String) -> Planned {
        let mut held = self
            .held
            .get(&key)
            .cloned()
            .unwrap_or_else(|| plain(Vec::new()));
        if held.value.len() > LARGEST_VALUE {
            return self.set(key);
        }
        let more = self.text(30);
        held.value.extend_from_slice(&more);
        let reply = Value::Integer(held.value.len() as i64);
        let parts = vec![b"APPEND".to_vec(), key.clone().into_bytes(), more];
        self.write(parts, reply, vec![(key, Some(held))])
    }

    fn increment(&mut self) -> Planned {
        let key = self.number_key();
        let held = self.held.get(&key);
        let text = held.map_or("0".into(), |held| String::from_utf8_lossy(&held.value));
        let number = text.parse::<i64>().unwrap_or(0) + 1;
        let deadline = held.map_or(Deadline::None, |held| held.deadline);
        let after = Held {
            value: number.to_string().into_bytes(),
            deadline,
        };
        let parts = words(&["INCR", &key]);
        self.write(parts, Value::Integer(number), vec![(key, Some(after))])
    }

    fn increment_common(&mut self) -> Planned {
        let index = self.below(COMMON_COUNTERS);
        Planned {
            parts: words(&["INCR", &self.commons[index]]),
            expected: Expected::Raised(index),
            writes: Vec::new(),
        }
    }

    fn set_several(&mut self) -> Planned {
        let mut parts = vec![b"MSET".to_vec()];
        let mut after = Vec::new();
        let first = self.below(self.keys);
        for n in 0..3.min(self.keys) {
            let key = format!("{}:t{}", self.base, (first + n) % self.keys);
            let value = self.text(40);
            parts.extend([key.clone().into_bytes(), value.clone()]);
            after.push((key, Some(plain(value))));
        }
        self.write(parts, ok(), after)
    }

    fn get_several(&mut self) -> Planned {
        let keys: Vec<String> = (0..4).map(|_| self.text_key()).collect();
        let values = keys.iter().map(|key| {
            let value = self.held.get(key).map(|held| held.value.clone());
            Value::Bulk(value)
        });
        let reply = Value::Array(Some(values.collect()));
        let mut parts = vec![b"MGET".to_vec()];
        parts.extend(keys.into_iter().map(String::into_bytes));
        Planned {
            parts,
            expected: Expected::Exactly(reply),
            writes: Vec::new(),
        }
    }

    fn delete(&mut self, key: String) -> Planned {
        let reply = Value::Integer(self.held.contains_key(&key).into());
        self.write(words(&["DEL", &key]), reply, vec![(key, None)])
    }

    fn rename(&mut self, key: String) -> Planned {
        let target = self.text_key();
        let parts = words(&["RENAME", &key, &target]);
        let moved = self.held.get(&key).cloned();
        match key == target {
            true => read(&["RENAME", &key, &target], ok()),
            false => self.write(parts, ok(), vec![(key, None), (target, moved)]),
        }
    }

    fn set_with_deadline(&mut self, key: String) -> Planned {
        let after = Held {
            value: self.text(60),
            deadline: Deadline::Far,
        };
        let mut parts = words(&["SET", &key]);
        parts.push(after.value.clone());
        parts.extend(words(&["PX", &DEADLINE_MS.to_string()]));
        self.write(parts, ok(), vec![(key, Some(after))])
    }

    fn expire(&mut self, key: String) -> Planned {
        let parts = words(&["PEXPIRE", &key, &DEADLINE_MS.to_string()]);
        match self.held.get(&key).cloned() {
            Some(held) => {
                let deadline = Deadline::Far;
                let after = Held { deadline, ..held };
                self.write(parts, Value::Integer(1), vec![(key, Some(after))])
            }
            None => self.write(parts, Value::Integer(0), vec![(key, None)]),
        }
    }

    fn persist(&mut self, key: String) -> Planned {
        match self.held.get(&key).cloned() {
            // The reply says whether there was a deadline; where that is unknown, a plain SET settles it.
            Some(held) if held.deadline == Deadline::Unknown => self.set(key),
            Some(held) => {
                let reply = Value::Integer((held.deadline == Deadline::Far).into());
                let deadline = Deadline::None;
                let after = Held { deadline, ..held };
                self.write(words(&["PERSIST", &key]), reply, vec![(key, Some(after))])
            }
            None => read(&["PERSIST", &key], Value::Integer(0)),
        }
    }

    /// Asks for the time to live of a key.
    pub fn lifetime(&mut self, key: String) -> Planned {
        let Some(held) = self.held.get(&key) else {
            return read(&["PTTL", &key], Value::Integer(-2));
        };
        Planned {
            parts: words(&["PTTL", &key]),
            expected: Expected::Lifetime(held.deadline),
            writes: Vec::new(),
        }
    }

    /// Asks for a key's value.
    pub fn read_back(&mut self, key: String) -> Planned {
        self.get(key)
    }

    fn write(
        &mut self,
        parts: Vec<Vec<u8>>,
        reply: Value,
        after: Vec<(String, Option<Held>)>,
    ) -> Planned {
        let writes = after.into_iter().map(|(key, after)| {
            let before = match &after {
                Some(held) => self.held.insert(key.clone(), held.clone()),
                None => self.held.remove(&key),
            };
            (key, before, after)
        });
        Planned {
            parts,
            writes: writes.collect(),
            expected: Expected::Exactly(reply),
        }
    }

    /// Compares a reply with what it must be.
    ///
    /// # Errors
    /// One line with the command, what was expected and what came.
    pub fn check(&mut self, planned: &Planned, reply: &Value) -> Result<(), String> {
        let right = match (&planned.expected, reply) {
            (Expected::Exactly(wanted), found) => wanted == found,
            (Expected::Raised(index), Value::Integer(found)) => {
                let last = std::mem::replace(&mut self.last_common[*index], *found);
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
                planned.describe(),
                show_expected(&planned.expected),
                show(reply)
            )),
        }
    }

    /// For commands whose replies a broken connection swallowed: the keys they wrote, each with everything
    /// that it may now hold.
    pub fn doubtful(&self, unanswered: &[Planned]) -> HashMap<String, Vec<Option<Vec<u8>>>> {
        let mut doubtful: HashMap<String, Vec<Option<Vec<u8>>>> = HashMap::new();
        let value = |held: &Option<Held>| held.as_ref().map(|held| held.value.clone());
        for (key, before, after) in unanswered.iter().flat_map(|planned| &planned.writes) {
            let may_hold = doubtful
                .entry(key.clone())
                .or_insert_with(|| vec![value(before)]);
            may_hold.push(value(after));
        }
        doubtful
    }

    /// Settles a doubtful key by what the server really holds.
    pub fn settle(&mut self, key: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => {
                let deadline = Deadline::Unknown;
                self.held.insert(key, Held { value, deadline });
            }
            None => {
                self.held.remove(&key);
            }
        }
    }
}

fn plain(value: Vec<u8>) -> Held {
    Held {
        value,
        deadline: Deadline::None,
    }
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn read(command: &[&str], reply: Value) -> Planned {
    Planned {
        parts: words(command),
        expected: Expected::Exactly(reply),
        writes: Vec::new(),
    }
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

fn show_expected(expected: &Expected) -> String {
    match expected {
        Expected::Exactly(value) => show(value),
        Expected::Raised(_) => "a raised counter".to_owned(),
        Expected::Lifetime(Deadline::None) => "no deadline".to_owned(),
        Expected::Lifetime(_) => "a deadline".to_owned(),
    }
}
