//! The manifest: everything that a version says of itself, as data.

use crate::abi::{LensLosses, LensPolicy, TypeSchema};
use crate::ids::VersionId;
use serde::{Deserialize, Serialize};

/// What `dsu_manifest` returns from inside a library. Sorted by name throughout.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the application.
    pub app: String,
    /// Number of this version.
    pub version: VersionId,
    /// The version it updates from, if any.
    pub from: Option<VersionId>,
    /// GNU build id of the loaded file, hex.
    pub build_id: String,
    /// Compiler that built it.
    pub rustc: String,
    /// Its guards.
    pub guards: Vec<GuardManifest>,
    /// Its element types.
    pub types: Vec<TypeManifest>,
    /// Its frozen copies of older element types.
    pub frozen: Vec<TypeManifest>,
    /// Its lenses.
    pub lenses: Vec<LensManifest>,
    /// What its key types do with sample keys (R15).
    #[serde(default)]
    pub keys: Vec<KeyManifest>,
    /// Functions that shared memory may name.
    pub functions: Vec<FunctionManifest>,
    /// Guards, items and functions that are gone on purpose.
    pub removed: Vec<String>,
    /// Names of its update points.
    pub update_points: Vec<String>,
    /// What a worker carries across.
    pub carry: CarryManifest,
    /// Lenses between carries.
    pub carry_lenses: Vec<CarryLensManifest>,
    /// What it says of its writable statics.
    pub statics: StaticsManifest,
    /// Where its source finds the types that its schemas name.
    #[serde(default)]
    pub paths: Vec<TypePath>,
}

/// Where a type is that a schema names. Two types of one name are instances of a generic one, or lie
/// in different modules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct TypePath {
    /// The name in schemas.
    pub name: String,
    /// Digest of the schema.
    pub digest: String,
    /// As the library's own source finds it, with its arguments: `crate::pair::Pair<u64>`.
    pub path: String,
}

/// A guard, or a family of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GuardManifest {
    /// Stable name.
    pub name: String,
    /// Former name, or empty.
    pub renamed_from: String,
    /// Number of guards, for a family.
    pub family: Option<u32>,
    /// Its item tuple: a struct whose fields are the items.
    pub items: TypeSchema,
    /// Items that another guard had in the version before.
    pub moved: Vec<MovedManifest>,
}

/// An item that another guard had in the version before (R4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MovedManifest {
    /// Its name in the guard that has it now.
    pub item: String,
    /// The guard that had it, as the version before names it.
    pub guard: String,
    /// Its name there.
    pub from: String,
}

/// An element type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TypeManifest {
    /// Version that a frozen copy is of; the library's own for its own types.
    pub version: VersionId,
    /// Its schema; `schema.name` is the type's stable name.
    pub schema: TypeSchema,
    /// Where the library's own source finds it, as `crate::entry::Entry`.
    pub path: String,
}

/// A lens between two representations of a type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LensManifest {
    /// Older side.
    pub left: TypeSchema,
    /// Newer side.
    pub right: TypeSchema,
    /// What is kept of what one side cannot hold.
    pub complement: TypeSchema,
    /// False for a lens that goes forward only (R14).
    pub both_ways: bool,
    /// What becomes of newer values that the older side has no form for (R12).
    pub unrepresentable: LensPolicy,
    /// What is lost where no complement is at hand (R10).
    #[serde(default)]
    pub losses: LensLosses,
    /// Of a lens between tuples of items of a guard, which (R3).
    pub items: Option<RegroupedManifest>,
    /// Whether its other form is filled before the first worker crosses.
    pub prepared: bool,
}

/// What a key type of shared maps does with samples that are the same in every library: digests of
/// results, each where a container asks for it (R15).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyManifest {
    /// Its schema.
    pub schema: TypeSchema,
    /// How many samples there are. With none, the digests say nothing.
    pub samples: u32,
    /// How they hash.
    pub hash: Option<String>,
    /// Which of them are equal.
    pub equality: Option<String>,
    /// How they are ordered.
    pub order: Option<String>,
    /// What the type's code said when a sample made it panic, if one did.
    #[serde(default)]
    pub panicked: Option<String>,
}

/// The items between which a lens over tuples of items leads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegroupedManifest {
    /// The guard, as the newer version names it.
    pub guard: String,
    /// Older items, in the order of the lens's left tuple.
    pub older: Vec<String>,
    /// Newer items, in the order of the lens's right tuple.
    pub newer: Vec<String>,
}

/// A function that shared memory may name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionManifest {
    /// Stable name.
    pub name: String,
    /// Its type, with the names of types without their paths.
    pub signature: String,
}

/// The worker function and its carry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CarryManifest {
    /// Name of the worker function.
    pub worker: String,
    /// Its carry.
    pub schema: TypeSchema,
    /// Where the library's own source finds it, as `crate::Connections`.
    pub path: String,
}

/// A lens between two carries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CarryLensManifest {
    /// Older side.
    pub left: TypeSchema,
    /// Newer side.
    pub right: TypeSchema,
    /// What is lost where no complement is at hand (R10).
    #[serde(default)]
    pub losses: LensLosses,
}

/// What a version says of its writable statics (R4). Addresses are those of the file's symbols.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StaticsManifest {
    /// The application's crates: those that use the runtime's macros, and those that
    /// `dsu::version!` names.
    pub crates: Vec<String>,
    /// Where the statics are that the runtime's macros made.
    pub made: Vec<u64>,
    /// Those marked `#[dsu::private]`.
    pub private: Vec<PrivateStatic>,
}

/// A static marked `#[dsu::private]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PrivateStatic {
    /// The module that it is in, or its function is in, and its name: `crate::module::NAME`.
    pub name: String,
    /// Where it is; `None` if each thread has one of its own.
    pub address: Option<u64>,
}
