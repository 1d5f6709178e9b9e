//! The code that takes the fields of one side over to the other: of a struct, or of one variant.
//!
//! Both directions are written once: a field that only one side has is made on the way to it, and kept on the way from it.

use super::options::Part;
use super::rules::{Field, Kind, Rule, Side, record};
use super::shape;
use super::via::{Typed, all, together};
use crate::errors::Errors;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Pat, Path, Type};

pub struct Arm<'a> {
    pub olds: Vec<Field<'a>>,
    pub news: Vec<Field<'a>>,
    pub rules: Vec<Rule>,
}

/// A whole struct that is still to be taken apart.
pub struct Whole<'a> {
    pub path: &'a TokenStream,
    pub ty: &'a TokenStream,
}

/// What the complement of the arm is bound to before [`Arm::cross`].
pub fn kept_name() -> Ident {
    Ident::new("__kept", Span::mixed_site())
}

/// The value that comes, as `Lens` calls it.
pub fn source(toward: Side) -> Ident {
    match toward {
        Side::Newer => Ident::new("left", Span::call_site()),
        Side::Older => Ident::new("right", Span::call_site()),
    }
}

fn crossing(toward: Side) -> TokenStream {
    match toward {
        Side::Newer => quote! { ::xform::Lens::forward },
        Side::Older => quote! { ::xform::Lens::backward },
    }
}

