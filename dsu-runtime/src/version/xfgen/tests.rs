//! What is generated for small pairs of versions, beside files that say what it should be.
//!
//! After a deliberate change: `DSU_GOLDEN=overwrite cargo test -p dsu-runtime --lib xfgen`, then read the diff.

mod random;

use super::*;
use crate::version::digest;
use crate::version::manifest::{MovedManifest, TypePath};
use crate::version::samples::*;
use std::path::PathBuf;
use std::process::Command;

fn golden(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/version/xfgen/golden");
    PathBuf::from(folder).join(name)
}

/// The text for a pair of versions is what the file of this name has.
fn agrees(name: &str, old: &Manifest, new: &Manifest) {
    let text = xfgen(old, new);
    let path = golden(name);
    if std::env::var_os("DSU_GOLDEN").is_some_and(|value| value == "overwrite") {
        std::fs::write(&path, &text).expect("the sources are writable");
    }
    let expected = std::fs::read_to_string(&path).expect("it is part of the sources");
    assert_eq!(text, expected, "{}", path.display());
    assert_eq!(text, xfgen(old, new), "a second time");
}

fn number() -> TypeSchema {
    leaf("u64", 8)
}

fn bytes() -> TypeSchema {
    container("SharedBytes", &[])
}

// R35
#[test]
fn fields_are_matched_widened_rebound_and_nested_and_the_rest_is_asked() {
    let peer = record("Peer", &[("id", number())]);
    let entry = |more: &[(&str, TypeSchema)]| {
        let mut all = vec![
            ("value", boxed("Value")),
            ("peers", container("SharedMap", &[bytes(), peer.clone()])),
        ];
        all.extend_from_slice(more);
        record("Entry", &all)
    };
    let motd = |more: &[(&str, TypeSchema)]| {
        let mut all = vec![("len", number())];
        all.extend_from_slice(more);
        record("Motd", &all)
    };
    let tags = ("tags", container("SharedVec", &[bytes()]));
    let (motd1, motd2) = (motd(&[]), motd(std::slice::from_ref(&tags)));
    let old = entry(&[
        ("motd", motd1.clone()),
        ("hits", leaf("u32", 4)),
        ("limit", number()),
        ("get_misses", number()),
        ("owner", leaf("u16", 2)),
        ("notes", container("SharedVec", &[boxed("Note")])),
        ("scratch", bytes()),
        ("type", leaf("Option<u64>", 16)),
    ]);
    let new = entry(&[
        ("motd", motd2.clone()),
        ("hits", number()),
        ("limit", leaf("u32", 4)),
        ("keyspace_misses", number()),
        ("notes", container("SharedVec", &[boxed("Remark")])),
        ("type", leaf("Option<u64>", 16)),
        ("deadline", leaf("Option<u64>", 16)),
        ("expires_at_ms", leaf("u128", 16)),
        ("first", peer.clone()),
    ]);
    let value = record("Value", &[("bytes", bytes())]);
    let note = |name: &str| record(name, &[("text", bytes())]);
    let one = manifest(
        1,
        Vec::new(),
        vec![old, motd1, peer.clone(), value.clone(), note("Note")],
    );
    let two = manifest(2, Vec::new(), vec![new, motd2, peer, value, note("Remark")]);
    agrees("fields.rs", &one, &two);
}

// R12, R35
#[test]
fn enums_are_described_and_a_struct_becomes_the_variant_that_holds_the_same() {
    let list = || container("SharedVec", &[boxed("Line")]);
    let old = choice(
        "State",
        &[
            ("Text", &[bytes()]),
            ("Count", &[leaf("u32", 4)]),
            ("Old", &[number()]),
        ],
    );
    let new = choice(
        "State",
        &[
            ("Text", &[bytes()]),
            ("Count", &[number()]),
            ("New", &[number()]),
            ("List", &[list()]),
        ],
    );
    let line = record("Line", &[("bytes", bytes())]);
    let value = choice("Value", &[("Text", &[bytes()]), ("List", &[list()])]);
    let gone = choice("Mode", &[("Slow", &[]), ("Fast", &[])]);
    let mode = choice("Mode", &[("Slow", &[])]);
    let kind = record("Kind", &[("code", number())]);
    let (was, is) = (
        record("Value", &[("bytes", bytes())]),
        choice("Kind", &[("Other", &[]), ("Same", &[])]),
    );
    let one = manifest(1, Vec::new(), vec![old, line.clone(), was, gone, kind]);
    let two = manifest(2, Vec::new(), vec![new, line, value, mode, is]);
    agrees("enums.rs", &one, &two);
}

