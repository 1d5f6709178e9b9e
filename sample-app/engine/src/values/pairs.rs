//! The fields of a small hash with their values, one behind the other in one block.
//!
//! ```text
//! number of pairs, two bytes | pair | pair ...
//! pair: length of the field, one byte | field | length of the value, one byte | value
//! ```
//! No bytes at all where there are no pairs. Found by looking at one after the other, as in Redis's listpack. Knows nothing of large hashes.

use dsu_runtime::prelude::*;
use std::ops::Range;

/// Most pairs.
const MOST: usize = 512;
/// Bytes of the number of pairs.
const COUNT: usize = 2;
/// Longest field and longest value in bytes.
const LONGEST: usize = 64;

/// A few short pairs.
#[derive(Shared, Default)]
#[shared(inline)]
pub(super) struct Pairs {
    bytes: SharedBytes,
}

/// A pair, and where its bytes are.
struct Pair<'p> {
    field: &'p [u8],
    value: &'p [u8],
    whole: Range<usize>,
}

impl Pair<'_> {
    /// Where the value is, with its length.
    fn value_place(&self) -> Range<usize> {
        self.whole.start + 1 + self.field.len()..self.whole.end
    }
}

/// Whether the pair may be among others here.
fn is_short(field: &[u8], value: &[u8]) -> bool {
    field.len().max(value.len()) <= LONGEST
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        let count = self.bytes.first_chunk::<COUNT>();
        usize::from(u16::from_le_bytes(count.copied().unwrap_or_default()))
    }

    /// A copy.
    pub(super) fn try_clone(&self) -> Result<Self, HeapFull> {
        Ok(Pairs {
            bytes: self.bytes.try_clone()?,
        })
    }

    fn iter_places(&self) -> impl Iterator<Item = Pair<'_>> {
        let bytes = self.bytes.as_slice();
        let mut at = COUNT;
        std::iter::from_fn(move || {
            let start = at;
            let field_length = usize::from(*bytes.get(at)?);
            let field = &bytes[at + 1..][..field_length];
            at += 1 + field_length;
            let value_length = usize::from(bytes[at]);
            let value = &bytes[at + 1..][..value_length];
            at += 1 + value_length;
            Some(Pair {
                field,
                value,
                whole: start..at,
            })
        })
    }

    /// Every field with its value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter_places().map(|pair| (pair.field, pair.value))
    }

    fn find(&self, field: &[u8]) -> Option<Pair<'_>> {
        self.iter_places().find(|pair| pair.field == field)
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.find(field).map(|pair| pair.value)
    }

    /// Makes the field hold this; whether it is new, or nothing if the pair has no place here.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8]) -> Result<Option<bool>, HeapFull> {
        if !is_short(field, value) {
            return Ok(None);
        }
        if let Some(place) = self.find(field).map(|pair| pair.value_place()) {
            self.replace(place, &[value])?;
            return Ok(Some(false));
        }
        if self.len() == MOST {
            return Ok(None);
        }
        let end = self.bytes.len().max(COUNT);
        self.replace(end..end, &[field, value])?;
        self.set_len(self.len() + 1)?;
        Ok(Some(true))
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> Result<bool, HeapFull> {
        let Some(place) = self.find(field).map(|pair| pair.whole) else {
            return Ok(false);
        };
        self.replace(place, &[])?;
        self.set_len(self.len() - 1)?;
        Ok(true)
    }

    /// In a block that is written already: needs no room.
    fn set_len(&mut self, len: usize) -> Result<(), HeapFull> {
        let count = (len as u16).to_le_bytes();
        self.bytes.as_mut_slice()?[..COUNT].copy_from_slice(&count);
        if len == 0 {
            self.bytes.clear();
        }
        Ok(())
    }

    /// Puts these texts, with their lengths, in the place of the bytes that are there.
    fn replace(&mut self, place: Range<usize>, texts: &[&[u8]]) -> Result<(), HeapFull> {
        let added: usize = texts.iter().map(|text| 1 + text.len()).sum();
        let (old, end) = (self.bytes.len().max(COUNT), place.start + added);
        let new = old - place.len() + added;
        self.bytes.resize(old.max(new), 0)?;
        let bytes = self.bytes.as_mut_slice()?;
        if end != place.end {
            bytes.copy_within(place.end..old, end);
        }
        let mut at = place.start;
        for text in texts {
            bytes[at] = text.len() as u8;
            bytes[at + 1..][..text.len()].copy_from_slice(text);
            at += 1 + text.len();
        }
        self.bytes.truncate(new);
        Ok(())
    }
}
