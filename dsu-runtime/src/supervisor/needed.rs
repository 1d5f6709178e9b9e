//! Whose code a worker needs besides that of the versions that run (R13): whatever stands in shared memory
//! it must be able to read, show, drop and bring to the form of those.
//!
//! What stands says so itself: boxes and item tuples are counted by their forms, complements by the newer
//! side of their lens. So the builds that are needed follow from the counts and from what each build was
//! told, and nothing has to be recorded when an update ends in one way or another:
//!
//! - of each form that none of the versions here has, one build that has it, and those with the lenses
//!   on the way from there to a form of theirs, as the heap finds it: the shortest;
//! - of each lens that has kept something, one build that has it; of one between item tuples also one that
//!   has the older tuple: an item that only that has may be of a type that nobody froze.
//!
//! A build is needed no more when nothing refers to it. A worker is told when it starts. What comes to
//! stand later comes by lenses of what stood then, or of versions that all workers load when an update
//! to them begins. A count can be too high where a worker has died, never too low: then a build too many
//! is loaded. Who cannot load one serves without it, and updates are refused as long as it does.
//!
//! Pure but for the glue.

use super::builds::{Builds, KnownBuild};
use super::run::Supervisor;
use crate::ids::{Tag, WorkerSlot};
use crate::update::BuildIndex;
use crate::version::LensBinding;
use std::collections::{BTreeMap, BTreeSet};

/// What stands in shared memory, by the forms of all versions.
struct Standing<'a> {
    /// Boxes and item tuples in a form.
    boxes: &'a dyn Fn(Tag) -> u64,
    /// Bytes of complements whose lens has it as its newer side.
    complements: &'a dyn Fn(Tag) -> u64,
}

/// What the code of a build is good for.
struct Code {
    index: BuildIndex,
    /// Whether some worker ran it: of two that would do, one that has shown that it runs.
    has_run: bool,
    /// Its own forms.
    forms: BTreeSet<Tag>,
    lenses: BTreeSet<LensBinding>,
    /// Those of its forms that are item tuples.
    tuples: BTreeSet<Tag>,
    /// Pairs of forms between which it takes values in one step. A lens that goes one way counts for both.
    steps: BTreeSet<[Tag; 2]>,
}

fn step(one: Tag, other: Tag) -> [Tag; 2] {
    [one.min(other), one.max(other)]
}

impl Code {
    fn of(index: BuildIndex, known: &KnownBuild, has_run: bool) -> Code {
        let lenses: BTreeSet<LensBinding> = known.build.binding.lenses.iter().copied().collect();
        let by_lens = lenses.iter().map(|lens| step(lens.older, lens.newer));
        let as_it_is = known.own_parts().flat_map(|part| {
            let others = part.same.iter();
            others.map(|other| step(*other, part.tag))
        });
        let guards = known.build.binding.guards.iter();
        Code {
            index,
            has_run,
            tuples: guards.map(|guard| guard.tag).collect(),
            forms: known.own_parts().map(|part| part.tag).collect(),
            steps: by_lens.chain(as_it_is).collect(),
            lenses,
        }
    }
}

/// All builds, and those that a worker is to have.
struct Choice {
    all: Vec<Code>,
    chosen: BTreeSet<BuildIndex>,
}

impl Choice {
    /// Sees to it that one of those chosen has this, if any build has.
    fn needs(&mut self, has: impl Fn(&Code) -> bool) {
        let having = || self.all.iter().filter(|code| has(code));
        if having().any(|code| self.chosen.contains(&code.index)) {
            return;
        }
        let best = having().max_by_key(|code| (code.has_run, code.index));
        self.chosen.extend(best.map(|code| code.index));
    }

    /// The steps of the shortest way from a form to one of these, none if there is no way.
    fn way(&self, from: Tag, to: &BTreeSet<Tag>) -> Vec<[Tag; 2]> {
        let steps: BTreeSet<[Tag; 2]> = self
            .all
            .iter()
            .flat_map(|code| code.steps.iter().copied())
            .collect();
        let mut before: BTreeMap<Tag, Tag> = BTreeMap::from([(from, from)]);
        let mut reached = vec![from];
        let mut next = 0;
        while let Some(&at) = reached.get(next) {
            if to.contains(&at) {
                let mut way = Vec::new();
                let mut end = at;
                while end != from {
                    way.push(step(before[&end], end));
                    end = before[&end];
                }
                return way;
            }
            for [one, other] in &steps {
                let end = match (*one == at, *other == at) {
                    (true, false) => *other,
                    (false, true) => *one,
                    _ => continue,
                };
                before.entry(end).or_insert_with(|| {
                    reached.push(end);
                    at
                });
            }
            next += 1;
        }
        Vec::new()
    }
}

