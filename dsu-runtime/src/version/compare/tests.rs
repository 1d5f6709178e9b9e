//! Pairs of manifests that do and do not go together.

mod moves;

use super::*;
use crate::version::manifest::FunctionManifest;
use crate::version::manifest::KeyManifest;
use crate::version::samples::*;

fn entry(fields: &[&str]) -> TypeSchema {
    let fields: Vec<_> = fields.iter().map(|name| (*name, leaf("u64", 8))).collect();
    record("Entry", &fields)
}

fn shard() -> TypeSchema {
    record(
        "Shard",
        &[(
            "entries",
            container("SharedMap", &[leaf("SharedBytes", 16), boxed("Entry")]),
        )],
    )
}

/// Entries in boxes behind SHARDS, totals as an item of TOTALS.
fn version(number: u32, fields: &[&str]) -> Manifest {
    let mut shards = guard("SHARDS", &[("shard", shard())]);
    shards.family = Some(16);
    let totals = guard(
        "TOTALS",
        &[("stats", record("Stats", &[("hits", leaf("u64", 8))]))],
    );
    manifest(number, vec![shards, totals], vec![entry(fields), shard()])
}

fn pair() -> (Manifest, Manifest) {
    let one = version(1, &["value"]);
    let mut two = version(2, &["value", "deadline"]);
    freeze(&mut two, &one.types[0].schema);
    two.lenses
        .push(lens(&one.types[0].schema, &two.types[0].schema));
    (one, two)
}

fn wrong(running: &Manifest, new: &Manifest) -> Vec<Incompatible> {
    compare(running, new).unwrap_err().0
}

#[test]
fn lens_takes_boxes_both_ways_and_leaves_their_container_alone() {
    let (one, two) = pair();
    for (running, new, direction) in [
        (&one, &two, Direction::Forward),
        (&two, &one, Direction::Backward),
    ] {
        let comparison = compare(running, new).unwrap();
        assert_eq!(comparison.direction, direction);
        assert_eq!(
            comparison.elements,
            [Part {
                name: "Entry".into(),
                passage: Passage::BothWays
            }]
        );
        assert!(
            comparison
                .items
                .iter()
                .all(|item| item.passage == Passage::Unchanged)
        ); // R2
        assert_eq!(comparison.carry, Passage::Unchanged);
        assert_eq!(comparison.advice, Advice::Rolling);
    }
}

#[test] // R1
fn behaviour_only_update_changes_nothing() {
    let comparison = compare(&version(1, &["value"]), &version(2, &["value"])).unwrap();
    let parts = comparison.items.iter().chain(&comparison.elements);
    assert!(
        parts
            .into_iter()
            .all(|part| part.passage == Passage::Unchanged)
    );
}

#[test]
fn other_application_or_distance_is_refused_alone() {
    let (one, mut two) = pair();
    assert!(matches!(
        wrong(&one, &version(3, &["x"]))[..],
        [Incompatible::NotAdjacent { .. }]
    ));
    assert!(matches!(
        wrong(&one, &one)[..],
        [Incompatible::NotAdjacent { .. }]
    ));
    assert!(
        compare(&one, &one)
            .unwrap_err()
            .to_string()
            .contains("running already")
    );
    two.app = "web".into();
    assert!(matches!(
        wrong(&one, &two)[..],
        [Incompatible::OtherApplication { .. }]
    ));
}

