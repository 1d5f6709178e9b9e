//! Values in private memory, kept in the simplest way that can be right.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow, Range};

use kv_engine::{End, HashValue, ListValue, StoreError, StringValue};
use resp::parse_integer;

use super::hash_of;
use super::room::Room;

pub enum Held {
    Text(Text),
    List(List),
    Hash(Hash),
    /// What no command of the version can read.
    Foreign,
}

impl Held {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) | Self::Foreign => "list",
            Self::Hash(_) => "hash",
        }
    }

    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.bytes.len(),
            Self::List(list) => list.elements.iter().map(|element| element.len() + 1).sum(),
            Self::Hash(hash) => {
                let sizes = hash.fields.iter();
                sizes
                    .map(|((_, field), value)| field.len() + value.len() + 1)
                    .sum()
            }
            Self::Foreign => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Text(_) | Self::Foreign => false,
        }
    }
}

/// What made a string: Redis keeps it accordingly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Whole,
    SumOfFloats,
    Parts,
}

#[derive(Clone)]
pub struct Text {
    pub bytes: Vec<u8>,
    origin: Origin,
    room: Room,
}

/// The longest string that Redis keeps beside its header.
const EMBEDDED: usize = 44;

impl Text {
    pub fn new(bytes: &[u8], room: &Room) -> Self {
        Self {
            bytes: bytes.to_vec(),
            origin: Origin::Whole,
            room: room.clone(),
        }
    }

    pub fn encoding(&self) -> &'static str {
        let is_integer = parse_integer(&self.bytes).is_some();
        match self.origin {
            Origin::Whole if is_integer => "int",
            Origin::Whole | Origin::SumOfFloats if self.bytes.len() <= EMBEDDED => "embstr",
            _ => "raw",
        }
    }
}

impl StringValue for Text {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn set(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.room.resize(self.bytes.len(), bytes.len())?;
        self.bytes = bytes.to_vec();
        self.origin = Origin::Whole;
        Ok(())
    }

    fn set_sum(&mut self, digits: &[u8]) -> Result<(), StoreError> {
        self.set(digits)?;
        self.origin = Origin::SumOfFloats;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_at(self.bytes.len(), bytes)
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let end = offset + bytes.len();
        if end > self.bytes.len() {
            self.room.resize(self.bytes.len(), end)?;
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.origin = Origin::Parts;
        Ok(())
    }
}

#[derive(Clone)]
pub struct List {
    elements: VecDeque<Vec<u8>>,
    room: Room,
}

impl List {
    pub fn new(room: &Room) -> Self {
        Self {
            elements: VecDeque::new(),
            room: room.clone(),
        }
    }

    fn took_out(&self, element: &[u8]) {
        let given = self.room.resize(element.len() + 1, 0);
        given.expect("giving back needs nothing");
    }
}

impl ListValue for List {
    fn len(&self) -> usize {
        self.elements.len()
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        self.elements.get(index).map(Vec::as_slice)
    }

    fn walk(&self, from: usize, towards: End, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let mut place = Some(from);
        while let Some(element) = place.and_then(|place| self.elements.get(place)) {
            if visit(element).is_break() {
                return;
            }
            place = match towards {
                End::Tail => place.map(|place| place + 1),
                End::Head => place.and_then(|place| place.checked_sub(1)),
            };
        }
    }

    fn push(&mut self, end: End, element: &[u8]) -> Result<(), StoreError> {
        let place = match end {
            End::Head => 0,
            End::Tail => self.elements.len(),
        };
        self.insert(place, element)
    }

    fn pop(&mut self, end: End, show: &mut dyn FnMut(&[u8])) -> bool {
        let element = match end {
            End::Head => self.elements.pop_front(),
            End::Tail => self.elements.pop_back(),
        };
        if let Some(element) = &element {
            show(element);
            self.took_out(element);
        }
        element.is_some()
    }

    fn set(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError> {
        if let Some(old) = self.elements.get_mut(index) {
            self.room.resize(old.len(), element.len())?;
            *old = element.to_vec();
        }
        Ok(())
    }

    fn insert(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError> {
        self.room.resize(0, element.len() + 1)?;
        self.elements.insert(index, element.to_vec());
        Ok(())
    }

    fn remove(&mut self, range: Range<usize>) -> Result<(), StoreError> {
        self.room.borrow()?;
        let length = self.elements.len();
        let range = range.start.min(length)..range.end.min(length);
        let gone: Vec<Vec<u8>> = self.elements.drain(range).collect();
        gone.iter().for_each(|element| self.took_out(element));
        Ok(())
    }

    fn remove_equal(
        &mut self,
        element: &[u8],
        from: End,
        most: usize,
    ) -> Result<usize, StoreError> {
        self.room.borrow()?;
        let equal = |(place, other): (usize, &Vec<u8>)| (other == element).then_some(place);
        let places: Vec<usize> = self.elements.iter().enumerate().filter_map(equal).collect();
        let spared = places.len().saturating_sub(most);
        let places = match from {
            End::Head => &places[..places.len() - spared],
            End::Tail => &places[spared..],
        };
        for &place in places.iter().rev() {
            self.elements.remove(place);
            self.took_out(element);
        }
        Ok(places.len())
    }
}

/// Redis keeps a hash packed until it has more fields than this, or one that is longer than that.
const PACKED_FIELDS: usize = 512;
const PACKED_BYTES: usize = 64;

/// Ordered by hash as a shard is.
#[derive(Clone)]
pub struct Hash {
    fields: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    pub packed: bool,
    room: Room,
}

impl Hash {
    pub fn new(room: &Room) -> Self {
        Self {
            fields: BTreeMap::new(),
            packed: true,
            room: room.clone(),
        }
    }
}

fn place(field: &[u8]) -> (u64, Vec<u8>) {
    (hash_of(field) | 1, field.to_vec())
}

impl HashValue for Hash {
    fn len(&self) -> usize {
        self.fields.len()
    }

    fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(&place(field)).map(Vec::as_slice)
    }

    fn set(&mut self, field: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let old = self.get(field).map(<[u8]>::len);
        match old {
            Some(old) => self.room.resize(old, value.len())?,
            None => self.room.resize(0, field.len() + value.len() + 1)?,
        }
        self.fields.insert(place(field), value.to_vec());
        let long = field.len() > PACKED_BYTES || value.len() > PACKED_BYTES;
        self.packed &= !long && self.fields.len() <= PACKED_FIELDS;
        Ok(old.is_none())
    }

    fn remove(&mut self, field: &[u8]) -> Result<bool, StoreError> {
        let value = self.fields.remove(&place(field));
        if let Some(value) = &value {
            self.room.resize(field.len() + value.len() + 1, 0)?;
        }
        Ok(value.is_some())
    }

    fn walk(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let fields = self.fields.iter();
        fields.for_each(|((_, field), value)| visit(field, value));
    }

    fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> u64 {
        if self.packed {
            self.walk(visit);
            return 0;
        }
        let from = Bound::Included((cursor, Vec::new()));
        let mut last = 0;
        let rest = self.fields.range((from, Bound::Unbounded));
        for (visited, ((hash, field), value)) in rest.enumerate() {
            if visited >= count && *hash != last {
                return *hash;
            }
            last = *hash;
            visit(field, value);
        }
        0
    }

    fn random(&self, chance: &mut dyn FnMut() -> u64) -> Option<(&[u8], &[u8])> {
        let count = self.fields.len() as u64;
        let place = chance().checked_rem(count)?;
        let ((_, field), value) = self.fields.iter().nth(place as usize)?;
        Some((field, value))
    }
}
