//! Where the types are that a generated module names, and how it spells them.

use super::super::layout_text::spell;
use super::super::manifest::Manifest;
use crate::abi::{TypeKind, TypeSchema};
use std::collections::{BTreeMap, BTreeSet};

/// Which family of types a text is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Types in guards and boxes.
    Shared,
    /// Types in carries: what serde writes.
    Carried,
}

/// Which names mean what inside the module.
pub struct Scope<'a> {
    pub realm: Realm,
    /// The types that have a frozen copy.
    pub frozen: BTreeSet<&'a str>,
    /// The types that the newer version has.
    pub own: BTreeSet<&'a str>,
    /// The module in which the newer version's types are found.
    pub newer: &'static str,
}

impl Scope<'_> {
    /// A type of the newer version.
    pub fn newer(&self, name: &str) -> String {
        format!("{}::{name}", self.newer)
    }

    /// A type of the older version, where it lies inline.
    fn older(&self, name: &str) -> String {
        match self.frozen.contains(name) {
            true => name.to_owned(),
            false => self.newer(name),
        }
    }

    /// The content of a box carries its own tag, so a frozen type can hold the box as the new version
    /// does, and the field needs no lens; only what is gone has to be the frozen one.
    fn boxed(&self, name: &str) -> String {
        match self.own.contains(name) {
            true => self.newer(name),
            false => self.older(name),
        }
    }

    pub fn spell_older(&self, schema: &TypeSchema) -> String {
        if self.realm == Realm::Carried {
            return spell_carried(schema, &|name| self.older(name));
        }
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

    pub fn spell_newer(&self, schema: &TypeSchema) -> String {
        match self.realm {
            Realm::Shared => spell(schema, &|name| self.newer(name)),
            Realm::Carried => spell_carried(schema, &|name| self.newer(name)),
        }
    }
}

/// Types of carries that are spelled as they are.
const CARRIED_LEAVES: &[&str] = &[
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "bool", "char", "String", "Listener", "Stream",
];

/// How Rust spells a carried type, by the names under which `Carried` describes it.
fn spell_carried(schema: &TypeSchema, path: &dyn Fn(&str) -> String) -> String {
    let name = schema.name.as_str();
    match &schema.kind {
        TypeKind::Leaf if CARRIED_LEAVES.contains(&name) => name.to_owned(),
        TypeKind::Leaf if name == "Duration" => "std::time::Duration".to_owned(),
        TypeKind::Struct(fields) if name == "tuple" => {
            let types = fields
                .iter()
                .map(|field| format!("{},", spell_carried(&field.ty, path)));
            format!("({})", types.collect::<Vec<_>>().join(" "))
        }
        TypeKind::Container(arguments) => {
            let arguments = arguments.iter().map(|a| spell_carried(a, path));
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            match name {
                "Vec" | "Option" => format!("{name}<{arguments}>"),
                _ => format!("std::collections::{name}<{arguments}>"),
            }
        }
        TypeKind::Array { element, len } => format!("[{}; {len}]", spell_carried(element, path)),
        _ => path(name),
    }
}

/// The structs and enums of one version, by name.
pub struct Types<'a> {
    pub by_name: BTreeMap<&'a str, &'a TypeSchema>,
}

impl<'a> Types<'a> {
    /// What is in boxes and guards, and what lies inside that.
    pub fn shared(manifest: &'a Manifest) -> Types<'a> {
        let registered = manifest.types.iter().map(|ty| &ty.schema);
        let guarded = manifest
            .guards
            .iter()
            .flat_map(|guard| fields_of(&guard.items));
        Types::inside(registered.chain(guarded))
    }

    /// What a worker carries.
    pub fn carried(manifest: &'a Manifest) -> Types<'a> {
        Types::inside(std::iter::once(&manifest.carry.schema))
    }

    fn inside(roots: impl Iterator<Item = &'a TypeSchema>) -> Types<'a> {
        let mut found: BTreeMap<&str, Option<&TypeSchema>> = BTreeMap::new();
        let mut open: Vec<&TypeSchema> = roots.collect();
        while let Some(schema) = open.pop() {
            open.extend(fields_of(schema));
            let is_own = matches!(schema.kind, TypeKind::Struct(_) | TypeKind::Enum { .. });
            if !is_own || schema.name == "tuple" {
                continue;
            }
            // One name for several layouts is a generic type, which has no frozen copy.
            found
                .entry(schema.name.as_str())
                .and_modify(|known| *known = known.filter(|known| *known == schema))
                .or_insert(Some(schema));
        }
        let unique = |(name, schema): (_, Option<_>)| Some((name, schema?));
        Types {
            by_name: found.into_iter().filter_map(unique).collect(),
        }
    }

    /// Those that `newer` does not have as they are here.
    pub fn changed(&self, newer: &Types<'_>) -> BTreeMap<&'a str, &'a TypeSchema> {
        let differs = |name: &str, schema: &TypeSchema| newer.by_name.get(name) != Some(&schema);
        self.by_name
            .iter()
            .filter(|(name, schema)| differs(name, schema))
            .map(|(name, schema)| (*name, *schema))
            .collect()
    }
}

/// The types that lie directly in this one.
fn fields_of(schema: &TypeSchema) -> Vec<&TypeSchema> {
    match &schema.kind {
        TypeKind::Struct(fields) => fields.iter().map(|f| &f.ty).collect(),
        TypeKind::Enum { variants, .. } => variants
            .iter()
            .flat_map(|v| &v.fields)
            .map(|f| &f.ty)
            .collect(),
        TypeKind::Array { element, .. } => vec![element],
        TypeKind::Container(arguments) => arguments.iter().collect(),
        TypeKind::Leaf | TypeKind::Versioned(_) => Vec::new(),
    }
}

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
    let mut lines = String::new();
    for name in names {
        let (path, doubt) = match path_of(name, manifest) {
            Some(path) => (path, ""),
            None => (format!("crate::{name}"), " // or wherever it is"),
        };
        let alias = match path.rsplit("::").next() {
            Some(last) if last == name => String::new(),
            _ => format!(" as {name}"),
        };
        lines.push_str(&format!("    pub(crate) use {path}{alias};{doubt}\n"));
    }
    format!(
        "\n/// The types as {} has them.\nmod {module} {{\n{lines}}}\n",
        manifest.version
    )
}

fn path_of(name: &str, manifest: &Manifest) -> Option<String> {
    let shared = manifest.types.iter().map(|ty| (&ty.schema, &ty.path));
    let carried = std::iter::once((&manifest.carry.schema, &manifest.carry.path));
    shared
        .chain(carried)
        .find(|(schema, _)| schema.name == name)
        .map(|(_, path)| path.clone())
}
