//! An ordered map in shared memory: a B-tree whose nodes know how many entries are below them.
//!
//! Nodes of a kilobyte, entries in all of them, and beside the address of each child the number of
//! entries below it, so that the rank of a key and the key of a rank are found on one way from the root
//! (Bayer, McCreight: Organization and Maintenance of Large Ordered Indices, 1972; counted as the order
//! statistics of Cormen, Leiserson, Rivest, Stein).
//!
//! Nodes have no pointers to their parents or neighbours. So copy before write inside a conversion
//! copies the nodes on the way to an entry and no others, and an insertion moves a bounded number of
//! bytes on each level. `benches/map.rs` measures it beside std's `BTreeMap`.
//!
//! Owns keys and cells. Knows nothing of versions: an element in another form is its cell's affair,
//! and keys are never versioned (R15).
#![allow(unsafe_code)] // entries by address

mod grow;
mod iter;
mod loose;
mod node;
mod path;
mod shrink;
mod tree;
mod walk;

use super::keys;
use super::map::NoRoom;
use super::named::{self, Called};
use super::rc::SharedRc;
use super::shared::{self, Cell, Inline, Shared, Visitor};
use super::twin::{self, KeySet, TwinWord};
use super::versioned::{Element, Versioned};
use crate::abi::TypeSchema;
use crate::error::{AccessError, HeapFull};
pub use iter::OrderedEntries;
use path::Path;
use std::borrow::Borrow;
use std::mem::{self, ManuallyDrop};
use std::ops::RangeBounds;
use std::ptr;
use tree::{Sought, Tree};

/// A map from keys to elements in the order of the keys, each element in a cell of its own. Empty
/// without a block.
///
/// Lookups take any borrowed form of the key that is ordered like it, `&[u8]` for `SharedBytes`. The
/// order of keys must not change while they are in the map, nor from one version to the next (R15); where it
/// does, entries are not found, and nothing worse. Every growing operation returns `Result` and leaves
/// the map as it was when the heap is full; operations that only write can meet a full heap inside a
/// transformer, where the first write copies.
///
/// Overwrite with [`insert`](SharedOrderedMap::insert): the new element has no complement. Edit with
/// [`get_mut`](SharedOrderedMap::get_mut): the complement stays (R6).
#[repr(C)]
pub struct SharedOrderedMap<K: Shared + Ord, V: Shared> {
    tree: Tree<K, V::Cell>,
    twin: TwinWord,
}

