//! `#[dsu::private]`: the static as it is, and its name for `dsu check` (R4).

use crate::errors::emit;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemStatic;

/// The attribute.
pub fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    emit(expansion(arguments, item))
}

fn expansion(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(syn::Error::new_spanned(
            arguments,
            "`#[dsu::private]` takes no arguments",
        ));
    }
    let item: ItemStatic = syn::parse2(item)
        .map_err(|error| syn::Error::new(error.span(), "`#[dsu::private]` goes on a static"))?;
    let name = format!("::{}", item.ident);
    Ok(quote! {
        #item

        ::dsu_runtime::__private::inventory::submit! {
            ::dsu_runtime::abi::PrivateStaticRegistration {
                name: ::core::concat!(::core::module_path!(), #name),
            }
        }
    })
}
