//! Digests: of files, and of schemas in a form that does not depend on any encoder.

use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in hex.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a schema's canonical form, in hex: everything of R2, each text with its length, so that
/// two schemas have the same digest only if they are equal.
pub fn digest(schema: &TypeSchema) -> String {
    let mut hasher = Sha256::new();
    schema_into(&mut hasher, schema);
    hex(&hasher.finalize())
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(hasher: &mut Sha256, value: u64) {
    hasher.update(value.to_le_bytes());
}

fn text(hasher: &mut Sha256, value: &str) {
    number(hasher, value.len() as u64);
    hasher.update(value.as_bytes());
}

fn schema_into(hasher: &mut Sha256, schema: &TypeSchema) {
    text(hasher, &schema.name);
    number(hasher, schema.size);
    number(hasher, schema.align);
    number(hasher, schema.meaning.into());
    match &schema.kind {
        TypeKind::Leaf => number(hasher, 0),
        TypeKind::Struct(fields) => {
            number(hasher, 1);
            fields_into(hasher, fields);
        }
        TypeKind::Enum { repr, variants } => {
            number(hasher, 2);
            text(hasher, repr);
            number(hasher, variants.len() as u64);
            for variant in variants {
                text(hasher, &variant.name);
                hasher.update(variant.discriminant.to_le_bytes());
                fields_into(hasher, &variant.fields);
            }
        }
        TypeKind::Array { element, len } => {
            number(hasher, 3);
            number(hasher, *len);
            schema_into(hasher, element);
        }
        TypeKind::Container(arguments) => {
            number(hasher, 4);
            number(hasher, arguments.len() as u64);
            for argument in arguments {
                schema_into(hasher, argument);
            }
        }
        TypeKind::Versioned(content) => {
            number(hasher, 5);
            text(hasher, content);
        }
    }
}

fn fields_into(hasher: &mut Sha256, fields: &[FieldSchema]) {
    number(hasher, fields.len() as u64);
    for field in fields {
        text(hasher, &field.name);
        number(hasher, field.offset);
        schema_into(hasher, &field.ty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::samples::{leaf, record};

    #[test] // R2
    fn swapped_fields_of_equal_layout_are_another_schema() {
        let a = record(
            "Stats",
            &[("hits", leaf("u64", 8)), ("misses", leaf("u64", 8))],
        );
        let b = record(
            "Stats",
            &[("misses", leaf("u64", 8)), ("hits", leaf("u64", 8))],
        );
        assert_eq!(digest(&a), digest(&a.clone()));
        assert_ne!(digest(&a), digest(&b));
    }

    #[test] // R2
    fn meaning_and_newtype_name_are_part_of_the_schema() {
        let millis = record("Millis", &[("0", leaf("u64", 8))]);
        let secs = record("Secs", &[("0", leaf("u64", 8))]);
        let mut later = millis.clone();
        later.meaning = 1;
        assert_ne!(digest(&millis), digest(&secs));
        assert_ne!(digest(&millis), digest(&later));
    }
}
