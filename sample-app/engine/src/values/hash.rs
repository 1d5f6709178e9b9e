//! A hash: a few short pairs in one block, or a map.
//!
//! Owns when the one becomes the other: as in Redis with its default configuration, when there are more
//! than 512 fields, or one whose name or value is longer than 64 bytes, and never back.

use super::pairs::Pairs;
use crate::error::StoreError;
use crate::typed::HashValue;
use dsu_runtime::heap::{Inline, KeyHash, Reach};
use dsu_runtime::prelude::*;

/// Fields with values.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Hash {
    form: Form,
}

type Map = SharedMap<SharedBytes, SharedBytes>;

#[derive(Shared)]
#[shared(inline)]
#[repr(u8)]
enum Form {
    Packed(Pairs),
    Table(SharedBox<Map>),
}

impl Default for Form {
    fn default() -> Self {
        Form::Packed(Pairs::default())
    }
}

impl Hash {
    /// A copy.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_clone(&self) -> Result<Self, HeapFull> {
        let form = match &self.form {
            Form::Packed(pairs) => Form::Packed(pairs.try_clone()?),
            Form::Table(map) => {
                let pairs = map
                    .iter()
                    .map(|(field, Inline(value))| (&**field, &**value));
                Form::Table(SharedBox::new(map_of(map.len(), pairs)?)?)
            }
        };
        Ok(Hash { form })
    }

    /// How Redis would keep it.
    pub fn encoding(&self) -> &'static str {
        match self.form {
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// Asks the processor for the head of the map, if there is one.
    pub fn prefetch_content(&self) {
        match &self.form {
            Form::Packed(_) => {}
            Form::Table(map) => map.prefetch(),
        }
    }

    /// Asks the processor for what finding a field in a map will read in this step.
    pub fn prefetch_field(&self, field: &[u8], hash: &mut KeyHash, reach: Reach) {
        if let Form::Table(map) = &self.form {
            if reach == Reach::Place {
                *hash = map.hash_of(field);
            }
            SharedMap::prefetch(map, *hash, reach);
        }
    }

    /// Puts a pair in that has no place among the packed ones.
    fn set_in_table(&mut self, field: &[u8], value: &[u8]) -> Result<bool, HeapFull> {
        match &mut self.form {
            Form::Packed(pairs) => {
                let mut map = map_of(pairs.len() + 1, pairs.iter())?;
                let is_new = set(&mut map, field, value)?;
                self.form = Form::Table(SharedBox::new(map)?);
                Ok(is_new)
            }
            Form::Table(map) => set(map.get_mut()?, field, value),
        }
    }
}

fn map_of<'p>(
    len: usize,
    pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
) -> Result<Map, HeapFull> {
    let mut map = Map::new();
    map.try_reserve(len)?;
    for (field, value) in pairs {
        set(&mut map, field, value)?;
    }
    Ok(map)
}

/// Makes the field hold this; whether it is new.
fn set(map: &mut Map, field: &[u8], value: &[u8]) -> Result<bool, HeapFull> {
    if let Some(Inline(old)) = map.get_cell_mut(field)? {
        old.set(value)?;
        return Ok(false);
    }
    let value = SharedBytes::from_slice(value)?;
    map.insert(SharedBytes::from_slice(field)?, value)?;
    Ok(true)
}

impl HashValue for Hash {
    fn len(&self) -> usize {
        match &self.form {
            Form::Packed(pairs) => pairs.len(),
            Form::Table(map) => map.len(),
        }
    }

    fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.form {
            Form::Packed(pairs) => pairs.get(field),
            Form::Table(map) => map.get_cell(field).map(|Inline(value)| value.as_slice()),
        }
    }

    fn set(&mut self, field: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        if let Form::Packed(pairs) = &mut self.form
            && let Some(is_new) = pairs.set(field, value)?
        {
            return Ok(is_new);
        }
        Ok(self.set_in_table(field, value)?)
    }

    fn remove(&mut self, field: &[u8]) -> Result<bool, StoreError> {
        Ok(match &mut self.form {
            Form::Packed(pairs) => pairs.remove(field)?,
            Form::Table(map) => map.get_mut()?.remove_entry(field)?.is_some(),
        })
    }

    fn walk(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        match &self.form {
            Form::Packed(pairs) => pairs.iter().for_each(|(field, value)| visit(field, value)),
            Form::Table(map) => map
                .iter()
                .for_each(|(field, Inline(value))| visit(field, value)),
        }
    }

    /// Packed pairs are all visited, whatever the cursor: one from before the change to a table is 0,
    /// and there is no way back.
    fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> u64 {
        match &self.form {
            Form::Packed(_) => {
                self.walk(visit);
                0
            }
            Form::Table(map) => map.scan(cursor, count.max(1), |field, Inline(value)| {
                visit(field, value);
            }),
        }
    }

    fn random(&self, chance: &mut dyn FnMut() -> u64) -> Option<(&[u8], &[u8])> {
        match &self.form {
            Form::Packed(pairs) => {
                let place = (u128::from(chance()) * pairs.len() as u128) >> 64;
                pairs.iter().nth(place as usize)
            }
            Form::Table(map) => {
                let (field, Inline(value)) = map.random(chance)?;
                Some((field, value))
            }
        }
    }
}
