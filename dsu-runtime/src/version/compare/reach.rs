//! What values of a type can lead to, by the types that a manifest states.
//!
//! Pure, and ends on types that contain themselves: each name is gone into once.

use crate::abi::{TypeKind, TypeSchema};
use crate::version::layout_text::spell;
use crate::version::manifest::Manifest;
use std::collections::BTreeSet;

/// Names of the types of all boxes that the guards reach.
pub(super) fn boxed_types(manifest: &Manifest) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    for guard in &manifest.guards {
        let go_on = |_: &TypeSchema| Step::Into;
        walk(&guard.items, manifest, &mut reached, &go_on);
    }
    reached
}

/// The first type of shared nodes that a value of this type can have handles to, spelled as in source.
/// What is behind a `Guarded` has a guard of its own.
pub(super) fn shared_nodes(ty: &TypeSchema, manifest: &Manifest) -> Option<String> {
    let look = |schema: &TypeSchema| match (&schema.kind, schema.name.as_str()) {
        (TypeKind::Container(_), "SharedRc" | "SharedWeak") => Step::End,
        (TypeKind::Container(_), "Guarded") => Step::Over,
        _ => Step::Into,
    };
    let found = walk(ty, manifest, &mut BTreeSet::new(), &look)?;
    Some(spell(found, &|name| name.to_owned()))
}

/// What a walk does at a type.
enum Step {
    Into,
    Over,
    /// It ends, with this type.
    End,
}

/// Goes through a type and all that it is made of or boxes; `reached` are names of boxed types.
fn walk<'a>(
    ty: &'a TypeSchema,
    manifest: &'a Manifest,
    reached: &mut BTreeSet<String>,
    look: &dyn Fn(&TypeSchema) -> Step,
) -> Option<&'a TypeSchema> {
    let mut todo = vec![ty];
    while let Some(schema) = todo.pop() {
        match look(schema) {
            Step::Into => {}
            Step::Over => continue,
            Step::End => return Some(schema),
        }
        match &schema.kind {
            TypeKind::Leaf => {}
            TypeKind::Struct(fields) => todo.extend(fields.iter().map(|f| &f.ty)),
            TypeKind::Enum { variants, .. } => {
                todo.extend(variants.iter().flat_map(|v| &v.fields).map(|f| &f.ty));
            }
            TypeKind::Array { element, .. } => todo.push(element),
            TypeKind::Container(arguments) => todo.extend(arguments),
            TypeKind::Versioned(content) => {
                if reached.insert(content.clone()) {
                    let types = manifest.types.iter().map(|ty| &ty.schema);
                    todo.extend(types.filter(|schema| schema.name == *content));
                }
            }
        }
    }
    None
}
