//! The lens that a value goes through: how it is written in an attribute, and its expression and types.

use super::nest;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, Token, Type, parenthesized};

/// A lens named by an attribute.
#[derive(Clone)]
pub enum Via {
    /// The one that was derived for the value's own types.
    Nested,
    /// One of this type.
    With(Box<Type>),
    /// A pair of functions, with a residual.
    Convert(Expr, Expr),
    /// A pair of functions that undo each other.
    Exact(Expr, Expr),
    /// A function without a way back.
    OneWay(Expr),
    /// One for each element.
    Each(Each, Box<Via>),
    /// Into an option or a collection; the stand-in of an empty one.
    Wrap(Option<Expr>),
    /// Out of one.
    Unwrap(Option<Expr>),
}

/// How the elements of a container find their complements.
#[derive(Clone)]
pub enum Each {
    Option,
    BTreeMap,
    HashMap,
    Position,
    Key(Box<Type>, Box<Expr>),
}

/// The words that begin one.
pub const WORDS: [&str; 8] = [
    "nested", "with", "convert", "exact", "one_way", "each", "wrap", "unwrap",
];

/// A lens with its types.
pub struct Typed {
    pub lens: TokenStream,
    pub complement: TokenStream,
    pub directions: TokenStream,
}

impl Via {
    /// The rest of an option that began with `word`.
    pub fn parse(word: &Ident, input: ParseStream) -> syn::Result<Via> {
        Ok(match word.to_string().as_str() {
            "nested" => Via::Nested,
            "with" => {
                input.parse::<Token![=]>()?;
                Via::With(input.parse()?)
            }
            "convert" => {
                let (forward, backward) = two(input)?;
                Via::Convert(forward, backward)
            }
            "exact" => {
                let (forward, backward) = two(input)?;
                Via::Exact(forward, backward)
            }
            "one_way" => {
                let function;
                parenthesized!(function in input);
                Via::OneWay(function.parse()?)
            }
            "each" => {
                let content;
                parenthesized!(content in input);
                let each = content.parse()?;
                let via = match content.parse::<Option<Token![,]>>()? {
                    Some(_) if !content.is_empty() => {
                        let word: Ident = content.parse()?;
                        Via::parse(&word, &content)?
                    }
                    _ => Via::Nested,
                };
                Via::Each(each, Box::new(via))
            }
            "wrap" => Via::Wrap(stand_in(input)?),
            "unwrap" => Via::Unwrap(stand_in(input)?),
            _ => return Err(syn::Error::new(word.span(), "not a lens")),
        })
    }