// R3, R4, R35
#[test]
fn items_that_are_split_have_a_lens_and_guards_that_are_gone_a_question() {
    let fields = |names: &[&str]| -> Vec<(String, TypeSchema)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), number()))
            .collect()
    };
    let of = |name: &str, names: &[&str]| {
        let fields = fields(names);
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, ty)| (name.as_str(), ty.clone()))
            .collect();
        record(name, &fields)
    };
    let stats = of("Stats", &["commands", "hits", "bytes_in"]);
    let usage = of("Usage", &["commands", "hits"]);
    let traffic = of("Traffic", &["bytes_in", "bytes_out"]);
    let peer = of("Peer", &["id"]);
    let mut removed = guard("LOCKS", &[("owner", number())]);
    let mut one = manifest(
        1,
        vec![
            guard(
                "TOTALS",
                &[
                    ("stats", stats.clone()),
                    ("peers", number()),
                    ("seen", leaf("u32", 4)),
                ],
            ),
            guard("QUEUE", &[("first", peer.clone()), ("left", bytes())]),
            guard("OTHER", &[]),
            removed.clone(),
        ],
        vec![stats, peer.clone()],
    );
    removed.name = "LOCKS_BY_NAME".into();
    removed.family = Some(16);
    one.guards[3].family = Some(16);
    let mut two = manifest(
        2,
        vec![
            guard(
                "TOTALS",
                &[
                    ("usage", usage.clone()),
                    ("traffic", traffic.clone()),
                    ("seen", number()),
                ],
            ),
            guard("QUEUE", &[("front", peer.clone())]),
            removed,
        ],
        vec![usage, traffic, peer],
    );
    two.removed = vec!["OTHER".into(), "TOTALS.peers".into()];
    agrees("guards.rs", &one, &two);
}

// R24, R35
#[test]
fn what_a_worker_carries_crosses_with_all_that_lies_in_it() {
    let carried = |name: &str, kind| TypeSchema {
        size: 0,
        align: 0,
        ..record_of(name, kind)
    };
    let timer = |more: &[&str]| {
        let fields: Vec<_> = ["due_ms"]
            .iter()
            .chain(more)
            .map(|name| (*name, leaf("u32", 0)))
            .collect();
        carried("Timer", record("Timer", &fields).kind)
    };
    let local = |timer: TypeSchema, more: &[(&str, TypeSchema)]| {
        let mut fields = vec![
            (
                "names",
                container("HashMap", &[leaf("u32", 0), timer.clone()]),
            ),
            ("next", container("Option", std::slice::from_ref(&timer))),
            ("all", container("Vec", std::slice::from_ref(&timer))),
            ("idle", leaf("Duration", 0)),
            ("connections", leaf("Connections", 0)),
        ];
        fields.extend_from_slice(more);
        carried("Local", record("Local", &fields).kind)
    };
    let mut one = manifest(1, Vec::new(), Vec::new());
    let mut two = manifest(2, Vec::new(), Vec::new());
    one.carry.schema = local(timer(&[]), &[]);
    two.carry.schema = local(
        timer(&["period_ms"]),
        &[("backlog", container("VecDeque", &[leaf("String", 0)]))],
    );
    one.carry.path = "crate::Local".into();
    two.carry.path = "crate::Local".into();
    two.paths = vec![path(&timer(&["period_ms"]), "kv_engine::net::timer::Timer")];
    agrees("carry.rs", &one, &two);
}

fn record_of(name: &str, kind: TypeKind) -> TypeSchema {
    TypeSchema {
        kind,
        ..leaf(name, 0)
    }
}

fn path(schema: &TypeSchema, path: &str) -> TypePath {
    TypePath {
        name: schema.name.clone(),
        digest: digest(schema),
        path: path.into(),
    }
}

