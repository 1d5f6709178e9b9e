//! Random pairs of versions: any text parses, is formatted, and depends on no order.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: [&str; 7] = [
    "a",
    "b",
    "type",
    "hits",
    "get_hits",
    "keyspace_hits",
    "a_rather_long_name_of_a_field",
];
const TYPES: [&str; 5] = [
    "Entry",
    "Motd",
    "Value",
    "State",
    "AnApplicationsTypeWithALongName",
];

/// A type that a field may have; own types by name, to be looked up in a version.
#[derive(Clone, Debug)]
enum Plan {
    Leaf(&'static str, u64),
    Bytes,
    Own(&'static str),
    Boxed(&'static str),
    List(Box<Plan>),
    Map(Box<Plan>),
    Option(Box<Plan>),
    Array(Box<Plan>),
    Tuple(Vec<Plan>),
}

fn plan() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![
        select(vec![
            ("u8", 1),
            ("u32", 4),
            ("u64", 8),
            ("i64", 8),
            ("bool", 1),
            ("Option<u64>", 16)
        ])
        .prop_map(|(name, size)| Plan::Leaf(name, size)),
        Just(Plan::Bytes),
        select(&TYPES[..]).prop_map(Plan::Own),
        select(&TYPES[..]).prop_map(Plan::Boxed),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|p| Plan::List(Box::new(p))),
            inner.clone().prop_map(|p| Plan::Map(Box::new(p))),
            inner.clone().prop_map(|p| Plan::Option(Box::new(p))),
            inner.clone().prop_map(|p| Plan::Array(Box::new(p))),
            prop::collection::vec(inner, 1..3).prop_map(Plan::Tuple),
        ]
    })
}

