//! The lens that `#[derive(Lens)]` makes: every attribute, on structs, tuple structs, enums, and generic and nested types.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use xform::laws;
use xform::{
    Directions, ErrorKind, Kept, Lens, LensError, Losses, Residual, Successor, Toward,
    Unrepresentable,
};

mod old {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Lens)]
    pub struct Uptime {
        pub millis: u64,
    }

    #[derive(Clone, Debug, PartialEq, Lens)]
    pub struct Peer {
        pub port: u16,
    }

    #[derive(Clone, Debug, PartialEq, Lens)]
    pub struct Limits {
        pub max: u32,
        pub min: u32,
    }

    #[derive(Clone, Debug, PartialEq, Lens)]
    pub struct Stats {
        pub commands: u64,
        pub get_hits: u64,
        pub uptime: Uptime,
        pub peers: Vec<Peer>,
        pub backup: Option<Peer>,
        pub named: BTreeMap<u8, Peer>,
        pub motd: String,
        pub name: String,
        pub limits: Limits,
        pub color: u8,
        pub owner: u8,
        pub tags: Vec<u8>,
        pub count: usize,
        pub low: u8,
        pub high: u8,
    }
}

mod new {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Lens)]
    #[lens(from = old::Uptime)]
    pub struct Uptime {
        #[lens(rename = millis, convert(to_seconds, to_millis))]
        pub seconds: u32,
    }

    #[derive(Clone, Debug, PartialEq, Lens)]
    #[lens(from = old::Peer)]
    pub struct Peer {
        pub port: u16,
        #[lens(add)]
        pub label: Option<u8>,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Limits {
        pub min: u32,
    }

    #[derive(Clone, Debug, PartialEq, Lens)]
    #[lens(from = old::Stats, name = AllOfIt)]
    #[lens(drop(motd = |new| format!("{} hits", new.hits)))]
    #[lens(drop(color))]
    #[lens(split(name => (first, last), |name: &String| split_name(name), |(a, b): &(String, String)| Ok(format!("{a} {b}"))))]
    #[lens(merge((low, high) => both, |(l, h): &(u8, u8)| Ok(u16::from(*l) + u16::from(*h)), |sum: &u16| Ok((0, (*sum).min(255) as u8))))]
    #[lens(hoist(limits { min, max } => limits { min }, max))]
    #[lens(derived(count = |peers| peers.len()))]
    pub struct Stats {
        pub commands: u64,
        #[lens(rename = get_hits)]
        pub hits: u64,
        #[lens(nested)]
        pub uptime: Uptime,
        #[lens(each(key: u16 = |peer| peer.port))]
        pub peers: Vec<Peer>,
        #[lens(each(option))]
        pub backup: Option<Peer>,
        #[lens(each(btree_map))]
        pub named: BTreeMap<u8, Peer>,
        #[lens(add = |old| old.get_hits)]
        pub expired: u64,
        pub first: String,
        pub last: String,
        pub limits: Limits,
        pub max: u32,
        #[lens(rename = owner, wrap = 0)]
        pub owners: Vec<u8>,
        #[lens(rename = tags, unwrap = 1)]
        pub tag: u8,
        #[lens(derived = |first, peers| first.len() + peers.len())]
        pub weight: usize,
        #[lens(add = 9, reset_when_written = "commands")]
        pub deadline: u64,
        pub both: u16,
    }
}

fn to_seconds(millis: &u64) -> Result<u32, LensError> {
    u32::try_from(millis / 1000).map_err(|_| LensError::unrepresentable("too many seconds"))
}

fn to_millis(seconds: &u32) -> Result<u64, LensError> {
    Ok(u64::from(*seconds) * 1000)
}

fn split_name(name: &str) -> Result<(String, String), LensError> {
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    Ok((first.to_owned(), last.to_owned()))
}

fn an_old() -> old::Stats {
    old::Stats {
        commands: 10,
        get_hits: 4,
        uptime: old::Uptime { millis: 2_345 },
        peers: vec![old::Peer { port: 80 }, old::Peer { port: 22 }],
        backup: Some(old::Peer { port: 1 }),
        named: [(3, old::Peer { port: 2 })].into(),
        motd: "hello".into(),
        name: "ada".into(),
        limits: old::Limits { max: 9, min: 1 },
        color: 3,
        owner: 5,
        tags: vec![1, 2, 3],
        count: 2,
        low: 3,
        high: 4,
    }
}

