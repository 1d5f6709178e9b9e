//! What a key holds.

use dsu_runtime::prelude::*;
use kv_engine::{Hash, Kind, List, Origin, StringHolder, Text, TypedHolder};

/// The value of a key.
#[derive(Shared)]
#[repr(u8)]
pub enum Value {
    /// A string.
    Text(Text),
    /// A list, in a block of its own: what most keys hold shall not be larger for it.
    List(SharedBox<List>),
    /// A hash.
    Hash(Hash),
}

/// What every key pays for. A block of 32 bytes holds it.
const _: () = assert!(size_of::<Value>() <= 32);

impl StringHolder for Value {
    type Text = Text;

    fn of_bytes(bytes: SharedBytes) -> Self {
        Value::Text(Text::new(bytes, Origin::Whole))
    }

    fn text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Hash(_) => None,
        }
    }

    fn text_mut(&mut self) -> Option<&mut Text> {
        match self {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Hash(_) => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Value::Text(_) => Kind::STRING,
            Value::List(_) => Kind::LIST,
            Value::Hash(_) => Kind::HASH,
        }
    }
}

impl TypedHolder for Value {
    type List = List;
    type Hash = Hash;

    fn new_list() -> Result<Self, HeapFull> {
        Ok(Value::List(SharedBox::new(List::new())?))
    }

    fn list(&self) -> Option<&List> {
        match self {
            Value::List(list) => Some(list),
            Value::Text(_) | Value::Hash(_) => None,
        }
    }

    fn list_mut(&mut self) -> Result<Option<&mut List>, HeapFull> {
        match self {
            Value::List(list) => list.get_mut().map(Some),
            Value::Text(_) | Value::Hash(_) => Ok(None),
        }
    }

    fn new_hash() -> Result<Self, HeapFull> {
        Ok(Value::Hash(Hash::default()))
    }

    fn hash(&self) -> Option<&Hash> {
        match self {
            Value::Hash(hash) => Some(hash),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    fn hash_mut(&mut self) -> Result<Option<&mut Hash>, HeapFull> {
        match self {
            Value::Hash(hash) => Ok(Some(hash)),
            Value::Text(_) | Value::List(_) => Ok(None),
        }
    }

    fn try_clone(&self) -> Result<Self, HeapFull> {
        Ok(match self {
            Value::Text(text) => Value::Text(text.try_clone()?),
            Value::List(list) => Value::List(SharedBox::new(list.try_clone()?)?),
            Value::Hash(hash) => Value::Hash(hash.try_clone()?),
        })
    }

    fn encoding(&self) -> &'static str {
        match self {
            Value::Text(text) => text.encoding(),
            Value::List(_) => "quicklist",
            Value::Hash(hash) => hash.encoding(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;
    use kv_engine::{Kind, StringHolder, TypedHolder};

    #[test]
    fn an_empty_text_is_no_list_and_no_hash() {
        let value = Value::of_bytes(Default::default());
        assert_eq!((value.kind(), value.encoding()), (Kind::STRING, "embstr"));
        assert!(value.text().is_some() && value.list().is_none() && value.hash().is_none());
    }
}
