//! `#[derive(Shared)]`: a table of fields with their offsets, and for boxed types a tag and a registration.
//!
//! Each field's type is named once, in the table, so that a type that is not `Shared` is one error, at the field.

use crate::attributes::{Options, Repr};
use crate::enums;
use crate::errors::{Errors, emit};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, GenericParam, Generics, Type, parse_quote};

/// The derive.
pub fn derive(input: TokenStream) -> TokenStream {
    emit(syn::parse2(input).and_then(expand))
}

/// The same, for a type that another expansion made.
pub fn expand(input: DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let options = Options::read(
        &input.attrs,
        "shared",
        &["name", "meaning", "frozen", "inline", "forbid"],
        &mut errors,
    );
    let repr = Repr::read(&input.attrs, &mut errors);
    check_generics(&input, &options, &mut errors);
    match &input.data {
        Data::Struct(data) => check_fields(&data.fields, "", &mut errors),
        Data::Enum(data) => {
            for variant in &data.variants {
                check_fields(&variant.fields, &format!("{}.", variant.ident), &mut errors);
            }
        }
        Data::Union(_) => {}
    }
    let generics = with_bounds(&input.generics);
    let shape = match &input.data {
        Data::Struct(data) => Some(Shape {
            body: struct_body(&data.fields),
            variant: quote! { 0 },
            checks: TokenStream::new(),
        }),
        Data::Enum(data) => enums::shape(&input, data, &generics, &repr, &mut errors),
        Data::Union(data) => {
            errors.at(
                data.union_token,
                "a union cannot be shared: other versions cannot tell which field is live; use an enum with a `repr`",
            );
            None
        }
    };
    let Some(shape) = errors.finish(shape)? else {
        return Ok(TokenStream::new());
    };
    Ok(implementations(&input, &options, &generics, shape))
}

/// What differs between structs and enums.
pub struct Shape {
    /// A `Body` of the runtime.
    pub body: TokenStream,
    /// An expression over `self`: the index of its variant.
    pub variant: TokenStream,
    /// Items that the body refers to.
    pub checks: TokenStream,
}

fn implementations(
    input: &DeriveInput,
    options: &Options,
    generics: &Generics,
    shape: Shape,
) -> TokenStream {
    let ident = &input.ident;
    let name = options.name.clone().unwrap_or_else(|| ident.to_string());
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let Shape {
        body,
        variant,
        checks,
    } = shape;
    let meaning = options.meaning;
    let cell = match options.inline {
        Some(_) => quote! { ::dsu_runtime::heap::Inline<Self> },
        None => quote! { ::dsu_runtime::heap::Versioned<Self> },
    };
    let element = options
        .inline
        .is_none()
        .then(|| element(input, &name, options));
    quote! {
        const _: () = {
            #checks

            unsafe impl #impl_generics ::dsu_runtime::__private::Shaped for #ident #type_generics #where_clause {
                const SHAPE: ::dsu_runtime::__private::Shape = ::dsu_runtime::__private::Shape {
                    name: #name,
                    meaning: #meaning,
                    body: #body,
                };

                fn variant(&self) -> usize {
                    #variant
                }
            }

            unsafe impl #impl_generics ::dsu_runtime::heap::Shared for #ident #type_generics #where_clause {
                type Cell = #cell;

                fn schema() -> ::dsu_runtime::abi::TypeSchema {
                    ::dsu_runtime::__private::schema_of::<Self>()
                }

                fn visit(&mut self, visitor: &mut dyn ::dsu_runtime::heap::Visitor) {
                    ::dsu_runtime::__private::visit_fields(self, visitor)
                }

                fn sample(draws: &mut ::dsu_runtime::heap::Draws) -> ::core::option::Option<Self> {
                    ::dsu_runtime::__private::sample(draws)
                }
            }

            #element
        };
    }
}

