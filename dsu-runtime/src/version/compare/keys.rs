//! Key types that two versions use in different ways though their schemas are the same (R15).
//!
//! Compares what both manifests say of sample keys, wherever the older version has a container of such
//! keys. A type of which no sample can be made, or of which only one side has results, says nothing.

use super::super::incompatible::{Incompatible, KeyDifference};
use super::super::layout_text::spell;
use super::super::manifest::{KeyManifest, Manifest};
use super::fields;
use crate::abi::{TypeKind, TypeSchema};
use std::collections::BTreeSet;

/// One of the results that a manifest may have of a key type.
type Result = fn(&KeyManifest) -> Option<&String>;

/// The containers that have keys, and what each of them asks of a key type.
const ASKED: [(&str, &[(KeyDifference, Result)]); 2] = [
    (
        "SharedMap",
        &[
            (KeyDifference::Hash, |key| key.hash.as_ref()),
            (KeyDifference::Equality, |key| key.equality.as_ref()),
        ],
    ),
    (
        "SharedOrderedMap",
        &[(KeyDifference::Order, |key| key.order.as_ref())],
    ),
];

/// Of each key type that differs, the first container of each kind that has such keys.
pub(super) fn differing(older: &Manifest, newer: &Manifest) -> Vec<Incompatible> {
    let mut schemas: Vec<&TypeSchema> = Vec::new();
    for key in &older.keys {
        if !schemas.contains(&&key.schema) {
            schemas.push(&key.schema);
        }
    }
    let kinds = |schema| {
        ASKED
            .iter()
            .map(move |(kind, asked)| (schema, *kind, *asked))
    };
    let found = schemas.into_iter().flat_map(kinds);
    let found = found.filter_map(|(schema, kind, asked)| {
        let asked = asked
            .iter()
            .filter(|(_, of)| differs(older, newer, schema, *of));
        let differences: Vec<KeyDifference> = asked.map(|(difference, _)| *difference).collect();
        if differences.is_empty() {
            return None;
        }
        let (place, container) = container_of(older, kind, schema)?;
        Some(Incompatible::KeysDiffer {
            key: schema.name.clone(),
            container,
            place,
            differences,
            older: older.version,
            newer: newer.version,
        })
    });
    found.collect()
}

fn differs(older: &Manifest, newer: &Manifest, schema: &TypeSchema, of: Result) -> bool {
    // Two types of a library may have one schema: all of them have to be there on the other side.
    let results = |manifest: &Manifest| -> BTreeSet<(u32, String)> {
        let keys = manifest.keys.iter();
        let keys = keys.filter(|key| key.schema == *schema && key.samples > 0);
        keys.filter_map(|key| Some((key.samples, of(key)?.clone())))
            .collect()
    };
    let (before, after) = (results(older), results(newer));
    !before.is_empty() && !after.is_empty() && before != after
}

/// The first container of this name with keys of this schema that a guard of the manifest reaches: where it
/// is, and how it is spelled.
fn container_of(manifest: &Manifest, kind: &str, key: &TypeSchema) -> Option<(String, String)> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let items = manifest.guards.iter().flat_map(|guard| {
        let items = fields(&guard.items).iter();
        items.map(|item| (format!("{}.{}", guard.name, item.name), &item.ty))
    });
    for (place, item) in items {
        let mut todo = vec![item];
        while let Some(schema) = todo.pop() {
            match &schema.kind {
                TypeKind::Leaf => {}
                TypeKind::Struct(fields) => todo.extend(fields.iter().map(|field| &field.ty)),
                TypeKind::Enum { variants, .. } => {
                    todo.extend(
                        variants
                            .iter()
                            .flat_map(|v| &v.fields)
                            .map(|field| &field.ty),
                    );
                }
                TypeKind::Array { element, .. } => todo.push(element),
                TypeKind::Container(arguments) => {
                    if schema.name == kind && arguments.first() == Some(key) {
                        return Some((place, spell(schema, &|name| name.to_owned())));
                    }
                    todo.extend(arguments);
                }
                TypeKind::Versioned(content) => {
                    if seen.insert(content) {
                        let types = manifest.types.iter().map(|ty| &ty.schema);
                        todo.extend(types.filter(|schema| schema.name == *content));
                    }
                }
            }
        }
    }
    None
}
