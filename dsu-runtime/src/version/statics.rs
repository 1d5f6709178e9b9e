//! Writable statics of a library, by its symbols (R4).
//!
//! Each version has statics of its own, so what a worker wrote into them is gone when it crosses. Owns
//! which symbols are writable statics, whose they are, and which of them nobody has marked. Reads bytes
//! that nobody trusts, and what the loaded code says of itself; refuses nothing.

use super::elf::{Sections, text_at};
use super::manifest::StaticsManifest;
use super::refusal::Refusal;
use goblin::elf::section_header;
use goblin::elf::sym::{STT_OBJECT, STT_TLS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Most writable statics that are looked at.
const MAX_STATICS: usize = 1 << 16;
/// Longest name that is shown, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Most names in a list.
const MAX_LISTED: usize = 1000;
/// Names in the text of a refusal.
const MAX_SHOWN: usize = 20;

/// Sections that stay writable once a library is loaded. Constants with addresses in them lie in
/// `.data.rel.ro`, which the loader closes.
const WRITABLE: [&str; 2] = [".data", ".bss"];
/// The first contents of what each thread has for itself.
const THREAD_LOCAL: [&str; 2] = [".tdata", ".tbss"];

/// Statics that macros make in the crate that uses them, and fill anew wherever the code is loaded:
/// nodes of `inventory`, call sites of `tracing`.
const NODE: &str = "__INVENTORY";
const CALL_SITE: &str = "__CALLSITE";

/// A writable static.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WritableStatic {
    /// As Rust writes it, `crate::module::NAME`.
    name: String,
    /// Where it is, and its bytes; `None` if each thread has one of its own.
    place: Option<(u64, u64)>,
}

/// All writable statics of a library file, but those that macros of `inventory` and `tracing` make.
///
/// # Errors
/// Why the file does not tell, as the end of a sentence that begins with "it".
pub fn find(bytes: &[u8]) -> Result<Vec<WritableStatic>, String> {
    // The reads below are bounded; this is for what a parser might not bound.
    catch_unwind(AssertUnwindSafe(|| read(bytes)))
        .unwrap_or_else(|_| Err("confuses the parser".to_owned()))
}

fn read(bytes: &[u8]) -> Result<Vec<WritableStatic>, String> {
    let stripped = || "is stripped of its symbols".to_owned();
    let header = goblin::elf::Elf::parse_header(bytes).map_err(|error| error.to_string())?;
    let sections = Sections::read(bytes, &header).ok_or_else(stripped)?;
    let (symbols, names) = sections
        .symbols(bytes, section_header::SHT_SYMTAB)
        .ok_or_else(stripped)?;
    let writable = sections.numbers_of(&WRITABLE);
    let thread_local = sections.numbers_of(&THREAD_LOCAL);
    let mut found = Vec::new();
    let mut has_nodes = false;
    for symbol in symbols.iter().filter(|symbol| symbol.st_size > 0) {
        let is_in = |sections: &[usize]| sections.contains(&symbol.st_shndx);
        let place = match symbol.st_type() {
            STT_OBJECT if is_in(&writable) => Some((symbol.st_value, symbol.st_size)),
            STT_TLS if is_in(&thread_local) => None,
            _ => continue,
        };
        let Some(name) = text_at(names, symbol.st_name as u64).and_then(readable) else {
            continue;
        };
        let last = last_segment(&name);
        has_nodes |= last == NODE;
        let is_registry = last == "REGISTRY" && name.contains(" as inventory::Collect>");
        if last == NODE || last == CALL_SITE || is_registry {
            continue;
        }
        found.push(WritableStatic { name, place });
        if found.len() > MAX_STATICS {
            return Err(format!("has more than {MAX_STATICS} of them"));
        }
    }
    // Every version registers something: without those symbols others will be missing as well.
    match has_nodes {
        true => Ok(found),
        false => Err(stripped()),
    }
}

/// A symbol's name as Rust writes it, without what the compiler adds; `None` if it is not of Rust, or
/// longer than anybody would read.
fn readable(symbol: &str) -> Option<String> {
    let mut name = Bounded(String::new());
    // Without the hash.
    write!(name, "{:#}", rustc_demangle::try_demangle(symbol).ok()?).ok()?;
    let mut name = name.0;
    // `thread_local!` hides the value inside the static that its user named.
    for inside in ["::{{constant}}::", "::{K#"] {
        if let Some(end) = name.find(inside) {
            name.truncate(end);
        }
    }
    // A static that the optimiser took apart or copied has a suffix.
    let last = name.len() - last_segment(&name).len();
    if let Some(suffix) = name[last..].find('.') {
        name.truncate(last + suffix);
    }
    Some(name)
}

