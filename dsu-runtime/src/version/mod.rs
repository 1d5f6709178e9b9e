//! What a version is: its manifest, how it is checked before anything trusts it, and how it is loaded.
//!
//! Knows libraries as files and manifests as data; never runs application code in the supervisor.

mod binding;
mod manifest;

pub use binding::{Binding, GuardBinding, RepresentationBinding};
pub use manifest::{
    CarryLensManifest, CarryManifest, GuardManifest, LensManifest, Manifest, TypeManifest,
};
