//! Writes the module that a new version starts from: the older version's types, frozen, and a lens for
//! each that says what is obvious and asks about the rest (after Kitsune's xfgen: Hayden, Smith, Denchev,
//! Hicks and Foster, OOPSLA 2012).
//!
//! What changed is described in its newer form, with `#[derive(xform::Lens)]`; a question is a
//! `compile_error!` in the place where the answer goes. The text is as rustfmt leaves it, and depends on
//! the manifests alone.

mod fields;
mod frozen;
mod guards;
mod held;
mod imports;
mod lenses;
mod names;
mod text;

use super::layout_text::side_by_side;
use super::manifest::Manifest;
use crate::abi::{TypeKind, TypeSchema};
use crate::ids::VersionId;
use fields::{Making, making};
use frozen::{Leads, Mark, frozen_type};
use imports::imports;
use names::{Realm, Scope, Types};
use std::fmt::Write;
use text::{question_item, type_ident};

pub use held::{Difference, Differences, differences};

/// The module through which generated text reaches the types of the newer version.
const NEWER: &str = "newer";

/// A Rust module for the newer version's crate: put it beside the crate root and name it there. Types
/// that did not change, and contents of boxes, are the crate's own; each type that changed is frozen.
/// The same manifests give the same text.
pub fn xfgen(old: &Manifest, new: &Manifest) -> String {
    let mut body = shared(old, new);
    let carried = carried(old, new);
    let mut text = format!(
        "//! The types of {} as {} knew them, and the ways between the two.\n\
         //!\n\
         //! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.\n",
        old.version, old.version
    );
    let mut uses = String::new();
    if body.contains("Shared") || body.contains("dsu::") || !carried.is_empty() {
        uses.push_str("use dsu_runtime::prelude::*;\n");
    }
    if carried.contains("Serialize") {
        uses.push_str("use serde::{Deserialize, Serialize};\n");
    }
    body.push_str(&carried);
    if body.contains("compile_error!") {
        text.push_str(
            "//! Each `compile_error!` is a question: what it offers is written in its place.\n",
        );
    }
    if !uses.is_empty() {
        text.push('\n');
    }
    text + &uses + &imports(NEWER, &body, new) + &body
}

fn scope<'a>(realm: Realm, old: &'a Manifest, new: &'a Manifest) -> Scope<'a> {
    let (before, after, places) = match realm {
        Realm::Shared => (
            Types::shared(old),
            Types::shared(new),
            guards::places(old, new),
        ),
        Realm::Carried => (
            Types::carried(old),
            Types::carried(new),
            vec![(&old.carry.schema, &new.carry.schema)],
        ),
    };
    let versions = (old.version.to_string(), new.version.to_string());
    Scope::new(realm, before, after, places, NEWER, versions)
}

/// Types in guards and boxes, and the guards.
fn shared(old: &Manifest, new: &Manifest) -> String {
    let scope = scope(Realm::Shared, old, new);
    let guards = guards::guards(old, new, &scope);
    let mut text = String::new();
    for key in scope.frozen.keys() {
        let schema = scope.before.by_key[key];
        let is_boxed = old.types.iter().any(|ty| ty.schema.name == schema.name);
        // A type without a tag of its own is not registered.
        let mark = match is_boxed {
            true => Mark::Boxed,
            false => Mark::Inline,
        };
        // What a lens takes together with other items needs none of its own.
        let needs_none = guards.taken.contains(key) && !is_elsewhere(key, &scope);
        text.push_str(&frozen_with_lens(key, old, new, mark, needs_none, &scope));
    }
    text + &guards.text
}

/// Whether an older type lies in another one, or in a box.
fn is_elsewhere(key: &str, scope: &Scope) -> bool {
    let mut open: Vec<&TypeSchema> = scope.before.by_key.values().copied().collect();
    while let Some(schema) = open.pop() {
        for part in names::inside(schema) {
            match &part.kind {
                TypeKind::Versioned(content) if content == key => return true,
                TypeKind::Struct(_) | TypeKind::Enum { .. } if scope.before.key(part) == key => {
                    return true;
                }
                TypeKind::Container(_) | TypeKind::Array { .. } => open.push(part),
                _ => {}
            }
        }
    }
    false
}

/// What a worker carries.
fn carried(old: &Manifest, new: &Manifest) -> String {
    let scope = scope(Realm::Carried, old, new);
    let mut text = String::new();
    for key in scope.frozen.keys() {
        text.push_str(&frozen_with_lens(
            key,
            old,
            new,
            Mark::Carried,
            false,
            &scope,
        ));
    }
    let (left, right) = (&old.carry.schema, &new.carry.schema);
    let is_asked = scope.frozen.contains_key(&scope.before.key(left));
    if left != right && !is_asked {
        text.push('\n');
        text.push_str(&other_carry(old, new));
    }
    text
}

