//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.
//! Each `compile_error!` is a question: what it offers is written in its place.

use dsu_runtime::prelude::*;

/// The types as v2 has them. Their fields have to be visible here: `pub(crate)`.
mod newer {
    pub(crate) use crate::Entry;
    pub(crate) use crate::Motd;
    pub(crate) use crate::Peer;
    pub(crate) use crate::Remark;
    pub(crate) use crate::Value;
}

/// `Entry` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) value: Versioned<newer::Value>,
    pub(crate) peers: SharedMap<SharedBytes, newer::Peer>,
    pub(crate) motd: Motd,
    pub(crate) hits: u32,
    pub(crate) limit: u64,
    pub(crate) get_misses: u64,
    pub(crate) owner: u16,
    pub(crate) notes: SharedVec<Note>,
    pub(crate) scratch: SharedBytes,
    pub(crate) r#type: Option<u64>,
}

/// `Entry` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Entry, to = newer::Entry, drop(scratch))]
#[lens(compile_error!(
    "owner: u16 of Entry of v1 is gone in v2. Say what v1 reads in a value that v2 made: \
     drop(owner) for 0, or drop(owner = VALUE)"
))]
pub(crate) struct EntryNow {
    value: Versioned<newer::Value>,
    peers: SharedMap<SharedBytes, newer::Peer>,
    #[lens(nested)]
    motd: newer::Motd,
    #[lens(with = xform::Widen<u32, u64>)]
    hits: u64,
    #[lens(compile_error!(
        "limit is u64 in Entry of v1 and u32 in Entry of v2. Say how one is made of the other: \
         convert(|old| …, |new| …), both of which borrow; with = LENS; or one_way(|old| …) if \
         there is no way back"
    ))]
    limit: u32,
    #[lens(compile_error!(
        "Entry of v1 has get_misses: u64, and Entry of v2 has keyspace_misses: u64. If get_misses \
         became keyspace_misses, write rename = get_misses in place of this compile_error!. If it \
         did not, write add = VALUE here, and drop(get_misses = VALUE) to #[lens(from …)] of \
         EntryNow"
    ))]
    keyspace_misses: u64,
    #[lens(exact(|old: SharedVec<Note>| Ok(old.rebind()), |new: SharedVec<newer::Remark>| Ok(new.rebind())))]
    notes: SharedVec<newer::Remark>,
    r#type: Option<u64>,
    #[lens(add)]
    deadline: Option<u64>,
    #[lens(compile_error!(
        "expires_at_ms: u128 is new in Entry of v2. Say what it is in a value that v1 made: add \
         for 0, add = VALUE, or add = |old| VALUE to compute it"
    ))]
    expires_at_ms: u128,
    #[lens(compile_error!(
        "first: Peer is new in Entry of v2. Say what it is in a value that v1 made: add for its \
         Default, add = VALUE, or add = |old| VALUE to compute it"
    ))]
    first: newer::Peer,
}

dsu::transformer!(EntryLens);

/// `Motd` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
pub(crate) struct Motd {
    pub(crate) len: u64,
}

/// `Motd` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Motd, to = newer::Motd)]
pub(crate) struct MotdNow {
    len: u64,
    #[lens(add)]
    tags: SharedVec<SharedBytes>,
}

dsu::transformer!(MotdLens);

/// `Note` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
pub(crate) struct Note {
    pub(crate) text: SharedBytes,
}

/// `Remark` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Note, to = newer::Remark)]
pub(crate) struct RemarkNow {
    text: SharedBytes,
}

dsu::transformer!(RemarkLens);
