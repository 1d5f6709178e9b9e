//! The lens between two forms of a type: a description of the newer one, from which the derive makes
//! it; `variant!` where a struct became a variant; a frame to fill where only the author knows.

use super::fields::{Fate, Fates, Making, Place, fates, making};
use super::frozen::payload;
use super::names::{Realm, Scope, is_tuple};
use super::text::{
    Payload, Variant, field, ident, options, question, question_expression, tuple, type_ident,
    variants,
};
use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};

/// The name of the lens that leads to a newer type.
pub fn name(newer: &TypeSchema, scope: &Scope) -> String {
    format!("{}Lens", type_ident(&scope.after.key(newer)))
}

/// The line that registers the lens `name`.
pub fn registration(name: &str, realm: Realm) -> String {
    let register = match realm {
        Realm::Shared => "transformer",
        Realm::Carried => "carry_lens",
    };
    format!("\ndsu::{register}!({name});\n")
}

/// The lens from the frozen type `older` to what it has become.
pub fn lens(older: &str, left: &TypeSchema, right: &TypeSchema, scope: &Scope) -> String {
    match making(left, right) {
        Making::Derived => derived(older, left, right, scope),
        Making::Other => match only_variant(left, right) {
            Some(variant) => as_variant(older, left, right, variant, scope),
            None => frame(older, right, scope),
        },
    }
}

/// A description of the newer type, from which the derive makes the lens.
fn derived(older: &str, left: &TypeSchema, right: &TypeSchema, scope: &Scope) -> String {
    let newer = type_ident(&scope.after.key(right));
    let described = format!("{newer}Now");
    let mut on_type = vec![
        format!("from = self::{older}"),
        format!("to = {}", scope.newer(right)),
    ];
    if right.name != newer {
        on_type.push(format!("name = {}", name(right, scope)));
    }
    let mut questions = Vec::new();
    if left.meaning != right.meaning {
        questions.push(format!(
            "the meaning of {} changes from {} in {} to {} in {}. Say which fields are converted, and how, with convert(|old| …, |new| …) on each; then remove this compile_error!",
            right.name, left.meaning, scope.versions.0, right.meaning, scope.versions.1
        ));
    }
    let spelled = |f: &FieldSchema| scope.spell_newer(&f.ty);
    let body = match (&left.kind, &right.kind) {
        (TypeKind::Struct(before), TypeKind::Struct(after)) => {
            let place = Place {
                name: &right.name,
                options: Some(&described),
            };
            let fates = fates(before, after, &place, scope);
            on_type.extend(fates.drops.iter().cloned());
            questions.extend(fates.questions.iter().cloned());
            if after.is_empty() {
                format!("pub(crate) struct {described} {{}}\n")
            } else if is_tuple(after) {
                let (types, asked) = in_tuple(after, &fates, &spelled);
                questions.extend(asked);
                tuple(0, &format!("pub(crate) struct {described}"), &types, ";")
            } else {
                let each = after
                    .iter()
                    .zip(&fates.newer)
                    .map(|(f, fate)| attribute(4, fate) + &field(4, &ident(&f.name), &spelled(f)));
                let each: String = each.collect();
                format!("pub(crate) struct {described} {{\n{each}}}\n")
            }
        }
        (
            TypeKind::Enum {
                variants: before, ..
            },
            TypeKind::Enum {
                variants: after, ..
            },
        ) => {
            let pairs = Pairs::of(before, after);
            questions.extend(pairs.gone(&right.name, scope));
            let all: Vec<Variant> = after
                .iter()
                .map(|variant| described_variant(variant, &pairs, &right.name, scope))
                .collect();
            format!("pub(crate) enum {described} {{\n{}}}\n", variants(&all))
        }
        _ => String::new(),
    };
    let mut text = format!(
        "/// `{}` as it is now, and where each part of it comes from.\n#[derive(xform::Lens)]\n",
        right.name
    );
    text.push_str(&options(0, &on_type));
    for sentence in &questions {
        text.push_str(&question(0, sentence));
    }
    text + &body
}

/// The lines before a field.
fn attribute(indent: usize, fate: &Fate) -> String {
    match fate {
        Fate::Same => String::new(),
        Fate::By(option) => options(indent, std::slice::from_ref(option)),
        Fate::Ask(sentence) => question(indent, sentence),
    }
}

