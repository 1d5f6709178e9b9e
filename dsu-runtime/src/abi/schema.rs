//! The shape of a shared or carried type, as far as another version can depend on it (R2).

use serde::{Deserialize, Serialize};

/// One type: its name, its size and what it is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TypeSchema {
    /// The name in the application: the type's own, or what `#[shared(name = "…")]` says.
    pub name: String,
    /// Bytes of a value.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// `#[shared(meaning = N)]`: a change that the types cannot show.
    pub meaning: u32,
    /// What it is made of.
    pub kind: TypeKind,
}

/// What a type is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TypeKind {
    /// A number, bool or char, or a std type taken as an opaque leaf (`Option<u64>`).
    Leaf,
    /// Named (or numbered) fields.
    Struct(Vec<FieldSchema>),
    /// An enum with explicit `repr`.
    Enum {
        /// The type of the discriminant.
        repr: String,
        /// In the order of their discriminants.
        variants: Vec<VariantSchema>,
    },
    /// A fixed array.
    Array {
        /// Element type.
        element: Box<TypeSchema>,
        /// Number of elements.
        len: u64,
    },
    /// A container of the runtime (`SharedMap`), or an `Option` or tuple of shared types.
    Container(Vec<TypeSchema>),
    /// A `Versioned` box: names its content and stops there.
    Versioned(String),
}

/// A field and where it lies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldSchema {
    /// Its name; `0`, `1`, … in a tuple.
    pub name: String,
    /// Bytes from the start of the value.
    pub offset: u64,
    /// Its type.
    pub ty: TypeSchema,
}

/// A variant of an enum.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VariantSchema {
    /// Its name.
    pub name: String,
    /// Its discriminant.
    pub discriminant: i128,
    /// Its payload, offsets from the start of the enum.
    pub fields: Vec<FieldSchema>,
}

impl TypeSchema {
    /// Whether a value of the type can own `Versioned` boxes.
    pub fn holds_boxes(&self) -> bool {
        let in_fields = |fields: &[FieldSchema]| fields.iter().any(|field| field.ty.holds_boxes());
        match &self.kind {
            TypeKind::Leaf => false,
            TypeKind::Struct(fields) => in_fields(fields),
            TypeKind::Enum { variants, .. } => variants.iter().any(|v| in_fields(&v.fields)),
            TypeKind::Array { element, .. } => element.holds_boxes(),
            TypeKind::Container(arguments) => arguments.iter().any(TypeSchema::holds_boxes),
            TypeKind::Versioned(_) => true,
        }
    }

    /// The item tuple of a guard in a version that does not have the guard (R4).
    pub fn no_items() -> TypeSchema {
        TypeSchema {
            name: "no items".to_owned(),
            size: 0,
            align: 1,
            meaning: 0,
            kind: TypeKind::Struct(Vec::new()),
        }
    }

    /// A leaf of this name.
    pub fn leaf<T>(name: &str) -> TypeSchema {
        TypeSchema {
            name: name.to_owned(),
            size: size_of::<T>() as u64,
            align: align_of::<T>() as u64,
            meaning: 0,
            kind: TypeKind::Leaf,
        }
    }
}