/// The tag of a boxed type, and its registration.
fn element(input: &DeriveInput, name: &str, options: &Options) -> TokenStream {
    let ident = &input.ident;
    let frozen = options.frozen;
    let (cell, forbid, refusal) = match options.forbid {
        None => (
            TokenStream::new(),
            quote! { ::core::option::Option::None },
            quote! { type Refusal = ::dsu_runtime::error::HeapFull; },
        ),
        Some(_) => (
            quote! {
                static __FORBID: ::dsu_runtime::abi::ForbidCell = ::dsu_runtime::abi::ForbidCell::new();
            },
            quote! { ::core::option::Option::Some(&__FORBID) },
            quote! {
                type Refusal = ::dsu_runtime::error::MakeError;

                const FORBIDS: bool = true;

                fn admit(&self) -> ::core::result::Result<(), ::dsu_runtime::error::MakeError> {
                    ::dsu_runtime::__private::admit(self, &__FORBID)
                }
            },
        ),
    };
    quote! {
        #cell

        static __TAG: ::dsu_runtime::abi::TagCell = ::dsu_runtime::abi::TagCell::new();

        unsafe impl ::dsu_runtime::heap::Element for #ident {
            #refusal

            fn tag() -> &'static ::dsu_runtime::abi::TagCell {
                &__TAG
            }

            // Not by way of the schema, in which the type may occur again.
            fn name() -> ::std::string::String {
                ::std::string::String::from(#name)
            }
        }

        ::dsu_runtime::__private::inventory::submit! {
            ::dsu_runtime::abi::TypeRegistration {
                name: #name,
                path: ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident)),
                frozen_from: #frozen,
                schema: <#ident as ::dsu_runtime::heap::Shared>::schema,
                tag: &__TAG,
                forbid: #forbid,
                drop: ::dsu_runtime::__private::drop_value::<#ident>,
                visit: ::dsu_runtime::__private::visit_value::<#ident>,
            }
        }
    }
}

fn check_generics(input: &DeriveInput, options: &Options, errors: &mut Errors) {
    for lifetime in input.generics.lifetimes() {
        errors.at(
            lifetime,
            "a shared type cannot borrow: references are valid in one process only",
        );
    }
    let is_generic = input
        .generics
        .params
        .iter()
        .any(|p| !matches!(p, GenericParam::Lifetime(_)));
    if is_generic && options.inline.is_none() {
        errors.at(
            &input.generics,
            "a generic type cannot be boxed, since a tag names one type: add `#[shared(inline)]`",
        );
    }
    if let Some(span) = options
        .forbid
        .filter(|_| options.inline.is_some() || options.frozen != 0)
    {
        errors.push(syn::Error::new(
            span,
            "what is forbidden is asked when a box of this version's type is made: leave out `inline` and `frozen`",
        ));
    }
    if is_generic && options.frozen != 0 {
        errors.at(
            &input.generics,
            "a frozen copy is of one type: write out its parameters",
        );
    }
}

/// What can be seen to be process-local without knowing any names; the rest is left to the trait.
fn check_fields(fields: &Fields, prefix: &str, errors: &mut Errors) {
    for (index, field) in fields.iter().enumerate() {
        let what = match &field.ty {
            Type::Reference(_) => "a reference",
            Type::Ptr(_) => "a pointer",
            Type::BareFn(_) => "a function pointer",
            Type::TraitObject(_) => "a trait object",
            _ => continue,
        };
        let name = field_name(field, index);
        errors.at(
            &field.ty,
            format!("field `{prefix}{name}` is {what}, which only one process can use: shared types hold values"),
        );
    }
}

/// `T: Shared` for every type parameter.
fn with_bounds(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter
            .bounds
            .push(parse_quote!(::dsu_runtime::heap::Shared));
    }
    generics
}

fn struct_body(fields: &Fields) -> TokenStream {
    let entries = fields.iter().enumerate().map(|(index, field)| {
        let member = match &field.ident {
            Some(ident) => quote! { #ident },
            None => {
                let index = syn::Index {
                    index: index as u32,
                    span: Span::call_site(),
                };
                quote! { #index }
            }
        };
        field_entry(
            &field_name(field, index),
            &field.ty,
            quote! { ::core::mem::offset_of!(Self, #member) },
        )
    });
    quote! { ::dsu_runtime::__private::Body::Struct { fields: &[ #(#entries),* ] } }
}

/// One row of the table; an unfit type is an error at the field.
pub fn field_entry(name: &str, ty: &syn::Type, offset: TokenStream) -> TokenStream {
    let span = ty.span();
    quote_spanned! { span=> ::dsu_runtime::__private::Field::of::<#ty>(#name, #offset) }
}

/// The name of a field in a schema: its own, or its number.
pub fn field_name(field: &syn::Field, index: usize) -> String {
    match &field.ident {
        // `r#type` is stored as `type`.
        Some(ident) => syn::ext::IdentExt::unraw(ident).to_string(),
        None => index.to_string(),
    }
}

/// The name of a mirror's field.
pub fn positional(index: usize) -> syn::Ident {
    format_ident!("field{index}")
}