fn old_stats() -> impl Strategy<Value = old::Stats> {
    let numbers = any::<(u64, u64, u8, u8, u8, u8)>();
    let texts = ("[a-b]{0,2} ?[a-b]{0,2}", ".{0,3}");
    let ports = prop::collection::vec(0..4_u16, 0..4);
    (numbers, texts, ports, 0..1_u64 << 40, any::<Vec<u8>>()).prop_map(
        |((commands, get_hits, a, b, low, high), (name, motd), ports, millis, tags)| {
            let peers: Vec<_> = ports.iter().map(|&port| old::Peer { port }).collect();
            old::Stats {
                count: peers.len(),
                backup: peers.first().cloned(),
                named: peers
                    .iter()
                    .cloned()
                    .enumerate()
                    .map(|(i, p)| (i as u8, p))
                    .collect(),
                peers,
                limits: old::Limits {
                    max: a.into(),
                    min: b.into(),
                },
                uptime: old::Uptime { millis },
                color: a,
                owner: b,
                commands,
                get_hits,
                name,
                motd,
                tags,
                low,
                high,
            }
        },
    )
}

fn new_stats() -> impl Strategy<Value = new::Stats> {
    let numbers = any::<(u64, u64, u32, u8, u8, u64)>();
    let peers = prop::collection::vec(any::<(u8, Option<u8>)>(), 0..4);
    (
        numbers,
        "[a-b]{0,2}",
        "[a-b]{0,2} ?",
        peers,
        any::<Vec<u8>>(),
        0..600_u16,
    )
        .prop_map(
            |((commands, hits, seconds, a, b, deadline), first, last, peers, owners, both)| {
                let peers: Vec<_> = peers
                    .iter()
                    .map(|&(port, label)| new::Peer {
                        port: port.into(),
                        label,
                    })
                    .collect();
                new::Stats {
                    weight: first.len() + peers.len(),
                    backup: peers.first().cloned(),
                    named: peers
                        .iter()
                        .cloned()
                        .enumerate()
                        .map(|(i, p)| (i as u8, p))
                        .collect(),
                    peers,
                    limits: new::Limits { min: a.into() },
                    max: b.into(),
                    uptime: new::Uptime { seconds },
                    expired: 3,
                    tag: a,
                    commands,
                    hits,
                    first,
                    last,
                    owners,
                    deadline,
                    both,
                }
            },
        )
}

xform::lens_laws! {
    mod all_operations_together: new::AllOfIt;
    older: old_stats();
    newer: new_stats();
    edit hits(any::<u64>()): |old, to| old.get_hits = *to, |new, to| new.hits = *to;
    edit time(any::<u32>()): |old, to| old.uptime.millis = u64::from(*to) * 1000, |new, to| new.uptime.seconds = *to;
    edit backup(any::<u16>()): |old, to| match &mut old.backup {
        Some(peer) => peer.port = *to,
        None => old.backup = Some(old::Peer { port: *to }),
    }, |new, to| match &mut new.backup {
        Some(peer) => peer.port = *to,
        None => new.backup = Some(new::Peer { port: *to, label: None }),
    };
    edit max(any::<u32>()): |old, to| old.limits.max = *to, |new, to| new.max = *to;
}

#[test]
fn fields_are_matched_by_name_and_the_rest_says_where_it_comes_from() {
    let (right, _) = new::AllOfIt.forward(an_old(), None).unwrap();
    let peer = |port| new::Peer { port, label: None };
    let expected = new::Stats {
        commands: 10,
        hits: 4,
        uptime: new::Uptime { seconds: 2 },
        peers: vec![peer(80), peer(22)],
        backup: Some(peer(1)),
        named: [(3, peer(2))].into(),
        expired: 4,
        first: "ada".into(),
        last: String::new(),
        limits: new::Limits { min: 1 },
        max: 9,
        owners: vec![5],
        tag: 1,
        weight: 5,
        deadline: 9,
        both: 7,
    };
    assert_eq!(right, expected);
    let (left, _) = new::AllOfIt.backward(right, None).unwrap();
    assert_eq!(
        (left.motd.as_str(), left.color, left.count),
        ("4 hits", 0, 2)
    );
    assert_eq!((left.name.as_str(), left.low, left.high), ("ada ", 0, 7));
}

