//! The module through which generated text reaches the newer version's types: where each of them is.

use super::super::manifest::Manifest;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The module `module`, through which `text` reaches the types of `manifest`'s crate.
pub fn imports(module: &str, text: &str, manifest: &Manifest) -> String {
    let prefix = format!("{module}::");
    let names: BTreeSet<&str> = text
        .match_indices(&prefix)
        .map(|(at, _)| &text[at + prefix.len()..])
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter_map(|mut words| words.next())
        .collect();
    if names.is_empty() {
        return String::new();
    }
    let mut lines: Vec<(String, String)> = names
        .into_iter()
        .map(|name| {
            let (path, doubt) = match path_of(name, manifest) {
                // What another crate keeps in a module of its own may be named elsewhere only.
                Some(path) if !path.starts_with("crate::") && path.matches("::").count() > 1 => {
                    (path, " // or where its crate shows it")
                }
                Some(path) => (path, ""),
                None => (format!("crate::{name}"), " // or wherever it is"),
            };
            let alias = match path.rsplit("::").next() {
                Some(last) if last == name => String::new(),
                _ => format!(" as {name}"),
            };
            let line = format!("    pub(crate) use {path}{alias};{doubt}\n");
            (path, line)
        })
        .collect();
    lines.sort_by(|a, b| import_order(&a.0, &b.0));
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    format!(
        "\n/// The types as {} has them. Their fields have to be visible here: `pub(crate)`.\nmod {module} {{\n{lines}}}\n",
        manifest.version
    )
}

/// As rustfmt sorts imports: this crate's first, types before modules.
fn import_order(a: &str, b: &str) -> Ordering {
    let is_foreign = |path: &str| !path.starts_with("crate::");
    is_foreign(a)
        .cmp(&is_foreign(b))
        .then_with(|| a.split("::").cmp(b.split("::")))
}

fn path_of(name: &str, manifest: &Manifest) -> Option<String> {
    let shared = manifest.types.iter().map(|ty| (&ty.schema.name, &ty.path));
    let carried = std::iter::once((&manifest.carry.schema.name, &manifest.carry.path));
    let others = manifest.paths.iter().map(|path| (&path.name, &path.path));
    let (_, path) = shared
        .chain(carried)
        .chain(others)
        .find(|(known, _)| *known == name)?;
    Some(path.split('<').next().unwrap_or(path).to_owned())
}
