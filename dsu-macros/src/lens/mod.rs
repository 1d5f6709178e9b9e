//! `#[derive(Lens)]`: a two-way lens to a type from the one that it replaces.
//!
//! A derive sees one type only, and a lens needs two. So the derive makes each type export its definition as a macro under
//! the type's own name; `from = old::Stats` calls `old::Stats!`, which hands both definitions to [`between`].
//! Paths go through `::xform`; names that stand beside the user's tokens have the macro's own hygiene.

mod arm;
mod enums;
mod options;
mod report;
mod rules;
mod shape;
mod structs;
mod via;

use crate::errors::{Errors, emit};
use options::TypeOptions;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Data, DeriveInput, GenericArgument, Path, PathArguments, braced};

/// The derive.
pub fn derive(input: TokenStream) -> TokenStream {
    emit(syn::parse2(input).and_then(expand))
}

fn expand(input: DeriveInput) -> syn::Result<TokenStream> {
    let (from, to) = options::sides(&input.attrs)?;
    // What describes another type is nobody's older side.
    let beside = match to {
        None => shape::export(&input),
        Some(to) => shape::used(&input, &to)?,
    };
    let Some(from) = from else {
        return Ok(beside);
    };
    let called = shape::without_arguments(&from);
    let newer = shape::with_lens_attributes_only(input);
    Ok(quote! {
        #beside
        #called! { { ::xform::__private::lens_between } { #newer } }
    })
}

/// Both definitions, handed over by the older type's macro.
struct Both {
    older: DeriveInput,
    newer: DeriveInput,
}

impl Parse for Both {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let (older, newer);
        braced!(older in input);
        braced!(newer in input);
        Ok(Both {
            older: older.parse()?,
            newer: newer.parse()?,
        })
    }
}

/// The lens between two definitions.
pub fn between(input: TokenStream) -> TokenStream {
    emit(syn::parse2(input).and_then(|both| lens(&both)))
}

/// What both kinds of types need to know.
struct Context<'a> {
    older: &'a DeriveInput,
    newer: &'a DeriveInput,
    /// The older type as the author wrote it.
    from: Path,
    options: TypeOptions,
}

