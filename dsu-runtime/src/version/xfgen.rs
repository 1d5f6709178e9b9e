//! Writes the module that a new version starts from: the older version's types, frozen, and a lens for
//! each that says what is obvious and asks about the rest (after Kitsune's xfgen: Hayden, Smith, Denchev,
//! Hicks and Foster, OOPSLA 2012).

use super::layout_text::{side_by_side, spell};
use super::manifest::Manifest;
use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
use crate::ids::VersionId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A Rust module for the newer version's crate: put it beside the crate root and name it there. Types
/// that did not change, and contents of boxes, are the crate's own; each type that changed is frozen.
/// The same manifests give the same text.
pub fn xfgen(old: &Manifest, new: &Manifest) -> String {
    let before: BTreeMap<&str, &TypeSchema> = old
        .types
        .iter()
        .map(|ty| (ty.schema.name.as_str(), &ty.schema))
        .collect();
    let after: BTreeMap<&str, &TypeSchema> = new
        .types
        .iter()
        .map(|ty| (ty.schema.name.as_str(), &ty.schema))
        .collect();
    let frozen: BTreeMap<&str, &TypeSchema> = before
        .iter()
        .filter(|(name, schema)| after.get(*name).is_none_or(|now| now != *schema))
        .map(|(name, schema)| (*name, *schema))
        .collect();
    let inline = inline_elements(old);
    let scope = Scope {
        frozen: frozen.keys().copied().collect(),
        own: after.keys().copied().collect(),
    };

    let mut text = format!(
        "//! The types of {} as {} knew them, and the ways between the two.\n\
         //!\n\
         //! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.\n\n",
        old.version, old.version
    );
    text.push_str("use dsu_runtime::prelude::*;\n");
    for (name, schema) in &frozen {
        let attribute = if inline.contains(*name) {
            ", inline"
        } else {
            ""
        };
        text.push('\n');
        text.push_str(&frozen_type(schema, old.version, attribute, &scope));
    }
    for (name, left) in &frozen {
        text.push('\n');
        match after.get(name) {
            Some(right) => text.push_str(&lens(left, right, &scope)),
            None => text.push_str(&gone(left, new.version)),
        }
    }
    if old.carry.schema != new.carry.schema {
        text.push('\n');
        text.push_str(&carry(old, new));
    }
    text
}

/// The frozen copy of one type, to be pasted.
pub fn frozen_stub(schema: &TypeSchema, version: VersionId) -> String {
    let scope = Scope {
        frozen: BTreeSet::from([schema.name.as_str()]),
        own: BTreeSet::new(),
    };
    frozen_type(schema, version, "", &scope)
}

/// The lens between one pair of types, to be pasted.
pub fn lens_stub(left: &TypeSchema, right: &TypeSchema) -> String {
    let frozen = BTreeSet::from([left.name.as_str()]);
    let own = BTreeSet::from([right.name.as_str()]);
    lens(left, right, &Scope { frozen, own })
}

/// Which names mean what inside the module.
struct Scope<'a> {
    frozen: BTreeSet<&'a str>,
    own: BTreeSet<&'a str>,
}

impl Scope<'_> {
    /// A type of the older version, where it lies inline.
    fn older(&self, name: &str) -> String {
        match self.frozen.contains(name) {
            true => name.to_owned(),
            false => format!("crate::{name}"),
        }
    }

    /// The content of a box carries its own tag, so a frozen type can hold the box as the new version
    /// does, and the field needs no lens; only what is gone has to be the frozen one.
    fn boxed(&self, name: &str) -> String {
        match self.own.contains(name) {
            true => format!("crate::{name}"),
            false => self.older(name),
        }
    }

    fn spell_older(&self, schema: &TypeSchema) -> String {
        match &schema.kind {
            TypeKind::Versioned(content) => format!("Versioned<{}>", self.boxed(content)),
            TypeKind::Container(arguments) => {
                let mut own = schema.clone();
                let named = |argument: &TypeSchema| TypeSchema {
                    name: match &argument.kind {
                        TypeKind::Versioned(content) => self.boxed(content),
                        _ => self.spell_older(argument),
                    },
                    kind: TypeKind::Leaf,
                    ..argument.clone()
                };
                own.kind = TypeKind::Container(arguments.iter().map(named).collect());
                spell(&own, &str::to_owned)
            }
            TypeKind::Array { element, len } => format!("[{}; {len}]", self.spell_older(element)),
            _ => spell(schema, &|name| self.older(name)),
        }
    }

    fn spell_newer(&self, schema: &TypeSchema) -> String {
        spell(schema, &|name| format!("crate::{name}"))
    }
}

