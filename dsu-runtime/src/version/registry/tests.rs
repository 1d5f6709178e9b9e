use super::*;
use crate::version::manifest::MovedManifest;
use crate::version::samples::*;

fn stats(fields: &[&str]) -> TypeSchema {
    let fields: Vec<_> = fields.iter().map(|name| (*name, leaf("u64", 8))).collect();
    record("Stats", &fields)
}

fn version(number: u32, fields: &[&str]) -> Manifest {
    let stats = stats(fields);
    let mut shards = guard("SHARDS", &[("shard", leaf("u64", 8))]);
    shards.family = Some(16);
    manifest(
        number,
        vec![shards, guard("TOTALS", &[("stats", stats.clone())])],
        vec![stats],
    )
}

fn tag_of(binding: &Binding, name: &str) -> Tag {
    binding.guards.iter().find(|g| g.name == name).unwrap().tag
}

#[test] // R1
fn equal_schemas_share_an_id_and_changed_ones_never_do() {
    let mut registry = Registry::new(0..100);
    let one = registry.admit(&version(1, &["hits"]), None).unwrap();
    let two = registry
        .admit(&version(2, &["hits", "misses"]), Some(VersionId(1)))
        .unwrap();
    assert_eq!(tag_of(&one, "SHARDS"), tag_of(&two, "SHARDS"));
    assert_ne!(tag_of(&one, "TOTALS"), tag_of(&two, "TOTALS"));
    // A repaired v2 with another layout, after a rollback.
    let repaired = registry
        .admit(
            &version(2, &["hits", "misses", "expired"]),
            Some(VersionId(1)),
        )
        .unwrap();
    assert_ne!(tag_of(&repaired, "TOTALS"), tag_of(&two, "TOTALS"));
    assert_ne!(tag_of(&repaired, "TOTALS"), tag_of(&one, "TOTALS"));
    assert_eq!(
        registry
            .admit(&version(1, &["hits"]), Some(VersionId(1)))
            .unwrap()
            .guards,
        one.guards
    );
}

#[test]
fn adjacent_representations_differ_in_parity() {
    let mut registry = Registry::new(0..100);
    let mut previous = registry.admit(&version(1, &["f0"]), None).unwrap();
    for number in 2..20 {
        let field = format!("f{number}");
        let running = Some(VersionId(number - 1));
        let next = registry
            .admit(&version(number, &[&field]), running)
            .unwrap();
        let (a, b) = (tag_of(&previous, "TOTALS"), tag_of(&next, "TOTALS"));
        assert_ne!(a.0 & 1, b.0 & 1, "v{number}: {a:?} {b:?}");
        let stats = |b: &Binding, fields: &[&str]| {
            let wanted = digest(&stats(fields));
            b.representations
                .iter()
                .find(|r| r.name == "Stats" && r.digest == wanted)
                .unwrap()
                .tag
        };
        let repaired = registry
            .admit(&version(number, &[&field, "more"]), running)
            .unwrap();
        assert_ne!(tag_of(&repaired, "TOTALS").0 & 1, a.0 & 1);
        assert_ne!(stats(&repaired, &[&field, "more"]), stats(&next, &[&field]));
        previous = repaired;
    }
}

#[test]
fn guards_keep_their_slots_under_a_new_name_and_families_are_contiguous() {
    let mut registry = Registry::new(10..100);
    let one = registry.admit(&version(1, &["hits"]), None).unwrap();
    assert_eq!(one.guards[0].first, GuardIndex(10));
    assert_eq!(one.guards[1].first, GuardIndex(26));
    let mut second = version(2, &["hits"]);
    second.guards[1].name = "SUMS".into();
    second.guards[1].renamed_from = "TOTALS".into();
    second.guards.insert(0, guard("EXTRA", &[]));
    let two = registry.admit(&second, Some(VersionId(1))).unwrap();
    let places: Vec<_> = two
        .guards
        .iter()
        .map(|g| (g.name.as_str(), g.first.0))
        .collect();
    assert_eq!(places, [("EXTRA", 27), ("SHARDS", 10), ("SUMS", 26)]);
    assert_eq!(two.older.as_ref().map(|m| m.version), Some(VersionId(1)));
}

