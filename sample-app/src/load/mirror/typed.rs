//! Commands of version 3: on lists and hashes.

use super::held::{Held, Stored, wrong_type};
use super::planned::{Expected, Planned, words};
use super::{Mirror, ok};
use crate::load::wire::Value;
use std::collections::{BTreeMap, VecDeque};

/// A list that has grown to this is trimmed.
const LONGEST_LIST: usize = 200;
/// Fields that a hash can have.
const FIELDS: usize = 40;
/// What HINCRBY works on; nothing else writes it.
const COUNT: &[u8] = b"count";

impl Mirror {
    /// A command on a list.
    pub(super) fn on_list(&mut self) -> Planned {
        let key = self.list_key();
        let elements = match self.held(&key) {
            None => VecDeque::new(),
            Some(Stored::List(elements)) => elements.clone(),
            // SET or RENAME has put something else there.
            Some(_) => return Planned::read(&["LLEN", &key], wrong_type()),
        };
        match self.below(10) {
            _ if elements.len() > LONGEST_LIST => self.trim(key, elements),
            0..4 => self.push(key, elements),
            4..6 => self.pop(key, elements),
            6 => self.set_element(key, elements),
            7 => {
                let reply = Value::Integer(elements.len() as i64);
                Planned::read(&["LLEN", &key], reply)
            }
            8 => self.move_element(key, elements),
            _ => self.range(&key, &elements),
        }
    }

    fn push(&mut self, key: String, mut elements: VecDeque<Vec<u8>>) -> Planned {
        let is_head = self.below(2) == 0;
        let mut parts = words(&[if is_head { "LPUSH" } else { "RPUSH" }, &key]);
        for _ in 0..=self.below(3) {
            let element = self.text(80);
            parts.push(element.clone());
            match is_head {
                true => elements.push_front(element),
                false => elements.push_back(element),
            }
        }
        let reply = Value::Integer(elements.len() as i64);
        self.edit(parts, reply, key, Stored::List(elements))
    }

    fn pop(&mut self, key: String, mut elements: VecDeque<Vec<u8>>) -> Planned {
        let (name, popped) = match self.below(2) {
            0 => ("LPOP", elements.pop_front()),
            _ => ("RPOP", elements.pop_back()),
        };
        let parts = words(&[name, &key]);
        self.edit(parts, Value::Bulk(popped), key, Stored::List(elements))
    }

    fn set_element(&mut self, key: String, mut elements: VecDeque<Vec<u8>>) -> Planned {
        let index = self.below(elements.len().max(1));
        let element = self.text(80);
        let mut parts = words(&["LSET", &key, &index.to_string()]);
        parts.push(element.clone());
        match elements.get_mut(index) {
            Some(old) => *old = element,
            None => return Planned::read(&parts, Value::Error("ERR no such key".to_owned())),
        }
        self.edit(parts, ok(), key, Stored::List(elements))
    }

    fn trim(&mut self, key: String, mut elements: VecDeque<Vec<u8>>) -> Planned {
        let keep = LONGEST_LIST / 2;
        elements.truncate(keep);
        let parts = words(&["LTRIM", &key, "0", &(keep - 1).to_string()]);
        self.edit(parts, ok(), key, Stored::List(elements))
    }

    /// From the tail of one list to the head of another, most often in another shard.
    fn move_element(&mut self, key: String, mut elements: VecDeque<Vec<u8>>) -> Planned {
        let target = self.list_key();
        let parts = words(&["LMOVE", &key, &target, "RIGHT", "LEFT"]);
        let Some(element) = elements.pop_back() else {
            return Planned::read(&parts, Value::Bulk(None));
        };
        let reply = Value::Bulk(Some(element.clone()));
        if target == key {
            elements.push_front(element);
            return self.edit(parts, reply, key, Stored::List(elements));
        }
        let mut there = match self.held(&target) {
            None => VecDeque::new(),
            Some(Stored::List(elements)) => elements.clone(),
            Some(_) => return Planned::read(&parts, wrong_type()),
        };
        there.push_front(element);
        let after = [(key, Stored::List(elements)), (target, Stored::List(there))];
        let after = after.map(|(key, value)| {
            let held = self.edited(&key, value);
            (key, held)
        });
        self.write(parts, reply, after.into())
    }

