//! A hash map in shared memory: an extendible hash table.
//!
//! A directory indexed by the top bits of the hash names segments of about a hundred entries; a full
//! segment splits in two by the next bit, and the directory doubles when it has no bit left (Fagin,
//! Nievergelt, Pippenger, Strong: Extendible Hashing, TODS 1979; in persistent memory CCEH, FAST 2019,
//! and Dash, VLDB 2020). Within a segment, control bytes are probed sixteen at a time as in
//! SwissTable.
//!
//! Why not hashbrown, for which the first design had a wrapper: sweep, rehearsal and SCAN need a
//! cursor that stays valid whatever happens between two slices (R29), and no insertion may move the
//! whole table. hashbrown shows neither its order nor its buckets, an iterator ends with the first
//! mutation, and it grows by moving all entries at once; here a cursor is a position among the hashes,
//! and an insertion moves one segment. `benches/map.rs` measures both: the longest single insertion
//! on the way to a million entries, and what that costs elsewhere. It also has no empty table in a
//! library's data that another process could be pointed to.
//!
//! Owns keys and cells. Knows nothing of versions: an element in another form is its cell's affair,
//! and keys are never versioned (R15).
#![allow(unsafe_code)] // slots by address

mod group;
mod segment;
mod sip;
mod table;
mod walk;

use super::keys;
use super::named::{self, Called};
use super::prefetch;
use super::rc::SharedRc;
use super::shared::{self, Cell, Inline, Shared, Visitor};
use super::twin::{self, KeySet, TwinWord};
use super::versioned::{Element, Versioned};
use crate::abi::TypeSchema;
use crate::error::{AccessError, HeapFull};
use segment::Slot;
pub(super) use sip::Sip13;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use table::Table;

/// A map from keys to elements, each in a cell of its own. Empty without a block.
///
/// Lookups take any borrowed form of the key, `&[u8]` for `SharedBytes`. Hashes are SipHash-1-3 under
/// two words that the map keeps, chosen at random at the first insertion. Every growing operation
/// returns `Result` and leaves the map as it was when the heap is full; operations that only write can
/// meet a full heap inside a transformer, where the first write copies.
///
/// Overwrite with [`insert`](SharedMap::insert): the new element has no complement. Edit with
/// [`get_mut`](SharedMap::get_mut): the complement stays (R6).
#[repr(C)]
pub struct SharedMap<K: Shared + Hash + Eq, V: Shared> {
    table: Table<K, V::Cell>,
    twin: TwinWord,
}

/// A key's hash in one map: see [`SharedMap::hash_of`].
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyHash(u64);

/// How far [`SharedMap::prefetch`] goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The place where the map says which part of it is responsible for the key.
    Place,
    /// The part of the map that is responsible for the key.
    Segment,
    /// The key's slot in it.
    Slot,
    /// What the slot refers to: the key's bytes and the element.
    Entry,
}

/// The heap had no room: what was to be inserted comes back.
pub struct NoRoom<K, C> {
    /// The key.
    pub key: K,
    /// The element's cell.
    pub cell: C,
}

impl<K, C> fmt::Debug for NoRoom<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoRoom")
    }
}

impl<K, C> From<NoRoom<K, C>> for HeapFull {
    fn from(_: NoRoom<K, C>) -> Self {
        HeapFull
    }
}