/// Names of the types that lie in a container as they are, not boxed. A container's first argument,
/// where there are two, is a key, and keys always lie so.
fn inline_elements(manifest: &Manifest) -> BTreeSet<String> {
    fn walk(schema: &TypeSchema, found: &mut BTreeSet<String>) {
        match &schema.kind {
            TypeKind::Struct(fields) => fields.iter().for_each(|f| walk(&f.ty, found)),
            TypeKind::Enum { variants, .. } => {
                variants
                    .iter()
                    .flat_map(|v| &v.fields)
                    .for_each(|f| walk(&f.ty, found));
            }
            TypeKind::Array { element, .. } => walk(element, found),
            TypeKind::Container(arguments) => {
                if let Some(last) = arguments.last()
                    && matches!(last.kind, TypeKind::Struct(_) | TypeKind::Enum { .. })
                    && schema.name.starts_with("Shared")
                {
                    found.insert(last.name.clone());
                }
                arguments.iter().for_each(|argument| walk(argument, found));
            }
            TypeKind::Leaf | TypeKind::Versioned(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    manifest
        .types
        .iter()
        .for_each(|ty| walk(&ty.schema, &mut found));
    manifest
        .guards
        .iter()
        .for_each(|guard| walk(&guard.items, &mut found));
    found
}

fn is_tuple(fields: &[FieldSchema]) -> bool {
    !fields.is_empty()
        && fields
            .iter()
            .enumerate()
            .all(|(i, f)| f.name == i.to_string())
}

fn frozen_type(schema: &TypeSchema, version: VersionId, attribute: &str, scope: &Scope) -> String {
    let name = &schema.name;
    let meaning = match schema.meaning {
        0 => String::new(),
        n => format!(", meaning = {n}"),
    };
    let mut text = format!(
        "/// `{name}` of {version}.\n#[derive(Shared)]\n#[shared(frozen = {}{meaning}{attribute})]\n",
        version.0
    );
    match &schema.kind {
        TypeKind::Struct(fields) if fields.is_empty() => {
            let _ = writeln!(text, "pub struct {name} {{}}");
        }
        TypeKind::Struct(fields) if is_tuple(fields) => {
            let types: Vec<_> = fields
                .iter()
                .map(|f| format!("pub {}", scope.spell_older(&f.ty)))
                .collect();
            let _ = writeln!(text, "pub struct {name}({});", types.join(", "));
        }
        TypeKind::Struct(fields) => {
            let _ = writeln!(text, "pub struct {name} {{");
            for field in fields {
                let _ = writeln!(
                    text,
                    "    pub {}: {},",
                    field.name,
                    scope.spell_older(&field.ty)
                );
            }
            text.push_str("}\n");
        }
        TypeKind::Enum { repr, variants } => {
            let _ = writeln!(text, "#[repr({repr})]\npub enum {name} {{");
            for variant in variants {
                let _ = writeln!(text, "    {},", variant_text(variant, scope));
            }
            text.push_str("}\n");
        }
        _ => {
            let _ = writeln!(text, "pub type {name} = {};", scope.spell_older(schema));
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
    format!("{}{payload} = {}", variant.name, variant.discriminant)
}

fn lens_name(name: &str) -> String {
    format!("{name}Lens")
}

fn lens(left: &TypeSchema, right: &TypeSchema, scope: &Scope) -> String {
    let name = lens_name(&left.name);
    let body = match (&left.kind, &right.kind) {
        (TypeKind::Struct(before), TypeKind::Struct(after))
            if !is_tuple(before) && !is_tuple(after) =>
        {
            let meaning = left.meaning != right.meaning;
            record_lens(
                &name,
                &left.name,
                &right.name,
                (before, after),
                meaning,
                scope,
            )
        }
        _ => manual_lens(&name, left, right),
    };
    format!("{body}\ndsu::transformer!({name});\n")
}

fn hole(question: &str) -> String {
    format!("compile_error!({question:?})")
}

fn record_lens(
    name: &str,
    left: &str,
    right: &str,
    (before, after): (&[FieldSchema], &[FieldSchema]),
    meaning_changed: bool,
    scope: &Scope,
) -> String {
    let mut rules = Vec::new();
    for field in before {
        let f = &field.name;
        let Some(next) = after.iter().find(|next| next.name == *f) else {
            let ty = scope.spell_older(&field.ty);
            rules.push(match default_of(&field.ty) {
                Some(value) => format!("drop {f}: {ty} = {value};"),
                None => {
                    let ask = format!("say how {left}.{f} is made of a value that never had it");
                    format!("drop {f}: {ty} = {};", hole(&ask))
                }
            });
            continue;
        };
        rules.push(if next.ty == field.ty && !meaning_changed {
            format!("same {f};")
        } else if next.ty == field.ty {
            format!("same {f}; // the meaning of {left} changes: is this still true of {f}?")
        } else if next.ty.name == field.ty.name && scope.frozen.contains(field.ty.name.as_str()) {
            format!("same {f} via {};", lens_name(&field.ty.name))
        } else {
            let (from, to) = (scope.spell_older(&field.ty), scope.spell_newer(&next.ty));
            let ask = format!("say how {f} goes from {from} to {to} and back");
            format!("same {f} via xform::Identity<{from}> = {};", hole(&ask))
        });
    }
    for field in after
        .iter()
        .filter(|next| !before.iter().any(|f| f.name == next.name))
    {
        let (f, ty) = (&field.name, scope.spell_newer(&field.ty));
        rules.push(match default_of(&field.ty) {
            Some(value) => format!("add {f}: {ty} = {value};"),
            None => {
                let ask = format!("say what {right}.{f} is in a value that never had it");
                format!("add {f}: {ty} = {};", hole(&ask))
            }
        });
    }
    if meaning_changed {
        let ask = format!(
            "the meaning of {right} changes: say how its fields are converted, then remove this line"
        );
        rules.insert(0, format!("// {ask}"));
    }
    let mut text = format!("xform::record! {{\n    /// `{left}` to what it has become.\n");
    let _ = writeln!(text, "    pub struct {name}: {left} => crate::{right} {{");
    for rule in rules {
        let _ = writeln!(text, "        {rule}");
    }
    text.push_str("    }\n}\n");
    if meaning_changed {
        let ask =
            format!("{name}: the meaning of {right} changed, say how its fields are converted");
        let _ = writeln!(text, "{};", hole(&ask));
    }
    text
}

/// A value that is plainly nothing, of a type that has one.
fn default_of(schema: &TypeSchema) -> Option<&'static str> {
    const NUMBERS: &[&str] = &[
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool",
    ];
    let base = schema.name.split('<').next().unwrap_or_default();
    let is_empty_able = NUMBERS.contains(&base)
        || base == "Option"
        || matches!(
            base,
            "SharedString" | "SharedBytes" | "SharedVec" | "SharedMap" | "SharedDeque"
        );
    let is_own = matches!(
        schema.kind,
        TypeKind::Struct(_) | TypeKind::Enum { .. } | TypeKind::Versioned(_)
    );
    (is_empty_able && !is_own).then_some("Default::default()")
}

/// Enums, tuple structs, and a struct that becomes an enum: nobody but the author knows.
fn manual_lens(name: &str, left: &TypeSchema, right: &TypeSchema) -> String {
    let (l, r) = (&left.name, &right.name);
    let forward = arms(l, &format!("crate::{r}"), left, right);
    let backward = arms(&format!("crate::{r}"), l, right, left);
    format!(
        "/// `{l}` to what it has become.\n\
         #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]\n\
         pub struct {name};\n\n\
         impl xform::Lens for {name} {{\n\
         \x20   type Left = {l};\n\
         \x20   type Right = crate::{r};\n\
         \x20   type Complement = ();\n\n\
         \x20   fn forward(&self, left: Self::Left, _: Option<()>) -> Result<(Self::Right, ()), xform::LensError> {{\n\
         \x20       Ok((match left {{\n{forward}        }}, ()))\n\
         \x20   }}\n\n\
         \x20   fn backward(&self, right: Self::Right, _: Option<()>) -> Result<(Self::Left, ()), xform::LensError> {{\n\
         \x20       Ok((match right {{\n{backward}        }}, ()))\n\
         \x20   }}\n\
         }}\n"
    )
}

fn arms(from_path: &str, to_path: &str, from: &TypeSchema, to: &TypeSchema) -> String {
    let (
        TypeKind::Enum {
            variants: before, ..
        },
        TypeKind::Enum {
            variants: after, ..
        },
    ) = (&from.kind, &to.kind)
    else {
        let ask = format!("say how {from_path} becomes {to_path}");
        return format!("            _ => {},\n", hole(&ask));
    };
    let mut text = String::new();
    for variant in before {
        let same_payload = after
            .iter()
            .any(|next| next.name == variant.name && same_types(&next.fields, &variant.fields));
        let (pattern, value) = payload(variant);
        let value = match same_payload {
            true => format!("{to_path}::{}{value}", variant.name),
            false => hole(&format!(
                "say what {from_path}::{} becomes in {to_path}",
                variant.name
            )),
        };
        let _ = writeln!(
            text,
            "            {from_path}::{}{pattern} => {value},",
            variant.name
        );
    }
    text
}

/// Payloads that can be moved as they are; where they lie in the enum does not matter for that.
fn same_types(a: &[FieldSchema], b: &[FieldSchema]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.name == b.name && a.ty == b.ty)
}

/// How a variant's payload is taken apart and put together again.
fn payload(variant: &VariantSchema) -> (String, String) {
    let names: Vec<_> = variant.fields.iter().map(|f| f.name.clone()).collect();
    let text = if names.is_empty() {
        String::new()
    } else if is_tuple(&variant.fields) {
        let names: Vec<_> = names.iter().map(|n| format!("f{n}")).collect();
        format!("({})", names.join(", "))
    } else {
        format!(" {{ {} }}", names.join(", "))
    };
    (text.clone(), text)
}

fn gone(left: &TypeSchema, version: VersionId) -> String {
    let name = &left.name;
    let ask =
        format!("{name} is not in {version}: say what becomes of it, or remove its frozen copy");
    format!("{};\n", hole(&ask))
}

fn carry(old: &Manifest, new: &Manifest) -> String {
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