    fn range(&mut self, key: &str, elements: &VecDeque<Vec<u8>>) -> Planned {
        let first = self.below(elements.len().max(1));
        let some = elements.iter().skip(first).take(10);
        let reply = some.map(|element| Value::Bulk(Some(element.clone())));
        let (first, last) = (first.to_string(), (first + 9).to_string());
        Planned::read(
            &["LRANGE", key, &first, &last],
            Value::Array(Some(reply.collect())),
        )
    }

    /// A command on a hash.
    pub(super) fn on_hash(&mut self) -> Planned {
        let key = self.hash_key();
        let fields = match self.held(&key) {
            None => BTreeMap::new(),
            Some(Stored::Hash(fields)) => fields.clone(),
            Some(_) => return Planned::read(&["HLEN", &key], wrong_type()),
        };
        let field = format!("field {}", self.below(FIELDS)).into_bytes();
        match self.below(10) {
            0..4 => self.set_field(key, fields, field),
            4 => self.count_in_hash(key, fields),
            5 => self.delete_field(key, fields, field),
            6 | 7 => {
                let reply = Value::Bulk(fields.get(&field).cloned());
                let parts = [b"HGET".to_vec(), key.into_bytes(), field];
                Planned::read(&parts, reply)
            }
            8 => {
                let reply = Value::Integer(fields.len() as i64);
                Planned::read(&["HLEN", &key], reply)
            }
            _ => all_fields(&key, fields),
        }
    }

    fn set_field(
        &mut self,
        key: String,
        mut fields: BTreeMap<Vec<u8>, Vec<u8>>,
        field: Vec<u8>,
    ) -> Planned {
        // Now and then a value that makes the server keep the hash in another way.
        let longest = if self.below(40) == 0 { 300 } else { 40 };
        let value = self.text(longest);
        let mut parts = words(&["HSET", &key]);
        parts.extend([field.clone(), value.clone()]);
        let is_new = fields.insert(field, value).is_none();
        self.edit(
            parts,
            Value::Integer(is_new.into()),
            key,
            Stored::Hash(fields),
        )
    }

    fn count_in_hash(&mut self, key: String, mut fields: BTreeMap<Vec<u8>, Vec<u8>>) -> Planned {
        let before = fields
            .get(COUNT)
            .map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap_or(0));
        let after: i64 = before + 1 + self.below(9) as i64;
        let mut parts = words(&["HINCRBY", &key]);
        parts.extend([COUNT.to_vec(), (after - before).to_string().into_bytes()]);
        fields.insert(COUNT.to_vec(), after.to_string().into_bytes());
        self.edit(parts, Value::Integer(after), key, Stored::Hash(fields))
    }

    fn delete_field(
        &mut self,
        key: String,
        mut fields: BTreeMap<Vec<u8>, Vec<u8>>,
        field: Vec<u8>,
    ) -> Planned {
        let mut parts = words(&["HDEL", &key]);
        parts.push(field.clone());
        let reply = Value::Integer(fields.remove(&field).is_some().into());
        self.edit(parts, reply, key, Stored::Hash(fields))
    }

    /// A write that keeps what else belongs to the key; without elements there is no key.
    fn edit(&mut self, parts: Vec<Vec<u8>>, reply: Value, key: String, value: Stored) -> Planned {
        let after = self.edited(&key, value);
        self.write(parts, reply, vec![(key, after)])
    }

    fn edited(&self, key: &str, value: Stored) -> Option<Held> {
        let is_empty = match &value {
            Stored::Text(_) => false,
            Stored::List(elements) => elements.is_empty(),
            Stored::Hash(fields) => fields.is_empty(),
        };
        let deadline = self.entry(key).map(|held| held.deadline);
        let mut held = Held::new(value);
        held.deadline = deadline.unwrap_or(held.deadline);
        (!is_empty).then_some(held)
    }

    /// Asks for all that a list or hash holds.
    pub(super) fn contents(&mut self, key: String) -> Planned {
        match self.held(&key).cloned() {
            Some(Stored::List(elements)) => {
                let elements = elements.into_iter();
                let reply = elements.map(|element| Value::Bulk(Some(element)));
                let reply = Value::Array(Some(reply.collect()));
                Planned::read(&["LRANGE", &key, "0", "-1"], reply)
            }
            Some(Stored::Hash(fields)) => all_fields(&key, fields),
            _ => self.get(key),
        }
    }
}

fn all_fields(key: &str, fields: BTreeMap<Vec<u8>, Vec<u8>>) -> Planned {
    Planned {
        parts: words(&["HGETALL", key]),
        expected: Expected::Fields(fields),
        writes: Vec::new(),
    }
}
