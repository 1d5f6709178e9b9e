//! Which slot each guard has and which id each representation, for the life of a server.
//!
//! Pure and on the supervisor's side; knows manifests, no processes. A slot or id is never given to
//! anything else again: old roots, boxes and complements may still carry it.

use super::binding::{Binding, GuardBinding, LensBinding, RepresentationBinding};
use super::compare::{compiler_dependent, fields, regroupings};
use super::digest::digest;
use super::manifest::{GuardManifest, LensManifest, Manifest};
use super::moves::{empty_form, empty_forms, moves, predecessor};
use super::refusal::Refusal;
use crate::abi::{MAX_ORDER_NODES, MAX_ORDER_TABLES, TypeSchema};
use crate::ids::{GuardIndex, Tag, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The name under which a guard's item tuple has its representations.
pub fn tuple_name(guard: &str) -> String {
    format!("guard:{guard}")
}

/// The name of a form and the digest of its schema.
type Form = (String, String);

/// Gives out guard slots and representation ids.
///
/// A form has one id, and a lens is known by the ids of its two sides, wherever complements lie. So where
/// two builds of a version agree on a form, but the lenses that lead to it keep complements of different
/// schemas, the form gets another id with the second build (R1): what the first has kept is never taken
/// for the second's. A build that comes back finds its ids again.
///
/// The class of a representation is the parity of its id (`sync::word`), and two neighbours should
/// differ in it. So a new representation takes an id of the parity that the adjacent version's
/// representation of the same name does not have. That fails only where adjacent versions on both
/// sides are known and differ already, or where one parity is used up; the class is advice.
#[derive(Clone, Debug)]
pub struct Registry {
    slots: Range<u32>,
    next_slot: u32,
    guards: BTreeMap<String, (GuardIndex, u32)>,
    /// Of the slot that a declaration begins at, its number in the order of locks (R16).
    nodes: BTreeMap<GuardIndex, u16>,
    /// Of the code with this build id, its table of the order of locks.
    order_tables: BTreeMap<(VersionId, String), u32>,
    /// Ids of each form, the oldest first.
    tags: BTreeMap<Form, Vec<Tag>>,
    /// Digests of what lenses keep, by the ids of older and newer side.
    kept: BTreeMap<(Tag, Tag), String>,
    /// Next free id of each parity; wider than an id, so that the end is seen.
    next_tag: [u32; 2],
    /// The last build of each version.
    admitted: BTreeMap<VersionId, Admitted>,
}

#[derive(Clone, Debug)]
struct Admitted {
    manifest: Manifest,
    /// Ids of its own item tuples and element types, and of the empty tuples of guards that it lacks.
    own: BTreeMap<Form, Tag>,
}

/// Guards that only one of two neighbours has, as the other one has them: without items (R4).
#[derive(Default)]
struct Empty {
    older: Vec<GuardManifest>,
    newer: Vec<GuardManifest>,
}

impl Registry {
    /// An empty one that gives out guard slots of this range.
    pub fn new(slots: Range<u32>) -> Registry {
        Registry {
            next_slot: slots.start,
            slots,
            guards: BTreeMap::new(),
            nodes: BTreeMap::new(),
            order_tables: BTreeMap::new(),
            tags: BTreeMap::new(),
            kept: BTreeMap::new(),
            next_tag: [2, 1],
            admitted: BTreeMap::new(),
        }
    }

    /// Takes a version in and says where everything of it is. `running` is the version whose values
    /// live: its ids stay as they are, and those of an adjacent version follow from them. `older` in the
    /// answer is what is known by now, so a version whose predecessor was admitted after it must be
    /// admitted, and bound, again.
    ///
    /// # Errors
    /// [`Refusal::FamilyResized`], [`Refusal::SharedPlace`], [`Refusal::DeclaredAgain`],
    /// [`Refusal::TooManyGuards`], [`Refusal::TooManyRepresentations`];
    /// nothing is changed then.
    pub fn admit(
        &mut self,
        manifest: &Manifest,
        running: Option<VersionId>,
    ) -> Result<Binding, Refusal> {
        let mut next = self.clone();
        let binding = next.admit_in_place(manifest, running)?;
        *self = next;
        Ok(binding)
    }

    /// Slot and number of members of a guard, by the name of any version.
    pub fn guard(&self, name: &str) -> Option<(GuardIndex, u32)> {
        self.guards.get(name).copied()
    }

    /// Slots up to here were given out.
    pub fn slots_in_use(&self) -> u32 {
        self.next_slot
    }

    fn admit_in_place(
        &mut self,
        manifest: &Manifest,
        running: Option<VersionId>,
    ) -> Result<Binding, Refusal> {
        let older = manifest.from.and_then(|from| self.admitted.get(&from));
        let older = older.cloned();
        let running = running.and_then(|version| self.admitted.get(&version));
        let running = running.cloned();
        let avoid = self.parities_of_neighbours(manifest);

        let before = older.as_ref().map(|older| &older.manifest);
        let empty = Self::empty(manifest, before);
        let own_passages = passages(manifest, before, &empty);
        let newer = running
            .as_ref()
            .filter(|running| running.manifest.from == Some(manifest.version));
        let newer_passages = newer.map_or_else(Vec::new, |newer| {
            let empty = Self::empty(&newer.manifest, Some(manifest));
            passages(&newer.manifest, Some(manifest), &empty)
        });
        let all_passages: Vec<&Passage> = own_passages.iter().chain(&newer_passages).collect();

        let own: Vec<Form> = named_schemas(manifest)
            .map(|(name, schema)| (name, digest(schema)))
            .chain(empty.newer.iter().map(tuple_form))
            .collect();
        // First, for they are forms of the version before: what is kept beside them decides the ids of
        // what is new.
        let empty_before: Vec<Form> = empty.older.iter().map(tuple_form).collect();
        let older_own = older.as_ref().map(|older| older.own.clone());
        let older_own = older_own.unwrap_or_default();
        let frozen = manifest.frozen.iter().map(|ty| form(&ty.schema));
        let sides = own_passages
            .iter()
            .flat_map(|passage| [&passage.left, &passage.right]);
        let wanted: Vec<Form> = empty_before
            .iter()
            .chain(&own)
            .chain(older_own.keys())
            .chain(sides)
            .cloned()
            .chain(frozen)
            .collect();
        let mut known = running.map_or_else(BTreeMap::new, |running| running.own);
        for form in &wanted {
            if !known.contains_key(form) {
                let parity = avoid.get(&form.0).and_then(free_parity);
                let preferred = older_own.get(form).copied();
                let tag = self.represent(form, preferred, &all_passages, &known, parity)?;
                known.insert(form.clone(), tag);
            }
        }
        let forms: BTreeMap<Form, Tag> = wanted
            .into_iter()
            .map(|form| (form.clone(), known[&form]))
            .collect();
        let guards_before = before.map_or(&[][..], |older| &older.guards);
        self.refuse_unemptied(manifest, guards_before, &empty, &forms)?;
        let forgets = self.note_what_is_kept(&own_passages, &forms);
        let lenses = own_passages.iter().map(|passage| LensBinding {
            older: forms[&passage.left],
            newer: forms[&passage.right],
        });
        let lenses = lenses.collect();

        let guards = self.bind_guards(&manifest.guards, &forms)?;
        let emptied = self.bind_guards(&empty.newer, &forms)?;
        let order_table = self.order_table(manifest);
        let own = own.into_iter().map(|form| (form.clone(), forms[&form]));
        let admitted = Admitted {
            manifest: manifest.clone(),
            own: own.collect(),
        };
        self.admitted.insert(manifest.version, admitted);
        Ok(Binding {
            version: manifest.version,
            guards,
            emptied,
            order_table,
            lenses,
            representations: forms
                .into_iter()
                .map(|(form, tag)| {
                    let ids = self.tags.get(&form).into_iter().flatten().copied();
                    let (name, digest) = form.clone();
                    RepresentationBinding {
                        name,
                        digest,
                        tag,
                        same: ids.filter(|other| *other != tag).collect(),
                    }
                })
                .collect(),
            older: older.map(|older| older.manifest),
            forgets,
        })
    }

    /// Where these guards are, and in which form.
    fn bind_guards(
        &mut self,
        guards: &[GuardManifest],
        forms: &BTreeMap<Form, Tag>,
    ) -> Result<Vec<GuardBinding>, Refusal> {
        let mut bound: Vec<GuardBinding> = Vec::with_capacity(guards.len());
        for guard in guards {
            let (first, count) = self.place(guard)?;
            if let Some(other) = bound.iter().find(|other| other.first == first) {
                return Err(Refusal::SharedPlace {
                    guard: guard.name.clone(),
                    other: other.name.clone(),
                });
            }
            bound.push(GuardBinding {
                name: guard.name.clone(),
                first,
                count,
                tag: forms[&tuple_form(guard)],
                node: self.node(first),
            });
        }
        Ok(bound)
    }

    /// Which guards one of two neighbours has in the empty form: those that are gone and give items away,
    /// and all new ones, which another build or version may fill by moves, or leave so.
    fn empty(newer: &Manifest, older: Option<&Manifest>) -> Empty {
        let Some(older) = older else {
            return Empty::default();
        };
        let is_new =
            |guard: &&GuardManifest| predecessor(guard, &older.guards, &newer.guards).is_none();
        Empty {
            older: newer.guards.iter().filter(is_new).map(empty_form).collect(),
            newer: empty_forms(&older.guards, &newer.guards).1,
        }
    }

    /// Refuses a guard that is declared again as it was before its items moved elsewhere: whether it is
    /// emptied could not be seen by its form.
    fn refuse_unemptied(
        &self,
        manifest: &Manifest,
        older: &[GuardManifest],
        empty: &Empty,
        forms: &BTreeMap<Form, Tag>,
    ) -> Result<(), Refusal> {
        let moves = moves(older, &manifest.guards).0;
        for guard in &manifest.guards {
            let gets = moves.iter().any(|found| found.to.name == guard.name);
            let Some(before) = empty.older.iter().find(|g| g.name == guard.name && !gets) else {
                continue;
            };
            let now = forms[&tuple_form(guard)];
            let mut empties = self.tags.get(&tuple_form(before)).into_iter().flatten();
            if empties.any(|empty| self.kept.contains_key(&(now, *empty))) {
                return Err(Refusal::DeclaredAgain {
                    guard: guard.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Remembers what each lens keeps. Names the forms for which another build keeps something else.
    fn note_what_is_kept(
        &mut self,
        passages: &[Passage],
        forms: &BTreeMap<Form, Tag>,
    ) -> Vec<String> {
        let mut forgets = BTreeSet::new();
        for Passage { left, right, kept } in passages {
            let (older, newer) = (forms[left], forms[right]);
            self.kept
                .entry((older, newer))
                .or_insert_with(|| kept.clone());
            let others = self.tags.get(right).into_iter().flatten();
            let mut keeps = others.filter_map(|tag| self.kept.get(&(older, *tag)));
            if keeps.any(|other| other != kept) {
                forgets.insert(right.0.clone());
            }
        }
        forgets.into_iter().collect()
    }

    /// Numbers go up to one that stands for all that came too late.
    fn node(&mut self, first: GuardIndex) -> u16 {
        let next = self.nodes.len().min(MAX_ORDER_NODES) as u16;
        *self.nodes.entry(first).or_insert(next)
    }

    fn order_table(&mut self, manifest: &Manifest) -> Option<u32> {
        let next = self.order_tables.len() as u32;
        let code = (manifest.version, manifest.build_id.clone());
        let table = *self.order_tables.entry(code).or_insert(next);
        ((table as usize) < MAX_ORDER_TABLES).then_some(table)
    }

    /// Parities that the adjacent versions' representations of each name have.
    fn parities_of_neighbours(&self, manifest: &Manifest) -> BTreeMap<String, BTreeSet<u16>> {
        let mut taken: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
        let adjacent = self.admitted.values().filter(|other| {
            let other = &other.manifest;
            manifest.from == Some(other.version) || other.from == Some(manifest.version)
        });
        for ((name, _), tag) in adjacent.flat_map(|other| &other.own) {
            taken.entry(name.clone()).or_default().insert(tag.0 & 1);
        }
        // Under its new name a renamed guard stands beside what its old name had.
        for guard in manifest
            .guards
            .iter()
            .filter(|guard| !guard.renamed_from.is_empty())
        {
            if let Some(parities) = taken.get(&tuple_name(&guard.renamed_from)).cloned() {
                taken
                    .entry(tuple_name(&guard.name))
                    .or_default()
                    .extend(parities);
            }
        }
        taken
    }

    fn place(&mut self, guard: &GuardManifest) -> Result<(GuardIndex, u32), Refusal> {
        let count = guard.family.unwrap_or(1);
        let known = self
            .guard(&guard.name)
            .or_else(|| self.guard(&guard.renamed_from));
        let (first, was) = match known {
            Some(place) => place,
            None => {
                let end = self
                    .next_slot
                    .checked_add(count)
                    .filter(|end| *end <= self.slots.end);
                let end = end.ok_or(Refusal::TooManyGuards {
                    limit: self.slots.len() as u32,
                })?;
                let first = GuardIndex(std::mem::replace(&mut self.next_slot, end));
                (first, count)
            }
        };
        if was != count {
            return Err(Refusal::FamilyResized {
                guard: guard.name.clone(),
                was,
                now: count,
            });
        }
        self.guards.insert(guard.name.clone(), (first, count));
        Ok((first, count))
    }

    /// An id of a form at which nothing else is kept for the forms that have their ids already: the
    /// preferred one, the oldest, or a new one.
    fn represent(
        &mut self,
        form: &Form,
        preferred: Option<Tag>,
        passages: &[&Passage],
        known: &BTreeMap<Form, Tag>,
        parity: Option<u16>,
    ) -> Result<Tag, Refusal> {
        let agrees = |tag: &Tag| {
            passages.iter().all(|Passage { left, right, kept }| {
                let ends = match (left == form, right == form) {
                    (true, false) => known.get(right).map(|newer| (*tag, *newer)),
                    (false, true) => known.get(left).map(|older| (*older, *tag)),
                    _ => None,
                };
                let other = ends.and_then(|ends| self.kept.get(&ends));
                other.is_none_or(|other| other == kept)
            })
        };
        let given = self.tags.get(form).into_iter().flatten();
        if let Some(tag) = preferred.into_iter().chain(given.copied()).find(agrees) {
            return Ok(tag);
        }
        let lower = usize::from(self.next_tag[1] < self.next_tag[0]);
        let wanted = parity.map_or(lower, usize::from);
        let tag = [wanted, 1 - wanted]
            .into_iter()
            .find(|parity| self.next_tag[*parity] <= Tag::LAST.0.into())
            .map(|parity| {
                let tag = Tag(self.next_tag[parity] as u16);
                self.next_tag[parity] += 2;
                tag
            })
            .ok_or(Refusal::TooManyRepresentations)?;
        self.tags.entry(form.clone()).or_default().push(tag);
        Ok(tag)
    }
}

/// A lens, by the forms of its sides, and the digest of what it keeps.
struct Passage {
    left: Form,
    right: Form,
    kept: String,
}

fn tuple_form(guard: &GuardManifest) -> Form {
    (tuple_name(&guard.name), digest(&guard.items))
}

fn form(schema: &TypeSchema) -> Form {
    (schema.name.clone(), digest(schema))
}

/// What a complement is, by digest. Where a compiler may lay it out anew, it is another one for each.
fn kept(lens: &LensManifest, rustc: &str) -> String {
    let digest = digest(&lens.complement);
    match compiler_dependent(&lens.complement) {
        Some(_) => format!("{digest} {rustc}"),
        None => digest,
    }
}

/// The lenses of a version, and those between its item tuples and the older version's, which the
/// runtime makes of them (`update::tuple`).
fn passages(manifest: &Manifest, older: Option<&Manifest>, empty: &Empty) -> Vec<Passage> {
    let between_types = manifest.lenses.iter().filter(|lens| lens.items.is_none());
    let lenses = between_types.map(|lens| Passage {
        left: form(&lens.left),
        right: form(&lens.right),
        kept: kept(lens, &manifest.rustc),
    });
    let guards = older.map_or(&[][..], |older| &older.guards);
    let all = manifest.guards.iter().chain(&empty.newer);
    let tuples = all.filter_map(|guard| {
        let former = match guard.renamed_from.is_empty() {
            true => &guard.name,
            false => &guard.renamed_from,
        };
        let mut all = guards.iter().chain(&empty.older);
        let before = all.find(|g| g.name == *former || g.name == guard.name)?;
        Some(Passage {
            left: tuple_form(before),
            right: tuple_form(guard),
            kept: kept_of_items(manifest, guards, before, guard),
        })
    });
    lenses
        .chain(tuples)
        .filter(|passage| passage.left != passage.right)
        .collect()
}

/// What a tuple's complement is made of, but for the items that only one side has: those follow from
/// the schemas of the sides.
fn kept_of_items(
    manifest: &Manifest,
    guards: &[GuardManifest],
    older: &GuardManifest,
    newer: &GuardManifest,
) -> String {
    let mut parts = String::new();
    let groups = regroupings(manifest, older, newer);
    for (lens, items) in &groups {
        let names = items.newer.join(",");
        parts.push_str(&format!("({names}) {};", kept(lens, &manifest.rustc)));
    }
    // An item that moves is kept by neither guard, but for what its lens keeps, on the way that it came.
    for found in moves(guards, &manifest.guards).0 {
        if found.from.name == older.name || found.to.name == newer.name {
            let lens = lens_between(manifest, &found.older.ty, &found.newer.ty);
            let kept = lens.map_or(String::new(), |lens| kept(lens, &manifest.rustc));
            let arrives = &found.newer.name;
            parts.push_str(&format!("{} as {arrives}: {kept};", found.text()));
        }
    }
    let is_grouped = |name: &String| groups.iter().any(|(_, g)| g.newer.contains(name));
    for item in fields(&newer.items).iter().filter(|f| !is_grouped(&f.name)) {
        let before = fields(&older.items).iter().find(|f| f.name == item.name);
        let lens = before.and_then(|before| lens_between(manifest, &before.ty, &item.ty));
        if let Some(lens) = lens {
            parts.push_str(&format!("{} {};", item.name, kept(lens, &manifest.rustc)));
        }
    }
    parts
}

/// The lens of a version between two forms of an item that are not the same.
fn lens_between<'a>(
    manifest: &'a Manifest,
    older: &TypeSchema,
    newer: &TypeSchema,
) -> Option<&'a LensManifest> {
    let mut lenses = manifest.lenses.iter();
    let lens =
        lenses.find(|lens| lens.items.is_none() && lens.left == *older && lens.right == *newer);
    lens.filter(|_| older != newer)
}

fn free_parity(taken: &BTreeSet<u16>) -> Option<u16> {
    match (taken.contains(&0), taken.contains(&1)) {
        (true, false) => Some(1),
        (false, true) => Some(0),
        _ => None,
    }
}

/// Item tuples and element types of a version, by the names that representations go by.
fn named_schemas(manifest: &Manifest) -> impl Iterator<Item = (String, &TypeSchema)> {
    let guards = manifest
        .guards
        .iter()
        .map(|guard| (tuple_name(&guard.name), &guard.items));
    let types = manifest
        .types
        .iter()
        .map(|ty| (ty.schema.name.clone(), &ty.schema));
    guards.chain(types)
}

#[cfg(test)]
mod tests;
