//! Small schemas and manifests for the tests of this room.

use super::manifest::*;
use crate::abi::{FieldSchema, LensLosses, LensPolicy, TypeKind, TypeSchema, VariantSchema};
use crate::ids::VersionId;

pub fn leaf(name: &str, size: u64) -> TypeSchema {
    TypeSchema {
        name: name.into(),
        size,
        align: size.max(1),
        meaning: 0,
        kind: TypeKind::Leaf,
    }
}

pub fn boxed(content: &str) -> TypeSchema {
    let kind = TypeKind::Versioned(content.into());
    TypeSchema {
        name: "Versioned".into(),
        size: 8,
        align: 8,
        meaning: 0,
        kind,
    }
}

pub fn container(name: &str, arguments: &[TypeSchema]) -> TypeSchema {
    let kind = TypeKind::Container(arguments.to_vec());
    TypeSchema {
        name: name.into(),
        size: 32,
        align: 8,
        meaning: 0,
        kind,
    }
}

/// Fields one after another, each aligned to 8 bytes.
pub fn record(name: &str, fields: &[(&str, TypeSchema)]) -> TypeSchema {
    let mut offset = 0;
    let fields = fields
        .iter()
        .map(|(name, ty)| {
            let field = FieldSchema {
                name: (*name).into(),
                offset,
                ty: ty.clone(),
            };
            offset += ty.size.next_multiple_of(8);
            field
        })
        .collect();
    TypeSchema {
        name: name.into(),
        size: offset,
        align: 8,
        meaning: 0,
        kind: TypeKind::Struct(fields),
    }
}

/// Variants numbered from 0, with fields that have no names.
pub fn choice(name: &str, variants: &[(&str, &[TypeSchema])]) -> TypeSchema {
    let numbered = |types: &[TypeSchema]| {
        let all = types.iter().enumerate().map(|(at, ty)| FieldSchema {
            name: at.to_string(),
            offset: 8 * at as u64 + ty.align,
            ty: ty.clone(),
        });
        all.collect()
    };
    let variants = (0..)
        .zip(variants)
        .map(|(at, (name, types))| VariantSchema {
            name: (*name).into(),
            discriminant: at,
            fields: numbered(types),
        });
    TypeSchema {
        name: name.into(),
        size: 16,
        align: 8,
        meaning: 0,
        kind: TypeKind::Enum {
            repr: "u8".into(),
            variants: variants.collect(),
        },
    }
}

pub fn guard(name: &str, items: &[(&str, TypeSchema)]) -> GuardManifest {
    GuardManifest {
        name: name.into(),
        renamed_from: String::new(),
        family: None,
        items: record(name, items),
        moved: Vec::new(),
    }
}

pub fn lens(left: &TypeSchema, right: &TypeSchema) -> LensManifest {
    LensManifest {
        left: left.clone(),
        right: right.clone(),
        complement: leaf("()", 0),
        both_ways: true,
        unrepresentable: LensPolicy::Foreign,
        losses: LensLosses::default(),
        prepared: false,
        items: None,
    }
}

pub fn manifest(version: u32, guards: Vec<GuardManifest>, types: Vec<TypeSchema>) -> Manifest {
    let version = VersionId(version);
    Manifest {
        app: "kv".into(),
        version,
        from: version.0.checked_sub(1).filter(|v| *v > 0).map(VersionId),
        build_id: format!("{:040x}", version.0),
        rustc: "rustc 1.95.0".into(),
        guards,
        types: types
            .into_iter()
            .map(|schema| TypeManifest {
                version,
                path: format!("crate::{}", schema.name),
                schema,
            })
            .collect(),
        frozen: Vec::new(),
        lenses: Vec::new(),
        keys: Vec::new(),
        functions: Vec::new(),
        removed: Vec::new(),
        update_points: vec!["loop".into()],
        carry: CarryManifest {
            worker: "serve".into(),
            schema: record("Connections", &[]),
            path: "crate::Connections".into(),
        },
        carry_lenses: Vec::new(),
        statics: StaticsManifest::default(),
        paths: Vec::new(),
    }
}

pub fn freeze(manifest: &mut Manifest, schema: &TypeSchema) {
    let version = manifest.from.expect("a version with an older one");
    manifest.frozen.push(TypeManifest {
        version,
        schema: schema.clone(),
        path: format!("crate::older::{}", schema.name),
    });
}
