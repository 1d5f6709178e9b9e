//! Lists and hashes, copies and encodings.

use super::entry::{Entry, ExpiringEntry, TypedHolder, inaccessible};
use super::transaction::{Shards, Transaction, ValueOf};
use crate::error::StoreError;
use crate::typed::{HashValue, ListValue, Typed};
use dsu_runtime::prelude::*;

type ListOf<S> = <ValueOf<S> as TypedHolder>::List;
type HashOf<S> = <ValueOf<S> as TypedHolder>::Hash;

impl<S> Transaction<'_, S>
where
    S: Shards<Entry: ExpiringEntry<Value: TypedHolder>>,
{
    /// The value to edit, made where the key does not exist.
    fn value_or_new(
        &mut self,
        key: &[u8],
        make: fn() -> Result<ValueOf<S>, HeapFull>,
    ) -> Result<&mut ValueOf<S>, StoreError> {
        self.settle(key)?;
        let entry = self.entries_mut(key).get_or_insert_with(key, || {
            Ok((SharedBytes::from_slice(key)?, S::Entry::new(make()?)?))
        });
        let entry = entry.map_err(inaccessible)?;
        entry.value_mut().map_err(inaccessible)
    }
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
        let value = self.edit_value(key)?;
        value
            .map(|value| value.list_mut()?.ok_or(StoreError::WrongType))
            .transpose()
    }

    fn list_or_new(&mut self, key: &[u8]) -> Result<&mut ListOf<S>, StoreError> {
        let value = self.value_or_new(key, ValueOf::<S>::new_list)?;
        value.list_mut()?.ok_or(StoreError::WrongType)
    }

    fn hash(&mut self, key: &[u8]) -> Result<Option<&HashOf<S>>, StoreError> {
        let value = self.value(key)?;
        value
            .map(|value| value.hash().ok_or(StoreError::WrongType))
            .transpose()
    }

    fn edit_hash(&mut self, key: &[u8]) -> Result<Option<&mut HashOf<S>>, StoreError> {
        let value = self.edit_value(key)?;
        value
            .map(|value| value.hash_mut()?.ok_or(StoreError::WrongType))
            .transpose()
    }

    fn hash_or_new(&mut self, key: &[u8]) -> Result<&mut HashOf<S>, StoreError> {
        let value = self.value_or_new(key, ValueOf::<S>::new_hash)?;
        value.hash_mut()?.ok_or(StoreError::WrongType)
    }

    fn settle_empty(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let is_empty = self.value(key)?.is_some_and(|value| {
            value.list().is_some_and(ListValue::is_empty)
                || value.hash().is_some_and(HashValue::is_empty)
        });
        if is_empty {
            self.entries_mut(key).remove_entry(key)?;
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
