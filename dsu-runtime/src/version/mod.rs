//! What a version is: its manifest, how it is checked before anything trusts it, and how it is loaded.
//!
//! Knows libraries as files and manifests as data; never runs application code in the supervisor.

mod binding;
mod build_id;
mod collect;
mod compare;
mod copy;
mod digest;
mod elf;
mod incompatible;
mod inspect;
mod layout_text;
mod load;
mod manifest;
mod moves;
pub mod probe;
mod refusal;
mod registry;
mod report;
#[cfg(test)]
pub(crate) mod samples;
mod similar;
mod statics;
mod xfgen;

pub use binding::{Binding, GuardBinding, LensBinding, RepresentationBinding};
pub use build_id::at_address as build_id_at;
pub use collect::{CollectError, collect};
pub(crate) use collect::{guard_manifest, lens_key};
pub use compare::{Advice, Comparison, Direction, Part, Passage, compare};
pub(crate) use compare::{fields, is_tuple_of, regroupings};
pub use copy::{Copied, copy};
pub use digest::digest;
pub use incompatible::{Incompatibilities, Incompatible, Side};
pub use inspect::{ENTRY_SYMBOL, Inspected, SIZE_LIMIT, inspect, read_library};
pub use layout_text::beside;
pub use load::{Library, LibraryEntry, LoadError};
pub use manifest::{
    CarryLensManifest, CarryManifest, GuardManifest, LensManifest, Manifest, MovedManifest,
    PrivateStatic, RegroupedManifest, StaticsManifest, TypeManifest, TypePath,
};
pub(crate) use moves::{Move, empty_forms, moves, successor};
pub use refusal::Refusal;
pub use registry::{Registry, tuple_name};
pub use report::{Kind, Layouts, Report, Row, Way, report};
pub use statics::{Statics, WritableStatic, find as writable_statics};
pub use xfgen::{Difference, Differences, differences, xfgen};
