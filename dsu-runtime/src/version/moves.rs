//! Items that leave one guard for another with an update (R4): which they are, and which of them cannot
//! go.
//!
//! A guard that is split off is new in the newer version, and one that is merged into others is gone there.
//! The version that lacks it is taken to have it in the *empty form*: a tuple without items, which has an
//! id as any form has. So the guard's root tells where its items are, as of all others, and what nobody
//! else has of it waits in the complement of the empty tuple (R6).
//!
//! Pure. What a move does to memory is `update::moved`'s.

use super::compare::fields;
use super::manifest::{GuardManifest, MovedManifest};
use crate::abi::{FieldSchema, TypeSchema};
use std::collections::BTreeSet;

/// An item of an older guard that is an item of another guard in the newer version.
#[derive(Clone, Copy)]
pub(crate) struct Move<'a> {
    /// The guard that had it.
    pub from: &'a GuardManifest,
    /// The item as it was.
    pub older: &'a FieldSchema,
    /// The guard that has it.
    pub to: &'a GuardManifest,
    /// The item as it is.
    pub newer: &'a FieldSchema,
    /// The name of the guard that had it in the newer version; in the empty form, if that lacks it.
    pub giver: &'a str,
    /// The name of the guard that has it in the older version; in the empty form, if that lacks it.
    pub getter: &'a str,
}

/// A guard as a version has it that does not declare it.
pub(crate) fn empty_form(guard: &GuardManifest) -> GuardManifest {
    GuardManifest {
        name: guard.name.clone(),
        renamed_from: String::new(),
        family: guard.family,
        items: TypeSchema::no_items(),
        moved: Vec::new(),
    }
}

/// Guards in the empty form, of two versions between which items move: those that the older one has so,
/// since they are new, and those that the newer one has so, since they are gone.
pub(crate) fn empty_forms(
    older: &[GuardManifest],
    newer: &[GuardManifest],
) -> (Vec<GuardManifest>, Vec<GuardManifest>) {
    let moves = moves(older, newer).0;
    let is_new = |to: &GuardManifest| predecessor(to, older, newer).is_none();
    let gets = |to: &&GuardManifest| is_new(to) && moves.iter().any(|m| m.to.name == to.name);
    let is_gone = |from: &GuardManifest| successor(from, newer).is_none();
    let gives = |from: &&GuardManifest| is_gone(from) && moves.iter().any(|m| m.from == *from);
    (
        newer.iter().filter(gets).map(empty_form).collect(),
        older.iter().filter(gives).map(empty_form).collect(),
    )
}

/// The guard of the older version in whose place this one stands.
pub(crate) fn predecessor<'a>(
    guard: &GuardManifest,
    older: &'a [GuardManifest],
    newer: &[GuardManifest],
) -> Option<&'a GuardManifest> {
    let mut guards = older.iter();
    guards.find(|before| successor(before, newer).is_some_and(|next| next.name == guard.name))
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
        let before = predecessor(to, older, newer);
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
    let left = successor(from, newer);
    let giver = left.map_or(from.name.as_str(), |left| &left.name);
    if giver == to.name {
        return Err(format!(
            "it stays in guard {}: use a transformer between its items",
            to.name
        ));
    }
    if before.is_none() && older.iter().any(|other| other.name == to.name) {
        return Err(format!(
            "guard {} is new, and the version before calls another guard so: give it another name",
            to.name
        ));
    }
    if let Some(left) = left
        && item(left, &moved.from).is_some()
        && !comes_from_elsewhere(left, &moved.from)
    {
        return Err(format!(
            "guard {} still has {}: remove it there",
            left.name, moved.from
        ));
    }
    let stays_alike = |then: Option<&GuardManifest>, now: Option<&GuardManifest>| {
        then.zip(now)
            .is_some_and(|(then, now)| then.name == now.name && then.items == now.items)
    };
    // What the guards hold tells whether the item has moved.
    if stays_alike(Some(from), left) || stays_alike(before, Some(to)) {
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
        to,
        newer: item(to, &moved.item).ok_or_else(gone)?,
        giver,
        getter: before.map_or(to.name.as_str(), |before| &before.name),
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
        let gets_nothing = |name: &str| !left.iter().any(|other| other.getter == name);
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
            self.older.name, self.from.name, self.to.name
        )
    }
}
