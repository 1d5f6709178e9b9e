//! What the macros register inside a library, gathered with `inventory` when it is bound.

use super::calls::{ConversionStatus, ConvertFn, DropFn, ErrorText, TwinTask, VisitFn};
use super::fleet::FleetWord;
use super::schema::TypeSchema;
use crate::ids::{Tag, VersionId};
use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The representation id that one type has in this copy of the library; set when it is bound.
#[repr(transparent)]
pub struct TagCell(AtomicU16);

impl TagCell {
    /// Not bound yet.
    pub const fn new() -> TagCell {
        TagCell(AtomicU16::new(0))
    }

    /// The id, [`Tag::NONE`] before the library is bound.
    #[inline]
    pub fn get(&self) -> Tag {
        Tag(self.0.load(Ordering::Relaxed))
    }

    /// Sets the id.
    pub(crate) fn set(&self, tag: Tag) {
        self.0.store(tag.0, Ordering::Relaxed);
    }
}

impl Default for TagCell {
    fn default() -> Self {
        Self::new()
    }
}

/// Of a type with `#[shared(forbid)]`: what this library knows of values that the version before has no
/// form for. Set when it is bound.
pub struct ForbidCell {
    /// Address of the lens's [`represents`](TransformerRegistration::represents); 0: no lens forbids.
    represents: AtomicU64,
    /// This library's version.
    version: AtomicU32,
}

impl ForbidCell {
    /// Not bound yet.
    pub const fn new() -> ForbidCell {
        ForbidCell {
            represents: AtomicU64::new(0),
            version: AtomicU32::new(0),
        }
    }

    /// A lens of this library, which is of `version`, forbids what it does not represent.
    pub(crate) fn forbid(
        &self,
        version: VersionId,
        represents: unsafe extern "C" fn(*const u8) -> bool,
    ) {
        self.version.store(version.0, Ordering::Relaxed);
        self.represents
            .store(represents as usize as u64, Ordering::Relaxed);
    }

    /// Whether this value may be made now (R12). One load of shared memory unless versions are mixed.
    ///
    /// # Safety
    /// `value` points to a value of the type that the cell belongs to.
    #[inline]
    pub unsafe fn allows(&self, value: *const u8) -> bool {
        let version = VersionId(self.version.load(Ordering::Relaxed));
        // SAFETY: by the caller.
        FleetWord::get().load().floor >= version || unsafe { self.is_represented(value) }
    }

    /// # Safety
    /// As for [`allows`](Self::allows).
    #[cold]
    unsafe fn is_represented(&self, value: *const u8) -> bool {
        let address = self.represents.load(Ordering::Relaxed) as usize;
        // SAFETY: only `forbid` stores an address, that of such a function; 0 is `None`.
        let represents: Option<unsafe extern "C" fn(*const u8) -> bool> =
            unsafe { std::mem::transmute(address) };
        // SAFETY: the lens's newer type is the cell's.
        represents.is_none_or(|represents| unsafe { represents(value) })
    }
}

impl Default for ForbidCell {
    fn default() -> Self {
        Self::new()
    }
}

/// A `#[derive(Shared)]` type that can be the content of a `Versioned` box, or a frozen copy of one.
pub struct TypeRegistration {
    /// Schema name.
    pub name: &'static str,
    /// Where Rust finds the type, from the crate's name on.
    pub path: &'static str,
    /// For a frozen copy of an older type, the version it is of; 0 for a type of this version.
    pub frozen_from: u32,
    /// Its schema.
    pub schema: fn() -> TypeSchema,
    /// Where its id goes.
    pub tag: &'static TagCell,
    /// With `#[shared(forbid)]`: where it goes which values are not to be made.
    pub forbid: Option<&'static ForbidCell>,
    /// Drops a value.
    pub drop: DropFn,
    /// Shows a value's blocks.
    pub visit: VisitFn,
}
inventory::collect!(TypeRegistration);

