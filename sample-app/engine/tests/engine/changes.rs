//! How often each key of the store in memory has changed, exactly.

use std::collections::HashMap;

use kv_engine::{Edit, Stamp};

#[derive(Default)]
pub struct Changes {
    /// None while WATCH is off.
    pub epoch: Option<u64>,
    writes: HashMap<Vec<u8>, u64>,
    flushes: u64,
    edited: Option<Vec<u8>>,
}

impl Changes {
    pub fn note(&mut self, key: &[u8]) {
        *self.writes.entry(key.to_vec()).or_default() += 1;
    }

    pub fn note_edit(&mut self, key: &[u8]) {
        self.note(key);
        self.edited = Some(key.to_vec());
    }

    pub fn note_flush(&mut self) {
        self.flushes += 1;
    }

    pub fn close_edit(&mut self, edit: Edit) {
        if let (Some(key), Edit::Undone) = (self.edited.take(), edit) {
            *self.writes.entry(key).or_default() -= 1;
        }
    }

    pub fn stamp(&self, key: &[u8], exists: bool) -> Option<Stamp> {
        Some(Stamp {
            epoch: self.epoch?,
            writes: self.writes.get(key).copied().unwrap_or(0),
            flushes: self.flushes,
            exists,
        })
    }
}