impl<K: Shared + Ord, V: Shared> SharedOrderedMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        SharedOrderedMap {
            tree: Tree::EMPTY,
            twin: TwinWord::NONE,
        }
    }

    /// Number of entries, foreign ones included (R11).
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the key is there, its element foreign or not.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.tree.find(key).is_some()
    }

    /// The element of a key, to read.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn get<Q>(&self, key: &Q) -> Result<Option<&V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let Some((key, cell)) = self.entry(key) else {
            return Ok(None);
        };
        let name = || named::key(key);
        cell.get_called(Called::new(self, &name)).map(Some)
    }

    /// The element of a key, to edit.
    ///
    /// # Errors
    /// See [`AccessError`]; the element is untouched then.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Result<Option<&mut V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => self.value_at(&mut path).map(Some),
            _ => Ok(None),
        }
    }

    /// The element of a key, if it is in this version's form as it lies: never converts.
    pub fn current<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get_cell(key)?.current()
    }

    /// The cell of a key.
    pub fn get_cell<Q>(&self, key: &Q) -> Option<&V::Cell>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entry(key).map(|(_, cell)| cell)
    }

    fn entry<Q>(&self, key: &Q) -> Option<(&K, &V::Cell)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (node, index) = self.tree.find(key)?;
        // SAFETY: an entry, borrowed as `self` is.
        Some(unsafe { (node.key(index).as_ref(), node.cell(index).as_ref()) })
    }

    /// The cell of a key, to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn get_cell_mut<Q>(&mut self, key: &Q) -> Result<Option<&mut V::Cell>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => self.cell_at(&mut path).map(Some),
            _ => Ok(None),
        }
    }

    /// The cell of an entry that was found, to change.
    fn cell_at(&mut self, path: &mut Path<K, V::Cell>) -> Result<&mut V::Cell, HeapFull> {
        self.tree.own(path)?;
        let (key, mut cell) = path.entry();
        // SAFETY: an entry in a block that may be written, borrowed as `self` is.
        unsafe {
            self.twin
                .mark_key::<SharedOrderedMap<K, ()>, K>(key.as_ref());
            Ok(cell.as_mut())
        }
    }

    /// The element of an entry that was found, to edit.
    fn value_at(&mut self, path: &mut Path<K, V::Cell>) -> Result<&mut V, AccessError> {
        let this = ptr::from_ref(self);
        let cell = self.cell_at(path)?;
        let (key, _) = path.entry();
        // SAFETY: an entry, borrowed as its cell is.
        let name = || named::key(unsafe { key.as_ref() });
        cell.get_mut_called(Called::new(this, &name))
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
        let mut path = Path::new();
        match self.tree.seek(&key, &mut path) {
            Some(Sought::Found) => match self.cell_at(&mut path) {
                Ok(old) => Ok(Some(mem::replace(old, cell))),
                Err(HeapFull) => Err(NoRoom { key, cell }),
            },
            sought => {
                self.twin.mark_key::<SharedOrderedMap<K, ()>, K>(&key);
                let mut way = sought.is_some().then_some(&mut path);
                match self.tree.make_room(way.as_deref_mut()) {
                    Ok(room) => {
                        self.tree.fill(way, room, (key, cell));
                        Ok(None)
                    }
                    Err(HeapFull) => Err(NoRoom { key, cell }),
                }
            }
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
        Q: Ord + ?Sized,
    {
        match self.get_cell_mut(key)? {
            Some(old) => Ok(Some(mem::replace(old, V::Cell::new(value)?))),
            None => Ok(None),
        }
    }

    /// The element of a key, to edit; makes key and element where the key is not there. Both keys must be
    /// equal. Searches once.
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
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        let mut cell = match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => return self.value_at(&mut path),
            sought => {
                let (key, value) = make()?;
                let cell = V::Cell::new(value)?;
                self.twin.mark_key::<SharedOrderedMap<K, ()>, K>(&key);
                let mut way = sought.is_some().then_some(&mut path);
                let room = self.tree.make_room(way.as_deref_mut())?;
                self.tree.fill(way, room, (key, cell))
            }
        };
        // SAFETY: an entry in a block that may be written, borrowed as `self` is.
        unsafe { cell.as_mut() }.get_mut()
    }

    /// Takes the element of a key.
    ///
    /// # Errors
    /// See [`AccessError`]; the entry stays.
    pub fn remove<Q>(&mut self, key: &Q) -> Result<Option<V>, AccessError>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => self.take_value(&mut path).map(|(_, value)| Some(value)),
            _ => Ok(None),
        }
    }

    /// Takes key and cell, foreign or not, the complement with it.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn remove_entry<Q>(&mut self, key: &Q) -> Result<Option<(K, V::Cell)>, HeapFull>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => self.take_at(&mut path).map(Some),
            _ => Ok(None),
        }
    }

    fn take_at(&mut self, path: &mut Path<K, V::Cell>) -> Result<(K, V::Cell), HeapFull> {
        // Marked first: what compares keys may panic, and then nothing has been taken.
        // SAFETY: an entry, borrowed as `self` is.
        self.twin
            .mark_key::<SharedOrderedMap<K, ()>, K>(unsafe { path.entry().0.as_ref() });
        self.tree.take(path)
    }

    /// Takes key and cell of the entry of this rank, foreign or not, the complement with it; `None` beyond
    /// the end.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn remove_nth(&mut self, rank: usize) -> Result<Option<(K, V::Cell)>, HeapFull> {
        match self.way_to(rank) {
            Some(mut path) => self.take_at(&mut path).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the entry of the least key.
    ///
    /// # Errors
    /// See [`AccessError`]; the entry stays.
    pub fn pop_first(&mut self) -> Result<Option<(K, V)>, AccessError> {
        let path = self.way_to(0);
        path.map(|mut path| self.take_value(&mut path)).transpose()
    }

    /// Takes the entry of the greatest key.
    ///
    /// # Errors
    /// See [`AccessError`]; the entry stays.
    pub fn pop_last(&mut self) -> Result<Option<(K, V)>, AccessError> {
        let path = self.len().checked_sub(1).and_then(|last| self.way_to(last));
        path.map(|mut path| self.take_value(&mut path)).transpose()
    }

    /// Takes an entry out, its value in this version's form.
    fn take_value(&mut self, path: &mut Path<K, V::Cell>) -> Result<(K, V), AccessError> {
        // Converted in place first: a value that cannot be had is not lost.
        self.value_at(path)?;
        let (key, cell) = self.tree.take(path)?;
        Ok((key, cell.into_value()?))
    }

    fn way_to(&self, rank: usize) -> Option<Path<K, V::Cell>> {
        if rank >= self.len() {
            return None;
        }
        let mut path = Path::new();
        self.tree.go_to_rank(rank as u64, &mut path);
        Some(path)
    }

    /// The entry of the least key.
    pub fn first(&self) -> Option<(&K, &V::Cell)> {
        self.iter().next()
    }

    /// The entry of the greatest key.
    pub fn last(&self) -> Option<(&K, &V::Cell)> {
        self.iter().next_back()
    }

    /// The entry that has so many smaller keys in front of it. O(log n).
    pub fn nth(&self, rank: usize) -> Option<(&K, &V::Cell)> {
        let (key, cell) = self.way_to(rank)?.entry();
        // SAFETY: an entry, borrowed as `self` is.
        Some(unsafe { (key.as_ref(), cell.as_ref()) })
    }

    /// The entry of this rank, its cell to change.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub fn nth_mut(&mut self, rank: usize) -> Result<Option<(&K, &mut V::Cell)>, HeapFull> {
        let Some(mut path) = self.way_to(rank) else {
            return Ok(None);
        };
        self.cell_at(&mut path)?;
        let (key, mut cell) = path.entry();
        // SAFETY: an entry in a block that may be written, borrowed as `self` is.
        Ok(Some(unsafe { (key.as_ref(), cell.as_mut()) }))
    }

    /// How many smaller keys there are: `Ok` if the key is there, `Err` if it is not. O(log n).
    ///
    /// # Errors
    /// The rank that the key would have.
    pub fn rank_of<Q>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut path = Path::new();
        match self.tree.seek(key, &mut path) {
            Some(Sought::Found) => Ok(path.rank() as usize),
            Some(Sought::Missing) => Err(path.rank() as usize),
            None => Err(0),
        }
    }

    /// Every key with its cell, in the order of the keys, from either end.
    pub fn iter(&self) -> OrderedEntries<'_, K, V::Cell> {
        OrderedEntries::all(&self.tree)
    }

    /// The entries whose keys are in a range, from either end; none where its ends are the wrong way
    /// round.
    pub fn range<Q>(&self, range: impl RangeBounds<Q>) -> OrderedEntries<'_, K, V::Cell>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        OrderedEntries::within(&self.tree, &range)
    }

    /// The keys in order, from either end.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The elements in the order of their keys, from either end, foreign ones as errors.
    pub fn values(
        &self,
    ) -> impl DoubleEndedIterator<Item = Result<&V, AccessError>> + ExactSizeIterator {
        self.iter().map(|(_, cell)| cell.get())
    }

    /// Keeps the entries for which `keep` is true and drops the others, in the order of their keys.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer; entries that `keep` was not asked about stay.
    pub fn retain(
        &mut self,
        mut keep: impl FnMut(&K, &mut V::Cell) -> bool,
    ) -> Result<(), HeapFull> {
        self.twin.give_up();
        let mut rank = 0;
        while let Some(mut path) = self.way_to(rank) {
            self.tree.own(&mut path)?;
            loop {
                let (key, mut cell) = path.entry();
                // SAFETY: an entry in a block that may be written; nobody else has the map.
                if !unsafe { keep(key.as_ref(), cell.as_mut()) } {
                    drop(self.tree.take(&mut path)?);
                    break;
                }
                rank += 1;
                if !path.advance_inside() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Drops all entries and gives the blocks back.
    pub fn clear(&mut self) {
        self.twin.give_up();
        self.tree.clear();
    }
}

impl<K, V> SharedOrderedMap<K, V>
where
    K: Shared + Ord,
    V: Shared<Cell = Versioned<V>> + Element,
{
    /// The same map for another form of its elements, in O(1): boxes say themselves what they hold
    /// (R5).
    pub fn rebind<W: Shared<Cell = Versioned<W>> + Element>(self) -> SharedOrderedMap<K, W> {
        super::copies::rebound();
        // SAFETY: both are the same words; a box of V and one of W differ in the type that they
        // convert to, and the tag in each tells what it holds.
        unsafe { self.cast() }
    }
}

impl<K: Shared + Ord, V: Element> SharedOrderedMap<K, SharedRc<V>> {
    /// The same map for another form of what its handles lead to, in O(1) (R5).
    pub fn rebind<W: Element>(self) -> SharedOrderedMap<K, SharedRc<W>> {
        // SAFETY: a handle is one word, the same for all forms of the value.
        unsafe { self.cast() }
    }
}

impl<K: Shared + Ord, V: Shared> SharedOrderedMap<K, V> {
    /// The same map over cells of another type, which are words too.
    ///
    /// # Safety
    /// Of all maps with these words at most one is used as one of boxes.
    pub(super) unsafe fn cast<W: Shared>(self) -> SharedOrderedMap<K, W> {
        const { twin::assert_words::<V::Cell, W::Cell>() };
        // SAFETY: nodes are laid out by the sizes of keys and cells, and cells are one word.
        unsafe { mem::transmute_copy(&ManuallyDrop::new(self)) }
    }

    /// Where the map's twin is.
    pub(super) fn twin(&mut self) -> &mut TwinWord {
        &mut self.twin
    }

    /// Drops some entries, those of the greatest keys; false once there are none.
    ///
    /// # Errors
    /// `HeapFull` inside a transformer.
    pub(super) fn drop_some(&mut self) -> Result<bool, HeapFull> {
        const SOME: usize = 64;
        for _ in 0..SOME {
            let Some(mut path) = self.len().checked_sub(1).and_then(|last| self.way_to(last))
            else {
                return Ok(false);
            };
            drop(self.tree.take(&mut path)?);
        }
        Ok(true)
    }
}

/// Marks of a map.
impl<K: Shared + Ord> KeySet<K> for SharedOrderedMap<K, ()> {
    fn has(&self, key: &K) -> bool {
        self.contains(key)
    }

    fn add(&mut self, key: K) -> Result<(), HeapFull> {
        self.insert(key, ()).map(drop)
    }
}

impl<K: Shared + Ord, V: Shared> Default for SharedOrderedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Shared + Ord, V: Shared> Drop for SharedOrderedMap<K, V> {
    fn drop(&mut self) {
        // A drop writes nothing: `self` may lie in a block that must stay as it is.
        self.twin.end();
        ManuallyDrop::new(self.tree.bits()).clear();
    }
}

// SAFETY: addresses in the heap and numbers; `visit` shows every block, key and cell.
unsafe impl<K: Shared + Ord, V: Shared> Shared for SharedOrderedMap<K, V> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        keys::is_ordered::<K>();
        shared::of_map::<Self, K, V>("SharedOrderedMap")
    }

    /// Places are ranks: an entry that an insertion or removal in front of it moves between two slices is
    /// seen twice, or only by the next walk.
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        let this = ptr::from_ref(self);
        let SharedOrderedMap { tree, twin } = self;
        twin::visit_map::<Self, K>(twin, visitor, |visitor, shows_keys| {
            tree.visit(
                visitor,
                shows_keys,
                |key, to| key.visit(to),
                |key, cell, to| Called::new(this, &|| named::key(key)).during(|| cell.visit(to)),
            );
        });
    }
}
