//! `#[dsu::function]`: the function as it is, a type of its name for the type namespace, and its registration.

use crate::errors::{Errors, emit};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{FnArg, GenericParam, Ident, ItemFn, LitStr, Signature, Token, Type};

/// Bytes of a name that a value in shared memory has room for (`dsu_runtime::heap::SharedFn`).
const MOST_BYTES: usize = 31;

/// The attribute.
pub fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    emit(expansion(arguments, item))
}

/// `name = "…"`, or nothing.
struct Arguments {
    name: Option<LitStr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Arguments { name: None });
        }
        let option: Ident = input.parse()?;
        if option != "name" {
            return Err(syn::Error::new_spanned(
                option,
                "unknown option: the only one is `name = \"…\"`, the stable name of a function that is renamed",
            ));
        }
        input.parse::<Token![=]>()?;
        let name = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Arguments { name: Some(name) })
    }
}

fn expansion(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let name = match syn::parse2::<Arguments>(arguments) {
        Ok(arguments) => arguments.name,
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            errors.at(
                item,
                "`#[dsu::function]` goes on a plain `fn`: what a closure captures, only one process has",
            );
            return errors.finish(TokenStream::new());
        }
    };
    check(&function.sig, &mut errors);
    let ident = &function.sig.ident;
    let stable = match &name {
        Some(name) => name.value(),
        None => syn::ext::IdentExt::unraw(ident).to_string(),
    };
    if stable.is_empty() || stable.len() > MOST_BYTES {
        errors.at(
            name.as_ref().map_or(ident.to_token_stream(), ToTokens::to_token_stream),
            format!(
                "the name of a function in shared memory has 1 to {MOST_BYTES} bytes, this one {}: give it another with `name = \"…\"`",
                stable.len()
            ),
        );
    }
    errors.finish(())?;
    let pointer = pointer_type(&function.sig);
    let visibility = &function.vis;
    let about = "The function of this name, for `SharedFn::of`.";
    Ok(quote! {
        #function

        #[doc = #about]
        #[allow(non_camel_case_types)]
        #visibility enum #ident {}

        const _: () = {
            impl ::dsu_runtime::heap::Function for #ident {
                type Pointer = #pointer;

                const NAME: &'static str = #stable;

                fn pointer() -> Self::Pointer {
                    #ident
                }
            }

            ::dsu_runtime::__private::inventory::submit! {
                ::dsu_runtime::abi::FunctionRegistration {
                    name: #stable,
                    module: ::core::module_path!(),
                    signature: ::dsu_runtime::__private::function_signature::<#ident>,
                    pointer: ::dsu_runtime::__private::function_pointer::<#ident>,
                }
            }
        };
    })
}

/// The type of a pointer to the function.
fn pointer_type(signature: &Signature) -> TokenStream {
    let lifetimes = signature
        .generics
        .lifetimes()
        .map(|lifetime| &lifetime.lifetime);
    let types = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&typed.ty),
        FnArg::Receiver(_) => None,
    });
    let output = &signature.output;
    let binder = (!signature.generics.params.is_empty()).then(|| quote! { for<#(#lifetimes),*> });
    quote! { #binder fn(#(#types),*) #output }
}

fn check(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = signature.asyncness {
        errors.at(token, "a function in shared memory is not async");
    }
    if let Some(token) = signature.unsafety {
        errors.at(token, "a function in shared memory is safe to call");
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            "a function in shared memory has Rust's own calling convention",
        );
    }
    if let Some(token) = &signature.variadic {
        errors.at(
            token,
            "a function in shared memory has a fixed number of arguments",
        );
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(lifetime) if lifetime.bounds.is_empty()) {
            errors.at(
                parameter,
                "a name in shared memory names one function: write out its types",
            );
        }
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            "a name in shared memory names one function: write out its types",
        );
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.at(
                receiver,
                "a method has no name of its own: put `#[dsu::function]` on a free `fn`",
            ),
            FnArg::Typed(typed) if matches!(*typed.ty, Type::ImplTrait(_)) => errors.at(
                &typed.ty,
                "a name in shared memory names one function: write out its types",
            ),
            FnArg::Typed(_) => {}
        }
    }
}
