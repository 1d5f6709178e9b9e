//! Whether a server can go from the version that runs to another one, and how.
//!
//! Pure: two manifests in, everything that is wrong at once out. Looks at the pair as older and newer,
//! whichever of them runs: the newer one has the lenses.

use super::incompatible::{Incompatibilities, Incompatible, Side};
use super::layout_text::spell;
use super::manifest::{GuardManifest, LensManifest, Manifest, RegroupedManifest};
use super::moves::{self, Move};
use super::similar::nearest;
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use crate::ids::VersionId;
use reach::{boxed_types, shared_nodes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which way an update goes along the lenses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// To the newer version.
    Forward,
    /// To the older one.
    Backward,
}

/// How something gets from one version to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Passage {
    /// Equal schemas: nothing is transformed (R1).
    Unchanged,
    /// A lens that goes both ways.
    BothWays,
    /// A lens that goes forward only (R14).
    ForwardOnly,
    /// Only the newer version has it.
    Added,
    /// Only the older version has it, and the newer one says so (R4).
    Removed,
}

/// One item (`GUARD.item`), element type or carry and its passage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the older version, where it is in both.
    pub name: String,
    /// How it passes.
    pub passage: Passage,
}

/// What `--mode auto` takes, before rehearsal has its say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Advice {
    /// Each worker crosses when it can.
    Rolling,
    /// All cross together, for these reasons.
    Barrier(Vec<String>),
}

/// A pair of versions between which a server can go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Which way.
    pub direction: Direction,
    /// Items of guards.
    pub items: Vec<Part>,
    /// Types of `Versioned` boxes that the older version's guards reach.
    pub elements: Vec<Part>,
    /// Items that move between guards: which, from where, to where.
    pub moves: Vec<String>,
    /// Items and types, of these, whose other form is filled before the first worker crosses.
    pub filled: Vec<String>,
    /// The carry.
    pub carry: Passage,
    /// The strategy.
    pub advice: Advice,
}

/// Compares the version that runs with the one it is to go to.
///
/// # Errors
/// Everything that stands in the way.
pub fn compare(running: &Manifest, new: &Manifest) -> Result<Comparison, Incompatibilities> {
    let (comparison, wrong) = survey(running, new)?;
    match wrong.is_empty() {
        true => Ok(comparison),
        false => Err(Incompatibilities(wrong)),
    }
}

/// All that passes between two versions, and all that stands in the way.
///
/// # Errors
/// Why the two are no neighbours.
pub fn survey(
    running: &Manifest,
    new: &Manifest,
) -> Result<(Comparison, Vec<Incompatible>), Incompatibilities> {
    if running.app != new.app {
        let (running, new) = (running.app.clone(), new.app.clone());
        return Err(Incompatible::OtherApplication { running, new }.into());
    }
    let (direction, older, newer) = if new.from == Some(running.version) {
        (Direction::Forward, running, new)
    } else if running.from == Some(new.version) {
        (Direction::Backward, new, running)
    } else {
        let (running, new, from) = (running.version, new.version, new.from);
        return Err(Incompatible::NotAdjacent { running, new, from }.into());
    };
    let mut pair = Pair {
        older,
        newer,
        wrong: Vec::new(),
        items: Vec::new(),
        elements: Vec::new(),
        filled: Vec::new(),
        moves: Vec::new(),
    };
    pair.compiler();
    pair.moves();
    pair.guards();
    pair.frozen();
    pair.element_types();
    pair.wrong.extend(keys::differing(older, newer));
    pair.functions();
    let carry = pair.carry();
    let advice = pair.advice(direction);
    let Pair {
        mut wrong,
        items,
        elements,
        filled,
        moves,
        ..
    } = pair;
    wrong.dedup();
    let comparison = Comparison {
        direction,
        items,
        elements,
        moves: moves.iter().map(Move::text).collect(),
        filled,
        carry,
        advice,
    };
    Ok((comparison, wrong))
}

