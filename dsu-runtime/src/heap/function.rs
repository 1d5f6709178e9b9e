//! `SharedFn`: a function by its name, which each version resolves to code of its own.
//!
//! Owns the bytes of a name in shared memory and the table of this library's functions. A name is kept in
//! place, whole: it can be read in any dump and by any version, also one that has no such function, and a
//! value is copied without counting and dropped without a trace.
//!
//! ```text
//! 0..31 name, UTF-8, zeros behind it | 31 length
//! ```
#![allow(unsafe_code)] // pointers to functions by their untyped address

use super::shared::{Inline, Shared, Visitor};
use crate::abi::{FunctionRegistration, FunctionSignature, TypeSchema};
use crate::error::FunctionError;
use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Bytes of the longest name; `#[dsu::function]` refuses longer ones.
const MOST_BYTES: usize = 31;

/// A function with `#[dsu::function]`: the type of its name, which the attribute declares.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that shared memory can name",
    label = "not marked `#[dsu::function]`",
    note = "put `#[dsu::function]` on a plain `fn`: what a closure captures, only one process has"
)]
pub trait Function {
    /// The type of a pointer to it.
    type Pointer: Copy + 'static;

    /// Its stable name.
    const NAME: &'static str;

    /// A pointer to it, of this library.
    fn pointer() -> Self::Pointer;
}

/// A function kept in shared memory by its name: each version calls its own.
///
/// `F` is the type of a pointer to the function. A pointer itself would be one library's alone.
///
/// ```
/// use dsu_runtime::prelude::*;
///
/// #[derive(Shared)]
/// pub struct Account { balance: u64, on_deposit: SharedFn<fn(&mut Account, u64)> }
///
/// #[dsu::function]
/// fn with_bonus(account: &mut Account, amount: u64) { account.balance += amount + amount / 100; }
///
/// fn open() -> Account {
///     Account { balance: 0, on_deposit: SharedFn::of::<with_bonus>() }
/// }
///
/// fn deposit(account: &mut Account, amount: u64) -> Result<(), FunctionError> {
///     let on_deposit = account.on_deposit.resolve()?;
///     on_deposit(account, amount);
///     Ok(())
/// }
/// ```
///
/// An update whose version lacks a function that the version before has, or has it with another type, is
/// refused, unless it says `removed!("fn NAME")` (R4); values that name it are an error when they are called,
/// as are those that name a function which only the newer version has, in the older one. Types are compared by
/// their Rust names without paths: that a `Account` in the arguments has changed is its lens's affair, as
/// each version calls its own function with its own types.
#[repr(C)]
pub struct SharedFn<F> {
    bytes: [u8; MOST_BYTES],
    len: u8,
    signature: PhantomData<F>,
}

impl<F: Copy + 'static> SharedFn<F> {
    /// A function of this library.
    pub fn of<N: Function<Pointer = F>>() -> Self {
        const { assert!(N::NAME.len() <= MOST_BYTES && !N::NAME.is_empty()) };
        Self::with_name(N::NAME).expect("the name fits")
    }

    /// The function of this name.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn named(name: &str) -> Result<Self, FunctionError> {
        let unknown = || FunctionError::Unknown(name.to_owned());
        let function = Self::with_name(name).ok_or_else(unknown)?;
        function.resolve()?;
        Ok(function)
    }

    fn with_name(name: &str) -> Option<Self> {
        let mut bytes = [0; MOST_BYTES];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(SharedFn {
            bytes,
            len: name.len() as u8,
            signature: PhantomData,
        })
    }

    /// This library's function of the name.
    ///
    /// # Errors
    /// `Unknown`, `OtherSignature`.
    pub fn resolve(&self) -> Result<F, FunctionError> {
        let unknown = || FunctionError::Unknown(self.name().to_owned());
        let registration = table().get(self.name()).ok_or_else(unknown)?;
        let found = (registration.signature)();
        if found.id != TypeId::of::<F>() {
            return Err(FunctionError::OtherSignature {
                name: self.name().to_owned(),
                wanted: signature_of::<F>().text,
                found: found.text,
            });
        }
        let pointer = (registration.pointer)();
        // SAFETY: `pointer_of` made the address from a pointer of the registered type, which is F: ids are
        // compared within one library.
        Ok(unsafe { std::mem::transmute_copy::<*const (), F>(&pointer) })
    }
}

impl<F> SharedFn<F> {
    /// The name.
    pub fn name(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len));
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.unwrap_or("(not a name)")
    }
}

/// The functions of this library, made at the first call: `inventory` knows what was linked with this copy
/// of the runtime.
fn table() -> &'static HashMap<&'static str, &'static FunctionRegistration> {
    static TABLE: OnceLock<HashMap<&'static str, &'static FunctionRegistration>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let all = inventory::iter::<FunctionRegistration>.into_iter();
        all.map(|function| (function.name, function)).collect()
    })
}