/// One item of a guard.
pub struct ItemCalls {
    /// `(tuple, where to, error)`: makes the first value in place, as the initialiser or `Default` says.
    /// All items that are declared before it are in their places of the tuple.
    pub init: unsafe extern "C" fn(*const u8, *mut u8, &mut ErrorText) -> ConversionStatus,
    /// Drops a value.
    pub drop: DropFn,
    /// Shows a value's blocks.
    pub visit: VisitFn,
}

/// An item that another guard had in the version before (R4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MovedItem {
    /// Its name in the guard that has it now.
    pub item: &'static str,
    /// The guard that had it, as the version before names it.
    pub guard: &'static str,
    /// Its name there.
    pub from: &'static str,
}

/// Where one guard of this library is, and what this worker expects there.
#[repr(C, align(32))]
pub struct GuardCell {
    /// Address of the guard's slot in the control region; 0 before the library is bound.
    pub slot: AtomicU64,
    /// The root word that was there last time, if it was in the form that is expected here: as long as
    /// it is there again, nothing else needs to be looked at. [`UNKNOWN`](Self::UNKNOWN) otherwise.
    pub known_root: AtomicU64,
    /// The tag that this version's code was compiled for.
    expected: AtomicU16,
}

impl GuardCell {
    /// Equal to no root: a poisoned one, of items where nothing can be.
    const UNKNOWN: u64 = u64::MAX;

    /// Not bound yet.
    pub const fn new() -> GuardCell {
        GuardCell {
            slot: AtomicU64::new(0),
            known_root: AtomicU64::new(Self::UNKNOWN),
            expected: AtomicU16::new(Tag::IMPOSSIBLE.0),
        }
    }

    /// Says where the guard is, and in which form it is expected there.
    pub(crate) fn bind(&self, slot: u64, expected: Tag) {
        self.slot.store(slot, Ordering::Relaxed);
        self.known_root.store(Self::UNKNOWN, Ordering::Relaxed);
        self.expected.store(expected.0, Ordering::Relaxed);
    }

    /// The tag that this version's code was compiled for.
    pub fn expected(&self) -> Tag {
        Tag(self.expected.load(Ordering::Relaxed))
    }
}

impl Default for GuardCell {
    fn default() -> Self {
        Self::new()
    }
}

/// A `#[guards(…)]` static: one guard, or a family of them.
pub struct GuardRegistration {
    /// Name of the static: the guard's stable name.
    pub name: &'static str,
    /// Former name (`renamed_from`), or empty.
    pub renamed_from: &'static str,
    /// `Some(n)` for a family of n guards.
    pub family: Option<u32>,
    /// Schema of the item tuple: a struct whose fields are the items.
    pub schema: fn() -> TypeSchema,
    /// In the order of the fields.
    pub items: &'static [ItemCalls],
    /// Those that another guard had in the version before.
    pub moved: &'static [MovedItem],
    /// Drops the tuple.
    pub drop: DropFn,
    /// Shows the tuple's blocks.
    pub visit: VisitFn,
    /// One cell a guard.
    pub cells: &'static [GuardCell],
}
inventory::collect!(GuardRegistration);

/// `removed!("NAME")`: a guard, or an item as `"GUARD.item"`, that is gone on purpose.
pub struct RemovedRegistration {
    /// What is gone.
    pub name: &'static str,
}
inventory::collect!(RemovedRegistration);

/// Which ways a lens can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum LensDirections {
    /// Forward and backward.
    Both = 0,
    /// Forward only (R14).
    ForwardOnly = 1,
}

/// What becomes of newer values that the older side of a lens has no form for (R12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum LensPolicy {
    /// They are foreign to it.
    #[default]
    Foreign = 0,
    /// It sees a stand-in.
    Placeholder = 1,
    /// They are not made while it may look.
    Forbid = 2,
}

/// What happens to a part of a value that crosses without its complement (R10).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// It takes its default.
    Defaulted,
    /// It is computed from its image, which may have less to say.
    Approximated,
    /// Its lens keeps something of it and does not say of what.
    Unstated,
}