struct Pair<'a> {
    older: &'a Manifest,
    newer: &'a Manifest,
    wrong: Vec<Incompatible>,
    items: Vec<Part>,
    elements: Vec<Part>,
    filled: Vec<String>,
    moves: Vec<Move<'a>>,
}

/// The lenses of `newer` between tuples of items of one guard, as it was and as it is (R3).
pub(crate) fn regroupings<'a>(
    newer: &'a Manifest,
    before: &GuardManifest,
    after: &GuardManifest,
) -> Vec<(&'a LensManifest, &'a RegroupedManifest)> {
    let lenses = newer.lenses.iter();
    let of_items = lenses.filter_map(|lens| Some((lens, lens.items.as_ref()?)));
    of_items
        .filter(|(lens, items)| {
            items.guard == after.name
                && is_tuple_of(&lens.left, &items.older, &before.items)
                && is_tuple_of(&lens.right, &items.newer, &after.items)
        })
        .collect()
}

/// Whether `tuple` has the types of these items, in this order.
pub(crate) fn is_tuple_of<N: AsRef<str>>(
    tuple: &TypeSchema,
    names: &[N],
    items: &TypeSchema,
) -> bool {
    let parts = fields(tuple);
    let item = |name: &str| fields(items).iter().find(|item| item.name == name);
    parts.len() == names.len()
        && parts
            .iter()
            .zip(names)
            .all(|(part, name)| item(name.as_ref()).is_some_and(|item| item.ty == part.ty))
}

pub(crate) fn fields(schema: &TypeSchema) -> &[FieldSchema] {
    match &schema.kind {
        TypeKind::Struct(fields) => fields,
        _ => &[],
    }
}

impl<'a> Pair<'a> {
    fn is_removed(&self, name: &str) -> bool {
        self.newer.removed.iter().any(|removed| removed == name)
    }