#[test]
fn refusal_changes_nothing() {
    let mut registry = Registry::new(0..17);
    let first = version(1, &["hits"]);
    let one = registry.admit(&first, None).unwrap();
    let mut crowded = version(2, &["misses"]);
    crowded.guards.push(guard("Z", &[]));
    assert_eq!(
        registry.admit(&crowded, Some(VersionId(1))),
        Err(Refusal::TooManyGuards { limit: 17 })
    );
    assert!(!registry.tags.contains_key(&form(&crowded.types[0].schema)));
    let mut resized = version(2, &["misses"]);
    resized.guards[0].family = Some(8);
    let refusal = registry.admit(&resized, Some(VersionId(1))).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::FamilyResized {
            guard: "SHARDS".into(),
            was: 16,
            now: 8
        }
    );
    assert_eq!(registry.admit(&first, None).unwrap(), one);
}

#[test]
fn ids_end_in_a_refusal_and_never_in_a_reserved_one() {
    let mut registry = Registry::new(0..1);
    let mut seen = BTreeSet::new();
    let refusal = loop {
        let form = form(&leaf(&format!("T{}", seen.len()), 1));
        match registry.represent(&form, None, &[], &BTreeMap::new(), Some(0)) {
            Ok(tag) => assert!(seen.insert(tag)),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal::TooManyRepresentations);
    assert_eq!(seen.len(), usize::from(Tag::LAST.0));
    assert!(!seen.contains(&Tag::NONE) && !seen.contains(&Tag::IMPOSSIBLE));
}

/// Ids of what version 2 states, where version 1 is older: of its tuple and of its element type.
fn ids(binding: &Binding) -> (Tag, Tag) {
    let wanted = digest(&stats(&["hits", "misses"]));
    let mut all = binding.representations.iter();
    let element = all.find(|r| r.name == "Stats" && r.digest == wanted);
    (tag_of(binding, "TOTALS"), element.expect("it has one").tag)
}

/// Version 2, whose lens from version 1 keeps something of this schema.
fn keeping(kept: TypeSchema) -> Manifest {
    let mut second = version(2, &["hits", "misses"]);
    let mut lens = lens(&stats(&["hits"]), &stats(&["hits", "misses"]));
    lens.complement = kept;
    second.lenses.push(lens);
    second
}

const ONE: Option<VersionId> = Some(VersionId(1));
const TWO: Option<VersionId> = Some(VersionId(2));

// R1
#[test]
fn a_repaired_lens_that_keeps_something_else_has_ids_of_its_own() {
    let mut registry = Registry::new(0..100);
    let first = version(1, &["hits"]);
    let one = registry.admit(&first, None).unwrap();
    let two = registry.admit(&keeping(leaf("u64", 8)), ONE).unwrap();
    assert!(two.forgets.is_empty());
    // Another lens that keeps the same goes on with what the first has kept.
    let mut patched = keeping(leaf("u64", 8));
    patched.build_id = "another".into();
    assert_eq!(ids(&registry.admit(&patched, ONE).unwrap()), ids(&two));
    // One that keeps something else must not meet it, in tuples or in elements.
    let repaired = registry.admit(&keeping(leaf("u32", 4)), ONE).unwrap();
    assert_ne!(ids(&repaired).0, ids(&two).0);
    assert_ne!(ids(&repaired).1, ids(&two).1);
    assert_eq!(repaired.forgets, ["Stats", "guard:TOTALS"]);
    // Neither changes what is live, and each finds its ids again.
    let again = registry.admit(&first, ONE).unwrap();
    assert_eq!(again.guards, one.guards);
    let back = registry.admit(&keeping(leaf("u64", 8)), ONE).unwrap();
    assert_eq!(ids(&back), ids(&two));
    assert_eq!(tag_of(&back, "SHARDS"), tag_of(&one, "SHARDS"));
}

// R1, R34
#[test]
fn what_a_compiler_lays_out_anew_is_another_complement_for_each() {
    let mut registry = Registry::new(0..100);
    registry.admit(&version(1, &["hits"]), None).unwrap();
    let mut ids_of = |kept: TypeSchema, rustc: &str| {
        let mut second = keeping(kept);
        second.rustc = rustc.into();
        ids(&registry.admit(&second, ONE).unwrap())
    };
    let option = leaf("Option<u64>", 16);
    let (a, b) = ("rustc 1.95.0", "rustc 1.96.0");
    assert_ne!(ids_of(option.clone(), a), ids_of(option, b));
    assert_eq!(ids_of(leaf("u64", 8), a), ids_of(leaf("u64", 8), b));
}

// R1
#[test]
fn the_version_after_a_repaired_one_shares_its_ids() {
    let mut registry = Registry::new(0..100);
    registry.admit(&version(1, &["hits"]), None).unwrap();
    let two = registry.admit(&keeping(leaf("u64", 8)), ONE).unwrap();
    let third = version(3, &["hits", "misses"]);
    let after_two = registry.admit(&third, TWO).unwrap();
    assert_eq!(ids(&after_two), ids(&two));
    let repaired = registry.admit(&keeping(leaf("u32", 4)), ONE).unwrap();
    let after_repaired = registry.admit(&third, TWO).unwrap();
    assert_eq!(ids(&after_repaired), ids(&repaired));
}

// R1
#[test]
fn ids_of_the_version_that_runs_stay_whatever_it_is_to_go_to() {
    // The server begins with version 3, which still has the lens that led to version 2.
    let mut registry = Registry::new(0..100);
    let mut third = version(3, &["hits", "misses"]);
    third.lenses = keeping(leaf("u32", 4)).lenses;
    let three = registry.admit(&third, None).unwrap();
    // Version 2 kept something else on that way. Nothing that lives may change its id for it.
    let two = registry
        .admit(&keeping(leaf("u64", 8)), Some(VersionId(3)))
        .unwrap();
    assert_eq!(ids(&two), ids(&three));
    let rebound = registry.admit(&third, Some(VersionId(3))).unwrap();
    assert_eq!(ids(&rebound), ids(&three));
    // The two lenses do not lead to one id from one id.
    let older = |binding: &Binding| {
        let wanted = digest(&stats(&["hits"]));
        let mut all = binding.representations.iter();
        let older = all.find(|r| r.name == "Stats" && r.digest == wanted);
        older.expect("a side of the lens").tag
    };
    assert_ne!(older(&two), older(&rebound));
    // On to version 1, whose form must be the one that version 2, which runs, leads to.
    let one = registry.admit(&version(1, &["hits"]), TWO).unwrap();
    assert_eq!(older(&one), older(&two));
    let running = registry.admit(&keeping(leaf("u64", 8)), TWO).unwrap();
    assert_eq!(ids(&running), ids(&two));
    assert!(running.older.is_some());
}

/// TOTALS.hits is HITS.hits in version 2, a guard that version 1 does not have, and LOG is gone.
fn split(number: u32) -> Manifest {
    let (hits, other) = (("hits", leaf("u64", 8)), ("other", leaf("u32", 4)));
    let moved = |item: &str, guard: &str| MovedManifest {
        item: item.into(),
        guard: guard.into(),
        from: item.into(),
    };
    let lines = ("lines", leaf("u64", 8));
    match number {
        2 => {
            let mut totals = guard("TOTALS", &[other, lines]);
            totals.moved = vec![moved("lines", "LOG")];
            let mut fresh = guard("HITS", &[hits]);
            fresh.moved = vec![moved("hits", "TOTALS")];
            manifest(2, vec![totals, fresh], Vec::new())
        }
        _ => {
            let totals = guard("TOTALS", &[hits, other]);
            let log = guard("LOG", &[lines]);
            manifest(number, vec![totals, log], Vec::new())
        }
    }
}

fn empty_tags(binding: &Binding, name: &str) -> Vec<Tag> {
    let digest = digest(&TypeSchema::no_items());
    let all = binding.representations.iter();
    let named = all.filter(|one| one.name == tuple_name(name) && one.digest == digest);
    named.map(|one| one.tag).collect()
}

#[test] // R1, R4
fn a_version_has_a_guard_that_it_lacks_without_items_where_items_move() {
    let mut registry = Registry::new(0..100);
    let one = registry.admit(&split(1), None).unwrap();
    assert!(one.emptied.is_empty());
    let two = registry.admit(&split(2), Some(VersionId(1))).unwrap();
    let [log] = &two.emptied[..] else { panic!() };
    let former = one.guards.iter().find(|guard| guard.name == "LOG").unwrap();
    assert_eq!(
        (&log.name, log.first, log.count),
        (&former.name, former.first, 1)
    );
    assert_ne!(log.tag, former.tag);
    assert_eq!(empty_tags(&two, "LOG"), [log.tag]);
    let [empty] = empty_tags(&two, "HITS")[..] else {
        panic!()
    };
    assert_ne!(empty, tag_of(&two, "HITS"));
    assert_eq!(empty_tags(&two, "TOTALS"), []);
    // Bound again, in whichever of them runs: the same.
    for running in [1, 2] {
        registry.admit(&split(1), Some(VersionId(running))).unwrap();
        let again = registry.admit(&split(2), Some(VersionId(running)));
        assert_eq!(again.unwrap(), two);
    }
}

#[test] // R1, R4: what is beside the empty tuple was kept by another build of the newer version.
fn a_repaired_version_finds_the_empty_form_and_nothing_of_what_another_kept() {
    let mut registry = Registry::new(0..100);
    let kept = |complement: &TypeSchema| {
        let (mut one, mut two) = (split(1), split(2));
        let (small, large) = (record("Hits", &[("a", leaf("u32", 4))]), leaf("u64", 8));
        one.guards[0] = guard("TOTALS", &[("hits", small.clone())]);
        two.guards[0] = guard("TOTALS", &[("lines", leaf("u64", 8))]);
        two.guards[0].moved = split(2).guards[0].moved.clone();
        let mut lens = lens(&small, &large);
        lens.complement = complement.clone();
        two.lenses.push(lens);
        (one, two)
    };
    let (one, first) = kept(&leaf("u64", 8));
    let (_, repaired) = kept(&leaf("u32", 4));
    registry.admit(&one, None).unwrap();
    let first = registry.admit(&first, Some(VersionId(1))).unwrap();
    let repaired = registry.admit(&repaired, Some(VersionId(1))).unwrap();
    assert_eq!(empty_tags(&first, "HITS"), empty_tags(&repaired, "HITS"));
    assert_ne!(tag_of(&first, "HITS"), tag_of(&repaired, "HITS"));
}

#[test] // R4: what one version left empty begins anew in another, which moves nothing there.
fn a_guard_that_was_left_empty_has_a_way_out_for_whoever_declares_it() {
    let mut registry = Registry::new(0..100);
    registry.admit(&split(1), None).unwrap();
    let two = registry.admit(&split(2), Some(VersionId(1))).unwrap();
    // Version 3 has LOG again, as a new guard with another item, and so has it HITS no more.
    let mut three = split(1);
    three.guards[1] = guard("LOG", &[("rows", leaf("u64", 8))]);
    (three.version, three.from) = (VersionId(3), Some(VersionId(2)));
    let three = registry.admit(&three, Some(VersionId(2))).unwrap();
    assert_eq!(empty_tags(&three, "LOG"), [two.emptied[0].tag]);
    assert!(three.emptied.is_empty());
    let first = |binding: &Binding, name: &str| {
        let mut guards = binding.guards.iter().chain(&binding.emptied);
        guards.find(|guard| guard.name == name).unwrap().first
    };
    assert_eq!(first(&three, "LOG"), first(&two, "LOG"));
    // Another version 2, in which HITS is an ordinary guard.
    let mut plain = split(2);
    plain.guards[1].moved.clear();
    let plain = registry.admit(&plain, Some(VersionId(1))).unwrap();
    assert_eq!(empty_tags(&plain, "HITS"), empty_tags(&two, "HITS"));
    // So has a new guard that nobody has left yet: another build may move something there.
    let mut strange = split(2);
    strange
        .guards
        .push(guard("STRANGE", &[("other", leaf("u64", 8))]));
    let strange = registry.admit(&strange, Some(VersionId(1))).unwrap();
    assert_eq!(empty_tags(&strange, "STRANGE").len(), 1);
}

fn moved(item: &str, guard: &str, from: &str) -> MovedManifest {
    MovedManifest {
        item: item.into(),
        guard: guard.into(),
        from: from.into(),
    }
}

// I14: what is kept of an item that arrives is read as that item, whichever of two it is.
#[test]
fn builds_in_which_different_items_arrive_in_a_new_guard_share_no_form() {
    let mut registry = Registry::new(0..100);
    let alone = |name: &str| record(name, &[("x", leaf("u64", 8))]);
    let (x, a, b) = (alone("X"), alone("A"), alone("B"));
    let before = [("hits", x.clone()), ("other", leaf("u32", 4))];
    let one = manifest(1, vec![guard("TOTALS", &before)], vec![]);
    let build = |arrives: &str| {
        let mut fresh = guard("FRESH", &[("a", a.clone()), ("b", b.clone())]);
        fresh.moved = vec![moved(arrives, "TOTALS", "hits")];
        let totals = guard("TOTALS", &[("other", leaf("u32", 4))]);
        let mut build = manifest(2, vec![fresh, totals], vec![]);
        build.lenses = vec![lens(&x, &a), lens(&x, &b)];
        build.build_id = arrives.into();
        build
    };
    registry.admit(&one, None).unwrap();
    let first = registry.admit(&build("a"), ONE).unwrap();
    registry.admit(&one, ONE).unwrap();
    let second = registry.admit(&build("b"), ONE).unwrap();
    assert_ne!(tag_of(&first, "FRESH"), tag_of(&second, "FRESH"));
}

// I14: a build that forgot the move has left its own first value there.
#[test]
fn a_build_that_forgot_to_move_an_item_into_a_new_guard_shares_no_form_with_its_repair() {
    let mut registry = Registry::new(0..100);
    registry.admit(&split(1), None).unwrap();
    let mut plain = split(2);
    plain.guards[1].moved.clear();
    plain.build_id = "plain".into();
    let plain = registry.admit(&plain, ONE).unwrap();
    registry.admit(&split(1), ONE).unwrap();
    let repaired = registry.admit(&split(2), ONE).unwrap();
    assert_ne!(tag_of(&plain, "HITS"), tag_of(&repaired, "HITS"));
}

// R4: whether its items are elsewhere must be seen by its form.
#[test]
fn a_guard_that_was_merged_away_is_not_declared_again_as_it_was() {
    let mut registry = Registry::new(0..100);
    registry.admit(&split(1), None).unwrap();
    registry.admit(&split(2), ONE).unwrap();
    let again = |items: &[(&str, TypeSchema)]| {
        let mut three = split(2);
        (three.version, three.from) = (VersionId(3), Some(VersionId(2)));
        three
            .guards
            .iter_mut()
            .for_each(|guard| guard.moved.clear());
        three.guards.push(guard("LOG", items));
        three
    };
    let refused = registry.admit(&again(&[("lines", leaf("u64", 8))]), TWO);
    let guard = "LOG".to_owned();
    assert_eq!(refused.unwrap_err(), Refusal::DeclaredAgain { guard });
    let other = registry.admit(&again(&[("rows", leaf("u64", 8))]), TWO);
    assert!(other.is_ok());
}

// I14
#[test]
fn a_new_guard_does_not_get_the_place_of_one_that_its_name_was_taken_from() {
    let mut registry = Registry::new(0..100);
    let (hits, other) = (("hits", leaf("u64", 8)), ("other", leaf("u32", 4)));
    let both = [hits.clone(), other.clone()];
    let one = manifest(1, vec![guard("TOTALS", &both)], vec![]);
    let mut sums = guard("SUMS", &both);
    sums.renamed_from = "TOTALS".into();
    let two = manifest(2, vec![sums], vec![]);
    let mut totals = guard("TOTALS", &[hits]);
    totals.moved = vec![moved("hits", "SUMS", "hits")];
    let three = manifest(3, vec![guard("SUMS", &[other]), totals], vec![]);
    registry.admit(&one, None).unwrap();
    registry.admit(&two, ONE).unwrap();
    let refused = registry.admit(&three, TWO).unwrap_err();
    let (guard, other) = ("TOTALS".to_owned(), "SUMS".to_owned());
    assert_eq!(refused, Refusal::SharedPlace { guard, other });
}