#[test]
fn changed_box_without_lens_is_refused_with_layouts_and_stub() {
    let (one, mut two) = pair();
    two.lenses.clear();
    let refusal = compare(&one, &two).unwrap_err();
    assert!(matches!(refusal.0[..], [Incompatible::MissingLens { .. }]));
    let text = refusal.to_string();
    for part in [
        "Entry changes and has no transformer",
        "#[shared(frozen = 1)]",
        "≠ ",
        "transformer!(EntryLens)",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn frozen_copy_that_differs_is_refused_once_with_both_layouts() {
    let (one, mut two) = pair();
    let stale = entry(&["value", "never"]);
    two.frozen[0].schema = stale.clone();
    two.lenses[0].left = stale;
    let refusal = compare(&one, &two).unwrap_err();
    assert!(
        matches!(refusal.0[..], [Incompatible::FrozenDiffers { .. }]),
        "{refusal}"
    );
    let text = refusal.to_string();
    assert!(
        text.contains("v1 states") && text.contains("never: u64"),
        "{text}"
    );
    assert!(text.contains("struct Entry {"), "{text}");
}

#[test] // R4
fn gone_guards_and_items_need_a_word() {
    let one = version(1, &["value"]);
    let mut two = version(2, &["value"]);
    two.guards[1] = guard(
        "TOTAL",
        &[("stat", record("Stats", &[("hits", leaf("u64", 8))]))],
    );
    let expected = Incompatible::GuardGone {
        guard: "TOTALS".into(),
        near: Some("TOTAL".into()),
    };
    assert_eq!(wrong(&one, &two), [expected]);
    two.guards[1].renamed_from = "TOTALS".into();
    let expected = Incompatible::ItemGone {
        item: "TOTALS.stats".into(),
        near: Some("stat".into()),
    };
    assert_eq!(wrong(&one, &two), [expected]);
    two.removed.push("TOTALS.stats".into());
    let items = compare(&one, &two).unwrap().items;
    assert!(items.contains(&Part {
        name: "TOTALS.stats".into(),
        passage: Passage::Removed
    }));
    assert!(items.contains(&Part {
        name: "TOTAL.stat".into(),
        passage: Passage::Added
    }));
    two.guards[1].renamed_from = "TOTAALS".into();
    two.removed.push("TOTALS".into());
    let near = Some("TOTALS".to_owned());
    assert!(
        matches!(&wrong(&one, &two)[..], [Incompatible::RenamedFromNothing { near: n, .. }] if *n == near)
    );
    two.guards.remove(1);
    assert!(compare(&one, &two).is_ok());
}

// R4
#[test]
fn functions_that_values_may_name_are_there_in_the_next_version_or_gone_with_a_word() {
    let function = |name: &str, signature: &str| FunctionManifest {
        name: name.into(),
        signature: signature.into(),
    };
    let (mut one, mut two) = (version(1, &["value"]), version(2, &["value"]));
    one.functions = vec![function("greet", "fn(u64)"), function("leave", "fn(u64)")];
    two.functions = vec![function("greets", "fn(u64)"), function("leave", "fn(u32)")];
    let gone = Incompatible::FunctionGone {
        function: "greet".into(),
        near: Some("greets".into()),
    };
    let changed = Incompatible::FunctionChanged {
        function: "leave".into(),
        older: "fn(u64)".into(),
        newer: "fn(u32)".into(),
    };
    let texts = [
        "function greet is gone without a word (did you mean greets?): write removed!(\"fn greet\"), or keep its name with #[dsu::function(name = \"greet\")]",
        "function leave changes from fn(u64) to fn(u32): give the new one another name, or write removed!(\"fn leave\")",
    ];
    assert_eq!([gone.to_string(), changed.to_string()], texts);
    let both = [gone, changed];
    assert_eq!(wrong(&one, &two), both);
    assert_eq!(wrong(&two, &one), both, "whichever of them runs");
    two.removed = vec!["fn greet".into(), "fn leave".into()];
    assert!(compare(&one, &two).is_ok());
    two.functions = one.functions.clone();
    two.removed.clear();
    assert!(compare(&one, &two).is_ok());
    one.functions.clear();
    assert!(compare(&one, &two).is_ok(), "new ones are nobody's loss");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let (one, mut two) = pair();
    two.lenses.clear();
    two.guards[0].family = Some(8);
    two.guards.remove(1);
    two.carry.schema = record("Connections", &[("n", leaf("u64", 8))]);
    let found = wrong(&one, &two);
    assert!(
        found
            .iter()
            .any(|w| matches!(w, Incompatible::MissingLens { .. }))
    );
    assert!(
        found
            .iter()
            .any(|w| matches!(w, Incompatible::FamilyChanged { .. }))
    );
    assert!(
        found
            .iter()
            .any(|w| matches!(w, Incompatible::GuardGone { .. }))
    );
    assert!(
        found
            .iter()
            .any(|w| matches!(w, Incompatible::MissingCarryLens { .. }))
    );
    assert_eq!(found.len(), 4);
}

#[test] // R14
fn one_way_lens_takes_a_barrier_forward_and_is_refused_backward() {
    let (one, mut two) = pair();
    two.lenses[0].both_ways = false;
    let Advice::Barrier(reasons) = compare(&one, &two).unwrap().advice else {
        panic!()
    };
    assert_eq!(reasons, ["Entry goes forward only"]);
    let back = compare(&two, &one).unwrap_err();
    assert!(back.to_string().starts_with("one-way: Entry"), "{back}");
}

#[test] // R34
fn another_compiler_is_accepted_only_for_layouts_it_cannot_choose() {
    let numbers = |number| {
        let stats = record(
            "Stats",
            &[("hits", leaf("u64", 8)), ("last", boxed("Last"))],
        );
        manifest(
            number,
            vec![guard("TOTALS", &[("stats", stats)])],
            vec![record("Last", &[("at", leaf("u64", 8))])],
        )
    };
    let (one, mut two) = (numbers(1), numbers(2));
    two.rustc = "rustc 1.96.0".into();
    assert!(compare(&one, &two).is_ok());
    let (one, mut two) = pair();
    two.rustc = "rustc 1.96.0".into();
    let found = wrong(&one, &two);
    assert!(
        matches!(&found[..], [Incompatible::OtherCompiler { because, .. }] if because.starts_with("SharedMap"))
    );
}

// R3
#[test]
fn items_that_a_lens_regroups_are_neither_gone_nor_new() {
    let number = || leaf("u64", 8);
    let stats = record("Stats", &[("hits", number()), ("bytes", number())]);
    let (hits, bytes) = (
        record("Hits", &[("hits", number())]),
        record("Bytes", &[("bytes", number())]),
    );
    let one = manifest(
        1,
        vec![guard(
            "TOTALS",
            &[("stats", stats.clone()), ("peers", number())],
        )],
        vec![],
    );
    let items = [
        ("hits", hits.clone()),
        ("peers", number()),
        ("bytes", bytes.clone()),
    ];
    let mut two = manifest(2, vec![guard("TOTALS", &items)], vec![]);
    assert!(matches!(
        &wrong(&one, &two)[0],
        Incompatible::ItemGone { .. }
    ));
    let tuple = |parts: &[(&str, TypeSchema)]| record("()", parts);
    let mut split = lens(
        &tuple(&[("0", stats)]),
        &tuple(&[("0", hits), ("1", bytes)]),
    );
    split.items = Some(RegroupedManifest {
        guard: "TOTALS".into(),
        older: vec!["stats".into()],
        newer: vec!["hits".into(), "bytes".into()],
    });
    two.lenses.push(split);
    let items = compare(&one, &two).unwrap().items;
    let passages: Vec<_> = items
        .iter()
        .map(|part| (part.name.as_str(), part.passage))
        .collect();
    assert_eq!(
        passages,
        [
            ("TOTALS.stats", Passage::BothWays),
            ("TOTALS.peers", Passage::Unchanged)
        ]
    );
    // A lens of another guard's items, or of other types, says nothing of these.
    two.lenses[0].items.as_mut().unwrap().older[0] = "peers".into();
    assert!(matches!(
        &wrong(&one, &two)[0],
        Incompatible::ItemGone { .. }
    ));
    two.lenses[0].both_ways = false;
    two.lenses[0].items.as_mut().unwrap().older[0] = "stats".into();
    assert!(matches!(
        compare(&two, &one).unwrap_err().0[0],
        Incompatible::OneWay { .. }
    ));
}

// R3: an item that two lenses took would belong to two owners.
#[test]
fn an_item_that_lenses_name_twice_is_refused() {
    let number = || leaf("u64", 8);
    let tuple = |names: &[&str]| {
        let parts: Vec<_> = names.iter().map(|name| (*name, number())).collect();
        record("()", &parts)
    };
    let one = manifest(
        1,
        vec![guard("TOTALS", &[("a", number()), ("b", number())])],
        vec![],
    );
    let items = [("c", number()), ("d", number())];
    let of = |lenses: &[(&[&str], &[&str])]| {
        let mut two = manifest(2, vec![guard("TOTALS", &items)], vec![]);
        two.lenses.extend(lenses.iter().map(|(older, newer)| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let mut lens = lens(&tuple(older), &tuple(newer));
            lens.items = Some(RegroupedManifest {
                guard: "TOTALS".into(),
                older: owned(older),
                newer: owned(newer),
            });
            lens
        }));
        two
    };
    let twice = |two: &Manifest| match &wrong(&one, two)[..] {
        [Incompatible::ItemTwice { item }] => item.clone(),
        other => panic!("{other:?}"),
    };
    assert!(compare(&one, &of(&[(&["a"], &["c"]), (&["b"], &["d"])])).is_ok());
    assert_eq!(
        twice(&of(&[(&["a", "b"], &["c"]), (&["b"], &["d"])])),
        "TOTALS.b"
    );
    assert_eq!(
        twice(&of(&[(&["a"], &["c"]), (&["b"], &["c", "d"])])),
        "TOTALS.c"
    );
    assert_eq!(twice(&of(&[(&["a", "a", "b"], &["c", "d"])])), "TOTALS.a");
}

fn key(schema: TypeSchema, results: [Option<&str>; 3]) -> KeyManifest {
    let [hash, equality, order] = results.map(|result| result.map(str::to_owned));
    KeyManifest {
        schema,
        samples: 100,
        hash,
        equality,
        order,
        panicked: None,
    }
}

// R15
#[test]
fn keys_that_hash_equal_or_order_otherwise_with_the_same_schema_are_refused() {
    let (mut one, mut two) = pair();
    let bytes = || leaf("SharedBytes", 16);
    one.keys = vec![key(bytes(), [Some("h"), Some("e"), None])];
    // Results of which only one side has one are not compared, nor are those of other schemas.
    for other in [
        vec![],
        vec![key(bytes(), [Some("h"), Some("e"), Some("o")])],
        vec![key(bytes(), [None, None, Some("o")])],
        vec![key(leaf("Name", 16), [Some("another"), None, None])],
    ] {
        two.keys = other;
        compare(&one, &two).unwrap();
        compare(&two, &one).unwrap();
    }
    for (results, words) in [
        ([Some("x"), Some("e"), None], "hash otherwise"),
        ([Some("h"), Some("x"), None], "equal each other otherwise"),
        (
            [Some("x"), Some("x"), None],
            "hash otherwise and equal each other otherwise",
        ),
    ] {
        two.keys = vec![key(bytes(), results)];
        for (running, new) in [(&one, &two), (&two, &one)] {
            let refusal = compare(running, new).unwrap_err();
            assert!(matches!(refusal.0[..], [Incompatible::KeysDiffer { .. }]));
            let text = refusal.to_string();
            for part in [
                "SharedMap<SharedBytes, Entry> in SHARDS.shard",
                words,
                "the schema of SharedBytes is the same",
            ] {
                assert!(text.contains(part), "{part:?} is not in:\n{text}");
            }
        }
    }
    // A second type of the same schema, which is not found on the other side.
    two.keys = vec![
        key(bytes(), [Some("h"), Some("e"), None]),
        key(bytes(), [Some("x"), Some("e"), None]),
    ];
    assert!(matches!(
        wrong(&one, &two)[..],
        [Incompatible::KeysDiffer { .. }]
    ));
}

// R15: behind boxes too, and what cannot be sampled or reached says nothing.
#[test]
fn keys_are_looked_for_where_guards_reach_them_and_not_without_samples() {
    let name = record("Name", &[("0", leaf("SharedBytes", 16))]);
    let index = container("SharedOrderedMap", &[name.clone(), leaf("u64", 8)]);
    let entry = record("Entry", &[("index", index)]);
    let of = |number, order| {
        let shards = guard("SHARDS", &[("shard", shard())]);
        let mut manifest = manifest(number, vec![shards], vec![entry.clone(), shard()]);
        manifest.keys = vec![key(name.clone(), [None, None, Some(order)])];
        manifest
    };
    let (one, mut two) = (of(1, "by letters"), of(2, "by length"));
    let text = compare(&one, &two).unwrap_err().to_string();
    let words =
        "SharedOrderedMap<Name, u64> in SHARDS.shard are ordered otherwise in v2 than in v1";
    assert!(text.contains(words), "{text}");
    two.keys[0].samples = 0;
    compare(&one, &two).unwrap();
    let (mut one, mut two) = (one, of(2, "by length"));
    for manifest in [&mut one, &mut two] {
        manifest.guards[0] = guard("SHARDS", &[("shard", leaf("u64", 8))]);
    }
    compare(&one, &two).unwrap();
}
