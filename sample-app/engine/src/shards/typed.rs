//! Lists and hashes, copies and encodings.

use super::entry::{Entry, ExpiringEntry, TypedHolder, inaccessible};
use super::place::shard_of;
use super::transaction::{Shards, Transaction, ValueOf};
use crate::changes;
use crate::error::StoreError;
use crate::typed::{HashValue, ListValue, Typed};
use dsu_runtime::prelude::*;

type ListOf<S> = <ValueOf<S> as TypedHolder>::List;
type HashOf<S> = <ValueOf<S> as TypedHolder>::Hash;

impl<S> Transaction<'_, S>
where
    S: Shards<Entry: ExpiringEntry<Value: TypedHolder>>,
{
    /// A part of the value to edit, made where the key does not exist. That is noted as a change.
    fn value_or_new<R>(
        &mut self,
        key: &[u8],
        make: fn() -> Result<ValueOf<S>, HeapFull>,
        part: impl FnOnce(&mut ValueOf<S>) -> Result<&mut R, StoreError>,
    ) -> Result<&mut R, StoreError> {
        self.settle(key)?;
        let (entries, changes) = S::parts(self.locked.of_mut(key));
        let entry = entries.get_or_insert_with(key, || {
            Ok((SharedBytes::from_slice(key)?, S::Entry::new(make()?)?))
        });
        let entry = entry.map_err(inaccessible)?;
        let part = part(entry.value_mut().map_err(inaccessible)?)?;
        self.edited = changes::note(changes, key).map(|noted| (shard_of(key), noted));
        Ok(part)
    }
}

fn list_of<S>(value: &mut ValueOf<S>) -> Result<&mut ListOf<S>, StoreError>
where
    S: Shards<Entry: ExpiringEntry<Value: TypedHolder>>,
{
    value.list_mut()?.ok_or(StoreError::WrongType)
}

fn hash_of<S>(value: &mut ValueOf<S>) -> Result<&mut HashOf<S>, StoreError>
where
    S: Shards<Entry: ExpiringEntry<Value: TypedHolder>>,
{
    value.hash_mut()?.ok_or(StoreError::WrongType)
}

impl<S> Typed for Transaction<'_, S>
where
    S: Shards<Entry: ExpiringEntry<Value: TypedHolder>>,
{
    type List = ListOf<S>;
    type Hash = HashOf<S>;

    fn list(&mut self, key: &[u8]) -> Result<Option<&ListOf<S>>, StoreError> {
        let value = self.value(key)?;
        value
            .map(|value| value.list().ok_or(StoreError::WrongType))
            .transpose()
    }

    fn edit_list(&mut self, key: &[u8]) -> Result<Option<&mut ListOf<S>>, StoreError> {
        self.edit_value(key, list_of::<S>)
    }

    fn list_or_new(&mut self, key: &[u8]) -> Result<&mut ListOf<S>, StoreError> {
        self.value_or_new(key, ValueOf::<S>::new_list, list_of::<S>)
    }

    fn hash(&mut self, key: &[u8]) -> Result<Option<&HashOf<S>>, StoreError> {
        let value = self.value(key)?;
        value
            .map(|value| value.hash().ok_or(StoreError::WrongType))
            .transpose()
    }

    fn edit_hash(&mut self, key: &[u8]) -> Result<Option<&mut HashOf<S>>, StoreError> {
        self.edit_value(key, hash_of::<S>)
    }

    fn hash_or_new(&mut self, key: &[u8]) -> Result<&mut HashOf<S>, StoreError> {
        self.value_or_new(key, ValueOf::<S>::new_hash, hash_of::<S>)
    }

    fn settle_empty(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let is_empty = self.value(key)?.is_some_and(|value| {
            value.list().is_some_and(ListValue::is_empty)
                || value.hash().is_some_and(HashValue::is_empty)
        });
        if is_empty {
            self.entries_mut(key).remove_entry(key)?;
            self.touch(key);
        }
        Ok(())
    }

    fn copy(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        let Some(old) = self.read(from)? else {
            return Ok(false);
        };
        let value = old.value().map_err(inaccessible)?;
        let mut copy = S::Entry::new(value.try_clone()?)?;
        copy.set_expires_at_ms(old.expires_at_ms());
        self.put(to, copy)?;
        Ok(true)
    }

    fn encoding(&mut self, key: &[u8]) -> Result<Option<&'static str>, StoreError> {
        Ok(self.value(key)?.map(TypedHolder::encoding))
    }
}
