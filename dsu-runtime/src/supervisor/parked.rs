//! Values that the version that runs has no form for (R13): how many there are of each type, and which
//! versions take them up again.
//!
//! Counted by the tags of living boxes, so the numbers are those of the moment.

use super::builds::KnownBuild;
use super::run::Supervisor;
use crate::abi::{Parked, TWIN_NAME, TypeSchema};
use crate::ids::{Tag, VersionId};
use crate::update::{BuildIndex, Stage};
use crate::version::{RepresentationBinding, digest, tuple_name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is parked of one form of a type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParkedType {
    /// The type.
    #[serde(rename = "type")]
    pub name: String,
    /// A version that has this form.
    pub version: VersionId,
    /// Values.
    pub count: u64,
}

impl ParkedType {
    /// `3 Value of v3, 1 Entry of v3`.
    pub(super) fn list(parked: &[ParkedType]) -> String {
        let one = |p: &ParkedType| format!("{} {} of {}", p.count, p.name, p.version);
        parked.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a type of this name is what a prepared lens makes ahead.
fn is_twin(name: &str) -> bool {
    name.starts_with(TWIN_NAME)
}

impl KnownBuild {
    /// The parts of its binding that are its own forms, and not those of the version before.
    pub(super) fn own_parts(&self) -> impl Iterator<Item = &RepresentationBinding> {
        let guards = self.manifest.guards.iter();
        let types = self.manifest.types.iter();
        let own: BTreeSet<(String, String)> = guards
            .map(|guard| (tuple_name(&guard.name), digest(&guard.items)))
            .chain(types.map(|ty| (ty.schema.name.clone(), digest(&ty.schema))))
            .collect();
        let parts = self.build.binding.representations.iter();
        parts.filter(move |part| own.contains(&(part.name.clone(), part.digest.clone())))
    }

    /// Tags of its own forms, without those of what is made ahead for flips: none of that stays.
    pub(super) fn own_tags(&self) -> BTreeSet<Tag> {
        let parts = self.own_parts().filter(|part| !is_twin(&part.name));
        parts.map(|part| part.tag).collect()
    }

    /// All tags that it is told of, but for those of guards without items, of which nothing is to be
    /// converted.
    pub(super) fn all_tags(&self) -> impl Iterator<Item = Tag> {
        let parts = self.build.binding.representations.iter();
        let empty = digest(&TypeSchema::no_items());
        let parts = parts.filter(move |part| part.digest != empty);
        parts.flat_map(|part| part.same.iter().copied().chain([part.tag]))
    }

    /// Whether it brings values of form `tag` into a form of its own, without those of `left`, in which
    /// they were found to have none.
    fn takes_up(&self, tag: Tag, left: &BTreeSet<Tag>) -> bool {
        let own: BTreeSet<Tag> = self
            .own_parts()
            .flat_map(|part| part.same.iter().copied().chain([part.tag]))
            .collect();
        let parts = &self.build.binding.representations;
        let tag_of = |schema: &TypeSchema| {
            let digest = digest(schema);
            let mut found = parts
                .iter()
                .filter(|part| part.name == schema.name && part.digest == digest);
            found.next().map(|part| part.tag)
        };
        let between_types = self.manifest.lenses.iter().filter(|l| l.items.is_none());
        let ways: Vec<(Tag, Tag)> = between_types
            .filter_map(|lens| {
                let (older, newer) = (tag_of(&lens.left)?, tag_of(&lens.right)?);
                let back = lens.both_ways.then_some((newer, older));
                Some([Some((older, newer)), back])
            })
            .flatten()
            .flatten()
            .collect();
        let mut reached = vec![tag];
        let mut next = 0;
        while let Some(&at) = reached.get(next) {
            if own.contains(&at) {
                return true;
            }
            let further = ways.iter().filter(|(from, _)| *from == at);
            for (_, to) in further {
                if !reached.contains(to) && !left.contains(to) {
                    reached.push(*to);
                }
            }
            next += 1;
        }
        false
    }
}

impl Supervisor {
    /// Forms of element types that none of `here` has, with how many values live in each.
    fn strays(&self, here: &[BuildIndex]) -> BTreeMap<Tag, ParkedType> {
        let known: BTreeSet<Tag> = here
            .iter()
            .flat_map(|index| self.builds.get(*index).own_tags())
            .collect();
        let mut strays = BTreeMap::new();
        for owner in self.builds.all() {
            let elements = owner.own_parts().filter(|part| {
                owner
                    .manifest
                    .types
                    .iter()
                    .any(|ty| ty.schema.name == part.name)
            });
            for part in elements.filter(|part| !known.contains(&part.tag)) {
                let count = self.ports.memory.boxes(part.tag);
                if count != 0 {
                    let parked = ParkedType {
                        name: part.name.clone(),
                        version: owner.build.version,
                        count,
                    };
                    strays.insert(part.tag, parked);
                }
            }
        }
        strays
    }

    /// Whether the version that runs has a type of this name. One that it does not have is never met by
    /// itself, only inside of what is parked or in complements.
    fn has_type(&self, name: &str) -> bool {
        let running = self.builds.get(self.life.running());
        let mut types = running.manifest.types.iter();
        !is_twin(name) && types.any(|ty| ty.schema.name == name)
    }

    /// What is parked now. While versions are mixed, or the sweep is under way, nobody can tell what is
    /// parked from what was not converted yet: then only what neither version has.
    pub(super) fn parked(&self) -> Vec<ParkedType> {
        let running = self.life.running();
        let here: Vec<BuildIndex> = [Some(running), self.life.target()]
            .into_iter()
            .flatten()
            .collect();
        let strays = self.strays(&here).into_values();
        strays
            .filter(|parked| self.has_type(&parked.name))
            .collect()
    }

    /// Whether an update from the version that runs may begin, as far as parked values are concerned;
    /// what the operator should know of it.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn judge_parked(
        &self,
        target: BuildIndex,
        discards: bool,
    ) -> Result<Option<String>, String> {
        let running = self.life.running();
        let left = self.builds.get(running).own_tags();
        let known = self.builds.get(target);
        let strays = self.strays(&[running]).into_iter();
        let stranded: Vec<ParkedType> = strays
            .filter(|(_, parked)| self.has_type(&parked.name))
            .filter(|(tag, _)| !known.takes_up(*tag, &left))
            .map(|(_, parked)| parked)
            .collect();
        let version = known.build.version;
        match (stranded.is_empty(), discards) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(format!(
                "{} will be dropped, with what contains them: {version} cannot take them up",
                ParkedType::list(&stranded)
            ))),
            (false, false) => Err(format!(
                "parked: {}, and {version} has neither their form nor a lens from it: update to a version that has, or drop them with --discard-parked",
                ParkedType::list(&stranded)
            )),
        }
    }

    /// What the sweep that begins, or is under way, does with what has no form.
    pub(super) fn parked_in_sweep(&self) -> Parked {
        let asked = self
            .underway
            .as_ref()
            .is_some_and(|u| u.asked.discard_parked);
        match asked && self.life.stage() == Stage::Sweeping {
            true => Parked::Discarded,
            false => Parked::Kept,
        }
    }

    /// Values that the sweep has yet to drop because neither version has their form.
    pub(super) fn left_to_discard(&self) -> u64 {
        if self.parked_in_sweep() == Parked::Kept {
            return 0;
        }
        self.parked().iter().map(|parked| parked.count).sum()
    }
}