/// The builds that a worker needs besides those that it is to have anyway, the oldest first.
fn needed(
    builds: &Builds,
    ran: &BTreeSet<BuildIndex>,
    loaded: &[BuildIndex],
    standing: &Standing<'_>,
) -> Vec<BuildIndex> {
    let code = |(index, known)| Code::of(index, known, ran.contains(&index));
    let mut choice = Choice {
        all: builds.indexed().map(code).collect(),
        chosen: loaded.iter().copied().collect(),
    };
    let all = |of: fn(&Code) -> Vec<Tag>| choice.all.iter().flat_map(of).collect::<BTreeSet<Tag>>();
    let forms = all(|code| code.forms.iter().copied().collect());
    let newer = all(|code| code.lenses.iter().map(|lens| lens.newer).collect());
    let here: BTreeSet<Tag> = choice
        .all
        .iter()
        .filter(|code| loaded.contains(&code.index))
        .flat_map(|code| code.forms.iter().copied())
        .collect();
    for form in forms.difference(&here) {
        if (standing.boxes)(*form) == 0 {
            continue;
        }
        choice.needs(|code| code.forms.contains(form));
        for step in choice.way(*form, &here) {
            choice.needs(|code| code.steps.contains(&step));
        }
    }
    for newer in newer {
        if (standing.complements)(newer) == 0 {
            continue;
        }
        let lenses: BTreeSet<LensBinding> = choice
            .all
            .iter()
            .flat_map(|code| code.lenses.iter().copied())
            .filter(|lens| lens.newer == newer)
            .collect();
        for lens in lenses {
            choice.needs(|code| code.lenses.contains(&lens));
            choice.needs(|code| code.tuples.contains(&lens.older));
        }
    }
    let chosen = choice.chosen.into_iter();
    chosen.filter(|index| !loaded.contains(index)).collect()
}

impl Supervisor {
    /// Builds whose code living values and complements need, besides those that a fresh worker loads
    /// anyway.
    pub(super) fn needed_beside(&self, loaded: &[BuildIndex]) -> Vec<BuildIndex> {
        let memory = &self.ports.memory;
        let standing = Standing {
            boxes: &|tag| memory.boxes(tag),
            complements: &|tag| memory.complements(tag),
        };
        needed(&self.builds, &self.ran, loaded, &standing)
    }

    /// A worker has answered to what it was to load, at its start or later.
    pub(super) fn note_loaded(&mut self, slot: WorkerSlot, digest: &str, error: Option<&String>) {
        let Some(index) = self.builds.of_digest(digest) else {
            return;
        };
        match error {
            None => {
                self.lacking.remove(&(slot, index));
            }
            Some(why) => {
                let version = self.builds.get(index).build.version;
                tracing::error!("{slot} cannot load {version}: {why}");
                self.lacking.insert((slot, index), why.clone());
            }
        }
    }

