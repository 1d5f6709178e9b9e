//! What one connection's keys must hold, and the next random command with the reply it must get.
//!
//! The server runs a connection's commands in the order in which they were sent, so the mirror may run
//! ahead: a command changes it when it is planned. Lists and hashes stay when the load goes back to
//! commands of an older version, which can move, remove and overwrite them and read none of them: its
//! replies are the same whether that version runs or the one that made them. Owns no socket.

mod held;
mod planned;
mod strings;
mod typed;

pub(super) use held::{Found, Stored};
pub(super) use planned::Planned;

use super::orders::Commands;
use super::wire::Value;
use super::{COMMON_COUNTERS, Plan};
use held::{Deadline, Held};
use planned::{Expected, Write};
use std::collections::HashMap;

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

    fn key_of(&mut self, family: char, keys: usize) -> String {
        let index = self.below(keys);
        format!("{}:{family}{index}", self.base)
    }

    /// A key of any family but the counters.
    fn any_key(&mut self) -> String {
        match self.below(10) {
            0 => self.list_key(),
            1 => self.hash_key(),
            _ => self.key_of('t', self.keys),
        }
    }

    fn number_key(&mut self) -> String {
        self.key_of('n', self.keys / 8 + 1)
    }

    fn list_key(&mut self) -> String {
        self.key_of('l', self.keys / 8 + 1)
    }

    fn hash_key(&mut self) -> String {
        self.key_of('h', self.keys / 8 + 1)
    }

    fn text(&mut self, longest: usize) -> Vec<u8> {
        let length = 1 + self.below(longest);
        (0..length).map(|_| b'a' + self.below(26) as u8).collect()
    }

    fn entry(&self, key: &str) -> Option<&Held> {
        self.held.get(key)
    }

    fn held(&self, key: &str) -> Option<&Stored> {
        Some(&self.held.get(key)?.value)
    }

    /// Every key that this connection may ever have written.
    pub fn all_keys(&self) -> impl Iterator<Item = String> + '_ {
        let few = self.keys / 8 + 1;
        let families = [('t', self.keys), ('n', few), ('l', few), ('h', few)];
        families.into_iter().flat_map(move |(family, keys)| {
            (0..keys).map(move |n| format!("{}:{family}{n}", self.base))
        })
    }

    /// The next command.
    pub fn plan(&mut self, commands: Commands) -> Planned {
        let key = self.any_key();
        let choices = match commands {
            Commands::Strings => 100,
            Commands::Expiring => 124,
            Commands::Typed => 184,
        };
        match self.below(choices) {
            0..30 => self.get(key),
            30..50 => self.set(key),
            50..60 => self.append(key),
            60..68 => self.increment(),
            68..76 => self.increment_common(),
            76..82 => self.set_several(),
            82..88 => self.get_several(),
            88..94 => self.delete(key),
            94..97 => self.rename(key),
            97..100 => self.length(key),
            100..108 => self.set_with_deadline(key),
            108..114 => self.expire(key),
            114..121 => self.lifetime(key),
            121..124 => self.persist(key),
            124..154 => self.on_list(),
            _ => self.on_hash(),
        }
    }

    /// Asks for all that a key holds, as far as these commands can.
    pub fn read_back(&mut self, key: String, commands: Commands) -> Planned {
        match commands {
            Commands::Typed => self.contents(key),
            Commands::Strings | Commands::Expiring => self.get(key),
        }
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
            Write { key, before, after }
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
        planned.check(reply, &mut self.last_common)
    }

    /// For commands whose replies a broken connection swallowed: the keys they wrote, each with everything
    /// that it may now hold.
    pub fn doubtful(&self, unanswered: &[Planned]) -> HashMap<String, Vec<Option<Stored>>> {
        let mut doubtful: HashMap<String, Vec<Option<Stored>>> = HashMap::new();
        let value = |held: &Option<Held>| held.as_ref().map(|held| held.value.clone());
        for Write { key, before, after } in unanswered.iter().flat_map(|planned| &planned.writes) {
            let may_hold = doubtful
                .entry(key.clone())
                .or_insert_with(|| vec![value(before)]);
            may_hold.push(value(after));
        }
        doubtful
    }

    /// Settles a doubtful key by what the server really holds.
    pub fn settle(&mut self, key: String, value: Option<Stored>) {
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

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}
