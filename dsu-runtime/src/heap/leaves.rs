//! Types of the language that are fit for shared memory as they are.
#![allow(unsafe_code)] // promises about bytes

use super::keys::Draws;
use super::shared::{self, Inline, Shared, Visitor, visit_parts};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use crate::error::HeapFull;
use std::mem::offset_of;

macro_rules! leaf {
    ($($ty:ty, |$draws:ident| $sample:expr;)*) => {$(
        // SAFETY: plain bytes that own nothing and mean the same everywhere.
        unsafe impl Shared for $ty {
            type Cell = Inline<Self>;

            fn schema() -> TypeSchema {
                TypeSchema::leaf::<Self>(stringify!($ty))
            }

            fn visit(&mut self, _visitor: &mut dyn Visitor) {}

            fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
                Some(Ok(*self))
            }

            fn sample($draws: &mut Draws) -> Option<Self> {
                Some($sample)
            }
        }
    )*};
}

macro_rules! integers {
    ($($ty:ty),*) => {
        leaf!($($ty, |draws| draws.number() as $ty;)*);
    };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

leaf!(
    u128, |draws| u128::from(draws.number()) << 64 | u128::from(draws.number());
    i128, |draws| i128::from(draws.number()) << 64 | i128::from(draws.number());
    f32, |draws| f32::from_bits(draws.number() as u32);
    f64, |draws| f64::from_bits(draws.number());
    bool, |draws| draws.choice(2) == 1;
    char, |draws| draws.letter().into();
    (), |_draws| ();
);

// SAFETY: its elements, one behind the other.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        let element = T::schema();
        TypeSchema {
            kind: TypeKind::Array {
                element: Box::new(element.clone()),
                len: N as u64,
            },
            ..TypeSchema::leaf::<Self>(&format!("[{}; {N}]", element.name))
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visit_parts(visitor, N, |part, visitor| self[part].visit(visitor));
    }

    fn sample(draws: &mut Draws) -> Option<Self> {
        let elements: Option<Vec<T>> = (0..N).map(|_| T::sample(draws)).collect();
        elements?.try_into().ok()
    }
}

// SAFETY: nothing, or its content; which bits tell the two apart is one compiler's choice, and
// versions built by another compiler do not meet (R34).
unsafe impl<T: Shared> Shared for Option<T> {
    type Cell = Inline<Self>;

    /// A leaf where the content is one: `Option<u64>`; else a container of its content.
    fn schema() -> TypeSchema {
        let content = T::schema();
        TypeSchema {
            kind: match content.kind {
                TypeKind::Leaf => TypeKind::Leaf,
                _ => TypeKind::Container(vec![content.clone()]),
            },
            ..TypeSchema::leaf::<Self>(&format!("Option<{}>", content.name))
        }
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        if let Some(content) = self {
            let outside = visitor.begin_element();
            content.visit(visitor);
            if shared::takes_out(visitor, outside) {
                *self = None;
            }
        }
    }

    fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
        match self {
            None => Some(Ok(None)),
            Some(content) => Some(content.duplicate()?.map(Some)),
        }
    }

    fn sample(draws: &mut Draws) -> Option<Self> {
        match draws.choice(3) {
            0 => Some(None),
            _ => T::sample(draws).map(Some),
        }
    }
}

macro_rules! tuple {
    ($($ty:ident $index:tt),*) => {
        // SAFETY: its fields. Their order in memory is the compiler's choice; the schema states it.
        unsafe impl<$($ty: Shared),*> Shared for ($($ty,)*) {
            type Cell = Inline<Self>;

            fn schema() -> TypeSchema {
                let fields = vec![$(FieldSchema {
                    name: stringify!($index).to_owned(),
                    offset: offset_of!(Self, $index) as u64,
                    ty: $ty::schema(),
                }),*];
                let names: Vec<&str> = fields.iter().map(|field| field.ty.name.as_str()).collect();
                let name = format!("({})", names.join(", "));
                TypeSchema { kind: TypeKind::Struct(fields), ..TypeSchema::leaf::<Self>(&name) }
            }

            fn visit(&mut self, visitor: &mut dyn Visitor) {
                let parts = [$($index),*].len();
                visit_parts(visitor, parts, |part, visitor| match part {
                    $($index => self.$index.visit(visitor),)*
                    _ => {}
                });
            }

            fn duplicate(&self) -> Option<Result<Self, HeapFull>> {
                let parts = ($(self.$index.duplicate()?,)*);
                let copy = || Ok(($(parts.$index?,)*));
                Some(copy())
            }

            fn sample(draws: &mut Draws) -> Option<Self> {
                Some(($($ty::sample(draws)?,)*))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
