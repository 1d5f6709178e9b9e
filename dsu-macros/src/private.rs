//! `#[dsu::private]`: the static as it is, and where it is for `dsu check` (R4).

use crate::errors::emit;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Item, Type};

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
    let (ident, address) = match syn::parse2(item.clone())? {
        Item::Static(item) => {
            let ident = item.ident;
            let address = quote! { ::core::option::Option::Some(|| (&raw const #ident).cast()) };
            (ident, address)
        }
        // What `thread_local!` makes of a static: its key, which the threads' own copies go by.
        Item::Const(item) if is_key(&item.ty) => {
            (item.ident, quote! { ::core::option::Option::None })
        }
        _ => {
            return Err(syn::Error::new_spanned(
                item,
                "`#[dsu::private]` goes on a static, inside `thread_local!` too",
            ));
        }
    };
    let name = format!(
        "::{}",
        ident.to_token_stream().to_string().trim_start_matches("r#")
    );
    Ok(quote! {
        #item

        ::dsu_runtime::__private::inventory::submit! {
            ::dsu_runtime::abi::PrivateStaticRegistration {
                name: ::core::concat!(::core::module_path!(), #name),
                address: #address,
            }
        }
    })
}

fn is_key(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|segment| segment.ident == "LocalKey")
}
