//! What a library is told when it is loaded: which slot each guard has, which tag each shape.

use super::manifest::Manifest;
use crate::ids::{GuardIndex, Tag, VersionId};
use serde::{Deserialize, Serialize};

/// The answer of the supervisor's registry to one manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Binding {
    /// Version that this binding is for.
    pub version: VersionId,
    /// Slots of its guards, by name.
    pub guards: Vec<GuardBinding>,
    /// Guards of the version before that this one does not have, and that items move out of into its own:
    /// where they are, and the tag of a tuple without items (R4).
    pub emptied: Vec<GuardBinding>,
    /// Every shape of an item tuple or element type that a live value may have, of this version and of
    /// the one that its lenses start from.
    pub representations: Vec<RepresentationBinding>,
    /// Its lenses, between types and between item tuples: whatever one of them has kept needs this code to
    /// be read or dropped (R13).
    pub lenses: Vec<LensBinding>,
    /// Where the order of its locks is recorded (R16), the same for the same code; `None` when there is
    /// no room for more.
    pub order_table: Option<u32>,
    /// Manifest of the version that this one's lenses start from, when there is one: the library with
    /// the lenses lays out the tuple transformers from both.
    pub older: Option<Manifest>,
    /// Names of types and tuples for which another build keeps something else beside the boxes, with
    /// which this one can do nothing (R1, R10).
    pub forgets: Vec<String>,
}

/// Where a guard's slots are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GuardBinding {
    /// Stable name.
    pub name: String,
    /// Slot of the guard, or of the first of a family; the others follow.
    pub first: GuardIndex,
    /// Number of guards.
    pub count: u32,
    /// Tag of its item tuple in this version.
    pub tag: Tag,
    /// What it is to the order of locks (R16): the same in every version, beyond the last that a table
    /// tells apart if there are that many.
    pub node: u16,
}

/// The id of one shape.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RepresentationBinding {
    /// Name of the element type, or `guard:NAME` for an item tuple.
    pub name: String,
    /// Digest of its schema (`version::digest`).
    pub digest: String,
    /// Its id.
    pub tag: Tag,
    /// Ids that the same shape has with other builds, whose lenses keep something else (R1): values
    /// there become values here as they are, without what is kept beside them.
    pub same: Vec<Tag>,
}

/// A lens by the ids of its sides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct LensBinding {
    /// Of the older side.
    pub older: Tag,
    /// Of the newer side.
    pub newer: Tag,
}
