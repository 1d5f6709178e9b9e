//! A graph of people in two versions: items whose lens counts handles, nodes with a lens of their own.

use super::world::{GRAPH, LABEL, play, with_world};
use crate::abi::{GuardCell, Parked};
use crate::error::RcError;
use crate::heap::live;
use crate::heap::{Element, Shared, SharedBytes, SharedRc, SharedVec, SharedWeak};
use crate::ids::SweepId;
use crate::sync::GuardSlot;
use crate::update::{SweepSlice, check_guards, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use xform::{Lens, LensError};

/// A person of version 1.
#[derive(Shared)]
#[shared(frozen = 1, name = "GraphPerson")]
pub struct OldPerson {
    pub id: u64,
    pub edits: u64,
    pub text: SharedBytes,
    pub links: SharedVec<SharedRc<OldPerson>>,
    pub weak: SharedVec<SharedWeak<OldPerson>>,
}

/// A person of version 2.
#[derive(Shared)]
#[shared(name = "GraphPerson")]
pub struct NewPerson {
    pub weak: SharedVec<SharedWeak<NewPerson>>,
    pub links: SharedVec<SharedRc<NewPerson>>,
    pub text: SharedBytes,
    pub note: u64,
    pub edits: u64,
    pub id: u64,
}

/// What leads to the people, in version 1.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct OldTown {
    pub roots: SharedVec<SharedRc<OldPerson>>,
    pub first: Option<SharedRc<OldPerson>>,
}

/// In version 2 the last root is kept at hand, and not the first.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct NewTown {
    pub last: Option<SharedRc<NewPerson>>,
    pub roots: SharedVec<SharedRc<NewPerson>>,
    pub seat: Option<SharedRc<NewPerson>>,
}

#[guards(town: OldTown)]
pub static GRAPH_OLD: GuardMutex;

#[guards(town: NewTown, renamed_from = "GRAPH_OLD")]
pub static GRAPH_NEW: GuardMutex;

static CONVERSIONS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// People that this process has converted, forward and backward.
pub fn conversions() -> [u64; 2] {
    [0, 1].map(|way| CONVERSIONS[way].load(Ordering::Relaxed))
}

#[derive(Default)]
struct PersonLens;

impl Lens for PersonLens {
    type Left = OldPerson;
    type Right = NewPerson;
    type Complement = u64;

    fn forward(&self, left: OldPerson, kept: Option<u64>) -> Result<(NewPerson, u64), LensError> {
        CONVERSIONS[0].fetch_add(1, Ordering::Relaxed);
        let right = NewPerson {
            weak: left.weak.rebind(),
            links: left.links.rebind(),
            text: left.text,
            note: kept.unwrap_or(left.id * 10),
            edits: left.edits,
            id: left.id,
        };
        Ok((right, 0))
    }

    fn backward(&self, right: NewPerson, _: Option<u64>) -> Result<(OldPerson, u64), LensError> {
        if right.note == FOREIGN {
            return Err(LensError::unrepresentable("version 1 has no such people"));
        }
        CONVERSIONS[1].fetch_add(1, Ordering::Relaxed);
        let left = OldPerson {
            id: right.id,
            edits: right.edits,
            text: right.text,
            links: right.links.rebind(),
            weak: right.weak.rebind(),
        };
        Ok((left, right.note))
    }

    fn represents(&self, right: &NewPerson) -> bool {
        right.note != FOREIGN
    }
}

/// The note of a person that version 1 has no form for.
pub const FOREIGN: u64 = u64::MAX;

crate::transformer!(PersonLens);

/// What the lens of a town does at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Ending {
    Good,
    Failure,
    Panic,
}

static ENDING: AtomicU32 = AtomicU32::new(0);

pub fn town_lens_shall(end: Ending) {
    ENDING.store(end as u32, Ordering::Relaxed);
}

fn end() -> Result<(), LensError> {
    const FAILURE: u32 = Ending::Failure as u32;
    const PANIC: u32 = Ending::Panic as u32;
    match ENDING.load(Ordering::Relaxed) {
        FAILURE => Err(LensError::failed("as it was told")),
        PANIC => panic!("as it was told"),
        _ => Ok(()),
    }
}

/// Counts up and down on the way: clones the last root, drops the first, makes a node and upgrades.
#[derive(Default)]
struct TownLens;

