//! Any edits of a graph by workers of two versions, beside a model: who is there, who leads to whom, how
//! many handles each has, and that a node stays where it is.

use super::graph::*;
use super::world::*;
use crate::abi::Parked;
use crate::heap::testing::{Actor, failing_after, test_name};
use crate::heap::{SharedRc, SharedVec, release_scratch};
use crate::worker::Worker;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Deed {
    Add,
    /// A root more that leads to somebody who is there.
    Root(usize),
    RemoveRoot(usize),
    Link(usize, usize),
    Unlink(usize, usize),
    Remember(usize, usize),
    Forget(usize, usize),
    Edit(usize),
    /// Anew: without edits, and without links.
    Replace(usize),
    Sweep,
}

fn deeds() -> impl Strategy<Value = Vec<(u32, bool, Deed)>> {
    let two = || (any::<usize>(), any::<usize>());
    let deed = prop_oneof![
        4 => Just(Deed::Add),
        1 => any::<usize>().prop_map(Deed::Root),
        1 => any::<usize>().prop_map(Deed::RemoveRoot),
        6 => two().prop_map(|(a, b)| Deed::Link(a, b)),
        3 => two().prop_map(|(a, b)| Deed::Unlink(a, b)),
        3 => two().prop_map(|(a, b)| Deed::Remember(a, b)),
        1 => two().prop_map(|(a, b)| Deed::Forget(a, b)),
        4 => any::<usize>().prop_map(Deed::Edit),
        1 => any::<usize>().prop_map(Deed::Replace),
        1 => Just(Deed::Sweep),
    ];
    prop::collection::vec((0..3_u32, any::<bool>(), deed), 1..60)
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Somebody {
    edits: u64,
    links: Vec<u64>,
    weak: Vec<u64>,
}

/// Everybody who has a strong handle, and what leads there from outside.
#[derive(Clone, Default, Debug)]
struct Model {
    people: BTreeMap<u64, Somebody>,
    roots: Vec<u64>,
    /// Kept by the town itself.
    kept: Vec<u64>,
    /// The form of the town; nobody has made it before the first deed.
    is_new: Option<bool>,
    next: u64,
}

impl Model {
    fn strong(&self, id: u64) -> usize {
        let links = self.people.values().flat_map(|body| &body.links);
        let all = links.chain(&self.roots).chain(&self.kept);
        all.filter(|other| **other == id).count()
    }

    fn weak(&self, id: u64) -> usize {
        let weak = self.people.values().flat_map(|body| &body.weak);
        weak.filter(|other| **other == id).count()
    }

    /// Those whose last handle is gone go, and whom they alone led to.
    fn settle(&mut self) {
        while let Some(id) = self.people.keys().copied().find(|id| self.strong(*id) == 0) {
            self.people.remove(&id);
        }
    }

    /// Whether somebody is kept by a circle that nothing leads to: that would be a leak.
    fn leaks(&self) -> bool {
        let mut reached: BTreeSet<u64> = BTreeSet::new();
        let mut next: Vec<u64> = self.roots.iter().chain(&self.kept).copied().collect();
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(&self.people[&id].links);
            }
        }
        reached.len() != self.people.len()
    }

    /// A worker of this version takes the guard.
    fn enter(&mut self, is_new: bool) {
        if self
            .is_new
            .replace(is_new)
            .is_none_or(|before| before == is_new)
        {
            return;
        }
        self.kept = match is_new {
            // The town's own, and the link of the one whom its lens makes.
            true => self.roots.last().map_or(Vec::new(), |last| vec![*last; 2]),
            false => self.roots.first().copied().into_iter().collect(),
        };
        self.settle();
    }

    /// What is left after a deed; `None` if it cannot be done or leaks.
    fn after(&self, deed: &Deed) -> Option<Model> {
        let mut next = self.clone();
        let ids: Vec<u64> = self.reachable();
        let pick = |at: usize| (!ids.is_empty()).then(|| ids[at % ids.len()]);
        match *deed {
            Deed::Add => {
                next.people.insert(next.next, Somebody::default());
                next.roots.push(next.next);
                next.next += 1;
            }
            Deed::Root(at) => next.roots.push(pick(at)?),
            Deed::RemoveRoot(at) => {
                let place = at % self.roots.len().max(1);
                if self.roots.is_empty() {
                    return None;
                }
                next.roots.remove(place);
            }
            Deed::Link(one, other) => next.people.get_mut(&pick(one)?)?.links.push(pick(other)?),
            Deed::Remember(one, other) => next.people.get_mut(&pick(one)?)?.weak.push(pick(other)?),
            Deed::Unlink(one, at) => {
                let links = &mut next.people.get_mut(&pick(one)?)?.links;
                let place = at % links.len().max(1);
                if links.is_empty() {
                    return None;
                }
                links.remove(place);
            }
            Deed::Forget(one, at) => {
                let weak = &mut next.people.get_mut(&pick(one)?)?.weak;
                let place = at % weak.len().max(1);
                if weak.is_empty() {
                    return None;
                }
                weak.remove(place);
            }
            Deed::Edit(at) => next.people.get_mut(&pick(at)?)?.edits += 1,
            Deed::Replace(at) => *next.people.get_mut(&pick(at)?)? = Somebody::default(),
            Deed::Sweep => {}
        }
        next.settle();
        (!next.leaks()).then_some(next)
    }

    /// Those whom the roots lead to, in the order of their ids.
    fn reachable(&self) -> Vec<u64> {
        let mut reached: BTreeSet<u64> = BTreeSet::new();
        let mut next: Vec<u64> = self.roots.clone();
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(&self.people[&id].links);
            }
        }
        reached.into_iter().collect()
    }
}