    fn successor(&self, guard: &GuardManifest) -> Option<&'a GuardManifest> {
        moves::successor(guard, &self.newer.guards)
    }

    /// Items that leave a guard for another (R4): each passes as any other does.
    fn moves(&mut self) {
        let (moves, wrong) = moves::moves(&self.older.guards, &self.newer.guards);
        let wrong = wrong.into_iter();
        self.wrong
            .extend(wrong.map(|(item, why)| Incompatible::CannotMove { item, why }));
        for found in &moves {
            let name = format!("{}.{}", found.from.name, found.older.name);
            let sides = [(&found.older.ty, self.older), (&found.newer.ty, self.newer)];
            if let Some(nodes) = sides.into_iter().find_map(|(ty, of)| shared_nodes(ty, of)) {
                let why = format!(
                    "it has shared nodes ({nodes}), which belong to the guard that they were made under: leave it in guard {}, or make it anew in {}",
                    found.from.name, found.to.name
                );
                let item = name.clone();
                self.wrong.push(Incompatible::CannotMove { item, why });
            }
            let passage = self.passage(&name, &found.older.ty, &found.newer.ty);
            self.items
                .extend(passage.map(|passage| Part { name, passage }));
        }
        self.moves = moves;
    }

    /// Whether an item of an older guard is another guard's in the newer version.
    fn leaves(&self, guard: &GuardManifest, item: &FieldSchema) -> bool {
        self.moves
            .iter()
            .any(|m| m.from.name == guard.name && m.older.name == item.name)
    }

    /// Whether an item of a newer guard was another guard's in the older version.
    fn arrives(&self, guard: &GuardManifest, item: &FieldSchema) -> bool {
        self.moves
            .iter()
            .any(|m| m.to.name == guard.name && m.newer.name == item.name)
    }

    /// R34: what `repr(C)` would promise is read off the schemas, which state every offset. Beyond
    /// numbers and what is made of them, only one compiler can be trusted to repeat itself.
    fn compiler(&mut self) {
        let (older, newer) = (self.older, self.newer);
        if older.rustc == newer.rustc {
            return;
        }
        let guards = older
            .guards
            .iter()
            .chain(&newer.guards)
            .map(|guard| &guard.items);
        let types = older.types.iter().chain(&newer.types).map(|ty| &ty.schema);
        if let Some(found) = guards.chain(types).find_map(compiler_dependent) {
            self.wrong.push(Incompatible::OtherCompiler {
                older: older.rustc.clone(),
                newer: newer.rustc.clone(),
                because: spell(found, &|name| name.to_owned()),
            });
        }
    }

    fn guards(&mut self) {
        for guard in &self.older.guards {
            match self.successor(guard) {
                Some(successor) => self.guard(guard, successor),
                None if self.is_removed(&guard.name) => self.gone(guard),
                None => {
                    let known = self
                        .older
                        .guards
                        .iter()
                        .map(|g| g.name.as_str())
                        .collect::<Vec<_>>();
                    let fresh = self.newer.guards.iter().map(|g| g.name.as_str());
                    let near = nearest(&guard.name, fresh.filter(|name| !known.contains(name)));
                    self.wrong.push(Incompatible::GuardGone {
                        guard: guard.name.clone(),
                        near: near.map(str::to_owned),
                    });
                }
            }
        }
        for guard in &self.newer.guards {
            let from = &guard.renamed_from;
            let names = || self.older.guards.iter().map(|g| g.name.as_str());
            // A name that stands on in later versions is no mistake: the rename is done.
            if !from.is_empty() && !names().any(|name| name == from || name == guard.name) {
                self.wrong.push(Incompatible::RenamedFromNothing {
                    guard: guard.name.clone(),
                    from: from.clone(),
                    near: nearest(from, names()).map(str::to_owned),
                });
            } else if !self.older.guards.iter().any(|old| {
                self.successor(old)
                    .is_some_and(|next| next.name == guard.name)
            }) {
                self.items.push(Part {
                    name: guard.name.clone(),
                    passage: Passage::Added,
                });
            }
        }
    }

    /// A guard that the newer version says is gone. Where some of its items go to others, what goes with
    /// it is named.
    fn gone(&mut self, guard: &GuardManifest) {
        let removed = |name: String| Part {
            name,
            passage: Passage::Removed,
        };
        self.items.push(removed(guard.name.clone()));
        let stays = |item: &&FieldSchema| !self.leaves(guard, item);
        let left: Vec<&FieldSchema> = fields(&guard.items).iter().filter(stays).collect();
        if left.len() < fields(&guard.items).len() {
            let names = left
                .iter()
                .map(|item| format!("{}.{}", guard.name, item.name));
            self.items.extend(names.map(removed));
        }
    }

    fn guard(&mut self, older: &'a GuardManifest, newer: &'a GuardManifest) {
        if older.family != newer.family {
            self.wrong.push(Incompatible::FamilyChanged {
                guard: newer.name.clone(),
                older: older.family,
                newer: newer.family,
            });
        }
        let (before, after) = (fields(&older.items), fields(&newer.items));
        let groups = regroupings(self.newer, older, newer);
        let taken = groups.iter().flat_map(|(_, g)| &g.older);
        let made = groups.iter().flat_map(|(_, g)| &g.newer);
        let leaving = self.moves.iter().filter(|m| m.from.name == older.name);
        let arriving = self.moves.iter().filter(|m| m.to.name == newer.name);
        let taken: Vec<_> = taken.chain(leaving.map(|m| &m.older.name)).collect();
        let made: Vec<_> = made.chain(arriving.map(|m| &m.newer.name)).collect();
        self.once(&older.name, taken.into_iter());
        self.once(&newer.name, made.into_iter());
        let is_taken =
            |item: &FieldSchema| groups.iter().any(|(_, g)| g.older.contains(&item.name));
        let is_made = |item: &FieldSchema| groups.iter().any(|(_, g)| g.newer.contains(&item.name));
        let before: Vec<_> = before
            .iter()
            .filter(|item| !self.leaves(older, item))
            .collect();
        let after: Vec<_> = after
            .iter()
            .filter(|item| !is_made(item) && !self.arrives(newer, item))
            .collect();
        for item in &before {
            let name = format!("{}.{}", older.name, item.name);
            if let Some((lens, _)) = groups.iter().find(|(_, g)| g.older.contains(&item.name)) {
                let passage = way(lens.both_ways);
                self.filled.extend(lens.prepared.then(|| name.clone()));
                self.items.push(Part { name, passage });
                continue;
            }
            let passage = match after.iter().find(|f| f.name == item.name) {
                Some(next) => self.passage(&name, &item.ty, &next.ty),
                None if self.is_removed(&name) => Some(Passage::Removed),
                None => {
                    let known: Vec<_> = before.iter().map(|f| f.name.as_str()).collect();
                    let fresh = after.iter().map(|f| f.name.as_str());
                    let near = nearest(&item.name, fresh.filter(|n| !known.contains(n)));
                    let near = near.map(str::to_owned);
                    self.wrong.push(Incompatible::ItemGone {
                        item: name.clone(),
                        near,
                    });
                    None
                }
            };
            self.items
                .extend(passage.map(|passage| Part { name, passage }));
        }
        for item in after
            .iter()
            .filter(|f| !before.iter().any(|b| b.name == f.name && !is_taken(b)))
        {
            let name = format!("{}.{}", newer.name, item.name);
            self.items.push(Part {
                name,
                passage: Passage::Added,
            });
        }
    }

    /// An item that two lenses took would be there twice afterwards, and one that two made lost once.
    fn once<'n>(&mut self, guard: &str, names: impl Iterator<Item = &'n String>) {
        let mut seen = BTreeSet::new();
        for name in names.filter(|name| !seen.insert(*name)) {
            let item = format!("{guard}.{name}");
            self.wrong.push(Incompatible::ItemTwice { item });
        }
    }

    fn lens(&self, left: &TypeSchema, right: &TypeSchema) -> Option<&'a LensManifest> {
        self.newer
            .lenses
            .iter()
            .find(|lens| lens.items.is_none() && lens.left == *left && lens.right == *right)
    }

    /// How a value at `place` passes; says what is wrong if it cannot.
    fn passage(&mut self, place: &str, left: &TypeSchema, right: &TypeSchema) -> Option<Passage> {
        if left == right {
            return Some(Passage::Unchanged);
        }
        if let Some(lens) = self.lens(left, right) {
            self.filled.extend(lens.prepared.then(|| place.to_owned()));
            return Some(way(lens.both_ways));
        }
        let near_miss =
            self.newer.lenses.iter().find(|lens| {
                lens.right == *right && lens.left.name == left.name && lens.left != *left
            });
        self.wrong.push(match near_miss {
            Some(lens) => self.mismatch(left, &lens.left),
            None => Incompatible::MissingLens {
                place: place.to_owned(),
                older: self.side(self.older.version, left),
                newer: self.side(self.newer.version, right),
            },
        });
        None
    }

    fn side(&self, version: VersionId, schema: &TypeSchema) -> Side {
        Side {
            version,
            schema: Box::new(schema.clone()),
        }
    }

    fn mismatch(&self, stated: &TypeSchema, frozen: &TypeSchema) -> Incompatible {
        Incompatible::FrozenDiffers {
            stated: self.side(self.older.version, stated),
            frozen: self.side(self.newer.version, frozen),
        }
    }

    /// Every frozen copy must be what the older library states, used or not.
    fn frozen(&mut self) {
        let older = self.older;
        for copy in self
            .newer
            .frozen
            .iter()
            .filter(|copy| copy.version == older.version)
        {
            let name = &copy.schema.name;
            let mismatch = match older.types.iter().find(|ty| ty.schema.name == *name) {
                Some(stated) if stated.schema == copy.schema => continue,
                Some(stated) => self.mismatch(&stated.schema, &copy.schema),
                None => Incompatible::FrozenOfNothing {
                    name: name.clone(),
                    version: older.version,
                    near: nearest(name, older.types.iter().map(|ty| ty.schema.name.as_str()))
                        .map(str::to_owned),
                },
            };
            if !self.wrong.contains(&mismatch) {
                self.wrong.push(mismatch);
            }
        }
    }

    fn element_types(&mut self) {
        for name in boxed_types(self.older) {
            let type_in = |m: &'a Manifest| m.types.iter().find(|t| t.schema.name == name);
            let Some(left) = type_in(self.older) else {
                continue;
            };
            let converted = self
                .newer
                .lenses
                .iter()
                .find(|lens| lens.left == left.schema);
            let passage = match type_in(self.newer) {
                Some(right) => self.passage(&name, &left.schema, &right.schema),
                None => Some(converted.map_or(Passage::Removed, |lens| way(lens.both_ways))),
            };
            self.elements
                .extend(passage.map(|passage| Part { name, passage }));
        }
    }

    /// What the older version's values may name, the newer one has as well (R4). What only the newer one
    /// has is an error when the older one calls it.
    fn functions(&mut self) {
        let (older, newer) = (self.older, self.newer);
        for function in &older.functions {
            let name = &function.name;
            if self.is_removed(&format!("fn {name}")) {
                continue;
            }
            let found = newer.functions.iter().find(|other| other.name == *name);
            let wrong = match found {
                Some(other) if other.signature == function.signature => continue,
                Some(other) => Incompatible::FunctionChanged {
                    function: name.clone(),
                    older: function.signature.clone(),
                    newer: other.signature.clone(),
                },
                None => {
                    let is_new = |name: &&str| older.functions.iter().all(|f| f.name != *name);
                    let names = newer.functions.iter().map(|f| f.name.as_str());
                    Incompatible::FunctionGone {
                        function: name.clone(),
                        near: nearest(name, names.filter(is_new)).map(str::to_owned),
                    }
                }
            };
            self.wrong.push(wrong);
        }
    }

    fn carry(&mut self) -> Passage {
        let (left, right) = (&self.older.carry.schema, &self.newer.carry.schema);
        if left == right {
            return Passage::Unchanged;
        }
        if !self
            .newer
            .carry_lenses
            .iter()
            .any(|lens| lens.left == *left && lens.right == *right)
        {
            let older = self.side(self.older.version, left);
            let newer = self.side(self.newer.version, right);
            self.wrong
                .push(Incompatible::MissingCarryLens { older, newer });
        }
        Passage::BothWays
    }

    fn advice(&mut self, direction: Direction) -> Advice {
        let mut reasons = Vec::new();
        let one_way: Vec<_> = self
            .items
            .iter()
            .chain(&self.elements)
            .filter(|part| part.passage == Passage::ForwardOnly)
            .map(|part| part.name.clone())
            .collect();
        for name in one_way {
            match direction {
                Direction::Forward => reasons.push(format!("{name} goes forward only")),
                Direction::Backward => self.wrong.push(Incompatible::OneWay { name }),
            }
        }
        reasons.extend(self.moves.iter().map(Move::text));
        match reasons.is_empty() {
            true => Advice::Rolling,
            false => Advice::Barrier(reasons),
        }
    }
}

fn way(both_ways: bool) -> Passage {
    match both_ways {
        true => Passage::BothWays,
        false => Passage::ForwardOnly,
    }
}

/// The first part whose layout a compiler may choose anew: a container, or a std type as a leaf.
pub(super) fn compiler_dependent(schema: &TypeSchema) -> Option<&TypeSchema> {
    const FIXED: &[&str] = &[
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool", "char", "()",
    ];
    match &schema.kind {
        TypeKind::Leaf => (!FIXED.contains(&schema.name.as_str())).then_some(schema),
        TypeKind::Struct(fields) => fields.iter().find_map(|f| compiler_dependent(&f.ty)),
        TypeKind::Enum { variants, .. } => variants
            .iter()
            .flat_map(|v| &v.fields)
            .find_map(|f| compiler_dependent(&f.ty)),
        TypeKind::Array { element, .. } => compiler_dependent(element),
        TypeKind::Container(_) => Some(schema),
        TypeKind::Versioned(_) => None,
    }
}

mod keys;
mod reach;
#[cfg(test)]
mod tests;