/// Fields without names stand in one line with their attributes, so that questions go before it all.
fn in_tuple(
    fields: &[FieldSchema],
    fates: &Fates,
    spelled: &dyn Fn(&FieldSchema) -> String,
) -> (Vec<String>, Vec<String>) {
    let mut asked = Vec::new();
    let each = fields.iter().zip(&fates.newer).map(|(f, fate)| match fate {
        Fate::Same => spelled(f),
        Fate::By(option) => format!("#[lens({option})] {}", spelled(f)),
        Fate::Ask(sentence) => {
            asked.push(format!("field {sentence}"));
            spelled(f)
        }
    });
    (each.collect(), asked)
}

/// Which variants correspond.
struct Pairs<'a> {
    before: &'a [VariantSchema],
    /// Older variants that are gone, each with the newer one that it may have become.
    lost: Vec<(&'a VariantSchema, Option<&'a VariantSchema>)>,
}

impl<'a> Pairs<'a> {
    fn of(before: &'a [VariantSchema], after: &'a [VariantSchema]) -> Pairs<'a> {
        let has = |all: &[VariantSchema], name: &str| all.iter().any(|v| v.name == name);
        let mut fresh: Vec<_> = after.iter().filter(|v| !has(before, &v.name)).collect();
        let gone = before.iter().filter(|v| !has(after, &v.name));
        let lost = gone.map(|was| {
            let alike = fresh
                .iter()
                .position(|is| same_fields(&was.fields, &is.fields));
            (was, alike.map(|at| fresh.remove(at)))
        });
        Pairs {
            before,
            lost: lost.collect(),
        }
    }

    /// Questions about variants that nothing is like.
    fn gone(&self, on: &str, scope: &Scope) -> Vec<String> {
        let (older, newer) = (&scope.versions.0, &scope.versions.1);
        let each = self.lost.iter().filter(|(_, alike)| alike.is_none());
        each.map(|(was, _)| {
            let was = &was.name;
            format!(
                "{on}::{was} of {older} is not in {on} of {newer}. Say what becomes of it: drop({was} = VALUE), which stands for it in {newer} while it waits; or drop({was}), and a value that is one cannot cross, so that an update with such values goes back; or rename = {was} on the variant that it became"
            )
        })
        .collect()
    }
}

fn described_variant(variant: &VariantSchema, pairs: &Pairs, on: &str, scope: &Scope) -> Variant {
    let (older, newer) = (&scope.versions.0, &scope.versions.1);
    let spelled = |f: &FieldSchema| scope.spell_newer(&f.ty);
    let mut attributes = String::new();
    let mut payload = payload(&variant.fields, &spelled);
    match pairs.before.iter().find(|was| was.name == variant.name) {
        Some(was) => {
            let name = format!("{on}::{}", variant.name);
            let place = Place {
                name: &name,
                options: None,
            };
            let fates = fates(&was.fields, &variant.fields, &place, scope);
            let mut asked = fates.questions.clone();
            match &mut payload {
                Payload::None => {}
                Payload::Tuple(types) => {
                    let (described, more) = in_tuple(&variant.fields, &fates, &spelled);
                    *types = described;
                    asked.extend(more);
                }
                Payload::Struct(fields) => {
                    for (field, fate) in fields.iter_mut().zip(&fates.newer) {
                        field.0 = attribute(8, fate);
                    }
                }
            }
            for sentence in &asked {
                attributes.push_str(&question(4, sentence));
            }
        }
        None => {
            let name = &variant.name;
            let alike = pairs
                .lost
                .iter()
                .find(|(_, to)| to.is_some_and(|to| to.name == *name));
            match alike {
                // What the older version gets of it is `Foreign` unless the type says otherwise (R12).
                None => attributes.push_str("    #[lens(add)]\n"),
                Some((was, _)) => attributes.push_str(&question(
                    4,
                    &format!(
                        "{on} of {older} has {was}, and {on} of {newer} has {name} with the same fields. If {was} became {name}, write rename = {was} in place of this compile_error!. If it did not, write add here, and drop({was}) or drop({was} = VALUE) on the type",
                        was = was.name
                    ),
                )),
            }
        }
    }
    Variant {
        attributes,
        name: ident(&variant.name),
        payload,
        discriminant: String::new(),
    }
}

fn same_fields(a: &[FieldSchema], b: &[FieldSchema]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.name == b.name && a.ty == b.ty)
}

