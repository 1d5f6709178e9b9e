//! `#[guards(…)]`: the static, the struct of its items, and the registration.

use crate::errors::emit;
use crate::guards_input::{Initialiser, Input, Item, parse};
use crate::shared;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse_quote;
use syn::spanned::Spanned;

/// The attribute.
pub fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    emit(parse(arguments, item).and_then(|input| expansion(&input)))
}

fn expansion(input: &Input) -> syn::Result<TokenStream> {
    let Input {
        attributes,
        visibility,
        ident,
        family,
        items,
        ..
    } = input;
    let tuple = items_ident(ident);
    let (fields, types): (Vec<_>, Vec<_>) = items.iter().map(|i| (&i.ident, &i.ty)).unzip();
    let fields_doc = fields.iter().map(|field| format!("The item `{field}`."));
    let tuple_doc = format!("What [`{ident}`] guards.");
    let structure = quote! {
        #[doc = #tuple_doc]
        #[repr(C)]
        #visibility struct #tuple {
            #( #[doc = #fields_doc] pub #fields: #types, )*
        }
    };
    let name = ident.to_string();
    let mut described: syn::DeriveInput = parse_quote! { #structure };
    described
        .attrs
        .push(parse_quote! { #[shared(inline, name = #name)] });
    let shared = shared::expand(described)?;
    let guard = match family {
        Some(length) => quote! { ::dsu_runtime::sync::GuardFamily<#tuple, #length> },
        None => quote! { ::dsu_runtime::sync::GuardMutex<#tuple> },
    };
    let registration = registration(input, &tuple);
    Ok(quote! {
        #(#attributes)*
        #visibility static #ident: #guard = <#guard>::new();
        #structure
        #shared
        #registration
    })
}

fn registration(input: &Input, tuple: &Ident) -> TokenStream {
    let ident = &input.ident;
    let name = ident.to_string();
    let renamed_from = &input.renamed_from;
    let family = match &input.family {
        Some(length) => quote! { ::core::option::Option::Some(#length) },
        None => quote! { ::core::option::Option::None },
    };
    let inits = input
        .items
        .iter()
        .enumerate()
        .map(|(i, item)| init(i, item, tuple));
    let calls = input.items.iter().enumerate().map(|(i, item)| {
        let marker = init_ident(i);
        quote_spanned! { item.ty.span()=> ::dsu_runtime::__private::item::<#marker>() }
    });
    let moved = input.items.iter().filter_map(|item| {
        let (guard, from) = item.moved_from.as_ref()?;
        let item = item.ident.to_string();
        Some(quote! { ::dsu_runtime::abi::MovedItem { item: #item, guard: #guard, from: #from } })
    });
    quote! {
        const _: () = {
            #(#inits)*

            const __ITEMS: &[::dsu_runtime::abi::ItemCalls] =
                &[ #( #calls ),* ];

            ::dsu_runtime::__private::inventory::submit! {
                ::dsu_runtime::abi::GuardRegistration {
                    name: #name,
                    renamed_from: #renamed_from,
                    family: #family,
                    schema: <#tuple as ::dsu_runtime::heap::Shared>::schema,
                    items: __ITEMS,
                    moved: &[ #( #moved ),* ],
                    drop: ::dsu_runtime::__private::drop_value::<#tuple>,
                    visit: ::dsu_runtime::__private::visit_value::<#tuple>,
                    cells: #ident.cells(),
                }
            }
        };
    }
}

/// How one item is made.
fn init(index: usize, item: &Item, tuple: &Ident) -> TokenStream {
    let marker = init_ident(index);
    let ty = &item.ty;
    let value = match &item.initialiser {
        Some(Initialiser { body, .. }) => quote! { #body },
        None => quote_spanned! { ty.span()=> <#ty as ::core::default::Default>::default() },
    };
    let reads = item.initialiser.iter().flat_map(|from| &from.reads);
    let (types, fields): (Vec<_>, Vec<_>) =
        reads.clone().map(|read| (&read.ty, &read.ident)).unzip();
    let siblings: Vec<_> = fields
        .iter()
        .map(|field| format_ident!("__{field}"))
        .collect();
    let parameters = reads.map(|read| &read.parameter);
    quote! {
        struct #marker;

        // SAFETY: the offsets are those of fields of these types, declared before this one.
        unsafe impl ::dsu_runtime::__private::ItemInit for #marker {
            type Item = #ty;
            type Reads = (#(#types,)*);
            const OFFSETS: &'static [usize] = &[#(::core::mem::offset_of!(#tuple, #fields)),*];

            fn make((#(#siblings,)*): (#(&#types,)*)) -> #ty {
                #( let #parameters = #siblings; )*
                #value
            }
        }
    }
}

fn init_ident(index: usize) -> Ident {
    format_ident!("__Init{index}")
}

/// `SHARDS` guards `ShardsItems`, `OPEN_FILES` guards `OpenFilesItems`.
fn items_ident(guard: &Ident) -> Ident {
    let mut name = String::new();
    for word in guard.to_string().trim_start_matches("r#").split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.extend(letters.flat_map(char::to_lowercase));
    }
    format_ident!("{name}Items", span = guard.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_of_items_is_named_after_the_static() {
        for (guard, items) in [
            ("SHARDS", "ShardsItems"),
            ("OPEN_FILES", "OpenFilesItems"),
            ("T2", "T2Items"),
        ] {
            assert_eq!(items_ident(&format_ident!("{guard}")).to_string(), items);
        }
    }

    #[test]
    fn every_wrong_argument_is_reported_at_once() {
        let errors = expand(
            quote! { shard, stats: Stats, stats: Stats, chek = f, moved(peers: u8, from = "TOTALS"), sum: u64 = |stast| 0, late: u64 = |last, (a, b)| 0, last: u64 },
            quote! { static mut SHARDS: [Mutex; N] = 3; },
        )
        .to_string();
        for expected in [
            "item `shard` has no type",
            "item `stats` is declared twice",
            "unknown option `chek`",
            "named with its guard",
            "there is no item `stast`",
            "item `last` is declared later",
            "a parameter is the name of an item",
            "a guard is not `mut`",
            "a guard has no initialiser",
            "expected `GuardMutex`",
            "the number of guards is a literal",
        ] {
            assert!(
                errors.contains(expected),
                "{expected} is missing in {errors}"
            );
        }
    }
}
