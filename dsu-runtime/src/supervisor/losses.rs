//! What an update loses because the complements that it needs cannot be there (R10).
//!
//! A complement between two forms is made when a value goes from one to the other, and is swept away by
//! the first sweep to a form that is neither. So whether it can be there follows from the forms that the
//! server has swept to, in their order. What is lost then, the lenses say. Pure but for the glue.

use super::builds::KnownBuild;
use super::run::Supervisor;
use crate::abi::{LensLoss, LensLosses, TypeSchema};
use crate::ids::{GuardIndex, Tag};
use crate::update::{BuildIndex, Stage};
use crate::version::{
    GuardManifest, Manifest, Move, digest, empty_forms, fields, moves, regroupings, successor,
    tuple_name,
};
use std::collections::BTreeSet;

/// Whether values have what is kept of them for another form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    /// They were in that form, and the sweeps since have left what was kept.
    There,
    /// They were in that form, and a sweep to a third one has dropped it.
    Swept,
    /// Nothing was ever in that form.
    NeverMade,
}

/// What is kept for going from form `here` to form `there`, by the forms of each stop on the way: the
/// last is where the server is.
fn kept(stops: &[BTreeSet<Tag>], here: Tag, there: Tag) -> Kept {
    let Some(last) = stops.iter().rposition(|forms| forms.contains(&there)) else {
        return Kept::NeverMade;
    };
    let since = &stops[last..];
    match since
        .iter()
        .all(|forms| forms.contains(&here) || forms.contains(&there))
    {
        true => Kept::There,
        false => Kept::Swept,
    }
}

/// Of what a lens would lose, what this way does lose. Going on to a form that nothing was ever in
/// loses nothing: what it adds has not been there.
fn lost(losses: &LensLosses, goes_back: bool, kept: Kept) -> &[LensLoss] {
    match (goes_back, kept) {
        (_, Kept::There) | (false, Kept::NeverMade) => &[],
        (true, _) => &losses.older,
        (false, Kept::Swept) => &losses.newer,
    }
}

/// The id of a form of this build.
fn tag(build: &KnownBuild, name: &str, schema: &TypeSchema) -> Option<Tag> {
    let digest = digest(schema);
    let mut known = build.build.binding.representations.iter();
    let found = known.find(|one| one.name == name && one.digest == digest)?;
    Some(found.tag)
}

/// The ids of all that a build has itself.
fn forms(build: &KnownBuild) -> BTreeSet<Tag> {
    let types = build.manifest.types.iter();
    let types = types.filter_map(|ty| tag(build, &ty.schema.name, &ty.schema));
    let guards = build.build.binding.guards.iter().map(|guard| guard.tag);
    types.chain(guards).collect()
}

/// Guards that one of two neighbours lacks and that items move into or out of, by their places, and the
/// ids of their tuples without items.
fn empty(older: &KnownBuild, newer: &KnownBuild) -> Vec<(GuardIndex, Tag)> {
    let (before, after) = empty_forms(&older.manifest.guards, &newer.manifest.guards);
    let all = before.into_iter().chain(after);
    let binding = &newer.build.binding;
    all.filter_map(|guard| {
        let mut bound = binding.guards.iter().chain(&binding.emptied);
        let place = bound.find(|bound| bound.name == guard.name)?.first;
        let tag = tag(newer, &tuple_name(&guard.name), &guard.items)?;
        Some((place, tag))
    })
    .collect()
}

/// Where a server was that has swept to `build`. What it lacks of these guards its sweep has left alone; one
/// that it calls by another name it has not.
fn stop(build: &KnownBuild, empty: &[(GuardIndex, Tag)]) -> BTreeSet<Tag> {
    let guards = &build.build.binding.guards;
    let has = |place: &GuardIndex| guards.iter().any(|guard| guard.first == *place);
    let lacking = empty.iter().filter(|(place, _)| !has(place));
    forms(build)
        .into_iter()
        .chain(lacking.map(|(_, tag)| *tag))
        .collect()
}

/// The two sides of an update.
struct Way<'a> {
    older: &'a KnownBuild,
    newer: &'a KnownBuild,
    goes_back: bool,
    stops: Vec<BTreeSet<Tag>>,
    lost: Vec<String>,
}

