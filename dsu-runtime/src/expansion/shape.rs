//! The table of fields that `#[derive(Shared)]` emits, and the schema that is made from it.
#![allow(unsafe_code)] // a trait that is a promise about offsets

use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
use crate::heap::{Draws, Shared, Visitor};
use std::any::type_name;
use std::cell::RefCell;

/// What a field of a shared type must be: any [`Shared`] type. A trait of its own only so that the error for an
/// unfit field does not list every shared type there is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in shared memory",
    label = "holds something that only one process can use",
    note = "use numbers, `SharedString`, `SharedBytes`, `SharedVec`, `SharedMap`, or a type with `#[derive(Shared)]`"
)]
pub trait Shareable: Shared {}

#[diagnostic::do_not_recommend]
impl<T: Shared> Shareable for T {}

/// One field: where it lies and what can be done with it.
pub struct Field {
    name: &'static str,
    pub(super) offset: usize,
    schema: fn() -> TypeSchema,
    pub(super) visit: unsafe fn(*mut u8, &mut dyn Visitor),
    pub(super) sample: unsafe fn(*mut u8, &mut Draws) -> bool,
}

impl Field {
    /// The row of a field of type `T`, `offset` bytes from the start of the value.
    pub const fn of<T: Shareable>(name: &'static str, offset: usize) -> Field {
        Field {
            name,
            offset,
            schema: T::schema,
            visit: visit_field::<T>,
            sample: sample_field::<T>,
        }
    }

    fn to_schema(&self) -> FieldSchema {
        FieldSchema {
            name: self.name.to_owned(),
            offset: self.offset as u64,
            ty: (self.schema)(),
        }
    }
}

/// # Safety
/// `field` points to a valid `T` that nobody else refers to.
unsafe fn visit_field<T: Shared>(field: *mut u8, visitor: &mut dyn Visitor) {
    // SAFETY: passed on to the caller.
    unsafe { &mut *field.cast::<T>() }.visit(visitor);
}

/// Writes a sample; false if there is none.
///
/// # Safety
/// `field` has room for a `T` and is aligned for it.
unsafe fn sample_field<T: Shared>(field: *mut u8, draws: &mut Draws) -> bool {
    let sample = T::sample(draws);
    let is_there = sample.is_some();
    if let Some(sample) = sample {
        // SAFETY: passed on to the caller.
        unsafe { field.cast::<T>().write(sample) };
    }
    is_there
}

/// One variant of an enum.
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// The value of its discriminant.
    pub discriminant: i128,
    /// Its payload, offsets from the start of the enum.
    pub fields: &'static [Field],
}

/// What a type is made of.
pub enum Body {
    /// Fields in the order of their declaration.
    Struct {
        /// The fields.
        fields: &'static [Field],
    },
    /// Variants in the order of their declaration.
    Enum {
        /// The integer of the discriminant.
        repr: &'static str,
        /// The variants.
        variants: &'static [Variant],
    },
}

/// Everything that `#[derive(Shared)]` knows of a type.
pub struct Shape {
    /// Stable name.
    pub name: &'static str,
    /// `#[shared(meaning = N)]`.
    pub meaning: u32,
    /// Fields or variants.
    pub body: Body,
}

impl Shape {
    /// The fields of the variant with this index in declaration order; of a struct, its fields.
    pub(super) fn fields(&self, variant: usize) -> &'static [Field] {
        match self.body {
            Body::Struct { fields } => fields,
            Body::Enum { variants, .. } => variants[variant].fields,
        }
    }
}

/// A type with a table; implemented by the derive.
///
/// # Safety
/// The offsets and types of [`Shaped::SHAPE`] are those of the type's fields, and [`Shaped::variant`] is the index
/// of the live variant in it.
pub unsafe trait Shaped: Shared {
    /// The table.
    const SHAPE: Shape;

    /// Index of the variant that the value is in; 0 for a struct.
    fn variant(&self) -> usize;
}

/// Fails to compile unless an enum and its mirror agree in size and alignment.
pub const fn assert_mirrored<T, Mirror>() {
    assert!(
        size_of::<T>() == size_of::<Mirror>() && align_of::<T>() == align_of::<Mirror>(),
        "an enum is not laid out as RFC 2195 says"
    );
}

/// The schema of `T`, from its table.
pub fn schema_of<T: Shaped>() -> TypeSchema {
    let shape = T::SHAPE;
    let sized = |kind| TypeSchema {
        name: shape.name.to_owned(),
        size: size_of::<T>() as u64,
        align: align_of::<T>() as u64,
        meaning: shape.meaning,
        kind,
    };
    let kind = within(type_name::<T>(), || match shape.body {
        Body::Struct { fields } => TypeKind::Struct(fields.iter().map(Field::to_schema).collect()),
        Body::Enum { repr, variants } => {
            let mut variants: Vec<VariantSchema> = variants
                .iter()
                .map(|v| VariantSchema {
                    name: v.name.to_owned(),
                    discriminant: v.discriminant,
                    fields: v.fields.iter().map(Field::to_schema).collect(),
                })
                .collect();
            variants.sort_by_key(|v| v.discriminant);
            TypeKind::Enum {
                repr: repr.to_owned(),
                variants,
            }
        }
    });
    let Some(kind) = kind else {
        return sized(TypeKind::Leaf);
    };
    let schema = sized(kind);
    note_name(type_name::<T>(), &schema);
    schema
}