    /// Whether all workers have the code that they need beside the versions of an update: without it one of
    /// them could not convert, or drop, what others can.
    ///
    /// # Errors
    /// Who lacks what, and why.
    pub(super) fn judge_code(&self, target: BuildIndex) -> Result<(), String> {
        let needed = self.needed_beside(&[self.life.running(), target]);
        let lacking = self.lacking.iter();
        let mut lacking = lacking.filter(|((_, index), _)| needed.contains(index));
        let Some(((slot, index), why)) = lacking.next() else {
            return Ok(());
        };
        let build = &self.builds.get(*index).build;
        Err(format!(
            "{slot} lacks the code of {}, which values that are there need: put {} back as it was and end that worker, its replacement will load it ({why})",
            build.version,
            build.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::samples::{freeze, guard, leaf, lens, manifest, record};
    use crate::version::{Manifest, MovedManifest};

    fn index(all: &[u32]) -> Vec<BuildIndex> {
        all.iter().map(|index| BuildIndex(*index)).collect()
    }

    /// What a worker needs that loads `loaded`, where these boxes and complements stand.
    fn asked(builds: &Builds, loaded: &[u32], boxes: &[Tag], complements: &[Tag]) -> Vec<u32> {
        let count = |all: &[Tag], tag| all.iter().filter(|one| **one == tag).count() as u64;
        let standing = Standing {
            boxes: &|tag| count(boxes, tag),
            complements: &|tag| count(complements, tag),
        };
        let ran = (0..4).map(BuildIndex).collect();
        let found = needed(builds, &ran, &index(loaded), &standing);
        found.into_iter().map(|index| index.0).collect()
    }

    fn tag(builds: &Builds, build: u32, name: &str) -> Tag {
        let parts: Vec<_> = builds.get(BuildIndex(build)).own_parts().collect();
        parts.iter().find(|part| part.name == name).expect(name).tag
    }

    /// Version `number` of a value that every version changes.
    fn changing(number: u32) -> Manifest {
        let value = |number: u32| record("Value", &[(&format!("v{number}"), leaf("u64", 8))]);
        let guards = vec![guard("TOTALS", &[(&format!("v{number}"), leaf("u64", 8))])];
        let mut version = manifest(number, guards, vec![value(number)]);
        if number > 1 {
            freeze(&mut version, &value(number - 1));
            version
                .lenses
                .push(lens(&value(number - 1), &value(number)));
        }
        version
    }

    // R13: the way from there is as long as the heap's.
    #[test]
    fn what_stands_in_an_older_form_needs_all_code_on_the_way_from_there() {
        let builds = Builds::of_test((1..=5).map(changing).collect());
        for name in ["Value", "guard:TOTALS"] {
            let of = |build| tag(&builds, build, name);
            assert_eq!(asked(&builds, &[3, 2], &[of(3), of(2)], &[]), [0; 0]);
            assert_eq!(asked(&builds, &[3], &[of(0)], &[]), [0, 1, 2]);
            assert_eq!(asked(&builds, &[3, 2], &[of(0)], &[]), [0, 1]);
            // On the way back the newer one has the lens; its own code is needed anyway.
            assert_eq!(asked(&builds, &[1], &[of(2)], &[]), [2]);
            assert_eq!(asked(&builds, &[0], &[of(2)], &[]), [1, 2]);
        }
    }

    // R10, R13
    #[test]
    fn what_was_kept_needs_the_code_of_its_lens_however_long_ago() {
        let builds = Builds::of_test((1..=5).map(changing).collect());
        let of = |build| tag(&builds, build, "Value");
        assert_eq!(asked(&builds, &[3], &[], &[of(1)]), [1]);
        assert_eq!(asked(&builds, &[3, 2], &[], &[of(2), of(3)]), [0; 0]);
        assert_eq!(asked(&builds, &[0], &[], &[of(3), of(1)]), [1, 3]);
    }

    // R4, R13: LOG waits in version 2, which has it in the empty form, and the versions that come then
    // know nothing of it.
    #[test]
    fn what_waits_beside_an_empty_form_needs_the_code_that_left_it_there() {
        let lines = ("lines", leaf("u64", 8));
        let left = ("left", leaf("u64", 8));
        let hits = ("hits", leaf("u64", 8));
        let one = vec![
            guard("TOTALS", std::slice::from_ref(&hits)),
            guard("LOG", &[lines.clone(), left]),
        ];
        let merged = |number: u32, name: &str| {
            let mut totals = guard("TOTALS", &[hits.clone(), lines.clone()]);
            totals.moved = vec![MovedManifest {
                item: "lines".into(),
                guard: "LOG".into(),
                from: "lines".into(),
            }];
            manifest(number, vec![totals, guard(name, &[])], Vec::new())
        };
        let builds = Builds::of_test(vec![
            manifest(1, one, Vec::new()),
            merged(2, "SECOND"),
            merged(3, "THIRD"),
        ]);
        let emptied = &builds.get(BuildIndex(1)).build.binding.emptied;
        assert_eq!(emptied.len(), 1);
        assert_eq!(asked(&builds, &[2], &[emptied[0].tag], &[]), [0; 0]);
        // And what version 1 alone had of it is dropped by its own code.
        assert_eq!(asked(&builds, &[2], &[], &[emptied[0].tag]), [0, 1]);
        assert_eq!(asked(&builds, &[2, 1], &[], &[emptied[0].tag]), [0]);
    }

    // R1, R13
    #[test]
    fn of_two_builds_that_would_do_it_is_the_last_one_that_has_run() {
        let again = |number: u32, name: &str| {
            let mut version = changing(number);
            version.guards.push(guard(name, &[]));
            version
        };
        let builds = Builds::of_test(vec![
            changing(1),
            changing(2),
            again(2, "REPAIRED"),
            changing(3),
            again(2, "NEVER_RUN"),
        ]);
        let of = |build| tag(&builds, build, "Value");
        assert_eq!([of(1), of(1)], [of(2), of(4)]);
        assert_eq!(asked(&builds, &[3], &[], &[of(1)]), [2]);
        assert_eq!(asked(&builds, &[1], &[], &[of(1)]), [0; 0]);
    }
}