/// The one variant of `right` that holds what the struct `left` holds, in the same order.
fn only_variant<'a>(left: &TypeSchema, right: &'a TypeSchema) -> Option<&'a VariantSchema> {
    let (TypeKind::Struct(fields), TypeKind::Enum { variants, .. }) = (&left.kind, &right.kind)
    else {
        return None;
    };
    let types = |fields: &[FieldSchema]| -> Vec<TypeSchema> {
        fields.iter().map(|f| f.ty.clone()).collect()
    };
    let wanted = types(fields);
    let mut alike = variants.iter().filter(|v| types(&v.fields) == wanted);
    let first = alike.next()?;
    (alike.next().is_none() && !fields.is_empty() && left.meaning == right.meaning).then_some(first)
}

/// A struct whose values are one variant now.
fn as_variant(
    older: &str,
    left: &TypeSchema,
    right: &TypeSchema,
    variant: &VariantSchema,
    scope: &Scope,
) -> String {
    let TypeKind::Struct(fields) = &left.kind else {
        return String::new();
    };
    let bound = |at: usize, f: &FieldSchema| match f.name.parse::<usize>() {
        Ok(_) => format!("f{at}"),
        Err(_) => ident(&f.name),
    };
    let names: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(at, f)| bound(at, f))
        .collect();
    let taken: Vec<String> = fields
        .iter()
        .zip(&names)
        .map(|(f, name)| match f.name == *name {
            true => name.clone(),
            false => format!("{}: {name}", ident(&f.name)),
        })
        .collect();
    let given: Vec<String> = variant
        .fields
        .iter()
        .zip(&names)
        .map(|(f, name)| match is_tuple(&variant.fields) {
            true => name.clone(),
            false if f.name == *name => name.clone(),
            false => format!("{}: {name}", ident(&f.name)),
        })
        .collect();
    let given = match is_tuple(&variant.fields) {
        true => format!("({})", given.join(", ")),
        false => format!(" {{ {} }}", given.join(", ")),
    };
    format!(
        "xform::variant! {{\n\
         \x20   /// Every `{}` of {} is a `{}` now. Of the other variants {} gets `Foreign`: say so if\n\
         \x20   /// it is to have a stand-in for them, or if they must not be made while it runs.\n\
         \x20   pub(crate) struct {}: {older} => {} {{\n\
         \x20       {{ {} }} => {}{given};\n\
         \x20       unrepresentable = foreign;\n\
         \x20   }}\n}}\n",
        left.name,
        scope.versions.0,
        variant.name,
        scope.versions.0,
        name(right, scope),
        scope.newer(right),
        taken.join(", "),
        ident(&variant.name),
    )
}

/// A lens without its functions: nobody but the author knows.
fn frame(older: &str, right: &TypeSchema, scope: &Scope) -> String {
    let (lens, newer) = (name(right, scope), scope.newer(right));
    let (from, to) = (&scope.versions.0, &scope.versions.1);
    let ask = |a: &str, of: &str, b: &str, by: &str| {
        let sentence = format!(
            "say how {a} of {of} becomes {b} of {by}: end with Ok((value, ())), and put what the other side cannot hold into the Complement"
        );
        question_expression(8, &sentence)
    };
    format!(
        "/// `{name}` is of another kind now.\n\
         #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]\n\
         pub(crate) struct {lens};\n\n\
         impl xform::Lens for {lens} {{\n\
         \x20   type Left = {older};\n\
         \x20   type Right = {newer};\n\
         \x20   type Complement = ();\n\n\
         {forward}{there}    }}\n\n\
         {backward}{back}    }}\n\
         }}\n",
        name = right.name,
        forward = signature("forward", "left", "Left", "_", "Right"),
        there = ask(older, from, &right.name, to),
        backward = signature("backward", "right", "Right", "_", "Left"),
        back = ask(&right.name, to, older, from),
    )
}

/// The first lines of a direction: what it takes, under these names.
pub fn signature(function: &str, value: &str, from: &str, kept: &str, to: &str) -> String {
    format!(
        "    fn {function}(\n\
         \x20       &self,\n\
         \x20       {value}: Self::{from},\n\
         \x20       {kept}: Option<Self::Complement>,\n\
         \x20   ) -> Result<(Self::{to}, Self::Complement), xform::LensError> {{\n"
    )
}
