//! Enums in shared memory: where each variant's payload lies, through a mirror union of `repr(C)` structs.
//!
//! `offset_of!` of a variant's field is unstable. RFC 2195 defines the layout of an enum with an explicit `repr`
//! as that of a `repr(C)` union of structs, each starting with the discriminant (or, under `repr(C, int)`,
//! a discriminant followed by a union), and the offsets in those structs can be taken.

use crate::attributes::Repr;
use crate::errors::Errors;
use crate::shared::{Shape, field_entry, field_name, positional};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{DataEnum, DeriveInput, Generics, Variant};

const INTEGERS: [&str; 10] = [
    "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize",
];

/// The table of an enum's variants, or errors.
pub fn shape(
    input: &DeriveInput,
    data: &DataEnum,
    generics: &Generics,
    repr: &Repr,
    errors: &mut Errors,
) -> Option<Shape> {
    if data.variants.is_empty() {
        errors.at(
            &input.ident,
            "an enum without variants has no values to share",
        );
        return None;
    }
    let Some(integer) = repr
        .integer
        .as_ref()
        .filter(|i| INTEGERS.iter().any(|known| *i == known))
    else {
        errors.at(
            &input.ident,
            "an enum in shared memory needs an explicit `repr`, so that every version lays it out alike: add `#[repr(u8)]`",
        );
        return None;
    };
    let mirror = Mirror {
        input,
        generics,
        integer,
        outside: repr.c,
    };
    Some(mirror.shape(data))
}

struct Mirror<'a> {
    input: &'a DeriveInput,
    generics: &'a Generics,
    integer: &'a Ident,
    /// `repr(C, int)`: the discriminant stands before the union, not in each struct.
    outside: bool,
}

impl Mirror<'_> {
    fn shape(&self, data: &DataEnum) -> Shape {
        let integer = self.integer;
        let repr = integer.to_string();
        let structs = data
            .variants
            .iter()
            .enumerate()
            .map(|(i, v)| self.mirror(i, v));
        let discriminants = data.variants.iter().enumerate().map(|(i, v)| {
            let constant = discriminant(i);
            let value = match (&v.discriminant, i.checked_sub(1).map(discriminant)) {
                (Some((_, explicit)), _) => quote! { #explicit },
                (None, Some(previous)) => quote! { #previous + 1 },
                (None, None) => quote! { 0 },
            };
            quote! { const #constant: #integer = #value; }
        });
        let variants = data
            .variants
            .iter()
            .enumerate()
            .map(|(i, v)| self.variant(i, v));
        let arms = data.variants.iter().enumerate().map(|(i, v)| {
            let ident = &v.ident;
            quote! { Self::#ident { .. } => #i }
        });
        let union = self.union(data);
        let (_, type_generics, _) = self.generics.split_for_impl();
        let whole = if self.outside {
            format_ident!("__Tagged")
        } else {
            format_ident!("__Payload")
        };
        Shape {
            body: quote! {
                ::dsu_runtime::__private::Body::Enum {
                    repr: #repr,
                    variants: {
                        ::dsu_runtime::__private::assert_mirrored::<Self, #whole #type_generics>();
                        &[ #(#variants),* ]
                    },
                }
            },
            variant: quote! { match self { #(#arms),* } },
            checks: quote! { #(#discriminants)* #(#structs)* #union },
        }
    }

    /// The struct whose layout is that of one variant.
    fn mirror(&self, index: usize, variant: &Variant) -> TokenStream {
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        let ident = struct_ident(index);
        let integer = self.integer;
        let tag = (!self.outside).then(|| quote! { tag: #integer, });
        let fields = variant.fields.iter().enumerate().map(|(i, field)| {
            let name = positional(i);
            let ty = self.without_self(field.ty.to_token_stream());
            quote! { #name: #ty, }
        });
        let phantom = self.phantom();
        quote! {
            #[allow(dead_code)]
            #[repr(C)]
            struct #ident #impl_generics #where_clause { #tag #(#fields)* #phantom }
        }
    }

    /// Uses every type parameter, in no bytes.
    fn phantom(&self) -> Option<TokenStream> {
        let types: Vec<_> = self.generics.type_params().map(|p| &p.ident).collect();
        (!types.is_empty())
            .then(|| quote! { parameters: ::core::marker::PhantomData<(#(#types,)*)>, })
    }

    /// The whole enum again, to compare sizes.
    fn union(&self, data: &DataEnum) -> TokenStream {
        let (impl_generics, type_generics, where_clause) = self.generics.split_for_impl();
        let integer = self.integer;
        let members = (0..data.variants.len()).map(|i| {
            let name = positional(i);
            let ident = struct_ident(i);
            quote! { #name: ::core::mem::ManuallyDrop<#ident #type_generics>, }
        });
        quote! {
            #[allow(dead_code)]
            #[repr(C)]
            union __Payload #impl_generics #where_clause { #(#members)* }

            #[allow(dead_code)]
            #[repr(C)]
            struct __Tagged #impl_generics #where_clause {
                tag: #integer,
                payload: __Payload #type_generics,
            }
        }
    }

    /// One row of the table of variants.
    fn variant(&self, index: usize, variant: &Variant) -> TokenStream {
        let (_, type_generics, _) = self.generics.split_for_impl();
        let ident = struct_ident(index);
        let name = syn::ext::IdentExt::unraw(&variant.ident).to_string();
        let constant = discriminant(index);
        let fields = variant.fields.iter().enumerate().map(|(i, field)| {
            let member = positional(i);
            let inside = quote! { ::core::mem::offset_of!(#ident #type_generics, #member) };
            let offset = if self.outside {
                quote! { ::core::mem::offset_of!(__Tagged #type_generics, payload) + #inside }
            } else {
                inside
            };
            field_entry(&field_name(field, i), &field.ty, offset)
        });
        quote! {
            ::dsu_runtime::__private::Variant {
                name: #name,
                discriminant: #constant as i128,
                fields: &[ #(#fields),* ],
            }
        }
    }

    /// `Self` would mean the mirror there.
    fn without_self(&self, tokens: TokenStream) -> TokenStream {
        let ident = &self.input.ident;
        let (_, type_generics, _) = self.generics.split_for_impl();
        tokens
            .into_iter()
            .flat_map(|tree| match tree {
                TokenTree::Ident(found) if found == "Self" => quote! { #ident #type_generics },
                TokenTree::Group(group) => {
                    let mut inner =
                        Group::new(group.delimiter(), self.without_self(group.stream()));
                    inner.set_span(group.span());
                    TokenTree::from(inner).into()
                }
                other => other.into(),
            })
            .collect()
    }
}

fn struct_ident(index: usize) -> Ident {
    format_ident!("__Variant{index}", span = Span::call_site())
}

fn discriminant(index: usize) -> Ident {
    format_ident!("__DISCRIMINANT_{index}", span = Span::call_site())
}
