//! From the registrations inside one library to its manifest. Runs in the library's own copy of the
//! runtime: `inventory` knows only what was linked with it.
#![allow(unsafe_code)] // none is written here; `inventory::iter` expands to some
#![allow(clippy::undocumented_unsafe_blocks)] // as above

use super::build_id;
use super::digest::{digest, of_bytes};
use super::manifest::*;
use crate::abi::*;
use crate::expansion::noting_names;
use crate::heap::{KeyResults, listen};
use crate::ids::VersionId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::fmt;

/// Why a library has no manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CollectError {
    /// `dsu::version!` is missing or stands there more than once.
    Versions(usize),
    /// `#[dsu::worker]` is missing or stands there more than once.
    Workers(usize),
    /// Two registrations have the same name.
    Duplicate {
        /// Guard, type, …
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A version number that cannot be one.
    BadVersion(String),
    /// A lens forbids values of a type that is made without asking.
    Unmarked(String),
    /// The loaded code does not say which build it is.
    NoBuildId,
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CollectError::Versions(n) => {
                write!(f, "dsu::version! stands {n} times in it: write it once")
            }
            CollectError::Workers(n) => write!(
                f,
                "#[dsu::worker] stands on {n} functions: mark exactly one"
            ),
            CollectError::Duplicate { what, name } => {
                write!(f, "two {what}s are named {name}: rename one")
            }
            CollectError::BadVersion(what) => write!(f, "{what}: number versions from 1 upwards"),
            CollectError::Unmarked(name) => write!(
                f,
                "a lens to {name} says `unrepresentable = forbid`: write #[shared(forbid)] on {name}, which must be boxed"
            ),
            CollectError::NoBuildId => {
                f.write_str("its code states no build id: link with --build-id")
            }
        }
    }
}

impl std::error::Error for CollectError {}

/// A path as the source of the crate of `module` writes it.
fn within_crate(path: &str, module: &str) -> String {
    let krate = format!("{}::", module.split("::").next().unwrap_or(module));
    let mut text = String::new();
    let mut rest = path;
    // The crate's name may also begin an argument: `kv::Pair<kv::Entry>`.
    while let Some(at) = rest.find(&krate) {
        let before = &rest[..at];
        let is_start = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        text.push_str(before);
        text.push_str(if is_start { "crate::" } else { &krate });
        rest = &rest[at + krate.len()..];
    }
    text + rest
}

/// Everything that is registered in this copy of the runtime, sorted by name.
///
/// # Errors
/// See [`CollectError`].
pub fn collect() -> Result<Manifest, CollectError> {
    let (manifest, keys) = listen(registered);
    let mut keys: Vec<_> = keys.into_iter().map(key_results).collect();
    keys.sort_by_cached_key(|key| (key.schema.name.clone(), digest(&key.schema)));
    Ok(Manifest { keys, ..manifest? })
}

fn key_results(results: KeyResults) -> KeyManifest {
    let is_said = |results: &Vec<u8>| !results.is_empty();
    let said = |results: Option<Vec<u8>>| results.filter(is_said).map(|all| of_bytes(&all));
    KeyManifest {
        schema: results.schema,
        samples: results.samples as u32,
        hash: said(results.hash),
        equality: said(results.equality),
        order: said(results.order),
        panicked: results.panicked,
    }
}

