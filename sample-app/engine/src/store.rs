//! What the command layer asks of a store, and nothing about how it is kept.
//!
//! A store is a fixed number of shards, each under its own lock. A command names its keys;
//! [`Store::open`] locks the shards of all of them together, in an order that is the same
//! everywhere, and what it returns is a transaction: while it lives no one else sees or
//! changes those shards. Everything can fail, and a failure is a reply to one client.

use resp::Args;

use crate::ahead::Wanted;
use crate::error::StoreError;

/// Milliseconds since 1970.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// The present moment; 0 on a machine whose clock is before 1970.
    pub fn now() -> UnixMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMs(since.map_or(0, |since| since.as_millis() as u64))
    }
}

/// What to lock.
#[derive(Clone, Copy, Debug)]
pub enum KeySet<'k> {
    /// The shard of one key: the usual case, worth a way of its own.
    One(&'k [u8]),
    /// The shards of several keys, repetitions included.
    Many(Keys<'k>),
    /// One shard by its number.
    Shard(usize),
    /// Some shards by their numbers, or none.
    Shards(ShardSet),
    /// Every shard.
    All,
}

/// Shards by their numbers, which are below 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardSet(u64);

impl ShardSet {
    /// The first so many shards.
    pub fn first(shards: usize) -> Self {
        let mut set = Self::default();
        (0..shards).for_each(|shard| set.insert(shard));
        set
    }

    /// Adds one.
    ///
    /// # Panics
    /// If it is not below 64.
    pub fn insert(&mut self, shard: usize) {
        assert!(shard < 64, "a set has room for 64 shards");
        self.0 |= 1 << shard;
    }

    /// Its members, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |shard| self.0 >> shard & 1 == 1)
    }
}

/// The keys of a command with several.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'k> {
    args: Args<'k>,
    step: usize,
    most: usize,
}

impl<'k> Keys<'k> {
    /// Every `step`-th of `args`, from the first on. `step` is at least 1.
    pub fn every(step: usize, args: Args<'k>) -> Self {
        let most = usize::MAX;
        Self { args, step, most }
    }

    /// No more than the first `most` of them.
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The keys in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = &'k [u8]> + use<'k> {
        self.args.iter().step_by(self.step).take(self.most)
    }
}

/// A version's shards, as a type without values; the values live in its [`Context`](Self::Context).
pub trait Store: 'static {
    /// How many shards there are.
    const SHARDS: usize;

    /// What it takes to lock: the worker.
    type Context: 'static;

    /// Locked shards; dropping it unlocks them.
    type Tx<'t>: Keyspace;

    /// The shard that this key lies in, below [`SHARDS`](Self::SHARDS).
    fn shard_of(key: &[u8]) -> usize;

    /// Asks the processor for memory that will be needed soon, of a few keys. Changes nothing and waits
    /// for nobody.
    fn prefetch(_context: &mut Self::Context, _wanted: &[Wanted<'_>]) {}

    /// Locks all shards that `keys` needs, in a fixed order. Keys whose time is up at `now`
    /// are invisible through the result, and may be removed by it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a lock cannot be had; nothing is locked then.
    fn open<'t>(
        context: &'t mut Self::Context,
        keys: KeySet<'_>,
        now: UnixMs,
    ) -> Result<Self::Tx<'t>, StoreError>;
}

/// A store whose keys can have a time to live.
pub trait ExpiringStore: for<'t> Store<Tx<'t>: Expiring> {}

impl<S> ExpiringStore for S where S: for<'t> Store<Tx<'t>: Expiring> {}

/// The type of a value as TYPE names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind(pub &'static str);

impl Kind {
    /// Bytes.
    pub const STRING: Self = Self("string");
    /// Elements with two ends.
    pub const LIST: Self = Self("list");
    /// Fields with values.
    pub const HASH: Self = Self("hash");
    /// What this version has no form for. Redis has no such word, but a module names its types as it
    /// likes, so clients must expect others than Redis's own.
    pub const FOREIGN: Self = Self("foreign");
}

/// How much there is in the locked shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Keys, including those whose time is up and that nobody has looked at since.
    pub keys: u64,
    /// Keys with a time to live.
    pub expires: u64,
}

/// Locked shards. Asking for a key of a shard that is not locked is a programming error,
/// which an implementation may answer with a panic.
///
/// *Foreign* values, which this version cannot read, exist: `contains`, `remove`, `rename`,
/// `replace` and scanning work on them; `get` and `edit` answer [`StoreError::WrongType`].
pub trait Keyspace {
    /// A string open for editing in place.
    type Value: StringValue;

    /// The bytes of a string, if the key exists.
    ///
    /// # Errors
    /// `WrongType` if it holds something else; `HeapFull`, `Unavailable` where reading has to
    /// convert and cannot.
    fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StoreError>;

    /// A string to change in place: what else belongs to the entry, such as its time to
    /// live, stays.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn edit(&mut self, key: &[u8]) -> Result<Option<&mut Self::Value>, StoreError>;

    /// Whether the key exists, whatever it holds.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn contains(&mut self, key: &[u8]) -> Result<bool, StoreError>;

    /// The type of what the key holds.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn kind(&mut self, key: &[u8]) -> Result<Option<Kind>, StoreError>;

