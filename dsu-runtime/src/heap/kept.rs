//! The parts of complements as shared types: what `xform` keeps lies in blocks beside the box.
#![allow(unsafe_code)] // promises that xform's plain structs own what their fields own

use super::shared::{Inline, Shared, Visitor, visit_parts};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use crate::error::{AccessError, HeapFull, RcError};
use std::mem::offset_of;
use xform::{Kept, LensError, Pair, Residual};

fn struct_of<T>(name: &str, fields: Vec<FieldSchema>) -> TypeSchema {
    TypeSchema {
        kind: TypeKind::Struct(fields),
        ..TypeSchema::leaf::<T>(name)
    }
}

fn field<T: Shared>(name: &str, offset: usize) -> FieldSchema {
    FieldSchema {
        name: name.to_owned(),
        offset: offset as u64,
        ty: T::schema(),
    }
}

// SAFETY: one field, which is shared.
unsafe impl<T: Shared> Shared for Kept<T> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        struct_of::<Self>(
            "Kept",
            vec![field::<Option<T>>("value", offset_of!(Self, value))],
        )
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.value.visit(visitor);
    }
}

// SAFETY: two fields, which are shared.
unsafe impl<L: Shared, R: Shared> Shared for Pair<L, R> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        let fields = vec![
            field::<L>("left", offset_of!(Self, left)),
            field::<R>("right", offset_of!(Self, right)),
        ];
        struct_of::<Self>("Pair", fields)
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visit_parts(visitor, 2, |part, visitor| match part {
            0 => self.left.visit(visitor),
            _ => self.right.visit(visitor),
        });
    }
}

// SAFETY: one field, which is shared.
unsafe impl<L: Shared, R: Shared> Shared for Residual<L, R> {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        struct_of::<Self>(
            "Residual",
            vec![field::<Option<Pair<L, R>>>("pair", offset_of!(Self, pair))],
        )
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.pair.visit(visitor);
    }
}

impl From<HeapFull> for LensError {
    fn from(error: HeapFull) -> Self {
        LensError::no_room(error.to_string())
    }
}

impl From<AccessError> for LensError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::HeapFull => HeapFull.into(),
            AccessError::Foreign => LensError::unrepresentable(error.to_string()),
            AccessError::Failed(reason) => LensError::failed(reason),
        }
    }
}

impl From<RcError> for LensError {
    fn from(error: RcError) -> Self {
        match error {
            RcError::Access(error) => error.into(),
            error => LensError::failed(error.to_string()),
        }
    }
}
