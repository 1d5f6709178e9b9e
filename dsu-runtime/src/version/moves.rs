//! Items that leave one guard for another with an update (R4): which they are, and which of them cannot
//! go.
//!
//! Pure. What a move does to memory is `update::moved`'s.

use super::compare::fields;
use super::manifest::{GuardManifest, MovedManifest};
use crate::abi::FieldSchema;
use std::collections::BTreeSet;

/// An item of an older guard that is an item of another guard in the newer version.
#[derive(Clone, Copy)]
pub(crate) struct Move<'a> {
    /// The guard that had it.
    pub from: &'a GuardManifest,
    /// The item as it was.
    pub older: &'a FieldSchema,
    /// The guard that has it, as it was, and as it is.
    pub to: (&'a GuardManifest, &'a GuardManifest),
    /// The item as it is.
    pub newer: &'a FieldSchema,
}

/// The guard of the newer version that stands where `guard` stood.
pub(crate) fn successor<'a>(
    guard: &GuardManifest,
    newer: &'a [GuardManifest],
) -> Option<&'a GuardManifest> {
    let renamed = newer.iter().find(|next| next.renamed_from == guard.name);
    renamed.or_else(|| newer.iter().find(|next| next.name == guard.name))
}

fn item<'a>(guard: &'a GuardManifest, name: &str) -> Option<&'a FieldSchema> {
    fields(&guard.items).iter().find(|item| item.name == name)
}

/// All moves between two versions, and what is wrong with those that are written and cannot be: which
/// item, and why. What stands on in later versions, where the item has long been, is no move.
pub(crate) fn moves<'a>(
    older: &'a [GuardManifest],
    newer: &'a [GuardManifest],
) -> (Vec<Move<'a>>, Vec<(String, String)>) {
    let (mut moves, mut wrong) = (Vec::new(), Vec::new());
    let written = newer
        .iter()
        .flat_map(|to| to.moved.iter().map(move |moved| (to, moved)));
    for (to, moved) in written {
        let before = older
            .iter()
            .find(|guard| successor(guard, newer).is_some_and(|next| next.name == to.name));
        if before.is_some_and(|guard| item(guard, &moved.item).is_some()) {
            continue;
        }
        match one(older, newer, before, to, moved) {
            Ok(found) => moves.push(found),
            Err(why) => wrong.push((format!("{}.{}", to.name, moved.item), why)),
        }
    }
    let mut taken = BTreeSet::new();
    for found in &moves {
        let from = format!("{}.{}", found.from.name, found.older.name);
        if !taken.insert(from.clone()) {
            wrong.push((from, "two guards take it: name it once".to_owned()));
        }
    }
    if let Some(first) = round(&moves) {
        let why = "guards would give items to each other in a circle: let them go one way in this update, the other in the next";
        wrong.push((first, why.to_owned()));
    }
    (moves, wrong)
}

fn one<'a>(
    older: &'a [GuardManifest],
    newer: &'a [GuardManifest],
    before: Option<&'a GuardManifest>,
    to: &'a GuardManifest,
    moved: &MovedManifest,
) -> Result<Move<'a>, String> {
    let place = format!("{}.{}", moved.guard, moved.from);
    let gone = || format!("the version before has no {place}: correct `from`");
    let from = older.iter().find(|guard| guard.name == moved.guard);
    let from = from.ok_or_else(gone)?;
    let then = item(from, &moved.from).ok_or_else(gone)?;
    let Some(before) = before else {
        return Err(format!(
            "guard {} is new, and a way back would have nowhere to leave it: declare the guard in the version before, or move the item in the next",
            to.name
        ));
    };
    let Some(left) = successor(from, newer) else {
        return Err(format!(
            "guard {} is gone with it: keep the guard in this version, and remove it in the next",
            from.name
        ));
    };
    if left.name == to.name {
        return Err(format!(
            "it stays in guard {}: use a transformer between its items",
            to.name
        ));
    }
    if item(left, &moved.from).is_some_and(|_| !comes_from_elsewhere(left, &moved.from)) {
        return Err(format!(
            "guard {} still has {}: remove it there",
            left.name, moved.from
        ));
    }
    let stays_alike = |then: &GuardManifest, now: &GuardManifest| {
        then.name == now.name && then.items == now.items
    };
    // What the guards hold tells whether the item has moved.
    if stays_alike(from, left) || stays_alike(before, to) {
        return Err("a guard that it leaves or comes to looks the same before and after: give the item another name".to_owned());
    }
    if from.family != to.family {
        return Err(format!(
            "it would move from {} to {}: items move between guards of one member each, or member by member between families of one length",
            size(from.family),
            size(to.family)
        ));
    }
    Ok(Move {
        from,
        older: then,
        to: (before, to),
        newer: item(to, &moved.item).ok_or_else(gone)?,
    })
}

/// Whether an item of this name is another one, which came with this version.
fn comes_from_elsewhere(guard: &GuardManifest, name: &str) -> bool {
    guard.moved.iter().any(|moved| moved.item == name)
}

fn size(family: Option<u32>) -> String {
    family.map_or("a guard of its own".to_owned(), |n| {
        format!("a family of {n}")
    })
}

/// An item of a circle of guards that give to each other, if there is one. Whoever dies in the middle of
/// the moves leaves guards of either version, and the item must be in one of them: so those that get are
/// published before those that give, which a circle has no order for.
fn round(moves: &[Move<'_>]) -> Option<String> {
    let mut left: Vec<&Move<'_>> = moves.iter().collect();
    loop {
        let gets_nothing = |name: &str| !left.iter().any(|other| other.to.0.name == name);
        let before = left.len();
        let (next, _): (Vec<_>, Vec<_>) = left
            .iter()
            .partition(|found| !gets_nothing(&found.from.name));
        left = next;
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            return Some(format!("{}.{}", left[0].from.name, left[0].older.name));
        }
    }
}

impl Move<'_> {
    /// For the operator.
    pub(crate) fn text(&self) -> String {
        format!(
            "item {} moves from {} to {}",
            self.older.name, self.from.name, self.to.1.name
        )
    }
}