#[test]
fn what_is_split_or_merged_comes_back_as_it_was_unless_a_part_is_edited() {
    // R7
    let (right, kept) = new::AllOfIt.forward(an_old(), None).unwrap();
    let (left, _) = new::AllOfIt
        .backward(right.clone(), Some(kept.clone()))
        .unwrap();
    assert_eq!(left, an_old());
    let mut right = right;
    right.last = "x".into();
    right.both = 9;
    let (left, _) = new::AllOfIt.backward(right, Some(kept)).unwrap();
    assert_eq!((left.name.as_str(), left.low, left.high), ("ada x", 0, 9));
}

#[test]
fn a_deadline_ends_when_the_older_side_writes_what_it_was_set_for() {
    // R7
    let (mut right, _) = new::AllOfIt.forward(an_old(), None).unwrap();
    right.deadline = 77;
    let (left, kept) = new::AllOfIt.backward(right, None).unwrap();
    let mut other = left.clone();
    other.get_hits += 1;
    let (right, _) = new::AllOfIt.forward(other, Some(kept.clone())).unwrap();
    assert_eq!(right.deadline, 77);
    let mut written = left;
    written.commands += 1;
    let (right, _) = new::AllOfIt.forward(written, Some(kept)).unwrap();
    assert_eq!(right.deadline, 9);
}

#[test]
fn what_is_derived_follows_its_siblings_on_both_sides() {
    // R9
    let (mut right, kept) = new::AllOfIt.forward(an_old(), None).unwrap();
    right.peers.pop();
    let (left, kept) = new::AllOfIt.backward(right, Some(kept)).unwrap();
    assert_eq!(left.count, 1);
    let (right, _) = new::AllOfIt.forward(left, Some(kept)).unwrap();
    assert_eq!(right.weight, 4);
}

#[test]
fn an_error_names_the_way_to_the_value() {
    let mut left = an_old();
    left.uptime.millis = u64::MAX;
    let error = new::AllOfIt.forward(left, None).unwrap_err();
    assert_eq!(error.to_string(), "uptime.millis: too many seconds");
    #[derive(Debug, Lens)]
    struct OldShard {
        entries: BTreeMap<&'static str, old::Uptime>,
    }
    #[derive(Debug, Lens)]
    #[lens(from = OldShard)]
    struct Shard {
        #[lens(each(btree_map))]
        entries: BTreeMap<&'static str, new::Uptime>,
    }
    let entries = [("k", old::Uptime { millis: u64::MAX })].into();
    let error = ShardLens.forward(OldShard { entries }, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"entries["k"].millis: too many seconds"#
    );
}

#[test]
fn what_is_lost_without_a_complement_is_named() {
    // R10
    let back = Losses::of(&new::AllOfIt, "Stats", Toward::Older).to_string();
    for path in [
        "Stats.motd",
        "Stats.color",
        "Stats.uptime.seconds",
        "Stats.tag",
    ] {
        assert!(back.contains(path), "{back}");
    }
    assert!(!back.contains("hits") && !back.contains("label"), "{back}");
    let on = Losses::of(&new::AllOfIt, "Stats", Toward::Newer).to_string();
    assert!(
        on.contains("Stats.peers[].label") && on.contains("Stats.deadline"),
        "{on}"
    );
}

#[test]
fn a_complement_is_made_of_the_closed_list_of_parts_in_the_order_of_the_fields() {
    type Expected = <new::PeerLens as Lens>::Complement;
    let (_, kept): (_, (Kept<Option<u8>>, ())) =
        new::PeerLens.forward(old::Peer { port: 1 }, None).unwrap();
    let kept: Expected = kept;
    assert!(new::PeerLens.is_vacant(&kept));
    type Nested = <<new::Uptime as Successor<old::Uptime>>::Lens as Lens>::Complement;
    let _: Nested = (Residual::empty(), ());
}

/// What workers of both versions may do to an element while they run side by side (R36).
#[derive(Clone, Debug)]
enum Did {
    Served(u64),
    Waited(u32),
    Replaced(Box<old::Stats>),
    ReplacedByNewer(Box<new::Stats>),
}

