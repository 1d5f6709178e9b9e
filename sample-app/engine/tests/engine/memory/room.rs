//! How much more the store in private memory may hold, for tests of a full heap.

use std::cell::Cell;
use std::rc::Rc;

use kv_engine::StoreError;

/// Bytes that are left; without a limit unless a test sets one. Clones share them.
#[derive(Clone, Default)]
pub struct Room(Rc<Cell<Option<usize>>>);

impl Room {
    /// From now on there is room for this many bytes and for what is given back.
    pub fn leave(&self, bytes: usize) {
        self.0.set(Some(bytes));
    }

    /// There is no limit any more.
    pub fn lift(&self) {
        self.0.set(None);
    }

    /// Something of `old` bytes becomes one of `new` bytes.
    pub fn resize(&self, old: usize, new: usize) -> Result<(), StoreError> {
        if let Some(left) = self.0.get() {
            let left = (left + old).checked_sub(new);
            self.0.set(Some(left.ok_or(StoreError::HeapFull)?));
        }
        Ok(())
    }

    /// What needs some memory for a moment.
    pub fn borrow(&self) -> Result<(), StoreError> {
        match self.0.get() {
            Some(0) => Err(StoreError::HeapFull),
            _ => Ok(()),
        }
    }
}
