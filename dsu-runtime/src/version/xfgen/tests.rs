//! What is generated for small pairs of versions.

use super::*;
use crate::version::samples::*;

fn versions() -> (Manifest, Manifest) {
    let number = || leaf("u64", 8);
    let peer = record("Peer", &[("id", number())]);
    let motd = |fields: &[(&str, TypeSchema)]| record("Motd", fields);
    let entry = |fields: &[(&str, TypeSchema)]| {
        let mut all = vec![("value", boxed("Value"))];
        all.extend_from_slice(fields);
        record("Entry", &all)
    };
    let (motd1, motd2) = (
        motd(&[("len", number())]),
        motd(&[("len", number()), ("seen", number())]),
    );
    let peers = container("SharedMap", &[leaf("SharedBytes", 16), peer.clone()]);
    let state = TypeSchema {
        name: "Value".into(),
        size: 16,
        align: 8,
        meaning: 0,
        kind: TypeKind::Enum {
            repr: "u8".into(),
            variants: vec![VariantSchema {
                name: "Text".into(),
                discriminant: 0,
                fields: vec![FieldSchema {
                    name: "0".into(),
                    offset: 8,
                    ty: leaf("SharedBytes", 8),
                }],
            }],
        },
    };
    let mut wider = state.clone();
    let TypeKind::Enum { variants, .. } = &mut wider.kind else {
        unreachable!()
    };
    variants.push(VariantSchema {
        name: "Number".into(),
        discriminant: 1,
        fields: Vec::new(),
    });
    let old = entry(&[
        ("motd", motd1.clone()),
        ("hits", number()),
        ("peers", peers.clone()),
    ]);
    let new = entry(&[
        ("motd", motd2.clone()),
        ("hits", leaf("u32", 4)),
        ("peers", peers),
        ("deadline", leaf("Option<u64>", 16)),
        ("owner", peer.clone()),
    ]);
    let one = manifest(1, Vec::new(), vec![old, motd1, peer.clone(), state]);
    let two = manifest(2, Vec::new(), vec![new, motd2, peer, wider]);
    (one, two)
}

#[test] // R35
fn changed_types_are_frozen_and_lenses_ask_only_what_is_not_obvious() {
    let (one, two) = versions();
    let text = xfgen(&one, &two);
    let expected = r#"//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.

use dsu_runtime::prelude::*;

/// The types as v2 has them.
mod newer {
    pub(crate) use crate::Entry;
    pub(crate) use crate::Motd;
    pub(crate) use crate::Peer;
    pub(crate) use crate::Value;
}

/// `Entry` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
pub(crate) struct Entry {
    pub(crate) value: Versioned<newer::Value>,
    pub(crate) motd: Motd,
    pub(crate) hits: u64,
    pub(crate) peers: SharedMap<SharedBytes, newer::Peer>,
}

/// `Motd` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
pub(crate) struct Motd {
    pub(crate) len: u64,
}

/// `Value` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
#[repr(u8)]
pub(crate) enum Value {
    Text(SharedBytes) = 0,
}

xform::record! {
    /// `Entry` to what it has become.
    pub(crate) struct EntryLens: Entry => newer::Entry {
        same value;
        same motd via MotdLens;
        same hits via xform::Identity<u64> = compile_error!("say how hits goes from u64 to u32 and back");
        same peers;
        add deadline: Option<u64> = Default::default();
        add owner: newer::Peer = compile_error!("say what Entry.owner is in a value that never had it");
    }
}

dsu::transformer!(EntryLens);
"#;
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(text, xfgen(&one, &two));
    assert!(
        text.contains("Value::Text(f0) => newer::Value::Text(f0),"),
        "{text}"
    );
    assert!(
        text.contains("newer::Value::Number => compile_error!("),
        "{text}"
    );
    assert!(
        !text.contains("struct Peer"),
        "unchanged types are the crate's own\n{text}"
    );
}

#[test]
fn types_that_go_are_asked_about_and_carries_that_change_have_a_lens() {
    let (mut one, mut two) = versions();
    two.types.retain(|ty| ty.schema.name != "Value");
    one.carry.schema = record("Connections", &[("n", leaf("u64", 8))]);
    let text = xfgen(&one, &two);
    assert!(text.contains("Value is not in v2"), "{text}");
    assert!(
        text.contains("drop n: u64 = Default::default();")
            && text.contains("dsu::carry_lens!(ConnectionsLens);"),
        "{text}"
    );
}

#[test]
fn equal_versions_need_nothing() {
    let (one, _) = versions();
    assert!(
        !xfgen(
            &one,
            &manifest(
                2,
                Vec::new(),
                versions().0.types.into_iter().map(|t| t.schema).collect()
            )
        )
        .contains("struct")
    );
}

#[test]
fn inline_elements_are_frozen_inline() {
    let list = |fields: &[(&str, TypeSchema)]| {
        let point = record("Point", fields);
        let line = record(
            "Line",
            &[(
                "points",
                container("SharedVec", std::slice::from_ref(&point)),
            )],
        );
        vec![line]
    };
    let one = manifest(1, Vec::new(), list(&[("x", leaf("u64", 8))]));
    let two = manifest(
        2,
        Vec::new(),
        list(&[("x", leaf("u64", 8)), ("y", leaf("u64", 8))]),
    );
    let text = xfgen(&one, &two);
    assert!(
        text.contains("#[shared(frozen = 1, inline)]\npub(crate) struct Point"),
        "{text}"
    );
    assert!(
        text.contains("#[shared(frozen = 1)]\npub(crate) struct Line"),
        "{text}"
    );
    assert!(text.contains("compile_error!(\"say how points goes from SharedVec<Point> to SharedVec<newer::Point> and back\")"), "{text}");
}
