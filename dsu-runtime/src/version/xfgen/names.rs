//! Which types each version has, where they are, and how a generated module spells them.

use super::super::digest::digest;
use super::super::manifest::{Manifest, TypePath};
use super::text::{parts, type_ident};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use std::collections::BTreeMap;

/// Which family of types a text is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Types in guards and boxes.
    Shared,
    /// Types in carries: what serde writes.
    Carried,
}

pub fn is_tuple(fields: &[FieldSchema]) -> bool {
    !fields.is_empty()
        && fields
            .iter()
            .enumerate()
            .all(|(i, f)| f.name == i.to_string())
}

/// Whether a struct is a tuple of the language, which has no name.
fn is_nameless(schema: &TypeSchema) -> bool {
    matches!(schema.kind, TypeKind::Struct(_))
        && (schema.name.starts_with('(') || schema.name == "tuple")
}

/// Whether a leaf is a type of the application, or of a crate that it uses, that states no fields.
fn is_opaque(name: &str) -> bool {
    const KNOWN: &[&str] = &["String", "Duration", "Listener", "Stream", "Descriptor"];
    name.starts_with(char::is_uppercase)
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with("Shared")
        && !KNOWN.contains(&name)
}

/// The structs and enums of one version that have a name, by that name: with its arguments, where the
/// type is generic.
pub struct Types<'a> {
    pub by_key: BTreeMap<String, &'a TypeSchema>,
    paths: &'a [TypePath],
}

