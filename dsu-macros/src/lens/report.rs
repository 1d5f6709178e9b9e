//! What a field that is left over is told: both types, and the attributes that would settle it.

use super::Context;
use super::rules::Field;
use crate::errors::Errors;
use quote::ToTokens;
use syn::Type;

pub fn newer_left_over(
    context: &Context,
    olds: &[Field],
    news: &[Field],
    right: usize,
    forgotten: &[usize],
    errors: &mut Errors,
) {
    let field = &news[right];
    let key = &field.key;
    let was = forgotten
        .iter()
        .map(|&left| format!("`#[lens(rename = {})]`", olds[left].key));
    let was = was.collect::<Vec<_>>().join(" or ");
    let was = match was.is_empty() {
        true => String::new(),
        false => format!(", or {was} if that is what it was"),
    };
    let message = format!(
        "nothing says where `{key}` comes from\n{}\nadd `#[lens(add)]` or `#[lens(add = value)]` to `{key}`{was}",
        both(context, olds, news),
    );
    errors.at(&field.field.ty, message);
}

pub fn older_left_over(
    context: &Context,
    olds: &[Field],
    news: &[Field],
    left: usize,
    left_over: &[usize],
    errors: &mut Errors,
) {
    let key = &olds[left].key;
    let newer = &context.newer.ident;
    let became = left_over
        .iter()
        .map(|&right| format!("`{}`", news[right].key));
    let became = became.collect::<Vec<_>>().join(" or ");
    let became = match became.is_empty() {
        true => String::new(),
        false => format!(", or `#[lens(rename = {key})]` to {became} if that is what it became"),
    };
    let message = format!(
        "nothing says what becomes of `{key}`\n{}\nadd `#[lens(drop({key}))]` or `#[lens(drop({key} = value))]` to `{newer}`{became}",
        both(context, olds, news),
    );
    errors.at(&context.from, message);
}

/// Both definitions, in a line each.
fn both(context: &Context, olds: &[Field], news: &[Field]) -> String {
    let fields = |fields: &[Field]| {
        let all = fields
            .iter()
            .map(|field| format!("{}: {}", field.key, shown(&field.field.ty)));
        all.collect::<Vec<_>>().join(", ")
    };
    format!(
        "  older: {} {{ {} }}\n  newer: {} {{ {} }}",
        context.from.to_token_stream().to_string().replace(' ', ""),
        fields(olds),
        context.newer.ident,
        fields(news),
    )
}

/// A type as people write it.
fn shown(ty: &Type) -> String {
    let spaced = ty.to_token_stream().to_string();
    ["<", ">", "::", ",", "&", "[", "]", "(", ")"]
        .iter()
        .fold(spaced, |text, sign| {
            let text = text.replace(&format!(" {sign}"), sign);
            match *sign {
                "," => text,
                _ => text.replace(&format!("{sign} "), sign),
            }
        })
}
