//! Which slot each guard has and which id each representation, for the life of a server.
//!
//! Pure and on the supervisor's side; knows manifests, no processes. A slot or id is never given to
//! anything else again: old roots, boxes and complements may still carry it.

use super::binding::{Binding, GuardBinding, RepresentationBinding};
use super::digest::digest;
use super::manifest::{GuardManifest, Manifest};
use super::refusal::Refusal;
use crate::abi::{MAX_ORDER_NODES, MAX_ORDER_TABLES, TypeSchema};
use crate::ids::{GuardIndex, Tag, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The name under which a guard's item tuple has its representations.
pub fn tuple_name(guard: &str) -> String {
    format!("guard:{guard}")
}

/// Gives out guard slots and representation ids.
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
    tags: BTreeMap<(String, String), Tag>,
    /// Next free id of each parity; wider than an id, so that the end is seen.
    next_tag: [u32; 2],
    manifests: BTreeMap<VersionId, Manifest>,
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
            next_tag: [2, 1],
            manifests: BTreeMap::new(),
        }
    }

    /// Takes a version in and says where everything of it is. Admitting the same manifest again gives
    /// the same slots and ids; `older` is then what is known by now, so a version whose predecessor
    /// was admitted after it must be admitted, and bound, again.
    ///
    /// # Errors
    /// [`Refusal::FamilyResized`], [`Refusal::TooManyGuards`], [`Refusal::TooManyRepresentations`];
    /// nothing is changed then.
    pub fn admit(&mut self, manifest: &Manifest) -> Result<Binding, Refusal> {
        let mut next = self.clone();
        let binding = next.admit_in_place(manifest)?;
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

    /// Id of a representation.
    pub fn tag(&self, name: &str, schema: &TypeSchema) -> Option<Tag> {
        self.tags.get(&(name.to_owned(), digest(schema))).copied()
    }

    fn admit_in_place(&mut self, manifest: &Manifest) -> Result<Binding, Refusal> {
        let older = manifest
            .from
            .and_then(|from| self.manifests.get(&from))
            .cloned();
        let avoid = self.parities_of_neighbours(manifest);
        let parity = |name: &str| avoid.get(name).and_then(free_parity);

        let mut guards = Vec::with_capacity(manifest.guards.len());
        let mut representations = BTreeMap::new();
        for guard in &manifest.guards {
            let (first, count) = self.place(guard)?;
            let name = tuple_name(&guard.name);
            let tag = self.represent(&name, &guard.items, parity(&name))?;
            guards.push(GuardBinding {
                name: guard.name.clone(),
                first,
                count,
                tag,
                node: self.node(first),
            });
            representations.insert((name, digest(&guard.items)), tag);
        }
        let older_parts = older.iter().flat_map(named_schemas);
        let lens_sides = manifest
            .lenses
            .iter()
            .flat_map(|lens| [&lens.left, &lens.right]);
        let parts = named_schemas(manifest)
            .chain(
                manifest
                    .frozen
                    .iter()
                    .map(|ty| (ty.schema.name.clone(), &ty.schema)),
            )
            .chain(lens_sides.map(|schema| (schema.name.clone(), schema)))
            .chain(older_parts);
        for (name, schema) in parts {
            let tag = self.represent(&name, schema, parity(&name))?;
            representations.insert((name, digest(schema)), tag);
        }
        self.manifests.insert(manifest.version, manifest.clone());
        let order_table = self.order_table(manifest);
        Ok(Binding {
            version: manifest.version,
            guards,
            order_table,
            representations: representations
                .into_iter()
                .map(|((name, digest), tag)| RepresentationBinding { name, digest, tag })
                .collect(),
            older,
        })
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
        let adjacent = self.manifests.values().filter(|other| {
            manifest.from == Some(other.version) || other.from == Some(manifest.version)
        });
        for (name, schema) in adjacent.flat_map(named_schemas) {
            if let Some(tag) = self.tag(&name, schema) {
                taken.entry(name).or_default().insert(tag.0 & 1);
            }
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

    fn represent(
        &mut self,
        name: &str,
        schema: &TypeSchema,
        parity: Option<u16>,
    ) -> Result<Tag, Refusal> {
        let key = (name.to_owned(), digest(schema));
        if let Some(tag) = self.tags.get(&key) {
            return Ok(*tag);
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
        self.tags.insert(key, tag);
        Ok(tag)
    }
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
mod tests {
    use super::*;
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
        let one = registry.admit(&version(1, &["hits"])).unwrap();
        let two = registry.admit(&version(2, &["hits", "misses"])).unwrap();
        assert_eq!(tag_of(&one, "SHARDS"), tag_of(&two, "SHARDS"));
        assert_ne!(tag_of(&one, "TOTALS"), tag_of(&two, "TOTALS"));
        // A repaired v2 with another layout, after a rollback.
        let repaired = registry
            .admit(&version(2, &["hits", "misses", "expired"]))
            .unwrap();
        assert_ne!(tag_of(&repaired, "TOTALS"), tag_of(&two, "TOTALS"));
        assert_ne!(tag_of(&repaired, "TOTALS"), tag_of(&one, "TOTALS"));
        assert_eq!(
            registry.admit(&version(1, &["hits"])).unwrap().guards,
            one.guards
        );
    }

    #[test]
    fn adjacent_representations_differ_in_parity() {
        let mut registry = Registry::new(0..100);
        let mut previous = registry.admit(&version(1, &["f0"])).unwrap();
        for number in 2..20 {
            let field = format!("f{number}");
            let next = registry.admit(&version(number, &[&field])).unwrap();
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
            let repaired = registry.admit(&version(number, &[&field, "more"])).unwrap();
            assert_ne!(tag_of(&repaired, "TOTALS").0 & 1, a.0 & 1);
            assert_ne!(stats(&repaired, &[&field, "more"]), stats(&next, &[&field]));
            previous = repaired;
        }
    }

    #[test]
    fn guards_keep_their_slots_under_a_new_name_and_families_are_contiguous() {
        let mut registry = Registry::new(10..100);
        let one = registry.admit(&version(1, &["hits"])).unwrap();
        assert_eq!(one.guards[0].first, GuardIndex(10));
        assert_eq!(one.guards[1].first, GuardIndex(26));
        let mut second = version(2, &["hits"]);
        second.guards[1].name = "SUMS".into();
        second.guards[1].renamed_from = "TOTALS".into();
        second.guards.insert(0, guard("EXTRA", &[]));
        let two = registry.admit(&second).unwrap();
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
        let one = registry.admit(&first).unwrap();
        let mut crowded = version(2, &["misses"]);
        crowded.guards.push(guard("Z", &[]));
        assert_eq!(
            registry.admit(&crowded),
            Err(Refusal::TooManyGuards { limit: 17 })
        );
        assert_eq!(registry.tag("Stats", &crowded.types[0].schema), None);
        let mut resized = version(2, &["misses"]);
        resized.guards[0].family = Some(8);
        let refusal = registry.admit(&resized).unwrap_err();
        assert_eq!(
            refusal,
            Refusal::FamilyResized {
                guard: "SHARDS".into(),
                was: 16,
                now: 8
            }
        );
        assert_eq!(registry.admit(&first).unwrap(), one);
    }

    #[test]
    fn ids_end_in_a_refusal_and_never_in_a_reserved_one() {
        let mut registry = Registry::new(0..1);
        let mut seen = BTreeSet::new();
        let refusal = loop {
            match registry.represent(&format!("T{}", seen.len()), &leaf("u8", 1), Some(0)) {
                Ok(tag) => assert!(seen.insert(tag)),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(refusal, Refusal::TooManyRepresentations);
        assert_eq!(seen.len(), usize::from(Tag::LAST.0));
        assert!(!seen.contains(&Tag::NONE) && !seen.contains(&Tag::IMPOSSIBLE));
    }
}
