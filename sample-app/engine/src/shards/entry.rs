//! What a version's entry must be able to do, and the value in it.

use crate::error::StoreError;
use crate::store::{Kind, StringValue, UnixMs};
use crate::typed::{HashValue, ListValue};
use dsu_runtime::prelude::*;

/// The deadline of a key that has none, in milliseconds since 1970.
pub const FOREVER: u64 = u64::MAX;

/// Everything that belongs to a key: its value, in a box of its own, so that a value that this version
/// cannot read leaves the rest in sight.
pub trait Entry: Shared {
    /// The value.
    type Value: StringHolder;

    /// Whether entries of this version can have a deadline.
    const EXPIRES: bool;

    /// A new entry, without a deadline.
    ///
    /// # Errors
    /// `HeapFull`.
    fn new(value: Self::Value) -> Result<Self, HeapFull>;

    /// The value.
    ///
    /// # Errors
    /// See [`AccessError`].
    fn value(&self) -> Result<&Self::Value, AccessError>;

    /// The value, to edit.
    ///
    /// # Errors
    /// See [`AccessError`].
    fn value_mut(&mut self) -> Result<&mut Self::Value, AccessError>;

    /// Milliseconds since 1970 until which the key lives, or [`FOREVER`].
    fn expires_at_ms(&self) -> u64;

    /// Whether its time is up.
    fn is_over(&self, now: UnixMs) -> bool {
        now.0 > self.expires_at_ms()
    }
}

/// An entry that can have a deadline.
pub trait ExpiringEntry: Entry {
    /// Gives it a deadline, or [`FOREVER`].
    fn set_expires_at_ms(&mut self, deadline: u64);
}

/// A value that can be a string.
pub trait StringHolder: Sized + 'static {
    /// The string, to edit.
    type Text: StringValue;

    /// A string that was set as a whole.
    fn of_bytes(bytes: SharedBytes) -> Self;

    /// The string, if it is one.
    fn text(&self) -> Option<&Self::Text>;

    /// The string, if it is one, to edit.
    fn text_mut(&mut self) -> Option<&mut Self::Text>;

    /// What it is.
    fn kind(&self) -> Kind {
        Kind::STRING
    }
}

/// A value that can be a list or a hash.
pub trait TypedHolder: StringHolder {
    /// The list.
    type List: ListValue;
    /// The hash.
    type Hash: HashValue;

    /// An empty list.
    ///
    /// # Errors
    /// `HeapFull`.
    fn new_list() -> Result<Self, HeapFull>;

    /// The list, if it is one.
    fn list(&self) -> Option<&Self::List>;

    /// The list, if it is one, to edit.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    fn list_mut(&mut self) -> Result<Option<&mut Self::List>, HeapFull>;

    /// An empty hash.
    ///
    /// # Errors
    /// `HeapFull`.
    fn new_hash() -> Result<Self, HeapFull>;

    /// The hash, if it is one.
    fn hash(&self) -> Option<&Self::Hash>;

    /// The hash, if it is one, to edit.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    fn hash_mut(&mut self) -> Result<Option<&mut Self::Hash>, HeapFull>;

    /// A copy that shares nothing with it.
    ///
    /// # Errors
    /// `HeapFull`.
    fn try_clone(&self) -> Result<Self, HeapFull>;

    /// How it is kept, in Redis's words.
    fn encoding(&self) -> &'static str;
}

/// What a command hears of a lock that cannot be had.
pub(super) fn refused(error: LockError) -> StoreError {
    match error {
        LockError::HeapFull => StoreError::HeapFull,
        error => StoreError::Unavailable(error.to_string().into()),
    }
}

/// What a command hears of an entry, or a value, that cannot be read.
pub(super) fn inaccessible(error: AccessError) -> StoreError {
    match error {
        AccessError::Foreign => StoreError::WrongType,
        AccessError::HeapFull => StoreError::HeapFull,
        error => StoreError::Unavailable(error.to_string().into()),
    }
}
