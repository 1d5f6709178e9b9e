//! What stands in `#[lens(…)]`, on a type, a field or a variant.

use super::via::{self, Via};
use crate::errors::Errors;
use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprClosure, Ident, LitStr, Member, Path, Token, braced, parenthesized, token,
};

/// Options of a type.
#[derive(Default)]
pub struct TypeOptions {
    pub from: Option<Path>,
    /// The newer type, where the one at hand only describes it.
    pub to: Option<Path>,
    pub name: Option<Ident>,
    /// Older fields or variants without a newer form, and what they are where they are missing.
    pub drops: Vec<(Member, Option<Expr>)>,
    /// Older fields that are computed from their siblings.
    pub derived: Vec<(Member, ExprClosure)>,
    /// Fields that become others together.
    pub groups: Vec<Group>,
    /// Fields that move into or out of a nested struct.
    pub regroups: Vec<Regroup>,
    pub policy: Policy,
}

/// Older fields that become newer ones through one lens.
#[derive(Clone)]
pub struct Group {
    pub lefts: Vec<Member>,
    pub rights: Vec<Member>,
    pub via: Via,
}

/// Fields that are taken apart on one side and put together on the other.
#[derive(Clone)]
pub struct Regroup {
    pub lefts: Vec<Part>,
    pub rights: Vec<Part>,
}

/// A field, or a field that is a struct with these.
#[derive(Clone)]
pub struct Part {
    pub field: Ident,
    pub inside: Option<TokenStream>,
}

/// What becomes of newer variants without an older form.
#[derive(Default)]
pub enum Policy {
    #[default]
    Foreign,
    Placeholder(Box<Expr>),
    Forbid,
}

/// The paths after `from` and `to`, without looking at the rest.
pub fn sides(attributes: &[Attribute]) -> syn::Result<(Option<Path>, Option<Path>)> {
    let mut errors = Errors::default();
    let options = TypeOptions::read(attributes, &mut errors);
    errors.finish(())?;
    let has_others = attributes.iter().find(|a| a.path().is_ident("lens"));
    match (&options.from, has_others) {
        (None, Some(lonely)) => Err(syn::Error::new_spanned(
            lonely,
            "say which type this one replaces: `#[lens(from = old::Type)]`",
        )),
        _ => Ok((options.from, options.to)),
    }
}

fn each_option(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut read: impl FnMut(&str, &ParseNestedMeta) -> syn::Result<bool>,
    known: &str,
) {
    for attribute in attributes.iter().filter(|a| a.path().is_ident("lens")) {
        let mut questions = Vec::new();
        let result = attribute.parse_nested_meta(|meta| {
            let word = meta.path.get_ident().map(Ident::to_string);
            let word = word.as_deref().unwrap_or_default();
            if word == "compile_error" && meta.input.peek(Token![!]) {
                questions.push(question(&meta)?);
                return Ok(());
            }
            if read(word, &meta)? {
                return Ok(());
            }
            Err(meta.error(format!("unknown option; `lens` has {known} here")))
        });
        for question in questions {
            errors.ask(question);
        }
        if let Err(error) = result {
            errors.push(error);
        }
    }
}

/// `compile_error!("…")` in the place of an option: a decision that is still open.
fn question(meta: &ParseNestedMeta) -> syn::Result<syn::Error> {
    meta.input.parse::<Token![!]>()?;
    let content;
    parenthesized!(content in meta.input);
    let text: LitStr = content.parse()?;
    content.parse::<Option<Token![,]>>()?;
    Ok(syn::Error::new(text.span(), text.value()))
}

impl TypeOptions {
    pub fn read(attributes: &[Attribute], errors: &mut Errors) -> TypeOptions {
        let mut all = TypeOptions::default();
        let read = |word: &str, meta: &ParseNestedMeta| {
            match word {
                "from" => all.from = Some(meta.value()?.parse()?),
                "to" => all.to = Some(meta.value()?.parse()?),
                "name" => all.name = Some(meta.value()?.parse()?),
                "drop" => {
                    let content;
                    parenthesized!(content in meta.input);
                    let member = content.parse()?;
                    all.drops.push((member, value(&content)?));
                }
                "derived" => {
                    let content;
                    parenthesized!(content in meta.input);
                    let member = content.parse()?;
                    content.parse::<Token![=]>()?;
                    all.derived.push((member, content.parse()?));
                }
                "split" | "merge" => {
                    let content;
                    parenthesized!(content in meta.input);
                    all.groups.push(group(&content)?);
                }
                "hoist" | "plunge" => {
                    let content;
                    parenthesized!(content in meta.input);
                    let lefts = parts(&content)?;
                    content.parse::<Token![=>]>()?;
                    let rights = parts(&content)?;
                    all.regroups.push(Regroup { lefts, rights });
                }
                "unrepresentable" => {
                    let word: Ident = meta.value()?.parse()?;
                    all.policy = match word.to_string().as_str() {
                        "foreign" => Policy::Foreign,
                        "forbid" => Policy::Forbid,
                        "placeholder" => {
                            let content;
                            parenthesized!(content in meta.input);
                            Policy::Placeholder(content.parse()?)
                        }
                        _ => {
                            return Err(syn::Error::new(
                                word.span(),
                                "expected `foreign`, `placeholder(f)` or `forbid`",
                            ));
                        }
                    };
                }
                _ => return Ok(false),
            }
            Ok(true)
        };
        let known = "`from`, `to`, `name`, `drop`, `derived`, `split`, `merge`, `hoist`, `plunge`, `unrepresentable`";
        each_option(attributes, errors, read, known);
        all
    }
}

