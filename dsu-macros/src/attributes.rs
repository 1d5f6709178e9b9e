//! What stands in `#[shared(…)]`, `#[carry(…)]` and `#[repr(…)]`.

use crate::errors::Errors;
use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, Ident, LitInt, LitStr};

/// The options of a derive.
#[derive(Default)]
pub struct Options {
    /// Stable name, where it is not the type's own.
    pub name: Option<String>,
    /// A change that types cannot show.
    pub meaning: u32,
    /// The version that this is a frozen copy of; 0 for none.
    pub frozen: u32,
    /// Where `inline` was written.
    pub inline: Option<Span>,
    /// Where `forbid` was written.
    pub forbid: Option<Span>,
}

impl Options {
    /// Reads every attribute called `attribute`; `known` are the options that it has.
    pub fn read(
        attributes: &[Attribute],
        attribute: &str,
        known: &[&str],
        errors: &mut Errors,
    ) -> Options {
        let mut options = Options::default();
        let mut seen: Vec<Ident> = Vec::new();
        for found in attributes.iter().filter(|a| a.path().is_ident(attribute)) {
            let read = found.parse_nested_meta(|meta| {
                let Some(option) = meta
                    .path
                    .get_ident()
                    .filter(|i| known.iter().any(|k| i == k))
                else {
                    return Err(meta.error(format!(
                        "unknown option; `{attribute}` has {}",
                        listed(known)
                    )));
                };
                if seen.contains(option) {
                    return Err(meta.error(format!("`{option}` is given twice")));
                }
                seen.push(option.clone());
                match option.to_string().as_str() {
                    "name" => {
                        let name: LitStr = meta.value()?.parse()?;
                        if name.value().is_empty() {
                            return Err(syn::Error::new_spanned(name, "the name is empty"));
                        }
                        options.name = Some(name.value());
                    }
                    "meaning" => {
                        options.meaning = meta.value()?.parse::<LitInt>()?.base10_parse()?
                    }
                    "frozen" => {
                        let version: LitInt = meta.value()?.parse()?;
                        options.frozen = version.base10_parse()?;
                        if options.frozen == 0 {
                            return Err(syn::Error::new_spanned(
                                version,
                                "versions are numbered from 1",
                            ));
                        }
                    }
                    "forbid" => options.forbid = Some(option.span()),
                    _ => options.inline = Some(option.span()),
                }
                Ok(())
            });
            if let Err(error) = read {
                errors.push(error);
            }
        }
        options
    }
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What `#[repr(…)]` says, as far as layouts depend on it.
#[derive(Default)]
pub struct Repr {
    /// `C`.
    pub c: bool,
    /// `transparent`.
    pub transparent: bool,
    /// The integer of the discriminant.
    pub integer: Option<Ident>,
}

impl Repr {
    /// Reads every `#[repr]`.
    pub fn read(attributes: &[Attribute], errors: &mut Errors) -> Repr {
        let mut repr = Repr::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("repr")) {
            let read = attribute.parse_nested_meta(|meta| {
                let Some(word) = meta.path.get_ident() else {
                    return Err(meta.error("not a representation"));
                };
                match word.to_string().as_str() {
                    "C" => repr.c = true,
                    "transparent" => repr.transparent = true,
                    "packed" => {
                        return Err(meta.error(
                            "shared types cannot be packed: their fields are visited by reference",
                        ));
                    }
                    "align" => {
                        let _: proc_macro2::Group = meta.input.parse()?;
                    }
                    _ => repr.integer = Some(word.clone()),
                }
                Ok(())
            });
            if let Err(error) = read {
                errors.push(error);
            }
        }
        repr
    }
}

/// Whether a field has `#[serde(skip)]`, alone or among other options.
pub fn is_skipped_by_serde(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|a| a.path().is_ident("serde"))
        .any(|a| {
            a.meta.to_token_stream().into_iter().any(|tree| match tree {
                proc_macro2::TokenTree::Group(group) => group
                    .stream()
                    .into_iter()
                    .any(|inner| inner.to_string() == "skip"),
                _ => false,
            })
        })
}
