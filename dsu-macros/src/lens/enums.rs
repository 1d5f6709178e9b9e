//! The lens between two enums: each variant is a small record, and some have no counterpart.

use super::arm::{Arm, kept_name};
use super::options::{Policy, VariantOptions};
use super::rules::{Field, Kind, Side, record, rules};
use super::via::all;
use super::{Body, Context};
use crate::errors::Errors;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{DataEnum, Expr, Member, Variant};

/// What becomes of a pair of variants, or of one alone.
struct Way<'a> {
    /// `Older::A`
    older: TokenStream,
    /// `Newer::B`
    newer: TokenStream,
    arm: Arm<'a>,
    kind: WayKind,
}

#[derive(PartialEq, Eq)]
enum WayKind {
    /// Each is the other's form.
    Both,
    /// The newer variant is the form of another older one too; which it was is kept with the value (R7).
    Merged,
}

/// A variant without a counterpart.
struct Lonely<'a> {
    path: TokenStream,
    name: &'a Ident,
}

pub fn body(
    context: &Context,
    older: &DataEnum,
    newer: &DataEnum,
    errors: &mut Errors,
) -> Option<Body> {
    let mut gone: Vec<(Lonely, Option<&Expr>)> = Vec::new();
    let mut taken = Vec::new();
    for (member, stand_in) in &context.options.drops {
        match older.variants.iter().find(|v| is_called(v, member)) {
            Some(variant) => {
                taken.push(&variant.ident);
                gone.push((lonely(context, Side::Older, variant), stand_in.as_ref()));
            }
            None => errors.at(member, "the older type has no such variant"),
        }
    }
    let mut ways = Vec::new();
    let mut added = Vec::new();
    for variant in &newer.variants {
        let options = VariantOptions::read(&variant.attrs, errors);
        if options.add {
            added.push(lonely(context, Side::Newer, variant));
            continue;
        }
        let was = match options.merge.is_empty() {
            true => vec![options.rename.unwrap_or_else(|| variant.ident.clone())],
            false => options.merge,
        };
        for (index, was) in was.iter().enumerate() {
            let Some(before) = older.variants.iter().find(|v| v.ident == *was) else {
                errors.at(
                    &variant.ident,
                    variant_left_over(context, older, newer, was),
                );
                continue;
            };
            if taken.contains(&&before.ident) {
                errors.at(was, format!("`{was}` of the older type is used twice"));
                continue;
            }
            taken.push(&before.ident);
            let kind = match index {
                0 => WayKind::Both,
                _ => WayKind::Merged,
            };
            ways.push(way(context, before, variant, kind, errors));
        }
    }
    for variant in older.variants.iter().filter(|v| !taken.contains(&&v.ident)) {
        let name = &variant.ident;
        let both = both(context, older, newer);
        let newer = &context.newer.ident;
        errors.at(&context.from, format!(
            "nothing says what becomes of the variant `{name}`\n{both}\nadd `#[lens(drop({name}))]` or `#[lens(drop({name} = stand_in))]` to `{newer}`, or `#[lens(rename = {name})]` to the variant that it became",
        ));
    }
    let lens = Enums {
        context,
        ways,
        gone,
        added,
    };
    Some(lens.body(errors))
}

fn is_called(variant: &Variant, member: &Member) -> bool {
    matches!(member, Member::Named(name) if variant.ident == *name)
}

fn lonely<'a>(context: &Context, side: Side, variant: &'a Variant) -> Lonely<'a> {
    Lonely {
        path: path(context, side, variant),
        name: &variant.ident,
    }
}

