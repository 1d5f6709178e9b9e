//! What requests need that have arrived and whose turn will come, so that memory can be asked for them
//! all before the first is run: one lookup after the other would wait for memory each time.
//!
//! Owns how far ahead is looked, and the order in which a version's shards are asked. A look changes
//! nothing and promises nothing: what it overlooks is merely slower. Never waits for a lock.

use crate::shards::{Entry, Shards, StringHolder, shard_of};
use crate::spec::Group;
use crate::store::Store;
use crate::table::CommandTable;
use dsu_runtime::heap::{KeyHash, Reach};
use dsu_runtime::prelude::*;

/// Keys that are looked for together: enough that a shard's lock is taken for several of them at a time, few
/// enough that all that they bring stays in the nearest cache until it is used.
pub const GROUP: usize = 48;

/// After so many requests in a row that need what the one before did, a look ends: they are likely to go on,
/// and looking further would cost more than it finds.
const ALIKE: usize = 3;

/// A key that is needed, and what of its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted<'k> {
    /// The key.
    pub key: &'k [u8],
    /// A field of its hash.
    pub field: Option<&'k [u8]>,
}

/// What is needed next.
#[derive(Clone, Copy)]
pub struct Upcoming<'k> {
    wanted: [Wanted<'k>; GROUP],
    len: usize,
}

impl Default for Upcoming<'_> {
    fn default() -> Self {
        Upcoming {
            wanted: [Wanted::default(); GROUP],
            len: 0,
        }
    }
}

impl<'k> Upcoming<'k> {
    /// Whether no more is taken.
    pub fn is_full(&self) -> bool {
        self.len == GROUP
    }

    /// Adds what the complete requests at the beginning of `input` will need; the bytes that are
    /// done with.
    pub(crate) fn take<S: Store>(&mut self, table: &CommandTable<S>, input: &'k [u8]) -> usize {
        let (mut seen, mut alike) = (0, 0);
        for request in resp::look_ahead(input).take(GROUP) {
            if self.is_full() {
                break;
            }
            seen += request.length;
            let Some(command) = table.find(request.name) else {
                continue;
            };
            let spec = &command.spec;
            if spec.keys.first().is_none_or(|range| range.first != 1) {
                continue;
            }
            let wanted = Wanted {
                key: request.key,
                field: request.third.filter(|_| spec.group == Group::Hash),
            };
            // Again and again the same needs to be asked for once.
            if self.wanted().last() != Some(&wanted) {
                self.wanted[self.len] = wanted;
                self.len += 1;
                alike = 0;
                continue;
            }
            alike += 1;
            if alike == ALIKE {
                return input.len();
            }
        }
        seen
    }

    /// All of it.
    pub fn wanted(&self) -> &[Wanted<'k>] {
        &self.wanted[..self.len]
    }

    /// Whether asking beforehand is of use: a single key would be waited for here instead of there.
    pub(crate) fn is_several(&self) -> bool {
        self.len > 1
    }
}

/// What is asked for in one round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Key(Reach),
    Value,
    Content,
    Field(Reach),
}

const ROUNDS: [Round; 10] = [
    Round::Key(Reach::Place),
    Round::Key(Reach::Segment),
    Round::Key(Reach::Slot),
    Round::Key(Reach::Entry),
    Round::Value,
    Round::Content,
    Round::Field(Reach::Place),
    Round::Field(Reach::Segment),
    Round::Field(Reach::Slot),
    Round::Field(Reach::Entry),
];

/// What is known of something wanted.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Its place among the wanted.
    at: usize,
    shard: usize,
    key: KeyHash,
    field: KeyHash,
    /// The key before is the same.
    is_repeated: bool,
}

/// Asks for what lookups of `wanted` will read, step by step for all of it. A shard that somebody else
/// has, or that is not in this version's form, is left out.
pub(crate) fn prefetch<S: Shards>(cx: &Worker, wanted: &[Wanted<'_>]) {
    let mut found = [Found::default(); GROUP];
    let found = &mut found[..wanted.len()];
    let mut has_fields = false;
    let mut before: &[u8] = &[];
    for (at, (wanted, found)) in wanted.iter().zip(found.iter_mut()).enumerate() {
        found.at = at;
        found.shard = shard_of(wanted.key);
        found.is_repeated = at > 0 && before == wanted.key;
        before = wanted.key;
        has_fields |= wanted.field.is_some();
    }
    // Shard by shard: each is locked once in a round.
    found.sort_unstable_by_key(|found| (found.shard, found.at));
    for round in ROUNDS {
        if matches!(round, Round::Field(_)) && !has_fields {
            return;
        }
        let mut held: Option<(usize, Guard<'_, S::Items>)> = None;
        for found in &mut *found {
            let wanted = &wanted[found.at];
            let is_asked = match round {
                Round::Field(_) => wanted.field.is_some(),
                Round::Key(Reach::Place) => true,
                _ => !found.is_repeated,
            };
            if !is_asked {
                continue;
            }
            if held.as_ref().is_none_or(|(shard, _)| *shard != found.shard) {
                // Given back first: never two at a time.
                drop(held.take());
                let Ok(items) = S::guards()[found.shard].try_lock(cx) else {
                    continue;
                };
                held = Some((found.shard, items));
            }
            if let Some((_, items)) = &held {
                ask::<S>(items, round, wanted, found);
            }
        }
    }
}

/// One round for one key.
#[inline]
fn ask<S: Shards>(items: &S::Items, round: Round, wanted: &Wanted<'_>, found: &mut Found) {
    let entries = S::entries(items);
    match round {
        Round::Key(reach) => {
            if reach == Reach::Place {
                found.key = entries.hash_of(wanted.key);
            }
            entries.prefetch(found.key, reach);
        }
        Round::Value => {
            if let Some(entry) = entries.current(found.key, wanted.key) {
                entry.prefetch_value();
            }
        }
        Round::Content | Round::Field(_) => {
            let entry = entries.current(found.key, wanted.key);
            let Some(value) = entry.and_then(Entry::current_value) else {
                return;
            };
            match (round, wanted.field) {
                (Round::Field(reach), Some(field)) => {
                    value.prefetch_field(field, &mut found.field, reach);
                }
                _ => value.prefetch_content(),
            }
        }
    }
}
