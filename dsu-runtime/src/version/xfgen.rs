//! Writes the module that a new version starts from: the older version's types, frozen, and a lens for
//! each that says what is obvious and asks about the rest (after Kitsune's xfgen: Hayden, Smith, Denchev,
//! Hicks and Foster, OOPSLA 2012).

mod lenses;
mod names;

use super::layout_text::side_by_side;
use super::manifest::Manifest;
use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
use crate::ids::VersionId;
use lenses::{hole, lens, registration};
use names::{Realm, Scope, Types, imports};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The module through which generated text reaches the types of the newer version.
const NEWER: &str = "newer";

/// A Rust module for the newer version's crate: put it beside the crate root and name it there. Types
/// that did not change, and contents of boxes, are the crate's own; each type that changed is frozen.
/// The same manifests give the same text.
pub fn xfgen(old: &Manifest, new: &Manifest) -> String {
    let shared = realm(old, new, Realm::Shared);
    let carried = realm(old, new, Realm::Carried);
    let mut text = format!(
        "//! The types of {} as {} knew them, and the ways between the two.\n\
         //!\n\
         //! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.\n\n",
        old.version, old.version
    );
    text.push_str("use dsu_runtime::prelude::*;\n");
    if carried.contains("Serialize") {
        text.push_str("use serde::{Deserialize, Serialize};\n");
    }
    let body = shared + &carried;
    text.push_str(&imports(NEWER, &body, new));
    text + &body
}

/// The frozen types and the lenses of one realm.
fn realm(old: &Manifest, new: &Manifest, realm: Realm) -> String {
    let (before, after) = match realm {
        Realm::Shared => (Types::shared(old), Types::shared(new)),
        Realm::Carried => (Types::carried(old), Types::carried(new)),
    };
    let frozen = before.changed(&after);
    let scope = Scope {
        realm,
        frozen: frozen.keys().copied().collect(),
        own: after.by_name.keys().copied().collect(),
        newer: NEWER,
    };
    let mut text = String::new();
    for (name, schema) in &frozen {
        // A type without a tag of its own is not registered.
        let mark = match realm {
            Realm::Carried => Mark::Carried,
            Realm::Shared if old.types.iter().any(|ty| ty.schema.name == *name) => Mark::Boxed,
            Realm::Shared => Mark::Inline,
        };
        text.push('\n');
        text.push_str(&frozen_type(schema, old.version, mark, &scope));
    }
    for (name, left) in &frozen {
        text.push('\n');
        match after.by_name.get(name) {
            Some(right) => {
                text.push_str(&lens(left, right, &scope));
                // What lies inside a carry crosses with it.
                if realm == Realm::Shared || *name == old.carry.schema.name {
                    text.push_str(&registration(name, realm));
                }
            }
            None => text.push_str(&gone(left, new.version)),
        }
    }
    let carries = (&old.carry.schema, &new.carry.schema);
    let is_asked = frozen.contains_key(carries.0.name.as_str()) && carries.0.name == carries.1.name;
    if realm == Realm::Carried && carries.0 != carries.1 && !is_asked {
        text.push('\n');
        text.push_str(&other_carry(old, new));
    }
    text
}

/// The frozen copy of one type, to be pasted.
pub fn frozen_stub(schema: &TypeSchema, version: VersionId) -> String {
    let scope = pasted(schema, None);
    frozen_type(schema, version, Mark::Boxed, &scope)
}

/// The lens between one pair of types, to be pasted.
pub fn lens_stub(left: &TypeSchema, right: &TypeSchema) -> String {
    lens(left, right, &pasted(left, Some(right))) + &registration(&left.name, Realm::Shared)
}

fn pasted<'a>(left: &'a TypeSchema, right: Option<&'a TypeSchema>) -> Scope<'a> {
    Scope {
        realm: Realm::Shared,
        frozen: BTreeSet::from([left.name.as_str()]),
        own: right.iter().map(|right| right.name.as_str()).collect(),
        newer: "crate",
    }
}

fn is_tuple(fields: &[FieldSchema]) -> bool {
    !fields.is_empty()
        && fields
            .iter()
            .enumerate()
            .all(|(i, f)| f.name == i.to_string())
}