    /// Makes the key hold this string, as a new entry: nothing of an old one remains, not
    /// even a time to live or what only another version knows of it.
    ///
    /// # Errors
    /// `HeapFull`, and then the old entry is as it was.
    fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// [`replace`](Self::replace) for several keys, each followed by its value, in their order: all of
    /// them or none.
    ///
    /// # Errors
    /// `HeapFull`, and then all entries are as they were.
    fn replace_all(&mut self, pairs: Args<'_>) -> Result<(), StoreError>;

    /// Removes the key; whether it existed.
    ///
    /// # Errors
    /// `Unavailable`.
    fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError>;

    /// Moves the entry of `from`, with everything that belongs to it, to the key `to`, over
    /// what was there. Whether `from` existed; if not, nothing changes. The two differ.
    ///
    /// # Errors
    /// `HeapFull`, and then both are as they were.
    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool, StoreError>;

    /// How much is in the locked shards.
    ///
    /// # Errors
    /// `Unavailable`.
    fn totals(&mut self) -> Result<Totals, StoreError>;

    /// Removes everything in the locked shards.
    ///
    /// # Errors
    /// `Unavailable`.
    fn clear(&mut self) -> Result<(), StoreError>;

    /// Any one key, chosen by `chance`, an evenly distributed number; if possible each with
    /// equal probability. None if there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    fn random_key(&mut self, chance: u64) -> Result<Option<&[u8]>, StoreError>;

    /// Visits at least one key of a shard from `cursor` on, about `count` of them, and
    /// returns the cursor to go on with, 0 at the end. It starts with 0.
    ///
    /// Cursors are below 2^56, and stay good while the shard changes and grows: a key that
    /// is there from the first call to the last is visited at least once.
    ///
    /// # Errors
    /// `Unavailable`.
    fn scan(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, StoreError>;

    /// What WATCH compares. None where changes cannot be told: in versions without WATCH, and while
    /// a worker of a version that notes no changes may write (R12).
    ///
    /// # Errors
    /// `HeapFull` where the key's changes cannot be noted; `Unavailable`.
    fn stamp(&mut self, _key: &[u8]) -> Result<Option<Stamp>, StoreError> {
        Ok(None)
    }

    /// Whether keys are to be removed when this ends, since their time was found to be up.
    fn is_to_remove(&self) -> bool {
        false
    }

    /// What became of the key that was last opened for editing. Whoever watches it is not told if
    /// nothing did; unsaid, the edit stands.
    fn close_edit(&mut self, _edit: Edit) {}
}

/// What became of a value that was opened for editing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// It was edited.
    Stands,
    /// It is as it was.
    Undone,
}

/// How often a key has changed, as WATCH compares it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// A number that is another once changes may have gone unnoted.
    pub epoch: u64,
    /// A number that grows with every change of the key, and perhaps of others.
    pub writes: u64,
    /// A number that grows when everything is removed.
    pub flushes: u64,
    /// Whether the key exists and its time is not up.
    pub exists: bool,
}

impl Stamp {
    /// Whether the key is untouched if its stamp is `now`. One whose time has come since is touched,
    /// and removing one that did not exist, be it by FLUSHALL or because its time was up, touches
    /// nothing: as Redis has it.
    pub fn stands(self, now: Stamp) -> bool {
        self.epoch == now.epoch
            && self.writes == now.writes
            && (!self.exists || now.exists && self.flushes == now.flushes)
    }
}

/// A string within its entry.
pub trait StringValue {
    /// What it holds.
    fn bytes(&self) -> &[u8];

    /// Holds this instead.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn set(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Holds these digits instead, which are the sum of two floats: OBJECT ENCODING never calls them an
    /// integer.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    fn set_sum(&mut self, digits: &[u8]) -> Result<(), StoreError> {
        self.set(digits)
    }

    /// Adds this at the end.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Puts this at `offset`, growing and filling with zeros as needed.
    ///
    /// # Errors
    /// `HeapFull`, and then it is as it was.
    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError>;
}

/// How long a key lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// There is no such key.
    Absent,
    /// Until it is removed.
    Persistent,
    /// It is gone once the time is past this.
    Until(UnixMs),
}

/// What one slice of active expiry did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExpirySlice {
    /// Where to go on in the shard; 0 at its end.
    pub next: u64,
    /// Keys with a time to live that were looked at.
    pub examined: usize,
    /// Keys among them whose time was up, and that are gone.
    pub removed: usize,
}

/// Locked shards whose keys can have a time to live. A key is expired when `now` is *past*
/// its deadline; from then on it is invisible to every method, and lazily removed.
pub trait Expiring: Keyspace {
    /// How long the key lives.
    ///
    /// # Errors
    /// `Unavailable`. Foreign values have lifetimes as any other.
    fn lifetime(&mut self, key: &[u8]) -> Result<Lifetime, StoreError>;

    /// Gives an existing key a deadline, or none. Nothing happens if it does not exist.
    ///
    /// # Errors
    /// `HeapFull`, `Unavailable`.
    fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMs>) -> Result<(), StoreError>;

    /// As [`Keyspace::replace`], the new entry with a deadline of its own.
    ///
    /// # Errors
    /// As [`Keyspace::replace`].
    fn replace_until(
        &mut self,
        key: &[u8],
        value: &[u8],
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError>;

    /// Looks at about `count` keys with a deadline from `cursor` on, as [`Keyspace::scan`]
    /// does, and removes those whose time is up.
    ///
    /// # Errors
    /// `Unavailable`.
    fn expire_slice(
        &mut self,
        shard: usize,
        cursor: u64,
        count: usize,
    ) -> Result<ExpirySlice, StoreError>;
}
