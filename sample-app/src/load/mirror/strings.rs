//! Commands of versions 1 and 2: on strings, and on keys of any type.

use super::held::{DEADLINE_MS, Deadline, Held, Stored, wrong_type};
use super::planned::{Expected, Planned, words};
use super::{Mirror, ok};
use crate::load::COMMON_COUNTERS;
use crate::load::wire::Value;

/// A value that has grown to this is set anew.
const LARGEST_VALUE: usize = 4096;

impl Mirror {
    pub(super) fn get(&mut self, key: String) -> Planned {
        let reply = match self.held(&key) {
            None => Value::Bulk(None),
            Some(Stored::Text(text)) => Value::Bulk(Some(text.clone())),
            Some(_) => wrong_type(),
        };
        Planned::read(&["GET", &key], reply)
    }

    pub(super) fn length(&mut self, key: String) -> Planned {
        let reply = match self.held(&key) {
            None => Value::Integer(0),
            Some(Stored::Text(text)) => Value::Integer(text.len() as i64),
            Some(_) => wrong_type(),
        };
        Planned::read(&["STRLEN", &key], reply)
    }

    pub(super) fn set(&mut self, key: String) -> Planned {
        let longest = if self.below(20) == 0 { 2000 } else { 60 };
        let value = self.text(longest);
        let parts = vec![b"SET".to_vec(), key.clone().into_bytes(), value.clone()];
        self.write(parts, ok(), vec![(key, Some(Held::text(value)))])
    }

    pub(super) fn append(&mut self, key: String) -> Planned {
        let more = self.text(30);
        let parts = vec![b"APPEND".to_vec(), key.clone().into_bytes(), more.clone()];
        let mut after = match self.entry(&key) {
            Some(held) => held.clone(),
            None => Held::text(Vec::new()),
        };
        let Stored::Text(text) = &mut after.value else {
            return Planned::read(&parts, wrong_type());
        };
        if text.len() > LARGEST_VALUE {
            return self.set(key);
        }
        text.extend_from_slice(&more);
        let reply = Value::Integer(text.len() as i64);
        self.write(parts, reply, vec![(key, Some(after))])
    }

    pub(super) fn increment(&mut self) -> Planned {
        let key = self.number_key();
        let number = match self.held(&key) {
            Some(Stored::Text(text)) => String::from_utf8_lossy(text).parse::<i64>().unwrap_or(0),
            _ => 0,
        } + 1;
        let deadline = self
            .entry(&key)
            .map_or(Deadline::None, |held| held.deadline);
        let after = Held {
            value: Stored::Text(number.to_string().into_bytes()),
            deadline,
        };
        let parts = words(&["INCR", &key]);
        self.write(parts, Value::Integer(number), vec![(key, Some(after))])
    }

    pub(super) fn increment_common(&mut self) -> Planned {
        let index = self.below(COMMON_COUNTERS);
        Planned {
            parts: words(&["INCR", &self.commons[index]]),
            expected: Expected::Raised(index),
            writes: Vec::new(),
        }
    }

    pub(super) fn set_several(&mut self) -> Planned {
        let mut parts = vec![b"MSET".to_vec()];
        let mut after = Vec::new();
        let first = self.below(self.keys);
        for n in 0..3.min(self.keys) {
            let key = format!("{}:t{}", self.base, (first + n) % self.keys);
            let value = self.text(40);
            parts.extend([key.clone().into_bytes(), value.clone()]);
            after.push((key, Some(Held::text(value))));
        }
        self.write(parts, ok(), after)
    }

    pub(super) fn get_several(&mut self) -> Planned {
        let keys: Vec<String> = (0..4).map(|_| self.any_key()).collect();
        let values = keys.iter().map(|key| match self.held(key) {
            Some(Stored::Text(text)) => Value::Bulk(Some(text.clone())),
            _ => Value::Bulk(None),
        });
        let reply = Value::Array(Some(values.collect()));
        let mut parts = vec![b"MGET".to_vec()];
        parts.extend(keys.into_iter().map(String::into_bytes));
        Planned::read(&parts, reply)
    }

    pub(super) fn delete(&mut self, key: String) -> Planned {
        let reply = Value::Integer(self.held(&key).is_some().into());
        self.write(words(&["DEL", &key]), reply, vec![(key, None)])
    }

    pub(super) fn rename(&mut self, key: String) -> Planned {
        let Some(moved) = self.entry(&key).cloned() else {
            return self.length(key);
        };
        let target = self.any_key();
        let parts = words(&["RENAME", &key, &target]);
        match key == target {
            true => Planned::read(&parts, ok()),
            false => self.write(parts, ok(), vec![(key, None), (target, Some(moved))]),
        }
    }

    pub(super) fn set_with_deadline(&mut self, key: String) -> Planned {
        let value = self.text(60);
        let mut parts = words(&["SET", &key]);
        parts.push(value.clone());
        parts.extend(words(&["PX", &DEADLINE_MS.to_string()]));
        let after = Held {
            value: Stored::Text(value),
            deadline: Deadline::Far,
        };
        self.write(parts, ok(), vec![(key, Some(after))])
    }

    pub(super) fn expire(&mut self, key: String) -> Planned {
        let parts = words(&["PEXPIRE", &key, &DEADLINE_MS.to_string()]);
        match self.entry(&key).cloned() {
            Some(held) => {
                let deadline = Deadline::Far;
                let after = Held { deadline, ..held };
                self.write(parts, Value::Integer(1), vec![(key, Some(after))])
            }
            None => self.write(parts, Value::Integer(0), vec![(key, None)]),
        }
    }

    pub(super) fn persist(&mut self, key: String) -> Planned {
        match self.entry(&key).cloned() {
            // The reply says whether there was a deadline; where that is unknown, a plain SET settles it.
            Some(held) if held.deadline == Deadline::Unknown => self.set(key),
            Some(held) => {
                let reply = Value::Integer((held.deadline == Deadline::Far).into());
                let deadline = Deadline::None;
                let after = Held { deadline, ..held };
                self.write(words(&["PERSIST", &key]), reply, vec![(key, Some(after))])
            }
            None => Planned::read(&["PERSIST", &key], Value::Integer(0)),
        }
    }

    /// Asks for the time to live of a key.
    pub fn lifetime(&mut self, key: String) -> Planned {
        let Some(held) = self.entry(&key) else {
            return Planned::read(&["PTTL", &key], Value::Integer(-2));
        };
        Planned {
            parts: words(&["PTTL", &key]),
            expected: Expected::Lifetime(held.deadline),
            writes: Vec::new(),
        }
    }
}
