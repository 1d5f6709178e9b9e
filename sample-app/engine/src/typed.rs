//! What the commands over lists and hashes ask of a store, and nothing about how it keeps them.

use std::ops::{ControlFlow, Range};

use crate::error::StoreError;
use crate::store::{Expiring, Store};

/// A store whose keys can hold lists and hashes.
pub trait TypedStore: for<'t> Store<Tx<'t>: Typed> {}

impl<S> TypedStore for S where S: for<'t> Store<Tx<'t>: Typed> {}

/// One of a list's two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Where LPUSH puts.
    Head,
    /// Where RPUSH puts.
    Tail,
}

/// Locked shards whose keys can hold lists and hashes. `Keyspace`'s own methods answer `WrongType` for
/// those where they read or edit a string, and work on them otherwise.
///
/// A list or hash without elements is no value: whoever took out the last one, or made an empty one
/// and could put nothing in, calls [`settle_empty`](Self::settle_empty).
pub trait Typed: Expiring {
    /// A list within its entry.
    type List: ListValue;
    /// A hash within its entry.
    type Hash: HashValue;

    /// The list, if the key exists.
    ///
    /// # Errors
    /// `WrongType` if it holds something else; `HeapFull`, `Unavailable` where reading has to
    /// convert and cannot.
    fn list(&mut self, key: &[u8]) -> Result<Option<&Self::List>, StoreError>;

    /// The list to change in place; what else belongs to the entry stays.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn edit_list(&mut self, key: &[u8]) -> Result<Option<&mut Self::List>, StoreError>;

    /// The list to change in place, made empty and without a deadline where the key does not exist.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn list_or_new(&mut self, key: &[u8]) -> Result<&mut Self::List, StoreError>;

    /// The hash, if the key exists.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn hash(&mut self, key: &[u8]) -> Result<Option<&Self::Hash>, StoreError>;

    /// The hash to change in place; what else belongs to the entry stays.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn edit_hash(&mut self, key: &[u8]) -> Result<Option<&mut Self::Hash>, StoreError>;

    /// The hash to change in place, made empty and without a deadline where the key does not exist.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn hash_or_new(&mut self, key: &[u8]) -> Result<&mut Self::Hash, StoreError>;

    /// Removes the key if it holds a list or hash without elements.
    ///
    /// # Errors
    /// `Unavailable`.
    fn settle_empty(&mut self, key: &[u8]) -> Result<(), StoreError>;

    /// Makes `to` hold the same as `from`, deadline included, over what was there. Whether `from`
    /// existed; if not, nothing changes. The two differ.
    ///
    /// # Errors
    /// `HeapFull`, and then `to` is as it was; `WrongType` for a value that this version cannot read.
    fn copy(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError>;

    /// How the key's value is kept, in Redis's words: `int`, `embstr`, `raw`, `quicklist`, `listpack`,
    /// `hashtable`.
    ///
    /// # Errors
    /// `WrongType` for a value that this version cannot read.
    fn encoding(&mut self, key: &[u8]) -> Result<Option<&'static str>, StoreError>;
}

/// A list. Positions count from the head, from 0.
pub trait ListValue {
    /// Number of elements.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`; found from the nearer end, a block of elements at a time.
    fn get(&self, index: usize) -> Option<&[u8]>;

    /// Visits the elements from position `from` on, towards the end that is named, until there are no
    /// more or `visit` breaks.
    fn walk(&self, from: usize, towards: End, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>);

    /// Adds an element.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn push(&mut self, end: End, element: &[u8]) -> Result<(), StoreError>;

    /// Takes an element off and shows it; false if there is none. Needs no memory.
    fn pop(&mut self, end: End, show: &mut dyn FnMut(&[u8])) -> bool;

    /// Holds this at `index` instead. Nothing happens beyond the end.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn set(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError>;

    /// Puts an element in so that it is at `index` afterwards; `index` is at most the length.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn insert(&mut self, index: usize, element: &[u8]) -> Result<(), StoreError>;

    /// Removes these elements. Positions beyond the end are left out.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn remove(&mut self, range: Range<usize>) -> Result<(), StoreError>;

    /// Removes at most `most` elements that equal this, the first ones from that end on; how many.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn remove_equal(&mut self, element: &[u8], from: End, most: usize)
    -> Result<usize, StoreError>;
}

/// A hash.
pub trait HashValue {
    /// Number of fields.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    fn get(&self, field: &[u8]) -> Option<&[u8]>;

    /// Makes the field hold this; whether it is new.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn set(&mut self, field: &[u8], value: &[u8]) -> Result<bool, StoreError>;

    /// Removes the field; whether it existed.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn remove(&mut self, field: &[u8]) -> Result<bool, StoreError>;

    /// Visits every field with its value.
    fn walk(&self, visit: &mut dyn FnMut(&[u8], &[u8]));

    /// Visits some fields from `cursor` on, about `count`, and returns the cursor to go on with, 0 at
    /// the end. It starts with 0. A field that is there from the first call to the last is visited at
    /// least once, however the hash changes meanwhile, its encoding included.
    fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> u64;

    /// Any one field with its value, chosen by `chance`, which gives evenly distributed numbers; each
    /// with equal probability. None if there is none.
    fn random(&self, chance: &mut dyn FnMut() -> u64) -> Option<(&[u8], &[u8])>;
}