fn path(context: &Context, side: Side, variant: &Variant) -> TokenStream {
    let name = &variant.ident;
    match side {
        Side::Older => {
            let older = context.older_path();
            quote! { #older::#name }
        }
        Side::Newer => {
            let newer = context.newer_path();
            quote! { #newer::#name }
        }
    }
}

fn way<'a>(
    context: &Context,
    before: &'a Variant,
    after: &'a Variant,
    kind: WayKind,
    errors: &mut Errors,
) -> Way<'a> {
    let olds = Field::all(context, Side::Older, Some(&before.ident), &before.fields);
    let news = Field::all(context, Side::Newer, Some(&after.ident), &after.fields);
    let rules = rules(context, &olds, &news, None, errors);
    if kind == WayKind::Merged && rules.iter().any(|rule| !matches!(rule.kind, Kind::Move)) {
        errors.at(&after.ident, "variants that are merged hold the same fields: convert them in an update before or after");
    }
    Way {
        older: path(context, Side::Older, before),
        newer: path(context, Side::Newer, after),
        arm: Arm { olds, news, rules },
        kind,
    }
}

fn variant_left_over(
    context: &Context,
    older: &DataEnum,
    newer: &DataEnum,
    name: &Ident,
) -> String {
    format!(
        "nothing says where the variant `{name}` comes from\n{}\nadd `#[lens(add)]` to it, or `#[lens(rename = Older)]` with the variant that it was",
        both(context, older, newer),
    )
}

fn both(context: &Context, older: &DataEnum, newer: &DataEnum) -> String {
    let names = |data: &DataEnum| {
        let all: Vec<_> = data.variants.iter().map(|v| v.ident.to_string()).collect();
        all.join(", ")
    };
    format!(
        "  older: {} {{ {} }}\n  newer: {} {{ {} }}",
        quote::ToTokens::to_token_stream(&context.from)
            .to_string()
            .replace(' ', ""),
        names(older),
        context.newer.ident,
        names(newer),
    )
}

struct Enums<'a> {
    context: &'a Context<'a>,
    ways: Vec<Way<'a>>,
    gone: Vec<(Lonely<'a>, Option<&'a Expr>)>,
    added: Vec<Lonely<'a>>,
}