/// A part of a value that is not what it was once it has crossed without its complement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LensLoss {
    /// Where it is, from the name of the type: `Entry.flags`.
    pub path: String,
    /// What happens to it.
    pub kind: LossKind,
}

/// What a lens loses without a complement, on the way to either side (R10).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LensLosses {
    /// Of the older side, on the way backward.
    pub older: Vec<LensLoss>,
    /// Of the newer side, on the way forward.
    pub newer: Vec<LensLoss>,
}

/// The items of a guard between which a lens over tuples of items leads (R3).
#[derive(Clone, Copy)]
pub struct RegroupedItems {
    /// The guard, as the newer version names it.
    pub guard: &'static str,
    /// Names of the older items, in the order of the lens's left tuple.
    pub older: &'static [&'static str],
    /// Names of the newer items, in the order of the lens's right tuple.
    pub newer: &'static [&'static str],
}

/// How far one call of a [`PrepareFn`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PrepareStatus {
    /// All of it: the twin is there and has caught up, or nothing is left of it.
    Done = 0,
    /// The time was over first: call again.
    More = 1,
    /// No room; what was made so far stays, and can be discarded.
    HeapFull = 2,
    /// A value has no form on the other side; which and why is in the error text.
    Failed = 3,
    /// A function of the lens panicked; the message is in the error text.
    Panicked = 4,
}

/// Works on the twin of a container until it is done or the monotonic clock shows `until_ns`
/// (`u64::MAX`: until it is done): `(value, until_ns, error)`.
///
/// `value` is the address of the value that is there now, of a lens between tuples of items the address
/// of an array with the address of each item, in the order of the lens's tuple. Writes in place: not
/// while a conversion is open; the caller holds the guard. Whoever dies in it leaves the value sound, and
/// at worst loses the twin's blocks.
pub type PrepareFn =
    unsafe extern "C" fn(value: *mut u8, until_ns: u64, error: &mut ErrorText) -> PrepareStatus;

/// What a lens over containers can do before a flip, so that the flip costs what was changed and not
/// what is there.
#[derive(Clone, Copy)]
pub struct PrepareCalls {
    /// Of a left value: makes its twin, the right form, and brings it up to date.
    pub forward: PrepareFn,
    /// Of a right value: the same towards the left form.
    pub backward: PrepareFn,
    /// Empties and drops the twin of a left value.
    pub discard_left: PrepareFn,
    /// Empties and drops the twin of a right value.
    pub discard_right: PrepareFn,
}

impl PrepareCalls {
    /// What does this with the twin of a left value.
    pub fn on_left(&self, task: TwinTask) -> PrepareFn {
        match task {
            TwinTask::Prepare | TwinTask::PrepareToFlip => self.forward,
            TwinTask::Discard => self.discard_left,
        }
    }

    /// What does this with the twin of a right value.
    pub fn on_right(&self, task: TwinTask) -> PrepareFn {
        match task {
            TwinTask::Prepare | TwinTask::PrepareToFlip => self.backward,
            TwinTask::Discard => self.discard_right,
        }
    }
}

/// Names of types that are twins begin so. Twins are of the newer version; when an update ends, either
/// way, none may be left.
pub const TWIN_NAME: &str = "twin of ";

/// A twin's type: which Rust type a tag is for.
pub struct TwinRegistration {
    /// The type, as this library knows it.
    pub type_id: fn() -> TypeId,
    /// Its id: that of its [`TypeRegistration`].
    pub tag: &'static TagCell,
}
inventory::collect!(TwinRegistration);