thread_local! {
    static OPEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static NOTED: RefCell<Option<Vec<(&'static str, TypeSchema)>>> = const { RefCell::new(None) };
}

/// Runs `describe`, and returns the application's types whose schemas were made meanwhile, each with
/// the name that the compiler has for it.
pub fn noting_names(describe: impl FnOnce()) -> Vec<(&'static str, TypeSchema)> {
    NOTED.set(Some(Vec::new()));
    describe();
    NOTED.take().unwrap_or_default()
}

/// `schema` is that of the type called `name`.
pub fn note_name(name: &'static str, schema: &TypeSchema) {
    NOTED.with_borrow_mut(|noted| {
        // Once is enough, and some types are described a hundred times.
        if let Some(noted) = noted
            && !noted.iter().any(|(known, _)| *known == name)
        {
            noted.push((name, schema.clone()));
        }
    });
}

/// Runs `describe` for the type called `name`, or returns `None` where that is already under way further out:
/// a recursive type appears in its own schema as a leaf.
pub fn within<R>(name: &'static str, describe: impl FnOnce() -> R) -> Option<R> {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            OPEN.with_borrow_mut(|open| open.pop());
        }
    }
    if OPEN.with_borrow(|open| open.contains(&name)) {
        return None;
    }
    OPEN.with_borrow_mut(|open| open.push(name));
    let _close = Close;
    Some(describe())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Inline;
    use dsu_macros::Shared;

    /// A leaf of the size of `T`.
    struct Leaf<T>(T);

    // SAFETY: never leaves this process.
    unsafe impl<T: Copy + 'static> Shared for Leaf<T> {
        type Cell = Inline<Self>;

        fn schema() -> TypeSchema {
            TypeSchema::leaf::<T>(type_name::<T>())
        }

        fn visit(&mut self, _: &mut dyn Visitor) {}
    }

    #[derive(Shared)]
    #[shared(inline)]
    #[repr(u8)]
    enum Inside {
        Late(Leaf<u8>, Leaf<u64>, Leaf<u16>) = 9,
        #[expect(dead_code, reason = "only its place in the schema matters")]
        Early {
            number: Leaf<u32>,
        } = 2,
        #[expect(dead_code, reason = "only its place in the schema matters")]
        Next,
    }

    #[derive(Shared)]
    #[shared(inline)]
    #[repr(C, u16)]
    enum Outside<T: Copy + 'static> {
        Small(Leaf<u8>, Leaf<T>),
        #[expect(dead_code, reason = "only its alignment matters")]
        Wide(Leaf<u64>),
    }

    #[derive(Shared)]
    #[shared(inline, name = "Renamed", meaning = 4)]
    struct Plain {
        first: Leaf<u8>,
        second: Leaf<u64>,
    }

    fn distance<T, F>(whole: &T, field: &F) -> u64 {
        (std::ptr::from_ref(field).addr() - std::ptr::from_ref(whole).addr()) as u64
    }

    fn offsets(fields: &[FieldSchema]) -> Vec<u64> {
        fields.iter().map(|f| f.offset).collect()
    }

    fn variants(schema: TypeSchema) -> Vec<VariantSchema> {
        match schema.kind {
            TypeKind::Enum { variants, .. } => variants,
            other => panic!("not an enum: {other:?}"),
        }
    }

    // R2
    #[test]
    fn payload_offsets_are_where_the_payload_lies() {
        let value = Inside::Late(Leaf(1), Leaf(2), Leaf(3));
        let Inside::Late(a, b, c) = &value else {
            unreachable!("made so")
        };
        let expected = [
            distance(&value, a),
            distance(&value, b),
            distance(&value, c),
        ];
        let schema = variants(Inside::schema());
        assert_eq!(offsets(&schema[2].fields), expected);

        let value = Outside::Small(Leaf(1), Leaf(2_u32));
        let Outside::Small(a, b) = &value else {
            unreachable!("made so")
        };
        let expected = [distance(&value, a), distance(&value, b)];
        let schema = variants(Outside::<u32>::schema());
        assert_eq!(offsets(&schema[0].fields), expected);
        assert_eq!(expected[0], 8, "the discriminant stands before the union");
    }

    // R2
    #[test]
    fn variants_are_in_the_order_of_their_discriminants() {
        let listed: Vec<_> = variants(Inside::schema())
            .into_iter()
            .map(|v| (v.name, v.discriminant))
            .collect();
        let expected = [("Early", 2), ("Next", 3), ("Late", 9)];
        assert_eq!(listed, expected.map(|(n, d)| (n.to_owned(), d)));
    }

    // R2, R34
    #[test]
    fn a_struct_states_name_meaning_layout_and_fields() {
        let value = Plain {
            first: Leaf(1),
            second: Leaf(2),
        };
        let schema = Plain::schema();
        assert_eq!((schema.name.as_str(), schema.meaning), ("Renamed", 4));
        assert_eq!((schema.size, schema.align), (16, 8));
        let TypeKind::Struct(fields) = schema.kind else {
            panic!("not a struct")
        };
        assert_eq!(
            offsets(&fields),
            [
                distance(&value, &value.first),
                distance(&value, &value.second)
            ]
        );
        assert_eq!(fields[1].ty, TypeSchema::leaf::<u64>("u64"));
    }

    #[test]
    fn a_type_inside_itself_is_a_leaf() {
        let deep = within("outer", || within("inner", || within("outer", || ())));
        assert_eq!(deep, Some(Some(None)));
        assert_eq!(within("outer", || ()), Some(()));
    }
}
