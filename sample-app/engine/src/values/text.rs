//! A string that remembers how it was made, as OBJECT ENCODING tells it.

use crate::error::StoreError;
use crate::store::StringValue;
use dsu_runtime::prelude::*;
use resp::parse_integer;

/// Longest string that Redis keeps in one piece with its header.
const EMBEDDED: usize = 44;

/// Bytes, and what made them.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Text {
    bytes: SharedBytes,
    origin: Origin,
}

/// What made a string: its encoding follows from that and from the bytes.
#[derive(Shared, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[shared(inline)]
#[repr(u8)]
pub enum Origin {
    /// It was set as a whole.
    #[default]
    Whole,
    /// It is the sum of two floats, which is no integer to Redis even where it looks like one.
    Sum,
    /// A part was changed or added.
    Parts,
}

impl Text {
    /// These bytes, made so.
    pub fn new(bytes: SharedBytes, origin: Origin) -> Self {
        Text { bytes, origin }
    }

    /// The bytes, and what made them.
    pub fn into_parts(self) -> (SharedBytes, Origin) {
        (self.bytes, self.origin)
    }

    /// A copy.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_clone(&self) -> Result<Self, HeapFull> {
        Ok(Text {
            bytes: self.bytes.try_clone()?,
            origin: self.origin,
        })
    }

    /// How Redis would keep it.
    pub fn encoding(&self) -> &'static str {
        match self.origin {
            Origin::Whole if parse_integer(&self.bytes).is_some() => "int",
            Origin::Whole | Origin::Sum if self.bytes.len() <= EMBEDDED => "embstr",
            _ => "raw",
        }
    }
}

impl StringValue for Text {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn set(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.set(bytes)?;
        self.origin = Origin::Whole;
        Ok(())
    }

    fn set_sum(&mut self, digits: &[u8]) -> Result<(), StoreError> {
        self.bytes.set(digits)?;
        self.origin = Origin::Sum;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.append(bytes)?;
        self.origin = Origin::Parts;
        Ok(())
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.write_at(offset, bytes)?;
        self.origin = Origin::Parts;
        Ok(())
    }
}
