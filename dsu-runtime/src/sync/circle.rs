//! Workers that wait for each other in a circle: how one is seen from inside, and who gives way (R16).
//!
//! Owns the walk from a guard to its owner, from there to the guard where that one waits, and so on, and
//! the choice of who gives up. Pure but for the look at shared words, which [`Sight`] stands for. Must
//! never know how anybody waits: it is asked now and then by a worker that has waited for a while.
//!
//! What is read of others may be old when it is read. Each step is read twice around the next, and only
//! a circle that is there at two looks in a row counts; who has left it since has waited in vain, no
//! more: an acquisition that could have succeeded fails.

use super::party::Name;
use crate::ids::{GuardIndex, VersionId};

/// What can be seen of others.
pub(super) trait Sight {
    /// Who holds the guard.
    fn owner(&self, guard: GuardIndex) -> Option<Name>;
    /// In the slow path of which guard this worker is.
    fn waits_at(&self, worker: Name) -> Option<GuardIndex>;
    /// What this worker runs.
    fn version(&self, worker: Name) -> VersionId;
}

/// One party of a circle: who holds a guard, and for which it waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) holds: GuardIndex,
    pub(super) worker: Name,
    pub(super) waits_at: GuardIndex,
}

/// The circle in which `me`, who waits at `guard`, stands: all others in it, the owner of `guard` first.
/// `None` if there is none, or `me` is not in it.
pub(super) fn circle(
    me: Name,
    guard: GuardIndex,
    sight: &impl Sight,
    most: usize,
) -> Option<Vec<Link>> {
    let mut links: Vec<Link> = Vec::new();
    let mut at = guard;
    while links.len() <= most {
        let owner = sight.owner(at)?;
        if owner == me {
            return (!links.is_empty()).then_some(links);
        }
        let next = sight.waits_at(owner)?;
        // Who is busy at a guard of its own releases it. Who has let go of this one was met too early.
        if next == at || sight.owner(at) != Some(owner) {
            return None;
        }
        links.push(Link {
            holds: at,
            worker: owner,
            waits_at: next,
        });
        at = next;
    }
    None
}

/// Whether `me` is to give way in a circle with these others. One of the version that an update goes
/// to, if both versions are in it; of those that come into question the one in the highest slot.
pub(super) fn gives_way(
    me: Name,
    others: &[Link],
    newer: Option<VersionId>,
    sight: &impl Sight,
) -> bool {
    let all = || others.iter().map(|link| link.worker).chain([me]);
    let is_newer = |worker: &Name| newer == Some(sight.version(*worker));
    let between_versions = all().any(|worker| is_newer(&worker)) && !all().all(|w| is_newer(&w));
    all()
        .filter(|worker| !between_versions || is_newer(worker))
        .max()
        == Some(me)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    /// Owner of each guard, guard at which each worker waits, version of each; workers by slot.
    struct Scene {
        owners: Vec<Option<u32>>,
        waits: Vec<Option<u32>>,
        versions: Vec<u32>,
    }

    impl Sight for Scene {
        fn owner(&self, guard: GuardIndex) -> Option<Name> {
            self.owners[guard.0 as usize].map(Name::of_slot)
        }
        fn waits_at(&self, worker: Name) -> Option<GuardIndex> {
            self.waits[worker.slot() as usize].map(GuardIndex)
        }
        fn version(&self, worker: Name) -> VersionId {
            VersionId(self.versions[worker.slot() as usize])
        }
    }

    const MANY: u32 = 5;

    fn scene() -> impl Strategy<Value = Scene> {
        let some = || prop::option::weighted(0.8, 0..MANY);
        let list = move || prop::collection::vec(some(), MANY as usize);
        let versions = prop::collection::vec(1..3_u32, MANY as usize);
        (list(), list(), versions).prop_map(|(owners, waits, versions)| Scene {
            owners,
            waits,
            versions,
        })
    }

    /// Follows who waits for whom as a function on workers, and asks whether it comes back.
    fn naive(scene: &Scene, me: u32) -> bool {
        let blocker = |worker: u32| {
            let guard = scene.waits[worker as usize]?;
            scene.owners[guard as usize].filter(|owner| *owner != worker)
        };
        let steps = std::iter::successors(blocker(me), |worker| blocker(*worker));
        steps.take(MANY as usize + 1).any(|worker| worker == me)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        // R16
        #[test]
        fn a_circle_is_seen_by_those_in_it_and_one_of_them_gives_way(scene in scene()) {
            let mut giving: Vec<Vec<u32>> = Vec::new();
            for me in 0..MANY {
                let Some(guard) = scene.waits[me as usize] else { continue };
                let name = Name::of_slot(me);
                let seen = circle(name, GuardIndex(guard), &scene, MANY as usize);
                prop_assert_eq!(seen.is_some(), naive(&scene, me));
                let Some(links) = seen else { continue };
                let newer = Some(VersionId(2));
                let all: Vec<u32> = links.iter().map(|link| link.worker.slot()).chain([me]).collect();
                let mixed = all.iter().any(|w| scene.versions[*w as usize] == 2)
                    && all.iter().any(|w| scene.versions[*w as usize] == 1);
                if gives_way(name, &links, newer, &scene) {
                    prop_assert!(!mixed || scene.versions[me as usize] == 2);
                    let mut circle = all.clone();
                    circle.sort_unstable();
                    giving.push(circle);
                }
            }
            // Exactly one in each circle.
            let before = giving.len();
            giving.sort();
            giving.dedup();
            prop_assert_eq!(giving.len(), before);
            for me in 0..MANY {
                if naive(&scene, me) {
                    prop_assert!(giving.iter().any(|circle| circle.contains(&me)));
                }
            }
        }
    }
}