/// Does the deed to the real graph. The model has said that it can be done.
fn act<T: Person>(cx: &Worker, model: &Model, deed: &Deed, sweep_number: u32, is_new: bool) {
    if let Deed::Sweep = deed {
        sweep(sweep_number, is_new, Parked::Kept);
        assert_eq!(counts()[usize::from(!is_new)], 0, "all are in one form");
        return;
    }
    T::in_town(cx, |roots| {
        let ids = model.reachable();
        let all = everybody(roots);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), ids);
        let person = |at: usize| &all[&ids[at % ids.len()]];
        let clone = |at: usize| person(at).try_clone().expect("held");
        match *deed {
            Deed::Add => {
                let new = SharedRc::new(T::make(model.next)).expect("room");
                roots.push(new).expect("room");
            }
            Deed::Root(at) => roots.push(clone(at)).expect("room"),
            Deed::RemoveRoot(at) => {
                roots
                    .remove(at % roots.len())
                    .expect("inline")
                    .expect("there");
            }
            Deed::Link(one, other) => {
                let link = clone(other);
                let linked = person(one).edit(|value| value.links_mut().push(link));
                linked.expect("has a form").expect("room");
            }
            Deed::Remember(one, other) => {
                let weak = person(other).downgrade().expect("held");
                let noted = person(one).edit(|value| value.weak_mut().push(weak));
                noted.expect("has a form").expect("room");
            }
            Deed::Unlink(one, at) => {
                let edit = |value: &mut T| {
                    let place = at % value.links().len();
                    value.links_mut().remove(place)
                };
                drop(person(one).edit(edit).expect("has a form").expect("inline"));
            }
            Deed::Forget(one, at) => {
                let edit = |value: &mut T| {
                    let place = at % value.weak().len();
                    value.weak_mut().remove(place)
                };
                drop(person(one).edit(edit).expect("has a form").expect("inline"));
            }
            Deed::Edit(at) => person(at)
                .edit(|value| *value.edits() += 1)
                .expect("has a form"),
            Deed::Replace(at) => person(at)
                .replace(T::make(ids[at % ids.len()]))
                .expect("room"),
            Deed::Sweep => {}
        }
    });
}

