//! `dsu::version!`: the header section, the registration, and the symbol through which the host comes in.

use crate::errors::{Errors, emit};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, Lit, LitInt, LitStr, Token, bracketed, token};

/// Bytes of a name in the header; the last one stays zero.
const MAX_APP_BYTES: usize = 63;

/// The macro.
pub fn expand(input: TokenStream) -> TokenStream {
    emit(expansion(input))
}

struct Entry {
    key: Ident,
    value: Value,
}

/// `crates: [engine, codec]`, or a literal for any other key.
enum Value {
    Lit(Lit),
    Crates(Vec<Ident>),
}

impl Parse for Value {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if !input.peek(token::Bracket) {
            return input.parse().map(Value::Lit);
        }
        let names;
        bracketed!(names in input);
        let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?;
        Ok(Value::Crates(names.into_iter().collect()))
    }
}

impl Parse for Entry {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(Entry {
            key,
            value: input.parse()?,
        })
    }
}

/// What it says, checked.
#[derive(Debug)]
struct Version {
    app: String,
    version: u32,
    from: u32,
    crates: Vec<Ident>,
}

fn read(input: TokenStream) -> syn::Result<Version> {
    let mut errors = Errors::default();
    let (mut app, mut version, mut from, mut crates) = (None, None, None, None);
    for Entry { key, value } in Punctuated::<Entry, Token![,]>::parse_terminated.parse2(input)? {
        let twice = match (key.to_string().as_str(), value) {
            ("app", Value::Lit(Lit::Str(name))) => {
                app.replace(checked_name(&name, &mut errors)).is_some()
            }
            ("app", _) => {
                errors.at(&key, "the application's name is a string");
                app.replace(String::new()).is_some()
            }
            ("version", Value::Lit(Lit::Int(number))) => version
                .replace(checked_number(&number, &mut errors))
                .is_some(),
            ("from", Value::Lit(Lit::Int(number))) => {
                let checked = checked_number(&number, &mut errors);
                from.replace((checked, number)).is_some()
            }
            ("version" | "from", _) => {
                errors.at(&key, "a version is a number");
                version.get_or_insert(1);
                false
            }
            ("crates", Value::Crates(names)) => crates.replace(names).is_some(),
            ("crates", _) => {
                errors.at(
                    &key,
                    "the application's crates are a list of names, `[engine, codec]`",
                );
                false
            }
            (other, _) => {
                errors.at(
                    &key,
                    format!(
                        "unknown key `{other}`: there are `app`, `version`, `from` and `crates`"
                    ),
                );
                false
            }
        };
        if twice {
            errors.at(&key, format!("`{key}` is given twice"));
        }
    }
    for (missing, key) in [(app.is_none(), "app"), (version.is_none(), "version")] {
        if missing {
            errors.push(syn::Error::new(
                Span::call_site(),
                format!(
                    "`{key}` is missing: `dsu::version! {{ app: \"name\", version: 2, from: 1 }}`"
                ),
            ));
        }
    }
    let version = version.unwrap_or(1);
    if let Some((from, literal)) = &from
        && *from >= version
    {
        errors.at(
            literal,
            format!("version {version} cannot come from version {from}: `from` is the older one"),
        );
    }
    errors.finish(Version {
        app: app.unwrap_or_default(),
        version,
        from: from.map_or(0, |(from, _)| from),
        crates: crates.unwrap_or_default(),
    })
}

fn checked_name(name: &LitStr, errors: &mut Errors) -> String {
    let text = name.value();
    if text.is_empty() || text.len() > MAX_APP_BYTES || text.contains('\0') {
        errors.at(
            name,
            format!("an application's name has 1 to {MAX_APP_BYTES} bytes, none of them zero"),
        );
    }
    text
}

fn checked_number(number: &LitInt, errors: &mut Errors) -> u32 {
    match number.base10_parse() {
        Ok(0) => errors.at(
            number,
            "versions are numbered from 1; leave `from` out for the first",
        ),
        Ok(number) => return number,
        Err(error) => errors.push(error),
    }
    1
}

fn expansion(input: TokenStream) -> syn::Result<TokenStream> {
    let Version {
        app,
        version,
        from,
        crates,
    } = read(input)?;
    let externs = crates
        .iter()
        .map(|name| quote_spanned! { name.span()=> extern crate #name as _; });
    let names = crates.iter().map(|name| name.unraw().to_string());
    Ok(quote! {
        const _: () = {
            // A name that no dependency has would leave its statics unlooked at.
            #( #externs )*

            #[used]
            #[unsafe(link_section = ".dsu.header")]
            static HEADER: ::dsu_runtime::abi::LibraryHeader =
                ::dsu_runtime::abi::LibraryHeader::new(#app, #version, #from);

            ::dsu_runtime::__private::inventory::submit! {
                ::dsu_runtime::abi::VersionRegistration {
                    app: #app,
                    version: #version,
                    from: #from,
                    crates: &[ #( #names ),* ],
                }
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn dsu_library() -> *const ::dsu_runtime::abi::LibraryCalls {
                ::dsu_runtime::library_calls()
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_version_comes_from_none() {
        let version = read(quote! { version: 1, app: "kv", }).expect("it is complete");
        assert_eq!(
            (version.app.as_str(), version.version, version.from),
            ("kv", 1, 0)
        );
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let errors =
            expand(quote! { app: 3, version: 2, version: 2, from: 2, form: 1, crates: "kv" })
                .to_string();
        for expected in [
            "a list of names",
            "is a string",
            "given twice",
            "cannot come from",
            "unknown key `form`",
        ] {
            assert!(
                errors.contains(expected),
                "{expected} is missing in {errors}"
            );
        }
        let errors = expand(TokenStream::new()).to_string();
        assert!(errors.contains("`app` is missing") && errors.contains("`version` is missing"));
    }

    #[test]
    fn a_name_that_the_header_would_cut_is_refused() {
        let name = "k".repeat(MAX_APP_BYTES + 1);
        assert!(read(quote! { app: #name, version: 1 }).is_err());
    }
}
