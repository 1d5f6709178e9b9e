//! The lens between two forms of a type: what is obvious is written, the rest is asked by `compile_error!`.

use super::is_tuple;
use super::names::{Realm, Scope};
use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
use std::fmt::Write;

fn lens_name(name: &str) -> String {
    format!("{name}Lens")
}

pub fn lens(left: &TypeSchema, right: &TypeSchema, scope: &Scope) -> String {
    let name = lens_name(&left.name);
    match (&left.kind, &right.kind) {
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
        _ => manual_lens(&name, left, right, scope),
    }
}

/// The line that registers the lens of the type `name`.
pub fn registration(name: &str, realm: Realm) -> String {
    let register = match realm {
        Realm::Shared => "transformer",
        Realm::Carried => "carry_lens",
    };
    format!("\ndsu::{register}!({});\n", lens_name(name))
}

pub fn hole(question: &str) -> String {
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
            rules.push(match default_of(&field.ty, scope.realm) {
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
        rules.push(match default_of(&field.ty, scope.realm) {
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
    let right_path = scope.newer(right);
    let _ = writeln!(
        text,
        "    pub(crate) struct {name}: {left} => {right_path} {{"
    );
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
fn default_of(schema: &TypeSchema, realm: Realm) -> Option<&'static str> {
    const NUMBERS: &[&str] = &[
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool", "Option",
    ];
    const SHARED: &[&str] = &[
        "SharedString",
        "SharedBytes",
        "SharedVec",
        "SharedMap",
        "SharedDeque",
    ];
    const CARRIED: &[&str] = &[
        "String", "Duration", "Vec", "VecDeque", "BTreeSet", "BTreeMap", "HashMap", "HashSet",
    ];
    let base = schema.name.split('<').next().unwrap_or_default();
    let containers = match realm {
        Realm::Shared => SHARED,
        Realm::Carried => CARRIED,
    };
    let is_plain = matches!(schema.kind, TypeKind::Leaf | TypeKind::Container(_));
    (is_plain && (NUMBERS.contains(&base) || containers.contains(&base)))
        .then_some("Default::default()")
}

/// Enums, tuple structs, and a struct that becomes an enum: nobody but the author knows.
fn manual_lens(name: &str, left: &TypeSchema, right: &TypeSchema, scope: &Scope) -> String {
    let (l, r) = (&left.name, scope.newer(&right.name));
    let forward = arms(l, &r, left, right);
    let backward = arms(&r, l, right, left);
    format!(
        "/// `{l}` to what it has become.\n\
         #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]\n\
         pub(crate) struct {name};\n\n\
         impl xform::Lens for {name} {{\n\
         \x20   type Left = {l};\n\
         \x20   type Right = {r};\n\
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