    /// The lens between two types.
    pub fn typed(&self, left: &TokenStream, right: &TokenStream) -> Typed {
        let both = quote! { ::xform::Directions::Both };
        match self {
            Via::Nested => by_type(&quote! { <#right as ::xform::Successor<#left>>::Lens }),
            Via::With(lens) => by_type(&quote! { #lens }),
            Via::Convert(forward, backward) => Typed {
                lens: quote! { ::xform::convert::<#left, #right, _, _>(#forward, #backward) },
                complement: quote! { ::xform::Residual<#left, #right> },
                directions: both,
            },
            Via::Exact(forward, backward) => Typed {
                lens: quote! { ::xform::exact::<#left, #right, _, _>(#forward, #backward) },
                complement: quote! { () },
                directions: both,
            },
            Via::OneWay(forward) => Typed {
                lens: quote! { ::xform::one_way::<#left, #right, _>(#forward) },
                complement: quote! { () },
                directions: quote! { ::xform::Directions::ForwardOnly },
            },
            Via::Each(each, via) => each.typed(via, left, right),
            Via::Wrap(stand_in) => Typed {
                lens: wrapping(right, stand_in.as_ref()),
                complement: quote! { (::xform::Kept<#right>, ::xform::Kept<#left>) },
                directions: both,
            },
            Via::Unwrap(stand_in) => {
                let wrapping = wrapping(left, stand_in.as_ref());
                Typed {
                    lens: quote! { ::xform::inverse(#wrapping) },
                    complement: quote! { (::xform::Kept<#left>, ::xform::Kept<#right>) },
                    directions: both,
                }
            }
        }
    }
}

impl Parse for Each {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let word: Ident = input.parse()?;
        Ok(match word.to_string().as_str() {
            "option" => Each::Option,
            "btree_map" => Each::BTreeMap,
            "hash_map" => Each::HashMap,
            "align" => {
                input.parse::<Token![=]>()?;
                let position: Ident = input.parse()?;
                if position != "position" {
                    return Err(syn::Error::new(position.span(), "expected `position`"));
                }
                Each::Position
            }
            "key" => {
                input.parse::<Token![:]>()?;
                let ty = input.parse()?;
                input.parse::<Token![=]>()?;
                Each::Key(ty, input.parse()?)
            }
            _ => {
                return Err(syn::Error::new(
                    word.span(),
                    "say how an element finds its complement again: `option`, `btree_map`, `hash_map`, `key: TYPE = function`, or `align = position`",
                ));
            }
        })
    }
}

impl Each {
    fn typed(&self, via: &Via, left: &TokenStream, right: &TokenStream) -> Typed {
        let element = |side: &TokenStream| match self {
            Each::BTreeMap | Each::HashMap => {
                quote! { <#side as ::xform::ops::each::Map>::Value }
            }
            _ => quote! { <#side as ::xform::ops::each::Sequence>::Item },
        };
        let (older, newer) = (element(left), element(right));
        let Typed {
            lens,
            complement,
            directions,
        } = via.typed(&older, &newer);
        let each = quote! { ::xform::ops::each };
        let (lens, complement) = match self {
            Each::Option => (
                quote! { #each::option(#lens) },
                quote! { ::core::option::Option<#complement> },
            ),
            Each::BTreeMap | Each::HashMap => {
                let map = match self {
                    Each::HashMap => quote! { HashMap },
                    _ => quote! { BTreeMap },
                };
                let all = quote! {
                    ::std::collections::#map<<#left as #each::Map>::Key, #complement>
                };
                (
                    quote! { #each::EachMapValue::<#left, #right, #all, _>::new(#lens) },
                    all,
                )
            }
            Each::Position => {
                let all = quote! { ::std::vec::Vec<(u64, #complement)> };
                (
                    quote! { #each::EachByPosition::<#left, #right, #all, _>::new(#lens) },
                    all,
                )
            }
            Each::Key(ty, key) => {
                let all = quote! { ::std::vec::Vec<(#ty, #complement)> };
                let keys = quote! { ::xform::__private::keys::<#older, #newer, #ty>(#key, #key) };
                (
                    quote! { #each::EachByKey::<#left, #right, #all, _, _>::new(#lens, #keys) },
                    all,
                )
            }
        };
        Typed {
            lens,
            complement,
            directions,
        }
    }
}

fn by_type(lens: &TokenStream) -> Typed {
    Typed {
        lens: quote! { <#lens as ::core::default::Default>::default() },
        complement: quote! { <#lens as ::xform::Lens>::Complement },
        directions: quote! { <#lens as ::xform::Lens>::DIRECTIONS },
    }
}

fn wrapping(container: &TokenStream, stand_in: Option<&Expr>) -> TokenStream {
    let made = match stand_in {
        Some(value) => quote! { ::core::result::Result::Ok(#value) },
        None => quote! {
            ::core::result::Result::Err(::xform::LensError::unrepresentable("nothing is in it"))
        },
    };
    quote! { ::xform::wrap::<#container, _>(|| #made) }
}

fn two(input: ParseStream) -> syn::Result<(Expr, Expr)> {
    let content;
    parenthesized!(content in input);
    let forward = content.parse()?;
    content.parse::<Token![,]>()?;
    let backward = content.parse()?;
    content.parse::<Option<Token![,]>>()?;
    Ok((forward, backward))
}

fn stand_in(input: ParseStream) -> syn::Result<Option<Expr>> {
    Ok(match input.parse::<Option<Token![=]>>()? {
        Some(_) => Some(input.parse()?),
        None => None,
    })
}

/// The types of several fields together: one as it is, more as a tuple.
pub fn together(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        _ => quote! { (#(#parts,)*) },
    }
}

/// The complements of several rules together.
pub fn all(parts: &[TokenStream]) -> TokenStream {
    nest(parts.iter().cloned())
}