/// The address of a function, of a type that is a pointer.
pub(crate) fn pointer_of<N: Function>() -> *const () {
    const { assert!(size_of::<N::Pointer>() == size_of::<*const ()>()) };
    let pointer = N::pointer();
    // SAFETY: as large as a pointer, and, by the attribute, one to a function.
    unsafe { std::mem::transmute_copy::<N::Pointer, *const ()>(&pointer) }
}

/// The type of a pointer to a function.
pub(crate) fn signature_of<F: 'static>() -> FunctionSignature {
    FunctionSignature {
        id: TypeId::of::<F>(),
        text: without_paths(type_name::<F>()).replace("'_ ", ""),
    }
}

/// `a::b::C` is `C` wherever it stands: modules and crates differ between versions.
fn without_paths(text: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        if next == ':' && rest.starts_with(':') {
            rest = &rest[1..];
            short.truncate(word);
            continue;
        }
        short.push(next);
        if !(next.is_alphanumeric() || next == '_') {
            word = short.len();
        }
    }
    short
}

impl<F> Clone for SharedFn<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for SharedFn<F> {}

impl<F> PartialEq for SharedFn<F> {
    /// Whether both name the same function.
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl<F> Eq for SharedFn<F> {}

impl<F> fmt::Debug for SharedFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn {}", self.name())
    }
}

// SAFETY: plain bytes that mean the same everywhere.
unsafe impl<F: Copy + 'static> Shared for SharedFn<F> {
    type Cell = Inline<Self>;

    /// Says of which type the function is, by the names of its types.
    fn schema() -> TypeSchema {
        TypeSchema::leaf::<Self>(&format!("SharedFn<{}>", signature_of::<F>().text))
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        let is_name = (1..=MOST_BYTES).contains(&usize::from(self.len))
            && std::str::from_utf8(&self.bytes[..usize::from(self.len)]).is_ok();
        if !is_name {
            visitor.damage(&format!(
                "the name of a function has {} bytes, or is no text",
                self.len
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter {
        count: u64,
    }

    #[dsu_macros::function]
    fn add_up(counter: &mut Counter, by: u64) -> u64 {
        counter.count += by;
        counter.count
    }

    #[dsu_macros::function(name = "a stable name")]
    fn of_another_name(of: &str) -> &str {
        &of[1..]
    }

    type AddUp = fn(&mut Counter, u64) -> u64;

    #[test]
    fn a_name_leads_to_this_librarys_function() {
        let function: SharedFn<AddUp> = SharedFn::of::<add_up>();
        let mut counter = Counter { count: 1 };
        assert_eq!(function.resolve().map(|add| add(&mut counter, 4)), Ok(5));
        let named = SharedFn::<AddUp>::named("add_up").expect("registered");
        assert_eq!(named, function);
        assert_eq!(format!("{named:?}"), "fn add_up");
        let stable = SharedFn::<fn(&str) -> &str>::named("a stable name").expect("registered");
        assert_eq!(stable.resolve().map(|function| function("abc")), Ok("bc"));
        assert_eq!(stable, SharedFn::of::<of_another_name>());
    }

    // R4
    #[test]
    fn a_name_that_is_not_there_or_means_something_else_is_an_error_that_says_so() {
        let unknown = |name: &str| FunctionError::Unknown(name.to_owned());
        let long = "x".repeat(MOST_BYTES + 1);
        for name in ["add_down", "of_another_name", "", &long] {
            assert_eq!(SharedFn::<AddUp>::named(name), Err(unknown(name)));
        }
        let other = SharedFn::<fn(u64) -> u64>::named("add_up").unwrap_err();
        assert_eq!(
            other.to_string(),
            "function add_up is fn(&mut Counter, u64) -> u64 in this version and is called as fn(u64) -> u64: give one of them another name"
        );
    }

    #[test]
    fn paths_are_left_out_wherever_they_stand() {
        for (text, short) in [
            ("fn(kv_v1::entry::Entry) -> u64", "fn(Entry) -> u64"),
            ("fn(&[a::B<c::d::E>; 3], u8)", "fn(&[B<E>; 3], u8)"),
            ("fn(dyn x::Y, (a::A, b::B))", "fn(dyn Y, (A, B))"),
        ] {
            assert_eq!(without_paths(text), short);
        }
    }

    #[test]
    fn bytes_that_are_no_name_are_damage() {
        struct Heard(Vec<String>);
        // SAFETY: it looks, and leaves words and blocks as they are.
        unsafe impl Visitor for Heard {
            fn block(&mut self, _: std::ptr::NonNull<u8>, _: std::alloc::Layout) {}
            fn versioned(&mut self, _: &mut u64, _: crate::ids::Tag) {}
            fn damage(&mut self, what: &str) {
                self.0.push(what.to_owned());
            }
        }
        let mut heard = Heard(Vec::new());
        let mut function = SharedFn::of::<add_up>();
        function.visit(&mut heard);
        assert_eq!(heard.0, [""; 0]);
        for len in [0, 32, 255] {
            function.len = len;
            function.visit(&mut heard);
            assert_eq!(function.name(), if len == 0 { "" } else { "(not a name)" });
        }
        assert_eq!(heard.0.len(), 3);
    }
}