/// A lens between an older and a newer type, registered by `transformer!`.
pub struct TransformerRegistration {
    /// Of a lens between tuples of items, which; `None` between two types.
    pub items: Option<RegroupedItems>,
    /// Schema of the older type, usually a frozen one.
    pub left: fn() -> TypeSchema,
    /// Schema of the newer type.
    pub right: fn() -> TypeSchema,
    /// Schema of the complement.
    pub complement: fn() -> TypeSchema,
    /// Older to newer.
    pub forward: ConvertFn,
    /// Newer to older.
    pub backward: ConvertFn,
    /// Drops a complement.
    pub drop_complement: DropFn,
    /// Shows a complement's blocks.
    pub visit_complement: VisitFn,
    /// Which of the two may be called.
    pub directions: fn() -> LensDirections,
    /// What it declares of values without an older form.
    pub policy: fn() -> LensPolicy,
    /// What is lost without a complement, of sides of these names: older, newer.
    pub losses: fn(&str, &str) -> LensLosses,
    /// Whether a value of the newer type has an older form.
    pub represents: unsafe extern "C" fn(*const u8) -> bool,
    /// Of a lens that can be prepared (`transformer!(prepared L)`), how.
    pub prepare: Option<PrepareCalls>,
}
inventory::collect!(TransformerRegistration);

/// A name given to `update_point!`.
pub struct UpdatePointRegistration {
    /// The name.
    pub name: &'static str,
}
inventory::collect!(UpdatePointRegistration);

/// Type-erased calls for the worker function and its carry.
pub struct CarryCalls {
    /// Schema of the carry.
    pub schema: fn() -> TypeSchema,
    /// How Rust names the type.
    pub path: fn() -> &'static str,
}

/// Runs a worker function from an encoded carry, or afresh, until it crosses; the encoded carry.
pub type RunFn = fn(Option<&[u8]>) -> Result<Vec<u8>, crate::error::RunError>;

/// One direction of a carry lens, over encoded carry and complement; the same of the other side.
pub type RewriteFn = fn(&[u8], Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String>;

/// The `#[dsu::worker]` function.
pub struct WorkerRegistration {
    /// Its name.
    pub name: &'static str,
    /// The module that it is in, from the crate's name on.
    pub module: &'static str,
    /// Its carry.
    pub carry: CarryCalls,
    /// Runs it: decodes the carry (or makes a fresh one), calls the function, encodes the crossing.
    pub run: RunFn,
}
inventory::collect!(WorkerRegistration);

/// A lens between the carry of an older version and this version's, over their encoded forms.
pub struct CarryLensRegistration {
    /// Schema of the older carry.
    pub left: fn() -> TypeSchema,
    /// Schema of the newer carry.
    pub right: fn() -> TypeSchema,
    /// Encoded older carry (and complement) to encoded newer one (and complement).
    pub forward: RewriteFn,
    /// The other way.
    pub backward: RewriteFn,
    /// What is lost without a complement, of sides of these names: older, newer.
    pub losses: fn(&str, &str) -> LensLosses,
}
inventory::collect!(CarryLensRegistration);

/// A function with `#[dsu::function]`: shared memory keeps it by its name.
pub struct FunctionRegistration {
    /// Stable name.
    pub name: &'static str,
    /// The module that it is in, from the crate's name on.
    pub module: &'static str,
    /// The type of a pointer to it: how this copy of the library knows it, and in words.
    pub signature: fn() -> FunctionSignature,
    /// Where it is in this process.
    pub pointer: fn() -> *const (),
}
inventory::collect!(FunctionRegistration);

/// The type of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionSignature {
    /// Means something in this copy of the library alone.
    pub id: TypeId,
    /// As `fn(&mut Person, u64) -> bool`, types without their paths.
    pub text: String,
}

/// What `dsu::version!` says.
pub struct VersionRegistration {
    /// Name of the application.
    pub app: &'static str,
    /// Its number.
    pub version: u32,
    /// The version it updates from; 0 for none.
    pub from: u32,
    /// Crates that are the application's though they use none of the runtime's macros (R4).
    pub crates: &'static [&'static str],
}
inventory::collect!(VersionRegistration);

/// A static marked `#[dsu::private]`: it starts anew at every crossing, and that is meant (R4).
pub struct PrivateStaticRegistration {
    /// Its module, or that of the function it is in, and its name: `crate::module::NAME`.
    pub name: &'static str,
    /// Where it is; `None` if each thread has one of its own.
    pub address: Option<fn() -> *const c_void>,
}
inventory::collect!(PrivateStaticRegistration);