#[derive(Clone, Debug)]
enum Body {
    Named(Vec<(&'static str, Plan)>),
    Numbered(Vec<Plan>),
    Enum(Vec<(&'static str, Vec<(&'static str, Plan)>)>),
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, Plan)>> {
    let all = prop::collection::vec((select(&NAMES[..]), plan()), 0..5);
    all.prop_map(|mut all| {
        all.sort_by_key(|(name, _)| *name);
        all.dedup_by_key(|(name, _)| *name);
        all
    })
}

fn body() -> impl Strategy<Value = Body> {
    let variants = prop::collection::vec((select(vec!["Text", "List", "Other"]), fields()), 1..4);
    prop_oneof![
        3 => fields().prop_map(Body::Named),
        1 => prop::collection::vec(plan(), 1..3).prop_map(Body::Numbered),
        2 => variants.prop_map(|mut all| {
            all.sort_by_key(|(name, _)| *name);
            all.dedup_by_key(|(name, _)| *name);
            Body::Enum(all)
        }),
    ]
}

type Version = Vec<(&'static str, Body)>;

fn version() -> impl Strategy<Value = Version> {
    let each = prop::collection::vec(prop::option::of(body()), TYPES.len());
    each.prop_map(|bodies| {
        let named = TYPES.iter().zip(bodies);
        named
            .filter_map(|(name, body)| Some((*name, body?)))
            .collect()
    })
}

/// Half of the types as they were.
fn pair() -> impl Strategy<Value = (Version, Version)> {
    (
        version(),
        version(),
        prop::collection::vec(any::<bool>(), TYPES.len()),
    )
        .prop_map(|(old, new, same)| {
            let mut mixed: Version = Vec::new();
            for (at, name) in TYPES.iter().enumerate() {
                let from = if same[at] { &old } else { &new };
                mixed.extend(from.iter().find(|(known, _)| known == name).cloned());
            }
            (old, mixed)
        })
}

fn schema(plan: &Plan, version: &Version, open: &mut Vec<&'static str>) -> TypeSchema {
    let mut inner = |plan: &Plan| schema(plan, version, open);
    match plan {
        Plan::Leaf(name, size) => leaf(name, *size),
        Plan::Bytes => bytes(),
        Plan::Own(name) => own(name, version, open),
        Plan::Boxed(name) => boxed(name),
        Plan::List(of) => container("SharedVec", &[inner(of)]),
        Plan::Map(of) => container("SharedMap", &[bytes(), inner(of)]),
        Plan::Option(of) => {
            let of = inner(of);
            let name = format!("Option<{}>", of.name);
            container(&name, &[of])
        }
        Plan::Array(of) => {
            let element = Box::new(inner(of));
            let name = format!("[{}; 4]", element.name);
            TypeSchema {
                kind: TypeKind::Array { element, len: 4 },
                ..leaf(&name, 32)
            }
        }
        Plan::Tuple(all) => {
            let all: Vec<TypeSchema> = all.iter().map(inner).collect();
            let names: Vec<_> = all.iter().map(|ty| ty.name.as_str()).collect();
            let name = format!("({})", names.join(", "));
            let numbers: Vec<String> = (0..all.len()).map(|n| n.to_string()).collect();
            let fields: Vec<_> = numbers
                .iter()
                .map(String::as_str)
                .zip(all.clone())
                .collect();
            TypeSchema {
                kind: record("", &fields).kind,
                ..leaf(&name, 32)
            }
        }
    }
}

fn own(name: &'static str, version: &Version, open: &mut Vec<&'static str>) -> TypeSchema {
    let body = version.iter().find(|(known, _)| *known == name);
    let Some((_, body)) = body.filter(|_| !open.contains(&name)) else {
        // A type that this version does not have stands for one of the language.
        return match body {
            Some(_) => leaf(name, 8),
            None => number(),
        };
    };
    open.push(name);
    let mut all = |fields: &[(&'static str, Plan)]| -> Vec<(String, TypeSchema)> {
        fields
            .iter()
            .map(|(name, plan)| ((*name).to_owned(), schema(plan, version, open)))
            .collect()
    };
    let made = match body {
        Body::Named(fields) => {
            let fields = all(fields);
            let fields: Vec<_> = fields
                .iter()
                .map(|(n, ty)| (n.as_str(), ty.clone()))
                .collect();
            record(name, &fields)
        }
        Body::Numbered(plans) => {
            let numbers = ["0", "1", "2"];
            let plans: Vec<_> = numbers.into_iter().zip(plans.iter().cloned()).collect();
            let fields = all(&plans);
            let fields: Vec<_> = fields
                .iter()
                .map(|(n, ty)| (n.as_str(), ty.clone()))
                .collect();
            record(name, &fields)
        }
        Body::Enum(variants) => {
            let mut made = choice(name, &[]);
            if let TypeKind::Enum { variants: list, .. } = &mut made.kind {
                for (at, (variant, fields)) in (0..).zip(variants) {
                    let fields =
                        all(fields)
                            .into_iter()
                            .map(|(name, ty)| crate::abi::FieldSchema {
                                name,
                                offset: 8,
                                ty,
                            });
                    list.push(crate::abi::VariantSchema {
                        name: (*variant).to_owned(),
                        discriminant: at,
                        fields: fields.collect(),
                    });
                }
            }
            made
        }
    };
    open.pop();
    made
}

fn made(number: u32, version: &Version) -> Manifest {
    let types: Vec<TypeSchema> = version
        .iter()
        .map(|(name, _)| own(name, version, &mut Vec::new()))
        .collect();
    let items: Vec<(String, TypeSchema)> = types
        .iter()
        .map(|ty| (ty.name.to_lowercase(), ty.clone()))
        .take(3)
        .collect();
    let items: Vec<_> = items
        .iter()
        .map(|(name, ty)| (name.as_str(), ty.clone()))
        .collect();
    let mut manifest = manifest(
        number,
        vec![
            guard("TOTALS", &items),
            guard(if number == 1 { "OLD" } else { "NEW" }, &[]),
        ],
        types,
    );
    if let Some((name, _)) = version.first() {
        // The same fields as a shared type has, under a name of its own.
        let mut carry = own(name, version, &mut Vec::new());
        carry.name = "Local".to_owned();
        manifest.carry.schema = carry;
    }
    manifest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pair_gives_text_that_parses_and_depends_on_no_order((old, new) in pair()) {
        let (old, new) = (made(1, &old), made(2, &new));
        let text = xfgen(&old, &new);
        if let Err(error) = syn::parse_file(&text) {
            panic!("{error}\n{text}");
        }
        prop_assert_eq!(&text, &xfgen(&shuffled(&old), &shuffled(&new)));
    }
}

#[test]
fn any_text_is_as_rustfmt_leaves_it() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let folder = std::env::temp_dir().join(format!("dsu-xfgen-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let files: Vec<PathBuf> = (0..60)
        .map(|case| {
            let (old, new) = pair().new_tree(&mut runner).expect("a pair").current();
            let path = folder.join(format!("case_{case}.rs"));
            std::fs::write(&path, xfgen(&made(1, &old), &made(2, &new))).expect("writable");
            path
        })
        .collect();
    let said = is_formatted(&files).unwrap_or_default();
    assert_eq!(said, "");
    std::fs::remove_dir_all(folder).expect("removed");
}