impl TownLens {
    fn last<T: Element>(
        roots: &SharedVec<SharedRc<T>>,
        at: usize,
    ) -> Result<Option<SharedRc<T>>, RcError> {
        let root = roots.get(at)?;
        let Some(root) = root else { return Ok(None) };
        let weak = root.downgrade()?;
        let before = root.strong_count()?;
        let clone = weak.upgrade()?.ok_or(RcError::NotHeld)?;
        assert_eq!(root.strong_count()?, before + 1, "noted, and seen here");
        drop(root.try_clone()?);
        assert_eq!(root.strong_count()?, before + 1);
        Ok(Some(clone))
    }
}

impl Lens for TownLens {
    type Left = OldTown;
    type Right = NewTown;
    type Complement = u64;

    fn forward(&self, left: OldTown, kept: Option<u64>) -> Result<(NewTown, u64), LensError> {
        let OldTown { roots, first } = left;
        let last = Self::last(&roots, roots.len().saturating_sub(1))?;
        drop(first);
        let seat = match &last {
            None => None,
            Some(last) => {
                let seat = SharedRc::new(new_person(SEAT, 0))?;
                let friend = last.try_clone()?.rebind();
                seat.edit(|person| person.links.push(friend))??;
                Some(seat)
            }
        };
        end()?;
        let right = NewTown {
            last: last.map(SharedRc::rebind),
            roots: roots.rebind(),
            seat,
        };
        Ok((right, kept.unwrap_or(0)))
    }

    fn backward(&self, right: NewTown, kept: Option<u64>) -> Result<(OldTown, u64), LensError> {
        let NewTown { last, roots, seat } = right;
        drop((last, seat));
        let first = Self::last(&roots, 0)?.map(SharedRc::rebind);
        end()?;
        let left = OldTown {
            roots: roots.rebind(),
            first,
        };
        Ok((left, kept.unwrap_or(0) + 1))
    }
}

crate::transformer!(TownLens);

/// The id of the person that the lens of a town makes.
pub const SEAT: u64 = 1 << 40;

pub fn text() -> SharedBytes {
    SharedBytes::from_slice(LABEL).expect("room")
}

pub fn new_person(id: u64, note: u64) -> NewPerson {
    NewPerson {
        weak: SharedVec::new(),
        links: SharedVec::new(),
        text: SharedBytes::new(),
        note,
        edits: 0,
        id,
    }
}

/// A person as a test handles it, in either version.
pub trait Person: Element + Shared {
    fn make(id: u64) -> Self;
    fn id(&self) -> u64;
    fn edits(&mut self) -> &mut u64;
    fn seen_edits(&self) -> u64;
    fn links(&self) -> &SharedVec<SharedRc<Self>>;
    fn links_mut(&mut self) -> &mut SharedVec<SharedRc<Self>>;
    fn weak(&self) -> &SharedVec<SharedWeak<Self>>;
    fn weak_mut(&mut self) -> &mut SharedVec<SharedWeak<Self>>;
    /// Calls `body` with the roots, under the guard.
    fn in_town<R>(cx: &Worker, body: impl FnOnce(&mut SharedVec<SharedRc<Self>>) -> R) -> R;
}

macro_rules! person {
    ($ty:ty, $guard:ident, $make:expr) => {
        impl Person for $ty {
            fn make(id: u64) -> Self {
                $make(id)
            }
            fn id(&self) -> u64 {
                self.id
            }
            fn edits(&mut self) -> &mut u64 {
                &mut self.edits
            }
            fn seen_edits(&self) -> u64 {
                self.edits
            }
            fn links(&self) -> &SharedVec<SharedRc<Self>> {
                &self.links
            }
            fn links_mut(&mut self) -> &mut SharedVec<SharedRc<Self>> {
                &mut self.links
            }
            fn weak(&self) -> &SharedVec<SharedWeak<Self>> {
                &self.weak
            }
            fn weak_mut(&mut self) -> &mut SharedVec<SharedWeak<Self>> {
                &mut self.weak
            }
            fn in_town<R>(
                cx: &Worker,
                body: impl FnOnce(&mut SharedVec<SharedRc<Self>>) -> R,
            ) -> R {
                body(&mut $guard.lock(cx).expect("free and sound").town.roots)
            }
        }
    };
}

person!(OldPerson, GRAPH_OLD, |id| OldPerson {
    id,
    edits: 0,
    text: text(),
    links: SharedVec::new(),
    weak: SharedVec::new(),
});
person!(NewPerson, GRAPH_NEW, |id| NewPerson {
    text: text(),
    ..new_person(id, id * 10)
});