fn did() -> impl Strategy<Value = Did> {
    prop_oneof![
        any::<u64>().prop_map(Did::Served),
        any::<u32>().prop_map(Did::Waited),
        old_stats().prop_map(|stats| Did::Replaced(Box::new(stats))),
        new_stats().prop_map(|stats| Did::ReplacedByNewer(Box::new(stats))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn workers_of_both_versions_may_touch_elements_in_any_order(
        start in prop::collection::vec(old_stats(), 1..4),
        done in prop::collection::vec((any::<usize>(), did()), 0..8),
    ) {
        // R6, R7, R36
        type Edits = (Box<dyn Fn(&mut old::Stats)>, Box<dyn Fn(&mut new::Stats)>);
        let edits: Vec<Edits> = done.iter().map(|(_, did)| match *did {
            Did::Served(by) => (Box::new(move |old: &mut old::Stats| old.commands ^= by) as _, Box::new(|_: &mut _| ()) as _),
            Did::Waited(by) => (Box::new(|_: &mut _| ()) as _, Box::new(move |new: &mut new::Stats| new.uptime.seconds = by) as _),
            _ => (Box::new(|_: &mut _| ()) as _, Box::new(|_: &mut _| ()) as _),
        }).collect();
        let touches: Vec<_> = done.iter().zip(&edits).map(|((index, did), (older, newer))| {
            (*index, match did {
                Did::Served(_) => laws::Touch::EditOlder(older),
                Did::Waited(_) => laws::Touch::EditNewer(newer),
                Did::Replaced(old) => laws::Touch::ReplaceOlder((**old).clone()),
                Did::ReplacedByNewer(new) => laws::Touch::ReplaceNewer((**new).clone()),
            })
        }).collect();
        let tally = laws::mixed(&new::AllOfIt, &start, &touches)?;
        prop_assert_eq!(tally.held, touches.len());
    }
}

// ---- tuple structs, generic types, names that are exchanged, one way

#[derive(Clone, Debug, PartialEq, Lens)]
struct OldPair<T>(T, u8, T);

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = OldPair<T>, drop(2))]
struct NewPair<T: Clone + PartialEq + Default>(
    #[lens(rename = 1)] u8,
    #[lens(rename = 0)] T,
    #[lens(add = 4)] u16,
);

xform::lens_laws! {
    mod a_generic_tuple_struct: NewPairLens::<String>::default();
    older: any::<(String, u8, String)>().prop_map(|(a, b, c)| OldPair(a, b, c));
    newer: any::<(u8, String, u16)>().prop_map(|(a, b, c)| NewPair(a, b, c));
    edit number(any::<u8>()): |old, to| old.1 = *to, |new, to| new.0 = *to;
    edit text(".{0,2}"): |old, to| old.0 = to.clone(), |new, to| new.1 = to.clone();
}

#[derive(Debug, Lens)]
struct Left {
    a: u8,
    b: u16,
    c: u32,
}

#[derive(Debug, Lens)]
#[lens(from = Left, drop(c = 7))]
struct Right {
    #[lens(rename = a)]
    b: u8,
    #[lens(rename = b)]
    a: u16,
    #[lens(add)]
    c: u64,
    #[lens(add = HashMap::new())]
    _more: HashMap<u8, u8>,
}

#[test]
fn fields_may_exchange_names_while_others_take_the_old_ones() {
    let (mut right, kept) = RightLens.forward(Left { a: 1, b: 2, c: 3 }, None).unwrap();
    assert_eq!((right.b, right.a, right.c), (1, 2, 0));
    right.c = 9;
    let (left, kept) = RightLens.backward(right, Some(kept)).unwrap();
    assert_eq!((left.a, left.b, left.c), (1, 2, 3));
    assert_eq!(RightLens.forward(left, Some(kept)).unwrap().0.c, 9);
}

#[derive(Debug, Lens)]
struct Name {
    text: String,
}

#[derive(Debug, Lens)]
#[lens(from = Name)]
struct Hashed {
    #[lens(rename = text, one_way(|text: String| Ok(text.len())))]
    hash: usize,
}

#[test]
fn a_struct_goes_only_the_ways_that_all_its_fields_go() {
    // R14
    const { assert!(matches!(HashedLens::DIRECTIONS, Directions::ForwardOnly)) };
    const { assert!(matches!(new::AllOfIt::DIRECTIONS, Directions::Both)) };
    let (right, _) = HashedLens
        .forward(Name { text: "abc".into() }, None)
        .unwrap();
    assert_eq!(right.hash, 3);
    let error = HashedLens.backward(right, None).unwrap_err();
    assert_eq!(error.to_string(), "hash: this lens goes forward only");
}

// ---- enums