impl Enums<'_> {
    /// Whether whole values are kept beside their images.
    fn keeps_whole(&self) -> bool {
        self.ways.iter().any(|way| way.kind == WayKind::Merged)
            || self.gone.iter().any(|(_, stand_in)| stand_in.is_some())
            || matches!(self.context.options.policy, Policy::Placeholder(_))
                && !self.added.is_empty()
    }

    /// The ways that keep something of their own, and what its place is called.
    fn places(&self) -> Vec<Option<Ident>> {
        let each = self.ways.iter().enumerate().map(|(index, way)| {
            let place = format_ident!("__place_{index}", span = Span::mixed_site());
            way.arm.is_stateful().then_some(place)
        });
        each.collect()
    }

    /// A complement in which only `filled` says something.
    fn complement(&self, whole: Option<TokenStream>, filled: Option<usize>) -> TokenStream {
        let mut parts = Vec::new();
        if self.keeps_whole() {
            parts.push(whole.unwrap_or_else(|| quote! { ::xform::Residual::empty() }));
        }
        for (index, _) in self
            .places()
            .iter()
            .enumerate()
            .filter(|(_, p)| p.is_some())
        {
            parts.push(match filled == Some(index) {
                true => {
                    let kept = self.ways[index].arm.kept();
                    quote! { ::xform::Kept::of(#kept) }
                }
                false => quote! { ::xform::Kept::empty() },
            });
        }
        all(&parts)
    }

    fn body(&self, errors: &mut Errors) -> Body {
        let mut parts = Vec::new();
        if self.keeps_whole() {
            parts.push(quote! { ::xform::Residual<Self::Left, Self::Right> });
        }
        for way in self.ways.iter().filter(|way| way.arm.is_stateful()) {
            let kept = way.arm.complement();
            parts.push(quote! { ::xform::Kept<#kept> });
        }
        let directions: TokenStream = self.ways.iter().map(|way| way.arm.directions()).collect();
        let declared: TokenStream = self
            .ways
            .iter()
            .map(|way| way.arm.unrepresentable())
            .collect();
        let policy = match (&self.context.options.policy, self.added.is_empty()) {
            (Policy::Placeholder(_), false) => quote! { Placeholder },
            (Policy::Forbid, false) => quote! { Forbid },
            _ => quote! { Foreign },
        };
        let losses = self.losses();
        Body {
            complement: all(&parts),
            directions: quote! { ::xform::Directions::Both #directions },
            forward: self.cross(Side::Newer, errors),
            backward: self.cross(Side::Older, errors),
            is_vacant: self.is_vacant(),
            unrepresentable: quote! { ::xform::Unrepresentable::#policy #declared },
            represents: self.represents(),
            losses,
        }
    }

    /// A stand-in that has lost its original crosses as what it says itself, and of merged variants one has to do.
    fn losses(&self) -> TokenStream {
        let is_merged = self.ways.iter().any(|way| way.kind == WayKind::Merged);
        let stands_in = self.gone.iter().any(|(_, stand_in)| stand_in.is_some());
        let waits =
            matches!(self.context.options.policy, Policy::Placeholder(_)) && !self.added.is_empty();
        let mut all: TokenStream = self.ways.iter().map(|way| way.arm.losses()).collect();
        for (is_lost, side) in [
            (is_merged || stands_in, quote! { Older }),
            (waits, quote! { Newer }),
        ] {
            if is_lost {
                all.extend(quote! {
                    if toward == ::xform::Toward::#side {
                        report.add(::xform::Loss::Approximated);
                    }
                });
            }
        }
        all
    }

    fn is_vacant(&self) -> TokenStream {
        let places = self.places();
        let whole = self.keeps_whole().then(|| quote! { __whole });
        let names: Vec<_> = whole
            .into_iter()
            .chain(places.iter().flatten().map(|place| quote! { #place }))
            .collect();
        let pattern = all(&names);
        let whole = self
            .keeps_whole()
            .then(|| quote! { && __whole.pair.is_none() });
        let each = self.ways.iter().zip(&places).filter_map(|(way, place)| {
            let place = place.as_ref()?;
            let vacant = way.arm.is_vacant(&quote! { kept });
            Some(quote! { && #place.value.as_ref().is_none_or(|kept| #vacant) })
        });
        quote! {
            let #pattern = complement;
            true #whole #(#each)*
        }
    }

    fn represents(&self) -> TokenStream {
        let ways = self
            .ways
            .iter()
            .filter(|way| way.kind == WayKind::Both)
            .map(|way| {
                let pattern = record(&way.newer, &way.arm.news);
                let represents = way.arm.represents();
                quote! { #pattern => #represents, }
            });
        let has_stand_in = matches!(self.context.options.policy, Policy::Placeholder(_));
        let added = self.added.iter().map(|variant| {
            let path = &variant.path;
            quote! { #path { .. } => #has_stand_in, }
        });
        quote! { match right { #(#ways)* #(#added)* } }
    }

    fn cross(&self, toward: Side, errors: &mut Errors) -> TokenStream {
        let source = super::arm::source(toward);
        let mut slots = TokenStream::new();
        if self.keeps_whole() {
            let vacant = self.complement(None, None);
            let (image, original) = match toward {
                Side::Newer => (quote! { left }, quote! { right }),
                Side::Older => (quote! { right }, quote! { left }),
            };
            slots.extend(quote! {
                let (__whole, __rest) = ::xform::complement::split(__rest);
                if let ::core::option::Option::Some(pair) = __whole.and_then(|whole| whole.pair)
                    && ::xform::Image::matches(&#source, &pair.#image)
                {
                    return ::core::result::Result::Ok((pair.#original, #vacant));
                }
            });
        }
        for place in self.places().iter().flatten() {
            slots.extend(quote! { let (#place, __rest) = ::xform::complement::split(__rest); });
        }
        let places = self.places();
        let mut arms = TokenStream::new();
        for (index, way) in self.ways.iter().enumerate() {
            if way.kind == WayKind::Both {
                arms.extend(self.plain(way, index, places[index].as_ref(), toward, errors));
            } else if toward == Side::Newer {
                arms.extend(self.merged(way));
            }
        }
        match toward {
            Side::Newer => {
                for (variant, stand_in) in &self.gone {
                    let name = variant.name;
                    let reason = format!("the newer side has no variant `{name}`");
                    arms.extend(self.stand_in(variant, *stand_in, toward, &reason));
                }
            }
            Side::Older => {
                let stand_in = match &self.context.options.policy {
                    Policy::Placeholder(stand_in) => Some(&**stand_in),
                    _ => None,
                };
                for variant in &self.added {
                    let name = variant.name;
                    let reason = format!("the older side has no variant `{name}`");
                    arms.extend(self.stand_in(variant, stand_in, toward, &reason));
                }
            }
        }
        quote! {
            let __rest = complement;
            #slots
            match #source { #arms }
        }
    }

    fn plain(
        &self,
        way: &Way,
        index: usize,
        place: Option<&Ident>,
        toward: Side,
        errors: &mut Errors,
    ) -> TokenStream {
        let older = record(&way.older, &way.arm.olds);
        let newer = record(&way.newer, &way.arm.news);
        let (from, to) = match toward {
            Side::Newer => (older, newer),
            Side::Older => (newer, older),
        };
        let cross = way.arm.cross(toward, None, errors);
        let complement = self.complement(None, Some(index));
        let kept = match place {
            Some(place) => quote! { #place.and_then(|kept| kept.value) },
            None => quote! { ::core::option::Option::None::<()> },
        };
        let name = kept_name();
        quote! {
            #from => {
                let #name = #kept;
                #cross
                ::core::result::Result::Ok((#to, #complement))
            }
        }
    }

    /// Which of the merged variants it was is kept beside a copy of the one that it became.
    fn merged(&self, way: &Way) -> TokenStream {
        let from = record(&way.older, &way.arm.olds);
        let copies = way.arm.olds.iter().map(|field| {
            let (member, bound) = (&field.member, &field.bound);
            quote! { #member: ::xform::Image::duplicate(&#bound)? }
        });
        let older = &way.older;
        let to = way.arm.rules.iter().map(|rule| {
            let member = &way.arm.news[rule.rights[0]].member;
            let bound = &way.arm.olds[rule.lefts[0]].bound;
            quote! { #member: #bound }
        });
        let newer = &way.newer;
        let complement = self.complement(
            Some(quote! { ::xform::Residual::of(original, image) }),
            None,
        );
        quote! {
            #from => {
                let original = #older { #(#copies),* };
                let made = #newer { #(#to),* };
                let image = ::xform::Image::duplicate(&made)?;
                ::core::result::Result::Ok((made, #complement))
            }
        }
    }

    /// A variant that the other side lacks: its stand-in, or why there is none.
    fn stand_in(
        &self,
        variant: &Lonely,
        stand_in: Option<&Expr>,
        toward: Side,
        reason: &str,
    ) -> TokenStream {
        let path = &variant.path;
        let Some(stand_in) = stand_in else {
            return quote! {
                #path { .. } => ::core::result::Result::Err(::xform::LensError::unrepresentable(#reason)),
            };
        };
        let made = match stand_in {
            Expr::Closure(_) => quote! { ::xform::__private::stand_in(#stand_in, &waiting) },
            value => quote! { #value },
        };
        let residual = match toward {
            Side::Newer => quote! { ::xform::Residual::of(waiting, image) },
            Side::Older => quote! { ::xform::Residual::of(image, waiting) },
        };
        let complement = self.complement(Some(residual), None);
        quote! {
            waiting @ #path { .. } => {
                let made = #made;
                let image = ::xform::Image::duplicate(&made)?;
                ::core::result::Result::Ok((made, #complement))
            }
        }
    }
}
