//! The shape of what a worker carries from one version to the next (R24).
//!
//! Carries cross encoded, so a schema here has names and types and no offsets or sizes. Owns no encoding.

use crate::abi::{TypeKind, TypeSchema};
use crate::expansion::{carried, numbered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// A type with a stated shape, implemented by `#[derive(Carry)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be carried from one version to the next",
    label = "has no stated shape",
    note = "derive `Carry`, `Serialize` and `Deserialize` for it"
)]
pub trait Carried {
    /// Names and types, without sizes and offsets.
    fn schema() -> TypeSchema;
}

/// What a worker function may carry, by deriving all three: a stated shape, and a form that serde writes and reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be carried from one version to the next",
    label = "lacks a stated shape or an encoded form",
    note = "derive `Carry`, `Serialize` and `Deserialize` for it"
)]
pub trait Carry: Carried + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Carried + Serialize + DeserializeOwned> Carry for T {}

macro_rules! leaves {
    ($($type:ty)*) => {$(
        impl Carried for $type {
            fn schema() -> TypeSchema {
                carried(stringify!($type), TypeKind::Leaf)
            }
        }
    )*};
}

leaves! {
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char String Duration
}

macro_rules! containers {
    ($($name:ident<$($parameter:ident),+>)*) => {$(
        impl<$($parameter: Carried),+> Carried for $name<$($parameter),+> {
            fn schema() -> TypeSchema {
                carried(stringify!($name), TypeKind::Container(vec![$($parameter::schema()),+]))
            }
        }
    )*};
}

containers! {
    Vec<T> VecDeque<T> Option<T> BTreeSet<T> BTreeMap<K, V>
}

// The hasher is made anew on the other side.
impl<K: Carried, V: Carried, S> Carried for HashMap<K, V, S> {
    fn schema() -> TypeSchema {
        carried(
            "HashMap",
            TypeKind::Container(vec![K::schema(), V::schema()]),
        )
    }
}

impl<T: Carried, S> Carried for HashSet<T, S> {
    fn schema() -> TypeSchema {
        carried("HashSet", TypeKind::Container(vec![T::schema()]))
    }
}

// serde writes the content alone, so a box is no change of shape.
impl<T: Carried> Carried for Box<T> {
    fn schema() -> TypeSchema {
        T::schema()
    }
}

impl<T: Carried, const N: usize> Carried for [T; N] {
    fn schema() -> TypeSchema {
        carried(
            "array",
            TypeKind::Array {
                element: Box::new(T::schema()),
                len: N as u64,
            },
        )
    }
}

macro_rules! tuples {
    ($(($($parameter:ident),*))*) => {$(
        impl<$($parameter: Carried),*> Carried for ($($parameter,)*) {
            fn schema() -> TypeSchema {
                carried("tuple", TypeKind::Struct(numbered([$($parameter::schema()),*])))
            }
        }
    )*};
}

tuples! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

#[cfg(test)]
mod tests {
    use super::*;

    // R24
    #[test]
    fn a_changed_element_type_is_a_changed_schema() {
        assert_ne!(
            HashMap::<u32, Vec<String>>::schema(),
            HashMap::<u32, Vec<u8>>::schema()
        );
        assert_ne!(<(u32, u64)>::schema(), <(u64, u32)>::schema());
        assert_ne!(<[u8; 4]>::schema(), <[u8; 5]>::schema());
    }

    // R24
    #[test]
    fn a_box_does_not_change_the_schema() {
        assert_eq!(
            Box::<Option<Duration>>::schema(),
            Option::<Duration>::schema()
        );
    }
}
