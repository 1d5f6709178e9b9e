//! Gathers errors, so that an expansion reports all of them at once.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Errors found so far.
#[derive(Default)]
pub struct Errors {
    found: Option<syn::Error>,
    /// Decisions that are still open. What else is wrong follows from them, as a rule.
    open: Option<syn::Error>,
}

impl Errors {
    /// Adds an error at `tokens`.
    pub fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error that was made elsewhere.
    pub fn push(&mut self, error: syn::Error) {
        combine(&mut self.found, error);
    }

    /// Adds a question that the author has yet to answer.
    pub fn ask(&mut self, question: syn::Error) {
        combine(&mut self.open, question);
    }

    /// All questions, and no other errors then.
    pub fn take_questions(&mut self) -> Option<syn::Error> {
        self.open.take().inspect(|_| self.found = None)
    }

    /// `value` if nothing was wrong; questions are left to who has asked for them.
    pub fn finish<T>(self, value: T) -> syn::Result<T> {
        match self.found {
            None => Ok(value),
            Some(error) => Err(error),
        }
    }
}

fn combine(all: &mut Option<syn::Error>, error: syn::Error) {
    match all {
        None => *all = Some(error),
        Some(all) => all.combine(error),
    }
}

/// The expansion, or its errors as `compile_error!`s.
pub fn emit(expansion: syn::Result<TokenStream>) -> TokenStream {
    expansion.unwrap_or_else(|error| error.to_compile_error())
}
