//! The frozen copy of a type: as the older version laid it out, under the older name.

use super::names::{Realm, Scope, is_tuple};
use super::text::{Payload, Variant, field, ident, tuple, type_ident, variants};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use crate::ids::VersionId;

/// How a frozen type is marked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Has a tag of its own.
    Boxed,
    /// Lies where it is used.
    Inline,
    /// Crosses in a carry.
    Carried,
}

/// Whether a derived lens starts from the type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    Somewhere,
    Nowhere,
}

/// The copy of the type that goes by `key`.
pub fn frozen_type(
    key: &str,
    schema: &TypeSchema,
    version: VersionId,
    mark: Mark,
    leads: Leads,
    scope: &Scope,
) -> String {
    let name = type_ident(key);
    let mut text = format!("/// `{key}` of {version}.\n");
    text.push_str(&attributes(&name, schema, version, mark, leads));
    let spelled = |f: &FieldSchema| scope.spell_older(&f.ty);
    match &schema.kind {
        TypeKind::Struct(fields) if fields.is_empty() => {
            text.push_str(&format!("pub(crate) struct {name} {{}}\n"));
        }
        TypeKind::Struct(fields) if is_tuple(fields) => {
            let types: Vec<_> = fields
                .iter()
                .map(|f| format!("pub(crate) {}", spelled(f)))
                .collect();
            text.push_str(&tuple(0, &format!("pub(crate) struct {name}"), &types, ";"));
        }
        TypeKind::Struct(fields) => {
            text.push_str(&format!("pub(crate) struct {name} {{\n"));
            for f in fields {
                let label = format!("pub(crate) {}", ident(&f.name));
                text.push_str(&field(4, &label, &spelled(f)));
            }
            text.push_str("}\n");
        }
        TypeKind::Enum { variants: all, .. } => {
            let all: Vec<Variant> = all
                .iter()
                .map(|variant| Variant {
                    attributes: String::new(),
                    name: ident(&variant.name),
                    payload: payload(&variant.fields, &spelled),
                    discriminant: match scope.realm {
                        Realm::Shared => format!(" = {}", variant.discriminant),
                        Realm::Carried => String::new(),
                    },
                })
                .collect();
            text.push_str(&format!("pub(crate) enum {name} {{\n"));
            text.push_str(&variants(&all));
            text.push_str("}\n");
        }
        _ => text.push_str(&format!(
            "pub(crate) type {name} = {};\n",
            scope.spell_older(schema)
        )),
    }
    text
}

/// The fields of a variant, without attributes.
pub fn payload(fields: &[FieldSchema], spelled: &dyn Fn(&FieldSchema) -> String) -> Payload {
    if fields.is_empty() {
        Payload::None
    } else if is_tuple(fields) {
        Payload::Tuple(fields.iter().map(spelled).collect())
    } else {
        let each = fields
            .iter()
            .map(|f| (String::new(), ident(&f.name), spelled(f)));
        Payload::Struct(each.collect())
    }
}

fn attributes(
    name: &str,
    schema: &TypeSchema,
    version: VersionId,
    mark: Mark,
    leads: Leads,
) -> String {
    let lens = match leads {
        Leads::Somewhere => ", xform::Lens",
        Leads::Nowhere => "",
    };
    let (derives, word) = match mark {
        Mark::Carried => ("Serialize, Deserialize, Carry", "carry"),
        _ => ("Shared", "shared"),
    };
    let mut options = Vec::new();
    if name != schema.name {
        options.push(format!("name = {:?}", schema.name));
    }
    if mark != Mark::Carried {
        options.push(format!("frozen = {}", version.0));
    }
    if mark == Mark::Inline {
        options.push("inline".to_owned());
    }
    if schema.meaning != 0 {
        options.push(format!("meaning = {}", schema.meaning));
    }
    let mut text = format!("#[derive({derives}{lens})]\n");
    if !options.is_empty() {
        text.push_str(&format!("#[{word}({})]\n", options.join(", ")));
    }
    if mark != Mark::Carried {
        match &schema.kind {
            TypeKind::Struct(fields) if is_in_order(schema, fields) => {
                text.push_str("#[repr(C)]\n")
            }
            TypeKind::Enum { repr, variants } => {
                let offset = variants.iter().flat_map(|v| &v.fields).map(|f| f.offset);
                // `repr(C, …)` keeps the payload behind all of the discriminant's alignment.
                let is_outside = variants.iter().any(|v| is_outside(repr, schema, &v.fields));
                text.push_str(&match (is_outside, offset.count()) {
                    (true, 1..) => format!("#[repr(C, {repr})]\n"),
                    _ => format!("#[repr({repr})]\n"),
                });
            }
            _ => {}
        }
    }
    text
}

/// Whether a struct is laid out in the order of its declaration though that leaves a gap: then its
/// author wrote `repr(C)`, and the copy needs it too.
fn is_in_order(schema: &TypeSchema, fields: &[FieldSchema]) -> bool {
    let (mut end, mut has_gap) = (0_u64, false);
    for field in fields {
        let at = end.next_multiple_of(field.ty.align.max(1));
        if field.offset != at {
            return false;
        }
        has_gap |= at != end;
        end = at + field.ty.size;
    }
    has_gap && end.next_multiple_of(schema.align.max(1)) == schema.size
}

/// Whether the payload begins later than right behind the discriminant, which only `repr(C, …)` does.
fn is_outside(repr: &str, schema: &TypeSchema, fields: &[FieldSchema]) -> bool {
    let tag = match repr.trim_start_matches(['u', 'i']) {
        "size" => 8,
        bits => bits.parse::<u64>().map_or(1, |bits| bits / 8),
    };
    fields.first().is_some_and(|first| {
        first.offset > tag.next_multiple_of(first.ty.align.max(1))
            && first.offset == tag.next_multiple_of(schema.align.max(1))
    })
}