/// A frozen type and what leads from it.
fn frozen_with_lens(
    key: &str,
    old: &Manifest,
    new: &Manifest,
    mark: Mark,
    needs_none: bool,
    scope: &Scope,
) -> String {
    let left = scope.before.by_key[key];
    let older = type_ident(key);
    let next = scope.frozen[key]
        .as_ref()
        .map(|next| scope.after.by_key[next]);
    let next = next.filter(|_| !needs_none);
    let leads = match next.map(|right| making(left, right)) {
        Some(Making::Derived) => Leads::Somewhere,
        _ => Leads::Nowhere,
    };
    let mut text = String::from("\n");
    text.push_str(&frozen_type(key, left, old.version, mark, leads, scope));
    match next {
        Some(right) => {
            text.push('\n');
            text.push_str(&lenses::lens(&older, left, right, scope));
            // What lies inside a carry, or inside another type, crosses with it.
            let stands_alone = match mark {
                Mark::Boxed => true,
                Mark::Inline => is_item(left, old),
                Mark::Carried => *left == old.carry.schema,
            };
            if stands_alone {
                text.push_str(&lenses::registration(
                    &lenses::name(right, scope),
                    scope.realm,
                ));
            }
        }
        None if needs_none => {}
        None => {
            let sentence = gone(key, new, scope);
            let _ = write!(text, "\n{}", question_item(&sentence));
        }
    }
    text
}

fn is_item(schema: &TypeSchema, manifest: &Manifest) -> bool {
    let mut items = manifest
        .guards
        .iter()
        .flat_map(|guard| super::compare::fields(&guard.items));
    items.any(|item| item.ty == *schema)
}

/// The question about a type that nothing has the place of.
fn gone(key: &str, new: &Manifest, scope: &Scope) -> String {
    let is_new = |name: &String| !scope.before.by_key.contains_key(name);
    let fresh = scope.after.by_key.keys().filter(|name| is_new(name));
    let fresh: Vec<&str> = fresh.map(String::as_str).collect();
    let renamed = match &fresh[..] {
        [] => String::new(),
        some => format!(
            ". If it is {} now, write the lens between the two",
            some.join(" or ")
        ),
    };
    format!(
        "{key} of {} is not in {}. If nothing of it lives on, remove its frozen copy and this line{renamed}",
        scope.versions.0, new.version
    )
}

/// A carry that is another type, or one that has no name.
fn other_carry(old: &Manifest, new: &Manifest) -> String {
    let (left, right) = (&old.carry.schema, &new.carry.schema);
    let mut text = String::from("// The carry changes:\n");
    let titles = (old.version.to_string(), new.version.to_string());
    for line in side_by_side((&titles.0, left), (&titles.1, right)).lines() {
        let _ = writeln!(text, "//{}", line.trim_end());
    }
    text + &question_item(&format!(
        "say how the carry {} of {} becomes {} of {}: write a lens, and dsu::carry_lens!(LENS); in place of this line",
        left.name, old.version, right.name, new.version
    ))
}

/// The frozen copy of one type, to be pasted.
pub fn frozen_stub(schema: &TypeSchema, version: VersionId) -> String {
    let scope = pasted(schema, schema, version);
    let leads = Leads::Somewhere;
    frozen_type(&schema.name, schema, version, Mark::Boxed, leads, &scope)
}

/// The lens between one pair of types, to be pasted.
pub fn lens_stub(left: (&TypeSchema, VersionId), right: &TypeSchema) -> String {
    let scope = pasted(left.0, right, left.1);
    let lens = lenses::lens(&type_ident(&left.0.name), left.0, right, &scope);
    lens + &lenses::registration(&lenses::name(right, &scope), Realm::Shared)
}

fn pasted<'a>(left: &'a TypeSchema, right: &'a TypeSchema, version: VersionId) -> Scope<'a> {
    let (before, after) = (Types::of(&[left]), Types::of(&[right]));
    let versions = (version.to_string(), "the new version".to_owned());
    let mut scope = Scope::new(
        Realm::Shared,
        before,
        after,
        vec![(left, right)],
        "crate",
        versions,
    );
    scope
        .frozen
        .insert(left.name.clone(), Some(right.name.clone()));
    scope
}

#[cfg(test)]
mod tests;