impl<'a> Way<'a> {
    /// From the version that runs to another one, after these stops.
    fn of(
        running: &'a KnownBuild,
        target: &'a KnownBuild,
        stops: impl Iterator<Item = &'a KnownBuild>,
    ) -> Way<'a> {
        let goes_back = running.manifest.from == Some(target.manifest.version);
        let (older, newer) = match goes_back {
            true => (target, running),
            false => (running, target),
        };
        let empty = empty(older, newer);
        Way {
            older,
            newer,
            goes_back,
            stops: stops.map(|build| stop(build, &empty)).collect(),
            lost: Vec::new(),
        }
    }

    /// What is kept between two forms, if they are two.
    fn kept(&self, older: Option<Tag>, newer: Option<Tag>) -> Option<Kept> {
        let (older, newer) = (older?, newer?);
        let (here, there) = match self.goes_back {
            true => (newer, older),
            false => (older, newer),
        };
        (here != there).then(|| kept(&self.stops, here, there))
    }

    fn add(&mut self, losses: &LensLosses, kept: Kept) {
        for one in lost(losses, self.goes_back, kept) {
            if !self.lost.contains(&one.path) {
                self.lost.push(one.path.clone());
            }
        }
    }

    fn elements(&mut self, boxes: &dyn Fn(Tag) -> u64) {
        let (older, newer) = (self.older, self.newer);
        for lens in newer.manifest.lenses.iter().filter(|l| l.items.is_none()) {
            let has = |manifest: &Manifest, schema: &TypeSchema| {
                manifest.types.iter().any(|ty| ty.schema == *schema)
            };
            if !has(&older.manifest, &lens.left) || !has(&newer.manifest, &lens.right) {
                continue;
            }
            let (left, right) = (
                tag(older, &lens.left.name, &lens.left),
                tag(newer, &lens.right.name, &lens.right),
            );
            let here = if self.goes_back { right } else { left };
            // What lives in no box of its own takes its losses along in what it lies in.
            if here.is_none_or(|tag| boxes(tag) == 0) {
                continue;
            }
            if let Some(kept) = self.kept(left, right) {
                self.add(&lens.losses, kept);
            }
        }
    }

    fn guards(&mut self) {
        let (older, newer) = (&self.older.manifest.guards, &self.newer.manifest.guards);
        let moves = moves(older, newer).0;
        let (new, gone) = empty_forms(older, newer);
        let after = |before: &GuardManifest| {
            let emptied = gone.iter().find(|guard| guard.name == before.name);
            successor(before, newer).or(emptied)
        };
        let split = new.iter().filter_map(|before| {
            let mut guards = newer.iter();
            Some((before, guards.find(|guard| guard.name == before.name)?))
        });
        let pairs = older
            .iter()
            .filter_map(|before| Some((before, after(before)?)));
        for (before, after) in pairs.chain(split) {
            let tuple = |build: &KnownBuild, guard: &GuardManifest| {
                tag(build, &tuple_name(&guard.name), &guard.items)
            };
            // The older one knows nothing of guards that are new.
            let left = tuple(self.older, before).or_else(|| tuple(self.newer, before));
            if let Some(kept) = self.kept(left, tuple(self.newer, after)) {
                self.items((before, after), &moves, kept);
            }
        }
    }

    /// What is lost of the items of a guard. What is kept of one that moves is where it is.
    fn items(
        &mut self,
        (before, after): (&GuardManifest, &GuardManifest),
        moves: &[Move<'_>],
        kept: Kept,
    ) {
        let newer = &self.newer.manifest;
        let groups = regroupings(newer, before, after);
        for (lens, _) in &groups {
            self.add(&lens.losses, kept);
        }
        let lens = |left: &TypeSchema, right: &TypeSchema| {
            let mut lenses = newer.lenses.iter();
            let lens = lenses
                .find(|lens| lens.items.is_none() && lens.left == *left && lens.right == *right);
            lens.filter(|_| left != right)
        };
        let leaves = |m: &&Move<'_>| m.from.name == before.name;
        let arrives = |m: &&Move<'_>| m.to.name == after.name;
        let here = |m: &&Move<'_>| match self.goes_back {
            true => arrives(m),
            false => leaves(m),
        };
        for moved in moves.iter().filter(here).collect::<Vec<_>>() {
            if let Some(lens) = lens(&moved.older.ty, &moved.newer.ty) {
                self.add(&lens.losses, kept);
            }
        }
        let goes = |name: &String| moves.iter().filter(leaves).any(|m| m.older.name == *name);
        let comes = |name: &String| moves.iter().filter(arrives).any(|m| m.newer.name == *name);
        let is_taken = |name: &String| groups.iter().any(|(_, g)| g.older.contains(name));
        let is_made = |name: &String| groups.iter().any(|(_, g)| g.newer.contains(name));
        let left: Vec<_> = fields(&before.items)
            .iter()
            .filter(|item| !goes(&item.name) && !is_taken(&item.name))
            .collect();
        let right: Vec<_> = fields(&after.items)
            .iter()
            .filter(|item| !comes(&item.name) && !is_made(&item.name))
            .collect();
        for item in &left {
            match right.iter().find(|next| next.name == item.name) {
                Some(next) => {
                    if let Some(lens) = lens(&item.ty, &next.ty) {
                        self.add(&lens.losses, kept);
                    }
                }
                None => self.whole(&before.name, &item.name, true, kept),
            }
        }
        for item in &right {
            if !left.iter().any(|before| before.name == item.name) {
                self.whole(&after.name, &item.name, false, kept);
            }
        }
    }

    /// A worker takes along all that was ever kept of its carry.
    fn carry(&mut self, kept: Kept) {
        let (older, newer) = (&self.older.manifest, &self.newer.manifest);
        let (left, right) = (&older.carry.schema, &newer.carry.schema);
        let mut lenses = newer.carry_lenses.iter();
        if let Some(lens) = lenses.find(|lens| lens.left == *left && lens.right == *right) {
            self.add(&lens.losses, kept);
        }
    }

    /// An item that only one side has waits in the complement of its tuple, as a whole.
    fn whole(&mut self, guard: &str, item: &str, is_older: bool, kept: Kept) {
        let loss = LensLoss {
            path: format!("{guard}.{item}"),
            kind: crate::abi::LossKind::Defaulted,
        };
        let mut losses = LensLosses::default();
        match is_older {
            true => losses.older.push(loss),
            false => losses.newer.push(loss),
        }
        self.add(&losses, kept);
    }
}