/// A text that does not grow beyond its limit, whatever a forged name expands to.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_NAME_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// The crates that a name may be of: that of its path or, in `<T as Trait>::f::NAME`, those of every
/// path in the brackets, one of which has the `impl`.
fn crates(name: &str) -> BTreeSet<&str> {
    let mut depth = 0_usize;
    let end = name
        .char_indices()
        .find(|(at, c)| {
            match c {
                '<' => depth += 1,
                // Not that of `->`.
                '>' if !name[..*at].ends_with('-') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && name[*at..].starts_with("::")
        })
        .map_or(name.len(), |(at, _)| at);
    let head = &name[..end];
    if !head.starts_with('<') {
        return BTreeSet::from([head]);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    head.split(|c| !is_part(c))
        .filter(|path| !path.starts_with("::"))
        .filter_map(|path| path.split_once("::").map(|(first, _)| first))
        .collect()
}

impl WritableStatic {
    fn contains(&self, address: u64) -> bool {
        self.place
            .is_some_and(|(start, bytes)| address.wrapping_sub(start) < bytes)
    }

    fn is_private(&self, stated: &StaticsManifest) -> bool {
        stated.private.iter().any(|private| match private.address {
            Some(address) => self.contains(address),
            // It has no address that a file could state. In a function its path is longer than stated.
            None => {
                let (module, name) = private.name.rsplit_once("::").unwrap_or_default();
                let is_inside = self.name.contains(&format!("{module}::"));
                self.place.is_none() && last_segment(&self.name) == name && is_inside
            }
        })
    }
}

/// What there is to say about a library's writable statics: they begin anew when a worker crosses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statics {
    /// The file does not tell: why, as the end of a sentence that begins with "it".
    Unchecked(String),
    /// What is there, by name.
    Found {
        /// Of the application's crates, marked `#[dsu::private]`.
        private: Vec<String>,
        /// Of the application's crates, not marked.
        unmarked: Vec<String>,
        /// Of other crates, by crate: for information.
        elsewhere: BTreeMap<String, Vec<String>>,
    },
}

impl Statics {
    /// Compares what a file has with what the code loaded from it says.
    pub fn of(found: Result<Vec<WritableStatic>, String>, stated: &StaticsManifest) -> Statics {
        let found = match found {
            Ok(found) => found,
            Err(why) => return Statics::Unchecked(why),
        };
        let (mut private, mut unmarked) = (BTreeSet::new(), BTreeSet::new());
        let mut elsewhere: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut listed_elsewhere = 0;
        for one in found {
            let crates = crates(&one.name);
            let is_own = stated
                .crates
                .iter()
                .any(|own| crates.contains(own.as_str()));
            let is_made = stated.made.iter().any(|address| one.contains(*address));
            if is_own && !is_made {
                let list = match one.is_private(stated) {
                    true => &mut private,
                    false => &mut unmarked,
                };
                if list.len() < MAX_LISTED {
                    list.insert(one.name);
                }
            } else if !is_own && listed_elsewhere < MAX_LISTED {
                listed_elsewhere += 1;
                let std = ["core", "alloc", "std"];
                let other = crates.iter().find(|name| !std.contains(name));
                let owner = other.or(crates.first()).map_or("", |name| *name).to_owned();
                elsewhere.entry(owner).or_default().insert(one.name);
            }
        }
        let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>();
        Statics::Found {
            private: list(private),
            unmarked: list(unmarked),
            elsewhere: elsewhere
                .into_iter()
                .map(|(owner, names)| (owner, list(names)))
                .collect(),
        }
    }

    /// # Errors
    /// [`Refusal::UnmarkedStatics`].
    pub fn judge(&self) -> Result<(), Refusal> {
        match self {
            Statics::Found { unmarked, .. } if !unmarked.is_empty() => {
                Err(Refusal::UnmarkedStatics {
                    names: unmarked.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Names in a text, cut short.
pub(super) fn shown(names: &[String]) -> String {
    let first = names[..names.len().min(MAX_SHOWN)].join(", ");
    match names.len().saturating_sub(MAX_SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

impl fmt::Display for Statics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (private, elsewhere) = match self {
            Statics::Unchecked(why) => return write!(f, "not checked: it {why}"),
            Statics::Found {
                private, elsewhere, ..
            } => (private, elsewhere),
        };
        match private.is_empty() {
            true => f.write_str("no private ones")?,
            false => write!(f, "private {}", shown(private))?,
        }
        for (i, (owner, names)) in elsewhere.iter().enumerate() {
            let before = if i == 0 { "; of other crates " } else { ", " };
            write!(f, "{before}{owner} {}", names.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
