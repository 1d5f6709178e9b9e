//! How a type exports its definition: a macro under the type's name, and an alias for the type of each field.
//!
//! The aliases stand beside the type, because what a field's type is called there may mean something else elsewhere.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Fields, GenericParam, Generics, Ident, Member, Path,
    PathArguments, Type,
};

/// The macro and the aliases.
pub fn export(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    let definition = bare(input.clone());
    let name = format_ident!("__definition_of_{ident}", span = Span::call_site());
    let aliases = fields(&input.data).map(|(variant, fields)| {
        let aliases = fields.iter().enumerate().map(|(index, field)| {
            let ty = &field.ty;
            let name = alias(ident, variant, &crate::shared::field_name(field, index));
            let used = used_parameters(&input.generics, ty);
            let parameters = input.generics.params.iter().filter(|p| !is_lifetime(p));
            let used: Vec<_> = parameters
                .enumerate()
                .filter(|(index, _)| used.contains(index))
                .map(|(_, parameter)| without_default(parameter))
                .collect();
            let generics = (!used.is_empty()).then(|| quote! { <#(#used),*> });
            quote! {
                #[doc(hidden)]
                #[allow(dead_code, non_camel_case_types, type_alias_bounds)]
                pub(crate) type #name #generics = #ty;
            }
        });
        quote! { #(#aliases)* }
    });
    quote! {
        #(#aliases)*

        #[allow(unused_macros)]
        macro_rules! #name {
            ({ $($then:tt)* } { $($newer:tt)* }) => {
                $($then)* ! { { #definition } { $($newer)* } }
            };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use #name as #ident;
    }
}

/// A type that only describes another one is never made, and says here that this is meant.
pub fn used(input: &DeriveInput, to: &Path) -> syn::Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        let message = format!(
            "what describes another type describes one: write the parameters out, here and in `to = {}`",
            to.to_token_stream()
        );
        return Err(syn::Error::new_spanned(parameter, message));
    }
    let ident = &input.ident;
    // Made and taken apart in different places: a variant that is only made of itself counts as never made.
    let (mut makers, mut arms) = (TokenStream::new(), TokenStream::new());
    for (variant, fields) in fields(&input.data) {
        let path = match variant {
            Some(variant) => quote! { #ident::#variant },
            None => quote! { #ident },
        };
        let (mut types, mut bounds, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for (index, field) in fields.iter().enumerate() {
            let member = match &field.ident {
                Some(ident) => Member::Named(ident.clone()),
                None => Member::Unnamed(index.into()),
            };
            let bound = format_ident!("__{}", crate::shared::field_name(field, index));
            types.push(&field.ty);
            members.push(quote! { #member: #bound });
            bounds.push(bound);
        }
        makers.extend(quote! {
            const _: fn((#(#types,)*)) -> #ident = |(#(#bounds,)*)| #path { #(#members),* };
        });
        arms.extend(quote! { #path { #(#members),* } => ::core::mem::drop((#(#bounds,)*)), });
    }
    Ok(quote! {
        #makers
        const _: fn(#ident) = |described| match described { #arms };
    })
}

/// Each set of fields: of the struct, or of each variant.
fn fields(data: &Data) -> Box<dyn Iterator<Item = (Option<&Ident>, &Fields)> + '_> {
    match data {
        Data::Struct(data) => Box::new(std::iter::once((None, &data.fields))),
        Data::Enum(data) => Box::new(data.variants.iter().map(|v| (Some(&v.ident), &v.fields))),
        Data::Union(_) => Box::new(std::iter::empty()),
    }
}

/// What the type of a field is called outside of its module.
pub fn alias(ident: &Ident, variant: Option<&Ident>, field: &str) -> Ident {
    match variant {
        Some(variant) => format_ident!("__{ident}_{variant}_{field}"),
        None => format_ident!("__{ident}_{field}"),
    }
}

/// The parameters that a type mentions, by their index among those that are no lifetimes.
pub fn used_parameters(generics: &Generics, ty: &Type) -> Vec<usize> {
    fn mentions(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|tree| match tree {
            TokenTree::Ident(found) => found == *name,
            TokenTree::Group(group) => mentions(group.stream(), name),
            _ => false,
        })
    }
    let parameters = generics.params.iter().filter(|p| !is_lifetime(p));
    parameters
        .enumerate()
        .filter(|(_, parameter)| match parameter {
            GenericParam::Type(parameter) => mentions(ty.to_token_stream(), &parameter.ident),
            GenericParam::Const(parameter) => mentions(ty.to_token_stream(), &parameter.ident),
            GenericParam::Lifetime(_) => false,
        })
        .map(|(index, _)| index)
        .collect()
}

fn is_lifetime(parameter: &GenericParam) -> bool {
    matches!(parameter, GenericParam::Lifetime(_))
}

fn without_default(parameter: &GenericParam) -> GenericParam {
    let mut parameter = parameter.clone();
    match &mut parameter {
        GenericParam::Type(parameter) => parameter.default = None,
        GenericParam::Const(parameter) => parameter.default = None,
        GenericParam::Lifetime(_) => {}
    }
    parameter
}

/// A path as a macro, a pattern or an expression has it.
pub fn without_arguments(path: &Path) -> Path {
    let mut path = path.clone();
    if let Some(last) = path.segments.last_mut() {
        last.arguments = PathArguments::None;
    }
    path
}

/// The definition alone.
fn bare(input: DeriveInput) -> DeriveInput {
    keep(input, |_| false)
}

/// The definition with what the lens is told about it.
pub fn with_lens_attributes_only(input: DeriveInput) -> DeriveInput {
    keep(input, |attribute| attribute.path().is_ident("lens"))
}

fn keep(mut input: DeriveInput, is_kept: fn(&Attribute) -> bool) -> DeriveInput {
    let retain = |fields: &mut Fields| {
        for field in fields {
            field.attrs.retain(is_kept);
        }
    };
    input.attrs.retain(is_kept);
    match &mut input.data {
        Data::Struct(data) => retain(&mut data.fields),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.attrs.retain(is_kept);
                retain(&mut variant.fields);
            }
        }
        Data::Union(_) => {}
    }
    input
}