/// How a frozen type is marked.
#[derive(Clone, Copy)]
enum Mark {
    /// Has a tag of its own.
    Boxed,
    /// Lies where it is used.
    Inline,
    /// Crosses in a carry.
    Carried,
}

fn frozen_type(schema: &TypeSchema, version: VersionId, mark: Mark, scope: &Scope) -> String {
    let name = &schema.name;
    let mut options = match mark {
        Mark::Boxed => vec![format!("frozen = {}", version.0)],
        Mark::Inline => vec![format!("frozen = {}", version.0), "inline".to_owned()],
        Mark::Carried => Vec::new(),
    };
    if schema.meaning != 0 {
        options.push(format!("meaning = {}", schema.meaning));
    }
    let options = options.join(", ");
    let attributes = match mark {
        Mark::Carried if options.is_empty() => {
            "#[derive(Serialize, Deserialize, Carry)]\n".to_owned()
        }
        Mark::Carried => {
            format!("#[derive(Serialize, Deserialize, Carry)]\n#[carry({options})]\n")
        }
        _ => format!("#[derive(Shared)]\n#[shared({options})]\n"),
    };
    let mut text = format!("/// `{name}` of {version}.\n{attributes}");
    match &schema.kind {
        TypeKind::Struct(fields) if fields.is_empty() => {
            let _ = writeln!(text, "pub(crate) struct {name} {{}}");
        }
        TypeKind::Struct(fields) if is_tuple(fields) => {
            let types: Vec<_> = fields
                .iter()
                .map(|f| format!("pub(crate) {}", scope.spell_older(&f.ty)))
                .collect();
            let _ = writeln!(text, "pub(crate) struct {name}({});", types.join(", "));
        }
        TypeKind::Struct(fields) => {
            let _ = writeln!(text, "pub(crate) struct {name} {{");
            for field in fields {
                let _ = writeln!(
                    text,
                    "    pub(crate) {}: {},",
                    field.name,
                    scope.spell_older(&field.ty)
                );
            }
            text.push_str("}\n");
        }
        TypeKind::Enum { repr, variants } => {
            if scope.realm == Realm::Shared {
                let _ = writeln!(text, "#[repr({repr})]");
            }
            let _ = writeln!(text, "pub(crate) enum {name} {{");
            for variant in variants {
                let _ = writeln!(text, "    {},", variant_text(variant, scope));
            }
            text.push_str("}\n");
        }
        _ => {
            let _ = writeln!(
                text,
                "pub(crate) type {name} = {};",
                scope.spell_older(schema)
            );
        }
    }
    text
}

fn variant_text(variant: &VariantSchema, scope: &Scope) -> String {
    let fields = &variant.fields;
    let payload = if fields.is_empty() {
        String::new()
    } else if is_tuple(fields) {
        let types: Vec<_> = fields.iter().map(|f| scope.spell_older(&f.ty)).collect();
        format!("({})", types.join(", "))
    } else {
        let types: Vec<_> = fields
            .iter()
            .map(|f| format!("{}: {}", f.name, scope.spell_older(&f.ty)))
            .collect();
        format!(" {{ {} }}", types.join(", "))
    };
    match scope.realm {
        Realm::Shared => format!("{}{payload} = {}", variant.name, variant.discriminant),
        Realm::Carried => format!("{}{payload}", variant.name),
    }
}

fn gone(left: &TypeSchema, version: VersionId) -> String {
    let name = &left.name;
    let ask =
        format!("{name} is not in {version}: say what becomes of it, or remove its frozen copy");
    format!("{};\n", hole(&ask))
}

/// A carry that is another type, or one that has no name.
fn other_carry(old: &Manifest, new: &Manifest) -> String {
    let (left, right) = (&old.carry.schema, &new.carry.schema);
    let mut text = String::from("// The carry changes:\n");
    let titles = (old.version.to_string(), new.version.to_string());
    for line in side_by_side((&titles.0, left), (&titles.1, right)).lines() {
        let _ = writeln!(text, "//{}", line.trim_end());
    }
    let ask = format!(
        "say how the carry {} of {} becomes {} of {}",
        left.name, old.version, right.name, new.version
    );
    let _ = writeln!(text, "{};", hole(&ask));
    text
}

#[cfg(test)]
mod tests;