/// All people that the roots lead to, by id.
pub fn everybody<T: Person>(roots: &SharedVec<SharedRc<T>>) -> BTreeMap<u64, SharedRc<T>> {
    let mut all = BTreeMap::new();
    let mut next: Vec<SharedRc<T>> = roots
        .iter()
        .map(|root| root.expect("inline").try_clone().expect("held"))
        .collect();
    while let Some(person) = next.pop() {
        let (id, friends) = person
            .read(|value| {
                let friends: Vec<_> = value
                    .links()
                    .iter()
                    .map(|link| link.expect("inline").try_clone().expect("held"))
                    .collect();
                (value.id(), friends)
            })
            .expect("has a form");
        let known = all
            .entry(id)
            .or_insert_with(|| person.try_clone().expect("held"));
        assert!(known.ptr_eq(&person), "two nodes are person {id}");
        let is_known = |friend: &SharedRc<T>| all.values().any(|known| known.ptr_eq(friend));
        next.extend(friends.into_iter().filter(|friend| !is_known(friend)));
    }
    all
}

pub fn cells(is_new: bool) -> Vec<&'static GuardCell> {
    match is_new {
        true => GRAPH_NEW.cells().iter().collect(),
        false => GRAPH_OLD.cells().iter().collect(),
    }
}

/// What the heap check says of the graph.
pub fn findings(is_new: bool) -> Vec<String> {
    let report = check_guards(cells(is_new));
    assert!(GuardSlot::at(GRAPH).lock.is_at_rest());
    report.findings
}

/// "a shared node at … counts 3 strong handles, and 2 lead to it": how many are too many.
pub fn too_many(finding: &str) -> u64 {
    let numbers: Vec<u64> = finding
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [counted, found, ..] if counted > found => counted - found,
        _ => panic!("{finding}"),
    }
}

/// A whole pass towards a version, in slices that end after some elements.
pub fn sweep(sweep: u32, is_new: bool, parked: Parked) -> SweepSlice {
    let mut pass = SweepSlice::default();
    while !pass.is_done {
        pass.add(slice(sweep, is_new, parked));
    }
    pass
}

/// One slice of it.
pub fn slice(sweep: u32, is_new: bool, parked: Parked) -> SweepSlice {
    sweep_guards(SweepId(sweep), parked, || cells(is_new), 1)
}

/// People in the forms of the two versions, by the live counts.
pub fn counts() -> [i64; 2] {
    [OldPerson::tag(), NewPerson::tag()].map(|tag| live::count(tag.get()))
}

/// Empties the town, whoever knows it.
pub fn leave_town(cx: &Worker) {
    GRAPH_NEW.lock(cx).expect("free and sound").town = NewTown::default();
}

pub type Node = SharedRc<NewPerson>;

pub fn node(id: u64) -> Node {
    SharedRc::new(NewPerson::make(id)).expect("room")
}

/// Runs `body` as one worker, whose graph must be empty and sound at the end.
pub fn in_world(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || {
        play(0, |cx| {
            drop(GRAPH_NEW.lock(cx).expect("free and sound"));
            body(cx);
            leave_town(cx);
            assert_eq!(findings(true), [""; 0]);
            assert_eq!(counts(), [0, 0]);
        });
    });
}

/// A town of people who all know each other, each a root.
pub fn make_circle(cx: &Worker, people: u64) {
    let mut guard = GRAPH_NEW.lock(cx).expect("free and sound");
    let roots = &mut guard.town.roots;
    for id in 0..people {
        roots.push(node(id)).expect("room");
    }
    for one in 0..people as usize {
        for other in 0..people as usize {
            let link = roots.get(other).expect("inline").expect("there");
            let (link, weak) = (link.try_clone(), link.downgrade());
            let one = roots.get(one).expect("inline").expect("there");
            one.edit(|value| {
                value.links.push(link.expect("held"))?;
                value.weak.push(weak.expect("held"))
            })
            .expect("its own form")
            .expect("room");
        }
    }
}

/// Opens all circles, so that the people go with the town.
pub fn open_circles(cx: &Worker) {
    NewPerson::in_town(cx, |roots| {
        for person in everybody(roots).values() {
            person
                .edit(|value| value.links.clear())
                .expect("has a form");
        }
    });
}