impl Arm<'_> {
    fn fields(&self, side: Side) -> &[Field<'_>] {
        match side {
            Side::Older => &self.olds,
            Side::Newer => &self.news,
        }
    }

    fn of<'s>(&'s self, rule: &'s Rule, side: Side) -> impl Iterator<Item = &'s Field<'s>> {
        let indexes = match side {
            Side::Older => &rule.lefts,
            Side::Newer => &rule.rights,
        };
        indexes.iter().map(move |&index| &self.fields(side)[index])
    }

    fn typed(&self, rule: &Rule, via: &super::via::Via) -> Typed {
        let types = |side| -> Vec<_> { self.of(rule, side).map(|f| f.ty.clone()).collect() };
        via.typed(
            &together(&types(Side::Older)),
            &together(&types(Side::Newer)),
        )
    }

    fn lenses(&self) -> impl Iterator<Item = (&Rule, Typed)> {
        self.rules.iter().filter_map(|rule| match &rule.kind {
            Kind::Via(via) => Some((rule, self.typed(rule, via))),
            _ => None,
        })
    }

    /// The rules that keep something, and what its place is called.
    fn slots(&self) -> impl DoubleEndedIterator<Item = (&Rule, Ident)> {
        self.rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| matches!(rule.kind, Kind::Via(_) | Kind::OneSided(..)))
            .map(|(index, rule)| {
                (
                    rule,
                    format_ident!("__slot_{index}", span = Span::mixed_site()),
                )
            })
    }

    /// Whether anything can be kept.
    pub fn is_stateful(&self) -> bool {
        self.slots().next().is_some()
    }

    /// The type of what is kept.
    pub fn complement(&self) -> TokenStream {
        let parts = self.slots().map(|(rule, _)| {
            let kept = match &rule.kind {
                Kind::Via(via) => self.typed(rule, via).complement,
                _ => {
                    let types = self.of(rule, Side::Older).chain(self.of(rule, Side::Newer));
                    let types = types.map(|field| &field.ty);
                    quote! { ::xform::Kept<#(#types)*> }
                }
            };
            match rule.watched {
                None => kept,
                Some((left, right)) => {
                    let (older, newer) = (&self.olds[left].ty, &self.news[right].ty);
                    quote! { ::xform::ops::Watched<#kept, #older, #newer> }
                }
            }
        });
        all(&parts.collect::<Vec<_>>())
    }

    /// What is kept, once `cross` has run.
    pub fn kept(&self) -> TokenStream {
        let parts = self.slots().map(|(_, slot)| quote! { #slot });
        all(&parts.collect::<Vec<_>>())
    }

    /// The ways that all lenses of this go, each preceded by a dot.
    pub fn directions(&self) -> TokenStream {
        let all = self.lenses().map(|(_, lens)| {
            let directions = lens.directions;
            quote! { .and(#directions) }
        });
        all.collect()
    }

    /// What all lenses of this declare, each preceded by a dot.
    pub fn unrepresentable(&self) -> TokenStream {
        let all = self.lenses().map(|(_, lens)| {
            let lens = lens.lens;
            quote! { .max(::xform::Lens::unrepresentable(&#lens)) }
        });
        all.collect()
    }

    /// Whether the newer fields, which are bound to references, have older forms.
    pub fn represents(&self) -> TokenStream {
        let all = self
            .lenses()
            .filter(|(rule, _)| rule.rights.len() == 1)
            .map(|(rule, lens)| {
                let lens = lens.lens;
                let bound = self.of(rule, Side::Newer).map(|field| &field.bound);
                quote! { && ::xform::Lens::represents(&#lens, #(#bound)*) }
            });
        let all: TokenStream = all.collect();
        quote! { true #all }
    }

    /// Statements that add to `report` what is lost on the way `toward` a side.
    pub fn losses(&self) -> TokenStream {
        let all = self.slots().map(|(rule, _)| {
            let names = self.of(rule, Side::Newer).chain(self.of(rule, Side::Older));
            let name = names.map(|field| &field.key).next();
            match &rule.kind {
                Kind::Via(via) => {
                    let lens = self.typed(rule, via).lens;
                    quote! {
                        report.within(&::xform::Segment::Field(#name), |report| {
                            ::xform::Lens::losses(&#lens, toward, report);
                        });
                    }
                }
                _ => {
                    let side = match rule.lefts.is_empty() {
                        true => quote! { Newer },
                        false => quote! { Older },
                    };
                    quote! {
                        ::xform::record::defaulted(#name, toward, ::xform::Toward::#side, report);
                    }
                }
            }
        });
        all.collect()
    }

    /// Whether `complement`, a reference, says nothing.
    pub fn is_vacant(&self, complement: &TokenStream) -> TokenStream {
        let names: Vec<_> = self.slots().map(|(_, slot)| quote! { #slot }).collect();
        let pattern = all(&names);
        let each = self.slots().map(|(rule, slot)| {
            let kept = match rule.watched {
                Some(_) => quote! { (&#slot.0) },
                None => quote! { #slot },
            };
            self.says_nothing(rule, &kept)
        });
        quote! {{
            let #pattern = #complement;
            true #(&& #each)*
        }}
    }

    fn says_nothing(&self, rule: &Rule, kept: &TokenStream) -> TokenStream {
        match &rule.kind {
            Kind::Via(via) => {
                let lens = self.typed(rule, via).lens;
                quote! { ::xform::Lens::is_vacant(&#lens, #kept) }
            }
            _ => quote! { #kept.is_empty() },
        }
    }

    /// Statements that bind all fields of the side that the values go to, and the slots to what is kept, given the
    /// complement as [`kept_name`] and either the fields of the other side or, yet to be taken apart, the `whole`.
    pub fn cross(&self, toward: Side, whole: Option<&Whole>, errors: &mut Errors) -> TokenStream {
        let kept = kept_name();
        let slots = self.slots().map(|(_, slot)| {
            quote! { let (#slot, #kept) = ::xform::complement::split(#kept); }
        });
        let slots: TokenStream = slots.collect();
        let recalled: TokenStream = self
            .slots()
            .map(|(rule, slot)| self.recall(rule, &slot, toward, whole))
            .collect();
        let made: TokenStream = self
            .slots()
            .map(|(rule, slot)| self.make(rule, &slot, toward, whole, errors))
            .collect();
        let taken_apart = whole.map(|whole| {
            let pattern = record(whole.path, self.fields(toward.other()));
            let source = source(toward);
            quote! { let #pattern = #source; }
        });
        let moved: TokenStream = self
            .rules
            .iter()
            .map(|rule| self.plain(rule, toward))
            .collect();
        let through: TokenStream = self
            .slots()
            .map(|(rule, slot)| self.through(rule, &slot, toward))
            .collect();
        let derived: TokenStream = self
            .rules
            .iter()
            .map(|rule| self.derive(rule, toward, errors))
            .collect();
        let watched: TokenStream = self
            .slots()
            .map(|(rule, slot)| self.watch(rule, &slot, toward))
            .collect();
        quote! {
            #slots
            let _: ::core::option::Option<()> = #kept;
            #recalled
            // What is computed of the whole comes before it is taken apart.
            #made
            #taken_apart
            #moved
            #through
            #derived
            #watched
        }
    }

    /// What was kept, unless the watched field was written.
    fn recall(
        &self,
        rule: &Rule,
        slot: &Ident,
        toward: Side,
        whole: Option<&Whole>,
    ) -> TokenStream {
        let Some((left, right)) = rule.watched else {
            return TokenStream::new();
        };
        let (field, recall) = match toward {
            Side::Newer => (&self.olds[left], quote! { recall_older }),
            Side::Older => (&self.news[right], quote! { recall_newer }),
        };
        let now = match whole {
            Some(_) => {
                let (source, member) = (source(toward), &field.member);
                quote! { #source.#member }
            }
            None => {
                let bound = &field.bound;
                quote! { #bound }
            }
        };
        quote! { let #slot = ::xform::__private::#recall(#slot, &#now); }
    }

    /// A field that only the side has that the values go to.
    fn make(
        &self,
        rule: &Rule,
        slot: &Ident,
        toward: Side,
        whole: Option<&Whole>,
        errors: &mut Errors,
    ) -> TokenStream {
        let Kind::OneSided(side, default) = &rule.kind else {
            return TokenStream::new();
        };
        if *side != toward {
            return TokenStream::new();
        }
        let default = match (default, whole) {
            (None, _) => quote! { ::core::default::Default::default() },
            (Some(Expr::Closure(closure)), Some(whole)) if closure.inputs.len() == 1 => {
                let (pattern, body, ty) = (&closure.inputs[0], &closure.body, whole.ty);
                let source = source(toward);
                quote! {{ let #pattern: &#ty = &#source; #body }}
            }
            (Some(Expr::Closure(closure)), _) => {
                errors.at(closure, "only a field of a struct is computed, and of one argument: a borrow of the other side");
                return TokenStream::new();
            }
            (Some(value), _) => quote! { #value },
        };
        let field = self.of(rule, toward).map(|f| (&f.key, &f.bound, &f.ty));
        let all = field.map(|(key, bound, ty)| {
            quote! {
                let (#bound, #slot) = ::xform::record::crossed(
                    #key,
                    ::xform::Lens::forward(
                        &::xform::add(|| ::core::result::Result::Ok::<#ty, ::xform::LensError>(#default)),
                        (),
                        #slot,
                    ),
                )?;
            }
        });
        all.collect()
    }

    /// Fields that are moved, taken apart, or put together.
    fn plain(&self, rule: &Rule, toward: Side) -> TokenStream {
        match &rule.kind {
            Kind::Move => {
                let all = self.of(rule, toward.other()).zip(self.of(rule, toward)).map(|(from, to)| {
                    let (from, bound, ty) = (&from.bound, &to.bound, &to.ty);
                    quote_spanned! { to.field.ty.span()=> let #bound = ::xform::__private::moved::<_, #ty>(#from); }
                });
                all.collect()
            }
            Kind::Regroup(regroup) => {
                let (from, to) = match toward {
                    Side::Newer => (&regroup.lefts, &regroup.rights),
                    Side::Older => (&regroup.rights, &regroup.lefts),
                };
                let apart = from
                    .iter()
                    .zip(self.of(rule, toward.other()))
                    .map(|(part, field)| {
                        let (pattern, bound) = (part_of(part, field, toward.other()), &field.bound);
                        quote! { let #pattern = #bound; }
                    });
                let bound: Vec<_> = self.of(rule, toward).map(|field| &field.bound).collect();
                let together = to
                    .iter()
                    .zip(self.of(rule, toward))
                    .map(|(part, field)| part_of(part, field, toward));
                quote! { let (#(#bound,)*) = { #(#apart)* (#(#together,)*) }; }
            }
            _ => TokenStream::new(),
        }
    }

    /// Fields that go through a lens, and those that the side lacks that the values go to.
    fn through(&self, rule: &Rule, slot: &Ident, toward: Side) -> TokenStream {
        match &rule.kind {
            Kind::Via(via) => {
                let lens = self.typed(rule, via).lens;
                let cross = crossing(toward);
                let key = self.of(rule, toward.other()).map(|field| &field.key).next();
                let bound = |side| -> Vec<_> {
                    self.of(rule, side)
                        .map(|field| {
                            let bound = &field.bound;
                            quote! { #bound }
                        })
                        .collect()
                };
                let (from, to) = (together(&bound(toward.other())), together(&bound(toward)));
                quote! {
                    let (#to, #slot) = ::xform::record::crossed(#key, #cross(&#lens, #from, #slot))?;
                }
            }
            Kind::OneSided(side, _) if *side != toward => {
                let bound = self.of(rule, *side).map(|field| &field.bound);
                quote! { let #slot = ::xform::Kept::of(#(#bound)*); }
            }
            _ => TokenStream::new(),
        }
    }

    /// A field that is computed of its siblings.
    fn derive(&self, rule: &Rule, toward: Side, errors: &mut Errors) -> TokenStream {
        let Kind::Derived(side, closure) = &rule.kind else {
            return TokenStream::new();
        };
        if *side != toward {
            return TokenStream::new();
        }
        let siblings = self.siblings(closure, toward, errors);
        let body = &closure.body;
        let all = self.of(rule, toward).map(|field| {
            let (bound, ty) = (&field.bound, &field.ty);
            quote! { let #bound: #ty = { #siblings #body }; }
        });
        all.collect()
    }

    fn siblings(&self, closure: &ExprClosure, side: Side, errors: &mut Errors) -> TokenStream {
        let mut all = TokenStream::new();
        for input in &closure.inputs {
            let pattern = match input {
                Pat::Type(typed) => &*typed.pat,
                other => other,
            };
            let Pat::Ident(named) = pattern else {
                errors.at(
                    input,
                    "name a sibling: the closure borrows the fields that its parameters name",
                );
                continue;
            };
            let is_it = |field: &&Field| named.ident == field.key;
            let Some(field) = self.fields(side).iter().find(is_it) else {
                errors.at(
                    input,
                    format!("there is no field `{}` beside this one", named.ident),
                );
                continue;
            };
            let (ident, bound, ty) = (&named.ident, &field.bound, &field.ty);
            all.extend(quote! { let #ident: &#ty = &#bound; });
        }
        all
    }

    /// Beside what is kept, a copy of the field that must not be written meanwhile.
    fn watch(&self, rule: &Rule, slot: &Ident, toward: Side) -> TokenStream {
        let Some((left, right)) = rule.watched else {
            return TokenStream::new();
        };
        let vacant = self.says_nothing(rule, &quote! { (&#slot) });
        let (empty, bound) = (
            quote! { ::xform::Kept::empty() },
            match toward {
                Side::Newer => &self.news[right].bound,
                Side::Older => &self.olds[left].bound,
            },
        );
        let image = quote! { ::xform::ops::watch(#vacant, &#bound)? };
        let images = match toward {
            Side::Newer => quote! { (#empty, #image) },
            Side::Older => quote! { (#image, #empty) },
        };
        quote! {
            let __images = #images;
            let #slot = (#slot, __images);
        }
    }
}

/// A part of a regrouping, as pattern or expression.
fn part_of(part: &Part, field: &Field, side: Side) -> TokenStream {
    let Some(inside) = &part.inside else {
        let ident = &part.field;
        return quote! { #ident };
    };
    let ty = &field.ty;
    let path = match (side, syn::parse2::<Type>(ty.clone())) {
        (_, Ok(Type::Path(path))) => shape::without_arguments(&path.path),
        _ => Path::from(part.field.clone()),
    };
    quote! { #path { #inside } }
}