impl<K: Shared + Hash + Eq, V: Shared> SharedMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        SharedMap {
            table: Table::EMPTY,
            twin: TwinWord::NONE,
        }
    }

    /// Number of entries, foreign ones included (R11).
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the key is there, its element foreign or not.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_cell(key).is_some()
    }

    /// The element of a key, to read.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn get<Q>(&self, key: &Q) -> Result<Option<&V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(Slot { key, cell }) = self.slot(key) else {
            return Ok(None);
        };
        let name = || named::key(key);
        cell.get_called(Called::new(self, &name)).map(Some)
    }

    /// The element of a key, to edit.
    ///
    /// # Errors
    /// See [`AccessError`]; the element is untouched then.
    #[inline]
    pub fn get_mut<Q>(&mut self, key: &Q) -> Result<Option<&mut V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let this = ptr::from_ref(self);
        let Some(Slot { key, cell }) = self.slot_mut(key)? else {
            return Ok(None);
        };
        let name = || named::key(key);
        cell.get_mut_called(Called::new(this, &name)).map(Some)
    }

    /// The hash under which this map knows a key; another map's is another.
    #[inline]
    pub fn hash_of<Q>(&self, key: &Q) -> KeyHash
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        KeyHash(self.table.hash(key))
    }

    /// Asks the processor for what a lookup of a key will read in this step. Each step reads what the
    /// one before it asked for: take the same step for several keys, then the next. Between two steps
    /// anything may happen to the map.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash, reach: Reach) {
        let segment = || self.table.segment(hash.0);
        let slots = || segment().into_iter().flat_map(|s| s.likely(hash.0));
        match reach {
            Reach::Place => self.table.prefetch_place(hash.0),
            Reach::Segment => segment().into_iter().for_each(|s| s.prefetch(hash.0)),
            Reach::Slot => slots().for_each(|slot| {
                prefetch::lines(slot.as_ptr().cast(), size_of::<Slot<K, V::Cell>>());
            }),
            Reach::Entry => slots().for_each(|slot| {
                // SAFETY: a used slot, borrowed as `self` is.
                let slot = unsafe { slot.as_ref() };
                slot.key.prefetch();
                slot.cell.prefetch();
            }),
        }
    }

    /// The element of a key, if it is in this version's form as it lies: never converts.
    #[inline]
    pub fn current<Q>(&self, hash: KeyHash, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let slot = self.table.find(hash.0, key)?;
        // SAFETY: a used slot, borrowed as `self` is.
        unsafe { &slot.as_ref().cell }.current()
    }

    /// The cell of a key.
    pub fn get_cell<Q>(&self, key: &Q) -> Option<&V::Cell>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.slot(key).map(|slot| &slot.cell)
    }

    #[inline]
    fn slot<Q>(&self, key: &Q) -> Option<&Slot<K, V::Cell>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if self.is_empty() {
            return None;
        }
        let slot = self.table.find(self.table.hash(key), key)?;
        // SAFETY: a used slot, borrowed as `self` is.
        Some(unsafe { slot.as_ref() })
    }

    /// The cell of a key, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    #[inline]
    pub fn get_cell_mut<Q>(&mut self, key: &Q) -> Result<Option<&mut V::Cell>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Ok(self.slot_mut(key)?.map(|slot| &mut slot.cell))
    }

    /// The slot of a key, whose element is about to change.
    #[inline]
    fn slot_mut<Q>(&mut self, key: &Q) -> Result<Option<&mut Slot<K, V::Cell>>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(mut slot) = self.table.find_mut(self.table.hash(key), key)? else {
            return Ok(None);
        };
        // SAFETY: a used slot in a block that may be written, borrowed as `self` is.
        let slot = unsafe { slot.as_mut() };
        self.twin.mark_key::<SharedMap<K, ()>, K>(&slot.key);
        Ok(Some(slot))
    }

    /// Puts in an element without complement (R6); returns the cell that it takes the place of.
    ///
    /// # Errors
    /// `HeapFull`; key and value are dropped and the map is as it was.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V::Cell>, HeapFull> {
        let cell = V::Cell::new(value)?;
        Ok(self.insert_cell(key, cell)?)
    }

    /// Puts in a cell, its complement with it (R6); returns the cell that it takes the place of.
    ///
    /// # Errors
    /// Key and cell come back when the heap is full.
    pub fn insert_cell(
        &mut self,
        key: K,
        cell: V::Cell,
    ) -> Result<Option<V::Cell>, NoRoom<K, V::Cell>> {
        self.twin.mark_key::<SharedMap<K, ()>, K>(&key);
        let hash = self.table.hash_to_insert(&key);
        match self.table.find_mut(hash, &key) {
            Ok(Some(mut slot)) => {
                // SAFETY: a used slot in a block that may be written.
                let old = unsafe { &mut slot.as_mut().cell };
                Ok(Some(mem::replace(old, cell)))
            }
            Ok(None) if self.table.make_room(hash).is_ok() => {
                self.table.fill(hash, Slot { key, cell });
                Ok(None)
            }
            _ => Err(NoRoom { key, cell }),
        }
    }

    /// Puts a new element in the place of the one of a key, without complement (R6); returns the old
    /// cell, or `None` and no change where the key is not there.
    ///
    /// # Errors
    /// `HeapFull`; the value is dropped and the map is as it was.
    pub fn replace<Q>(&mut self, key: &Q, value: V) -> Result<Option<V::Cell>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.get_cell_mut(key)? {
            Some(old) => Ok(Some(mem::replace(old, V::Cell::new(value)?))),
            None => Ok(None),
        }
    }

    /// The element of a key, to edit; makes key and element where the key is not there. Hashes once.
    ///
    /// # Errors
    /// See [`AccessError`]; no entry is made then.
    pub fn get_or_insert_with<Q>(
        &mut self,
        key: &Q,
        make: impl FnOnce() -> Result<(K, V), HeapFull>,
    ) -> Result<&mut V, AccessError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.table.hash_to_insert(key);
        let mut slot = match self.table.find_mut(hash, key)? {
            Some(slot) => {
                // SAFETY: a used slot.
                self.twin
                    .mark_key::<SharedMap<K, ()>, K>(unsafe { &slot.as_ref().key });
                slot
            }
            None => {
                let (key, value) = make()?;
                let cell = V::Cell::new(value)?;
                self.table.make_room(hash)?;
                self.twin.mark_key::<SharedMap<K, ()>, K>(&key);
                self.table.fill(hash, Slot { key, cell })
            }
        };
        // SAFETY: a used slot in a block that may be written, borrowed as `self` is.
        let Slot { key, cell } = unsafe { slot.as_mut() };
        let name = || named::key(key);
        cell.get_mut_called(Called::new(self, &name))
    }

    /// Takes the element of a key.
    ///
    /// # Errors
    /// See [`AccessError`]; the entry stays.
    pub fn remove<Q>(&mut self, key: &Q) -> Result<Option<V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Converted in place first: a value that cannot be had is not lost.
        if self.get_mut(key)?.is_none() {
            return Ok(None);
        }
        let entry = self.remove_entry(key)?;
        entry.map(|(_, cell)| cell.into_value()).transpose()
    }

    /// Takes key and cell, foreign or not, the complement with it.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn remove_entry<Q>(&mut self, key: &Q) -> Result<Option<(K, V::Cell)>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.table.hash(key);
        // Marked first: what hashes and compares keys may panic, and then nothing has been taken.
        let mark = |key: &K| self.twin.mark_key::<SharedMap<K, ()>, K>(key);
        let slot = self.table.take(hash, key, mark)?;
        Ok(slot.map(|slot| (slot.key, slot.cell)))
    }

    /// Makes room for a key: its next insertion moves nothing and cannot fail for the map's sake.
    ///
    /// # Errors
    /// `HeapFull`.
    pub fn try_reserve_for<Q>(&mut self, key: &Q) -> Result<(), HeapFull>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.table.hash_to_insert(key);
        self.table.make_room(hash)
    }

    /// Splits ahead for about `additional` more entries.
    ///
    /// # Errors
    /// `HeapFull`; what was split stays so.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), HeapFull> {
        self.table.reserve(additional)
    }

    /// Drops all entries and gives the blocks back.
    pub fn clear(&mut self) {
        self.twin.give_up();
        self.table.clear(drop);
    }

    /// Every key with its cell, in no order that lasts.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V::Cell)> {
        let used = self
            .table
            .segments()
            .flat_map(|segment| segment.used().map(move |index| segment.slot(index)));
        // SAFETY: used slots, borrowed as `self` is.
        used.map(|slot| unsafe { (&slot.as_ref().key, &slot.as_ref().cell) })
    }

    /// About `budget` entries from `cursor` on (0: the beginning), in the order of their hashes.
    /// Returns the cursor to go on from, 0 at the end; it stays valid whatever happens to the map: an
    /// entry that is there throughout is seen (R29). Entries of equal hash come together, and beyond
    /// the budget if need be.
    pub fn scan(&self, cursor: u64, budget: usize, see: impl FnMut(&K, &V::Cell)) -> u64 {
        self.table.scan(cursor, budget, see)
    }

    /// An entry by chance, each as likely as every other, but in a map from which almost all was
    /// removed. `random` gives 64 random bits a call.
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<(&K, &V::Cell)> {
        let slot = self.table.random(random)?;
        // SAFETY: a used slot, borrowed as `self` is.
        Some(unsafe { (&slot.as_ref().key, &slot.as_ref().cell) })
    }
}