/// The graph is the model's, and nobody has moved.
fn compare<T: Person>(cx: &Worker, model: &Model, places: &mut BTreeMap<u64, u64>) {
    T::in_town(cx, |roots| {
        let all = everybody(roots);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), model.reachable());
        for (id, person) in &all {
            let place = format!("{person:?}");
            let place = u64::from_str_radix(&place[11..place.len() - 1], 16).expect("an address");
            assert_eq!(*places.entry(*id).or_insert(place), place, "{id} has moved");
            let seen = person.read(|value| Somebody {
                edits: value.seen_edits(),
                links: value
                    .links()
                    .iter()
                    .map(|link| link.expect("inline").read(Person::id).expect("has a form"))
                    .collect(),
                weak: value
                    .weak()
                    .iter()
                    .filter_map(|weak| weak.expect("inline").upgrade().expect("held"))
                    .map(|friend| friend.read(Person::id).expect("has a form"))
                    .collect(),
            });
            let mut expected = model.people[id].clone();
            expected.weak.retain(|id| model.people.contains_key(id));
            assert_eq!(seen, Ok(expected), "{id}");
            // One handle is in `all`.
            assert_eq!(person.strong_count(), Ok(model.strong(*id) + 1), "{id}");
            assert_eq!(person.weak_count(), Ok(model.weak(*id)), "{id}");
        }
    });
}

/// Takes all links away, also of those whom the town alone keeps.
fn open_circles<T: Person>(roots: &mut SharedVec<SharedRc<T>>, kept: &mut Option<SharedRc<T>>) {
    if let Some(kept) = kept.take() {
        roots.push(kept).expect("room");
    }
    for person in everybody(roots).values() {
        person
            .edit(|value| value.links_mut().clear())
            .expect("has a form");
    }
}

#[test]
fn any_edits_of_two_versions_agree_with_a_model_by_identity_and_content() {
    let name = test_name!("any_edits_of_two_versions_agree_with_a_model_by_identity_and_content");
    with_world(name, || {
        let actors = RefCell::new([0, 1, 2].map(Actor::start));
        let sweeps = RefCell::new(1..);
        proptest!(ProptestConfig::with_cases(60), |(deeds in deeds(), allocations in 0..12_u64)| {
            let mut model = Model::default();
            let mut places = BTreeMap::new();
            for (worker, is_new, deed) in &deeds {
                actors.borrow_mut()[*worker as usize].act(|| {
                    let cx = &Worker::of_runtime();
                    let number = sweeps.borrow_mut().next().expect("endless");
                    let mut entered = model.clone();
                    entered.enter(*is_new);
                    if entered.leaks() {
                        return;
                    }
                    // With little memory the town may be had or not, and is the same.
                    let enter = || match is_new {
                        true => GRAPH_NEW.lock(cx).map(drop),
                        false => GRAPH_OLD.lock(cx).map(drop),
                    };
                    let _ = failing_after(allocations, enter);
                    enter().expect("free and sound");
                    model = entered;
                    let Some(next) = model.after(deed) else { return };
                    match is_new {
                        true => act::<NewPerson>(cx, &model, deed, number, true),
                        false => act::<OldPerson>(cx, &model, deed, number, false),
                    }
                    model = next;
                    places.retain(|id, _| model.people.contains_key(id));
                    match is_new {
                        true => compare::<NewPerson>(cx, &model, &mut places),
                        false => compare::<OldPerson>(cx, &model, &mut places),
                    }
                });
            }
            actors.borrow_mut()[0].act(|| {
                let cx = &Worker::of_runtime();
                let is_new = model.is_new.unwrap_or(false);
                prop_assert_eq!(findings(is_new), [""; 0]);
                // Circles are opened, so that all goes with the town.
                match is_new {
                    true => {
                        let mut guard = GRAPH_NEW.lock(cx).expect("free and sound");
                        let NewTown { roots, last, .. } = &mut guard.town;
                        open_circles(roots, last);
                    }
                    false => {
                        let mut guard = GRAPH_OLD.lock(cx).expect("free and sound");
                        let OldTown { roots, first } = &mut guard.town;
                        open_circles(roots, first);
                    }
                }
                leave_town(cx);
                release_scratch();
                prop_assert_eq!(counts(), [0, 0]);
                prop_assert_eq!(findings(true), [""; 0]);
                Ok(())
            })?;
        });
    });
}