/// The manifest without what is heard while the schemas are made.
fn registered() -> Result<Manifest, CollectError> {
    let build_id = build_id::at_address(collect as *const c_void).ok_or(CollectError::NoBuildId)?;
    let version = only(inventory::iter::<VersionRegistration>()).map_err(CollectError::Versions)?;
    let worker = only(inventory::iter::<WorkerRegistration>()).map_err(CollectError::Workers)?;
    if version.version == 0 || version.from >= version.version {
        let (number, from) = (version.version, version.from);
        return Err(CollectError::BadVersion(format!(
            "version {number} says it is from {from}"
        )));
    }
    let own = VersionId(version.version);

    check_forbidding()?;
    let guards = inventory::iter::<GuardRegistration>().map(guard_manifest);
    let types = || {
        inventory::iter::<TypeRegistration>().map(|ty| TypeManifest {
            version: if ty.frozen_from == 0 {
                own
            } else {
                VersionId(ty.frozen_from)
            },
            schema: (ty.schema)(),
            path: within_crate(ty.path, worker.module),
        })
    };
    let lenses = inventory::iter::<TransformerRegistration>().map(|lens| LensManifest {
        left: (lens.left)(),
        right: (lens.right)(),
        complement: (lens.complement)(),
        both_ways: (lens.directions)() == LensDirections::Both,
        unrepresentable: (lens.policy)(),
        losses: {
            let (left, right) = ((lens.left)().name, (lens.right)().name);
            // A tuple of items goes by the guard's name.
            let of_items = lens.items.map(|items| items.guard);
            (lens.losses)(of_items.unwrap_or(&left), of_items.unwrap_or(&right))
        },
        items: lens.items.map(regrouped),
        prepared: lens.prepare.is_some(),
    });
    let carry_lenses = inventory::iter::<CarryLensRegistration>().map(|lens| CarryLensManifest {
        left: (lens.left)(),
        right: (lens.right)(),
        losses: (lens.losses)(&(lens.left)().name, &(lens.right)().name),
    });
    // One registration expands once a place, a removed name or an update point may stand twice.
    let mut removed: Vec<_> = inventory::iter::<RemovedRegistration>()
        .map(|r| r.name.to_owned())
        .collect();
    removed.sort();
    removed.dedup();
    let mut update_points: Vec<_> = inventory::iter::<UpdatePointRegistration>()
        .map(|p| p.name.to_owned())
        .collect();
    update_points.sort();
    update_points.dedup();

    let functions = inventory::iter::<FunctionRegistration>().map(|function| FunctionManifest {
        name: function.name.to_owned(),
        signature: (function.signature)().text,
    });

    let manifest = Manifest {
        app: version.app.to_owned(),
        version: own,
        from: (version.from != 0).then_some(VersionId(version.from)),
        build_id,
        rustc: env!("DSU_RUSTC").to_owned(),
        guards: sorted("guard", guards, |g| (g.name.clone(), ()))?,
        types: sorted("type", types().filter(|t| t.version == own), |t| {
            (t.schema.name.clone(), ())
        })?,
        frozen: sorted("frozen type", types().filter(|t| t.version != own), |t| {
            (t.schema.name.clone(), t.version)
        })?,
        lenses: sorted("transformer", lenses, |l| lens_key(&l.left, &l.right))?,
        keys: Vec::new(),
        functions: sorted("function", functions, |f| (f.name.clone(), ()))?,
        removed,
        update_points,
        carry: CarryManifest {
            worker: worker.name.to_owned(),
            schema: (worker.carry.schema)(),
            path: within_crate((worker.carry.path)(), worker.module),
        },
        carry_lenses: sorted("carry transformer", carry_lenses, |l| {
            lens_key(&l.left, &l.right)
        })?,
        statics: statics(version, worker),
        paths: Vec::new(),
    };
    Ok(Manifest {
        paths: paths(worker.module),
        ..manifest
    })
}

/// By which a manifest orders lenses.
pub(crate) fn lens_key(left: &TypeSchema, right: &TypeSchema) -> (String, String) {
    let sides = format!("{} => {}", left.name, right.name);
    (sides, format!("{}{}", digest(left), digest(right)))
}