impl<K, V> SharedMap<K, V>
where
    K: Shared + Hash + Eq,
    V: Shared<Cell = Versioned<V>> + Element,
{
    /// The same map for another form of its elements, in O(1): boxes say themselves what they hold
    /// (R5).
    pub fn rebind<W: Shared<Cell = Versioned<W>> + Element>(self) -> SharedMap<K, W> {
        super::copies::rebound();
        // SAFETY: both are the same words; a box of V and one of W differ in the type that they
        // convert to, and the tag in each tells what it holds.
        unsafe { self.cast() }
    }
}

impl<K: Shared + Hash + Eq, V: Element> SharedMap<K, SharedRc<V>> {
    /// The same map for another form of what its handles lead to, in O(1) (R5).
    pub fn rebind<W: Element>(self) -> SharedMap<K, SharedRc<W>> {
        // SAFETY: a handle is one word, the same for all forms of the value.
        unsafe { self.cast() }
    }
}

impl<K: Shared + Hash + Eq, V: Shared> SharedMap<K, V> {
    /// The same map over cells of another type, which are words too.
    ///
    /// # Safety
    /// Of all maps with these words at most one is used as one of boxes.
    pub(super) unsafe fn cast<W: Shared>(self) -> SharedMap<K, W> {
        const { twin::assert_words::<V::Cell, W::Cell>() };
        // SAFETY: the layout is that of slots, which are `repr(C)`, with cells of one word.
        unsafe { mem::transmute_copy(&ManuallyDrop::new(self)) }
    }