impl Supervisor {
    /// A sweep begins: what has no end in the form that it goes to is dropped from here on.
    pub(super) fn note_stop(&mut self, stage: Stage) {
        let running = self.life.running();
        let stop = match stage {
            Stage::RollingBack => running,
            _ => self.life.target().unwrap_or(running),
        };
        if self.stops.last() != Some(&stop) {
            self.stops.push(stop);
        }
    }

    /// Parts of values that take defaults on the way to `target`, by their names.
    pub(super) fn losses_to(&self, target: BuildIndex) -> Vec<String> {
        let running = self.builds.get(self.life.running());
        let target = self.builds.get(target);
        let stops = self.stops.iter().map(|index| self.builds.get(*index));
        let mut way = Way::of(running, target, stops);
        if running.manifest.version == target.manifest.version {
            return way.lost;
        }
        way.elements(&|tag| self.ports.memory.boxes(tag));
        way.guards();
        let carry = &target.manifest.carry.schema;
        let mut stops = self.stops.iter().map(|stop| self.builds.get(*stop));
        let was_carried = stops.any(|build| build.manifest.carry.schema == *carry);
        way.carry(match was_carried {
            true => Kept::There,
            false => Kept::NeverMade,
        });
        way.lost.sort();
        way.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::LossKind;
    use crate::supervisor::builds::Builds;
    use crate::version::MovedManifest;
    use crate::version::samples::{guard, leaf, lens, manifest, record};

    fn stops(way: &[&[u16]]) -> Vec<BTreeSet<Tag>> {
        way.iter()
            .map(|forms| forms.iter().map(|tag| Tag(*tag)).collect())
            .collect()
    }

    // R10
    #[test]
    fn a_complement_is_there_until_a_sweep_to_a_third_form() {
        let (one, two, three) = (Tag(1), Tag(2), Tag(3));
        let walk = |versions: &[u16]| {
            let way: Vec<[u16; 1]> = versions.iter().map(|version| [*version]).collect();
            stops(&way.iter().map(|forms| &forms[..]).collect::<Vec<_>>())
        };
        for (way, here, there, expected) in [
            (&[1, 2][..], two, one, Kept::There),
            (&[1, 2, 1, 2], two, one, Kept::There),
            (&[1, 2, 3, 2], two, one, Kept::Swept),
            (&[1, 2, 3, 2], two, three, Kept::There),
            (&[1, 2, 3, 2, 1, 2], two, three, Kept::Swept),
            (&[1, 2, 3, 2, 1, 2], two, one, Kept::There),
            (&[2], two, one, Kept::NeverMade),
            (&[2, 3, 2], two, one, Kept::NeverMade),
            (&[1], one, two, Kept::NeverMade),
        ] {
            assert_eq!(kept(&walk(way), here, there), expected, "{way:?}");
        }
    }

    // R1, R10: what did not change between two versions has one form in both.
    #[test]
    fn a_version_that_leaves_a_type_as_it_is_sweeps_nothing_of_it_away() {
        // Of two types the first changes from 1 to 2 only; the second from 11 to 12 to 13.
        let way = stops(&[&[1, 11], &[2, 12], &[2, 13], &[2, 12]]);
        assert_eq!(kept(&way, Tag(2), Tag(1)), Kept::There);
        assert_eq!(kept(&way, Tag(12), Tag(11)), Kept::Swept);
    }

    // R4, R10: a guard that version 2 splits off and version 3 calls by another name, which sweeps it.
    #[test]
    fn what_was_kept_of_a_split_guard_is_lost_with_a_version_that_renames_it() {
        let crew = |field: &str| record("Crew", &[(field, leaf("u64", 8))]);
        let (old, new) = (crew("odd"), crew("even"));
        let hits = ("hits", leaf("u64", 8));
        let both = [hits.clone(), ("crew", old.clone())];
        let alone = guard("TOTALS", &[hits]);
        let mut roster = guard("ROSTER", &[("crew", new.clone())]);
        roster.moved = vec![MovedManifest {
            item: "crew".into(),
            guard: "TOTALS".into(),
            from: "crew".into(),
        }];
        let mut second = manifest(2, vec![alone.clone(), roster], Vec::new());
        let mut crews = lens(&old, &new);
        crews.losses.older.push(LensLoss {
            path: "Crew.odd".into(),
            kind: LossKind::Defaulted,
        });
        second.lenses.push(crews);
        let mut renamed = guard("LIST", &[("crew", new)]);
        renamed.renamed_from = "ROSTER".into();
        let builds = Builds::of_test(vec![
            manifest(1, vec![guard("TOTALS", &both)], Vec::new()),
            second,
            manifest(3, vec![alone.clone(), renamed], Vec::new()),
            manifest(3, vec![alone], Vec::new()),
        ]);
        let lost_after = |stops: &[u32]| {
            let build = |index: &u32| builds.get(BuildIndex(*index));
            let mut way = Way::of(build(&1), build(&0), stops.iter().map(build));
            way.guards();
            way.lost
        };
        assert_eq!(lost_after(&[0, 1]), [""; 0]);
        assert_eq!(lost_after(&[0, 1, 2, 1]), ["Crew.odd"]);
        // One that does not have the guard leaves it alone.
        assert_eq!(lost_after(&[0, 1, 3, 1]), [""; 0]);
        assert_eq!(lost_after(&[0, 1, 2, 1, 0, 1]), [""; 0]);
    }

    // R10
    #[test]
    fn a_form_that_nothing_was_in_is_a_loss_on_the_way_back_only() {
        let one = |path: &str| {
            vec![LensLoss {
                path: path.to_owned(),
                kind: LossKind::Defaulted,
            }]
        };
        let losses = LensLosses {
            older: one("Entry.flags"),
            newer: one("Entry.ttl"),
        };
        let of = |goes_back, kept| {
            lost(&losses, goes_back, kept)
                .first()
                .map(|loss| &*loss.path)
        };
        assert_eq!(of(true, Kept::NeverMade), Some("Entry.flags"));
        assert_eq!(of(false, Kept::NeverMade), None);
        assert_eq!(of(true, Kept::Swept), Some("Entry.flags"));
        assert_eq!(of(false, Kept::Swept), Some("Entry.ttl"));
        assert_eq!(of(true, Kept::There), None);
    }
}
