//! Where cargo has put the sample's versions.

use std::path::PathBuf;

/// The library of a version of the sample, `libkv_v1.so` and so on.
///
/// Looked for in `deps` beside the executable's folder first: there cargo puts what a package depends on,
/// freshly built; then beside the executable, where only a build of the whole workspace leaves a copy.
///
/// # Errors
/// Where it was looked for, and how to build it.
pub fn kv(version: u32) -> Result<PathBuf, String> {
    library(&format!("kv_v{version}"))
}

/// As [`kv`], for any library, by its crate's name.
///
/// # Errors
/// Where it was looked for, and how to build it.
pub fn library(crate_name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("who am I? {error}"))?;
    let beside = own.parent().map(PathBuf::from).unwrap_or_default();
    let name = format!("lib{crate_name}.so");
    // A test is itself in `deps`; an example is in a folder beside it.
    let mut places = vec![beside.join("deps"), beside.clone()];
    if let Some(profile) = beside.parent() {
        places.push(profile.join("deps"));
    }
    let found = places
        .iter()
        .map(|place| place.join(&name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        format!(
            "{name} is neither in {} nor beside the executable: run cargo build --workspace",
            places[0].display()
        )
    })
}