#[derive(Clone, Debug, PartialEq, Lens)]
enum OldValue {
    Text(String),
    Number { value: i64 },
    Timed(old::Uptime),
    Yes(u8),
    Sure(u8),
    Legacy(u8),
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = OldValue)]
#[lens(drop(Legacy = NewValue::Nothing))]
#[lens(unrepresentable = placeholder(|value| match value {
    NewValue::List(items) => OldValue::Text(items.concat()),
    _ => OldValue::Nothing,
}))]
enum NewValue {
    #[lens(rename = Text)]
    Str(String),
    Number {
        value: i64,
        #[lens(add = 10)]
        base: u8,
    },
    Timed(#[lens(nested)] new::Uptime),
    #[lens(merge(Yes, Sure))]
    Affirmed(u8),
    #[lens(add)]
    List(Vec<String>),
    Nothing,
}

fn old_value() -> impl Strategy<Value = OldValue> {
    prop_oneof![
        ".{0,3}".prop_map(OldValue::Text),
        any::<i64>().prop_map(|value| OldValue::Number { value }),
        (0..1_u64 << 40).prop_map(|millis| OldValue::Timed(old::Uptime { millis })),
        any::<u8>().prop_map(OldValue::Yes),
        any::<u8>().prop_map(OldValue::Sure),
        any::<u8>().prop_map(OldValue::Legacy),
        Just(OldValue::Nothing),
    ]
}

fn new_value() -> impl Strategy<Value = NewValue> {
    prop_oneof![
        ".{0,3}".prop_map(NewValue::Str),
        any::<(i64, u8)>().prop_map(|(value, base)| NewValue::Number { value, base }),
        any::<u32>().prop_map(|seconds| NewValue::Timed(new::Uptime { seconds })),
        any::<u8>().prop_map(NewValue::Affirmed),
        prop::collection::vec(".{0,2}", 0..3).prop_map(NewValue::List),
        Just(NewValue::Nothing),
    ]
}

xform::lens_laws! {
    mod variants_added_removed_renamed_merged_and_with_lenses: NewValueLens;
    older: old_value();
    newer: new_value();
    edit number(any::<i64>()): |old, to| if let OldValue::Number { value } = old { *value = *to },
        |new, to| if let NewValue::Number { value, .. } = new { *value = *to };
}

#[test]
fn of_merged_variants_the_one_that_it_was_comes_back_unless_it_is_edited() {
    // R7
    let (right, kept) = NewValueLens.forward(OldValue::Sure(3), None).unwrap();
    assert_eq!(right, NewValue::Affirmed(3));
    let back = |right, kept| NewValueLens.backward(right, kept).unwrap().0;
    assert_eq!(back(right, Some(kept.clone())), OldValue::Sure(3));
    assert_eq!(back(NewValue::Affirmed(4), Some(kept)), OldValue::Yes(4));
}

#[test]
fn a_removed_variant_waits_behind_its_stand_in() {
    let (right, kept) = NewValueLens.forward(OldValue::Legacy(3), None).unwrap();
    assert_eq!(right, NewValue::Nothing);
    let (left, _) = NewValueLens.backward(right, Some(kept)).unwrap();
    assert_eq!(left, OldValue::Legacy(3));
}

#[derive(Clone, Debug, PartialEq, Lens)]
enum One {
    A(u8),
    Gone,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = One, drop(Gone), unrepresentable = forbid)]
enum Two {
    A(u8),
    #[lens(add)]
    B,
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct Holder {
    value: One,
}

#[derive(Clone, Debug, PartialEq, Lens)]
#[lens(from = Holder)]
struct NewHolder {
    #[lens(nested)]
    value: Two,
}

#[test]
fn variants_without_a_form_are_declared_and_named() {
    // R12
    assert_eq!(NewHolderLens.unrepresentable(), Unrepresentable::Forbid);
    assert!(!NewHolderLens.represents(&NewHolder { value: Two::B }));
    assert!(NewHolderLens.represents(&NewHolder { value: Two::A(1) }));
    laws::as_declared(&NewHolderLens, NewHolder { value: Two::B }).unwrap();
    let error = NewHolderLens
        .backward(NewHolder { value: Two::B }, None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    assert_eq!(
        error.to_string(),
        "value: the older side has no variant `B`"
    );
    let error = NewHolderLens
        .forward(Holder { value: One::Gone }, None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "value: the newer side has no variant `Gone`"
    );
}
