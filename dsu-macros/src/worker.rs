//! `#[dsu::worker]`: checks the signature and registers the function.

use crate::errors::{Errors, emit};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{FnArg, GenericArgument, Ident, ItemFn, Path, PathArguments, ReturnType, Token, Type};

const SIGNATURE: &str = "a worker function is `fn(cx: &mut Worker, local: C) -> Step<C>`";

/// The attribute.
pub fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    emit(expansion(arguments, item))
}

/// `start = path`, or nothing.
struct Arguments {
    start: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Arguments { start: None });
        }
        let option: Ident = input.parse()?;
        if option != "start" {
            return Err(syn::Error::new_spanned(
                option,
                "unknown option: the only one is `start = path`, which makes the first carry",
            ));
        }
        input.parse::<Token![=]>()?;
        let start = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Arguments { start: Some(start) })
    }
}

fn expansion(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let start = match syn::parse2::<Arguments>(arguments) {
        Ok(arguments) => arguments.start,
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let function: ItemFn = match syn::parse2(item) {
        Ok(function) => function,
        Err(error) => {
            errors.push(syn::Error::new(error.span(), SIGNATURE));
            return errors.finish(TokenStream::new());
        }
    };
    let carry = check(&function, &mut errors).cloned();
    let Some(carry) = errors.finish(carry)? else {
        return Ok(TokenStream::new());
    };
    let ident = &function.sig.ident;
    let name = ident.to_string();
    let start = match start {
        Some(path) => quote! { #path },
        None => {
            quote_spanned! { carry.span()=> ::dsu_runtime::__private::start_with_default::<_, #carry> }
        }
    };
    Ok(quote! {
        #function

        const _: () = {
            fn __run(
                __carry: ::core::option::Option<&[u8]>,
            ) -> ::core::result::Result<::dsu_runtime::__private::Vec<u8>, ::dsu_runtime::error::RunError> {
                ::dsu_runtime::worker::run_application::<#carry>(#ident, #start, __carry)
            }

            ::dsu_runtime::__private::inventory::submit! {
                ::dsu_runtime::abi::WorkerRegistration {
                    name: #name,
                    module: ::core::module_path!(),
                    carry: ::dsu_runtime::abi::CarryCalls {
                        schema: ::dsu_runtime::__private::carry_schema::<#carry>,
                        path: ::core::any::type_name::<#carry>,
                    },
                    run: __run,
                }
            }

            #[unsafe(no_mangle)]
            static DSU_EXACTLY_ONE_WORKER: u8 = 0;
        };
    })
}

/// The carry's type, if the signature is right.
fn check<'f>(function: &'f ItemFn, errors: &mut Errors) -> Option<&'f Type> {
    let signature = &function.sig;
    if let Some(token) = signature.asyncness {
        errors.at(token, "a worker is not async: it waits with `cx.wait`");
    }
    if let Some(token) = signature.unsafety {
        errors.at(token, "a worker function is safe");
    }
    if let Some(token) = signature.constness {
        errors.at(token, "a worker function is not const");
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a worker function has Rust's own calling convention");
    }
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            "a worker function has no parameters of types or lifetimes",
        );
    }
    let mut inputs = signature.inputs.iter();
    let (first, second) = (inputs.next(), inputs.next());
    for surplus in inputs {
        errors.at(surplus, format!("one parameter too many: {SIGNATURE}"));
    }
    match first {
        Some(FnArg::Typed(first)) if is_mutable_worker(&first.ty) => {}
        Some(other) => errors.at(
            other,
            format!("the first parameter is `cx: &mut Worker`: {SIGNATURE}"),
        ),
        None => errors.at(&signature.ident, SIGNATURE),
    }
    let carry = match second {
        Some(FnArg::Typed(second)) if matches!(*second.ty, Type::Reference(_)) => {
            errors.at(
                &second.ty,
                "the carry is taken by value: it leaves with the crossing",
            );
            None
        }
        Some(FnArg::Typed(second)) => Some(&*second.ty),
        Some(other) => {
            errors.at(other, SIGNATURE);
            None
        }
        None => {
            if first.is_some() {
                errors.at(
                    &signature.ident,
                    format!("the second parameter is the carry; `local: ()` if there is none: {SIGNATURE}"),
                );
            }
            None
        }
    };
    check_output(&signature.output, carry, signature, errors);
    carry
}

fn check_output(
    output: &ReturnType,
    carry: Option<&Type>,
    signature: &syn::Signature,
    errors: &mut Errors,
) {
    let ReturnType::Type(_, returned) = output else {
        errors.at(
            &signature.ident,
            format!("a worker function returns `Step<C>`: {SIGNATURE}"),
        );
        return;
    };
    let stepped = match step_argument(returned) {
        Ok(stepped) => stepped,
        Err(()) => {
            errors.at(
                returned,
                format!("a worker function returns `Step<C>`: {SIGNATURE}"),
            );
            return;
        }
    };
    if let (Some(stepped), Some(carry)) = (stepped, carry) {
        let (stepped_text, carry_text) = (text(stepped), text(carry));
        if stepped_text != carry_text {
            errors.at(
                stepped,
                format!("the carry that comes in is `{carry_text}`, the one that leaves is `{stepped_text}`: write the same type"),
            );
        }
    }
}

/// The `C` of `Step<C>`; `None` for a spelled-out `Result`, which the compiler checks.
fn step_argument(returned: &Type) -> Result<Option<&Type>, ()> {
    let Type::Path(path) = returned else {
        return Err(());
    };
    let last = path.path.segments.last().ok_or(())?;
    if last.ident == "Result" {
        return Ok(None);
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Err(());
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(carry)) if last.ident == "Step" => Ok(Some(carry)),
        _ => Err(()),
    }
}

fn is_mutable_worker(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    reference.mutability.is_some()
        && path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Worker")
}

fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string().replace(' ', "")
}
