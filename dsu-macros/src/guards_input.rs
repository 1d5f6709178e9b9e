//! Parses what `#[guards(…)]` is given and what it sits on.
//!
//! The static has no initialiser, so `syn::ItemStatic` cannot read it. All that is wrong is reported at once.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, LitInt, LitStr, Pat, PatIdent, Token, Type, Visibility};

/// Items that an initialiser may read.
const MOST_READ: usize = 6;
/// Guards that one server may have.
const MAX_GUARDS: u32 = 1 << 20;

/// The static and its arguments, checked.
pub struct Input {
    /// Doc comments and other attributes.
    pub attributes: Vec<Attribute>,
    /// Of the static, and of the struct of its items.
    pub visibility: Visibility,
    /// Name of the static: the guard's stable name.
    pub ident: Ident,
    /// Number of guards, for a family.
    pub family: Option<LitInt>,
    /// What it guards, in order.
    pub items: Vec<Item>,
    /// Its former name, or empty.
    pub renamed_from: String,
}

/// One item.
pub struct Item {
    /// Its name.
    pub ident: Ident,
    /// Its type.
    pub ty: Type,
    /// Makes the first value; `Default` otherwise.
    pub initialiser: Option<Initialiser>,
    /// In the version before: another guard, and its name there.
    pub moved_from: Option<(String, String)>,
}

/// What makes the first value of an item: an expression, or a closure over items declared before it.
pub struct Initialiser {
    /// What it reads, in the order of the closure's parameters.
    pub reads: Vec<Read>,
    /// The expression, or the closure's body.
    pub body: Expr,
}

/// An item that an initialiser reads.
pub struct Read {
    /// Its name.
    pub ident: Ident,
    /// Its type.
    pub ty: Type,
    /// The closure's parameter as it is written, perhaps with a type.
    pub parameter: Pat,
}

impl Initialiser {
    /// Of an item that is declared after `before`; `all` are the names of the guard's items.
    fn of(expression: Expr, before: &[Item], all: &[Ident], errors: &mut Errors) -> Initialiser {
        let Expr::Closure(closure) = expression else {
            return Initialiser {
                reads: Vec::new(),
                body: expression,
            };
        };
        let mut reads = Vec::new();
        for parameter in closure.inputs {
            let pattern = match &parameter {
                Pat::Type(typed) => &*typed.pat,
                pattern => pattern,
            };
            let Pat::Ident(PatIdent { ident, .. }) = pattern else {
                errors.at(
                    &parameter,
                    "a parameter is the name of an item that is read",
                );
                continue;
            };
            let ident = ident.clone();
            match before.iter().find(|item| item.ident == ident) {
                Some(item) => reads.push(Read { ident, ty: item.ty.clone(), parameter }),
                None if all.contains(&ident) => errors.at(
                    &ident,
                    format!("item `{ident}` is declared later: an initialiser reads those declared before it"),
                ),
                None => errors.at(&ident, format!("there is no item `{ident}` in this guard")),
            }
        }
        if reads.len() > MOST_READ {
            errors.at(
                &closure.body,
                format!("an initialiser reads at most {MOST_READ} items"),
            );
        }
        Initialiser {
            reads,
            body: *closure.body,
        }
    }
}

/// Reads both.
pub fn parse(arguments: TokenStream, item: TokenStream) -> syn::Result<Input> {
    let mut errors = Errors::default();
    let mut written: Vec<Written> = Vec::new();
    let mut renamed_from = None;
    match Punctuated::<Argument, Token![,]>::parse_terminated.parse2(arguments) {
        Ok(arguments) => {
            for argument in arguments {
                match argument {
                    Argument::Item(item) => {
                        if written.iter().any(|other| other.ident == item.ident) {
                            errors.at(
                                &item.ident,
                                format!("item `{}` is declared twice", item.ident),
                            );
                        }
                        written.push(*item);
                    }
                    Argument::RenamedFrom(name) => {
                        if name.value().is_empty() {
                            errors.at(&name, "the former name is empty");
                        } else if renamed_from.is_some() {
                            errors.at(&name, "`renamed_from` is given twice");
                        }
                        renamed_from = Some(name.value());
                    }
                    Argument::Unknown(error) => errors.push(error),
                }
            }
            if written.is_empty() {
                errors.push(syn::Error::new(
                    proc_macro2::Span::call_site(),
                    "a guard guards at least one item: `#[guards(name: Type)]`",
                ));
            }
        }
        Err(error) => errors.push(error),
    }
    let items = with_initialisers(written, &mut errors);
    let declaration = match syn::parse2::<Declaration>(item) {
        Ok(declaration) => Some(declaration),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let family = declaration.as_ref().and_then(|d| d.check(&mut errors));
    let input = declaration.map(|declaration| Input {
        attributes: declaration.attributes,
        visibility: declaration.visibility,
        ident: declaration.ident,
        family,
        items,
        renamed_from: renamed_from.unwrap_or_default(),
    });
    errors
        .finish(input)
        .map(|input| input.expect("without a declaration there is an error"))
}

/// An item as it is written.
struct Written {
    ident: Ident,
    ty: Type,
    initialiser: Option<Expr>,
    moved_from: Option<LitStr>,
}

impl Parse for Written {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let ident = input.parse()?;
        input.parse::<Token![:]>()?;
        let ty = input.parse()?;
        let initialiser = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Written {
            ident,
            ty,
            initialiser,
            moved_from: None,
        })
    }
}

