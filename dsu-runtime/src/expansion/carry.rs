//! Schemas of carried types, and lenses between carries in their encoded form (R24).

use super::shape::{note_name, within};
use crate::abi::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
use crate::error::WorkerError;
use crate::worker::{Carried, Carry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use xform::{Lens, LensError};

/// What a field of a carry must be: any [`Carried`] type. A trait of its own only so that the error for an unfit
/// field does not list every carried type there is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be carried from one version to the next",
    label = "has no stated shape",
    note = "derive `Carry`, `Serialize` and `Deserialize` for it"
)]
pub trait Carriable: Carried {}

#[diagnostic::do_not_recommend]
impl<T: Carried> Carriable for T {}

/// A carried type of this name. It has no size or offsets: it crosses encoded, whichever compiler built either side.
pub fn carried(name: &str, kind: TypeKind) -> TypeSchema {
    TypeSchema {
        name: name.to_owned(),
        size: 0,
        align: 0,
        meaning: 0,
        kind,
    }
}

/// Fields without names.
pub fn numbered<const N: usize>(types: [TypeSchema; N]) -> Vec<FieldSchema> {
    let name = |(index, ty): (usize, TypeSchema)| FieldSchema {
        name: index.to_string(),
        offset: 0,
        ty,
    };
    types.into_iter().enumerate().map(name).collect()
}

/// The schema of an application's type; a recursive one appears in itself as a leaf.
pub fn carried_type<T>(name: &str, meaning: u32, kind: impl FnOnce() -> TypeKind) -> TypeSchema {
    let described = |kind| TypeSchema {
        meaning,
        ..carried(name, kind)
    };
    let Some(kind) = within(type_name::<T>(), kind) else {
        return described(TypeKind::Leaf);
    };
    let schema = described(kind);
    note_name(type_name::<T>(), &schema);
    schema
}

/// One field of it.
pub fn carried_field<T: Carriable>(name: &str) -> FieldSchema {
    FieldSchema {
        name: name.to_owned(),
        offset: 0,
        ty: T::schema(),
    }
}

/// One variant of it, numbered as serde numbers it.
pub fn carried_variant(name: &str, index: i128, fields: Vec<FieldSchema>) -> VariantSchema {
    VariantSchema {
        name: name.to_owned(),
        discriminant: index,
        fields,
    }
}

/// An enum, as serde writes it.
pub fn carried_enum(variants: Vec<VariantSchema>) -> TypeKind {
    TypeKind::Enum {
        repr: "index".to_owned(),
        variants,
    }
}

/// The schema of what a worker carries.
pub fn carry_schema<C: Carry>() -> TypeSchema {
    C::schema()
}

/// The first carry of a worker function without `start`.
///
/// # Errors
/// None; the signature is that of `start`.
pub fn start_with_default<W, C: Default>(_: &mut W) -> Result<C, WorkerError> {
    Ok(C::default())
}

/// Encoded older carry and complement to encoded newer carry and complement.
///
/// # Errors
/// What does not decode, or the lens's own reason.
pub fn carry_forward<L>(
    left: &[u8],
    complement: Option<&[u8]>,
) -> Result<(Vec<u8>, Vec<u8>), String>
where
    L: Lens<Left: Carry, Right: Carry, Complement: Serialize + DeserializeOwned> + Default,
{
    rewritten("older carry", left, complement, |carry, kept| {
        L::default().forward(carry, kept)
    })
}

/// Encoded newer carry and complement to encoded older carry and complement.
///
/// # Errors
/// What does not decode, or the lens's own reason.
pub fn carry_backward<L>(
    right: &[u8],
    complement: Option<&[u8]>,
) -> Result<(Vec<u8>, Vec<u8>), String>
where
    L: Lens<Left: Carry, Right: Carry, Complement: Serialize + DeserializeOwned> + Default,
{
    rewritten("newer carry", right, complement, |carry, kept| {
        L::default().backward(carry, kept)
    })
}

/// Decodes a carry and its complement, takes them through `lens`, and encodes what comes out.
fn rewritten<From: DeserializeOwned, To: Serialize, Kept: Serialize + DeserializeOwned>(
    what: &str,
    carry: &[u8],
    complement: Option<&[u8]>,
    lens: impl FnOnce(From, Option<Kept>) -> Result<(To, Kept), LensError>,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let complement = complement
        .map(|bytes| decode("complement", bytes))
        .transpose()?;
    let (carry, complement) =
        lens(decode(what, carry)?, complement).map_err(|error| error.to_string())?;
    Ok((encode(&carry)?, encode(&complement)?))
}

/// A value out of `bytes`, which hold nothing else.
///
/// # Errors
/// `what` it is, and what is wrong with it.
pub fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("the {what} has {} bytes too many", rest.len())),
        Err(error) => Err(format!("the {what} does not decode: {error}")),
    }
}

/// `value` as it crosses.
///
/// # Errors
/// Why serde refuses it.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|error| format!("does not encode: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xform::LensError;

    /// The older side has a name, the newer one a number; each is the other's complement.
    #[derive(Default)]
    struct NameToNumber;

    impl Lens for NameToNumber {
        type Left = (u8, String);
        type Right = (u8, u64);
        type Complement = (String, u64);

        fn forward(
            &self,
            (kept, name): Self::Left,
            complement: Option<Self::Complement>,
        ) -> Result<(Self::Right, Self::Complement), LensError> {
            let number = complement.map_or(0, |(_, number)| number);
            Ok(((kept, number), (name, number)))
        }

        fn backward(
            &self,
            (kept, number): Self::Right,
            complement: Option<Self::Complement>,
        ) -> Result<(Self::Left, Self::Complement), LensError> {
            let name = complement.map_or_else(String::new, |(name, _)| name);
            Ok(((kept, name.clone()), (name, number)))
        }
    }

    // R24
    #[test]
    fn an_encoded_carry_comes_back_through_its_complement() -> Result<(), String> {
        let left = encode(&(1_u8, "peer"))?;
        let (right, complement) = carry_forward::<NameToNumber>(&left, None)?;
        assert_eq!(right, encode(&(1_u8, 0_u64))?);
        let edited = encode(&(2_u8, 9_u64))?;
        let (left, complement) = carry_backward::<NameToNumber>(&edited, Some(&complement))?;
        assert_eq!(left, encode(&(2_u8, "peer"))?);
        let (right, _) = carry_forward::<NameToNumber>(&left, Some(&complement))?;
        assert_eq!(right, edited);
        Ok(())
    }

    // R24
    #[test]
    fn bytes_that_are_not_the_carry_are_refused() {
        for bytes in [&[1][..], &[1, 200, 1], &[1, 1, b'a', 0]] {
            assert!(
                carry_forward::<NameToNumber>(bytes, None).is_err(),
                "{bytes:?}"
            );
        }
    }
}