// R2, R35
#[test]
fn instances_of_generic_types_newtypes_and_meanings_are_told_apart() {
    let pair = |first: TypeSchema, more: &[(&str, TypeSchema)]| {
        let mut fields = vec![("first", first)];
        fields.extend_from_slice(more);
        record("Pair", &fields)
    };
    let point = |names: &[&str]| {
        let fields: Vec<_> = names.iter().map(|name| (*name, bytes())).collect();
        record("Point", &fields)
    };
    let holder = |a: &TypeSchema, b: &TypeSchema, millis: TypeSchema| {
        record(
            "Holder",
            &[
                ("a", a.clone()),
                ("b", b.clone()),
                ("timeout", millis),
                ("both", tuple()),
            ],
        )
    };
    fn tuple() -> TypeSchema {
        let kind = record("", &[("0", leaf("u64", 8)), ("1", leaf("u8", 1))]).kind;
        TypeSchema {
            kind,
            ..leaf("(u64, u8)", 16)
        }
    }
    let millis = |meaning| TypeSchema {
        meaning,
        ..record("Millis", &[("0", number())])
    };
    let last = [("last", bytes())];
    let (a1, a2) = (pair(number(), &[]), pair(number(), &last));
    let (b1, b2) = (pair(point(&["x"]), &[]), pair(point(&["x", "y"]), &last));
    let (one_holder, two_holder) = (holder(&a1, &b1, millis(1)), holder(&a2, &b2, millis(2)));
    let mut one = manifest(1, Vec::new(), vec![one_holder]);
    let mut two = manifest(2, Vec::new(), vec![two_holder]);
    one.paths = vec![
        path(&a1, "crate::pair::Pair<u64>"),
        path(&b1, "crate::pair::Pair<crate::Point>"),
    ];
    two.paths = vec![
        path(&a2, "crate::pair::Pair<u64>"),
        path(&b2, "crate::pair::Pair<crate::Point>"),
    ];
    agrees("generic.rs", &one, &two);
}

// R4, R35: what is said to have moved is no question, also to a guard that is new.
#[test]
fn items_that_move_between_guards_need_the_lens_of_their_types_alone() {
    let peers = |more: &[(&str, TypeSchema)]| {
        let mut fields = vec![("visits", number())];
        fields.extend_from_slice(more);
        record("Peers", &fields)
    };
    let (old, new) = (peers(&[]), peers(&[("names", bytes())]));
    let turns = ("turns", number());
    let totals = guard(
        "TOTALS",
        &[("hits", number()), ("peers", old), turns.clone()],
    );
    let one = manifest(1, vec![totals], Vec::new());
    let totals = guard("TOTALS", &[("hits", number())]);
    let network = guard("NETWORK", &[("peers", new), turns]);
    let mut two = manifest(2, vec![totals, network], Vec::new());
    let text = xfgen(&one, &two);
    assert!(text.contains("moved(turns: …, from ="), "{text}");
    let moved = |item: &str| MovedManifest {
        item: item.into(),
        guard: "TOTALS".into(),
        from: item.into(),
    };
    two.guards[1].moved = vec![moved("peers"), moved("turns")];
    let text = xfgen(&one, &two);
    assert!(text.contains("dsu::transformer!(PeersLens);"), "{text}");
    assert!(!text.contains("of guard TOTALS"), "{text}");
}

#[test]
fn equal_versions_need_nothing() {
    let types = || vec![record("Entry", &[("a", number())])];
    let text = xfgen(
        &manifest(1, Vec::new(), types()),
        &manifest(2, Vec::new(), types()),
    );
    assert!(
        !text.contains("struct") && !text.contains("compile_error"),
        "{text}"
    );
}

// R35: whoever has chosen `repr(C)` has chosen the gaps.
#[test]
fn a_copy_is_laid_out_as_what_it_copies() {
    let field = |name: &str, offset, ty| crate::abi::FieldSchema {
        name: name.to_owned(),
        offset,
        ty,
    };
    let with = |fields: Vec<crate::abi::FieldSchema>, size| TypeSchema {
        size,
        align: 8,
        ..record_of("Entry", TypeKind::Struct(fields))
    };
    let in_order = with(
        vec![field("a", 0, leaf("u8", 1)), field("b", 8, number())],
        16,
    );
    let sorted = with(
        vec![field("a", 8, leaf("u8", 1)), field("b", 0, number())],
        16,
    );
    let text = |schema: &TypeSchema| frozen_stub(schema, VersionId(1));
    assert!(
        text(&in_order).contains("#[repr(C)]\n"),
        "{}",
        text(&in_order)
    );
    assert!(!text(&sorted).contains("repr"), "{}", text(&sorted));
}

/// Whether rustfmt is there and leaves these files as they are; `None` where it is not installed.
fn is_formatted(files: &[PathBuf]) -> Option<String> {
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024", "--check"]).args(files);
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("not looked at: rustfmt does not run: {error}");
            None
        }
    }
}

#[test]
fn generated_text_is_as_rustfmt_leaves_it() {
    let files = [
        "fields.rs",
        "enums.rs",
        "guards.rs",
        "carry.rs",
        "generic.rs",
    ]
    .map(golden);
    assert_eq!(is_formatted(&files).unwrap_or_default(), "");
}

fn shuffled(manifest: &Manifest) -> Manifest {
    let mut other = manifest.clone();
    other.types.reverse();
    other.guards.reverse();
    other.paths.reverse();
    other.removed.reverse();
    other
}