    /// Where the map's twin is.
    pub(super) fn twin(&mut self) -> &mut TwinWord {
        &mut self.twin
    }

    /// Drops some entries, those of one segment, and frees it; false once there are none. Until then
    /// nothing may be put in.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub(super) fn drop_some(&mut self) -> Result<bool, HeapFull> {
        self.table.pop_segment(drop)
    }
}

/// Marks of a map.
impl<K: Shared + Hash + Eq> KeySet<K> for SharedMap<K, ()> {
    fn has(&self, key: &K) -> bool {
        self.contains(key)
    }

    fn add(&mut self, key: K) -> Result<(), HeapFull> {
        self.insert(key, ()).map(drop)
    }
}

impl<K: Shared + Hash + Eq, V: Shared> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Shared + Hash + Eq, V: Shared> Drop for SharedMap<K, V> {
    fn drop(&mut self) {
        // A drop writes nothing: `self` may lie in a block that must stay as it is.
        self.twin.end();
        ManuallyDrop::new(self.table.bits()).clear(drop);
    }
}

// SAFETY: addresses in the heap and numbers; `visit` shows every block, key and cell.
unsafe impl<K: Shared + Hash + Eq, V: Shared> Shared for SharedMap<K, V> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        keys::is_hashed::<K>();
        shared::of_map::<Self, K, V>("SharedMap")
    }

    /// Places are cursors.
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        let this = ptr::from_ref(self);
        let SharedMap { table, twin } = self;
        twin::visit_map::<Self, K>(twin, visitor, |visitor, shows_keys| {
            table.visit(
                visitor,
                shows_keys,
                |key, to| key.visit(to),
                |key, cell, to| Called::new(this, &|| named::key(key)).during(|| cell.visit(to)),
            );
        });
    }
}
