//! What an element is called in messages: where it lies, by the keys and places of the containers around it.
//!
//! Owns the containers that are being looked into, each as a question that is asked only when something has
//! failed, and how a key reads. The schema says how its bytes read: no type need be printable.
#![allow(unsafe_code)] // reads values by their schemas; questions that live on the stack

use super::bytes::SharedBytes;
use super::shared::Shared;
use super::string::SharedString;
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use std::cell::Cell;
use std::ptr;

/// Characters of a key in a message, at most.
const LONGEST: usize = 60;

/// A container, and how it calls the element that is being looked at.
struct Looked<'a> {
    container: *const u8,
    name: &'a dyn Fn() -> String,
    /// The container around it, if somebody is looking into that one still.
    outer: *const Looked<'static>,
}

thread_local! {
    static INNERMOST: Cell<*const Looked<'static>> = const { Cell::new(ptr::null()) };
}

/// Restores what was looked at before, whatever happens.
struct Scope(*const Looked<'static>);

impl Drop for Scope {
    fn drop(&mut self) {
        INNERMOST.set(self.0);
    }
}

/// What a container calls the element that it is about to look at.
pub struct Called<'a> {
    container: *const u8,
    name: &'a dyn Fn() -> String,
}

impl<'a> Called<'a> {
    #[inline]
    pub(super) fn new<C>(container: *const C, name: &'a dyn Fn() -> String) -> Self {
        Called {
            container: container.cast(),
            name,
        }
    }

    /// Looks at the element. Whatever fails in it is told with the element's name.
    #[inline]
    pub(super) fn during<R>(self, look: impl FnOnce() -> R) -> R {
        let outer = INNERMOST.get();
        let looked = Looked {
            container: self.container,
            name: self.name,
            outer,
        };
        // The lifetime is a formality: `looked` outlives the scope that takes it out again.
        INNERMOST.set(ptr::from_ref(&looked).cast());
        let _scope = Scope(outer);
        look()
    }
}

/// Where an element lies that something has happened to.
pub(super) struct Place {
    /// The outermost container that is known.
    pub(super) container: *const u8,
    /// `key "a", index 3`, from the outside in.
    pub(super) name: String,
}

/// Where the element lies that is being looked at, if that is known.
pub(super) fn place() -> Option<Place> {
    let mut names = Vec::new();
    let mut container = None;
    let mut next = INNERMOST.get();
    // SAFETY: each is on the stack of a call of `during` that has not returned, which restores the one
    // before when it does.
    while let Some(looked) = unsafe { next.as_ref() } {
        names.push((looked.name)());
        container = Some(looked.container);
        next = looked.outer;
    }
    names.reverse();
    container.map(|container| Place {
        container,
        name: names.join(", "),
    })
}

/// How an element under `key` is called.
pub(super) fn key<K: Shared>(key: &K) -> String {
    let mut text = String::from("key ");
    // SAFETY: a value of the type that the schema is of.
    unsafe { show(&K::schema(), ptr::from_ref(key).cast(), &mut text) };
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// How an element at `index` is called.
pub(super) fn index(index: usize) -> String {
    format!("index {index}")
}

/// Appends how a value reads; `_` for what has no short form.
///
/// # Safety
/// `value` points to a value of the type that has this schema.
unsafe fn show(schema: &TypeSchema, value: *const u8, text: &mut String) {
    let is = |name: &str, size: usize| schema.name == name && schema.size == size as u64;
    // SAFETY: by the caller; a leaf of the runtime's own name and size is that type.
    unsafe {
        macro_rules! numbers {
            ($($ty:ty),*) => {
                match schema.name.as_str() {
                    $(stringify!($ty) => Some(value.cast::<$ty>().read().to_string()),)*
                    _ => None,
                }
            };
        }
        match &schema.kind {
            TypeKind::Struct(fields) => show_fields(&schema.name, fields, value, text),
            TypeKind::Enum { repr, variants } => {
                let discriminant = match repr.as_str() {
                    "u8" => i128::from(value.read()),
                    "i8" => i128::from(value.cast::<i8>().read()),
                    "u16" => i128::from(value.cast::<u16>().read()),
                    "i16" => i128::from(value.cast::<i16>().read()),
                    "u32" => i128::from(value.cast::<u32>().read()),
                    "i32" => i128::from(value.cast::<i32>().read()),
                    "i64" | "isize" => i128::from(value.cast::<i64>().read()),
                    _ => i128::from(value.cast::<u64>().read()),
                };
                let mut made = variants.iter().filter(|v| v.discriminant == discriminant);
                match made.next() {
                    Some(variant) => show_fields(&variant.name, &variant.fields, value, text),
                    None => text.push('_'),
                }
            }
            TypeKind::Container(parts)
                if parts.is_empty() && is("SharedString", size_of::<SharedString>()) =>
            {
                text.push_str(&format!("{:?}", (*value.cast::<SharedString>()).as_str()));
            }
            TypeKind::Container(parts)
                if parts.is_empty() && is("SharedBytes", size_of::<SharedBytes>()) =>
            {
                let bytes = (*value.cast::<SharedBytes>()).as_slice();
                let shown = &bytes[..bytes.len().min(LONGEST)];
                text.push_str(&format!("\"{}\"", shown.escape_ascii()));
            }
            TypeKind::Leaf => {
                let number = numbers!(
                    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool,
                    char
                );
                text.push_str(number.as_deref().unwrap_or("_"));
            }
            _ => text.push('_'),
        }
    }
}

/// # Safety
/// As for [`show`], of what the fields lie in.
unsafe fn show_fields(name: &str, fields: &[FieldSchema], base: *const u8, text: &mut String) {
    if !name.starts_with('(') {
        text.push_str(name);
    }
    for (place, field) in fields.iter().enumerate() {
        text.push_str(if place == 0 { "(" } else { ", " });
        // SAFETY: the schema says that a value of this type lies there.
        unsafe { show(&field.ty, base.add(field.offset as usize), text) };
    }
    if !fields.is_empty() {
        text.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn name() -> Option<String> {
        place().map(|place| place.name)
    }

    // R28
    #[test]
    fn an_element_is_called_by_what_it_lies_in_from_the_outside_in() {
        let (outer, inner) = ([0u8; 2], [0u8; 2]);
        assert_eq!(name(), None);
        Called::new(&outer, &|| key(&7u64)).during(|| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                Called::new(&inner, &|| index(3)).during(|| {
                    let place = place().expect("two are looked into");
                    assert_eq!(place.name, "key 7, index 3");
                    assert_eq!(place.container, ptr::from_ref(&outer).cast());
                    panic!("out of both");
                })
            }));
            assert!(caught.is_err());
            assert_eq!(name().as_deref(), Some("key 7"));
        });
        assert_eq!(name(), None);
    }

    #[test]
    fn keys_of_all_kinds_are_readable_and_none_is_long() {
        assert_eq!(key(&-3i16), "key -3");
        assert_eq!(key(&'x'), "key x");
        assert_eq!(key(&true), "key true");
        assert_eq!(key(&Some(1u64)), "key _");
        let tuple = key(&(1u64, 2u8));
        assert!(tuple.starts_with("key "), "{tuple}");
    }
}
