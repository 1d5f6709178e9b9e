//! Items that move between guards: what is accepted, and what is refused with its reason (R4).

use super::version;
use crate::ids::VersionId;
use crate::version::compare::{Advice, Comparison, Passage, compare};
use crate::version::manifest::{Manifest, MovedManifest};
use crate::version::samples::*;

/// TOTALS.stats is NUMBERS.stats in version 2.
fn moving_pair() -> (Manifest, Manifest) {
    let (mut one, mut two) = (version(1, &["value"]), version(2, &["value"]));
    let other = ("other", leaf("u64", 8));
    let stats = record("Stats", &[("hits", leaf("u64", 8))]);
    one.guards[1] = guard("TOTALS", &[("stats", stats.clone()), other.clone()]);
    one.guards
        .push(guard("NUMBERS", &[("other", other.1.clone())]));
    two.guards[1] = guard("TOTALS", std::slice::from_ref(&other));
    two.guards
        .push(guard("NUMBERS", &[other, ("stats", stats)]));
    two.guards[2].moved = vec![MovedManifest {
        item: "stats".into(),
        guard: "TOTALS".into(),
        from: "stats".into(),
    }];
    (one, two)
}

#[test] // R4
fn item_that_moves_between_guards_takes_a_barrier() {
    let (one, two) = moving_pair();
    for (running, new) in [(&one, &two), (&two, &one)] {
        let comparison = compare(running, new).unwrap();
        let Advice::Barrier(reasons) = comparison.advice else {
            panic!()
        };
        assert_eq!(reasons, ["item stats moves from TOTALS to NUMBERS"]);
        assert_eq!(comparison.moves, reasons);
    }
    // What stands on in the version after is done.
    let mut three = two.clone();
    (three.version, three.from) = (VersionId(3), Some(VersionId(2)));
    assert_eq!(compare(&two, &three).unwrap().advice, Advice::Rolling);
}

#[test] // R4
fn a_move_that_cannot_be_is_refused_with_its_reason() {
    let (one, two) = moving_pair();
    let refused = |one: &Manifest, two: &Manifest, reason: &str| {
        let text = compare(one, two).unwrap_err().to_string();
        assert!(text.contains(reason), "{text}");
    };
    let mut of_nothing = two.clone();
    of_nothing.guards[2].moved[0].from = "stat".into();
    refused(&one, &of_nothing, "the version before has no TOTALS.stat");
    let mut gone = two.clone();
    gone.guards.remove(1);
    refused(&one, &gone, "guard TOTALS is gone");
    let mut name_taken = one.clone();
    name_taken.guards[2].renamed_from = String::new();
    let mut taking = two.clone();
    taking
        .guards
        .push(guard("DIGITS", &[("other", leaf("u64", 8))]));
    taking.guards[3].renamed_from = "NUMBERS".into();
    refused(&name_taken, &taking, "calls another guard so");
    let mut kept = two.clone();
    kept.guards[1] = one.guards[1].clone();
    refused(&one, &kept, "guard TOTALS still has stats");
    let mut many = one.clone();
    many.guards[1].family = Some(4);
    refused(&many, &two, "from a family of 4 to a guard of its own");
    let mut other_type = two.clone();
    let number = leaf("u32", 4);
    other_type.guards[2].items = record("NUMBERS", &[("stats", number)]);
    other_type.removed.push("NUMBERS.other".into());
    refused(
        &one,
        &other_type,
        "TOTALS.stats changes and has no transformer",
    );
    let mut round = two.clone();
    let (other, stats) = (leaf("u64", 8), record("Stats", &[("hits", leaf("u64", 8))]));
    round.guards[1] = guard("TOTALS", &[("other", other.clone()), ("taken", other)]);
    round.guards[1].moved = vec![MovedManifest {
        item: "taken".into(),
        guard: "NUMBERS".into(),
        from: "other".into(),
    }];
    round.guards[2].items = record("NUMBERS", &[("stats", stats)]);
    refused(&one, &round, "in a circle");
}

#[test] // R4: a guard is split where the newer one is new, and merged into others where the older is gone.
fn an_item_moves_to_a_guard_that_is_new_and_from_one_that_is_gone() {
    let parts = |comparison: &Comparison, guard: &str| -> Vec<(String, Passage)> {
        let mut parts: Vec<_> = comparison
            .items
            .iter()
            .filter(|part| part.name.starts_with(guard))
            .map(|part| (part.name.clone(), part.passage))
            .collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        parts
    };
    let (one, two) = moving_pair();
    let mut split = one.clone();
    split.guards.remove(2);
    let mut merged = two.clone();
    merged.guards.remove(1);
    merged.removed.push("TOTALS".into());
    for (older, newer) in [(&split, &two), (&one, &merged), (&split, &merged)] {
        for (running, new) in [(older, newer), (newer, older)] {
            let comparison = compare(running, new).unwrap();
            let Advice::Barrier(reasons) = &comparison.advice else {
                panic!()
            };
            assert_eq!(*reasons, ["item stats moves from TOTALS to NUMBERS"]);
        }
    }
    let comparison = compare(&split, &two).unwrap();
    assert_eq!(
        parts(&comparison, "NUMBERS"),
        [("NUMBERS".to_owned(), Passage::Added)]
    );
    // What nobody takes is named, though the word is of the whole guard.
    let comparison = compare(&one, &merged).unwrap();
    let named = [
        ("TOTALS", Passage::Removed),
        ("TOTALS.other", Passage::Removed),
        ("TOTALS.stats", Passage::Unchanged),
    ];
    assert_eq!(
        parts(&comparison, "TOTALS"),
        named.map(|(name, passage)| (name.to_owned(), passage))
    );
    // A guard of its own cannot be split into a family.
    let mut many = two.clone();
    many.guards[2].family = Some(3);
    let text = compare(&split, &many).unwrap_err().to_string();
    assert!(
        text.contains("from a guard of its own to a family of 3"),
        "{text}"
    );
}

/// What NUMBERS.stats has in both versions is reached through a box in a map.
fn moving_pair_with(inner: &str) -> (Manifest, Manifest) {
    let (mut one, mut two) = moving_pair();
    let node = container(inner, &[boxed("Person")]);
    let next = container("SharedRc", &[boxed("Person")]);
    let types = vec![
        record("Holder", &[("node", node)]),
        record("Person", &[("next", next)]),
    ];
    let types = manifest(1, Vec::new(), types).types;
    let stats = container("SharedMap", &[leaf("u64", 8), boxed("Holder")]);
    let other = ("other", leaf("u64", 8));
    let moved = two.guards[2].moved.clone();
    one.guards[1] = guard("TOTALS", &[("stats", stats.clone()), other.clone()]);
    two.guards[2] = guard("NUMBERS", &[other, ("stats", stats)]);
    two.guards[2].moved = moved;
    one.types.extend(types.iter().cloned());
    two.types.extend(types);
    (one, two)
}

#[test] // R4: nodes are their guard's. What is behind an object has a guard of its own.
fn an_item_with_shared_nodes_cannot_move() {
    for inner in ["SharedRc", "SharedWeak"] {
        let (one, two) = moving_pair_with(inner);
        for (running, new) in [(&one, &two), (&two, &one)] {
            let text = compare(running, new).unwrap_err().to_string();
            let refusal = "item TOTALS.stats cannot move: it has shared nodes";
            assert!(text.contains(refusal), "{text}");
            assert!(text.contains(&format!("{inner}<Person>")), "{text}");
            assert!(text.contains("NUMBERS"), "{text}");
        }
    }
    let (one, two) = moving_pair_with("Guarded");
    assert!(compare(&one, &two).is_ok());
}