/// `peers: Peers, from = "TOTALS.peers"`, as it stands in `moved(…)`.
fn moved(input: ParseStream) -> syn::Result<Written> {
    let mut item: Written = input.parse()?;
    input.parse::<Token![,]>()?;
    let option: Ident = input.parse()?;
    if option != "from" {
        return Err(syn::Error::new_spanned(
            &option,
            "write where the item was: `from = \"GUARD.item\"`",
        ));
    }
    input.parse::<Token![=]>()?;
    item.moved_from = Some(input.parse()?);
    input.parse::<Option<Token![,]>>()?;
    Ok(item)
}

/// Guard and item of `"GUARD.item"`.
fn place_before(written: &LitStr, errors: &mut Errors) -> Option<(String, String)> {
    let text = written.value();
    match text.split_once('.') {
        Some((guard, item)) if !guard.is_empty() && !item.is_empty() && !item.contains('.') => {
            Some((guard.to_owned(), item.to_owned()))
        }
        _ => {
            errors.at(
                written,
                "an item of the version before is named with its guard: `from = \"GUARD.item\"`",
            );
            None
        }
    }
}

/// Finds the items that each initialiser reads.
fn with_initialisers(written: Vec<Written>, errors: &mut Errors) -> Vec<Item> {
    let names: Vec<Ident> = written.iter().map(|item| item.ident.clone()).collect();
    let mut items = Vec::new();
    for Written {
        ident,
        ty,
        initialiser,
        moved_from,
    } in written
    {
        let moved_from = moved_from.and_then(|from| place_before(&from, errors));
        let initialiser =
            initialiser.map(|expression| Initialiser::of(expression, &items, &names, errors));
        items.push(Item {
            ident,
            ty,
            initialiser,
            moved_from,
        });
    }
    items
}

enum Argument {
    Item(Box<Written>),
    RenamedFrom(LitStr),
    Unknown(syn::Error),
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if input.peek2(Token![:]) && !input.peek2(Token![::]) {
            return input.parse().map(Box::new).map(Argument::Item);
        }
        let ident: Ident = input.parse()?;
        if ident == "moved" && input.peek(syn::token::Paren) {
            let inside;
            syn::parenthesized!(inside in input);
            return moved(&inside).map(Box::new).map(Argument::Item);
        }
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if ident == "renamed_from" {
                return input.parse().map(Argument::RenamedFrom);
            }
            input.parse::<Expr>()?;
            return Ok(Argument::Unknown(syn::Error::new_spanned(
                &ident,
                format!(
                    "unknown option `{ident}`: items are written `{ident}: Type`, the only option is `renamed_from`"
                ),
            )));
        }
        Ok(Argument::Unknown(syn::Error::new_spanned(
            &ident,
            format!("item `{ident}` has no type: write `{ident}: Type`"),
        )))
    }
}

/// `static NAME: Type;`, with what does not belong there kept for an error.
struct Declaration {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    mutable: Option<Token![mut]>,
    ident: Ident,
    ty: Type,
    initialiser: Option<Expr>,
}

impl Parse for Declaration {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !input.peek(Token![static]) {
            return Err(input.error("`#[guards]` goes on a static: `static NAME: GuardMutex;`"));
        }
        input.parse::<Token![static]>()?;
        let mutable = input.parse()?;
        let ident = input.parse()?;
        input.parse::<Token![:]>()?;
        let ty = input.parse()?;
        let initialiser = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        input.parse::<Token![;]>()?;
        Ok(Declaration {
            attributes,
            visibility,
            mutable,
            ident,
            ty,
            initialiser,
        })
    }
}

impl Declaration {
    /// Reports what does not belong there; returns the length of a family.
    fn check(&self, errors: &mut Errors) -> Option<LitInt> {
        if let Some(mutable) = self.mutable {
            errors.at(
                mutable,
                "a guard is not `mut`: its items are changed through `lock`",
            );
        }
        if let Some(initialiser) = &self.initialiser {
            errors.at(
                initialiser,
                "a guard has no initialiser: items have theirs, `#[guards(name: Type = value)]`",
            );
        }
        for attribute in &self.attributes {
            if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                errors.at(
                    attribute,
                    "put `#[cfg]` before `#[guards]`, so that it covers the items as well",
                );
            }
        }
        family(&self.ty, errors)
    }
}

/// The length, if it is a family; an error at whatever is neither.
fn family(ty: &Type, errors: &mut Errors) -> Option<LitInt> {
    const EXPECTED: &str = "expected `GuardMutex`, or `[GuardMutex; N]` for a family";
    let Type::Array(array) = ty else {
        if !is_guard_mutex(ty) {
            errors.at(ty, EXPECTED);
        }
        return None;
    };
    if !is_guard_mutex(&array.elem) {
        errors.at(&array.elem, EXPECTED);
    }
    let Expr::Lit(syn::ExprLit {
        lit: Lit::Int(length),
        ..
    }) = &array.len
    else {
        errors.at(
            &array.len,
            "the number of guards is a literal, since other versions depend on it",
        );
        return None;
    };
    match length.base10_parse::<u32>() {
        Ok(1..=MAX_GUARDS) => {}
        _ => errors.at(length, format!("a family has 1 to {MAX_GUARDS} guards")),
    }
    Some(length.clone())
}

fn is_guard_mutex(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.to_token_stream().to_string() == "GuardMutex"),
        _ => false,
    }
}