/// Options of a field.
#[derive(Default)]
pub struct FieldOptions {
    pub rename: Option<Member>,
    pub add: Option<Option<Expr>>,
    pub derived: Option<ExprClosure>,
    pub via: Option<Via>,
    pub reset_when_written: Option<LitStr>,
}

impl FieldOptions {
    pub fn read(attributes: &[Attribute], errors: &mut Errors) -> FieldOptions {
        let mut all = FieldOptions::default();
        let read = |word: &str, meta: &ParseNestedMeta| {
            match word {
                "rename" => all.rename = Some(meta.value()?.parse()?),
                "add" => all.add = Some(value(meta.input)?),
                "derived" => all.derived = Some(meta.value()?.parse()?),
                "reset_when_written" => all.reset_when_written = Some(meta.value()?.parse()?),
                _ if via::WORDS.contains(&word) => {
                    let word = meta.path.require_ident()?;
                    all.via = Some(Via::parse(word, meta.input)?);
                }
                _ => return Ok(false),
            }
            Ok(true)
        };
        let known = "`rename`, `add`, `derived`, `nested`, `with`, `convert`, `exact`, `one_way`, `each`, `wrap`, `unwrap`, `reset_when_written`";
        each_option(attributes, errors, read, known);
        all
    }
}

/// Options of a variant.
#[derive(Default)]
pub struct VariantOptions {
    pub rename: Option<Ident>,
    pub add: bool,
    pub merge: Vec<Ident>,
}

impl VariantOptions {
    pub fn read(attributes: &[Attribute], errors: &mut Errors) -> VariantOptions {
        let mut all = VariantOptions::default();
        let read = |word: &str, meta: &ParseNestedMeta| {
            match word {
                "rename" => all.rename = Some(meta.value()?.parse()?),
                "add" => all.add = true,
                "merge" => {
                    let content;
                    parenthesized!(content in meta.input);
                    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
                    all.merge = names.into_iter().collect();
                }
                _ => return Ok(false),
            }
            Ok(true)
        };
        each_option(attributes, errors, read, "`rename`, `add`, `merge`");
        all
    }
}

/// `= expr`, if it is there.
fn value(input: ParseStream) -> syn::Result<Option<Expr>> {
    Ok(match input.parse::<Option<Token![=]>>()? {
        Some(_) => Some(input.parse()?),
        None => None,
    })
}

/// `a => (b, c), forward, backward`, or `a => (b, c), with = Lens`.
fn group(input: ParseStream) -> syn::Result<Group> {
    let lefts = members(input)?;
    input.parse::<Token![=>]>()?;
    let rights = members(input)?;
    input.parse::<Token![,]>()?;
    let is_word = |word: &Ident| via::WORDS.iter().any(|known| word == known);
    let is_via = input.fork().parse::<Ident>().is_ok_and(|w| is_word(&w))
        && (input.peek2(Token![=]) || input.peek2(token::Paren));
    let via = if is_via {
        let word: Ident = input.parse()?;
        Via::parse(&word, input)?
    } else {
        let forward = input.parse()?;
        input.parse::<Token![,]>()?;
        Via::Convert(forward, input.parse()?)
    };
    input.parse::<Option<Token![,]>>()?;
    Ok(Group { lefts, rights, via })
}

fn members(input: ParseStream) -> syn::Result<Vec<Member>> {
    if !input.peek(token::Paren) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    parenthesized!(content in input);
    let all = Punctuated::<Member, Token![,]>::parse_terminated(&content)?;
    Ok(all.into_iter().collect())
}

/// `limits { min, max }, name`.
fn parts(input: ParseStream) -> syn::Result<Vec<Part>> {
    let mut all = Vec::new();
    while !input.is_empty() && !input.peek(Token![=>]) {
        let field = input.parse()?;
        let inside = match input.peek(token::Brace) {
            true => {
                let content;
                braced!(content in input);
                Some(content.parse()?)
            }
            false => None,
        };
        all.push(Part { field, inside });
        if input.parse::<Option<Token![,]>>()?.is_none() {
            break;
        }
    }
    Ok(all)
}