impl<'a> Types<'a> {
    /// What is in boxes and guards, and what lies inside that.
    pub fn shared(manifest: &'a Manifest) -> Types<'a> {
        let registered = manifest.types.iter().map(|ty| &ty.schema);
        let guarded = manifest
            .guards
            .iter()
            .flat_map(|guard| inside(&guard.items));
        Types::within(registered.chain(guarded), &manifest.paths)
    }

    /// What a worker carries.
    pub fn carried(manifest: &'a Manifest) -> Types<'a> {
        Types::within(std::iter::once(&manifest.carry.schema), &manifest.paths)
    }

    /// These alone.
    pub fn of(schemas: &[&'a TypeSchema]) -> Types<'a> {
        let by_key = schemas.iter().map(|schema| (schema.name.clone(), *schema));
        Types {
            by_key: by_key.collect(),
            paths: &[],
        }
    }

    fn within(roots: impl Iterator<Item = &'a TypeSchema>, paths: &'a [TypePath]) -> Types<'a> {
        let mut types = Types {
            by_key: BTreeMap::new(),
            paths,
        };
        let mut found: BTreeMap<String, Option<&TypeSchema>> = BTreeMap::new();
        let mut open: Vec<&TypeSchema> = roots.collect();
        while let Some(schema) = open.pop() {
            open.extend(inside(schema));
            let is_own = matches!(schema.kind, TypeKind::Struct(_) | TypeKind::Enum { .. });
            if !is_own || is_nameless(schema) {
                continue;
            }
            // One name for several layouts cannot be told apart, and has no frozen copy.
            found
                .entry(types.key(schema))
                .and_modify(|known| *known = known.filter(|known| *known == schema))
                .or_insert(Some(schema));
        }
        let unique = |(key, schema): (_, Option<_>)| Some((key, schema?));
        types.by_key = found.into_iter().filter_map(unique).collect();
        types
    }

    /// The compiler's name of an instance of a generic type.
    fn instance(&self, schema: &TypeSchema) -> Option<&'a str> {
        let mut named = self.paths.iter().filter(|path| path.name == schema.name);
        if !named.clone().any(|path| path.path.contains('<')) {
            return None;
        }
        let digest = digest(schema);
        let found = named.find(|path| path.digest == digest && path.path.contains('<'))?;
        Some(&found.path)
    }

    /// The name of a type, with its arguments.
    pub fn key(&self, schema: &TypeSchema) -> String {
        let arguments = self.instance(schema).and_then(arguments);
        match arguments {
            None => schema.name.clone(),
            Some(arguments) => {
                let shown = arguments.iter().map(|argument| short(argument, ""));
                format!("{}<{}>", schema.name, shown.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// A type of this version as a module spells it that finds the types in `module`.
    fn path(&self, schema: &TypeSchema, module: &str) -> String {
        let arguments = self.instance(schema).and_then(arguments);
        let name = &schema.name;
        match arguments {
            None => format!("{module}::{name}"),
            Some(arguments) => {
                let all = arguments.iter().map(|argument| short(argument, module));
                format!("{module}::{name}<{}>", all.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn arguments(path: &str) -> Option<Vec<&str>> {
    let inside = path.split_once('<')?.1.strip_suffix('>')?;
    Some(parts(inside))
}

/// A type by the compiler's name of it, as a module spells it that finds the application's in `module`.
fn short(path: &str, module: &str) -> String {
    let mut text = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let last = name.rsplit("::").next().unwrap_or(name);
        let krate = name.split("::").next().unwrap_or_default();
        let is_std = ["std", "core", "alloc"].contains(&krate);
        match last {
            _ if !name.contains("::") || krate == "dsu_runtime" || module.is_empty() => {
                text.push_str(last);
            }
            "Duration" if is_std => text.push_str("std::time::Duration"),
            "Vec" | "String" | "Option" if is_std => text.push_str(last),
            _ if is_std => text.push_str(&format!("std::collections::{last}")),
            _ => text.push_str(&format!("{module}::{last}")),
        }
        let signs = after.find(is_name).unwrap_or(after.len());
        text.push_str(&after[..signs]);
        rest = &after[signs..];
    }
    text
}

/// The types that lie directly in this one.
pub fn inside(schema: &TypeSchema) -> Vec<&TypeSchema> {
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

/// The places inside two types that correspond to each other.
fn counterparts<'a>(
    left: &'a TypeSchema,
    right: &'a TypeSchema,
) -> Vec<(&'a TypeSchema, &'a TypeSchema)> {
    match (&left.kind, &right.kind) {
        (TypeKind::Struct(a), TypeKind::Struct(b)) => a
            .iter()
            .filter_map(|f| Some((&f.ty, &b.iter().find(|g| g.name == f.name)?.ty)))
            .collect(),
        (TypeKind::Container(a), TypeKind::Container(b)) if a.len() == b.len() => {
            a.iter().zip(b).collect()
        }
        (TypeKind::Array { element: a, .. }, TypeKind::Array { element: b, .. }) => vec![(a, b)],
        _ => Vec::new(),
    }
}

/// Which names mean what inside the module.
pub struct Scope<'a> {
    pub realm: Realm,
    pub before: Types<'a>,
    pub after: Types<'a>,
    /// Of each older type that changed, what it has become; `None` if nothing has its place.
    pub frozen: BTreeMap<String, Option<String>>,
    /// The module in which the newer version's types are found.
    pub newer: &'static str,
    /// The two versions, as sentences name them.
    pub versions: (String, String),
}

impl<'a> Scope<'a> {
    /// What is different between two sets of types, and which took the place of which: `places` are
    /// pairs of places that correspond, beside those inside of types of one name.
    pub fn new(
        realm: Realm,
        before: Types<'a>,
        after: Types<'a>,
        places: Vec<(&'a TypeSchema, &'a TypeSchema)>,
        newer: &'static str,
        versions: (String, String),
    ) -> Scope<'a> {
        let mut scope = Scope {
            realm,
            before,
            after,
            frozen: BTreeMap::new(),
            newer,
            versions,
        };
        let successors = scope.successors(places);
        for (key, schema) in &scope.before.by_key {
            let same = scope.after.by_key.get(key);
            if same == Some(schema) {
                continue;
            }
            let next = same.map(|_| key.clone());
            let next = next.or_else(|| successors.get(key).cloned());
            scope.frozen.insert(key.clone(), next);
        }
        scope
    }

    /// Of types that only the older version has, the one that only the newer version has and that
    /// stands wherever the older one stood.
    fn successors(
        &self,
        places: Vec<(&'a TypeSchema, &'a TypeSchema)>,
    ) -> BTreeMap<String, String> {
        let same_name = self.before.by_key.iter();
        let same_name =
            same_name.filter_map(|(key, left)| Some((*left, *self.after.by_key.get(key)?)));
        let mut open: Vec<_> = same_name
            .flat_map(|(left, right)| counterparts(left, right))
            .collect();
        open.extend(places);
        let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
        while let Some((left, right)) = open.pop() {
            let (older, newer) = match (&left.kind, &right.kind) {
                (TypeKind::Versioned(left), TypeKind::Versioned(right)) => {
                    (left.clone(), right.clone())
                }
                (
                    TypeKind::Struct(_) | TypeKind::Enum { .. },
                    TypeKind::Struct(_) | TypeKind::Enum { .. },
                ) => (self.before.key(left), self.after.key(right)),
                _ => {
                    open.extend(counterparts(left, right));
                    continue;
                }
            };
            let (before, after) = (&self.before.by_key, &self.after.by_key);
            let is_gone = before.contains_key(&older) && !after.contains_key(&older);
            let is_new = after.contains_key(&newer) && !before.contains_key(&newer);
            if is_gone && is_new {
                let known = found.entry(older).or_insert_with(|| Some(newer.clone()));
                *known = known.take().filter(|known| *known == newer);
            }
        }
        // Two that became one are for the author to tell apart.
        let mut taken: BTreeMap<String, u32> = BTreeMap::new();
        for newer in found.values().flatten() {
            *taken.entry(newer.clone()).or_default() += 1;
        }
        let unique = found
            .into_iter()
            .filter_map(|(older, newer)| Some((older, newer?)));
        unique.filter(|(_, newer)| taken[newer] == 1).collect()
    }

    /// How the older type `key` is called in the module, if it is frozen there.
    pub fn frozen_ident(&self, key: &str) -> Option<String> {
        self.frozen.contains_key(key).then(|| type_ident(key))
    }

    /// The newer type of this name.
    pub fn newer(&self, schema: &TypeSchema) -> String {
        self.after.path(schema, self.newer)
    }

    fn older(&self, schema: &TypeSchema) -> String {
        let key = self.before.key(schema);
        // What did not change is spelled as the newer version has it.
        self.frozen_ident(&key)
            .unwrap_or_else(|| self.before.path(schema, self.newer))
    }

    /// The content of a box carries its own tag, so a frozen type can hold the box as the new version
    /// does, and the field needs no lens; only what is gone has to be the frozen one.
    fn boxed(&self, name: &str) -> String {
        match self.frozen_ident(name) {
            Some(frozen) if !self.after.by_key.contains_key(name) => frozen,
            _ => format!("{}::{name}", self.newer),
        }
    }

    pub fn spell_older(&self, schema: &TypeSchema) -> String {
        let own = |schema: &TypeSchema| self.older(schema);
        self.spell(schema, &own, &|name| self.boxed(name), &self.before)
    }

    pub fn spell_newer(&self, schema: &TypeSchema) -> String {
        let boxed = |name: &str| format!("{}::{name}", self.newer);
        self.spell(schema, &|schema| self.newer(schema), &boxed, &self.after)
    }

    /// As people say it, without modules.
    pub fn say(&self, schema: &TypeSchema) -> String {
        let own = |schema: &TypeSchema| schema.name.clone();
        self.spell(schema, &own, &str::to_owned, &self.after)
    }

    fn spell(
        &self,
        schema: &TypeSchema,
        own: &dyn Fn(&TypeSchema) -> String,
        boxed: &dyn Fn(&str) -> String,
        types: &Types,
    ) -> String {
        let again = |schema: &TypeSchema| self.spell(schema, own, boxed, types);
        let name = schema.name.as_str();
        match &schema.kind {
            // A type that holds itself appears in its own schema as a leaf.
            TypeKind::Leaf if types.by_key.contains_key(name) => own(types.by_key[name]),
            TypeKind::Leaf if name == "Duration" => "std::time::Duration".to_owned(),
            TypeKind::Leaf if is_opaque(name) => boxed(name),
            TypeKind::Leaf => name.to_owned(),
            TypeKind::Struct(fields) if is_nameless(schema) => {
                let types: Vec<_> = fields.iter().map(|field| again(&field.ty)).collect();
                match &types[..] {
                    [one] => format!("({one},)"),
                    _ => format!("({})", types.join(", ")),
                }
            }
            TypeKind::Struct(_) | TypeKind::Enum { .. } => own(schema),
            TypeKind::Array { element, len } => format!("[{}; {len}]", again(element)),
            TypeKind::Versioned(content) => format!("Versioned<{}>", boxed(content)),
            TypeKind::Container(arguments) => {
                // A container boxes its elements by itself (R5).
                let arguments = arguments.iter().map(|argument| match &argument.kind {
                    TypeKind::Versioned(content) => boxed(content),
                    _ => again(argument),
                });
                let arguments = arguments.collect::<Vec<_>>().join(", ");
                let base = name.split('<').next().unwrap_or_default();
                let std = matches!(
                    base,
                    "VecDeque" | "BTreeSet" | "BTreeMap" | "HashMap" | "HashSet"
                );
                match base {
                    _ if base.is_empty() || base.starts_with('(') => format!("({arguments})"),
                    _ if arguments.is_empty() => base.to_owned(),
                    _ if std => format!("std::collections::{base}<{arguments}>"),
                    _ => format!("{base}<{arguments}>"),
                }
            }
        }
    }
}