/// Where the types are that this version's own schemas name: all of them are made once more.
fn paths(module: &str) -> Vec<TypePath> {
    let named = noting_names(|| {
        for guard in inventory::iter::<GuardRegistration>() {
            let _ = (guard.schema)();
        }
        for ty in inventory::iter::<TypeRegistration>().filter(|ty| ty.frozen_from == 0) {
            let _ = (ty.schema)();
        }
        for worker in inventory::iter::<WorkerRegistration>() {
            let _ = (worker.carry.schema)();
        }
    });
    let mut paths: Vec<TypePath> = named
        .into_iter()
        .map(|(path, schema)| TypePath {
            digest: digest(&schema),
            name: schema.name,
            path: within_crate(path, module),
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What the check of writable statics has to know (R4).
fn statics(version: &VersionRegistration, worker: &WorkerRegistration) -> StaticsManifest {
    let privates = || inventory::iter::<PrivateStaticRegistration>();
    let using = std::iter::once(worker.module)
        .chain(inventory::iter::<TypeRegistration>().map(|ty| ty.path))
        .chain(privates().map(|private| private.name))
        .chain(inventory::iter::<FunctionRegistration>().map(|function| function.module))
        .map(|path| path.split("::").next().unwrap_or(path));
    let crates: BTreeSet<_> = using.chain(version.crates.iter().copied()).collect();
    let cells = inventory::iter::<GuardRegistration>().map(|guard| guard.cells.as_ptr().cast());
    let tags = inventory::iter::<TypeRegistration>().map(|ty| std::ptr::from_ref(ty.tag).cast());
    let forbids = inventory::iter::<TypeRegistration>()
        .filter_map(|ty| ty.forbid)
        .map(|cell| std::ptr::from_ref(cell).cast());
    let mut made: Vec<u64> = cells
        .chain(tags)
        .chain(forbids)
        .filter_map(build_id::address_in_file)
        .collect();
    made.sort_unstable();
    let mut private: Vec<_> = privates()
        .map(|private| PrivateStatic {
            name: private.name.to_owned(),
            address: private
                .address
                .and_then(|address| build_id::address_in_file(address())),
        })
        .collect();
    private.sort_by(|a, b| a.name.cmp(&b.name));
    StaticsManifest {
        crates: crates.into_iter().map(str::to_owned).collect(),
        made,
        private,
    }
}

/// What a lens forbids, every box of the type has to be asked about (R12).
fn check_forbidding() -> Result<(), CollectError> {
    let forbidding = inventory::iter::<TransformerRegistration>()
        .filter(|lens| (lens.policy)() == LensPolicy::Forbid);
    for lens in forbidding {
        let name = (lens.right)().name;
        let mut types = inventory::iter::<TypeRegistration>();
        if !types.any(|ty| ty.name == name && ty.frozen_from == 0 && ty.forbid.is_some()) {
            return Err(CollectError::Unmarked(name));
        }
    }
    Ok(())
}

/// A guard of this library as data.
pub(crate) fn guard_manifest(guard: &GuardRegistration) -> GuardManifest {
    let moved = guard.moved.iter().map(|moved| MovedManifest {
        item: moved.item.to_owned(),
        guard: moved.guard.to_owned(),
        from: moved.from.to_owned(),
    });
    GuardManifest {
        name: guard.name.to_owned(),
        renamed_from: guard.renamed_from.to_owned(),
        family: guard.family,
        items: (guard.schema)(),
        moved: moved.collect(),
    }
}

fn regrouped(items: RegroupedItems) -> RegroupedManifest {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    RegroupedManifest {
        guard: items.guard.to_owned(),
        older: owned(items.older),
        newer: owned(items.newer),
    }
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Result<T, usize> {
    let first = found.next().ok_or(0usize)?;
    match found.count() {
        0 => Ok(first),
        more => Err(1 + more),
    }
}

/// Sorted by a name and what tells apart what may share it.
fn sorted<T, K: Ord>(
    what: &'static str,
    found: impl Iterator<Item = T>,
    key: impl Fn(&T) -> (String, K),
) -> Result<Vec<T>, CollectError> {
    let mut by_name = BTreeMap::new();
    for entry in found {
        let key = key(&entry);
        let name = key.0.clone();
        if by_name.insert(key, entry).is_some() {
            return Err(CollectError::Duplicate { what, name });
        }
    }
    Ok(by_name.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_a_second_one_is_an_error() {
        let key = |name: &&str| ((*name).to_owned(), ());
        assert_eq!(
            sorted("guard", ["b", "a"].into_iter(), key),
            Ok(vec!["a", "b"])
        );
        let error = sorted("guard", ["b", "a", "b"].into_iter(), key).unwrap_err();
        assert_eq!(
            error,
            CollectError::Duplicate {
                what: "guard",
                name: "b".into()
            }
        );
    }

    #[test] // R35
    fn a_path_is_written_as_in_the_crate_itself() {
        let path = |path| within_crate(path, "kv_v2::serving");
        assert_eq!(path("kv_v2::entry::Entry"), "crate::entry::Entry");
        assert_eq!(path("kv_v20::Entry"), "kv_v20::Entry");
        assert_eq!(path("(u32, kv_v2::Entry)"), "(u32, crate::Entry)");
        assert_eq!(
            path("other::Pair<kv_v2::a::Entry>"),
            "other::Pair<crate::a::Entry>"
        );
        assert_eq!(path("my_kv_v2::Entry"), "my_kv_v2::Entry");
    }

    #[test]
    fn exactly_one_registration_is_accepted() {
        assert_eq!(only([7].into_iter()), Ok(7));
        assert_eq!(only([1, 2, 3].into_iter()), Err(3));
        assert_eq!(only(std::iter::empty::<u8>()), Err(0));
    }
}
