//! `#[derive(Carry)]`: the schema of a type that crosses through serde (R24).

use crate::attributes::{Options, is_skipped_by_serde};
use crate::errors::{Errors, emit};
use crate::shared::field_name;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, parse_quote};

/// The derive.
pub fn derive(input: TokenStream) -> TokenStream {
    emit(syn::parse2(input).and_then(|input| expand(&input)))
}

fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let options = Options::read(&input.attrs, "carry", &["name", "meaning"], &mut errors);
    for lifetime in input.generics.lifetimes() {
        errors.at(
            lifetime,
            "a carry owns what it holds: it outlives the version that made it",
        );
    }
    let kind = match &input.data {
        Data::Struct(data) => {
            let fields = fields(&data.fields);
            quote! { ::dsu_runtime::abi::TypeKind::Struct(#fields) }
        }
        Data::Enum(data) => {
            let variants = data.variants.iter().enumerate().map(|(index, variant)| {
                let name = syn::ext::IdentExt::unraw(&variant.ident).to_string();
                let index = index as i128;
                let fields = fields(&variant.fields);
                quote! { ::dsu_runtime::__private::carried_variant(#name, #index, #fields) }
            });
            quote! { ::dsu_runtime::__private::carried_enum(::dsu_runtime::__private::Vec::from([ #(#variants),* ])) }
        }
        Data::Union(data) => {
            errors.at(data.union_token, "a union has no encoded form: use an enum");
            TokenStream::new()
        }
    };
    errors.finish(())?;
    let ident = &input.ident;
    let name = options.name.unwrap_or_else(|| ident.to_string());
    let meaning = options.meaning;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter
            .bounds
            .push(parse_quote!(::dsu_runtime::worker::Carried));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::dsu_runtime::worker::Carried for #ident #type_generics #where_clause {
            fn schema() -> ::dsu_runtime::abi::TypeSchema {
                ::dsu_runtime::__private::carried_type::<Self>(#name, #meaning, || #kind)
            }
        }
    })
}

/// A vector of field schemas.
fn fields(fields: &Fields) -> TokenStream {
    let rows = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| !is_skipped_by_serde(&field.attrs))
        .map(|(index, field)| {
            let name = field_name(field, index);
            let ty = &field.ty;
            quote_spanned! { ty.span()=> ::dsu_runtime::__private::carried_field::<#ty>(#name) }
        });
    quote! { ::dsu_runtime::__private::Vec::from([ #(#rows),* ]) }
}