impl Context<'_> {
    /// The older type in patterns and expressions.
    fn older_path(&self) -> Path {
        shape::without_arguments(&self.from)
    }

    /// The newer type in patterns and expressions.
    fn newer_path(&self) -> TokenStream {
        let newer = &self.newer.ident;
        match &self.options.to {
            Some(to) => shape::without_arguments(to).to_token_stream(),
            None => quote! { #newer },
        }
    }

    /// What the newer type is called, without a path.
    fn newer_name(&self) -> &syn::Ident {
        let to = self.options.to.as_ref().and_then(|to| to.segments.last());
        to.map_or(&self.newer.ident, |last| &last.ident)
    }

    /// The type of a field of the older type, which is private to where that type stands.
    fn older_type(&self, variant: Option<&syn::Ident>, field: &str, ty: &syn::Type) -> TokenStream {
        let mut alias = self.older_path();
        let parameters = shape::used_parameters(&self.older.generics, ty);
        if let Some(last) = alias.segments.last_mut() {
            last.ident = shape::alias(&self.older.ident, variant, field);
        }
        let given: Vec<_> = match self.from.segments.last().map(|last| &last.arguments) {
            Some(PathArguments::AngleBracketed(given)) => given
                .args
                .iter()
                .filter(|argument| !matches!(argument, GenericArgument::Lifetime(_)))
                .collect(),
            _ => Vec::new(),
        };
        let used = parameters.iter().filter_map(|&index| given.get(index));
        if parameters.is_empty() {
            quote! { #alias }
        } else {
            quote! { #alias < #(#used),* > }
        }
    }
}

/// What the two kinds of types make of their rules.
struct Body {
    complement: TokenStream,
    directions: TokenStream,
    forward: TokenStream,
    backward: TokenStream,
    is_vacant: TokenStream,
    unrepresentable: TokenStream,
    represents: TokenStream,
    losses: TokenStream,
}

fn lens(both: &Both) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let options = TypeOptions::read(&both.newer.attrs, &mut errors);
    let Some(from) = options.from.clone() else {
        return errors.finish(TokenStream::new());
    };
    let context = Context {
        older: &both.older,
        newer: &both.newer,
        from,
        options,
    };
    let body = match (&both.older.data, &both.newer.data) {
        (Data::Struct(older), Data::Struct(newer)) => {
            structs::body(&context, &older.fields, &newer.fields, &mut errors)
        }
        (Data::Enum(older), Data::Enum(newer)) => enums::body(&context, older, newer, &mut errors),
        _ => {
            errors.at(
                &context.from,
                "a derived lens goes from struct to struct or from enum to enum: for others write `xform::variant!` or implement `Lens`",
            );
            None
        }
    };
    if let Some(questions) = errors.take_questions() {
        // With a lens beside them, the questions are all that the compiler says.
        let questions = questions.to_compile_error();
        let lens = implementation(&context, &undecided());
        return Ok(quote! { #questions #lens });
    }
    let Some(body) = errors.finish(body)? else {
        return Ok(TokenStream::new());
    };
    Ok(implementation(&context, &body))
}

/// What never runs, since it stands beside a `compile_error!`.
fn undecided() -> Body {
    let never = quote! { ::core::unreachable!() };
    Body {
        complement: quote! { () },
        directions: quote! { ::xform::Directions::Both },
        forward: never.clone(),
        backward: never.clone(),
        is_vacant: never.clone(),
        unrepresentable: never.clone(),
        represents: never.clone(),
        losses: TokenStream::new(),
    }
}

fn implementation(context: &Context, body: &Body) -> TokenStream {
    let visibility = &context.newer.vis;
    let from = &context.from;
    let newer_name = context.newer_name();
    let name = match &context.options.name {
        Some(name) => name.clone(),
        None => format_ident!("{newer_name}Lens"),
    };
    let (impl_generics, type_generics, where_clause) = context.newer.generics.split_for_impl();
    let newer = match &context.options.to {
        Some(to) => quote! { #to },
        None => quote! { #newer_name #type_generics },
    };
    let parameters: Vec<_> = context
        .newer
        .generics
        .type_params()
        .map(|p| &p.ident)
        .collect();
    let (marker, value) = match parameters.is_empty() {
        true => (None, None),
        false => (
            Some(quote! { (::core::marker::PhantomData<fn() -> (#(#parameters,)*)>) }),
            Some(quote! { (::core::marker::PhantomData) }),
        ),
    };
    let Body {
        complement,
        directions,
        forward,
        backward,
        is_vacant,
        unrepresentable,
        represents,
        losses,
    } = body;
    let documentation = format!("The lens to `{newer_name}` from what it was.");
    let generics = &context.newer.generics;
    quote! {
        #[doc = #documentation]
        #visibility struct #name #generics #marker #where_clause;

        const _: () = {
            impl #impl_generics ::core::default::Default for #name #type_generics #where_clause {
                fn default() -> Self {
                    #name #value
                }
            }

            impl #impl_generics ::xform::Successor<#from> for #newer #where_clause {
                type Lens = #name #type_generics;
            }

            #[allow(clippy::all, unused_variables, unused_mut, unreachable_code)]
            impl #impl_generics ::xform::Lens for #name #type_generics #where_clause {
                type Left = #from;
                type Right = #newer;
                type Complement = #complement;
                const DIRECTIONS: ::xform::Directions = #directions;

                #[inline]
                fn forward(
                    &self,
                    left: Self::Left,
                    complement: ::core::option::Option<Self::Complement>,
                ) -> ::core::result::Result<(Self::Right, Self::Complement), ::xform::LensError> {
                    #forward
                }

                #[inline]
                fn backward(
                    &self,
                    right: Self::Right,
                    complement: ::core::option::Option<Self::Complement>,
                ) -> ::core::result::Result<(Self::Left, Self::Complement), ::xform::LensError> {
                    #backward
                }

                fn is_vacant(&self, complement: &Self::Complement) -> bool {
                    #is_vacant
                }

                fn unrepresentable(&self) -> ::xform::Unrepresentable {
                    #unrepresentable
                }

                fn represents(&self, right: &Self::Right) -> bool {
                    #represents
                }

                fn losses(&self, toward: ::xform::Toward, report: &mut ::xform::Losses) {
                    #losses
                }
            }
        };
    }
}

/// `(a, (b, (c, ())))`, as a type, a pattern or an expression.
fn nest(parts: impl DoubleEndedIterator<Item = TokenStream>) -> TokenStream {
    parts
        .rev()
        .fold(quote! { () }, |rest, part| quote! { (#part, #rest) })
}
